//! The zone of a time that does not name its own.

use std::fmt;
use std::str::FromStr;

use chrono::{
    DateTime, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::models::InvalidValue;

/// Names a time zone: a zone of the IANA database or a fixed offset.
///
/// ```
/// use logstore::time::Zone;
///
/// assert!("Europe/Paris".parse::<Zone>().is_ok());
/// assert_eq!("+00:00".parse::<Zone>()?, Zone::UTC);
/// assert!("Mars/Olympus".parse::<Zone>().is_err());
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Kind);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Named(Tz),
    Fixed(FixedOffset),
}

impl Zone {
    /// Names coordinated universal time.
    pub const UTC: Self = Self(Kind::Named(Tz::UTC));

    /// Writes a time as clocks in this zone show it, as RFC 3339. The offset of UTC is `Z`.
    ///
    /// ```
    /// use chrono::SecondsFormat;
    /// use logstore::time::Zone;
    ///
    /// let paris: Zone = "Europe/Paris".parse()?;
    /// let time = "2024-07-01T12:00:00Z".parse().unwrap();
    /// assert_eq!(paris.format(time, SecondsFormat::AutoSi), "2024-07-01T14:00:00+02:00");
    /// assert_eq!(Zone::UTC.format(time, SecondsFormat::AutoSi), "2024-07-01T12:00:00Z");
    /// # Ok::<(), logstore::InvalidValue>(())
    /// ```
    pub fn format(self, time: DateTime<Utc>, precision: SecondsFormat) -> String {
        self.local(time).to_rfc3339_opts(precision, true)
    }

    /// Returns the date that calendars in this zone show at a time.
    pub fn date(self, time: DateTime<Utc>) -> NaiveDate {
        self.local(time).date_naive()
    }

    fn local(self, time: DateTime<Utc>) -> DateTime<FixedOffset> {
        match self.0 {
            Kind::Fixed(offset) => time.with_timezone(&offset),
            Kind::Named(zone) => time.with_timezone(&zone).fixed_offset(),
        }
    }

    /// Makes a fixed offset, in seconds east of UTC; `None` from a day on.
    pub(super) fn fixed(seconds_east: i32) -> Option<Self> {
        FixedOffset::east_opt(seconds_east).map(|offset| Self(Kind::Fixed(offset)))
    }

    /// Returns the zone that an abbreviation means in logs, if it means one thing to most readers.
    pub(super) fn from_abbreviation(text: &str) -> Option<Self> {
        let hours = match text {
            "Z" | "z" | "UTC" | "GMT" | "WET" => 0,
            "CET" | "WEST" | "BST" => 1,
            "CEST" | "EET" | "SAST" => 2,
            "EEST" | "MSK" => 3,
            "IST" => return Self::fixed(19_800),
            "SGT" | "HKT" | "AWST" => 8,
            "JST" | "KST" => 9,
            "AEST" => 10,
            "AEDT" => 11,
            "NZST" => 12,
            "NZDT" => 13,
            "EDT" => -4,
            "EST" | "CDT" => -5,
            "CST" | "MDT" => -6,
            "MST" | "PDT" => -7,
            "PST" | "AKDT" => -8,
            "AKST" => -9,
            "HST" => -10,
            _ => return None,
        };
        Self::fixed(hours * 3_600)
    }

    /// Returns the instant at which clocks here show `local`. If they show it twice, it is the first instant. If they
    /// skip it, it is the instant at which they would show it had they not been put forward.
    pub(super) fn to_utc(self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self.0 {
            Kind::Fixed(offset) => offset
                .from_local_datetime(&local)
                .single()
                .map(|time| time.to_utc()),
            // This needs no look into the zone's history, which takes longer than to read the time.
            Kind::Named(Tz::UTC) => Some(local.and_utc()),
            Kind::Named(zone) => match zone.from_local_datetime(&local) {
                LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Some(time.to_utc()),
                LocalResult::None => {
                    const PAST_ANY_GAP: TimeDelta = TimeDelta::hours(24);
                    let before = zone.from_local_datetime(&local.checked_sub_signed(PAST_ANY_GAP)?);
                    Some(before.earliest()?.to_utc().checked_add_signed(PAST_ANY_GAP)?)
                }
            },
        }
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Fixed(offset) if offset.local_minus_utc() == 0 => f.write_str("UTC"),
            Kind::Fixed(offset) => offset.fmt(f),
            Kind::Named(zone) => f.write_str(zone.name()),
        }
    }
}

impl TryFrom<String> for Zone {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.to_string()
    }
}

impl FromStr for Zone {
    type Err = InvalidValue;

    /// Reads an IANA name such as `Europe/Paris`, or an offset such as `+02:00`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if let Ok(offset) = text.parse::<FixedOffset>() {
            return Ok(Self(Kind::Fixed(offset)));
        }
        text.parse::<Tz>()
            .map(|zone| Self(Kind::Named(zone)))
            .map_err(|_| {
                InvalidValue::new(
                    "time zone",
                    text,
                    "use a name such as Europe/Paris, or an offset such as +02:00",
                )
            })
    }
}
