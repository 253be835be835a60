//! What belongs to one event is one log, with its lines and their breaks.

use std::io::Cursor;

use logstore::LogEntry;
use logstore::ingest::{ContinuationLines, IngestOptions, LogReader, PARSE_ERROR};
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

const TRACE: &str = "2024-01-01 10:00:00 ERROR main: failed\njava.lang.IllegalStateException: no\n\
    \tat com.example.Main.run(Main.java:12)\n\t... 12 more\nCaused by: java.io.IOException: x\n";

#[test]
fn a_stack_trace_belongs_to_the_event_before_it() {
    let python = "2024-01-01 10:00:01 ERROR failed\nTraceback (most recent call last):\n  File \"x.py\", line 1\n    \
        f()\nValueError: no\n";
    let text = format!("{TRACE}{python}2024-01-01 10:00:02 INFO started\n");
    let logs = read(&text);
    let expected = [
        TRACE.trim_end(),
        python.trim_end(),
        "2024-01-01 10:00:02 INFO started",
    ];
    assert_eq!(raws(&logs), expected);
    let message = logs[0].message.as_deref().unwrap();
    assert!(
        message.ends_with("java.io.IOException: x") && message.contains("\n\tat com"),
        "{message}"
    );
    assert_eq!(logs[0].event_time.to_rfc3339(), "2024-01-01T10:00:00+00:00");
    let keep = IngestOptions::new().with_continuation_lines(ContinuationLines::Keep);
    let input = Cursor::new(text.clone().into_bytes());
    assert_eq!(LogReader::new(input, &keep).count(), text.lines().count());
}

#[test]
fn lines_that_may_begin_an_event_are_not_joined() {
    for text in [
        "no time\n\tat com.example.Main.run(Main.java:12)\n",
        "2024-01-01 10:00:00 x\n  indented\n",
        "{\"time\": \"2024-01-01T10:00:00Z\"}\n\tat com.example.Main.run(Main.java:12)\n",
        "2024-01-01 10:00:00 x\n\n\tat com.example.Main.run(Main.java:12)\n",
        "type=SYSCALL msg=audit(1364481363.243:24287): a\ntype=CWD msg=audit(1364481363.243:24287): b\n",
    ] {
        let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(raws(&read(text)), lines);
    }
}

#[test]
fn the_parts_of_a_line_of_a_container_are_joined() {
    let cri = "2024-01-01T00:00:00.1Z stdout P Failed password for \n2024-01-01T00:00:00.2Z stdout F root from \
        203.0.113.9 port 4 ssh2\n2024-01-01T00:00:01Z stderr P one\n2024-01-01T00:00:02Z stdout F two\n";
    let logs = read(cri);
    assert_eq!(logs.len(), 3);
    let lines: Vec<_> = cri.lines().collect();
    assert_eq!(raws(&logs), [&lines[..2].join("\n"), lines[2], lines[3]]);
    let message = logs[0].message.as_deref().unwrap();
    assert!(message.contains("for root from"), "{message}");
    let docker = "{\"log\":\"one \",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:00.5Z\"}\n\
        {\"log\":\"two\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:01Z\"}\n\
        {\"log\":\"three\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:02Z\"}\n";
    let logs = read(docker);
    assert_eq!(logs.len(), 2);
    let message = logs[0].message.as_deref().unwrap_or_default();
    assert!(message.contains("one two"), "{:?}", logs[0]);
    assert_eq!(
        raws(&logs)[0],
        docker.lines().take(2).collect::<Vec<_>>().join("\n")
    );
    assert_eq!(logs[0].event_time.to_rfc3339(), "2024-01-01T00:00:00.500+00:00");
}

#[test]
fn parts_are_followed_until_the_line_is_whole_or_time_is_up() {
    let cli = Cli::new();
    cli.write("logstore.toml", "[ingest]\nmultiline_timeout = \"20ms\"\n");
    cli.write("app.log", "2024-01-01T00:00:00.1Z stdout P one\n");
    let following = Following::start(&cli, &["app.log"]);
    wait_for(&cli, 1);
    following.stop();
}

#[test]
fn no_block_ends_within_an_event() {
    let cli = Cli::new();
    // A block has 2,048 lines or objects.
    cli.write("app.log", TRACE.repeat(9_000));
    assert_eq!(ingest(&cli, &["app.log"]), 9_000);
    let rows = cli.rows(&["query", "SELECT DISTINCT raw FROM logs"]);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["raw"], TRACE.trim_end());
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

