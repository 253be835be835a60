//! The one error that plain data can give: a text that is not what it should be.

/// A value that cannot be what its place asks for.
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
    /// What the value was meant to be, such as `severity`.
    pub subject: &'static str,
    /// The value as it was given, cut where it is long.
    pub value: String,
    /// What is wrong with it or what would be right.
    pub reason: String,
}

impl InvalidValue {
    /// A complaint about `value`, which was meant to be a `subject`.
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
