//! Many handles on one file.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use logstore::{DuckDbStore, LogQuery, LogStore};

use crate::support::log;

#[test]
fn readers_without_pause_let_writers_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = DuckDbStore::options()
        .lock_timeout(Duration::from_secs(5))
        .open(folder.path().join("soc.duckdb"))
        .unwrap();
    let is_over = AtomicBool::new(false);
    let appended = std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    store.count_logs(&LogQuery::new()).unwrap();
                }
            });
        }
        let appended: Result<Vec<_>, _> = (0..20)
            .map(|second| store.append_logs(&[log(second, "sshd", "x")]))
            .collect();
        is_over.store(true, Ordering::Relaxed);
        appended
    });
    appended.unwrap();
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 20);
}
