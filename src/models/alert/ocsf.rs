//! Alerts as OCSF has them: Detection Finding, class 2004, of schema 1.8.0 with the profile for incidents.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{Alert, AlertStatus, Verdict};
use crate::models::{LogKey, Severity};

const SCHEMA: &str = "1.8.0";
const CLASS: u32 = 2004;
const CATEGORY: u32 = 2;

/// Lists the tactics of ATT&CK as tags of rules name them, with their numbers.
const TACTICS: [(&str, &str, &str); 14] = [
    ("reconnaissance", "TA0043", "Reconnaissance"),
    ("resource-development", "TA0042", "Resource Development"),
    ("initial-access", "TA0001", "Initial Access"),
    ("execution", "TA0002", "Execution"),
    ("persistence", "TA0003", "Persistence"),
    ("privilege-escalation", "TA0004", "Privilege Escalation"),
    ("defense-evasion", "TA0005", "Defense Evasion"),
    ("credential-access", "TA0006", "Credential Access"),
    ("discovery", "TA0007", "Discovery"),
    ("lateral-movement", "TA0008", "Lateral Movement"),
    ("collection", "TA0009", "Collection"),
    ("command-and-control", "TA0011", "Command and Control"),
    ("exfiltration", "TA0010", "Exfiltration"),
    ("impact", "TA0040", "Impact"),
];

/// Names the types of observables.
mod observable {
    pub(super) const HOSTNAME: u32 = 1;
    pub(super) const IP_ADDRESS: u32 = 2;
    pub(super) const USER_NAME: u32 = 4;
    pub(super) const PROCESS_NAME: u32 = 9;
}

/// Collects the members of an object that have a value.
#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn with_items(self, name: &str, items: Vec<Value>) -> Self {
        self.with_some(name, Some(items).filter(|items| !items.is_empty()))
    }
}

impl Alert {
    /// Returns the alert as a Detection Finding of OCSF 1.8.0, class 2004, with the keys of its logs.
    ///
    /// ```
    /// use logstore::{Alert, Severity};
    ///
    /// let finding = Alert::new("brute_force", "heuristic", Severity::High).to_ocsf(&[]);
    /// assert_eq!((finding["class_uid"].as_u64(), finding["type_uid"].as_u64()), (Some(2004), Some(200_401)));
    /// ```
    pub fn to_ocsf(&self, logs: &[LogKey]) -> Value {
        let (activity_id, activity_name) = match self.status {
            AlertStatus::Resolved => (3, "Close"),
            _ if self.updated_at > self.created_at => (2, "Update"),
            _ => (1, "Create"),
        };
        let (severity_id, severity) = severity(self.severity);
        let (status_id, status) = status(self.status);
        let verdict = self.verdict.map(verdict);
        let finding = Members::default()
            .with("activity_id", activity_id)
            .with("activity_name", activity_name)
            .with("category_uid", CATEGORY)
            .with("category_name", "Findings")
            .with("class_uid", CLASS)
            .with("class_name", "Detection Finding")
            .with("type_uid", CLASS * 100 + activity_id)
            .with("type_name", format!("Detection Finding: {activity_name}"))
            .with("time", millis(self.updated_at))
            .with("severity_id", severity_id)
            .with("severity", severity)
            .with("status_id", status_id)
            .with("status", status)
            .with_some("verdict_id", verdict.map(|(id, _)| id))
            .with_some("verdict", verdict.map(|(_, caption)| caption))
            .with_some(
                "assignee",
                self.assignee.as_ref().map(|name| json!({"name": name})),
            )
            .with("message", self.title())
            .with("count", self.count)
            .with_some("start_time", self.first_seen.map(millis))
            .with_some("end_time", self.last_seen.map(millis))
            .with("is_alert", true)
            .with("confidence_score", percent(self.confidence() * 100.0))
            .with("risk_score", percent(self.priority_score))
            .with("metadata", metadata())
            .with("finding_info", self.finding_info(logs))
            .with_items("evidences", self.evidences())
            .with_items("observables", self.observables())
            .with("unmapped", self.unmapped());
        finding.0.into()
    }

