//! The results of detection, as a detector hands them to a store: matches of rules, and hits for correlations.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::models::{AddressText, BorrowedLog, InvalidValue, LogEntry, LogKey, Severity};

/// Describes a log that a rule matches. Matches that are alike are counted in one alert.
///
/// The fingerprint of an alert consists of the rule and the [group](Self::group) of the match. The log's time, aligned
/// to the [window](Self::window), makes the alert. So any order and any batches of the same matches give the same
/// alerts.
///
/// ```
/// use logstore::{AlertStore, LogEntry, MemoryStore, Severity};
/// use logstore::alerts::{Detections, Match};
/// use logstore::storage::DetectionStore;
///
/// let store = MemoryStore::new();
/// let log = LogEntry::new(chrono::Utc::now()).with_host("web1").with_field("user", "root");
/// let found = Match::new("5013c332", Severity::High, &log).with_title("Root login");
/// let detections = Detections { matches: vec![found.clone(), found], ..Detections::default() };
/// let stored = store.store_detections(&detections)?;
/// assert_eq!((stored.stored, stored.counted, stored.repeated), (1, 1, 1));
/// # Ok::<(), logstore::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Match {
    /// Names the rule.
    pub rule_id: String,
    /// Holds the title of the rule: the text for people.
    pub title: String,
    /// Says how serious the alert is.
    pub severity: Severity,
    /// Holds the tags of the rule, such as `attack.t1059.001`.
    pub tags: Vec<String>,
    /// Names the kind of finding, such as `sigma` or `correlation`: the type of the alert.
    pub alert_type: String,
    /// Names the method that found it, such as `sigma`.
    pub detection_method: String,
    /// Holds the fields that tell alerts of the rule apart, and their values.
    ///
    /// `None` means the host, the user and the two addresses, as far as the match has them.
    pub group: Option<BTreeMap<String, String>>,
    /// Names the log.
    pub log: LogKey,
    /// Names logs that led to the match, such as those that a correlation counts. They are kept, and not counted.
    pub related: Vec<LogKey>,
    /// Holds the address that acted.
    pub source_ip: Option<String>,
    /// Holds the address that was acted on.
    pub dest_ip: Option<String>,
    /// Names the user involved.
    pub user: Option<String>,
    /// Names the host involved.
    pub host: Option<String>,
    /// Names the program involved.
    pub process: Option<String>,
    /// Holds the length of the windows in which matches are counted together.
    pub window: TimeDelta,
    /// Holds the log itself, for the filters of suppressions.
    entry: Option<Box<LogEntry>>,
}

impl Match {
    /// Describes a log that a rule matches, counted in windows of one hour.
    pub fn new(rule_id: impl Into<String>, severity: Severity, log: &LogEntry) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let described = Self::of_key(rule_id, severity, log.key());
        // All fields are looked for together: each look goes through the whole log.
        BorrowedLog::of_entry(log).with_core_fields(|fields| Self {
            source_ip: fields.source_ip.map(Cow::into_owned),
            dest_ip: fields.dest_ip.map(Cow::into_owned),
            user: text(fields.user),
            host: log.host.clone().or_else(|| log.hostname.clone()),
            process: text(fields.process),
            entry: Some(Box::new(log.clone())),
            ..described
        })
    }

    /// Describes a log that is known by its key only, such as the last one of a correlation.
    pub fn of_key(rule_id: impl Into<String>, severity: Severity, log: LogKey) -> Self {
        Self {
            rule_id: rule_id.into(),
            title: String::new(),
            severity,
            tags: Vec::new(),
            alert_type: "sigma".to_owned(),
            detection_method: "sigma".to_owned(),
            group: None,
            log,
            related: Vec::new(),
            source_ip: None,
            dest_ip: None,
            user: None,
            host: None,
            process: None,
            window: TimeDelta::hours(1),
            entry: None,
        }
    }

    /// Sets the title of the rule.
    #[must_use]
    pub fn with_title(self, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..self
        }
    }

    /// Sets the tags of the rule.
    #[must_use]
    pub fn with_tags(self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            tags: tags.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// Names the kind of finding and the method that found it.
    #[must_use]
    pub fn found_by(self, alert_type: impl Into<String>, detection_method: impl Into<String>) -> Self {
        Self {
            alert_type: alert_type.into(),
            detection_method: detection_method.into(),
            ..self
        }
    }

    /// Sets the fields that tell alerts of the rule apart.
    #[must_use]
    pub fn with_group(self, group: BTreeMap<String, String>) -> Self {
        Self {
            group: Some(group),
            ..self
        }
    }

    /// Names logs that led to the match.
    #[must_use]
    pub fn with_related(self, logs: impl IntoIterator<Item = LogKey>) -> Self {
        Self {
            related: logs.into_iter().collect(),
            ..self
        }
    }

    /// Sets the length of the windows in which matches are counted together.
    #[must_use]
    pub fn with_window(self, window: TimeDelta) -> Self {
        Self { window, ..self }
    }

    /// Sets the address that acted.
    #[must_use]
    pub fn with_source_ip(self, address: impl Into<AddressText>) -> Self {
        Self {
            source_ip: Some(address.into().0),
            ..self
        }
    }

    /// Sets the host involved.
    #[must_use]
    pub fn with_host(self, host: impl Into<String>) -> Self {
        Self {
            host: Some(host.into()),
            ..self
        }
    }

    /// Sets the user involved.
    #[must_use]
    pub fn with_user(self, user: impl Into<String>) -> Self {
        Self {
            user: Some(user.into()),
            ..self
        }
    }

    /// Returns the fields that tell alerts of the rule apart, and their values.
    pub fn group_fields(&self) -> BTreeMap<&str, &str> {
        if let Some(group) = &self.group {
            let fields = group.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            return fields.collect();
        }
        let fields = [
            ("host", &self.host),
            ("user", &self.user),
            ("source_ip", &self.source_ip),
            ("dest_ip", &self.dest_ip),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        fields.collect()
    }

    /// Checks that the match can be stored.
    ///
    /// # Errors
    ///
    /// If it names no rule, no type or no method, or if its window is shorter than a second.
    pub fn validate(&self) -> Result<(), InvalidValue> {
        let required = [
            ("rule of a match", &self.rule_id),
            ("type of a match", &self.alert_type),
            ("detection method of a match", &self.detection_method),
        ];
        if let Some((subject, text)) = required.into_iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(InvalidValue::new(subject, text, "a match needs one"));
        }
        match self.window >= TimeDelta::seconds(1) {
            true => Ok(()),
            false => {
                let window = self.window.to_string();
                Err(InvalidValue::new(
                    "window of a match",
                    &window,
                    "use at least a second",
                ))
            }
        }
    }

    /// Returns the log, or one that has the fields of the match if only its key is known.
    pub(crate) fn evidence(&self) -> Cow<'_, LogEntry> {
        if let Some(log) = &self.entry {
            return Cow::Borrowed(log);
        }
        let mut log = LogEntry::new(self.log.event_time).with_id(&self.log.id);
        let columns = [
            ("source_ip", &self.source_ip),
            ("dest_ip", &self.dest_ip),
            ("user", &self.user),
            ("process", &self.process),
        ];
        for (name, value) in columns {
            if let Some(value) = value {
                log = log.with_field(name, value.as_str());
            }
        }
        for (name, value) in self.group.iter().flatten() {
            log = log.with_field(name, value.as_str());
        }
        log.host.clone_from(&self.host);
        Cow::Owned(log)
    }
}