#[test]
fn a_document_is_one_log_with_the_elements_in_it() {
    let document = |user: &str| {
        format!(
            "<?xml version=\"1.0\"?>\n<EPOEvent>\n<MachineInfo>\n    <MachineName>WS4</MachineName>\n    <UserName>{user}</UserName>\n\
            </MachineInfo>\n  <Event>\n    <EventID>1027</EventID>\n    <GMTTime>2024-05-01T10:00:14</GMTTime>\n  </Event>\n</EPOEvent>"
        )
    };
    let text = format!(
        "first\n{}\n{}\n<13>May  1 10:00:00 h last\n",
        document("bob"),
        document("eve")
    );
    let logs = read(&text);
    assert_eq!(raws(&logs).join("\n"), text.trim_end());
    let users: Vec<_> = logs.iter().map(LogEntry::user).collect();
    assert_eq!(users, [None, Some("bob"), Some("eve"), None]);
    let whole = event(7);
    let logs = read(&format!("first\n<?xml version=\"1.0\"?>\n{whole}\nlast\n"));
    assert_eq!((logs.len(), records(&logs)), (4, vec![7]));
}

/// A record of Oracle's audit trail.
fn audit_record(user: &str, action: &str) -> String {
    format!(
        "Wed May  1 10:00:14 2024 +02:00\nLENGTH : '280'\nACTION :[{}] '{action}'\nDATABASE USER:[{}] '{user}'\n\
        PRIVILEGE :[4] 'NONE'\nSTATUS:[1] '0'\nACTION NUMBER:[2] '43'",
        action.len(),
        user.len()
    )
}

#[test]
fn a_record_of_an_audit_trail_ends_where_the_lengths_of_its_values_say() {
    let forged = audit_record("SYS", "CONNECT");
    let text = format!(
        "{}\n\n{}\nlast\n",
        audit_record("bob", &format!("select 1 --'\n{forged}\n")),
        audit_record("eve", "COMMIT")
    );
    let logs = read(&text);
    let users: Vec<_> = logs.iter().map(LogEntry::user).collect();
    assert_eq!(users, [Some("bob"), Some("eve")], "{text}");
    assert!(raws(&logs)[0].contains(&forged), "{text}");
    assert!(raws(&logs)[1].ends_with("'43'\nlast"), "{text}");
}

#[test]
fn a_record_of_a_queue_manager_is_one_log() {
    let record = |host: &str| {
        format!(
            "05/01/24 12:00:14 - Process(812.8) User(mqm) Program(amqzmur0)\n                    Host({host}) Installation(I)\n                    \
            VRMF(9.2.4.0) QMgr(QM1)\n                    Time(2024-05-01T10:00:14.250Z)\n\nAMQ5037I: The task has started.\n\n(x)\n\u{dc}BERSICHT:\nNone."
        )
    };
    let end = "----- amqzmut0.c : 1655 -----";
    let text = format!("{}\n{end}\n{}\n{end}\n", record("mq1"), record("mq2"));
    let logs = read(&text);
    let hosts: Vec<_> = logs.iter().map(|log| log.host.as_deref()).collect();
    assert_eq!(hosts, [Some("mq1"), None, Some("mq2"), None], "{text}");
    assert!(logs[0].message.as_deref().unwrap().starts_with("AMQ5037I"));
}

#[test]
fn a_line_like_the_head_of_a_record_hides_none_after_it() {
    let head = "05/01/24 12:00:14 - Process(812.8) User(mqm) Program(x)\n  Host(h)";
    let after = "May  1 10:00:14 web1 sshd[7]: Failed password for bob from 203.0.113.9 port 9 ssh2";
    let begun = "Wed May  1 10:00:14 2024\nLENGTH : '9'\nSTATUS:[1] '0'";
    for text in [format!("{head}\n{after}\n"), format!("{begun}\n{after}\n")] {
        let logs = read(&text);
        assert_eq!(logs.last().unwrap().user(), Some("bob"), "{text}");
    }
    let endless = "Wed May  1 10:00:14 2024\nLENGTH : '9'\nACTION :[999999999] 'x";
    let lines = format!("{after}\n").repeat(2_000);
    let logs = read(&format!("{endless}\n{lines}"));
    assert_eq!(logs.last().unwrap().user(), Some("bob"));
}

#[test]
fn a_line_in_the_export_of_another_store_is_read() {
    let line = r#"{"preview":false,"offset":0,"result":{"_raw":"{\"ts\":1568132368.465,\"user\":\"bob\"}","_time":"2020-12-23 19:43:35.000 UTC","host":"h"}}"#;
    let log = read(line).remove(0);
    assert_eq!(log.event_time.timestamp(), 1_568_132_368);
    assert_eq!(log.user(), Some("bob"));
    let line = r#"{"preview":false,"result":{"_raw":"May  1 10:00:14 web1 sshd[7]: Failed password for bob from 203.0.113.9 port 9 ssh2"}}"#;
    let log = read(line).remove(0);
    assert_eq!(log.source_ip().as_deref(), Some("203.0.113.9"));
    assert_eq!(log.user(), Some("bob"));
}
