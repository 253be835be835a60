//! Durations as people write them: `10s`, `1m 30s`, `500ms`.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    const DAY: u64 = 24 * 3600;
    // A length such as 90 days is not to be told as months of 30.44 days and a rest.
    match duration.as_secs() {
        seconds if seconds > DAY && seconds % DAY == 0 && duration.subsec_nanos() == 0 => {
            serializer.collect_str(&format_args!("{}days", seconds / DAY))
        }
        _ => serializer.collect_str(&humantime::format_duration(*duration)),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|error| D::Error::custom(format!("{text:?} is not a duration such as 10s: {error}")))
}
