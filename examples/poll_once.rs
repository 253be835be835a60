//! Polls a store once as a named consumer, raises an alert for each address with many failed logins, and stops.
//!
//! Run it twice: the second time there is nothing new.

use std::borrow::Cow;
use std::collections::BTreeMap;

use logstore::{Alert, DuckDbStore, Fetcher, LogEntry, LogStore, RiskFactor, Severity};

const MANY: u32 = 5;

/// `sshd` also writes "Invalid user", a failure too, before some of these: one attempt must not count twice.
fn is_failed_login(log: &LogEntry) -> bool {
    log.action() == Some("ssh_login")
        && log
            .message
            .as_deref()
            .is_some_and(|message| message.starts_with("Failed password"))
}

fn detect(logs: &[LogEntry]) -> Vec<Alert> {
    let mut failures: BTreeMap<Cow<'_, str>, u32> = BTreeMap::new();
    for log in logs.iter().filter(|log| is_failed_login(log)) {
        if let Some(address) = log.source_ip() {
            *failures.entry(address).or_default() += 1;
        }
    }
    failures
        .into_iter()
        .filter(|(_, count)| *count >= MANY)
        .map(|(address, count)| {
            Alert::new("brute_force", "threshold", Severity::High)
                .with_description(format!("{count} failed logins"))
                .with_source_ip(address)
                .with_risk_factor(RiskFactor::Repeated)
        })
        .collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "logstore.duckdb".to_owned());
    let store = DuckDbStore::open(&path)?;
    let end = store.end_cursor()?;
    let fetcher = Fetcher::new(&store).consumer("brute-force");
    if logstore::ConsumerStore::position(&store, "brute-force")? == Some(end) {
        println!("nothing new since the last poll");
        return Ok(());
    }
    let stop = fetcher.stop_handle();
    for batch in fetcher {
        let batch = batch?;
        let alerts = detect(batch.logs());
        batch.commit(&alerts)?;
        println!(
            "logs polled: {}, alerts stored: {}",
            batch.logs().len(),
            alerts.len()
        );
        if batch.next_cursor() >= end {
            stop.stop();
        }
    }
    Ok(())
}
