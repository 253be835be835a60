//! What is stored without what it repeats comes back as it was, to whoever asks in whatever way.

use logstore::{DuckDbStore, LogEntry, LogQuery, LogStore as _, Order, Pattern, StoreExt as _};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::support::{assert_views_agree, at};

/// Texts with what is special to layouts, to JSON and to the engine's format.
fn text() -> impl Strategy<Value = String> {
    let parts = prop_oneof![
        "[a-z]{1,6}",
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("{0}".to_owned()),
        Just("\\".to_owned()),
        Just("\"".to_owned()),
        Just("\n".to_owned()),
        Just("\t".to_owned()),
        Just("\0".to_owned()),
        Just(" ".to_owned()),
        Just("é🦀".to_owned()),
    ];
    prop::collection::vec(parts, 0..12).prop_map(|parts| parts.concat())
}

/// Times as logs write them.
const TIMES: [&str; 10] = [
    "%Y-%m-%dT%H:%M:%S%.3fZ",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S%.6fZ",
    "%b %e %H:%M:%S",
    "%a %b %d %H:%M:%S %Y",
    "%Y-%m-%d %H:%M:%S",
    "%d/%b/%Y:%H:%M:%S",
    "%y%m%d %H%M%S",
    "%Y-%m-%d %H:%M:%S,%3f",
    "%H:%M of day %d",
];

/// A log whose line and fields repeat what its columns hold.
fn log(number: i64, [program, host, message, more]: [String; 4], procid: Option<i64>, form: u8) -> LogEntry {
    let log = LogEntry::new(at(number))
        .with_appname(&program)
        .with_host(&host)
        .with_message(&message);
    let line = match form {
        0 => format!(
            "{host} {program}[{}]: {message}{more}",
            procid.unwrap_or_default()
        ),
        1 => json!({"host": host, "app": program, "msg": message, "more": more}).to_string(),
        2 => TIMES
            .map(|format| at(number).format(format).to_string())
            .join(&more),
        _ => more.clone(),
    };
    let mut log = log;
    log.procid = procid;
    let times = TIMES.iter().cycle().skip(usize::from(form) + message.len());
    log.timestamp = times.map(|format| at(number).format(format).to_string()).next();
    log.with_raw(line)
        .with_field("raw", format!("{host} {message}"))
        .with_field("more", more)
}

fn logs() -> impl Strategy<Value = Vec<LogEntry>> {
    let parts = ([text(), text(), text(), text()], any::<Option<i64>>(), 0..4_u8);
    let logs = prop::collection::vec(parts, 1..12);
    // Texts that repeat are stored in another way. Each has a number of its own.
    (logs, prop_oneof![Just(1_usize), Just(12)]).prop_map(|(logs, times)| {
        let numbered = (0..).zip(logs.iter().cycle().take(logs.len() * times).cloned());
        numbered
            .map(|(number, ([program, host, message, more], procid, form))| {
                log(
                    number,
                    [program, host, message, format!("{more} {number}")],
                    procid,
                    form,
                )
            })
            .collect()
    })
}

