//! Points in time as logs write them.
//!
//! Logs agree on no format, so this module reads the ones in use. They are RFC 3339, RFC 5424, RFC 3164 and its
//! relatives with a year, Apache access and error logs, ISO 8601 with comma or dot fractions, epochs in seconds to
//! nanoseconds, and the common local forms. Results are always UTC, in microseconds; finer digits are cut off, never
//! rounded.

mod order;
mod scan;
mod value;
mod zone;

use std::time::SystemTime;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use uuid::Uuid;

pub use order::DateOrder;
pub(crate) use scan::deciding_order;
pub(crate) use value::{is_time_of_day, parse_dated, parse_parts, zone_of};
pub use zone::Zone;

/// Says what a text leaves open when it gives a time: the year, the date, the zone.
///
/// ```
/// use logstore::time::{TimeContext, parse_time};
///
/// let context = TimeContext::new("2024-03-01T00:00:00Z".parse()?);
/// let leap_day = parse_time("Feb 29 23:59:59", &context).unwrap();
/// assert_eq!(leap_day.to_rfc3339(), "2024-02-29T23:59:59+00:00");
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct TimeContext {
    /// Holds the reference of open times. A time without a year, or without a date, is the last such time not after it.
    pub reference: DateTime<Utc>,
    /// Names the zone of times that name none.
    pub zone: Zone,
    /// Says whether day or month comes first in a date of numbers.
    pub date_order: DateOrder,
}

impl TimeContext {
    /// Reads open times as the last ones before `reference`, in UTC.
    pub fn new(reference: DateTime<Utc>) -> Self {
        Self {
            reference,
            zone: Zone::UTC,
            date_order: DateOrder::Auto,
        }
    }

    /// Reads times that name no zone as times in `zone`.
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// Reads dates of numbers in this order.
    #[must_use]
    pub fn with_date_order(self, date_order: DateOrder) -> Self {
        Self { date_order, ..self }
    }
}

impl Default for TimeContext {
    /// Reads open times as the last ones before now, in UTC.
    fn default() -> Self {
        Self::new(now())
    }
}

/// Describes a time found in a longer text, with the bytes of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeMatch {
    /// Holds the time.
    pub time: DateTime<Utc>,
    /// Holds the byte where its text starts.
    pub start: usize,
    /// Holds the byte after the end of its text.
    pub end: usize,
    /// Says whether the text gave a date, or only a time of day.
    pub has_date: bool,
}

/// Returns the current time, also by a clock that is before 1970: `Utc::now` panics there.
pub(crate) fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// Makes an id that begins with the current time; a random one by a clock that is before 1970.
pub(crate) fn id_of_now() -> String {
    match SystemTime::now() < SystemTime::UNIX_EPOCH {
        true => Uuid::new_v4().to_string(),
        false => Uuid::now_v7().to_string(),
    }
}

/// Cuts a time to the microseconds that a store keeps.
pub(crate) fn to_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    let nanos = time.nanosecond();
    time.with_nanosecond(nanos - nanos % 1_000).unwrap_or(time)
}

/// Reads a text that is a time and nothing else.
///
/// ```
/// use logstore::time::{TimeContext, parse_time};
///
/// let context = TimeContext::default();
/// for text in ["2015-05-17T10:05:03+00:00", "17/May/2015:12:05:03 +0200", "1431857103", "1431857103000"] {
///     assert_eq!(parse_time(text, &context).unwrap().timestamp(), 1_431_857_103, "{text}");
/// }
/// assert_eq!(parse_time("yesterday", &context), None);
/// ```
pub fn parse_time(text: &str, context: &TimeContext) -> Option<DateTime<Utc>> {
    value::stamp(text, context.date_order)?.resolve(context)
}

/// Reads a text as [`parse_time`] does, and says whether it states an instant: by a zone, or by counting from 1970.
pub(crate) fn parse_stated_time(text: &str, context: &TimeContext) -> Option<(DateTime<Utc>, bool)> {
    let stamp = value::stamp(text, context.date_order)?;
    let states_instant = matches!(stamp, Stamp::Instant(_) | Stamp::Civil { zone: Some(_), .. });
    Some((stamp.resolve(context)?, states_instant))
}