    /// Returns the text for people; without one, the kind of finding.
    fn title(&self) -> &str {
        match self.description.is_empty() {
            true => &self.alert_type,
            false => &self.description,
        }
    }

    fn finding_info(&self, logs: &[LogKey]) -> Value {
        let analytic = self
            .rule_id
            .as_ref()
            .map(|id| json!({"uid": id, "name": self.title(), "type_id": 1, "type": "Rule"}));
        let related = logs.iter().map(|log| json!({"uid": log.to_string()}));
        let info = Members::default()
            .with("uid", self.id.as_str())
            .with("title", self.title())
            .with("types", json!([self.alert_type]))
            .with("created_time", millis(self.created_at))
            .with("modified_time", millis(self.updated_at))
            .with_some("first_seen_time", self.first_seen.map(millis))
            .with_some("last_seen_time", self.last_seen.map(millis))
            .with_some("analytic", analytic)
            .with_items("attacks", self.attacks())
            .with_items("related_events", related.collect())
            .with("related_events_count", self.count);
        info.0.into()
    }

    /// Returns the techniques and tactics of ATT&CK that the tags name.
    fn attacks(&self) -> Vec<Value> {
        let techniques = self.techniques().into_iter().map(|id| match id.split_once('.') {
            Some((technique, _)) => json!({"technique": {"uid": technique}, "sub_technique": {"uid": id}}),
            None => json!({"technique": {"uid": id}}),
        });
        let names = self.tags.iter().filter_map(|tag| tag.strip_prefix("attack."));
        let tactics = names.filter_map(|name| {
            let name = name.replace('_', "-");
            let (_, uid, name) = TACTICS.iter().find(|(tag, ..)| *tag == name)?;
            Some(json!({"tactic": {"uid": uid, "name": name}}))
        });
        techniques.chain(tactics).collect()
    }

    fn evidences(&self) -> Vec<Value> {
        let user = self.user.as_ref();
        let evidence = Members::default()
            .with_some(
                "src_endpoint",
                self.source_ip.as_ref().map(|ip| json!({"ip": ip})),
            )
            .with_some("dst_endpoint", self.dest_ip.as_ref().map(|ip| json!({"ip": ip})))
            .with_some("actor", user.map(|name| json!({"user": {"name": name}})))
            .with_some(
                "device",
                self.host
                    .as_ref()
                    .map(|host| json!({"hostname": host, "type_id": 0})),
            );
        match evidence.0.is_empty() {
            true => Vec::new(),
            false => vec![evidence.0.into()],
        }
    }

    fn observables(&self) -> Vec<Value> {
        let found = [
            (
                "evidences[].src_endpoint.ip",
                observable::IP_ADDRESS,
                "IP Address",
                &self.source_ip,
            ),
            (
                "evidences[].dst_endpoint.ip",
                observable::IP_ADDRESS,
                "IP Address",
                &self.dest_ip,
            ),
            (
                "evidences[].actor.user.name",
                observable::USER_NAME,
                "User Name",
                &self.user,
            ),
            (
                "evidences[].device.hostname",
                observable::HOSTNAME,
                "Hostname",
                &self.host,
            ),
            (
                "unmapped.process",
                observable::PROCESS_NAME,
                "Process Name",
                &self.process,
            ),
        ];
        let found = found.into_iter().filter_map(|(name, type_id, type_name, value)| {
            let value = value.as_ref()?;
            Some(json!({"name": name, "type_id": type_id, "type": type_name, "value": value}))
        });
        found.collect()
    }

    /// Returns what the schema has no place for.
    fn unmapped(&self) -> Value {
        let tags = self.tags.iter().map(|tag| tag.as_str().into()).collect();
        let unmapped = Members::default()
            .with("detection_method", self.detection_method.as_str())
            .with_items("tags", tags)
            .with_some("process", self.process.as_deref())
            .with_some("fingerprint", self.fingerprint.as_deref())
            .with_some("previous_id", self.previous_id.as_deref())
            .with("found_later", self.found_later)
            .with_some("log_id", self.log_id.as_deref())
            .with("metadata", self.metadata.clone());
        unmapped.0.into()
    }
}

