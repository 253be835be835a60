//! Searches that read only blocks of logs which may hold what is sought.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::TimeDelta;
use logstore::detect::IndicatorSet;
use logstore::duckdb::MaintenanceOptions;
use logstore::storage::SoughtObservables;
use logstore::{
    Alert, AlertStore as _, DuckDbStore, Filter, Loader, LogEntry, LogQuery, LogStore as _, MemoryStore,
    Order, Severity, Store, StoreExt as _, ThreatIntel,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::at;
use crate::test_lake::TestLake;

/// Logs of which each has a word of its own.
fn logs(numbers: std::ops::Range<i64>) -> Vec<LogEntry> {
    numbers.map(log).collect()
}

fn log(number: i64) -> LogEntry {
    let line = format!(
        "sshd[{}]: Failed password for user{number} from 10.{}.{}.{} port 22 ssh2",
        number % 3_000,
        number >> 16,
        number >> 8 & 255,
        number & 255
    );
    LogEntry::new(at(number / 100))
        .with_raw(line)
        .with_field("n", number)
}

/// Returns the numbers of blocks and of logs in them.
fn blocks(store: &DuckDbStore) -> (u64, u64) {
    let sql = "SELECT count(*), coalesce(sum(last_seq - first_seq + 1), 0) :: BIGINT FROM log_blocks";
    let rows = store.execute_query(sql, &[]).unwrap().rows;
    let number = |column: usize| rows[0][column].as_u64().unwrap();
    (number(0), number(1))
}

fn assert_sound(store: &DuckDbStore) {
    let checked = store.check().unwrap().into_iter();
    let problems: Vec<String> = checked.flat_map(|table| table.problems).collect();
    assert_eq!(problems, Vec::<String>::new());
}

fn found(store: &DuckDbStore, filter: &str) -> u64 {
    let query = LogQuery::new().filter(filter.parse().unwrap());
    let count = store.count_logs(&query).unwrap();
    assert_eq!(store.fetch_logs(&query).unwrap().len() as u64, count, "{filter}");
    assert_eq!(
        store.fetch_logs(&query.clone().limit(5)).unwrap().len() as u64,
        count.min(5),
        "{filter}"
    );
    let by = store
        .count_logs_by(&query, &["appname".parse().unwrap()])
        .unwrap();
    assert_eq!(by.iter().map(|group| group.count).sum::<u64>(), count);
    count
}

fn assert_found(store: &DuckDbStore, numbers: impl IntoIterator<Item = i64>) {
    for number in numbers {
        let [.., a, b, c] = number.to_be_bytes();
        for filter in [
            format!("any has USER{number}"),
            format!("any has 10.{a}.{b}.{c}"),
            format!("any has ::ffff:10.{a}.{b}.{c}"),
            format!("any has 'for user{number} from'"),
            format!("text contains ' user{number} '"),
            format!("text ~ '(?i) User{number} from'"),
            format!("text contains 'ser{number} f' and message not exists"),
            format!("normalized.n = {number} and any has sshd"),
        ] {
            assert_eq!(found(store, &filter), 1, "{filter}");
        }
    }
    for filter in [
        "any has nowhere",
        "any has 10.99.99.99",
        "any has user",
        "any has 10.99.98",
        "text contains owhere",
    ] {
        assert_eq!(found(store, filter), 0, "{filter}");
    }
}

fn maintain(store: &DuckDbStore) -> u64 {
    let steps = store.maintain(&MaintenanceOptions::default()).unwrap();
    let steps: Vec<_> = steps.map(Result::unwrap).collect();
    steps
        .iter()
        .find(|step| step.name == "build filters")
        .unwrap()
        .count
}

#[test]
fn a_large_append_has_blocks_at_once() {
    let store = DuckDbStore::open(":memory:").unwrap();
    store.append_logs(&logs(0..40_000)).unwrap();
    let (count, covered) = blocks(&store);
    assert!(count > 1, "{count}");
    assert_eq!(covered, 40_000);
    assert_found(&store, [0, 20_000, 39_999]);
}

/// Returns the numbers of the logs that a scan gives which looks for these observables in whole blocks.
fn scanned(store: &DuckDbStore, names: impl IntoIterator<Item = String>) -> BTreeSet<i64> {
    let names = names.into_iter().map(|name| name.parse().unwrap()).collect();
    let sought = SoughtObservables::new(|_| true).named(names);
    let query = LogQuery::new().order(Order::Any);
    let scan = store.scan_logs_with_observables(&query, &sought).unwrap();
    scan.map(|log| log.unwrap().normalized["n"].as_i64().unwrap())
        .collect()
}

#[test]
fn a_scan_that_names_few_observables_reads_the_blocks_that_may_hold_one() {
    let store = DuckDbStore::open(":memory:").unwrap();
    store.append_logs(&logs(0..40_000)).unwrap();
    store.append_logs(&logs(40_000..40_010)).unwrap();
    let address = |number: i64| format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
    let of_one = scanned(&store, [address(259)]);
    assert!(of_one.contains(&259) && of_one.contains(&40_009), "{of_one:?}");
    assert!(of_one.len() < 25_000, "{}", of_one.len());
    assert!(scanned(&store, ["nowhere.example".to_owned()]).len() < 100);
    let absent = |count: i64| (0..count).map(|number| format!("192.0.{}.{}", number >> 8, number & 255));
    let of_both = scanned(&store, absent(300).chain([address(259), address(39_000)]));
    assert!(of_both.contains(&259) && of_both.contains(&39_000));
    assert_eq!(scanned(&store, []).len(), 40_010);
}

#[test]
fn a_scan_that_names_many_observables_reads_the_blocks_that_hold_one() {
    let store = DuckDbStore::open(":memory:").unwrap();
    store.append_logs(&logs(0..40_000)).unwrap();
    let absent = || (0..20_000).map(|number| format!("192.0.{}.{}", number >> 8, number & 255));
    let of_none = scanned(&store, absent());
    assert!(of_none.len() < 25_000, "{}", of_none.len());
    let names = || {
        let of_hosts = (0..1_000).map(|number| format!("host{number}.example"));
        let digests = (0..1_000).map(|number| format!("{number:032x}"));
        of_hosts.chain(digests)
    };
    assert!(scanned(&store, names()).is_empty());
    let of_one = scanned(&store, names().chain(["10.0.1.3".to_owned()]));
    assert!(of_one.contains(&259) && of_one.len() < 25_000, "{}", of_one.len());
    // A name without a pair of words is looked for as words are.
    let of_words = scanned(&store, names().chain(["163.com".to_owned()]));
    assert!(of_words.len() < 25_000, "{}", of_words.len());
    let too_many = (0..501).map(|number| format!("{number}.7.com"));
    assert_eq!(scanned(&store, too_many).len(), 40_000);
}

/// A few lines may have more words than any filter holds.
#[test]
fn lines_of_very_many_words_are_found() {
    let store = DuckDbStore::open(":memory:").unwrap();
    let line = |start: usize| {
        (start..start + 300_000)
            .map(|word| format!("w{word} "))
            .collect::<String>()
    };
    let mut all = logs(0..2_100);
    all.extend([0, 300_000].map(|start| LogEntry::new(at(0)).with_raw(line(start))));
    store.append_logs(&all).unwrap();
    assert_eq!(blocks(&store).1, 2_102);
    for word in ["w0", "w299999", "w599999", "user2099"] {
        assert_eq!(found(&store, &format!("any has {word}")), 1, "{word}");
    }
    assert_eq!(found(&store, "any has w600000"), 0);
}

#[test]
fn small_appends_have_blocks_when_they_fill_one() {
    let store = DuckDbStore::open(":memory:").unwrap();
    for start in (0..34_000).step_by(1_000) {
        store.append_logs(&logs(start..start + 1_000)).unwrap();
    }
    let (count, covered) = blocks(&store);
    assert!((32_000..=34_000).contains(&covered), "{covered}");
    // Small blocks are made into larger ones.
    assert!((2..=6).contains(&count), "{count}");
    assert_found(&store, [0, 10_000, 20_000, 31_000, 33_999]);
    assert_sound(&store);
    for start in (34_000..37_000).step_by(100) {
        store.append_logs(&logs(start..start + 100)).unwrap();
    }
    let (_, covered) = blocks(&store);
    assert!((35_000..=37_000).contains(&covered), "{covered}");
    assert_found(&store, [34_000, 36_400]);
}

#[test]
fn logs_without_a_block_are_found_and_given_one_by_maintenance() {
    let store = DuckDbStore::open(":memory:").unwrap();
    for start in (0..6_000).step_by(1_000) {
        store.append_logs(&logs(start..start + 1_000)).unwrap();
    }
    store.append_logs(&logs(6_000..12_000)).unwrap();
    assert_eq!(blocks(&store).1, 9_000);
    assert_found(&store, [5, 4_000, 6_000]);
    assert_eq!(maintain(&store), 3_000);
    assert_eq!(blocks(&store).1, 12_000);
    assert_eq!(maintain(&store), 0);
    assert_found(&store, [5, 4_000, 6_000]);
}

#[test]
fn the_blocks_of_deleted_logs_go_with_them() {
    let store = DuckDbStore::open(":memory:").unwrap();
    store.append_logs(&logs(0..20_000)).unwrap();
    store.delete_logs_before(at(150)).unwrap();
    assert_found(&store, [15_000]);
    assert_eq!(found(&store, "any has user5"), 0);
    store.delete_logs_before(at(10_000)).unwrap();
    assert_eq!(maintain(&store), 0);
    assert_eq!(blocks(&store), (0, 0));
    let rows = store
        .execute_query("SELECT count(*) FROM block_words", &[])
        .unwrap()
        .rows;
    assert_eq!(rows, [[0]]);
}

#[test]
fn many_blocks_are_sorted_and_still_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    DuckDbStore::open(&path)
        .unwrap()
        .append_logs(&logs(0..2_048))
        .unwrap();
    // The filters of other logs, which have been deleted.
    alter(
        &path,
        "INSERT INTO log_blocks SELECT -n, -n, 2, false FROM range(1, 120) AS t(n);
        INSERT INTO block_words SELECT -n, slice, repeat('\\x00' :: BLOB, 128)
        FROM range(1, 120) AS t(n), range(0, 1024) AS s(slice)",
    );
    let store = DuckDbStore::open(&path).unwrap();
    store.append_logs(&logs(2_048..4_096)).unwrap();
    let sql =
        "SELECT count(*) FILTER (is_sorted), count(*), (SELECT count(*) FROM block_words) FROM log_blocks";
    let row = store.execute_query(sql, &[]).unwrap().rows.remove(0);
    // Blocks of this version have a list of observables and trigrams as well.
    assert_eq!(row, [119, 121, 121 * 1_024 + 4]);
    assert_found(&store, [2_047, 2_048]);
}

