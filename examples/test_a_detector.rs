//! Tests a detector without a file: it is written against the traits, and [`MemoryStore`] is a store.
//!
//! `cargo test --example test_a_detector`

use chrono::Utc;
use logstore::{
    Alert, AlertQuery, AlertStore, LogEntry, LogQuery, LogStore, MemoryStore, Severity, Store, StoreExt,
};

/// Stores an alert for each log that says that root has logged in.
fn detect(store: &dyn Store) -> logstore::Result<u64> {
    let logs = store.fetch_logs(&LogQuery::new().contains("session opened for user root"))?;
    let alert = |log: &LogEntry| Alert::new("root_login", "heuristic", Severity::Medium).with_log_id(&log.id);
    store.store_alerts(&logs.iter().map(alert).collect::<Vec<_>>())
}

fn check() -> logstore::Result<()> {
    let store = MemoryStore::new();
    let logs = ["session opened for user root", "session opened for user alice"];
    store.append_logs(&logs.map(|message| LogEntry::new(Utc::now()).with_message(message)))?;
    assert_eq!(detect(&store)?, 1);
    let alerts = store.fetch_alerts(&AlertQuery::new())?;
    assert_eq!(alerts[0].alert_type, "root_login");
    Ok(())
}

#[test]
fn only_root_raises_an_alert() {
    check().unwrap();
}

fn main() -> logstore::Result<()> {
    check()
}
