//! YAML for figment, by a parser that is maintained: figment's own feature builds on one that is not.

use figment::providers::Format;
use serde::de::DeserializeOwned;

pub(super) struct Yaml;

impl Format for Yaml {
    type Error = serde_norway::Error;

    const NAME: &'static str = "YAML";

    fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Self::Error> {
        serde_norway::from_str(text)
    }
}
