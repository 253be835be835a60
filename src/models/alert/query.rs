//! Queries for alerts.

use chrono::{DateTime, Utc};

use super::Alert;
use crate::models::{AddressText, Severity, TimeBound};

/// Says which alerts a caller wants. All conditions must hold; the newest come first.
///
/// ```
/// use logstore::{Alert, AlertQuery, Severity};
///
/// let query = AlertQuery::new().min_severity(Severity::High).acknowledged(false);
/// assert!(query.matches(&Alert::new("malware", "yara", Severity::Critical)));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct AlertQuery {
    /// Matches alerts of exactly this severity.
    pub severity: Option<Severity>,
    /// Matches alerts of this severity or a higher one.
    pub min_severity: Option<Severity>,
    /// Matches alerts of this type.
    pub alert_type: Option<String>,
    /// Matches alerts raised from this time on.
    pub since: Option<DateTime<Utc>>,
    /// Matches alerts raised before this time.
    pub until: Option<DateTime<Utc>>,
    /// Matches alerts with this source address.
    pub source_ip: Option<String>,
    /// Matches alerts with this destination address.
    pub dest_ip: Option<String>,
    /// Matches alerts about this user.
    pub user: Option<String>,
    /// Matches alerts about this host.
    pub host: Option<String>,
    /// Matches alerts that are, or are not, acknowledged.
    pub acknowledged: Option<bool>,
    /// Limits the number of alerts; `None` means all.
    pub limit: Option<u64>,
}

impl AlertQuery {
    /// Wants every alert, the newest first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants alerts of exactly this severity.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        Self {
            severity: Some(severity),
            ..self
        }
    }

    /// Wants alerts of this severity or a higher one.
    #[must_use]
    pub fn min_severity(self, severity: Severity) -> Self {
        Self {
            min_severity: Some(severity),
            ..self
        }
    }

    /// Wants alerts of this type.
    #[must_use]
    pub fn alert_type(self, alert_type: impl Into<String>) -> Self {
        Self {
            alert_type: Some(alert_type.into()),
            ..self
        }
    }

    /// Wants alerts raised from a time on: a time, or how long before now.
    #[must_use]
    pub fn since(self, time: impl Into<TimeBound>) -> Self {
        Self {
            since: Some(time.into().time()),
            ..self
        }
    }

    /// Wants alerts raised before a time: a time, or how long before now.
    #[must_use]
    pub fn until(self, time: impl Into<TimeBound>) -> Self {
        Self {
            until: Some(time.into().time()),
            ..self
        }
    }

    /// Wants alerts with this source address.
    #[must_use]
    pub fn source_ip(self, address: impl Into<AddressText>) -> Self {
        Self {
            source_ip: Some(address.into().0),
            ..self
        }
    }

    /// Wants alerts with this destination address.
    #[must_use]
    pub fn dest_ip(self, address: impl Into<AddressText>) -> Self {
        Self {
            dest_ip: Some(address.into().0),
            ..self
        }
    }

    /// Wants alerts about this user.
    #[must_use]
    pub fn user(self, user: impl Into<String>) -> Self {
        Self {
            user: Some(user.into()),
            ..self
        }
    }

    /// Wants alerts about this host.
    #[must_use]
    pub fn host(self, host: impl Into<String>) -> Self {
        Self {
            host: Some(host.into()),
            ..self
        }
    }

    /// Wants alerts that are, or are not, acknowledged.
    #[must_use]
    pub fn acknowledged(self, acknowledged: bool) -> Self {
        Self {
            acknowledged: Some(acknowledged),
            ..self
        }
    }

    /// Wants at most `limit` alerts.
    #[must_use]
    pub fn limit(self, limit: u64) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// Says whether an alert is wanted. The limit is ignored.
    pub fn matches(&self, alert: &Alert) -> bool {
        let same = |wanted: &Option<String>, held: &Option<String>| wanted.is_none() || wanted == held;
        self.severity.is_none_or(|severity| alert.severity == severity)
            && self
                .min_severity
                .is_none_or(|severity| alert.severity >= severity)
            && self
                .alert_type
                .as_ref()
                .is_none_or(|wanted| alert.alert_type == *wanted)
            && self.since.is_none_or(|since| alert.created_at >= since)
            && self.until.is_none_or(|until| alert.created_at < until)
            && same(&self.source_ip, &alert.source_ip)
            && same(&self.dest_ip, &alert.dest_ip)
            && same(&self.user, &alert.user)
            && same(&self.host, &alert.host)
            && self
                .acknowledged
                .is_none_or(|wanted| alert.acknowledged == wanted)
    }
}
