//! Values that must not be shown.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Holds a password or a key, which nothing prints.
///
/// ```
/// let secret = logstore::duckdb::Secret::from("hunter2");
/// assert_eq!(format!("{secret:?}"), "[hidden]");
/// assert_eq!(serde_json::to_string(&secret).unwrap(), r#""[hidden]""#);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

const HIDDEN: &str = "[hidden]";

impl Secret {
    /// Returns the value itself, for code that hands it on.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Reads text, or a whole number that a settings file has without quotes. An error does not show the value.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Whole(u64),
        }
        match Written::deserialize(deserializer) {
            Ok(Written::Text(text)) => Ok(Self(text)),
            Ok(Written::Whole(number)) => Ok(Self(number.to_string())),
            Err(_) => Err(D::Error::custom("it is not text: put quotes around it")),
        }
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}
