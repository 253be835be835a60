//! The severity of alerts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// Orders alerts by how serious they are, in the levels of the [Sigma] specification.
///
/// Severities are ordered, so "at least high" is a comparison:
///
/// ```
/// use logstore::Severity;
///
/// let severity: Severity = "high".parse()?;
/// assert!(severity >= Severity::Medium && severity < Severity::Critical);
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
///
/// [Sigma]: https://github.com/SigmaHQ/sigma-specification
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Severity {
    /// Means that the alert is worth recording, with nothing to do.
    Informational,
    /// Means that the alert is notable, but rarely an incident.
    Low,
    /// Means that the alert is relevant, to be reviewed regularly.
    Medium,
    /// Means that the alert is to be reviewed promptly.
    High,
    /// Means that the alert is an incident until shown otherwise.
    Critical,
}

impl Severity {
    /// Lists every severity, the least serious first.
    pub const ALL: [Self; 5] = [
        Self::Informational,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    /// Returns the severity's name, in lower case, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = InvalidValue;

    /// Reads a severity's name in any letter case.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| {
                InvalidValue::new(
                    "severity",
                    text,
                    "use informational, low, medium, high or critical",
                )
            })
    }
}

impl TryFrom<String> for Severity {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl From<Severity> for &'static str {
    fn from(severity: Severity) -> Self {
        severity.as_str()
    }
}
