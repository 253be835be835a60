//! Cursors: places in the order in which logs were committed.

use std::fmt;
use std::str::FromStr;

use crate::models::InvalidValue;

/// Marks a place between two logs, in the order in which they were committed.
///
/// A cursor is opaque: it comes from a store, can be kept as text, and goes back to that store.
///
/// ```
/// use logstore::Cursor;
///
/// let text = Cursor::BEGINNING.to_string();
/// assert_eq!(text.parse::<Cursor>()?, Cursor::BEGINNING);
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(i64);

impl Cursor {
    /// Marks the place before the first log.
    pub const BEGINNING: Self = Self(0);

    /// Returns the cursor after the log with this sequence number.
    pub(crate) const fn after(seq: i64) -> Self {
        Self(seq)
    }

    pub(crate) const fn seq(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seq:{}", self.0)
    }
}

impl FromStr for Cursor {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        text.strip_prefix("seq:")
            .and_then(|seq| seq.parse().ok())
            .filter(|seq| *seq >= 0)
            .map(Self)
            .ok_or_else(|| InvalidValue::new("cursor", text, "use one that a store gave, such as seq:42"))
    }
}
