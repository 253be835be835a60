//! Long scans: read a stretch of time at a time, and in order all the same.

use chrono::TimeDelta;
use logstore::{DuckDbStore, LogQuery, LogStore as _, Order};

use crate::support::{at, make_large_store};

const LOGS: i64 = 400_000;

/// The sequence numbers, which `make_large_store` also gives as process ids.
fn numbers(store: &DuckDbStore, query: &LogQuery) -> Vec<i64> {
    let logs = store.scan_logs(query).unwrap();
    logs.map(|log| log.unwrap().procid.unwrap()).collect()
}

#[test]
fn stretches_follow_one_another_in_either_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    make_large_store(&path, LOGS);
    // Late logs: what is stored last is among the oldest.
    let connection = duckdb::Connection::open(&path).unwrap();
    let late = "UPDATE log_rows SET event_time = event_time - INTERVAL 380 SECONDS WHERE seq > 390_000";
    connection.execute_batch(late).unwrap();
    connection.close().unwrap();
    let mut expected: Vec<i64> = (1..=LOGS).collect();
    expected.sort_by_key(|number| (number - if *number > 390_000 { 380_000 } else { 0 }, *number));
    let store = DuckDbStore::open(&path).unwrap();
    let oldest = LogQuery::new().order(Order::OldestFirst);
    assert!(numbers(&store, &oldest) == expected, "the oldest first");
    let limited = oldest.clone().limit(150_000);
    assert!(
        numbers(&store, &limited) == expected[..150_000],
        "the oldest 150,000"
    );
    let newest: Vec<i64> = expected.iter().rev().copied().collect();
    assert!(numbers(&store, &LogQuery::new()) == newest, "the newest first");
    let limited = LogQuery::new().limit(150_000);
    assert!(
        numbers(&store, &limited) == newest[..150_000],
        "the newest 150,000"
    );
    let some = oldest
        .since(at(100) + TimeDelta::milliseconds(1))
        .until(at(300))
        .equals("source_ip", "10.0.0.7")
        .unwrap();
    let times = 100_001..300_000;
    let expected: Vec<i64> = times.filter(|number| number % 250 == 7).collect();
    assert_eq!(numbers(&store, &some), expected);
}