/// Without its slices a block is searched.
#[test]
fn a_filter_that_is_lost_or_damaged_hides_no_log() {
    for damage in [
        "DELETE FROM block_words",
        "DELETE FROM block_words WHERE slice % 2 = 0",
        "UPDATE block_words SET words = '' :: BLOB",
        "INSERT INTO block_words SELECT first_seq, slice, repeat('\\x00' :: BLOB, 128) FROM block_words",
        "DELETE FROM block_words WHERE slice = 1024",
        "UPDATE block_words SET words = words[1:8] WHERE slice = 1024",
        "INSERT INTO block_words SELECT first_seq, slice, repeat('\\x00' :: BLOB, 4) || words[5:12] FROM block_words WHERE slice = 1024",
        "UPDATE log_blocks SET last_seq = last_seq + 2000",
        "UPDATE log_blocks SET last_seq = last_seq - 2000",
        "DELETE FROM block_words WHERE slice = 1025",
        "UPDATE block_words SET words = words[1:8] WHERE slice = 1025",
        "INSERT INTO block_words SELECT first_seq, slice, '' :: BLOB FROM block_words WHERE slice = 1025",
        "UPDATE log_blocks SET version = 0",
        "DELETE FROM log_blocks",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs.db");
        DuckDbStore::open(&path)
            .unwrap()
            .append_logs(&logs(0..5_000))
            .unwrap();
        alter(&path, damage);
        let store = DuckDbStore::open(&path).unwrap();
        assert_found(&store, [4_999]);
        let names = (0..100).map(|number| format!("192.0.2.{number}"));
        let of_many = scanned(&store, names.chain(["10.0.19.135".to_owned()]));
        assert!(of_many.contains(&4_999), "{damage}");
    }
}

