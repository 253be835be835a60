//! Maintenance stores texts once that repeat in logs of earlier versions, or in logs that were appended few at a time.

use std::path::Path;

use logstore::duckdb::MaintenanceOptions;
use logstore::{ConsumerStore as _, Cursor, DuckDbStore, LogEntry, LogQuery, LogStore as _, StoreExt as _};

use crate::crash::kills;
use crate::migrations::turn_back_to_10;
use crate::processes::{Process, given_store};
use crate::support::{at, log};

/// Lines of a few programs, which repeat but for their numbers and names.
fn line(number: i64) -> LogEntry {
    let address = format!("10.0.{}.{}", number / 250, number % 250);
    let line = match number % 3 {
        0 => format!(
            "Failed password for user{number} from {address} port {} ssh2",
            1_024 + number
        ),
        1 => format!("pam_unix(sshd:session): session opened for user user{number}(uid={number}) by (uid=0)"),
        _ => format!("{{\"event\": \"login\", \"src_ip\": \"{address}\", \"n\": {number}}}"),
    };
    LogEntry::new(at(number / 10))
        .with_appname("sshd")
        .with_message(&line)
        .with_field("src_ip", address)
        .with_field("n", number)
        .with_raw(format!("<38>web1 sshd[{number}]: {line}"))
}

/// Logs that can have no template, between others.
fn odd() -> Vec<LogEntry> {
    let long = "x ".repeat(6_000);
    let plain = (0..80).map(|number| log(number, "app", &format!("no line of number {number}")));
    let mut logs: Vec<LogEntry> = plain.collect();
    logs.extend((0..20).map(|number| line(number).with_raw(format!("{number} {long}"))));
    logs.extend(["a\0b", "a\u{1e}b", "a\u{1f}b", "{0} {{é🦀}} \\", ""].map(|raw| line(1).with_raw(raw)));
    logs
}

/// Makes a store to which logs were appended a few at a time.
fn make_store(path: &Path, logs: &[LogEntry]) {
    let store = DuckDbStore::open(path).unwrap();
    for logs in logs.chunks(20) {
        store.append_logs(logs).unwrap();
    }
}

/// Puts sequence numbers far apart, so that the logs are in many parts.
fn spread(path: &Path) {
    let connection = duckdb::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "UPDATE log_rows SET seq = seq * 2000; UPDATE logstore SET last_seq = last_seq * 2000;
            DELETE FROM log_blocks; DELETE FROM block_words; CHECKPOINT;",
        )
        .unwrap();
    connection.close().unwrap();
}

/// Returns how many logs the step has stored again.
fn maintain(store: &DuckDbStore) -> u64 {
    let steps = store.maintain(&MaintenanceOptions::default()).unwrap();
    let steps: Vec<_> = steps.map(Result::unwrap).collect();
    let step = steps.iter().find(|step| step.name == "store texts once");
    step.unwrap().count
}

/// Everything that a program can see of the logs, except how they are stored.
#[derive(Debug, PartialEq)]
struct Seen {
    logs: Vec<LogEntry>,
    sql: Vec<Vec<serde_json::Value>>,
    counts: Vec<u64>,
    problems: Vec<String>,
}

/// Returns the logs in the order of their commits.
fn logs_of(store: &DuckDbStore) -> Vec<LogEntry> {
    let (mut logs, mut cursor) = (Vec::new(), Cursor::BEGINNING);
    loop {
        let page = store.read_after(cursor, 700).unwrap();
        if page.logs.is_empty() {
            return logs;
        }
        logs.extend(page.logs);
        cursor = page.next;
    }
}

