//! Stores that their first operation opens.

use std::path::Path;
use std::time::Duration;

use duckdb::Connection;
use logstore::{DuckDbStore, Error, LogQuery, LogStore as _};

use crate::processes::Process;
use crate::support::log;
use crate::{foreign, migrations};

fn open(path: &Path) -> DuckDbStore {
    let options = DuckDbStore::options().open_at_first_use(true);
    options.open(path).unwrap()
}

#[test]
fn the_file_is_not_opened_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    drop(DuckDbStore::open(&path).unwrap());
    let mut holder = Process::start::<&str>("queue::holder", &path, &[]);
    holder.expect("holds");
    let options = DuckDbStore::options().lock_timeout(Duration::ZERO);
    assert!(matches!(options.open(&path), Err(Error::Locked { .. })));
    let store = options.open_at_first_use(true).open(&path).unwrap();
    let refused = store.count_logs(&LogQuery::new()).unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    holder.kill("");
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 0);
}

fn make_empty(path: &Path) {
    Connection::open(path).unwrap().close().unwrap();
}

/// Makes a file.
type Make = fn(&Path);

/// What files there may be, and how many logs they have.
const FILES: [(Make, u64); 3] = [
    (migrations::make_version_1, 1),
    (foreign::make, 3),
    (make_empty, 0),
];

#[test]
fn the_first_operation_brings_the_tables_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let current = DuckDbStore::open(":memory:")
        .unwrap()
        .stats()
        .unwrap()
        .schema_version;
    for (number, (make, logs)) in FILES.into_iter().enumerate() {
        let path = folder.path().join(format!("read-{number}.duckdb"));
        make(&path);
        let store = open(&path);
        assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), logs);
        assert_eq!(store.stats().unwrap().schema_version, current);

        let path = folder.path().join(format!("written-{number}.duckdb"));
        make(&path);
        let store = open(&path);
        store.append_logs(&[log(0, "sshd", "x")]).unwrap();
        assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), logs + 1);
        drop(store);
        let again = DuckDbStore::open(&path).unwrap();
        assert_eq!(again.stats().unwrap().schema_version, current);

        let path = folder.path().join(format!("kept-{number}.duckdb"));
        make(&path);
        let store = open(&path);
        let kept = store.hold_open().unwrap();
        store.append_logs(&[log(0, "sshd", "x")]).unwrap();
        drop(kept);
        assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), logs + 1);
    }
}

#[test]
fn threads_that_come_first_together_change_the_tables_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let path = folder.path().join(format!("{round}.duckdb"));
        foreign::make(&path);
        let store = open(&path);
        std::thread::scope(|scope| {
            for second in 0..4 {
                let store = store.clone();
                scope.spawn(move || {
                    store.append_logs(&[log(second, "sshd", "x")]).unwrap();
                    store.count_logs(&LogQuery::new()).unwrap();
                });
            }
        });
        assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 3 + 4);
    }
}

#[test]
fn the_first_operation_says_what_is_wrong_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let options = DuckDbStore::options().open_at_first_use(true).create(false);
    let missing = options.open(&path).unwrap_err();
    assert!(matches!(missing, Error::NoStore { .. }), "{missing}");
    make_empty(&path);
    let store = options.open(&path).unwrap();
    let refused = store.count_logs(&LogQuery::new()).unwrap_err();
    assert!(refused.to_string().contains("without a table logs"), "{refused}");
    std::fs::write(&path, "no store").unwrap();
    let refused = store.append_logs(&[log(0, "sshd", "x")]).unwrap_err();
    assert!(refused.to_string().contains("not a DuckDB file"), "{refused}");
}
