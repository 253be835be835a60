//! Rules that detectors apply, and queries for them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::time::to_micros;
use super::{InvalidValue, check_nesting};

/// Holds a rule of a detector: its name, its type and its definition. The type says which detectors can read the
/// definition.
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
    /// Holds the name for people.
    #[serde(alias = "name")]
    pub rule_name: String,
    /// Names the kind of rule, such as `sigma` or `threshold`.
    #[serde(alias = "type")]
    pub rule_type: String,
    /// Says what the rule looks for, in a form that depends on the type.
    #[serde(alias = "definition")]
    pub rule_definition: Value,
    /// Says whether detectors apply the rule.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Holds the time when the rule was first stored, in UTC, to the microsecond.
    #[serde(default = "now")]
    pub created_at: DateTime<Utc>,
    /// Holds the time when the rule was last changed, in UTC, to the microsecond.
    #[serde(default = "now")]
    pub updated_at: DateTime<Utc>,
}

impl DetectionRule {
    /// Makes an enabled rule with a new id, created now.
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

    /// Checks that the rule can be stored.
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

/// Says which rules a caller wants. All conditions must hold; rules come in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RuleQuery {
    /// Matches the rule with this id.
    pub id: Option<String>,
    /// Matches rules whose id begins with this text.
    pub id_prefix: Option<String>,
    /// Matches rules of this type.
    pub rule_type: Option<String>,
    /// Matches rules that are, or are not, enabled.
    pub enabled: Option<bool>,
}

impl RuleQuery {
    /// Wants every rule.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants the rule with this id.
    #[must_use]
    pub fn id(self, id: impl Into<String>) -> Self {
        Self {
            id: Some(id.into()),
            ..self
        }
    }

    /// Wants rules whose id begins with a text.
    #[must_use]
    pub fn id_prefix(self, prefix: impl Into<String>) -> Self {
        Self {
            id_prefix: Some(prefix.into()),
            ..self
        }
    }

    /// Wants rules of this type.
    #[must_use]
    pub fn rule_type(self, rule_type: impl Into<String>) -> Self {
        Self {
            rule_type: Some(rule_type.into()),
            ..self
        }
    }

    /// Wants rules that are, or are not, enabled.
    #[must_use]
    pub fn enabled(self, enabled: bool) -> Self {
        Self {
            enabled: Some(enabled),
            ..self
        }
    }

    /// Returns whether a rule is wanted.
    pub fn matches(&self, rule: &DetectionRule) -> bool {
        self.id.as_ref().is_none_or(|wanted| rule.id == *wanted)
            && self
                .id_prefix
                .as_ref()
                .is_none_or(|prefix| rule.id.starts_with(prefix))
            && self
                .rule_type
                .as_ref()
                .is_none_or(|wanted| rule.rule_type == *wanted)
            && self.enabled.is_none_or(|wanted| rule.enabled == wanted)
    }
}