fn seen(store: &DuckDbStore) -> Seen {
    let sql =
        "SELECT seq, id, event_time, raw, CAST(normalized AS VARCHAR) AS fields, message, \"timestamp\",
        CAST(metadata AS VARCHAR) AS metadata, appname, source_ip, \"user\" FROM logs ORDER BY seq";
    let filters = [
        "any has user7",
        "any has 10.0.0.8",
        "any has nowhere",
        "text contains 'session opened for user user'",
        "text ~ 'port 10[0-9]+ '",
        "normalized.n = 5",
        "source_ip in 10.0.0.0/30",
        "raw contains 'x x x'",
    ];
    let count = |filter: &str| {
        let query = LogQuery::new().filter(filter.parse().unwrap());
        assert_eq!(
            store.fetch_logs(&query).unwrap().len() as u64,
            store.count_logs(&query).unwrap()
        );
        store.count_logs(&query).unwrap()
    };
    let checks = store.check().unwrap().into_iter();
    Seen {
        logs: logs_of(store),
        sql: store.execute_query(sql, &[]).unwrap().rows,
        counts: filters.map(count).to_vec(),
        problems: checks.flat_map(|check| check.problems).collect(),
    }
}

/// Returns the number of logs with templates of their own.
fn templated(store: &DuckDbStore) -> u64 {
    let sql = "SELECT count(*) FROM log_rows WHERE template IS NOT NULL";
    store.execute_query(sql, &[]).unwrap().rows[0][0]
        .as_u64()
        .unwrap()
}

#[test]
fn logs_that_came_few_at_a_time_get_templates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    make_store(&path, &(0..1_200).map(line).collect::<Vec<_>>());
    let store = DuckDbStore::open(&path).unwrap();
    let half = store.read_after(Cursor::BEGINNING, 600).unwrap();
    let (before, few) = (seen(&store), templated(&store));
    assert!(few < 300, "{few}");
    assert_eq!(maintain(&store), 1_200);
    assert!(templated(&store) > 1_100);
    assert_eq!(seen(&store), before);
    let rest = store.read_after(half.next, 1_200).unwrap();
    assert_eq!([half.logs, rest.logs].concat(), before.logs);
    assert_eq!(maintain(&store), 0);
    store.append_logs(&[line(3_000)]).unwrap();
    assert_eq!(maintain(&store), 0, "too few came");
    assert_eq!(store.append_logs(&before.logs).unwrap().stored, 0);
}

#[test]
fn logs_of_earlier_versions_get_templates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    let mut logs = odd();
    logs.extend((0..600).map(line));
    make_store(&path, &logs);
    turn_back_to_10(&path);
    let store = DuckDbStore::open(&path).unwrap();
    let before = seen(&store);
    assert_eq!(before.logs, logs);
    assert_eq!(templated(&store), 0);
    assert_eq!(maintain(&store), logs.len() as u64);
    assert!(templated(&store) > 500);
    assert_eq!(seen(&store), before);
    assert_eq!(maintain(&store), 0);
}

#[test]
fn texts_that_never_repeat_are_not_stored_again_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    let word = |number: i64| {
        let digits = number.to_string();
        digits
            .bytes()
            .map(|digit| char::from(digit + b'A' - b'0'))
            .collect::<String>()
    };
    let logs = (0..600).map(|number| line(number).with_raw(format!("word {} {number}", word(number))));
    let logs: Vec<LogEntry> = logs
        .map(|mut log| {
            log.message = None;
            log
        })
        .collect();
    make_store(&path, &logs);
    assert_eq!(maintain(&DuckDbStore::open(&path).unwrap()), 0);
    for made in [&logs, &odd()] {
        let path = folder.path().join(format!("{}.db", made.len()));
        make_store(&path, made);
        turn_back_to_10(&path);
        let store = DuckDbStore::open(&path).unwrap();
        let before = seen(&store);
        maintain(&store);
        assert_eq!(seen(&store), before);
        assert_eq!(maintain(&store), 0);
    }
}

/// Numbers are missing where logs were deleted.
#[test]
fn each_part_of_a_store_is_stored_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    make_store(&path, &(0..600).map(line).collect::<Vec<_>>());
    spread(&path);
    let store = DuckDbStore::open(&path).unwrap();
    let before = seen(&store);
    assert!(maintain(&store) > 500);
    assert_eq!(seen(&store), before);
    assert_eq!(maintain(&store), 0);
}

