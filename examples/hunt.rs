//! Looks for logs whose source address is in the threat intelligence, and prints them.

use chrono::Utc;
use logstore::{
    DuckDbStore, Filter, Indicator, IntelQuery, IntelStore, LogEntry, LogQuery, LogStore, Operator, Order,
    StoreExt, ThreatIntel,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = DuckDbStore::open(":memory:")?;
    let addresses = ["203.0.113.9", "198.51.100.7", "203.0.113.77"];
    let logs = addresses.map(|address| {
        LogEntry::new(Utc::now())
            .with_field("src_ip", address)
            .with_message("login")
    });
    store.append_logs(&logs)?;
    store.upsert_intel(&[
        ThreatIntel::new("203.0.113.0/24".parse()?, "scanner", "example list").with_confidence(0.8)?,
    ])?;

    for intel in store.fetch_intel(&IntelQuery::new().valid_at(Utc::now()).min_confidence(0.5))? {
        let operator = match &intel.indicator {
            Indicator::Cidr(network) => Operator::InNetwork(*network),
            other => Operator::equals(other.to_string()),
        };
        let known = Filter::condition("source_ip", operator)?;
        let query = LogQuery::new().filter(known).order(Order::OldestFirst);
        for log in store.fetch_logs(&query)? {
            println!(
                "{} is a {} according to {}",
                log.source_ip().as_deref().unwrap_or("-"),
                intel.threat_type,
                intel.source
            );
        }
    }
    Ok(())
}
