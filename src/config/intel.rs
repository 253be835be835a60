//! Settings of threat intelligence.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{duration, optional_duration};
use crate::models::{HalfLives, IndicatorType};

/// Says how logs are compared with threat intelligence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IntelSettings {
    /// Limits how old the stored logs are that are compared with imported intelligence, such as `90d`.
    #[serde(with = "duration")]
    pub lookback: Duration,
    /// Says after how long confidence is half of what the source said.
    pub half_life: HalfLifeSettings,
}

/// Says after how long the confidence in an indicator is half of what its source said. `None` means that it does not
/// decay.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HalfLifeSettings {
    /// Holds the half-life of addresses, such as `30d`.
    #[serde(with = "optional_duration")]
    pub ip: Option<Duration>,
    /// Holds the half-life of networks.
    #[serde(with = "optional_duration")]
    pub cidr: Option<Duration>,
    /// Holds the half-life of domains.
    #[serde(with = "optional_duration")]
    pub domain: Option<Duration>,
    /// Holds the half-life of URLs.
    #[serde(with = "optional_duration")]
    pub url: Option<Duration>,
    /// Holds the half-life of e-mail addresses.
    #[serde(with = "optional_duration")]
    pub email: Option<Duration>,
    /// Holds the half-life of digests of files.
    #[serde(with = "optional_duration")]
    pub file_hash: Option<Duration>,
}

impl Default for IntelSettings {
    fn default() -> Self {
        Self {
            lookback: Duration::from_secs(90 * 24 * 3600),
            half_life: HalfLifeSettings::default(),
        }
    }
}

impl IntelSettings {
    /// Returns the half-lives of all types that have one.
    pub fn half_lives(&self) -> HalfLives {
        let settings = &self.half_life;
        let by_type = [
            (IndicatorType::Ip, settings.ip),
            (IndicatorType::Cidr, settings.cidr),
            (IndicatorType::Domain, settings.domain),
            (IndicatorType::Url, settings.url),
            (IndicatorType::Email, settings.email),
            (IndicatorType::FileHash, settings.file_hash),
        ];
        let set = by_type
            .into_iter()
            .filter_map(|(indicator_type, half_life)| Some((indicator_type, half_life?)));
        set.fold(HalfLives::default(), |half_lives, (indicator_type, half_life)| {
            let half_life = TimeDelta::from_std(half_life).unwrap_or(TimeDelta::MAX);
            half_lives.with(indicator_type, half_life)
        })
    }
}