#[test]
fn long_texts_are_stored_again_a_few_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    let mut logs: Vec<LogEntry> = (0..40).map(line).collect();
    for number in 0..10 {
        logs.push(
            line(number)
                .with_id(format!("long {number}"))
                .with_raw("long ".repeat(700_000)),
        );
        logs.extend((0..10).map(|n| line(100 + 10 * number + n)));
    }
    DuckDbStore::open(&path)
        .unwrap()
        .append_logs(&logs[..70])
        .unwrap();
    DuckDbStore::open(&path)
        .unwrap()
        .append_logs(&logs[70..])
        .unwrap();
    turn_back_to_10(&path);
    let store = DuckDbStore::open(&path).unwrap();
    assert_eq!(maintain(&store), logs.len() as u64);
    assert!(logs_of(&store) == logs);
    assert_eq!(maintain(&store), 0);
}

/// An earlier version may have found something else in a log, or nothing.
#[test]
fn what_is_found_in_a_log_by_this_version_is_searched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    let logs: Vec<LogEntry> = (0..5_000)
        .map(|number| line(number).with_field("outcome", "failure"))
        .collect();
    DuckDbStore::open(&path).unwrap().append_logs(&logs).unwrap();
    turn_back_to_10(&path);
    let connection = duckdb::Connection::open(&path).unwrap();
    let sql =
        "UPDATE log_rows SET outcome = NULL; UPDATE block_words SET words = repeat('\\x00' :: BLOB, 128)";
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
    let store = DuckDbStore::open(&path).unwrap();
    let query = LogQuery::new().filter("outcome = failure".parse().unwrap());
    assert_eq!(store.count_logs(&query).unwrap(), 0);
    assert_eq!(maintain(&store), 5_000);
    assert_eq!(store.count_logs(&query).unwrap(), 5_000);
}

#[test]
fn a_file_gets_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    make_store(&path, &(0..4_000).map(line).collect::<Vec<_>>());
    let store = DuckDbStore::open(&path).unwrap();
    let size = || path.metadata().unwrap().len();
    let (before, logs) = (size(), logs_of(&store));
    assert_eq!(maintain(&store), 4_000);
    assert!(size() < before, "{before} bytes before, {} after", size());
    assert!(logs_of(&store) == logs);
}

#[test]
fn what_is_behind_the_logs_in_the_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    let logs: Vec<LogEntry> = (0..20_000).map(line).collect();
    let store = DuckDbStore::open(&path).unwrap();
    store.append_logs(&logs).unwrap();
    drop(store);
    turn_back_to_10(&path);
    let store = DuckDbStore::open(&path).unwrap();
    // These are behind the logs in the file.
    let end = store.end_cursor().unwrap();
    store.commit("brute-force", None, end, &[]).unwrap();
    let logs = logs_of(&store);
    assert_eq!(maintain(&store), 20_000);
    assert!(logs_of(&store) == logs);
    assert_eq!(store.position("brute-force").unwrap(), Some(end));
    let query = LogQuery::new().filter("any has user19999".parse().unwrap());
    assert_eq!(store.count_logs(&query).unwrap(), 1);
    let checks = store.check().unwrap().into_iter();
    let problems: Vec<String> = checks.flat_map(|check| check.problems).collect();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
#[ignore = "run in a process of its own"]
fn maintainer() {
    let store = DuckDbStore::open(given_store()).unwrap();
    println!("\nstarted=1");
    maintain(&store);
    println!("\nended=1");
}

#[test]
fn a_killed_maintenance_loses_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    let logs: Vec<LogEntry> = (0..1_500).map(line).collect();
    make_store(&path, &logs);
    spread(&path);
    turn_back_to_10(&path);
    let before = seen(&DuckDbStore::open(&path).unwrap());
    let mut ended = 0;
    for _ in 0..kills().div_ceil(10) {
        let process = Process::start::<&str>("repeated_texts::maintainer", &path, &[]);
        process.wait_for("started").unwrap();
        std::thread::sleep(std::time::Duration::from_micros(fastrand::u64(0..400_000)));
        ended += process.kill("ended").len();
        assert!(logs_of(&DuckDbStore::open(&path).unwrap()) == before.logs);
        if ended > 0 {
            break;
        }
    }
    let store = DuckDbStore::open(&path).unwrap();
    maintain(&store);
    assert_eq!(maintain(&store), 0);
    assert_eq!(seen(&store), before);
}
