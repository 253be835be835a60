//! Which stored logs have rules.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Detector;
use super::event::Event;
use super::routes::Route;
use crate::models::{LogEntry, LogSource};

/// Limits how many channels of a log source are told apart: the writer of a log chooses them.
const MOST_CHANNELS: usize = 10_000;

/// Counts the logs of a log source, and the rules for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SourceCoverage {
    /// Names the log source that the format gives the logs.
    pub source: LogSource,
    /// Names the channel, for events of Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Counts the logs.
    pub logs: u64,
    /// Counts the logs that no rule is for.
    pub logs_without_rules: u64,
    /// Counts the rules for the log that most of them are for.
    pub rules: usize,
}

/// Counts logs by their log sources.
#[derive(Debug, Default)]
pub(super) struct SourceCounts(BTreeMap<(LogSource, Option<String>), SourceCoverage>);

impl SourceCounts {
    /// Counts a log, and the rules of a detector for it.
    pub(super) fn count(&mut self, detector: &Detector, log: &LogEntry) {
        let event = Event::from_log(log);
        let rules = detector.rules().count_for(&event);
        let mut counted = SourceCoverage {
            source: event.source.clone(),
            channel: Route::of(&event).into_channel(),
            logs: 1,
            logs_without_rules: u64::from(rules == 0),
            rules,
        };
        self.add(&mut counted);
    }

    /// Counts logs of a source whose rules are known without looking at the logs.
    pub(super) fn count_all(&mut self, detector: &Detector, source: LogSource, logs: u64) {
        let event = Event::new(source);
        let rules = detector.rules().count_for(&event);
        self.add(&mut SourceCoverage {
            source: event.source,
            channel: None,
            logs,
            logs_without_rules: if rules == 0 { logs } else { 0 },
            rules,
        });
    }

    /// Adds the logs that another thread has counted.
    pub(super) fn merge(&mut self, other: Self) {
        for mut counted in other.0.into_values() {
            self.add(&mut counted);
        }
    }

    fn add(&mut self, counted: &mut SourceCoverage) {
        let mut key = (counted.source.clone(), counted.channel.take());
        if self.0.len() >= MOST_CHANNELS && !self.0.contains_key(&key) {
            key.1 = None;
        }
        let row = self
            .0
            .entry(key)
            .or_insert_with_key(|(source, channel)| SourceCoverage {
                source: source.clone(),
                channel: channel.clone(),
                logs: 0,
                logs_without_rules: 0,
                rules: 0,
            });
        row.logs += counted.logs;
        row.logs_without_rules += counted.logs_without_rules;
        row.rules = row.rules.max(counted.rules);
    }

    /// Returns the log sources, those with the most logs first.
    pub(super) fn finish(self) -> Vec<SourceCoverage> {
        let mut found: Vec<SourceCoverage> = self.0.into_values().collect();
        // The order of names stays among equal numbers.
        found.sort_by_key(|row| std::cmp::Reverse(row.logs));
        found
    }
}