fn store_of(logs: &[LogEntry]) -> DuckDbStore {
    let store = DuckDbStore::open(":memory:").unwrap();
    store.append_logs(logs).unwrap();
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lines_and_fields_are_kept(logs in logs()) {
        let store = store_of(&logs);
        let query = LogQuery::new().order(Order::OldestFirst);
        prop_assert_eq!(&store.fetch_logs(&query).unwrap(), &logs);
        let sql = "SELECT raw, normalized FROM logs ORDER BY event_time, seq";
        let rows = store.execute_query(sql, &[]).unwrap().rows;
        let expected: Vec<Vec<Value>> = logs
            .iter()
            .map(|log| vec![json!(log.raw), Value::Object((*log.normalized).clone())])
            .collect();
        prop_assert_eq!(rows, expected);
        assert_views_agree(&store);
    }

    /// However a text stands across what is left out and what is not.
    #[test]
    fn every_part_of_a_line_is_found(
        logs in logs(),
        parts in prop::collection::vec((any::<Index>(), any::<Index>(), 1..12_usize), 8)
    ) {
        let store = store_of(&logs);
        for (line, start, length) in parts {
            let raw = line.get(&logs).raw.as_deref().unwrap_or_default();
            let start = start.index(raw.chars().count() + 1);
            let part: String = raw.chars().skip(start).take(length).collect();
            for query in [
                LogQuery::new().contains(&part),
                LogQuery::new().pattern(Pattern::literal_ignoring_case(&part).unwrap()),
            ] {
                let expected = logs.iter().filter(|log| query.matches(log)).count() as u64;
                prop_assert_eq!(store.count_logs(&query).unwrap(), expected, "{:?}", part);
            }
            let pattern: String = part.chars().map(|c| format!("\\x{{{:x}}}", u32::from(c))).collect();
            let query = LogQuery::new().pattern(pattern.parse().unwrap());
            let expected = logs.iter().filter(|log| query.matches(log)).count() as u64;
            prop_assert_eq!(store.count_logs(&query).unwrap(), expected, "{:?}", part);
        }
    }
}

#[test]
fn fields_that_another_program_wrote_over_several_lines_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let store = DuckDbStore::open(&path).unwrap();
    store
        .append_logs(&[LogEntry::new(at(0)).with_message("hello")])
        .unwrap();
    drop(store);
    let connection = duckdb::Connection::open(&path).unwrap();
    connection
        .execute_batch("UPDATE log_rows SET normalized = '{\n\"a\": 1\n}'")
        .unwrap();
    connection.close().unwrap();
    let store = DuckDbStore::open(&path).unwrap();
    let read = store.fetch_logs(&LogQuery::new()).unwrap();
    assert_eq!(read[0].normalized["a"], 1);
    let again = read[0].clone().with_id("again").with_raw("a line\nof two");
    store.append_logs(std::slice::from_ref(&again)).unwrap();
    let found = store
        .fetch_logs(&LogQuery::new().equals("id", "again").unwrap())
        .unwrap();
    assert_eq!(found, [again]);
}

/// It is read again as the second after it, which the line does not have.
#[test]
fn a_leap_second_changes_no_line() {
    let store = DuckDbStore::open(":memory:").unwrap();
    let leap_second = "2016-12-31T23:59:60.500Z".parse().unwrap();
    let log = |number: usize| {
        LogEntry::new(leap_second).with_raw(format!("at 2016-12-31T23:59:59.500Z and {number}"))
    };
    let logs: Vec<LogEntry> = (10..40).map(log).collect();
    store.append_logs(&logs).unwrap();
    let mut stored: Vec<_> = store
        .fetch_logs(&LogQuery::new())
        .unwrap()
        .into_iter()
        .map(|log| log.raw)
        .collect();
    stored.sort();
    assert_eq!(stored, logs.into_iter().map(|log| log.raw).collect::<Vec<_>>());
}

#[test]
fn a_line_that_its_template_cannot_hold_is_kept() {
    let log = |number: i64, said: &str| {
        LogEntry::new(at(number)).with_raw(format!("user{number} said \"{said}\" at port 7{number}"))
    };
    let long = "long 1 ".repeat(2_000);
    let others = ["", "a\0b 1", "a\u{1e}b 1", "a\u{1f}b 1", &long, "{21}", "a b 1"];
    let said = std::iter::repeat_n("a b 1", 30).chain(others);
    let mut logs: Vec<LogEntry> = (0..).zip(said).map(|(number, said)| log(number, said)).collect();
    logs.push(log(100, "a b 1").with_message(""));
    let store = store_of(&logs);
    let query = LogQuery::new().order(Order::OldestFirst);
    assert_eq!(store.fetch_logs(&query).unwrap(), logs);
    assert_views_agree(&store);
}
