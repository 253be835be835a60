//! Polls a store as a named consumer and raises an alert for each address with many failed logins.
//! Run twice, it finds nothing new: alerts and position are committed together.

use std::collections::BTreeMap;

use logstore::{Alert, ConsumerStore, DuckDbStore, Fetcher, LogEntry, LogStore, Severity};

fn detect(logs: &[LogEntry]) -> Vec<Alert> {
    let mut failures: BTreeMap<_, u32> = BTreeMap::new();
    for log in logs.iter().filter(|log| log.outcome() == Some("failure")) {
        if let Some(address) = log.source_ip() {
            *failures.entry(address).or_default() += 1;
        }
    }
    let many = failures.into_iter().filter(|(_, count)| *count >= 5);
    let alert = |(address, _)| Alert::new("brute_force", "threshold", Severity::High).with_source_ip(address);
    many.map(alert).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = DuckDbStore::open(std::env::args().nth(1).unwrap_or("logstore.duckdb".to_owned()))?;
    let end = store.end_cursor()?;
    if store.position("brute-force")? == Some(end) {
        println!("nothing new since the last run");
        return Ok(());
    }
    let fetcher = Fetcher::new(&store).consumer("brute-force");
    let stop = fetcher.stop_handle();
    for batch in fetcher {
        let batch = batch?;
        let committed = batch.commit(&detect(batch.logs()))?;
        println!("{} logs, {} new alerts", batch.logs().len(), committed.stored);
        if batch.next_cursor() >= end {
            stop.stop();
        }
    }
    Ok(())
}