#[test]
fn a_check_finds_a_filter_without_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    DuckDbStore::open(&path)
        .unwrap()
        .append_logs(&logs(0..5_000))
        .unwrap();
    let problems = || {
        let checks = DuckDbStore::open(&path).unwrap().check().unwrap();
        checks
            .into_iter()
            .flat_map(|check| check.problems)
            .collect::<Vec<_>>()
    };
    assert!(problems().is_empty(), "{:?}", problems());
    let of_others = trigrams_of_others();
    // A list without observables has their number and the length of the block alone.
    for (damage, slices) in [
        ("repeat('\\x00' :: BLOB, 4) || words[5:12]", "= 1024"),
        (of_others.as_str(), "= 1025"),
        ("repeat('\\x00' :: BLOB, 128)", "< 100"),
    ] {
        alter(&path, "CREATE OR REPLACE TABLE kept AS FROM block_words");
        alter(
            &path,
            &format!("UPDATE block_words SET words = {damage} WHERE slice {slices}"),
        );
        assert!(problems()[0].contains("filter"), "{:?}", problems());
        alter(
            &path,
            "DELETE FROM block_words; INSERT INTO block_words FROM kept; DROP TABLE kept",
        );
        assert!(problems().is_empty(), "{:?}", problems());
    }
}

/// Returns SQL for the trigrams of logs that are about something else.
fn trigrams_of_others() -> String {
    let store = DuckDbStore::open(":memory:").unwrap();
    let others: Vec<LogEntry> = (0..2_100)
        .map(|number| LogEntry::new(at(number)).with_raw("x"))
        .collect();
    store.append_logs(&others).unwrap();
    let hex = store
        .execute_query("SELECT hex(words) FROM block_words WHERE slice = 1025", &[])
        .unwrap();
    format!("unhex('{}')", hex.rows[0][0].as_str().unwrap())
}

fn alter(path: &Path, sql: &str) {
    duckdb::Connection::open(path)
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}

const PIECES: &[&str] = &[
    "alice",
    "Alice",
    "ALICE",
    "ſtraße",
    "STRASSE",
    "σίσυφος",
    "ΣΊΣΥΦΟΣ",
    "\u{212a}",
    "10.0.0.1",
    "::ffff:a00:1",
    "10.0.0.1:80",
    "0.0.",
    ".0.",
    "lic",
    "vil.Exam",
    "2001:db8::1",
    "evil.example",
    "www.Evil.Example",
    "http://bücher.example/x?y=1",
    "a",
    "7",
    "4242",
    " ",
    " ",
    ".",
    "-",
    "_",
    "\"",
    "\\",
    "\n",
    "{",
    "}",
    "/",
    "é",
    "\0",
    "🦆",
    "\\n",
    "\\u0041",
    "%2F",
    "%41",
    "%",
    "http%3A%2F%2F",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(select(PIECES), 1..5).prop_map(|pieces| pieces.concat())
}

prop_compose! {
    fn odd_log()(raw in text(), message in text(), user in text(), place in 0..3) -> LogEntry {
        let log = LogEntry::new(at(0)).with_field("user", user);
        match place {
            0 => log.with_raw(raw),
            1 => log.with_raw(format!("{{\"m\":{}}}", serde_json::json!(message))).with_message(message),
            _ => log.with_message(message),
        }
    }
}

/// Returns the same logs with other ids.
fn copied(logs: &[LogEntry], copy: u32) -> impl Iterator<Item = LogEntry> {
    let logs = logs.iter().cloned().enumerate();
    logs.map(move |(place, log)| log.with_id(format!("{copy}-{place}")))
}

