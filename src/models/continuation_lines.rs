//! Says what becomes of lines that continue the event before them.

use serde::{Deserialize, Serialize};

/// Says what becomes of lines that continue the event before them, such as those of a stack trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ContinuationLines {
    /// Joins a line with the event before it if it is sure to continue it.
    #[default]
    Join,
    /// Makes each line a log of its own.
    Keep,
}
