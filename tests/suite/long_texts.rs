//! Logs with long texts, within the default memory.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use logstore::{DuckDbStore, Error, LogEntry, LogQuery, LogStore as _, MemoryStore, Order, StoreExt as _};

use crate::support::{Cli, at, log};

const MIB: usize = 1 << 20;

/// Writes a compressed file.
fn compressed(cli: &Cli, name: &str, lines: impl Iterator<Item = Vec<u8>>) {
    let mut file = GzEncoder::new(
        std::fs::File::create(cli.path(name)).unwrap(),
        Compression::fast(),
    );
    for line in lines {
        file.write_all(&line).unwrap();
        file.write_all(b"\n").unwrap();
    }
    file.finish().unwrap();
}

/// A JSON object of about so many bytes, another one for each number.
fn object(number: u8, bytes: usize) -> Vec<u8> {
    let mut text =
        format!("{{\"timestamp\":\"2024-01-01T00:00:{number:02}Z\",\"host\":\"h\",\"data\":\"").into_bytes();
    text.resize(bytes, b'a' + number % 26);
    text.extend_from_slice(b"\"}");
    text
}

/// Runs every command that reads or writes all of a store.
fn use_all(cli: &Cli, logs: usize) {
    let count = |arguments: &[&str]| cli.rows(arguments)[0]["count"].clone();
    assert_eq!(count(&["count"]), logs);
    assert_eq!(count(&["count", "--contains", "nothing like it"]), 0);
    assert_eq!(count(&["count", "--regex", "z{3}[^a-z]"]), 0);
    for check in cli.rows(&["check"]) {
        assert_eq!(check["problems"], serde_json::json!([]), "{check}");
    }
    for file in ["o.parquet", "o.csv", "o.jsonl"] {
        assert_eq!(cli.rows(&["export", file])[0]["logs"], logs, "{file}");
    }
    assert_eq!(cli.rows(&["backup", "b.duckdb"])[0]["logs"], logs);
    let copied = &cli.rows(&["copy", "b.duckdb", "c.duckdb"])[0];
    assert_eq!(
        (&copied["verified"], &copied["missing"]),
        (&logs.into(), &0.into())
    );
    cli.write("small", "a small line\n");
    cli.output(&["ingest", "small"]);
    let size = "SELECT max(length(raw)) AS n FROM logs";
    assert!(cli.rows(&["query", size])[0]["n"].as_u64().unwrap() <= 8 * MIB as u64 + 1);
    let pruned = &cli.rows(&["prune", "--yes", "--before", "9999-01-01T00:00:00Z"])[0];
    assert_eq!(pruned["deleted"], logs + 1, "{pruned}");
    assert_eq!(count(&["count"]), 0);
}

#[test]
fn long_lines_are_stored_in_parts_and_can_be_used() {
    let cli = Cli::new();
    compressed(
        &cli,
        "long.json.gz",
        (0..3).map(|number| object(number, 30 * MIB)),
    );
    let stored = &cli.rows(&["ingest", "long.json.gz"])[0];
    // Parts of 8 MiB, and the rest.
    assert_eq!((&stored["logs"], &stored["stored"]), (&12.into(), &12.into()));
    use_all(&cli, 12);
}

#[test]
fn lines_of_one_part_are_read_as_they_are() {
    let cli = Cli::new();
    compressed(&cli, "long.json.gz", (0..6).map(|number| object(number, 7 * MIB)));
    let stored = &cli.rows(&["ingest", "long.json.gz"])[0];
    assert_eq!(
        (&stored["stored"], &stored["parse_errors"]),
        (&6.into(), &0.into())
    );
    use_all(&cli, 6);
}

#[test]
fn long_logs_come_in_their_order() {
    let store = DuckDbStore::open(":memory:").unwrap();
    let model = MemoryStore::new();
    for n in 0..12 {
        let message = format!("{n}").repeat(4 * MIB);
        let logs = [
            log(7 - n % 3, "long", &message),
            log(n % 5, "short", "x"),
            log(7 - n % 3, "same time", "y"),
        ];
        store.append_logs(&logs).unwrap();
        model.append_logs(&logs).unwrap();
    }
    for query in [
        LogQuery::new(),
        LogQuery::new().order(Order::OldestFirst),
        LogQuery::new().limit(7),
        LogQuery::new().since(at(2)).until(at(7)).contains("x"),
    ] {
        let found = store.fetch_logs(&query).unwrap();
        assert!(found == model.fetch_logs(&query).unwrap(), "{query:?}");
    }
    // A page has fewer logs than asked for where they are long.
    let (mut cursor, mut read) = (logstore::Cursor::BEGINNING, Vec::new());
    loop {
        let page = store.read_after(cursor, 1_000).unwrap();
        if page.logs.is_empty() {
            break;
        }
        assert!(page.logs.len() < 36);
        cursor = page.next;
        read.extend(page.logs);
    }
    let all = model.read_after(logstore::Cursor::BEGINNING, 1_000).unwrap().logs;
    assert!(read == all);
}

#[test]
fn what_is_too_long_is_refused_whole() {
    let store = DuckDbStore::open(":memory:").unwrap();
    let long = log(0, "x", &"x".repeat(33 * MIB));
    for refused in [
        store.append_logs(std::slice::from_ref(&long)),
        MemoryStore::new().append_logs(&[long]),
    ] {
        let Err(Error::InvalidInput(error)) = refused else {
            panic!("{refused:?}")
        };
        assert!(error.to_string().contains("a log takes 32 MiB"), "{error}");
    }
    let many: Vec<LogEntry> = (0..9).map(|n| log(n, "x", &"x".repeat(8 * MIB))).collect();
    let Err(Error::InvalidInput(error)) = store.append_logs(&many) else {
        panic!("it was not refused")
    };
    assert!(error.to_string().contains("append them in parts"), "{error}");
    assert_eq!(store.stats().unwrap().logs, 0);
    for logs in many.chunks(4) {
        store.append_logs(logs).unwrap();
    }
    assert_eq!(store.stats().unwrap().logs, 9);
}
