//! Durations as people write them, or none.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::duration;

#[derive(Serialize, Deserialize)]
struct Written(#[serde(with = "duration")] Duration);

#[expect(clippy::ref_option, reason = "serde calls it so")]
pub(super) fn serialize<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration.map(Written).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let written: Option<Written> = Option::deserialize(deserializer)?;
    Ok(written.map(|Written(duration)| duration))
}
