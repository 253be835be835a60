//! Alerts: the findings of detectors, and the work of analysts on them.

mod detection;
mod event;
mod lifecycle;
mod ocsf;
mod query;
mod rule_day;
mod status;
mod suppression;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::time::to_micros;
use super::{AddressText, InvalidValue, Severity, check_nesting};
pub use detection::{Detections, Hit, HitRange, Match};
pub use event::{AlertAction, AlertEvent};
pub use lifecycle::{AlertLog, LogRole};
pub(crate) use lifecycle::{Counts, Found, Series, Tally, kept_logs};
pub use query::{AlertOrder, AlertQuery};
pub use rule_day::RuleDay;
pub use status::{AlertStatus, Verdict};
pub use suppression::Suppression;

/// Describes a finding of a detector.
///
/// ```
/// use logstore::{Alert, RiskFactor, Severity};
///
/// let alert = Alert::new("brute_force", "heuristic", Severity::High)
///     .with_description("12 failed logins in a minute")
///     .with_source_ip("203.0.113.9")
///     .with_confidence(0.9)?
///     .with_risk_factor(RiskFactor::KnownIndicator);
/// assert_eq!(alert.priority_score, 75.0 * 0.95 + 5.0);
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenAlert")]
#[non_exhaustive]
pub struct Alert {
    /// Names the alert; storing an id again changes nothing.
    pub id: String,
    /// Names the log that gave rise to the alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_id: Option<String>,
    /// Names the kind of finding, such as `brute_force`.
    pub alert_type: String,
    /// Names the method that found it, such as `heuristic` or `sigma`.
    pub detection_method: String,
    /// Says how serious the alert is.
    pub severity: Severity,
    /// Holds the text for people.
    pub description: String,
    /// Holds anything else that is known.
    pub metadata: Map<String, Value>,
    /// Holds the time when the alert was raised, in UTC, to the microsecond.
    pub created_at: DateTime<Utc>,
    /// Says whether the status is other than new. A new alert that says so is stored as one in progress.
    pub acknowledged: bool,
    /// Says how urgent the alert is, from 0 to 100: see [`priority_score`]. JSON without a score gets one, computed
    /// from severity, confidence and risk factors.
    pub priority_score: f64,
    /// Holds the address that acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<String>,
    /// Holds the address that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_ip: Option<String>,
    /// Names the user involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Names the host involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Names the program involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// Names the rule that raised the alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<String>,
    /// Holds the tags of the rule, such as `attack.t1059.001`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Says how far the work on the alert is.
    pub status: AlertStatus,
    /// Says what a closed alert was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Names the person who is responsible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Counts the matches of the rule.
    pub count: u64,
    /// Holds the time of the earliest log that is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<DateTime<Utc>>,
    /// Holds the time of the latest log that is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<DateTime<Utc>>,
    /// Holds the time of the last change, in UTC, to the microsecond.
    pub updated_at: DateTime<Utc>,
    /// Holds the SHA-256 of the rule and of the fields that tell its alerts apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Holds the start of the window whose matches are counted together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_start: Option<DateTime<Utc>>,
    /// Holds the end of that window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_end: Option<DateTime<Utc>>,
    /// Counts the alerts of this fingerprint and window up to this one. Each one before it was closed when a match came.
    pub generation: u32,
    /// Names the alert of the generation before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_id: Option<String>,
    /// Says whether only hunts have found it, and no detector that read new logs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub found_later: bool,
    /// Says whether its counted logs are forgotten but for those that are kept. No match is counted any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_settled: bool,
}

/// Holds an alert as JSON has it. Missing members are filled when it becomes an [`Alert`].
#[derive(Deserialize)]
struct WrittenAlert {
    #[serde(default = "new_id")]
    id: String,
    log_id: Option<String>,
    alert_type: String,
    detection_method: String,
    severity: Severity,
    #[serde(default)]
    description: String,
    metadata: Option<Map<String, Value>>,
    #[serde(default = "now")]
    created_at: DateTime<Utc>,
    #[serde(default)]
    acknowledged: bool,
    priority_score: Option<f64>,
    source_ip: Option<String>,
    dest_ip: Option<String>,
    user: Option<String>,
    host: Option<String>,
    process: Option<String>,
    rule_id: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    status: Option<AlertStatus>,
    verdict: Option<Verdict>,
    assignee: Option<String>,
    #[serde(default = "one")]
    count: u64,
    first_seen: Option<DateTime<Utc>>,
    last_seen: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    fingerprint: Option<String>,
    window_start: Option<DateTime<Utc>>,
    window_end: Option<DateTime<Utc>>,
    #[serde(default = "one")]
    generation: u32,
    previous_id: Option<String>,
    #[serde(default)]
    found_later: bool,
    #[serde(default)]
    is_settled: bool,
}

fn one<N: From<u8>>() -> N {
    1.into()
}

impl TryFrom<WrittenAlert> for Alert {
    type Error = InvalidValue;

