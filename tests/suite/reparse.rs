//! Logs that were stored before a format was known are read again.

use std::io::Cursor as Bytes;

use logstore::ingest::{IngestOptions, LogReader};
use logstore::load::Reparse;
use logstore::{Cursor, DuckDbStore, LogEntry, LogStore as _};

use crate::support::Cli;

const LINES: &str = "\
2024-05-01T10:00:00Z gw gwid=7 login=bob result=ok\n\
2024-05-01T10:00:01Z gw nothing to see\n\
{\"time\": \"2024-05-01T10:00:02Z\", \"srcip\": \"203.0.113.9\"}\n\
not a time \u{fffd}\n";

const GATEWAY: &str = r#"
name = "example-gateway"
version = 1
title = "Example Gateway"
structure = "key_value"
[recognise]
contains = ["gwid="]
[fields]
user = ["login"]
[values.outcome]
from = ["result"]
success = ["ok"]
[[sample]]
line = 'gwid=7 login=bob result=ok'
gives = { user = "bob", outcome = "success" }
"#;

/// Logs as an ingest makes them, without what formats found in them.
fn stored_earlier() -> Vec<LogEntry> {
    let logs = LogReader::new(Bytes::new(LINES), &IngestOptions::new());
    let mut logs: Vec<LogEntry> = logs.map(Result::unwrap).collect();
    for log in &mut logs {
        log.normalized.clear();
        log.metadata.shift_remove("format");
        log.source_type = Some("text".to_owned());
    }
    logs
}

#[test]
fn fields_change_and_all_else_stays() {
    let store = DuckDbStore::open(":memory:").unwrap();
    let before = stored_earlier();
    store.append_logs(&before).unwrap();
    let first = store.read_after(Cursor::BEGINNING, 1).unwrap();

    let counted = Reparse::new(&store).dry_run(true).run().unwrap();
    assert!(counted.changed > 0);
    assert_eq!(store.read_after(Cursor::BEGINNING, 9).unwrap().logs, before);

    let report = Reparse::new(&store).run().unwrap();
    assert_eq!((report.read, report.changed), (4, counted.changed));
    let after = store.read_after(Cursor::BEGINNING, 9).unwrap().logs;
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(
            (&old.id, &old.raw, old.event_time, old.ingestion_time),
            (&new.id, &new.raw, new.event_time, new.ingestion_time)
        );
    }
    assert_eq!(after[2].source_ip().as_deref(), Some("203.0.113.9"));
    // A consumer goes on where it stood.
    let rest = store.read_after(first.next, 9).unwrap().logs;
    assert_eq!(rest.len(), 3);
    assert_eq!(Reparse::new(&store).run().unwrap().changed, 0);
}

#[test]
fn a_definition_that_is_added_reads_old_logs() {
    let cli = Cli::new();
    cli.write("gw.log", "gwid=7 login=bob result=ok\nother\n");
    cli.output(&["ingest", "gw.log"]);
    cli.write("formats/example-gateway.toml", GATEWAY);
    cli.write("logstore.toml", "[ingest]\nformats = \"formats\"\n");
    let counted = cli.rows(&["reparse", "--dry-run"]);
    assert_eq!(counted[0]["would_change"], 1);
    assert_eq!(cli.rows(&["reparse"])[0]["changed"], 1);
    let rows = cli.rows(&["fetch", "--filter", "outcome = success"]);
    assert_eq!((rows.len(), &rows[0]["user"]), (1, &"bob".into()));
    assert_eq!(rows[0]["source_type"], "example-gateway");
    assert_eq!(cli.rows(&["reparse"])[0]["changed"], 0);
}

/// Files whose lines say what they are only below their first lines.
const WITH_HEADERS: [(&str, &str); 3] = [
    (
        "a.csv",
        "time,src_ip,user,message,note\n\
         2024-05-01T10:00:00Z,203.0.113.9,bob,\"Failed password for eve from 198.51.100.7 port 22 ssh2\",-\n\
         2024-05-01T10:00:01Z,203.0.113.9,eve,done,\"two\nlines\"\n",
    ),
    (
        "b.log",
        "#Version: 1.0\n#Fields: date time c-ip cs-username cs-method cs-uri-stem sc-status\n\
         2024-05-01 10:00:00 203.0.113.9 bob GET /index.html 200\n",
    ),
    (
        "c.log",
        "#separator \\x09\n#path\tconn\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\n\
         #types\ttime\taddr\tport\taddr\n1714557600.000001\t203.0.113.9\t40022\t198.51.100.7\n",
    ),
];

#[test]
fn logs_below_a_header_line_are_read_again_by_their_columns() {
    let cli = Cli::new();
    for (file, lines) in WITH_HEADERS {
        cli.write(file, lines);
        cli.output(&["ingest", file]);
    }
    let report = &cli.rows(&["reparse"])[0];
    assert_eq!(
        (&report["changed"], &report["unreadable"]),
        (&0.into(), &0.into())
    );

    // As a program stored them that knew no names of fields.
    let store = DuckDbStore::open(":memory:").unwrap();
    let in_order = |store: &DuckDbStore| store.read_after(Cursor::BEGINNING, 99).unwrap().logs;
    let read = in_order(&DuckDbStore::open(cli.path("logstore.duckdb")).unwrap());
    let mut before = read.clone();
    for log in &mut before {
        log.metadata.shift_remove("format");
        log.metadata.shift_remove("fields");
    }
    store.append_logs(&before).unwrap();
    assert_eq!(Reparse::new(&store).run().unwrap().unreadable, 0);
    assert_eq!(in_order(&store), read);
}

#[test]
fn a_part_of_a_long_line_is_counted_and_stays() {
    let cli = Cli::new();
    cli.write("a.log", "x".repeat(9 << 20));
    cli.output(&["ingest", "a.log"]);
    let report = &cli.rows(&["reparse"])[0];
    assert_eq!(
        (&report["read"], &report["changed"], &report["unreadable"]),
        (&2.into(), &0.into(), &2.into())
    );
}
