//! Copies made while others write, and what a check finds.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use duckdb::Connection;
use logstore::duckdb::Access;
use logstore::{
    DetectionRule, DuckDbStore, Error, LogQuery, LogStore as _, Order, Severity, Store, StoreExt as _,
    ThreatIntel,
};

use crate::support::{Cli, alert, at, log, make_large_store};

/// Something in every table.
fn fill(cli: &Cli, store: &dyn Store) {
    let odd = log(1, "a", "it's \u{1f980} \0")
        .with_field("n", 1.5)
        .with_raw(b"caf\xe9");
    store.append_logs(&[log(0, "a", "x"), odd]).unwrap();
    store.store_alerts(&[alert("1", Severity::High, 0)]).unwrap();
    store
        .upsert_intel(&[ThreatIntel::new(
            "203.0.113.9".parse().unwrap(),
            "scanner",
            "list",
        )])
        .unwrap();
    store
        .upsert_rules(&[DetectionRule::new("r", "t", serde_json::Value::Null)])
        .unwrap();
    store.commit("c", None, store.end_cursor().unwrap(), &[]).unwrap();
    cli.write("a.log", "hello\n");
    cli.output(&["ingest", "a.log"]);
}

fn assert_same(a: &DuckDbStore, b: &DuckDbStore) {
    let query = LogQuery::new().order(Order::OldestFirst);
    assert_eq!(a.fetch_logs(&query).unwrap(), b.fetch_logs(&query).unwrap());
    for table in [
        "log_rows",
        "alerts",
        "alert_logs",
        "alert_events",
        "suppressions",
        "hits",
        "threat_intel",
        "detection_rules",
        "consumers",
        "lookbacks",
        "file_positions",
        "logstore",
    ] {
        let sql = format!("SELECT * FROM {table} ORDER BY ALL");
        assert_eq!(
            a.execute_query(&sql, &[]).unwrap(),
            b.execute_query(&sql, &[]).unwrap()
        );
    }
}

#[test]
fn a_copy_holds_everything() {
    let cli = Cli::new();
    let store = DuckDbStore::open(cli.path("logstore.duckdb")).unwrap();
    fill(&cli, &store);
    assert_eq!(cli.rows(&["backup", "copy.duckdb"])[0]["logs"], 3);
    let copy = DuckDbStore::open(cli.path("copy.duckdb")).unwrap();
    assert_same(&store, &copy);
    let mode = cli.path("copy.duckdb").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The copy is a store like any other.
    copy.append_logs(&[log(5, "a", "new")]).unwrap();
    assert!(
        copy.check()
            .unwrap()
            .iter()
            .all(|check| check.problems.is_empty())
    );
    let (code, text) = cli.failure(&["backup", "copy.duckdb"]);
    assert!(code == 3 && text.contains("exists already"), "{text}");
    let (code, text) = cli.failure(&["backup", "nosuch/copy.duckdb"]);
    assert!(code == 3 && text.contains("create it first"), "{text}");
    let memory = DuckDbStore::open(":memory:").unwrap();
    assert_eq!(memory.backup(cli.path("empty.duckdb")).unwrap(), 0);
}

#[test]
fn a_copy_is_of_one_moment_while_others_write() {
    for access in [Access::Shared, Access::Exclusive] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("soc.duckdb");
        make_large_store(&path, 450_000);
        let store = DuckDbStore::options().access(access).open(&path).unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let is_over = &is_over;
            let store = &store;
            scope.spawn(move || {
                for second in (0..).take_while(|_| !is_over.load(Ordering::Relaxed)) {
                    store
                        .append_logs(&[log(2_000 + second, "a", "x"), log(2_000 + second, "b", "x")])
                        .unwrap();
                    if second == 3 {
                        assert!(store.delete_logs_before(at(10)).unwrap() > 0);
                    }
                }
            });
            let copied = store.backup(folder.path().join("copy.duckdb")).unwrap();
            is_over.store(true, Ordering::Relaxed);
            let copy = DuckDbStore::open(folder.path().join("copy.duckdb")).unwrap();
            assert_eq!(copy.count_logs(&LogQuery::new()).unwrap(), copied);
            let both = ["a", "b"].map(|name| {
                let query = LogQuery::new().since(at(2_000)).equals("appname", name).unwrap();
                copy.count_logs(&query).unwrap()
            });
            assert_eq!(both[0], both[1], "an append is copied as a whole");
            for check in copy.check().unwrap() {
                assert_eq!(check.problems, [] as [&str; 0], "{}", check.table);
            }
        });
    }
}

#[test]
fn a_check_says_what_is_wrong() {
    for (damage, table, words) in [
        (
            "UPDATE log_rows SET seq = 1",
            "log_rows",
            "share their sequence number",
        ),
        ("UPDATE log_rows SET seq = seq + 100", "log_rows", "never given"),
        (
            "INSERT INTO log_rows SELECT * REPLACE (seq - 2 AS seq) FROM log_rows WHERE seq = 3",
            "log_rows",
            "share",
        ),
        (
            "UPDATE log_rows SET event_time = '2024-01-01', id = 'x', uuid = NULL",
            "log_rows",
            "stored more than once",
        ),
        (
            "UPDATE log_rows SET id = NULL, uuid = NULL",
            "log_rows",
            "have no id, or two",
        ),
        (
            "UPDATE log_rows SET normalized = '[1]', layout = NULL",
            "log_rows",
            "not a JSON object",
        ),
        (
            "UPDATE alerts SET severity = 'catastrophic'",
            "alerts",
            "catastrophic",
        ),
        (
            "UPDATE threat_intel SET indicator_value = 'x y'",
            "threat_intel",
            "x y",
        ),
        (
            "UPDATE consumers SET position = 99",
            "consumers",
            "no log was ever stored",
        ),
        (
            "UPDATE file_positions SET head = 'x'",
            "file_positions",
            "cannot be positions",
        ),
        (
            "INSERT INTO logstore SELECT * FROM logstore",
            "logstore",
            "beside the one",
        ),
        (
            "ALTER TABLE alerts ADD COLUMN extra INTEGER",
            "alerts",
            "its columns are",
        ),
    ] {
        let cli = Cli::new();
        let path = cli.path("logstore.duckdb");
        let store = DuckDbStore::open(&path).unwrap();
        fill(&cli, &store);
        assert!(cli.output(&["check", "--format", "table"]).contains("none"));
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(damage).unwrap();
        connection.close().unwrap();
        let output = cli.command(&["check"]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{damage}");
        let found = String::from_utf8(output.stdout).unwrap();
        let line = found
            .lines()
            .find(|line| line.contains(&format!("\"{table}\"")))
            .unwrap();
        assert!(line.contains(words), "{damage}: {line}");
    }
}

#[test]
fn a_copy_needs_a_place() {
    let store = DuckDbStore::open(":memory:").unwrap();
    assert!(matches!(store.backup("/"), Err(Error::WriteFailed { .. })));
}