/// Reads a text that is a time with its date, or a date alone, which is its first moment. Nothing is taken from a
/// context, so a time without a zone is UTC.
pub(crate) fn parse_instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Some(date.and_time(NaiveTime::MIN).and_utc());
    }
    let stamp = value::stamp(text, DateOrder::Auto)?;
    let is_complete = matches!(
        stamp,
        Stamp::Instant(_)
            | Stamp::Civil {
                date: Date::Full(_),
                ..
            }
    );
    let context = TimeContext::new(DateTime::UNIX_EPOCH);
    is_complete.then(|| stamp.resolve(&context))?
}

/// Finds the time that a line starts with, after an opening bracket or quote.
pub fn find_time_at_start(line: &str, context: &TimeContext) -> Option<TimeMatch> {
    let start = line
        .bytes()
        .position(|byte| !matches!(byte, b' ' | b'[' | b'"' | b'('))?;
    let (stamp, length) = scan::prefix(line.get(start..)?, context.date_order)?;
    locate(&stamp, context, start, start + length)
}

/// Finds the first complete time, with year and time of day, that starts in the first `limit` bytes.
pub fn find_time(line: &str, limit: usize, context: &TimeContext) -> Option<TimeMatch> {
    let bytes = line.as_bytes();
    let starts = (0..bytes.len().min(limit)).filter(|&i| {
        let boundary = i == 0 || !bytes[i - 1].is_ascii_alphanumeric() && bytes[i - 1] != b'.';
        boundary && bytes[i].is_ascii_alphanumeric()
    });
    for start in starts {
        let Some(rest) = line.get(start..) else { continue };
        if let Some((stamp, length)) = scan::complete(rest, context.date_order) {
            return locate(&stamp, context, start, start + length);
        }
    }
    None
}

fn locate(stamp: &Stamp, context: &TimeContext, start: usize, end: usize) -> Option<TimeMatch> {
    Some(TimeMatch {
        time: stamp.resolve(context)?,
        start,
        end,
        has_date: !matches!(
            stamp,
            Stamp::Civil {
                date: Date::Missing,
                ..
            }
        ),
    })
}

/// Holds the date of a [`Stamp`], as far as its text gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Date {
    Full(NaiveDate),
    WithoutYear { month: u32, day: u32 },
    Missing,
}

/// Holds a time as its text gives it, before the context fills what is open.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stamp {
    Instant(DateTime<Utc>),
    Civil {
        date: Date,
        time: NaiveTime,
        zone: Option<Zone>,
    },
}

impl Stamp {
    fn resolve(&self, context: &TimeContext) -> Option<DateTime<Utc>> {
        let (date, time, zone) = match *self {
            Self::Instant(instant) => return Some(to_micros(instant)),
            Self::Civil { date, time, zone } => (date, time, zone.unwrap_or(context.zone)),
        };
        let instant = match date {
            Date::Full(date) => zone.to_utc(date.and_time(time))?,
            Date::WithoutYear { month, day } => last_in_any_year(month, day, time, zone, context.reference)?,
            Date::Missing => last_on_any_day(time, zone, context.reference)?,
        };
        Some(to_micros(instant))
    }
}

/// Returns the last such day and time not after `reference`. Leap days are at most eight years apart.
fn last_in_any_year(
    month: u32,
    day: u32,
    time: NaiveTime,
    zone: Zone,
    reference: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let newest = reference.year().checked_add(1)?;
    (newest - 9..=newest)
        .rev()
        .filter_map(|year| NaiveDate::from_ymd_opt(year, month, day))
        .filter_map(|date| zone.to_utc(date.and_time(time)))
        .find(|instant| *instant <= reference)
}

/// Returns the last such time of day not after `reference`.
fn last_on_any_day(time: NaiveTime, zone: Zone, reference: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let newest = reference.date_naive().checked_add_days(Days::new(1))?;
    (0..4)
        .filter_map(|back| newest.checked_sub_days(Days::new(back)))
        .filter_map(|date| zone.to_utc(date.and_time(time)))
        .find(|instant| *instant <= reference)
}

/// Returns a time of day and the seconds to add to it. The instant of a leap second is that of the second after it.
fn time_of_day(hour: u32, minute: u32, second: u32, nanos: u32) -> Option<(NaiveTime, TimeDelta)> {
    let leap = u32::from(second == 60);
    let time = NaiveTime::from_hms_nano_opt(hour, minute, second - leap, nanos)?;
    Some((time, TimeDelta::seconds(i64::from(leap))))
}

fn carry(date: NaiveDate, time: NaiveTime, over: TimeDelta) -> Option<NaiveDateTime> {
    date.and_time(time).checked_add_signed(over)
}

#[cfg(test)]
mod tests;
