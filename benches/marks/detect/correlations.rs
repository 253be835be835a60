//! Correlations: a batch of new hits among many stored ones.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use logstore::detect::{Detector, SIGMA};
use logstore::{DetectionRule, DetectionStore as _, DuckDbStore, LogEntry};
use serde_json::json;

use super::processor_time_of_process;
use crate::Scale;
use crate::report::Report;
use crate::stores::as_detect_opens_it;

/// Counts the logs of a batch. Each is a hit.
const BATCH: usize = 500;

/// Counts the users, by whom hits are grouped.
const USERS: usize = 10_000;

pub(super) fn measure(scale: &Scale, report: &mut Report) {
    let count = (20 * scale.rows).min(1_000_000);
    let detector = detector();
    let store = as_detect_opens_it(&scale.new_file("hits.duckdb"));
    for start in (0..count).step_by(50_000) {
        store_hits(&store, &detector, start..count.min(start + 50_000));
    }
    let newest = time_of(&store, &detector, |batch, log| {
        failed_login(count, count + batch * BATCH + log)
    });
    let spread = time_of(&store, &detector, |batch, log| {
        failed_login(count, log * (count / BATCH) + batch + 1)
    });
    for (which, time) in [
        ("after the stored ones", newest),
        ("over their whole time", spread),
    ] {
        report.line(
            &format!("correlate {BATCH} new hits, {which}, with {count} stored: processor time"),
            "",
            10.0,
            &format!("{time:.2?}"),
            "",
            time.as_secs_f64() / Duration::from_millis(10).as_secs_f64(),
        );
    }
}

/// Returns the processor time of a batch of logs, each made of the numbers of the batch and of the log.
fn time_of(store: &DuckDbStore, detector: &Detector, log: impl Fn(usize, usize) -> LogEntry) -> Duration {
    const TIMES: u32 = 20;
    let batch = |batch| (0..BATCH).map(|number| log(batch, number)).collect();
    let batches: Vec<Vec<LogEntry>> = (0..TIMES as usize).map(batch).collect();
    let started = processor_time_of_process();
    for batch in &batches {
        let found = detector.detect(batch, |ranges| store.hits(ranges)).expect("hits");
        assert!(found.hits.len() >= BATCH, "each log is a hit");
    }
    processor_time_of_process().saturating_sub(started) / TIMES
}

fn detector() -> Detector {
    let rule = json!({
        "title": "Failed login",
        "id": "failed",
        "logsource": {"product": "linux", "service": "sshd"},
        "detection": {"selection": {"outcome": "failure"}, "condition": "selection"},
    });
    let correlation = json!({
        "title": "Many failed logins",
        "id": "many",
        "correlation": {
            "type": "event_count", "rules": ["failed"], "group-by": ["user"], "timespan": "10m",
            "condition": {"gte": 1_000},
        },
    });
    let rules = [("failed", rule), ("many", correlation)];
    let rules = rules.map(|(id, definition)| DetectionRule::new(id, SIGMA, definition).with_id(id));
    let (detector, refused) = Detector::new(&rules, &|_| None);
    assert!(refused.is_empty(), "{refused:?}");
    detector
}

fn store_hits(store: &DuckDbStore, detector: &Detector, logs: std::ops::Range<usize>) {
    let logs: Vec<LogEntry> = logs.map(|number| failed_login(0, number)).collect();
    let found = detector
        .detect(&logs, |_| Ok::<_, logstore::Error>(Vec::new()))
        .expect("hits");
    store.store_detections(&found).expect("hits are stored");
}

/// Makes the log of a failed login, 20 of them a second.
fn failed_login(series: usize, number: usize) -> LogEntry {
    let start: DateTime<Utc> = "2025-01-15T00:00:00Z".parse().expect("a time");
    let time = start + TimeDelta::milliseconds(50 * i64::try_from(number).expect("a short time"));
    let log = LogEntry::new(time)
        .with_id(format!("{series}-{number}"))
        .with_field("outcome", "failure");
    let mut log = log.with_field("user", format!("user{}", number % USERS));
    log.metadata
        .insert("logsource".into(), json!({"product": "linux", "service": "sshd"}));
    log
}
