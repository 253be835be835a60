use chrono::{SecondsFormat, TimeZone};
use proptest::prelude::*;

use super::*;

fn context(reference: &str) -> TimeContext {
    TimeContext::new(reference.parse().unwrap())
}

fn read(text: &str) -> Option<String> {
    read_at(text, "2026-07-01T00:00:00Z")
}

fn read_at(text: &str, reference: &str) -> Option<String> {
    parse_time(text, &context(reference)).map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn assert_reads(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(read(text).as_deref(), Some(*expected), "{text}");
    }
}

#[test]
fn reads_times_with_a_year() {
    assert_reads(&[
        ("2017-11-25T22:34:50Z", "2017-11-25T22:34:50Z"),
        ("2003-08-24T05:14:15.000003+07:00", "2003-08-23T22:14:15.000003Z"),
        ("2012-08-03 18:31:59,257 +0000", "2012-08-03T18:31:59.257Z"),
        ("17/May/2015:10:05:03 +0200", "2015-05-17T08:05:03Z"),
        ("Sun Dec 04 04:47:44.5 2005", "2005-12-04T04:47:44.500Z"),
        ("Wed May 19 08:00:01 EST 2021", "2021-05-19T13:00:01Z"),
        ("Jan  5 2024 10:00:00", "2024-01-05T10:00:00Z"),
        ("Tue, 15 Nov 1994 08:12:31 GMT", "1994-11-15T08:12:31Z"),
        ("8/8/1965 12:00 AM", "1965-08-08T00:00:00Z"),
        ("25/12/2020 10:00", "2020-12-25T10:00:00Z"),
        ("17/06/09 20:10:40", "2017-06-09T20:10:40Z"),
        ("081109 203615", "2008-11-09T20:36:15Z"),
        ("20120702.102240,672", "2012-07-02T10:22:40.672Z"),
        ("2012-025T10:22:40,672", "2012-01-25T10:22:40.672Z"),
        ("@40000000433225833b6e1a8c", "2005-09-22T03:31:05.997071Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
    ]);
}

#[test]
fn reads_times_as_values_of_programs() {
    assert_reads(&[
        ("/Date(1709629953123)/", "2024-03-05T09:12:33.123Z"),
        ("/Date(1709629953123+0100)/", "2024-03-05T09:12:33.123Z"),
        ("/Date(-1)/", "1969-12-31T23:59:59.999Z"),
        ("133541035531230000", "2024-03-05T09:12:33.123Z"),
        ("638452267531230000", "2024-03-05T09:12:33.123Z"),
        ("20240305091233", "2024-03-05T09:12:33Z"),
        ("20240305091233.5", "2024-03-05T09:12:33.500Z"),
        (
            "2024-03-05 02:12:33.123456789 -0700 MST m=+0.012",
            "2024-03-05T09:12:33.123456Z",
        ),
        ("2024-03-05 09:12:33 +0000 UTC", "2024-03-05T09:12:33Z"),
        ("2024-03-05T10:12:33+01:00[Europe/Berlin]", "2024-03-05T09:12:33Z"),
        ("Mar 5, 2024 @ 09:12:33.123", "2024-03-05T09:12:33.123Z"),
        ("3/5/2024 9:12:33 AM", "2024-03-05T09:12:33Z"),
        ("3/5/2024, 9:12:33\u{202f}PM", "2024-03-05T21:12:33Z"),
        ("03/05/2024 09:12:33.123 PM", "2024-03-05T21:12:33.123Z"),
        ("2011.11.21 14:29:16", "2011-11-21T14:29:16Z"),
        ("2024-05-01-10.00.14.250000", "2024-05-01T10:00:14.250Z"),
        ("2024-05-01-10.00.14.250000+120", "2024-05-01T08:00:14.250Z"),
        ("2022/02/07 - 10:49:33", "2022-02-07T10:49:33Z"),
        ("130324  8:24:09", "2013-03-24T08:24:09Z"),
        ("02/sept./2015:00:11:31 +0200", "2015-09-01T22:11:31Z"),
    ]);
    for text in [
        "/Date()/",
        "/Date(1",
        "2024-03-05 09:12:33 MST m=",
        "2024-03-05 09:12:33 [Europe/Berlin]",
        "2024-03-05T10:12:33+01:00[x",
        "99999999999999",
        "20241305091233",
    ] {
        let year = parse_time(text, &context("2026-07-01T00:00:00Z")).map(|time| time.year());
        assert!(year.is_none_or(|year| year > 2200), "{text}");
    }
}

#[test]
fn parts_of_a_time_are_put_together() {
    let context = context("2026-07-01T00:00:00Z");
    for (date, time, zone, expected) in [
        (
            Some("2024-03-05"),
            Some("09:12:33"),
            None,
            Some("2024-03-05T09:12:33Z"),
        ),
        (
            Some("2024-03-05"),
            Some("09:12:33"),
            Some("-0500"),
            Some("2024-03-05T14:12:33Z"),
        ),
        (
            Some("2024-03-05"),
            Some("09:12:33"),
            Some("UTC+2"),
            Some("2024-03-05T07:12:33Z"),
        ),
        (
            Some("2024-03-05"),
            Some("09:12:33"),
            Some("Europe/Paris"),
            Some("2024-03-05T08:12:33Z"),
        ),
        (
            Some("2024-03-05"),
            Some("09:12:33 +01:00"),
            Some("-0500"),
            Some("2024-03-05T08:12:33Z"),
        ),
        (
            Some("2024-01-01"),
            Some("2024-03-05T09:12:33Z"),
            None,
            Some("2024-03-05T09:12:33Z"),
        ),
        (
            None,
            Some("2024-03-05 09:12:33"),
            Some("CET"),
            Some("2024-03-05T08:12:33Z"),
        ),
        (
            Some("2024-03-05 09:12:33"),
            None,
            Some("nowhere"),
            Some("2024-03-05T09:12:33Z"),
        ),
        (Some("soon"), Some("09:12:33"), None, None),
        (None, None, Some("UTC"), None),
    ] {
        let found = parse_parts(date, time, zone, &context);
        let found = found.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        assert_eq!(found.as_deref(), expected, "{date:?} {time:?} {zone:?}");
    }
}

#[test]
fn reads_epochs_in_any_unit() {
    assert_reads(&[
        ("1511648546", "2017-11-25T22:22:26Z"),
        ("1716723772.6014807", "2024-05-26T11:42:52.601480Z"),
        ("1620021848429", "2021-05-03T06:04:08.429Z"),
        ("1534860261221373", "2018-08-21T14:04:21.221373Z"),
        ("1620024872717915999", "2021-05-03T06:54:32.717915Z"),
    ]);
}

#[test]
fn gives_a_time_without_year_the_last_year_it_fits() {
    for (text, reference, expected) in [
        ("Dec 31 23:59:59", "2024-01-01T00:00:00Z", "2023-12-31T23:59:59Z"),
        ("Jan  1 00:00:00", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("Jan  1 00:00:01", "2024-01-01T00:00:00Z", "2023-01-01T00:00:01Z"),
        ("Feb 29 12:00:00", "2023-06-01T00:00:00Z", "2020-02-29T12:00:00Z"),
        ("Feb 29 12:00:00", "1903-06-01T00:00:00Z", "1896-02-29T12:00:00Z"),
        ("10.30 16:49:06", "2023-06-01T00:00:00Z", "2022-10-30T16:49:06Z"),
        ("23:00:00", "2023-06-01T12:00:00Z", "2023-05-31T23:00:00Z"),
    ] {
        assert_eq!(
            read_at(text, reference).as_deref(),
            Some(expected),
            "{text} before {reference}"
        );
    }
}

#[test]
fn reads_open_times_in_the_given_zone() {
    let paris = context("2024-07-01T00:00:00Z").with_zone("Europe/Paris".parse().unwrap());
    for (text, expected) in [
        ("2024-01-15 12:00:00", "2024-01-15T11:00:00+00:00"),
        ("2024-06-15 12:00:00", "2024-06-15T10:00:00+00:00"),
        ("2024-06-15 12:00:00Z", "2024-06-15T12:00:00+00:00"),
        ("2024-03-31 02:30:00", "2024-03-31T01:30:00+00:00"),
        ("2023-10-29 02:30:00", "2023-10-29T00:30:00+00:00"),
    ] {
        assert_eq!(parse_time(text, &paris).unwrap().to_rfc3339(), expected, "{text}");
    }
}

#[test]
fn day_or_month_comes_first() {
    let context = context("2026-07-01T00:00:00Z");
    for (text, auto, day_first, month_first) in [
        ("11-06-2013 10:00", "2013-06-11", "2013-06-11", "2013-11-06"),
        ("11.06.2013 10:00", "2013-06-11", "2013-06-11", "2013-11-06"),
        ("11/06/2013 10:00", "2013-11-06", "2013-06-11", "2013-11-06"),
        ("13/06/2013 10:00", "2013-06-13", "2013-06-13", "2013-06-13"),
        ("06.13.2013 10:00", "2013-06-13", "2013-06-13", "2013-06-13"),
        ("17.06.09 10:00", "2009-06-17", "2009-06-17", "2009-06-17"),
        ("17/06/09 10:00", "2017-06-09", "2009-06-17", "2017-06-09"),
        ("10.11 10:00:00", "2025-10-11", "2025-11-10", "2025-10-11"),
    ] {
        for (order, expected) in [
            (DateOrder::Auto, auto),
            (DateOrder::DayFirst, day_first),
            (DateOrder::MonthFirst, month_first),
        ] {
            let time = parse_time(text, &context.with_date_order(order)).unwrap();
            assert_eq!(time.date_naive().to_string(), expected, "{text} {order}");
        }
    }
    for (text, expected) in [
        ("x 13-06-2013", Some(DateOrder::DayFirst)),
        ("06/13/2013", Some(DateOrder::MonthFirst)),
        ("11-06-2013 13-06-13 32-01-2013 1.2.3.4 v13.06.2013", None),
    ] {
        assert_eq!(deciding_order(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn refuses_what_is_no_time() {
    for text in [
        "",
        " ",
        "-",
        "yesterday",
        "12",
        "2023-02-29T00:00:00Z",
        "2023-13-01 00:00:00",
        "2023-01-01T24:00:00Z",
        "Feb 30 10:00:00",
        "2023-01-01T00:00:00+99:00",
        "13:00 PM",
        "1.2.3.4",
        "0x5f",
        "99999999999999999999",
        "2023-01-01T00:00:00Zebra",
        "@4000000043322583",
        "١٢٣٤٥٦٧٨٩٠",
    ] {
        assert_eq!(read(text), None, "{text:?}");
    }
}

#[test]
fn finds_the_time_a_line_starts_with() {
    let context = context("2024-03-01T00:00:00Z");
    for (line, text) in [
        (
            "[Sun Dec 04 04:47:44 2005] [notice] up",
            Some("Sun Dec 04 04:47:44 2005"),
        ),
        ("\"2017-06-28\" x", None),
        ("Sep 13 00:58:45 kernel[0]: 5 -> 1", Some("Sep 13 00:58:45")),
        ("10:00:00 -10 items", Some("10:00:00")),
        ("Feb 15 11:57:44 2012 ERROR: x", Some("Feb 15 11:57:44 2012")),
        ("Feb 15 11:57:44 2012 %ASA-6: x", Some("Feb 15 11:57:44 2012")),
        ("Feb 15 11:57:44 2012-dc01 x", Some("Feb 15 11:57:44")),
        ("Wed Feb 15 11:57:44 2012-dc01 x", Some("Wed Feb 15 11:57:44")),
        (
            "Wed Feb 15 11:57:44 2012 app: x",
            Some("Wed Feb 15 11:57:44 2012"),
        ),
        ("2024-01-01 10:00:00,5,foo", Some("2024-01-01 10:00:00")),
        ("12:30 meeting", None),
        ("2024-01-01 12 items", None),
        ("1234567890abc", None),
    ] {
        let found = find_time_at_start(line, &context).map(|found| &line[found.start..found.end]);
        assert_eq!(found, text, "{line}");
    }
}

#[test]
fn finds_a_complete_time_further_in() {
    let context = context("2024-03-01T00:00:00Z");
    for (line, text) in [
        (
            "a::ERROR::2011-12-05 07:04:56,101::b",
            Some("2011-12-05 07:04:56,101"),
        ),
        ("1000 1697048351.000001 execve(", Some("1697048351.000001")),
        ("build 20120702 at 10.0.0.1 port 1234567890", None),
        ("v2011-12-05 07:04:56", None),
    ] {
        let found = find_time(line, 64, &context).map(|found| &line[found.start..found.end]);
        assert_eq!(found, text, "{line}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC{0,40}", start in 0usize..64) {
        let context = TimeContext::default();
        parse_time(&text, &context);
        find_time_at_start(&text, &context);
        find_time(&text, start, &context);
    }

    #[test]
    fn never_panics_on_time_like_text(text in "[0-9TZ:/.,+ \\-]{0,30}|(Jan|Feb|May) [0-9 :.]{0,20}") {
        let context = TimeContext::default();
        if let Some(found) = find_time_at_start(&text, &context) {
            prop_assert!(text.get(found.start..found.end).is_some());
        }
        parse_time(&text, &context);
    }

    #[test]
    fn reads_back_every_common_rendering(seconds in -2_000_000_000i64..4_000_000_000, nanos in 0u32..1_000_000_000) {
        let time = Utc.timestamp_opt(seconds, nanos).unwrap();
        let context = TimeContext::default();
        let whole = Utc.timestamp_opt(seconds, 0).unwrap();
        for format in ["%Y-%m-%dT%H:%M:%S%.9fZ", "%Y-%m-%d %H:%M:%S,%9f", "%Y-%m-%d %H:%M:%S%.9f %z", "%a %b %e %H:%M:%S%.9f %Y"] {
            let text = time.format(format).to_string();
            prop_assert_eq!(parse_time(&text, &context), Some(to_micros(time)), "{}", text);
        }
        for format in ["%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S GMT", "%Y/%m/%d %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%Y-%jT%H:%M:%S"] {
            let text = time.format(format).to_string();
            prop_assert_eq!(parse_time(&text, &context), Some(whole), "{}", text);
        }
    }

    #[test]
    fn a_time_without_year_is_the_nearest_before(seconds in 0i64..4_000_000_000, later in 0i64..31_535_999) {
        let time = Utc.timestamp_opt(seconds, 0).unwrap();
        let reference = time + TimeDelta::seconds(later);
        let text = time.format("%b %e %H:%M:%S").to_string();
        let read = parse_time(&text, &TimeContext::new(reference)).unwrap();
        prop_assert_eq!(read, time);
    }
}
