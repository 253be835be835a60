//! Queries for alerts.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use super::{Alert, AlertStatus};
use crate::models::{AddressText, Severity, TimeBound};

/// Orders alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AlertOrder {
    /// Orders the alert that was raised last first, and alerts of one time by id.
    #[default]
    NewestFirst,
    /// Orders the alert with the highest score first; of those, the one that was raised last, then by id.
    RiskiestFirst,
}

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
    /// Matches alerts about this host, in any letter case ([RFC 4343](https://www.rfc-editor.org/rfc/rfc4343)).
    pub host: Option<String>,
    /// Matches alerts that are, or are not, acknowledged.
    pub acknowledged: Option<bool>,
    /// Matches alerts of one of these statuses; none means all.
    pub statuses: Vec<AlertStatus>,
    /// Matches alerts of this rule.
    pub rule_id: Option<String>,
    /// Matches alerts that this person is responsible for.
    pub assignee: Option<String>,
    /// Matches alerts with this tag.
    pub tag: Option<String>,
    /// Matches alerts whose id begins with this text.
    pub id_prefix: Option<String>,
    /// Orders the alerts.
    pub order: AlertOrder,
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

    /// Wants alerts of one of these statuses.
    #[must_use]
    pub fn statuses(self, statuses: impl IntoIterator<Item = AlertStatus>) -> Self {
        Self {
            statuses: statuses.into_iter().collect(),
            ..self
        }
    }

    /// Wants alerts of this rule.
    #[must_use]
    pub fn rule_id(self, id: impl Into<String>) -> Self {
        Self {
            rule_id: Some(id.into()),
            ..self
        }
    }

    /// Wants alerts that this person is responsible for.
    #[must_use]
    pub fn assignee(self, person: impl Into<String>) -> Self {
        Self {
            assignee: Some(person.into()),
            ..self
        }
    }

    /// Wants alerts with this tag.
    #[must_use]
    pub fn tag(self, tag: impl Into<String>) -> Self {
        Self {
            tag: Some(tag.into()),
            ..self
        }
    }

    /// Wants alerts whose id begins with this text.
    #[must_use]
    pub fn id_prefix(self, prefix: impl Into<String>) -> Self {
        Self {
            id_prefix: Some(prefix.into()),
            ..self
        }
    }

    /// Wants the alerts in this order.
    #[must_use]
    pub fn order(self, order: AlertOrder) -> Self {
        Self { order, ..self }
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
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
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
            && same(&lower(&self.host), &lower(&alert.host))
            && self
                .acknowledged
                .is_none_or(|wanted| alert.acknowledged == wanted)
            && (self.statuses.is_empty() || self.statuses.contains(&alert.status))
            && same(&self.rule_id, &alert.rule_id)
            && same(&self.assignee, &alert.assignee)
            && self.tag.as_ref().is_none_or(|wanted| alert.tags.contains(wanted))
            && self
                .id_prefix
                .as_ref()
                .is_none_or(|prefix| alert.id.starts_with(prefix))
    }

    /// Compares two alerts in the order that is wanted.
    pub(crate) fn compare(&self, a: &Alert, b: &Alert) -> Ordering {
        let newest_first = || b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id));
        match self.order {
            AlertOrder::NewestFirst => newest_first(),
            AlertOrder::RiskiestFirst => b
                .priority_score
                .total_cmp(&a.priority_score)
                .then_with(newest_first),
        }
    }
}
