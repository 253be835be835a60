//! The status of an alert, and the verdict of an analyst. Both are named as OCSF names them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::models::InvalidValue;

/// Says how far the work on an alert is, as the `status_id` of OCSF does.
///
/// ```
/// use logstore::AlertStatus;
///
/// assert!("in_progress".parse::<AlertStatus>()?.is_open());
/// assert!(!AlertStatus::Resolved.is_open());
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// Means that no analyst has taken note of the alert.
    #[default]
    New,
    /// Means that an analyst works on the alert.
    InProgress,
    /// Means that a suppression covers all matches of the alert.
    Suppressed,
    /// Means that the alert is closed. A further match raises another alert.
    Resolved,
}

impl AlertStatus {
    /// Lists every status.
    pub const ALL: [Self; 4] = [Self::New, Self::InProgress, Self::Suppressed, Self::Resolved];

    /// Returns the name of the status, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InProgress => "in_progress",
            Self::Suppressed => "suppressed",
            Self::Resolved => "resolved",
        }
    }

    /// Returns whether an analyst still has work with the alert.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::New | Self::InProgress)
    }
}

/// Says what a closed alert was, as the `verdict_id` of OCSF does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Means that the alert was right.
    TruePositive,
    /// Means that the rule was wrong.
    FalsePositive,
    /// Means that the rule was right, and that the activity does no harm.
    Benign,
}

impl Verdict {
    /// Lists every verdict.
    pub const ALL: [Self; 3] = [Self::TruePositive, Self::FalsePositive, Self::Benign];

    /// Returns the name of the verdict, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TruePositive => "true_positive",
            Self::FalsePositive => "false_positive",
            Self::Benign => "benign",
        }
    }
}

/// Reads and prints a type by the names of its values.
macro_rules! named {
    ($($type:ty, $subject:literal, $reason:literal;)*) => { $(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = InvalidValue;

            /// Reads a name in any letter case, with underscores or hyphens.
            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                let name = text.trim().replace('-', "_");
                let found = Self::ALL.into_iter().find(|value| value.as_str().eq_ignore_ascii_case(&name));
                found.ok_or_else(|| InvalidValue::new($subject, text, $reason))
            }
        }
    )* };
}

named! {
    AlertStatus, "status of an alert", "use new, in_progress, suppressed or resolved";
    Verdict, "verdict", "use true_positive, false_positive or benign";
}
