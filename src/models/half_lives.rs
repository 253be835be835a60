//! Lets the confidence of intelligence decay: a pure function of the age of a report.

use chrono::TimeDelta;

use super::IndicatorType;

/// Says after how long the confidence in an indicator is half of what its source said, by the type of the indicator.
///
/// The confidence for a log is `confidence * 0.5 ^ (age / half_life)`. The age is the time of the log less the time of
/// the report. For logs from before the report, the confidence is the one of the source. The stored value stays.
///
/// ```
/// use chrono::TimeDelta;
/// use logstore::IndicatorType;
/// use logstore::detect::HalfLives;
///
/// let half_lives = HalfLives::default().with(IndicatorType::Ip, TimeDelta::days(30));
/// let days = |days| TimeDelta::days(days).num_microseconds().unwrap_or_default();
/// assert_eq!(half_lives.share_after(IndicatorType::Ip, days(60)), 0.25);
/// assert_eq!(half_lives.share_after(IndicatorType::Ip, days(-1)), 1.0);
/// assert_eq!(half_lives.share_after(IndicatorType::Domain, days(60)), 1.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HalfLives([Option<TimeDelta>; IndicatorType::ALL.len()]);

impl HalfLives {
    /// Sets the half-life of a type. Without one, confidence does not decay.
    #[must_use]
    pub fn with(mut self, indicator_type: IndicatorType, half_life: TimeDelta) -> Self {
        if let Some(known) = self.0.get_mut(indicator_type as usize) {
            *known = Some(half_life);
        }
        self
    }

    /// Returns the share of the confidence that is left after an age in microseconds, from 0 to 1.
    pub fn share_after(&self, indicator_type: IndicatorType, age: i64) -> f64 {
        let half_life = self.0.get(indicator_type as usize).copied().flatten();
        let half_life = half_life.and_then(|half_life| half_life.num_microseconds());
        match half_life {
            Some(half_life) if half_life > 0 && age > 0 => {
                #[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
                let halves = age as f64 / half_life as f64;
                (-halves).exp2()
            }
            _ => 1.0,
        }
    }
}