    fn try_from(written: WrittenAlert) -> Result<Self, InvalidValue> {
        let mut alert = Self {
            id: written.id,
            log_id: written.log_id,
            alert_type: written.alert_type,
            detection_method: written.detection_method,
            severity: written.severity,
            description: written.description,
            metadata: written.metadata.unwrap_or_default(),
            created_at: written.created_at,
            acknowledged: written.acknowledged,
            priority_score: 0.0,
            source_ip: address(written.source_ip)?,
            dest_ip: address(written.dest_ip)?,
            user: written.user,
            host: written.host,
            process: written.process,
            rule_id: written.rule_id,
            tags: written.tags,
            status: written.status.unwrap_or_default(),
            verdict: written.verdict,
            assignee: written.assignee,
            count: written.count,
            first_seen: written.first_seen,
            last_seen: written.last_seen,
            updated_at: written.updated_at.unwrap_or(written.created_at),
            fingerprint: written.fingerprint,
            window_start: written.window_start,
            window_end: written.window_end,
            generation: written.generation,
            previous_id: written.previous_id,
            found_later: written.found_later,
            is_settled: written.is_settled,
        };
        match written.priority_score {
            Some(score) => alert.priority_score = score,
            None => alert.update_score(),
        }
        // A status that is written decides; older versions wrote only the flag.
        if written.status.is_some() {
            alert.acknowledged = alert.status != AlertStatus::New;
        }
        alert.settle_status();
        Ok(alert)
    }
}

/// Reads an address, which is compared with those of logs and indicators: in canonical form (RFC 5952), or not at all.
fn address(text: Option<String>) -> Result<Option<String>, InvalidValue> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let address = super::address::parse(&text);
    let reason = "is no IP address: leave it out, or put it into the metadata";
    let address = address.ok_or_else(|| InvalidValue::new("address", &text, reason))?;
    Ok(Some(address.to_string()))
}

/// Names a circumstance that makes an alert more urgent than its severity alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskFactor {
    /// Means that threat intelligence lists an address, name or hash involved.
    KnownIndicator,
    /// Means that a user with wide rights is involved.
    PrivilegedUser,
    /// Means that a host that matters is involved.
    CriticalAsset,
    /// Means that the finding has been seen before.
    Repeated,
}

/// Computes the score of an alert, from 0 to 100.
///
/// The score is the base of the severity, times a factor for the confidence, plus 5 for each risk factor. The base is
/// 10 for informational, 30 for low, 50 for medium, 75 for high and 95 for critical. The factor goes from 0.5 at no
/// confidence to 1 at full confidence. The score is 100 at most.
///
/// ```
/// use logstore::{Severity, priority_score};
///
/// assert_eq!(priority_score(Severity::Medium, 1.0, 0), 50.0);
/// assert_eq!(priority_score(Severity::Medium, 0.0, 2), 35.0);
/// assert_eq!(priority_score(Severity::Critical, 1.0, 4), 100.0);
/// ```
pub fn priority_score(severity: Severity, confidence: f64, risk_factors: u8) -> f64 {
    let base = match severity {
        Severity::Informational => 10.0,
        Severity::Low => 30.0,
        Severity::Medium => 50.0,
        Severity::High => 75.0,
        Severity::Critical => 95.0,
    };
    let certainty = 0.5 + 0.5 * confidence.clamp(0.0, 1.0);
    (base * certainty + 5.0 * f64::from(risk_factors)).min(100.0)
}

const CONFIDENCE: &str = "confidence";
const RISK_FACTORS: &str = "risk_factors";

impl Alert {
    /// Makes an alert raised now, with a new id and full confidence.
    pub fn new(
        alert_type: impl Into<String>,
        detection_method: impl Into<String>,
        severity: Severity,
    ) -> Self {
        let now = now();
        let mut alert = Self {
            id: new_id(),
            log_id: None,
            alert_type: alert_type.into(),
            detection_method: detection_method.into(),
            severity,
            description: String::new(),
            metadata: Map::new(),
            created_at: now,
            acknowledged: false,
            priority_score: 0.0,
            source_ip: None,
            dest_ip: None,
            user: None,
            host: None,
            process: None,
            rule_id: None,
            tags: Vec::new(),
            status: AlertStatus::New,
            verdict: None,
            assignee: None,
            count: 1,
            first_seen: None,
            last_seen: None,
            updated_at: now,
            fingerprint: None,
            window_start: None,
            window_end: None,
            generation: 1,
            previous_id: None,
            found_later: false,
            is_settled: false,
        };
        alert.update_score();
        alert
    }

