//! Stores of every earlier version are brought up to date, with all that is in them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use duckdb::Connection;
use logstore::{
    AlertQuery, AlertStore as _, ConsumerStore as _, DuckDbStore, IngestStore as _, LogQuery, LogStore as _,
    Order, StoreExt as _,
};

use crate::support::log;

/// The tables of version 1, and one row in each.
const VERSION_1: &str = concat!(
    include_str!("../../src/storage/duckdb/schema/migrations/001_tables.sql"),
    r#"
INSERT INTO logs (seq, event_time, id, message, ingestion_time)
    VALUES (1, '2024-01-01 12:00:00', 'first', 'hello', '2024-01-01 12:00:00');
INSERT INTO alerts (id, alert_type, detection_method, severity, created_at, acknowledged, priority_score)
    VALUES ('1', 'brute_force', 'heuristic', 'high', '2024-01-01 12:00:00', false, 50);
INSERT INTO consumers (name, position) VALUES ('brute-force', 1);
INSERT INTO logstore (schema_version, last_seq) VALUES (1, 1);
"#
);

pub(crate) fn make_version_1(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(VERSION_1).unwrap();
    connection.close().unwrap();
}

fn assert_rows(store: &DuckDbStore) {
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 1);
    assert_eq!(store.fetch_alerts(&AlertQuery::new()).unwrap()[0].id, "1");
    assert_eq!(
        store.position("brute-force").unwrap(),
        Some(store.end_cursor().unwrap())
    );
}

#[test]
fn version_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    make_version_1(&path);
    let read_only = DuckDbStore::options().read_only(true).open(&path).unwrap();
    assert_rows(&read_only);
    drop(read_only);
    let store = DuckDbStore::open(&path).unwrap();
    assert_rows(&store);
    assert_eq!(store.file_positions().unwrap(), []);
    let end = store.end_cursor().unwrap();
    store.append_logs(&[log(0, "a", "x")]).unwrap();
    assert_eq!(store.delete_logs_before(crate::support::at(1)).unwrap(), 2);
    assert_eq!(
        store.commit("brute-force", Some(end), end, &[]).unwrap().missed,
        1
    );
    let version = store.stats().unwrap().schema_version;
    drop(store);
    let again = DuckDbStore::open(&path).unwrap();
    assert_eq!(again.stats().unwrap().schema_version, version);
}

/// Version 4 has layouts, but no view of the texts as they are stored.
#[test]
fn version_4_is_read_and_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let logs = [
        log(0, "a", "hello {0}").with_raw("web1 sshd: hello {0}"),
        log(1, "b", "no line"),
    ];
    let store = DuckDbStore::open(&path).unwrap();
    store.append_logs(&logs).unwrap();
    drop(store);
    let connection = Connection::open(&path).unwrap();
    let as_version_4 = include_str!("../../src/storage/duckdb/schema/migrations/004_logs_view.sql");
    let view =
        as_version_4.find("CREATE VIEW log_texts").unwrap()..as_version_4.find("-- What a log is").unwrap();
    connection
        .execute_batch(&as_version_4[view].replacen("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
        .unwrap();
    connection
        .execute_batch("UPDATE logstore SET schema_version = 4")
        .unwrap();
    connection.close().unwrap();
    let query = LogQuery::new().order(Order::OldestFirst);
    let options = DuckDbStore::options();
    for read_only in [true, false] {
        let store = options.clone().read_only(read_only).open(&path).unwrap();
        assert_eq!(store.fetch_logs(&query).unwrap(), logs);
        assert_eq!(
            store
                .count_logs(&LogQuery::new().contains("sshd: hello"))
                .unwrap(),
            1
        );
    }
}

#[test]
fn the_files_of_a_store_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let options = DuckDbStore::options().access(logstore::duckdb::Access::Exclusive);
    let store = options.open(&path).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    store.append_logs(&[log(0, "a", "x")]).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&folder.path().join("soc.duckdb.wal")), 0o600);
    drop(store);
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        1,
        "nothing else is left"
    );
    // Who lets others read the store lets them read its log.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let store = options.open(&path).unwrap();
    store.append_logs(&[log(1, "a", "x")]).unwrap();
    assert_eq!(mode(&folder.path().join("soc.duckdb.wal")), 0o640);
}
