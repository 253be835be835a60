//! The one error that plain data can give: a text that is not what it should be.

/// Describes a value that cannot be what its place asks for.
///
/// ```
/// let error = "severe".parse::<logstore::Severity>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "severity \"severe\" is not valid: use informational, low, medium, high or critical"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} {value:?} is not valid: {reason}")]
#[non_exhaustive]
pub struct InvalidValue {
    /// Names what the value was meant to be, such as `severity`.
    pub subject: &'static str,
    /// Holds the value as it was given, cut where it is long.
    pub value: String,
    /// Says what is wrong with the value or what would be right.
    pub reason: String,
}

impl InvalidValue {
    /// Makes the error for a `value` that was meant to be a `subject`.
    pub fn new(subject: &'static str, value: &str, reason: impl Into<String>) -> Self {
        const SHOWN: usize = 200;
        let mut shown: String = value.chars().take(SHOWN).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self {
            subject,
            value: shown,
            reason: reason.into(),
        }
    }
}