prop_compose! {
    fn question()(field in select(&["any", "text", "user", "message", "normalized.user"][..]),
        operator in select(&["has", "=", "contains", "startswith", "endswith"][..]),
        value in text(), folds in any::<bool>()) -> Option<Filter> {
        let value = serde_json::to_string(&value).ok()?.replace("\\u0000", "\\0");
        let case = if folds && operator != "has" { " i" } else { "" };
        format!("{field} {operator} {value}{case}").parse().ok()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// What blocks rule out is in no log of theirs.
    #[test]
    fn filtered_answers_are_the_unfiltered_ones(
        odd in prop::collection::vec(odd_log(), 1..12),
        questions in prop::collection::vec(question(), 1..24),
    ) {
        let (store, model) = (DuckDbStore::open(":memory:").unwrap(), MemoryStore::new());
        let mut all: Vec<LogEntry> = (0..2_100).map(|number| LogEntry::new(at(number)).with_raw("x")).collect();
        // So many have a template.
        all.extend((0..9).flat_map(|copy| copied(&odd, copy)));
        store.append_logs(&all).unwrap();
        model.append_logs(&all).unwrap();
        prop_assert_eq!(blocks(&store).0, 1);
        for filter in questions.into_iter().flatten() {
            let query = LogQuery::new().filter(filter);
            prop_assert_eq!(store.count_logs(&query).unwrap(), model.count_logs(&query).unwrap(), "{:?}", query);
        }
    }
}

/// Observables in some of the texts, and others.
const NAMES: [&str; 14] = [
    "10.0.0.1",
    "10.0.0.10",
    "2001:db8::1",
    "evil.example",
    "www.evil.example",
    "7.evil.example",
    "a@evil.example",
    "xn--bcher-kva.example",
    "http://bücher.example/x?y=1",
    "http://10.0.0.1/7",
    "d41d8cd98f00b204e9800998ecf8427e",
    "203.0.113.9",
    "nowhere.example",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Texts with observables, some of them percent-encoded once or twice.
fn observable_text() -> impl Strategy<Value = String> {
    let piece = (select(PIECES), select(&NAMES[..]), any::<bool>(), 0..3).prop_map(
        |(piece, name, is_name, times)| {
            let text = if is_name { name } else { piece };
            (0..times).fold(text.to_owned(), |text, _| encoded(&text))
        },
    );
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

/// Returns the ids of the logs with one of the observables, and which they have.
fn with_observables(store: &dyn Store, set: &Arc<IndicatorSet>) -> BTreeSet<String> {
    let query = LogQuery::new().order(Order::Any);
    let scan = store.scan_logs_with_observables(&query, &set.sought()).unwrap();
    let logs = scan.map(Result::unwrap).map(|log| {
        let found = set.matches(&log).into_iter();
        (
            log.id.clone(),
            found.map(|found| found.indicator).collect::<Vec<_>>(),
        )
    });
    logs.filter(|(_, found)| !found.is_empty())
        .map(|log| format!("{log:?}"))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// The lists of blocks leave out no log with one of many observables.
    #[test]
    fn many_observables_are_found_in_all_logs_that_hold_them(
        texts in prop::collection::vec((observable_text(), 0..4), 1..12),
        are_many in any::<bool>(),
    ) {
        let (store, model) = (DuckDbStore::open(":memory:").unwrap(), MemoryStore::new());
        let mut all: Vec<LogEntry> = (0..2_100).map(|number| LogEntry::new(at(number)).with_raw("x")).collect();
        all.extend(texts.into_iter().map(|(text, place)| {
            let log = LogEntry::new(at(0));
            match place {
                0 => log.with_raw(text),
                1 => log.with_raw(format!("{{\"m\":{}}}", serde_json::json!(text))).with_message(text),
                2 => log.with_field("domain", text),
                _ => log.with_message(text),
            }
        }));
        store.append_logs(&all).unwrap();
        model.append_logs(&all).unwrap();
        prop_assert_eq!(blocks(&store).0, 1);
        // Of few, the slices of filters are read.
        let names = if are_many { &NAMES[..] } else { &NAMES[..5] };
        let intel = |name: &&str| ThreatIntel::new(name.parse().unwrap(), "test", "test");
        let intel: Vec<ThreatIntel> = names.iter().map(intel).collect();
        let set = Arc::new(IndicatorSet::new(&intel));
        prop_assert_eq!(with_observables(&store, &set), with_observables(&model, &set));
    }
}

/// A line may have its address in the texts of columns, cut by them, escaped, or after more URLs than are looked at.
#[test]
fn no_line_hides_an_address() {
    let many_urls = "'://' ".repeat(10_001);
    let lines = [
        (
            r#"{"message":"m","detail":"first\n198.51.100.1 x"}"#.to_owned(),
            "198.51.100.1",
        ),
        (
            r#"{"message":"m","list":["x\n2001:db8::207"]}"#.to_owned(),
            "2001:db8::207",
        ),
        (
            r#"{"host":"3325256706","message":"m","u":"see http://3325256706/ there"}"#.to_owned(),
            "198.51.100.2",
        ),
        (
            r#"{"message":"> 10.0.0.1.80: Flags","dump":"198.51.100.3.443 > 10.0.0.1.80: Flags"}"#.to_owned(),
            "198.51.100.3",
        ),
        (
            r#"{"host":"http:/","x":"http://3325256708/x"}"#.to_owned(),
            "198.51.100.4",
        ),
        (
            r#"{"message":"203.0.","x":"203.0.113.77"}"#.to_owned(),
            "203.0.113.77",
        ),
        (
            r#"{"message":"2001:db8:","x":"2001:db8:7::77"}"#.to_owned(),
            "2001:db8:7::77",
        ),
        (
            r#"{"hostname":"219.","host":"44.89.","p":"http://219.44.89.151/"}"#.to_owned(),
            "219.44.89.151",
        ),
        (
            format!(r#"{{"u":"{many_urls}","message":"http://3325256709/"}}"#),
            "198.51.100.5",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (file, path) = (folder.path().join("logs.jsonl"), folder.path().join("logs.db"));
    let others = (0..2_100).map(|number| format!(r#"{{"message":"nothing {number}"}}"#));
    let all: Vec<String> = others.chain(lines.iter().map(|(line, _)| line.clone())).collect();
    std::fs::write(&file, all.join("\n") + "\n").unwrap();
    Loader::new(&DuckDbStore::open(&path).unwrap())
        .run(&[&file])
        .unwrap();
    let assert_all_found = || {
        let store = DuckDbStore::open(&path).unwrap();
        for (line, address) in &lines {
            let count = found(&store, &format!("any has {address}"));
            assert_eq!(count, 1, "{address} in {line:.100}");
        }
        let problems: Vec<_> = store
            .check()
            .unwrap()
            .into_iter()
            .flat_map(|check| check.problems)
            .collect();
        assert!(problems.is_empty(), "{problems:?}");
        blocks(&store).0
    };
    assert!(assert_all_found() > 0);
    alter(&path, "DELETE FROM log_blocks; DELETE FROM block_words");
    assert_eq!(assert_all_found(), 0);
}

/// What is around an address may be a part of the template of its line, or of a column.
#[test]
fn no_template_hides_an_address() {
    let of_user = |user: &str, message: String| {
        format!(r#"{{"time":"2025-01-15T00:20:00Z","user":"{user}","msg":"{message}"}}"#)
    };
    let tcpdump = |address: &str, seq: usize| {
        format!("2025-01-15 00:20:00.123456 IP {address}.443 > 10.0.0.1.5555: Flags [S], seq {seq}, length 0")
    };
    let mut lines = Vec::new();
    for number in 0..1_000 {
        lines.push(tcpdump(&format!("198.51.1.{}", number % 250), number));
        lines.push(of_user("qz:", format!("from qz:: port {number}")));
        lines.push(of_user("qz:", format!("go qz://{number}/")));
        lines.push(of_user("qz:/", format!("go qz://{number}/x")));
        lines.push(of_user("x", format!("blocked {number}")));
    }
    lines.push(tcpdump("198.51.2.7", 1));
    lines.push(of_user("2001:db8:", "from 2001:db8:: port 1".to_owned()));
    lines.push(of_user("http:", "go http://3405803783/".to_owned()));
    lines.push(of_user("http:/", "go http://3405803784/x".to_owned()));
    lines.push(of_user(
        "2001:0db8:0001:0002:0003:0004:0005:0006",
        "blocked 1".to_owned(),
    ));
    let folder = tempfile::tempdir().unwrap();
    let (file, path) = (folder.path().join("logs"), folder.path().join("logs.db"));
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    let store = DuckDbStore::open(&path).unwrap();
    Loader::new(&store).run(&[&file]).unwrap();
    assert!(blocks(&store).0 > 0);
    for (address, expected) in [
        ("10.0.0.1", 1_001),
        ("198.51.2.7", 1),
        ("2001:db8::", 1),
        ("203.0.113.7", 1),
        ("203.0.113.8", 1),
        ("2001:db8:1:2:3:4:5:6", 1),
    ] {
        assert_eq!(
            found(&store, &format!("any has {address}")),
            expected,
            "{address}"
        );
    }
    assert_sound(&store);
}

#[test]
fn a_block_that_cannot_be_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    DuckDbStore::open(&path)
        .unwrap()
        .append_logs(&logs(0..5_000))
        .unwrap();
    alter(&path, "UPDATE log_blocks SET last_seq = 9223372036854775807");
    let store = DuckDbStore::open(&path).unwrap();
    assert_eq!(found(&store, "any has nowhere"), 0);
    assert_found(&store, [4_999]);
    maintain(&store);
    for start in (5_000..8_000).step_by(1_000) {
        store.append_logs(&logs(start..start + 1_000)).unwrap();
    }
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 8_000);
    assert_found(&store, [4_999]);
}

/// Asks less than [`assert_found`] of a lake, where each question takes longer.
fn assert_counted(store: &DuckDbStore, numbers: impl IntoIterator<Item = i64>) {
    let count = |filter: &str| {
        let query = LogQuery::new().filter(filter.parse().unwrap());
        let count = store.count_logs(&query).unwrap();
        assert_eq!(
            store.fetch_logs(&query.limit(5)).unwrap().len() as u64,
            count.min(5)
        );
        count
    };
    for number in numbers {
        let [.., a, b, c] = number.to_be_bytes();
        assert_eq!(count(&format!("any has USER{number}")), 1);
        assert_eq!(count(&format!("any has ::ffff:10.{a}.{b}.{c}")), 1);
        assert_eq!(count(&format!("text contains ' user{number} '")), 1);
    }
    assert_eq!(count("any has nowhere"), 0);
}

/// Returns the data files of a lake's table, in the order in which they were written.
fn data_files(folder: &Path, table: &str) -> Vec<PathBuf> {
    let mut folders = vec![folder.join("main").join(table)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
    files
}

/// Returns a store in a lake, and the folder of its data files.
fn lake(lake: &TestLake) -> (DuckDbStore, PathBuf) {
    let store = lake.open();
    let folder = lake.location.trim_start_matches("ducklake:").to_owned() + ".files";
    (store, folder.into())
}

#[test]
fn a_search_reads_only_commits_to_a_lake_that_may_hold_what_is_sought() {
    let Some(test_lake) = TestLake::in_file() else {
        return;
    };
    let (store, folder) = lake(&test_lake);
    for start in [0, 20_000, 40_000] {
        store.append_logs(&logs(start..start + 20_000)).unwrap();
        // Other commits are between those of logs.
        store
            .store_alerts(&[Alert::new("seen", "heuristic", Severity::Low)])
            .unwrap();
    }
    assert_eq!(blocks(&store).1, 60_000);
    assert_counted(&store, [0, 25_000, 59_999]);
    let [_, second, _] = &data_files(&folder, "log_rows")[..] else {
        panic!("a file for each commit");
    };
    // Its footer is read, and nothing else.
    let whole = std::fs::read(second).unwrap();
    let mut damaged = whole.clone();
    damaged[4..whole.len() / 2].fill(0);
    std::fs::write(second, damaged).unwrap();
    assert_counted(&store, [0, 59_999]);
    let query = LogQuery::new().has("user25000").unwrap();
    assert!(store.count_logs(&query).is_err());
    std::fs::write(second, whole).unwrap();
    assert_eq!(store.count_logs(&query).unwrap(), 1);
}

#[test]
fn lost_filters_of_a_lake_hide_no_log() {
    let Some(test_lake) = TestLake::in_file() else {
        return;
    };
    let (store, folder) = lake(&test_lake);
    store.append_logs(&logs(0..20_000)).unwrap();
    for file in data_files(&folder, "block_words") {
        std::fs::remove_file(file).unwrap();
    }
    assert_counted(&store, [0, 19_999]);
}

#[test]
fn maintenance_gives_blocks_to_small_commits_of_a_lake() {
    let Some(test_lake) = TestLake::in_file() else {
        return;
    };
    let (store, _) = lake(&test_lake);
    for start in (0..20_000).step_by(1_000) {
        store.append_logs(&logs(start..start + 1_000)).unwrap();
    }
    store.append_logs(&logs(20_000..30_000)).unwrap();
    assert_eq!(blocks(&store), (1, 10_000));
    assert_counted(&store, [5, 25_000]);
    assert_eq!(maintain(&store), 20_000);
    let (count, _) = blocks(&store);
    assert!(count > 2, "{count}");
    assert_counted(&store, [5, 19_999, 25_000]);
    assert_eq!(maintain(&store), 0);
    assert_counted(&store, [5, 19_999, 25_000]);
    assert_sound(&store);
    store.delete_logs_before(at(10_000)).unwrap();
    assert_eq!(maintain(&store), 0);
    assert_eq!(blocks(&store), (0, 0));
}

#[test]
fn a_word_of_every_block_is_found_in_each_of_its_forms() {
    let log = |number: i64| {
        let log = LogEntry::new(at(number / 100) + TimeDelta::milliseconds(number % 1_000))
            .with_appname("zoo")
            .with_host("web1");
        let unlike = |text: &str| format!("{text} {}", number * 7_919);
        match number % 13 {
            0 => log.with_raw("kestrel is up"),
            1 => log.with_raw(unlike("job KESTREL-7 done in")),
            2 => log.with_raw(unlike("\u{212a}estrel landed at")),
            3 => log.with_raw(unlike("ke\u{17f}trel landed at")),
            4 => log.with_raw(unlike("q=ke%73trel")),
            5 => log.with_raw(unlike("kestrels, not one of them, but")),
            6 => log.with_field("notes", unlike("two lines\nkestrel\\x\t17")),
            7 => log.with_host("kestrel").with_raw(unlike("host")),
            8 => {
                let mut log = log.with_raw(unlike("with metadata"));
                log.metadata.insert("bird".into(), "kestrel".into());
                log
            }
            9 => log.with_message(unlike("a kestrel")),
            10 => {
                let mut log = log.with_raw(unlike("with a number"));
                log.procid = Some(424_242);
                log
            }
            11 => log.with_raw(format!("kestrel{number} [424242] from 203.0.113.277")),
            12 => {
                let time = log.event_time.format("%Y-%m-%d %H:%M:%S,%3f");
                log.with_raw(format!("{time} code={} 4625 job{number}", number % 5_000))
            }
            _ => log.with_raw(unlike("none")),
        }
    };
    let logs: Vec<LogEntry> = (0..70_000).map(log).collect();
    let store = DuckDbStore::open(":memory:").unwrap();
    store.append_logs(&logs).unwrap();
    for filter in [
        "any has kestrel",
        "any has 'Kestrel is'",
        "any has web1",
        "any has 424242",
        "any has 203.0.113.277",
        "any has 4625",
        "any has 2024",
        "any has 443",
        "any has 17",
        "any has 'code=17'",
        "any has job and not any has kestrel-7",
        "any has kestrel and event_time < 2024-01-01T00:05:00Z",
        "any has number or any has kestrel",
    ] {
        let query = LogQuery::new().filter(filter.parse().unwrap());
        let expected = logs.iter().filter(|log| query.matches(log)).count() as u64;
        assert_eq!(found(&store, filter), expected, "{filter}");
    }
}

/// Lines of three forms, whose texts are in templates, in variables and in columns.
fn line(number: u32) -> String {
    let (host, port) = (number % 7, 1_024 + number * 37 % 9_000);
    match number % 3 {
        0 => format!(
            "<38>1 2025-11-30T12:{:02}:{:02}Z web{host} sshd 77 - - Failed password for user{} from 10.0.{host}.{} port {port}",
            number / 60 % 60,
            number % 60,
            number % 911,
            number % 250,
        ),
        1 => format!(
            r#"{{"host":"web{host}","message":"password of user{} reset","request":"/a/{port}?q=password","id":"{number:032x}"}}"#,
            number % 13
        ),
        _ => format!(
            "password Failed port {port}: {{word{host}}} Failed password{}",
            number % 2
        ),
    }
}

/// So few logs of so many blocks are not read one range after another.
#[test]
fn addresses_in_many_blocks_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    let log = |number: i64| {
        let words: Vec<String> = (0..34).map(|word| format!("{number}x{word}")).collect();
        let line = format!("{} of 10.1.{}.{}", words.join(" "), number >> 8, number & 255);
        LogEntry::new(at(number)).with_raw(line).with_field("n", number)
    };
    let logs: Vec<LogEntry> = (0..60_000).map(log).collect();
    DuckDbStore::open(&path).unwrap().append_logs(&logs).unwrap();
    alter(&path, "DELETE FROM log_blocks; DELETE FROM block_words");
    let store = DuckDbStore::open(&path).unwrap();
    // Blocks that are made of stored logs know the stretch of each.
    assert_eq!(maintain(&store), 60_000);
    assert!(blocks(&store).0 > 12, "{:?}", blocks(&store));
    let wanted: Vec<i64> = (0..44).map(|place| 28_700 + place * 710).collect();
    let address = |number: &i64| format!("10.1.{}.{}", number >> 8, number & 255);
    let found = scanned(&store, wanted.iter().map(address));
    assert!(wanted.iter().all(|number| found.contains(number)), "{found:?}");
    assert!(found.len() < 2_500, "{}", found.len());
    for number in wanted {
        let query = LogQuery::new().has(address(&number)).unwrap();
        assert_eq!(store.count_logs(&query).unwrap(), 1);
    }
}

/// In some blocks a word is in templates alone, in others in values as well, and in some in neither.
fn falcons(numbers: std::ops::Range<i64>) -> Vec<LogEntry> {
    let line = |number: i64| match (number / 3_000, number % 3) {
        (1, _) if number % 500 == 0 => format!("unit{number} has a k%65strel"),
        (0, _) => format!("unit{} has a falcon of 10.7.9.{}", number % 50, number % 250),
        (1, 0) => format!("unit{number} has falcon-{number} of 10.{}.9.1", number % 250),
        (1, _) | (_, 1) => format!("unit{} has a kestrel of 10.7.8.{}", number % 50, number % 250),
        (_, 0) => format!("Falconer{number}"),
        _ => format!("a=10.7.9.{} of unit{} has no bird", number % 250, number % 9),
    };
    let place = |number: i64| {
        ["north", "east", "south", "west", "up", "down", "far"][usize::try_from(number % 7).unwrap()]
    };
    let log = |number: i64| {
        let (first, second) = (place(number / 7), place(number / 49));
        let line = format!("{} {}{first}{second}", line(number), place(number));
        let log = LogEntry::new(at(number))
            .with_id(number.to_string())
            .with_raw(line);
        let log = log.with_host(format!("web{}", number % 7));
        match number {
            3_000..4_000 => log.with_field("state", "has a merlin of"),
            7_000..7_100 => log.with_metadata("state", "two merlins"),
            _ => log,
        }
    };
    numbers.map(log).collect()
}

fn assert_counted_as_by(store: &DuckDbStore, logs: &[LogEntry]) {
    for filter in [
        "text contains ero",
        "text contains alcon",
        "text contains falcon",
        "text contains 'a falcon of'",
        "text contains 'falcon-31'",
        "text contains alconer700",
        "text contains kestre i",
        "text contains 'has a' and text contains 'estrel of'",
        "text contains 'has a' and not text contains 'estrel of' and host = web3",
        "text contains 10.7.9.1",
        "text contains '.7.8.'",
        "text contains 10.7.7.1",
        "text ~ 'alco[mn] of 10'",
        "text startswith Falcone or text endswith north",
        "text startswith Falcone",
        "message contains alcon",
        "text contains osprey",
        "text contains \"falcon\\0 of\"",
        "text contains \"it's a falcon\"",
        "text contains alcon and event_time < 2024-01-01T00:30:00Z",
        "any has alcon",
        "any has 'a falcon of'",
        "any has 'falcon of a'",
        "any has 'a FALCON' and not any has kestrel and host = web3",
        "any has kestrel",
        "any has 'a kestrel'",
        "any has falcon-31",
        "any has Falconer700",
        "any has 'no bird'",
        "any has merlin",
        "any has merlins",
        "any has 'has a merlin of' or any has osprey",
        "any has 10.7.9",
        "any has 10.7.277.9",
        "any has falcon and event_time < 2024-01-01T00:30:00Z",
    ] {
        let query = LogQuery::new().filter(filter.parse().unwrap());
        let wanted: Vec<&LogEntry> = logs.iter().filter(|log| query.matches(log)).collect();
        let expected = wanted.len() as u64;
        assert_eq!(found(store, filter), expected, "{filter}");
        assert_first_are_found(store, &query, &wanted);
        let buckets = store.histogram(&query, TimeDelta::minutes(10)).unwrap();
        assert_eq!(
            buckets.iter().map(|bucket| bucket.count).sum::<u64>(),
            expected,
            "{filter}"
        );
    }
}

/// A limit does not change which logs come first.
fn assert_first_are_found(store: &DuckDbStore, query: &LogQuery, wanted: &[&LogEntry]) {
    let mut times: Vec<_> = wanted.iter().map(|log| log.event_time).collect();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        times.sort();
        if order == Order::NewestFirst {
            times.reverse();
        }
        let found = store.fetch_logs(&query.clone().order(order).limit(7)).unwrap();
        let found: Vec<_> = found.into_iter().map(|log| log.event_time).collect();
        assert_eq!(found, times[..times.len().min(7)], "{order:?} {query:?}");
    }
}

#[test]
fn a_part_of_a_word_is_found_in_templates_and_in_values() {
    let store = DuckDbStore::open(":memory:").unwrap();
    let logs = falcons(0..9_100);
    for part in logs.chunks(3_000) {
        store.append_logs(part).unwrap();
    }
    assert_eq!(blocks(&store), (3, 9_000));
    assert_counted_as_by(&store, &logs);
}

#[test]
fn a_part_of_a_word_is_found_in_the_templates_and_values_of_a_lake() {
    let Some(test_lake) = TestLake::in_file() else {
        return;
    };
    let (store, _) = lake(&test_lake);
    let logs = falcons(0..9_100);
    for part in logs.chunks(3_000) {
        store.append_logs(part).unwrap();
    }
    assert_eq!(blocks(&store).0, 3);
    assert_counted_as_by(&store, &logs);
}

/// What was in a template may be in a value once the logs are stored again: the first logs of a template have none.
#[test]
fn a_part_of_a_word_is_found_after_maintenance() {
    let folder = tempfile::tempdir().unwrap();
    let store = DuckDbStore::open(folder.path().join("logs.db")).unwrap();
    let with_own_words = |number: i64| {
        let words: Vec<String> = (0..12).map(|word| format!("{number}x{word}")).collect();
        LogEntry::new(at(number)).with_raw(format!("heron {}", words.join(" ")))
    };
    let mut logs: Vec<LogEntry> = (-16_000..0).map(with_own_words).collect();
    store.append_logs(&logs).unwrap();
    // All blocks but the last are deleted, so that it has the first logs of the template.
    let first = "SELECT max(first_seq) FROM log_blocks";
    let first = store.execute_query(first, &[]).unwrap().rows[0][0]
        .as_u64()
        .unwrap();
    logs.drain(..usize::try_from(first).unwrap());
    store.delete_logs_before(logs[0].event_time).unwrap();
    assert_eq!(found(&store, "text contains ero"), logs.len() as u64);
    let few = falcons(0..3_300);
    let falcons: Vec<LogEntry> = (0..5).flat_map(|copy| copied(&few, copy)).collect();
    // Of so few, most have no template yet.
    for part in falcons.chunks(150) {
        store.append_logs(part).unwrap();
    }
    logs.extend(falcons);
    let with_template = |store: &DuckDbStore| {
        let counted = store
            .execute_query("SELECT count(template) FROM log_rows", &[])
            .unwrap();
        counted.rows[0][0].as_u64().unwrap()
    };
    let before = with_template(&store);
    assert!(blocks(&store).0 > 0);
    maintain(&store);
    let after = with_template(&store);
    assert!(after > before + 4_000, "{before} and {after}");
    assert_sound(&store);
    assert_counted_as_by(&store, &logs);
}

/// The values of the last block have one word encoded only, and its metadata alone have the other.
#[test]
fn a_word_is_found_where_it_is_encoded_and_in_metadata() {
    let store = DuckDbStore::open(":memory:").unwrap();
    let log = |number: i64| {
        let log = LogEntry::new(at(number));
        match number {
            66_000..66_009 => log.with_raw(format!("a m%65rlin of {number}")),
            66_200..66_203 => log.with_raw("a bird").with_metadata("state", "a kestrel of"),
            _ => log.with_raw(format!(
                "unit {} has a kestrel, a merlin of {number}",
                number % 50
            )),
        }
    };
    let logs: Vec<LogEntry> = (0..66_500).map(log).collect();
    store.append_logs(&logs).unwrap();
    assert_eq!(blocks(&store).0, 2);
    for filter in [
        "any has merlin",
        "any has 'A MERLIN of'",
        "any has kestrel",
        "any has 'a kestrel'",
    ] {
        let query = LogQuery::new().filter(filter.parse().unwrap());
        let expected = logs.iter().filter(|log| query.matches(log)).count();
        assert_eq!(found(&store, filter), expected as u64, "{filter}");
    }
}

/// So many logs are of blocks with the word in a value that the others of these are looked for by what they share.
#[test]
fn a_word_is_found_in_templates_beside_many_logs_that_may_have_it() {
    let store = DuckDbStore::open(":memory:").unwrap();
    let line = |number: i64| match number {
        ..127_000 if number % 60_000 < 20 => format!("heron{number} by heron-{number}"),
        127_000.. if number % 50 == 0 => format!("unit {} has a heron of {number}", number % 50),
        _ => format!("unit {} has none of {number}", number % 50),
    };
    let logs = (0..130_000).map(|number| LogEntry::new(at(number)).with_raw(line(number)));
    let logs: Vec<LogEntry> = logs.collect();
    store.append_logs(&logs).unwrap();
    assert_eq!(blocks(&store).0, 3);
    for filter in [
        "any has heron",
        "any has 'a HERON of'",
        "any has heron and not text contains '5 has'",
    ] {
        let query = LogQuery::new().filter(filter.parse().unwrap());
        let wanted: Vec<&LogEntry> = logs.iter().filter(|log| query.matches(log)).collect();
        assert!(wanted.len() > 30);
        assert_eq!(found(&store, filter), wanted.len() as u64, "{filter}");
        assert_first_are_found(&store, &query, &wanted);
        let many = store.fetch_logs(&query.limit(40)).unwrap();
        assert_eq!(many.len(), wanted.len().min(40), "{filter}");
    }
}

/// A part of a text may begin in a template and end in a variable.
#[test]
fn each_part_of_a_line_is_found_in_as_many_logs_as_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logs.txt");
    let store = DuckDbStore::open(folder.path().join("logs.db")).unwrap();
    let lines: Vec<String> = (0..4_000).map(line).collect();
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    Loader::new(&store).run(&[&file]).unwrap();
    // These few have no templates.
    store
        .append_logs(&[LogEntry::new(at(0)).with_raw(line(9_000) + " password")])
        .unwrap();
    let logs = store.fetch_logs(&LogQuery::new()).unwrap();
    assert_eq!(logs.len(), 4_001);
    let templates = store
        .execute_query("SELECT count(*) FROM log_rows WHERE template IS NOT NULL", &[])
        .unwrap();
    assert!(templates.rows[0][0].as_u64().unwrap() > 3_900, "{templates:?}");
    let part = (0..4_001_usize, any::<prop::sample::Index>(), 3..40_usize);
    let assert_all_found = |(log, start, length): (usize, prop::sample::Index, usize)| {
        let raw = logs[log].raw.as_deref().unwrap();
        let start = start.index(raw.len());
        let part = &raw[start..raw.len().min(start + length)];
        let query = LogQuery::new().contains(part);
        let wanted = logs.iter().filter(|log| query.matches(log)).count();
        prop_assert_eq!(store.count_logs(&query).unwrap(), wanted as u64, "{}", part);
        prop_assert_eq!(store.fetch_logs(&query).unwrap().len(), wanted, "{}", part);
        let by = store.count_logs_by(&query, &["host".parse().unwrap()]).unwrap();
        prop_assert_eq!(
            by.iter().map(|group| group.count).sum::<u64>(),
            wanted as u64,
            "{}",
            part
        );
        if let Ok(has) = LogQuery::new().has(part) {
            let wanted = logs.iter().filter(|log| has.matches(log)).count();
            prop_assert_eq!(store.count_logs(&has).unwrap(), wanted as u64, "has {}", part);
        }
        let few = query.limit(3);
        prop_assert_eq!(store.fetch_logs(&few).unwrap().len(), wanted.min(3), "{}", part);
        Ok(())
    };
    for length in [255, 257, 300_000] {
        let query = LogQuery::new().contains(format!("password for {}", "x-".repeat(length)));
        assert_eq!(store.count_logs(&query).unwrap(), 0);
        assert!(store.fetch_logs(&query).unwrap().is_empty());
    }
    let phrase = LogQuery::new().has("a.b-c ".repeat(166)).unwrap();
    assert_eq!(store.count_logs(&phrase).unwrap(), 0);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(32));
    runner.run(&part, assert_all_found).unwrap();
}
