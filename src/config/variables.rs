//! Settings from variables of the environment.

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::PREFIX;

/// Names a variable with a setting: `LOGSTORE_STORE__ACCESS`.
pub(super) struct Variable(pub(super) String);

/// Names the settings that are no text. Any other value is taken literally: a password may be a number, or be in
/// quotes.
const TYPED: [&str; 4] = [
    "store.threads",
    "store.install_extensions",
    "ingest.batch_size",
    "ingest.trusted_proxies",
];

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("environment variable {}", self.0))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let key = self.0[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
        let text = std::env::var(&self.0).map_err(|error| match error {
            std::env::VarError::NotPresent => figment::Error::from(format!("{} is not set any more", self.0)),
            std::env::VarError::NotUnicode(_) => figment::Error::from(format!("{} is not UTF-8", self.0)),
        })?;
        let value = match TYPED.contains(&key.as_str()) {
            // Text that is nothing else stays text.
            true => text.parse().unwrap_or_else(|never| match never {}),
            false => Value::from(text),
        };
        let nested = figment::util::nest(&key, value);
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}
