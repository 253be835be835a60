//! Suppressions: matches that need no analyst.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Match, new_id, now};
use crate::models::{Filter, InvalidValue};

/// Says which matches need no analyst. They are stored and counted, in alerts whose status is suppressed.
///
/// The time of the log decides whether a suppression has expired, and not the time of the detection. So detection over
/// old logs suppresses what detection over new logs did.
///
/// ```
/// use logstore::alerts::Suppression;
///
/// let suppression = Suppression::new("the scanner of the audit", "host = scanner1".parse()?).of_rule("5013c332");
/// assert!(suppression.validate().is_ok());
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Suppression {
    /// Names the suppression.
    #[serde(default = "new_id")]
    pub id: String,
    /// Names the rule whose matches are suppressed; `None` means every rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<String>,
    /// Passes the logs whose matches are suppressed.
    #[serde(default)]
    pub filter: Filter,
    /// Says why.
    pub reason: String,
    /// Names the person who decided it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Holds the time when it was made, in UTC, to the microsecond.
    #[serde(default = "now")]
    pub created_at: DateTime<Utc>,
    /// Holds the time from which on logs are not suppressed; `None` means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

impl Suppression {
    /// Suppresses matches of the logs that pass a filter, of every rule and without an end.
    pub fn new(reason: impl Into<String>, filter: Filter) -> Self {
        Self {
            id: new_id(),
            rule_id: None,
            filter,
            reason: reason.into(),
            owner: None,
            created_at: now(),
            expires_at: None,
        }
    }

    /// Suppresses matches of this rule only.
    #[must_use]
    pub fn of_rule(self, id: impl Into<String>) -> Self {
        Self {
            rule_id: Some(id.into()),
            ..self
        }
    }

    /// Names the person who decided it.
    #[must_use]
    pub fn with_owner(self, owner: impl Into<String>) -> Self {
        Self {
            owner: Some(owner.into()),
            ..self
        }
    }

    /// Ends it: logs from this time on are not suppressed.
    #[must_use]
    pub fn until(self, time: DateTime<Utc>) -> Self {
        Self {
            expires_at: Some(crate::models::to_micros(time)),
            ..self
        }
    }

    /// Checks that the suppression can be stored.
    ///
    /// # Errors
    ///
    /// If it has no reason, or would suppress every match of every rule.
    pub fn validate(&self) -> Result<(), InvalidValue> {
        if self.reason.trim().is_empty() {
            return Err(InvalidValue::new(
                "reason",
                &self.reason,
                "a suppression needs one",
            ));
        }
        if self.rule_id.is_none() && self.filter == Filter::default() {
            let reason = "it would suppress every match of every rule: name a rule or a filter";
            return Err(InvalidValue::new("suppression", &self.reason, reason));
        }
        Ok(())
    }

    /// Returns whether a match needs no analyst.
    pub fn covers(&self, found: &Match) -> bool {
        self.rule_id.as_ref().is_none_or(|id| *id == found.rule_id)
            && self.expires_at.is_none_or(|expiry| found.log.event_time < expiry)
            && self.filter.matches(&found.evidence())
    }
}
