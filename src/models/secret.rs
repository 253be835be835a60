//! Values that must not be shown.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A password or a key: nothing prints it.
///
/// ```
/// let secret = logstore::Secret::from("hunter2");
/// assert_eq!(format!("{secret:?}"), "[hidden]");
/// assert_eq!(serde_json::to_string(&secret).unwrap(), r#""[hidden]""#);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

const HIDDEN: &str = "[hidden]";

impl Secret {
    /// The value itself, for whoever has to hand it on.
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

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}
