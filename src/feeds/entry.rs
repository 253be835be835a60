//! Takes the entries of a feed: makes intelligence of them, or says why not.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{BENIGN, EntryWarning, Feed, FeedFormat, FeedOptions, RefusedEntry, unlikely, value};
use crate::models::{Indicator, IndicatorType, ThreatIntel, TimeContext, now, parse_time, to_micros};

/// Holds what a feed says of a value.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry<'a> {
    pub(super) value: &'a str,
    /// Holds the type that the feed gives the value.
    pub(super) indicator_type: Option<IndicatorType>,
    pub(super) threat_type: Option<String>,
    /// Holds the confidence from 0 to 1.
    pub(super) confidence: Option<f64>,
    pub(super) expires_at: Option<DateTime<Utc>>,
    pub(super) metadata: Map<String, Value>,
    /// Says what could not be read of the entry.
    pub(super) unread: Vec<String>,
}

impl Entry<'_> {
    /// Sets the confidence as it was read.
    pub(super) fn set_confidence(&mut self, read: Result<Option<f64>, String>) {
        match read {
            Ok(confidence) => self.confidence = confidence,
            Err(reason) => self.unread.push(reason),
        }
    }

    /// Sets the expiry that a text states.
    pub(super) fn set_expiry(&mut self, text: Option<&str>) {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            return;
        };
        self.expires_at = parse_time(text, &TimeContext::default());
        if self.expires_at.is_none() {
            self.unread.push(format!("its expiry {text:?} is no time"));
        }
    }
}

/// Collects the entries of a feed.
#[derive(Debug)]
pub(super) struct Collector<'o> {
    pub(super) options: &'o FeedOptions,
    now: DateTime<Utc>,
    entries: u64,
    intel: Vec<ThreatIntel>,
    refused: Vec<RefusedEntry>,
    warnings: Vec<EntryWarning>,
}

impl<'o> Collector<'o> {
    pub(super) fn new(options: &'o FeedOptions) -> Self {
        Self {
            options,
            now: to_micros(now()),
            entries: 0,
            intel: Vec::new(),
            refused: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn into_feed(self, format: FeedFormat) -> Feed {
        Feed {
            format,
            entries: self.entries,
            intel: self.intel,
            refused: self.refused,
            warnings: self.warnings,
        }
    }

    /// Takes the indicators of an entry, or refuses it.
    pub(super) fn take(&mut self, line: Option<u64>, entry: Entry<'_>) {
        let found = match value::indicators(entry.value, entry.indicator_type) {
            Ok(found) => found,
            Err(reason) => return self.refuse(line, entry.value, reason),
        };
        if !self.options.keep_all
            && !self.options.allow
            && let Some(reason) = found.iter().find_map(unlikely::reason_against)
        {
            return self.refuse(line, entry.value, format!("{reason} (--keep-all keeps it)"));
        }
        self.entries += 1;
        for reason in &entry.unread {
            self.warnings.push(EntryWarning {
                line,
                entry: shown(entry.value),
                reason: reason.clone(),
            });
        }
        for indicator in found {
            let intel = self.intel_of(indicator, &entry);
            self.intel.push(intel);
        }
    }

    /// Takes intelligence as this crate writes it.
    pub(super) fn take_own(&mut self, intel: ThreatIntel) {
        self.entries += 1;
        self.intel.push(intel);
    }

    /// Counts an entry that is not taken.
    pub(super) fn refuse(&mut self, line: Option<u64>, entry: &str, reason: impl Into<String>) {
        self.entries += 1;
        self.refused.push(RefusedEntry {
            line,
            entry: shown(entry),
            reason: reason.into(),
        });
    }

    fn intel_of(&self, indicator: Indicator, entry: &Entry<'_>) -> ThreatIntel {
        let options = self.options;
        let threat_type = match options.allow {
            true => BENIGN,
            false => entry.threat_type.as_deref().unwrap_or(&options.threat_type),
        };
        let mut intel = ThreatIntel::new(indicator, threat_type, &options.source);
        intel.confidence = entry.confidence.unwrap_or(options.confidence).clamp(0.0, 1.0);
        intel.created_at = self.now;
        intel.expires_at = entry.expires_at.or(options.expires_at).map(to_micros);
        intel.metadata.clone_from(&entry.metadata);
        intel
    }
}

/// Returns the beginning of an entry.
fn shown(entry: &str) -> String {
    const SHOWN: usize = 100;
    entry.chars().take(SHOWN).collect()
}
