//! Lines that name columns give fields to the lines below them, wherever reading begins.

use std::io::Cursor;

use logstore::LogEntry;
use logstore::ingest::{IngestOptions, LogReader};
use serde_json::Value;

use crate::exactly_once::{Following, append, ingest, wait_for};
use crate::support::Cli;

fn read(text: &str) -> Vec<LogEntry> {
    let input = Cursor::new(text.as_bytes().to_vec());
    LogReader::new(input, &IngestOptions::new())
        .map(Result::unwrap)
        .collect()
}

/// Lines of IIS that name columns, in one of two orders.
fn fields(is_first: bool) -> &'static str {
    match is_first {
        true => {
            "#Software: Microsoft Internet Information Services 10.0\n#Fields: date time s-ip c-ip cs-method\n"
        }
        false => "#Fields: date time c-ip cs-method s-ip\n",
    }
}

/// Lines below either of them; the client is 203.0.113.1, and the server 10.0.0.5.
fn rows(is_first: bool, count: usize) -> String {
    let row = match is_first {
        true => "2022-08-09 20:25:27 10.0.0.5 203.0.113.1 GET\n",
        false => "2022-08-09 20:25:27 203.0.113.1 GET 10.0.0.5\n",
    };
    row.repeat(count)
}

/// Counts the logs of each client.
fn clients(cli: &Cli) -> Vec<(Value, u64)> {
    let sql = "SELECT normalized->>'c-ip' AS client, count(*) AS n FROM logs GROUP BY client ORDER BY client";
    let rows = cli.rows(&["query", sql]);
    rows.iter()
        .map(|row| (row["client"].clone(), row["n"].as_u64().unwrap()))
        .collect()
}

#[test]
fn every_line_of_a_file_with_columns_is_a_log() {
    let text = format!(
        "{}{}{}{}",
        fields(true),
        rows(true, 1),
        fields(false),
        rows(false, 1)
    );
    let logs = read(&text);
    let raws: Vec<_> = logs.iter().map(|log| log.raw.as_deref().unwrap()).collect();
    assert_eq!(raws, text.lines().collect::<Vec<_>>());
    for log in [&logs[2], &logs[4]] {
        assert_eq!(log.normalized["c-ip"], "203.0.113.1");
        assert_eq!(log.normalized["s-ip"], "10.0.0.5");
        assert_eq!(log.source_type.as_deref(), Some("w3c"));
        assert_eq!(log.event_time.to_rfc3339(), "2022-08-09T20:25:27+00:00");
    }
    assert_eq!(logs[0].source_type.as_deref(), Some("text"));
}

#[test]
fn a_header_is_known_where_reading_goes_on() {
    let cli = Cli::new();
    // The second header is neither in the first nor in the last 64 KiB of the third part.
    let first = format!("{}{}", fields(true), rows(true, 2_000));
    let path = cli.write("iis.log", first + fields(false) + &rows(false, 100));
    ingest(&cli, &["iis.log"]);
    append(&path, &rows(false, 10));
    assert_eq!(ingest(&cli, &["iis.log"]), 10);
    append(&path, &(fields(true).to_owned() + &rows(true, 5)));
    assert_eq!(ingest(&cli, &["iis.log"]), 7);
    let expected = [("203.0.113.1".into(), 2_115), (Value::Null, 5)];
    assert_eq!(clients(&cli), expected);
}

#[test]
fn a_header_is_known_while_a_file_is_followed_and_rotated() {
    let cli = Cli::new();
    let path = cli.write("iis.log", fields(true).to_owned() + &rows(true, 40));
    let following = Following::start(&cli, &["iis.log"]);
    wait_for(&cli, 42);
    append(&path, &rows(true, 5));
    wait_for(&cli, 47);
    std::fs::rename(&path, cli.path("iis.log.1")).unwrap();
    cli.write("iis.log", fields(false).to_owned() + &rows(false, 3));
    wait_for(&cli, 51);
    following.stop();
    assert_eq!(clients(&cli), [("203.0.113.1".into(), 48), (Value::Null, 3)]);
}

#[test]
fn blocks_of_columns_are_parsed_in_parallel() {
    let cli = Cli::new();
    let text = format!(
        "{}{}{}{}",
        fields(true),
        rows(true, 9_000),
        fields(false),
        rows(false, 9_000)
    );
    cli.write("iis.log", text);
    ingest(&cli, &["iis.log"]);
    assert_eq!(clients(&cli), [("203.0.113.1".into(), 18_000), (Value::Null, 3)]);
}

#[test]
fn a_record_of_csv_may_have_several_lines() {
    let text =
        "Time,User,Text\n2024-01-01 10:00:00,bob,\"one\n\"\"two\"\"\n\"\n2024-01-01 10:00:01,eve,three\n";
    let logs = read(text);
    assert_eq!(logs.len(), 3);
    assert_eq!(logs[1].normalized["Text"], "one\n\"two\"\n");
    assert_eq!(
        logs[1].raw.as_deref(),
        Some("2024-01-01 10:00:00,bob,\"one\n\"\"two\"\"\n\"")
    );
    assert_eq!(logs[1].user(), Some("bob"));
    assert_eq!(logs[2].normalized["Text"], "three");
    // A quote that is not closed takes no line from the others.
    let broken = read("Time,User,Text\n1,bob,\"one\n2,eve,two\n");
    assert_eq!(broken.len(), 3);
}

#[test]
fn a_client_cannot_name_columns() {
    let logs = read("GET /\n#Fields: user x\nroot 1\n");
    assert_eq!(logs.len(), 3);
    assert!(logs[2].normalized.is_empty(), "{:?}", logs[2].normalized);
}

#[test]
fn the_columns_of_zeek_have_types() {
    let logs = read(
        "#separator \\x09\n#unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.resp_h\tid.resp_p\n\
        #types\ttime\tstring\taddr\taddr\tport\n1521911720.865716\tC1\t10.47.1.100\t10.0.0.1\t443\n#close\t2018\nx\n",
    );
    let log = &logs[5];
    assert_eq!(log.normalized["id.resp_p"], 443);
    assert_eq!(log.event_time.to_rfc3339(), "2018-03-24T17:15:20.865716+00:00");
    assert_eq!(log.source_ip().as_deref(), Some("10.47.1.100"));
    assert_eq!(logs.len(), 8);
}
