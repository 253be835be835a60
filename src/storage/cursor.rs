//! Cursors: places in the order in which logs were committed.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
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
#[derive(Debug, Clone, Copy)]
pub struct Cursor {
    seq: i64,
    /// Holds the last snapshot of the lake that the cursor was read from. Cursors at one place are equal without it.
    seen: Option<SeenSnapshot>,
}

/// Identifies a snapshot by its number and its time.
///
/// A lake that was restored from a backup gives the number to another commit, at another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeenSnapshot {
    pub(crate) number: i64,
    /// Counts microseconds since 1970 in UTC.
    pub(crate) time: i64,
}

impl Cursor {
    /// Marks the place before the first log.
    pub const BEGINNING: Self = Self::after(0);

    /// Returns the cursor after the log with this sequence number.
    pub(crate) const fn after(seq: i64) -> Self {
        Self { seq, seen: None }
    }

    pub(crate) const fn seq(self) -> i64 {
        self.seq
    }

    /// Returns the same place, with the last snapshot that its reader has seen.
    pub(crate) const fn having_seen(self, seen: Option<SeenSnapshot>) -> Self {
        Self { seen, ..self }
    }

    pub(crate) const fn seen(self) -> Option<SeenSnapshot> {
        self.seen
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.seq == other.seq
    }
}

impl Eq for Cursor {}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.seq.cmp(&other.seq)
    }
}

impl Hash for Cursor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.seq.hash(state);
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seq:{}", self.seq)
    }
}

impl FromStr for Cursor {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        text.strip_prefix("seq:")
            .and_then(|seq| seq.parse().ok())
            .filter(|seq| *seq >= 0)
            .map(Self::after)
            .ok_or_else(|| InvalidValue::new("cursor", text, "use one that a store gave, such as seq:42"))
    }
}
