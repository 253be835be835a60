//! The kind of source that a log comes from, in the words of Sigma.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::log_entry::LOGSOURCE;
use super::{InvalidValue, LogEntry};

/// Names the kind of source that writes logs, as Sigma's `logsource` does.
///
/// As text it is `product/category/service`, with `*` for what is not named:
///
/// ```
/// use logstore::LogSource;
///
/// let source: LogSource = "windows/process_creation/*".parse()?;
/// assert_eq!(source.category.as_deref(), Some("process_creation"));
/// assert_eq!(source.to_string(), "windows/process_creation/*");
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSource {
    /// Names the product that writes the logs, such as `windows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Names the kind of events, such as `process_creation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Names the log of a product, such as `sshd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

impl LogSource {
    /// Returns whether another source has every part that this one names.
    pub fn covers(&self, other: &Self) -> bool {
        let agrees = |wanted: &Option<String>, held: &Option<String>| wanted.is_none() || wanted == held;
        agrees(&self.product, &other.product)
            && agrees(&self.category, &other.category)
            && agrees(&self.service, &other.service)
    }
}

impl LogEntry {
    /// Returns the kind of source that wrote the log, as the format that read it says.
    pub fn log_source(&self) -> LogSource {
        let noted = self.metadata.as_text().map(serde_json::from_str::<SourceNote>);
        match noted {
            Some(Ok(note)) => note.logsource.unwrap_or_default(),
            _ => self.log_source_of_members(),
        }
    }

    fn log_source_of_members(&self) -> LogSource {
        match self.metadata.get(LOGSOURCE) {
            Some(Value::Object(source)) => {
                let part = |name| source.get(name).and_then(Value::as_str).map(str::to_owned);
                LogSource {
                    product: part("product"),
                    category: part("category"),
                    service: part("service"),
                }
            }
            _ => LogSource::default(),
        }
    }
}

/// Holds what the metadata of most logs say of their source. It is read without a map of all metadata.
#[derive(Deserialize)]
struct SourceNote {
    logsource: Option<LogSource>,
}

impl FromStr for LogSource {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let parts: Vec<&str> = text.split('/').collect();
        let [product, category, service] = parts[..] else {
            let reason = "use product/category/service, with * for what is not named";
            return Err(InvalidValue::new("log source", text, reason));
        };
        let part = |part: &str| (part != "*" && !part.is_empty()).then(|| part.to_lowercase());
        Ok(Self {
            product: part(product),
            category: part(category),
            service: part(service),
        })
    }
}

impl fmt::Display for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.product, &self.category, &self.service];
        let parts = parts.map(|part| part.as_deref().unwrap_or("*"));
        f.write_str(&parts.join("/"))
    }
}
