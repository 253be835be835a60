//! What belongs to one event is one log, with its lines and their breaks.

use std::io::Cursor;

use logstore::LogEntry;
use logstore::ingest::{IngestOptions, LogReader, PARSE_ERROR};
use proptest::prelude::*;

use crate::exactly_once::{Following, append, ingest, wait_for};
use crate::support::Cli;

fn read(text: &str) -> Vec<LogEntry> {
    let input = Cursor::new(text.as_bytes().to_vec());
    LogReader::new(input, &IngestOptions::new())
        .map(Result::unwrap)
        .collect()
}

fn raws(logs: &[LogEntry]) -> Vec<&str> {
    logs.iter().map(|log| log.raw.as_deref().unwrap()).collect()
}

/// A Windows event over several lines.
fn event(record: u32) -> String {
    format!(
        "<Event xmlns=\"http://schemas.microsoft.com/win/2004/08/events/event\">\r\n  <System>\r\n    \
        <Provider Name=\"Microsoft-Windows-Security-Auditing\"/><EventID>4624</EventID>\r\n    \
        <TimeCreated SystemTime=\"2023-07-24T18:10:{:02}.5Z\"/><EventRecordID>{record}</EventRecordID>\r\n    \
        <Computer>DC1</Computer>\r\n  </System>\r\n  <EventData><Data Name=\"Text\">a\r\nb</Data></EventData>\r\n\
        </Event>",
        record % 60
    )
}

fn records(logs: &[LogEntry]) -> Vec<u64> {
    logs.iter()
        .filter_map(|log| log.normalized.get("EventRecordID")?.as_u64())
        .collect()
}

#[test]
fn a_windows_event_is_one_log() {
    let (one, two) = (event(1), event(2));
    let flat = |event: &str| event.replace("\r\n", "");
    for text in [
        format!("{one}\n{two}\n"),
        format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<Events>{one}{two}</Events>"),
        format!("<Events>\n  {one}\n  {two}\n</Events>\n"),
        format!("{}{}\n", flat(&one), flat(&two)),
        format!(
            "<?xml version='1.0'?><Events>{}\n{}\n</Events>\n",
            flat(&one),
            flat(&two)
        ),
    ] {
        let logs = read(&text);
        assert_eq!(records(&logs), [1, 2], "{text}");
        assert_eq!(logs.len(), 2, "{text}");
        let expected = match text.contains("  <System>\r\n") {
            true => [one.clone(), two.clone()],
            false => [flat(&one), flat(&two)],
        };
        assert_eq!(raws(&logs), expected, "{text}");
        assert_eq!(logs[0].event_time.to_rfc3339(), "2023-07-24T18:10:01.500+00:00");
        assert_eq!(logs[0].host.as_deref(), Some("DC1"));
        assert_eq!(logs[0].source_type.as_deref(), Some("windows_event"));
    }
}

#[test]
fn other_lines_are_between_events() {
    let text = format!(
        "first\n{}\n<34>Oct 11 22:14:15 web1 su: x\n{} rest\n<EventData>\n",
        event(1),
        event(2)
    );
    let logs = read(&text);
    let (one, two) = (event(1), event(2));
    let expected = [
        "first",
        &one,
        "<34>Oct 11 22:14:15 web1 su: x",
        &two,
        " rest",
        "<EventData>",
    ];
    assert_eq!(raws(&logs), expected);
}

#[test]
fn an_event_that_does_not_end_is_lines() {
    let text = "<Event>\n<System>\n2024-01-01 10:00:00 a line\n";
    let logs = read(text);
    assert_eq!(raws(&logs), text.lines().collect::<Vec<_>>());
    for log in &logs {
        let problem = log.metadata[PARSE_ERROR].as_str().unwrap();
        assert!(problem.contains("Windows event"), "{problem}");
    }
    assert_eq!(logs[2].event_time.to_rfc3339(), "2024-01-01T10:00:00+00:00");
}

#[test]
fn events_are_followed_from_start_to_end() {
    let cli = Cli::new();
    let text = format!("<Events>\r\n{}\r\n{}\r\n", event(1), event(2));
    let (start, rest) = text.split_at(600);
    let path = cli.write("events.xml", start);
    let following = Following::start(&cli, &["events.xml"]);
    wait_for(&cli, 1);
    append(&path, rest);
    wait_for(&cli, 2);
    following.stop();
    append(&path, &event(3));
    assert_eq!(ingest(&cli, &["events.xml"]), 1);
    let rows = cli.rows(&["query", "SELECT raw FROM logs ORDER BY seq"]);
    let found: Vec<_> = rows
        .iter()
        .map(|row| row["raw"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, [event(1), event(2), event(3)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_are_read_in_any_buffer(capacity in 1..200_usize, spaces in "[ \r\n\t]{0,9}", is_utf16 in any::<bool>()) {
        let text = format!("<Events>{}{spaces}{}\nlast\n</Events>", event(1), event(2));
        let bytes = match is_utf16 {
            true => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            false => text.into_bytes(),
        };
        let encoding = if is_utf16 { "utf-16le" } else { "utf-8" };
        let options = IngestOptions::new().with_encoding(encoding.parse().unwrap());
        let input = std::io::BufReader::with_capacity(capacity, Cursor::new(bytes));
        let logs: Vec<_> = LogReader::new(input, &options).map(Result::unwrap).collect();
        prop_assert_eq!(records(&logs), [1, 2]);
        prop_assert_eq!(logs.iter().filter(|log| log.raw.as_deref() == Some("last")).count(), 1);
    }
}
