//! What detectors look for, and which rules a caller wants.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::time::to_micros;
use super::{InvalidValue, check_nesting};

/// A rule of a detector: a name, a type that says who can read the definition, and the definition.
///
/// ```
/// use logstore::DetectionRule;
/// use serde_json::json;
///
/// let rule = DetectionRule::new("Failed logins", "threshold", json!({"contains": "Failed", "count": 5}));
/// assert!(rule.enabled);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DetectionRule {
    /// Names the rule; a rule with the same id replaces it.
    #[serde(default = "new_id")]
    pub id: String,
    /// The name for people.
    #[serde(alias = "name")]
    pub rule_name: String,
    /// The kind of rule, such as `sigma` or `threshold`.
    #[serde(alias = "type")]
    pub rule_type: String,
    /// What the rule looks for; its form depends on the type.
    #[serde(alias = "definition")]
    pub rule_definition: Value,
    /// Whether detectors apply it.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// When it was first stored, in UTC, to the microsecond.
    #[serde(default = "now")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed, in UTC, to the microsecond.
    #[serde(default = "now")]
    pub updated_at: DateTime<Utc>,
}

impl DetectionRule {
    /// An enabled rule with a new id, made now.
    pub fn new(rule_name: impl Into<String>, rule_type: impl Into<String>, rule_definition: Value) -> Self {
        let now = now();
        Self {
            id: new_id(),
            rule_name: rule_name.into(),
            rule_type: rule_type.into(),
            rule_definition,
            enabled: true,
            created_at: now,
            updated_at: now,
        }
    }

    /// Replaces the id.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..self
        }
    }

    /// Disables the rule: detectors do not apply it.
    #[must_use]
    pub fn disabled(self) -> Self {
        Self {
            enabled: false,
            ..self
        }
    }

    /// Whether the rule can be stored.
    ///
    /// # Errors
    ///
    /// If a required field is empty, or the definition is nested too deeply: more than 100 levels.
    pub fn validate(&self) -> Result<(), InvalidValue> {
        let required = [
            ("rule id", &self.id),
            ("rule name", &self.rule_name),
            ("rule type", &self.rule_type),
        ];
        match required.into_iter().find(|(_, text)| text.trim().is_empty()) {
            Some((subject, text)) => Err(InvalidValue::new(subject, text, "a rule needs one")),
            None => check_nesting("rule definition", [&self.rule_definition]),
        }
    }
}

fn new_id() -> String {
    super::time::id_of_now()
}

fn now() -> DateTime<Utc> {
    to_micros(super::time::now())
}

fn yes() -> bool {
    true
}

/// Which rules are wanted. All conditions must hold; they come in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RuleQuery {
    /// The rule with this id.
    pub id: Option<String>,
    /// Rules of this type.
    pub rule_type: Option<String>,
    /// Rules that are, or are not, enabled.
    pub enabled: Option<bool>,
}

impl RuleQuery {
    /// Every rule.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this id.
    #[must_use]
    pub fn id(self, id: impl Into<String>) -> Self {
        Self {
            id: Some(id.into()),
            ..self
        }
    }

    /// Of this type.
    #[must_use]
    pub fn rule_type(self, rule_type: impl Into<String>) -> Self {
        Self {
            rule_type: Some(rule_type.into()),
            ..self
        }
    }

    /// That are, or are not, enabled.
    #[must_use]
    pub fn enabled(self, enabled: bool) -> Self {
        Self {
            enabled: Some(enabled),
            ..self
        }
    }

    /// Whether a rule is wanted.
    pub fn matches(&self, rule: &DetectionRule) -> bool {
        self.id.as_ref().is_none_or(|wanted| rule.id == *wanted)
            && self
                .rule_type
                .as_ref()
                .is_none_or(|wanted| rule.rule_type == *wanted)
            && self.enabled.is_none_or(|wanted| rule.enabled == wanted)
    }
}
