//! Times that are values of their own, in forms that no line starts with.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::{Date, DateOrder, Stamp, TimeContext, Zone, scan};

/// Reads a text that is a time and nothing else.
pub(super) fn stamp(text: &str, order: DateOrder) -> Option<Stamp> {
    let text = text.trim();
    match scan::whole(text, order) {
        Some((stamp, end)) if end == text.len() => Some(stamp),
        _ => json_date(text).or_else(|| stamp_with_additions(text, order)),
    }
}

/// Reads a time with parts that say nothing more.
fn stamp_with_additions(text: &str, order: DateOrder) -> Option<Stamp> {
    // ICU separates AM and PM by a narrow space that does not break.
    let text = match text.contains('\u{202f}') {
        true => Cow::Owned(text.replace('\u{202f}', " ")),
        false => Cow::Borrowed(text),
    };
    let text = without_monotonic_clock(&text);
    let (stamp, end) = scan::whole(text, order)?;
    let rest = text.get(end..)?;
    let has_zone = matches!(stamp, Stamp::Civil { zone: Some(_), .. });
    (rest.is_empty() || has_zone && names_zone_again(rest)).then_some(stamp)
}

/// Reads `/Date(1709629953123)/` and `/Date(1709629953123+0100)/`, milliseconds since 1970 as .NET writes them.
fn json_date(text: &str) -> Option<Stamp> {
    let inner = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
    let sign_of_offset = inner.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-'));
    let millis = sign_of_offset.map_or(inner, |(at, _)| &inner[..at]);
    DateTime::from_timestamp_millis(millis.parse().ok()?).map(Stamp::Instant)
}

/// Leaves out the reading of the monotonic clock that Go writes: `2026-01-02 15:04:05.9 -0700 MST m=+0.01`.
fn without_monotonic_clock(text: &str) -> &str {
    match text.rsplit_once(" m=") {
        Some((time, reading)) if reading.starts_with(['+', '-']) => time,
        _ => text,
    }
}

/// Says whether a text names a zone, such as ` MST`, `[Europe/Berlin]` or ` (CET)`, after the offset that counts.
fn names_zone_again(text: &str) -> bool {
    let text = text.trim_start();
    let name = match text.strip_prefix(['[', '(']) {
        Some(inner) => inner.strip_suffix([']', ')']),
        None => Some(text),
    };
    let is_of_zone = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+' | ' ' | ':');
    name.is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '+' || c == '-')
            && name.chars().all(is_of_zone)
    })
}

/// Reads a time whose date, time of day and zone are texts of their own. The zone counts where the time names none. It
/// is an offset, an abbreviation or a name.
///
/// A text for the date alone, or for the time of day alone, is read as [`parse_time`](super::parse_time) reads it.
pub(crate) fn parse_parts(
    date: Option<&str>,
    time: Option<&str>,
    zone: Option<&str>,
    context: &TimeContext,
) -> Option<DateTime<Utc>> {
    let context = match zone.and_then(zone_of) {
        Some(zone) => context.with_zone(zone),
        None => *context,
    };
    let order = context.date_order;
    let stamp = match (date.map(str::trim), time.map(str::trim)) {
        (Some(date), Some(time)) => {
            let time_stamp = stamp(time, order)?;
            match is_clock(&time_stamp) {
                true => stamp(&format!("{date} {time}"), order)?,
                false => time_stamp,
            }
        }
        (Some(text), None) | (None, Some(text)) => stamp(text, order)?,
        (None, None) => return None,
    };
    stamp.resolve(&context)
}

/// Reads `+0200`, `+02:00`, `-5`, `UTC+2`, `GMT-05:00`, `CEST` or `Europe/Berlin`.
pub(crate) fn zone_of(text: &str) -> Option<Zone> {
    let text = text.trim();
    if let Ok(zone) = text.parse() {
        return Some(zone);
    }
    if let Some(zone) = Zone::from_abbreviation(text) {
        return Some(zone);
    }
    let text = text
        .strip_prefix("UTC")
        .or(text.strip_prefix("GMT"))
        .unwrap_or(text);
    let (sign, digits) = match text.as_bytes() {
        [b'+', ..] => (1, &text[1..]),
        [b'-', ..] => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let is_offset = (0..=14).contains(&hours) && (0..60).contains(&minutes);
    is_offset.then(|| Zone::fixed(sign * (hours * 3_600 + minutes * 60)))?
}

/// Reads a text that is a time with its date.
pub(crate) fn parse_dated(text: &str, context: &TimeContext) -> Option<DateTime<Utc>> {
    let stamp = stamp(text, context.date_order)?;
    (!is_clock(&stamp)).then(|| stamp.resolve(context))?
}

/// Says whether a text is a time of day without its date.
pub(crate) fn is_time_of_day(text: &str) -> bool {
    stamp(text, DateOrder::Auto).is_some_and(|stamp| is_clock(&stamp))
}

fn is_clock(stamp: &Stamp) -> bool {
    matches!(
        stamp,
        Stamp::Civil {
            date: Date::Missing,
            ..
        }
    )
}
