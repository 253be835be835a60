//! The key of a log in a store.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::LogEntry;
use crate::models::InvalidValue;
use crate::models::time::to_micros;

/// Names a log in a store by its time and its id.
///
/// A key is one word: the time, an underscore and the id. Characters of the id that a shell or a URL would take for
/// something else are percent-encoded.
///
/// ```
/// use logstore::LogKey;
///
/// let key = LogKey::new("2024-01-31T12:00:00.5Z".parse()?, "mail 7");
/// assert_eq!(key.to_string(), "2024-01-31T12:00:00.500Z_mail%207");
/// assert_eq!(key.to_string().parse::<LogKey>()?, key);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub struct LogKey {
    /// Holds the time of the log, to the microsecond.
    pub event_time: DateTime<Utc>,
    /// Holds the id of the log.
    pub id: String,
}

impl LogKey {
    /// Makes the key of the log with this time and id.
    pub fn new(event_time: DateTime<Utc>, id: impl Into<String>) -> Self {
        Self {
            event_time: to_micros(event_time),
            id: id.into(),
        }
    }
}

impl LogEntry {
    /// Returns the key that names the log in a store.
    pub fn key(&self) -> LogKey {
        LogKey::new(self.event_time, &self.id)
    }
}

/// Lists the characters of an id that are written as they are.
const AS_IT_IS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b':')
    .remove(b'@')
    .remove(b'+')
    .remove(b',');

impl fmt::Display for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.event_time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        write!(f, "{time}_{}", utf8_percent_encode(&self.id, AS_IT_IS))
    }
}

impl FromStr for LogKey {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let read = || {
            let (time, id) = text.split_once('_')?;
            let time: DateTime<Utc> = time.parse().ok()?;
            let id = percent_decode_str(id).decode_utf8().ok()?;
            Some(Self::new(time, id))
        };
        let reason = "use the time and the id, such as 2024-01-31T12:00:00Z_0190a5";
        read().ok_or_else(|| InvalidValue::new("key of a log", text, reason))
    }
}

impl TryFrom<String> for LogKey {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl From<LogKey> for String {
    fn from(key: LogKey) -> Self {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_names_no_log() {
        for text in [
            "",
            "_",
            "0190a5",
            "yesterday_1",
            "2024-01-31T12:00:00Z",
            "2024-01-31T12:00:00Z_%ff",
        ] {
            assert!(text.parse::<LogKey>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_one_word(micros in any::<i64>(), id in any::<String>()) {
            let Some(time) = DateTime::from_timestamp_micros(micros) else { return Ok(()) };
            let key = LogKey::new(time, id);
            let word = key.to_string();
            prop_assert!(word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:@+,%".contains(c)), "{word}");
            prop_assert_eq!(word.parse::<LogKey>().unwrap(), key);
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            text.parse::<LogKey>().ok();
        }
    }
}
