//! Which part of a line is its time, and which time that is.

use std::io::Cursor;

use logstore::LogEntry;
use logstore::ingest::{IngestOptions, LogReader, Source, TIME_SOURCE};
use logstore::time::DateOrder;
use serde_json::json;

use crate::support::Cli;

fn read(text: &str) -> Vec<LogEntry> {
    let options = IngestOptions::new().with_reference("2026-11-20T00:00:00Z".parse().unwrap());
    let input = Cursor::new(text.as_bytes().to_vec());
    LogReader::new(input, &options).map(Result::unwrap).collect()
}

/// The times of the lines of a file.
fn times_in(cli: &Cli, text: &str, options: &IngestOptions) -> Vec<String> {
    let source = Source::file(cli.write("dates.log", text));
    let logs = source.open(options).unwrap().map(Result::unwrap);
    logs.map(|log| log.event_time.format("%m-%d").to_string())
        .collect()
}

#[test]
fn a_host_that_starts_with_digits_is_no_year() {
    for (line, year, host, program) in [
        (
            "Feb 15 11:57:42 1234.hostname.example x y",
            "2026",
            "1234.hostname.example",
            None,
        ),
        (
            "Feb 15 11:57:43 2012-dc01 app[5]: hello",
            "2026",
            "2012-dc01",
            Some("app"),
        ),
        (
            "Feb 15 11:57:44 2019.web.example sshd[5]: hello",
            "2026",
            "2019.web.example",
            Some("sshd"),
        ),
        (
            "Feb 15 11:57:44 2012 sshd[5]: hello",
            "2026",
            "2012",
            Some("sshd"),
        ),
        ("Feb 15 11:57:44 1234 web1 app: hello", "2026", "1234", None),
        (
            "Feb 15 11:57:44 2012 web1 sshd[5]: hello",
            "2012",
            "web1",
            Some("sshd"),
        ),
        (
            "Wed Feb 15 11:57:44 2012 web1 sshd[5]: hello",
            "2012",
            "web1",
            Some("sshd"),
        ),
    ] {
        let log = read(line).remove(0);
        let found = log.event_time.format("%Y").to_string();
        assert_eq!(
            (found.as_str(), log.host.as_deref(), log.appname.as_deref()),
            (year, Some(host), program),
            "{line}"
        );
    }
}

#[test]
fn the_next_column_of_csv_is_no_fraction() {
    for (line, expected) in [
        ("2024-01-01 10:00:00,203.0.113.9,x", "2024-01-01T10:00:00+00:00"),
        ("2024-01-01 10:00:00,5,foo", "2024-01-01T10:00:00+00:00"),
        ("2024-01-01 10:00:00,404,GET", "2024-01-01T10:00:00+00:00"),
        ("2024-01-01 10:00:00,5", "2024-01-01T10:00:00+00:00"),
        (
            "1,2020/12/04 16:00:02,016401002222,USERID,x",
            "2020-12-04T16:00:02+00:00",
        ),
        (
            "\"VPN1\",\"RAS\",09/22/2022,13:32:06,2,,\"CORP\\bob\",",
            "2022-09-22T13:32:06+00:00",
        ),
        ("2025-05-26,13:41:00,64,1977", "2025-05-26T13:41:00+00:00"),
        ("2024-01-01 10:00:00,123 INFO x", "2024-01-01T10:00:00.123+00:00"),
        ("2024-01-01 10:00:00,123456", "2024-01-01T10:00:00.123456+00:00"),
        (
            "\"2024-01-01 10:00:00,123\",\"INFO\"",
            "2024-01-01T10:00:00.123+00:00",
        ),
        ("2024-01-01T10:00:00,25+01:00 x", "2024-01-01T09:00:00.250+00:00"),
        (
            "a::ERROR::2011-12-05 07:04:56,101::b",
            "2011-12-05T07:04:56.101+00:00",
        ),
        (
            "{\"time\": \"2024-01-01 10:00:00,5\"}",
            "2024-01-01T10:00:00.500+00:00",
        ),
    ] {
        let log = read(line).remove(0);
        assert_eq!(log.event_time.to_rfc3339(), expected, "{line}");
        assert!(!log.metadata.contains_key(TIME_SOURCE), "{line}");
    }
}

#[test]
fn a_date_in_a_sentence_is_not_the_time_of_its_line_or_the_next() {
    let logs = read(
        "2024-01-01 10:00:00 up\nCertificate for example.com expires on 2030-01-01 00:00:00\norder 2019-12-12 12:00 was cancelled by bob\n<13>backup of db-2019-12-12 12:00:00.sql finished\nnext\n",
    );
    for log in &logs[1..] {
        assert_eq!(log.event_time, logs[0].event_time, "{:?}", log.raw);
        assert_eq!(log.metadata[TIME_SOURCE], "previous_line", "{:?}", log.raw);
    }
}

