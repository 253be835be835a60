//! Times as people type them.

use chrono::{DateTime, Days, TimeDelta, Utc};
use logstore::InvalidValue;
use logstore::time::{DateOrder, TimeContext, Zone, parse_time};

/// Reads a time: how long ago it was, a day, a time of day, or an absolute time.
///
/// A day and a time of day are those of the clocks of a zone.
pub(crate) fn typed_time(text: &str, zone: Zone) -> Result<DateTime<Utc>, InvalidValue> {
    time_at(text.trim(), zone, Utc::now()).map_err(|reason| InvalidValue::new("time", text, reason))
}

/// Says how to type a time.
const FORMS: &str = "use how long ago it was (90s, -1h, \"2 hours ago\"), today, yesterday, a time of day (10:00), a day \
                     (2024-01-31) or a time (2024-01-31T12:00:00Z, @1706702400)";

fn time_at(text: &str, zone: Zone, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    if text == "now" {
        return Ok(now);
    }
    if let Some(ago) = length_before(text) {
        return now.checked_sub_signed(ago).ok_or_else(|| FORMS.to_owned());
    }
    if let Some(time) = time_of_day(text, zone, now) {
        return Ok(time);
    }
    let context = TimeContext::new(now).with_zone(zone);
    let [day_first, month_first] = [DateOrder::DayFirst, DateOrder::MonthFirst]
        .map(|order| absolute_time(text, &context.with_date_order(order)));
    match (day_first, month_first) {
        (Some(day_first), Some(month_first)) if day_first != month_first => {
            let [day_first, month_first] = [day_first, month_first].map(|time| zone.date(time));
            Err(format!("its day may be {day_first} or {month_first}: type it so"))
        }
        (Some(time), _) => Ok(time),
        _ => Err(FORMS.to_owned()),
    }
}

/// Reads a time, or a date alone.
fn absolute_time(text: &str, context: &TimeContext) -> Option<DateTime<Utc>> {
    parse_time(text.strip_prefix('@').unwrap_or(text), context).or_else(|| {
        let is_date = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        is_date.then(|| parse_time(&format!("{text} 00:00:00"), context))?
    })
}

/// Reads `90s`, `-1h`, `2 hours ago`.
fn length_before(text: &str) -> Option<TimeDelta> {
    let text = text.strip_prefix('-').unwrap_or(text);
    let text = text.strip_suffix("ago").unwrap_or(text).trim();
    let one = ["a ", "an "]
        .iter()
        .find_map(|article| text.strip_prefix(article));
    let length = match one {
        Some(unit) => humantime::parse_duration(&format!("1{unit}")),
        // A bare number is refused: it may mean seconds or days.
        None if text == "0" => return None,
        None => humantime::parse_duration(text),
    };
    TimeDelta::from_std(length.ok()?).ok()
}

/// Reads `today`, `yesterday 10:00`, `10:00`. A time of day alone is that of today, as systemd.time(7) has it.
fn time_of_day(text: &str, zone: Zone, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let today = zone.date(now);
    let (word, rest) = text.split_once(' ').unwrap_or((text, "00:00"));
    let (date, time) = match word.to_ascii_lowercase().as_str() {
        "today" => (today, rest),
        "yesterday" => (today.checked_sub_days(Days::new(1))?, rest),
        "tomorrow" => (today.checked_add_days(Days::new(1))?, rest),
        _ => (today, text),
    };
    let time = match time.trim() {
        time if is_time_of_day(time) => match time.matches(':').count() {
            1 => format!("{time}:00"),
            _ => time.to_owned(),
        },
        _ => return None,
    };
    parse_time(&format!("{date} {time}"), &TimeContext::new(now).with_zone(zone))
}

fn is_time_of_day(text: &str) -> bool {
    text.contains(':') && text.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, zone: &str) -> Option<String> {
        let now = "2024-03-10T22:30:00Z".parse().unwrap();
        let time = time_at(text, zone.parse().unwrap(), now).ok()?;
        Some(time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }

    #[test]
    fn times_are_read_as_people_type_them() {
        for (text, expected) in [
            ("now", "2024-03-10T22:30:00Z"),
            ("90s", "2024-03-10T22:28:30Z"),
            ("-1h", "2024-03-10T21:30:00Z"),
            ("1h ago", "2024-03-10T21:30:00Z"),
            ("2 hours ago", "2024-03-10T20:30:00Z"),
            ("1 day 2 hours ago", "2024-03-09T20:30:00Z"),
            ("an hour ago", "2024-03-10T21:30:00Z"),
            ("a minute ago", "2024-03-10T22:29:00Z"),
            ("today", "2024-03-10T00:00:00Z"),
            ("yesterday", "2024-03-09T00:00:00Z"),
            ("yesterday 10:00", "2024-03-09T10:00:00Z"),
            ("10:00", "2024-03-10T10:00:00Z"),
            ("23:59:30", "2024-03-10T23:59:30Z"),
            ("@1706702400", "2024-01-31T12:00:00Z"),
            ("2024-01-31", "2024-01-31T00:00:00Z"),
            ("2024-01-31 12:00", "2024-01-31T12:00:00Z"),
            ("2024-01-31T12:00:00+02:00", "2024-01-31T10:00:00Z"),
            ("10/Oct/2023:13:55:36 +0200", "2023-10-10T11:55:36Z"),
            ("2024/01/31 12:00:00", "2024-01-31T12:00:00Z"),
            ("31.01.2024", "2024-01-31T00:00:00Z"),
            ("01/31/2024 12:00", "2024-01-31T12:00:00Z"),
            ("01-01-2024 12:00", "2024-01-01T12:00:00Z"),
        ] {
            assert_eq!(read(text, "UTC").as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn days_begin_where_clocks_say_so() {
        for (text, expected) in [
            // There it is the next day already.
            ("today", "2024-03-10T15:00:00Z"),
            ("yesterday", "2024-03-09T15:00:00Z"),
            ("10:00", "2024-03-11T01:00:00Z"),
            ("2024-01-31", "2024-01-30T15:00:00Z"),
            ("2024-01-31T12:00:00Z", "2024-01-31T12:00:00Z"),
        ] {
            assert_eq!(read(text, "Asia/Tokyo").as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_two_readings_of_a_date_are_named() {
        let refused = typed_time("10-12-2025", "UTC".parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(refused.contains("2025-12-10 or 2025-10-12"), "{refused}");
        let refused = typed_time("2025-02-30", "UTC".parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(refused.contains("a day (2024-01-31)"), "{refused}");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "0",
            "5",
            "soon",
            "today soon",
            "25:00",
            "10:",
            ":",
            "-",
            "ago",
            "@x",
            "10/12/2025",
            "10-12-2025",
            "10.12.2025 10:00:00",
            "1/2/25 10:00",
            "\u{663}h",
            "1h2",
        ] {
            assert_eq!(read(text, "UTC"), None, "{text}");
        }
    }
}
