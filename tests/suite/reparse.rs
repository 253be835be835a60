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

#[test]
fn logs_below_a_header_line_are_counted_and_stay() {
    let cli = Cli::new();
    cli.write(
        "a.csv",
        "time,src_ip,user\n2024-05-01T10:00:00Z,203.0.113.9,bob\n2024-05-01T10:00:01Z,203.0.113.9,eve\n",
    );
    cli.output(&["ingest", "a.csv"]);
    let before = cli.rows(&["fetch"]);
    let report = &cli.rows(&["reparse"])[0];
    assert_eq!(
        (&report["read"], &report["changed"], &report["unreadable"]),
        (&3.into(), &0.into(), &2.into())
    );
    assert_eq!(cli.rows(&["fetch"]), before);
}