#[test]
fn a_file_whose_dates_decide_their_order_decides_it_for_all() {
    let cli = Cli::new();
    let auto = IngestOptions::new();
    for (text, expected) in [
        ("11-06-2013 02:09:40 x\n", ["06-11"].as_slice()),
        ("11.06.2013 02:09:40 x\n", &["06-11"]),
        ("11/06/2013 02:09:40 x\n", &["11-06"]),
        (
            "11/06/2013 02:09:40 x\n13/06/2013 02:09:40 x\n",
            &["06-11", "06-13"],
        ),
        (
            "11-06-2013 02:09:40 x\n06-13-2013 02:09:40 x\n",
            &["11-06", "06-13"],
        ),
        // Both orders, so neither is decided.
        (
            "11-06-2013 02:09:40 x\n13-06-2013 02:09:40 x\n06-13-2013 02:09:40 x\n",
            &["06-11", "06-13", "06-13"],
        ),
        // Not the time of its line: anyone may have written it.
        ("11/06/2013 02:09:40 on 13/06/2013\n", &["11-06"]),
        (
            "{\"time\": \"11/06/2013 02:09:40\"}\n{\"time\": \"13/06/2013 02:09:40\"}\n",
            &["06-11", "06-13"],
        ),
    ] {
        assert_eq!(times_in(&cli, text, &auto), expected, "{text}");
    }
    let filler = "06/11/2013 02:09:40 a line that does not say which number is the month\n".repeat(4_000);
    let late = times_in(&cli, &format!("{filler}13/11/2013 02:09:40 x\n"), &auto);
    assert_eq!((late[0].as_str(), late[4_000].as_str()), ("11-06", "11-13"));
    let text = "11/06/2013 02:09:40 x\n06/13/2013 02:09:40 x\n";
    let day_first = IngestOptions::new().with_date_order(DateOrder::DayFirst);
    assert_eq!(times_in(&cli, text, &day_first), ["06-11", "06-13"]);
}

#[test]
fn settings_and_flags_say_the_order_of_dates() {
    let cli = Cli::new();
    cli.write("a.log", "11-06-2013 02:09:40 x\n");
    let month = |cli: &Cli| {
        let sql = "SELECT month(max(event_time)) AS month FROM logs";
        cli.rows(&["query", sql, "--format", "jsonl"])[0]["month"].clone()
    };
    cli.output(&["ingest", "a.log"]);
    assert_eq!(month(&cli), 6);
    cli.write("b.log", "11-06-2013 02:09:41 x\n");
    cli.write("logstore.toml", "[ingest]\ndate_order = \"month_first\"\n");
    cli.output(&["ingest", "b.log"]);
    assert_eq!(month(&cli), 11);
    cli.write("c.log", "11/12/2013 02:09:41 x\n");
    cli.output(&["ingest", "c.log", "--date-order", "day_first"]);
    assert_eq!(month(&cli), 12);
    let (code, error) = cli.failure(&["ingest", "c.log", "--date-order", "backwards"]);
    assert_eq!(code, 2);
    assert!(error.contains("day_first"), "{error}");
}

#[test]
fn syslog_with_a_time_of_rfc_3339_needs_no_process() {
    for (line, host, program) in [
        (
            "2024-05-01T12:00:00.123456+02:00 web1 sudo:    alice : TTY=pts/0",
            "web1",
            "sudo",
        ),
        (
            "2024-05-01T12:00:01.123456+00:00 web1 kernel: [UFW BLOCK] IN=eth0",
            "web1",
            "kernel",
        ),
        (
            "2024-05-01T12:00:02Z web1 postfix/smtpd: connect",
            "web1",
            "postfix/smtpd",
        ),
        (
            "2024-05-01T12:00:02+0200 2001:db8::1 dhclient: bound to 192.0.2.10",
            "2001:db8::1",
            "dhclient",
        ),
        (
            "2024-05-01T12:00:03.123456+02:00 web1 sshd[9]: hi",
            "web1",
            "sshd",
        ),
    ] {
        let log = read(line).remove(0);
        assert_eq!(
            (log.host.as_deref(), log.appname.as_deref()),
            (Some(host), Some(program)),
            "{line}"
        );
    }
    for line in [
        "2024-05-01T12:00:00Z INFO main: started",
        "2024-05-01T12:00:00Z web1 ERROR: broken",
        "2024-05-01T12:00:00 worker main: started",
        "2024-05-01 12:00:00+02:00 worker main: started",
    ] {
        assert_eq!(read(line)[0].source_type.as_deref(), Some("text"), "{line}");
    }
}

#[test]
fn statistics_name_the_files_whose_lines_have_no_time() {
    let cli = Cli::new();
    cli.write("plain.log", "one\ntwo\n");
    cli.write("timed.log", "2024-01-01 10:00:00 x\n");
    cli.output(&["ingest", "plain.log", "timed.log"]);
    let stats = cli.rows(&["stats", "--format", "jsonl"]).remove(0);
    assert_eq!(stats["logs_without_time"], 2);
    assert_eq!(
        stats["files_without_time"],
        json!([{"file": "plain.log", "logs": 2}])
    );
    let table = cli.output(&["stats", "--format", "table"]);
    assert!(table.contains("without a time    2 (plain.log: 2)\n"), "{table}");
}