    /// Replaces the id.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..self
        }
    }

    /// Names the log that gave rise to the alert.
    #[must_use]
    pub fn with_log_id(self, log_id: impl Into<String>) -> Self {
        Self {
            log_id: Some(log_id.into()),
            ..self
        }
    }

    /// Sets the text for people.
    #[must_use]
    pub fn with_description(self, description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            ..self
        }
    }

    /// Sets when the alert was raised, and last changed.
    #[must_use]
    pub fn with_created_at(self, time: DateTime<Utc>) -> Self {
        Self {
            created_at: to_micros(time),
            updated_at: to_micros(time),
            ..self
        }
    }

    /// Sets the address that acted.
    #[must_use]
    pub fn with_source_ip(self, address: impl Into<AddressText>) -> Self {
        Self {
            source_ip: Some(address.into().0),
            ..self
        }
    }

    /// Sets the address that was acted on.
    #[must_use]
    pub fn with_dest_ip(self, address: impl Into<AddressText>) -> Self {
        Self {
            dest_ip: Some(address.into().0),
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

    /// Sets the host involved.
    #[must_use]
    pub fn with_host(self, host: impl Into<String>) -> Self {
        Self {
            host: Some(host.into()),
            ..self
        }
    }

    /// Sets how sure the detector is, from 0 to 1, and with it the score.
    ///
    /// # Errors
    ///
    /// If the confidence is not in that range.
    pub fn with_confidence(mut self, confidence: f64) -> Result<Self, InvalidValue> {
        let confidence = super::threat_intel::checked_confidence(confidence)?;
        self.metadata.insert(CONFIDENCE.into(), confidence.into());
        self.update_score();
        Ok(self)
    }

    /// Adds a risk factor, and with it to the score. Adding one again changes nothing.
    #[must_use]
    pub fn with_risk_factor(mut self, factor: RiskFactor) -> Self {
        let mut factors = self.risk_factors();
        if !factors.contains(&factor) {
            factors.push(factor);
        }
        let names = factors
            .iter()
            .filter_map(|factor| serde_json::to_value(factor).ok());
        self.metadata.insert(RISK_FACTORS.into(), names.collect());
        self.update_score();
        self
    }

    /// Adds to the metadata. The keys `confidence` and `risk_factors` change the score: see
    /// [`with_confidence`](Self::with_confidence) and [`with_risk_factor`](Self::with_risk_factor).
    #[must_use]
    pub fn with_metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = name.into();
        let is_scored = [CONFIDENCE, RISK_FACTORS].contains(&name.as_str());
        self.metadata.insert(name, value.into());
        if is_scored {
            self.update_score();
        }
        self
    }

    /// Returns how sure the detector is, from 0 to 1; 1 where it did not say.
    pub fn confidence(&self) -> f64 {
        self.metadata
            .get(CONFIDENCE)
            .and_then(Value::as_f64)
            .unwrap_or(1.0)
    }

    /// Returns the circumstances that make the alert more urgent than its severity alone.
    pub fn risk_factors(&self) -> Vec<RiskFactor> {
        let factors = self.metadata.get(RISK_FACTORS).cloned().unwrap_or_default();
        serde_json::from_value(factors).unwrap_or_default()
    }

    /// Returns the ATT&CK techniques that the tags name, such as `T1059.001`.
    ///
    /// ```
    /// use logstore::{Alert, Severity};
    ///
    /// let mut alert = Alert::new("sigma", "sigma", Severity::High);
    /// alert.tags = vec!["attack.execution".into(), "attack.t1059.001".into()];
    /// assert_eq!(alert.techniques(), ["T1059.001"]);
    /// ```
    pub fn techniques(&self) -> Vec<String> {
        let tags = self.tags.iter().filter_map(|tag| tag.strip_prefix("attack."));
        let is_technique = |name: &&str| {
            let number = name.strip_prefix(['t', 'T']).unwrap_or_default();
            number.starts_with(|first: char| first.is_ascii_digit())
        };
        tags.filter(is_technique).map(str::to_ascii_uppercase).collect()
    }

    /// Makes the status and the flag say the same.
    pub(crate) fn settle_status(&mut self) {
        if self.acknowledged && self.status == AlertStatus::New {
            self.status = AlertStatus::InProgress;
        }
        self.acknowledged = self.status != AlertStatus::New;
    }

    fn update_score(&mut self) {
        let factors = u8::try_from(self.risk_factors().len()).unwrap_or(u8::MAX);
        self.priority_score = priority_score(self.severity, self.confidence(), factors);
    }

    /// Checks that the alert can be stored.
    ///
    /// # Errors
    ///
    /// If a required field is empty, or `metadata` is nested too deeply: more than 100 levels.
    pub fn validate(&self) -> Result<(), InvalidValue> {
        let required = [
            ("alert id", &self.id),
            ("alert type", &self.alert_type),
            ("detection method", &self.detection_method),
        ];
        match required.into_iter().find(|(_, text)| text.trim().is_empty()) {
            Some((subject, text)) => Err(InvalidValue::new(subject, text, "an alert needs one")),
            None => check_nesting("alert metadata", self.metadata.values()),
        }
    }
}

fn new_id() -> String {
    super::time::id_of_now()
}

fn now() -> DateTime<Utc> {
    to_micros(super::time::now())
}
