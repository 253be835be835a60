//! What a comparison with logs needs of threat intelligence.

use chrono::{DateTime, Utc};

use super::{Indicator, ThreatIntel};

/// Holds what logs are compared with of a piece of threat intelligence.
///
/// A store gives a million of them in much less time than it gives pieces as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct IntelSummary<'a> {
    /// Holds the indicator to look for.
    pub indicator: Indicator,
    /// Names the threat that it is a sign of.
    pub threat_type: &'a str,
    /// Names the source that says so.
    pub source: &'a str,
    /// Says how sure the source is, from 0 to 1.
    pub confidence: f64,
    /// Holds the time when it was reported.
    pub created_at: DateTime<Utc>,
    /// Holds the time from which on it is no longer believed; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
}

impl<'a> From<&'a ThreatIntel> for IntelSummary<'a> {
    fn from(intel: &'a ThreatIntel) -> Self {
        Self {
            indicator: intel.indicator.clone(),
            threat_type: &intel.threat_type,
            source: &intel.source,
            confidence: intel.confidence,
            created_at: intel.created_at,
            expires_at: intel.expires_at,
        }
    }
}
