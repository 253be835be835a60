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

impl Detector {
    /// Counts logs by their log sources, and the rules for them, those with the most logs first.
    ///
    /// # Errors
    ///
    /// Those of `logs`.
    pub fn coverage<E>(
        &self,
        logs: impl IntoIterator<Item = Result<LogEntry, E>>,
    ) -> Result<Vec<SourceCoverage>, E> {
        let mut found: BTreeMap<(LogSource, Option<String>), SourceCoverage> = BTreeMap::new();
        for log in logs {
            let log = log?;
            let event = Event::from_log(&log);
            let source = event.source.clone();
            let mut key = (source, Route::of(&event).into_channel());
            if found.len() >= MOST_CHANNELS && !found.contains_key(&key) {
                key.1 = None;
            }
            let rules = self.rules().count_for(&event);
            let row = found
                .entry(key)
                .or_insert_with_key(|(source, channel)| SourceCoverage {
                    source: source.clone(),
                    channel: channel.clone(),
                    logs: 0,
                    logs_without_rules: 0,
                    rules: 0,
                });
            row.logs += 1;
            row.logs_without_rules += u64::from(rules == 0);
            row.rules = row.rules.max(rules);
        }
        let mut found: Vec<SourceCoverage> = found.into_values().collect();
        // The order of names stays among equal numbers.
        found.sort_by_key(|row| std::cmp::Reverse(row.logs));
        Ok(found)
    }
}