fn metadata() -> Value {
    json!({
        "version": SCHEMA,
        "profiles": ["incident"],
        "product": {"name": "logstore", "vendor_name": "logstore", "version": env!("CARGO_PKG_VERSION")},
    })
}

fn millis(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

#[expect(clippy::cast_possible_truncation, reason = "it is between 0 and 100")]
fn percent(score: f64) -> i64 {
    score.clamp(0.0, 100.0).round() as i64
}

fn severity(severity: Severity) -> (u32, &'static str) {
    match severity {
        Severity::Informational => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

fn status(status: AlertStatus) -> (u32, &'static str) {
    match status {
        AlertStatus::New => (1, "New"),
        AlertStatus::InProgress => (2, "In Progress"),
        AlertStatus::Suppressed => (3, "Suppressed"),
        AlertStatus::Resolved => (4, "Resolved"),
    }
}

fn verdict(verdict: Verdict) -> (u32, &'static str) {
    match verdict {
        Verdict::FalsePositive => (1, "False Positive"),
        Verdict::TruePositive => (2, "True Positive"),
        Verdict::Benign => (5, "Benign"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists the attributes that the schema requires, as paths.
    const REQUIRED: [&str; 11] = [
        "/activity_id",
        "/category_uid",
        "/class_uid",
        "/finding_info/uid",
        "/metadata/product/name",
        "/metadata/version",
        "/severity_id",
        "/time",
        "/type_uid",
        "/finding_info",
        "/metadata/product",
    ];

    #[test]
    fn findings_have_every_required_attribute() {
        for status in AlertStatus::ALL {
            let mut alert = Alert::new("brute_force", "heuristic", Severity::Low);
            alert.set_status(status);
            let finding = alert.to_ocsf(&[]);
            for path in REQUIRED {
                assert!(
                    finding.pointer(path).is_some_and(|value| !value.is_null()),
                    "{path}: {finding}"
                );
            }
            let number = |name: &str| finding[name].as_u64().unwrap();
            assert_eq!(
                number("type_uid"),
                number("class_uid") * 100 + number("activity_id")
            );
        }
    }

    #[test]
    fn a_full_alert_keeps_its_objects_complete() {
        let mut alert = Alert::new("sigma", "sigma", Severity::Critical)
            .with_description("Encoded command")
            .with_source_ip("203.0.113.9")
            .with_user("root")
            .with_host("web1");
        alert.tags = [
            "attack.execution",
            "attack.t1059.001",
            "attack.t1003",
            "attack.g0001",
            "cve.2024-1",
        ]
        .map(str::to_owned)
        .to_vec();
        alert.rule_id = Some("5013c332".to_owned());
        alert.process = Some("cmd.exe".to_owned());
        alert.set_status(AlertStatus::Resolved);
        alert.verdict = Some(Verdict::Benign);
        let log = LogKey::new(alert.created_at, "log 1");
        let finding = alert.to_ocsf(std::slice::from_ref(&log));
        assert_eq!(
            (&finding["activity_id"], &finding["verdict_id"]),
            (&json!(3), &json!(5))
        );
        let info = &finding["finding_info"];
        assert_eq!(info["related_events"], json!([{"uid": log.to_string()}]));
        let attacks = json!([
            {"technique": {"uid": "T1059"}, "sub_technique": {"uid": "T1059.001"}},
            {"technique": {"uid": "T1003"}},
            {"tactic": {"uid": "TA0002", "name": "Execution"}},
        ]);
        assert_eq!(info["attacks"], attacks);
        assert_eq!(info["analytic"]["type_id"], 1);
        assert_eq!(
            finding["evidences"][0]["device"],
            json!({"hostname": "web1", "type_id": 0})
        );
        assert_eq!(finding["observables"].as_array().unwrap().len(), 4);
    }
}
