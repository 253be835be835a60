//! What a rule found on a day.

use chrono::NaiveDate;
use serde::Serialize;

/// Counts what a rule found on a day of event time, in UTC.
///
/// Alerts and their matches count on the day of the alert's first log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct RuleDay {
    /// Names the rule.
    pub rule_id: String,
    /// Holds the day.
    pub day: NaiveDate,
    /// Counts the alerts.
    pub alerts: u64,
    /// Counts the matches that are counted in these alerts, suppressed ones included.
    pub matches: u64,
    /// Counts the logs of the stored hits. Upkeep deletes old hits.
    pub hits: u64,
}

impl RuleDay {
    pub(crate) fn new(rule_id: impl Into<String>, day: NaiveDate) -> Self {
        Self {
            rule_id: rule_id.into(),
            day,
            alerts: 0,
            matches: 0,
            hits: 0,
        }
    }
}