/// Describes a log that matches a rule of a correlation. Correlations keep no state: they look at stored hits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hit {
    /// Names the correlation.
    pub correlation_id: String,
    /// Holds the values of the fields that the correlation groups by.
    pub group_key: String,
    /// Names the log by its time and its id. Hits of one group are in this order.
    pub log: LogKey,
    /// Names the rule that matches the log.
    pub rule_id: String,
    /// Tells versions of the rule apart.
    pub rule_version: String,
    /// Holds the value that the correlation counts, sums or compares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Names stored hits: those of one correlation and one group, from a time on and before another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitRange {
    /// Names the correlation.
    pub correlation_id: String,
    /// Holds the values of the fields that the correlation groups by.
    pub group_key: String,
    /// Holds the least time.
    pub since: DateTime<Utc>,
    /// Holds the time before which all hits are.
    pub until: DateTime<Utc>,
}

impl HitRange {
    /// Returns ranges that hold the same hits, none of which overlap.
    pub(crate) fn merged(ranges: &[Self]) -> Vec<Self> {
        let mut ranges = ranges.to_vec();
        ranges.sort_by(|a, b| {
            let of_group = (&a.correlation_id, &a.group_key).cmp(&(&b.correlation_id, &b.group_key));
            of_group.then_with(|| a.since.cmp(&b.since))
        });
        let mut merged: Vec<Self> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last)
                    if last.correlation_id == range.correlation_id
                        && last.group_key == range.group_key
                        && range.since <= last.until =>
                {
                    last.until = last.until.max(range.until);
                }
                _ => merged.push(range),
            }
        }
        merged
    }

    /// Returns whether a hit is one of them.
    pub fn contains(&self, hit: &Hit) -> bool {
        hit.correlation_id == self.correlation_id
            && hit.group_key == self.group_key
            && hit.log.event_time >= self.since
            && hit.log.event_time < self.until
    }
}

/// Holds what a detector found in some logs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Detections {
    /// Holds the matches, which become alerts.
    pub matches: Vec<Match>,
    /// Holds the hits, which are kept for correlations.
    pub hits: Vec<Hit>,
    /// Names the receiver that new alerts wait for, but for suppressed ones: see
    /// [`AlertStore::undelivered_alerts`](crate::AlertStore::undelivered_alerts).
    pub receiver: Option<String>,
}

impl Detections {
    /// Checks that all of it can be stored.
    ///
    /// # Errors
    ///
    /// If a match cannot be: see [`Match::validate`].
    pub fn validate(&self) -> Result<(), InvalidValue> {
        self.matches.iter().try_for_each(Match::validate)
    }
}
