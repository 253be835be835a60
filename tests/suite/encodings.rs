//! Texts of other encodings are read as if they were UTF-8, once, and positions are bytes of the file.

use std::fs::OpenOptions;
use std::io::{Cursor, Write as _};
use std::path::Path;

use logstore::LogEntry;
use logstore::ingest::{Encoding, IngestOptions, LogReader, SKIPPED_NULS};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::exactly_once::{Following, assert_lines, ingest, lines, wait_for};
use crate::support::Cli;

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

fn little(text: &str) -> Vec<u8> {
    utf16(text, u16::to_le_bytes)
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn read(bytes: Vec<u8>, options: &IngestOptions) -> Vec<LogEntry> {
    LogReader::new(Cursor::new(bytes), options)
        .map(Result::unwrap)
        .collect()
}

fn raws(logs: &[LogEntry]) -> Vec<&str> {
    logs.iter().map(|log| log.raw.as_deref().unwrap()).collect()
}

fn stored_raws(cli: &Cli) -> Vec<Value> {
    let rows = cli.rows(&["query", "SELECT raw FROM logs ORDER BY seq"]);
    rows.into_iter().map(|mut row| row["raw"].take()).collect()
}

#[test]
fn utf_16_is_read_in_both_orders_with_and_without_mark() {
    let text = "2024-01-01 10:00:00 caf\u{e9} \u{1f600}\r\n2024-01-01 10:00:01 second line\r\n";
    let orders: [fn(u16) -> [u8; 2]; 2] = [u16::to_le_bytes, u16::to_be_bytes];
    for order in orders {
        for mark in ["", "\u{feff}"] {
            let cli = Cli::new();
            cli.write("app.log", utf16(&format!("{mark}{text}"), order));
            assert_eq!(ingest(&cli, &["app.log"]), 2);
            let raws = stored_raws(&cli);
            assert_eq!(raws[0], format!("{mark}2024-01-01 10:00:00 caf\u{e9} \u{1f600}"));
            assert_eq!(raws[1], "2024-01-01 10:00:01 second line");
            let times = cli.rows(&["query", "SELECT event_time FROM logs WHERE timestamp IS NOT NULL"]);
            assert_eq!(times.len(), 2, "{times:?}");
        }
    }
}

#[test]
fn an_array_of_objects_may_be_utf_16() {
    let cli = Cli::new();
    let text =
        "\u{feff}[\r\n    {\r\n        \"a\":  1\r\n    },\r\n    {\r\n        \"a\":  2\r\n    }\r\n]\r\n";
    cli.write("events.json", little(text));
    assert_eq!(ingest(&cli, &["events.json"]), 2);
    let values = cli.rows(&["query", "SELECT normalized->'a' AS a FROM logs ORDER BY seq"]);
    let values: Vec<_> = values.iter().map(|row| row["a"].to_string()).collect();
    assert!(values[0].contains('1') && values[1].contains('2'), "{values:?}");
}

#[test]
fn reading_goes_on_in_utf_16() {
    let cli = Cli::new();
    let text = lines(0..200);
    let bytes = little(&format!("\u{feff}{text}"));
    // The file ends in the middle of a character.
    let (first, rest) = bytes.split_at(30_001);
    let path = cli.write("app.log", first);
    // An ingest that ends there takes the broken line. One that follows does not.
    let following = Following::start(&cli, &["app.log"]);
    let whole = first.windows(2).filter(|pair| *pair == b"\n\0").count();
    wait_for(&cli, whole as u64);
    append(&path, rest);
    wait_for(&cli, 200);
    std::fs::rename(&path, cli.path("app.log.1")).unwrap();
    cli.write("app.log", little(&lines(200..300)));
    wait_for(&cli, 300);
    following.stop();
    assert_lines(&cli, 300);
    append(&cli.path("app.log"), &little(&lines(300..310)));
    assert_eq!(ingest(&cli, &["app.log", "app.log.1"]), 10);
    assert_lines(&cli, 310);
    let positions = cli.rows(&["query", "SELECT bytes FROM file_positions ORDER BY bytes"]);
    let sizes = ["app.log", "app.log.1"].map(|name| cli.path(name).metadata().unwrap().len());
    let found: Vec<_> = positions
        .iter()
        .map(|row| row["bytes"].as_u64().unwrap())
        .collect();
    let mut sizes = sizes.to_vec();
    sizes.sort_unstable();
    assert_eq!(found, sizes);
}

#[test]
fn utf_16_that_is_not_ascii_is_text() {
    let cli = Cli::new();
    let text = "\u{feff}\u{41e}\u{448}\u{438}\u{431}\u{43a}\u{430}\r\n".repeat(100);
    cli.write("folder/app.log", little(&text));
    assert_eq!(ingest(&cli, &["folder"]), 100);
}

#[test]
fn a_flag_and_a_setting_name_the_encoding() {
    let text = b"2024-01-01 10:00:00 caf\xe9 \x80\n";
    for is_flag in [true, false] {
        let cli = Cli::new();
        cli.write("app.log", text);
        let flags: &[&str] = match is_flag {
            true => &["app.log", "--encoding", "latin1"],
            false => {
                cli.write("logstore.toml", "[ingest]\nencoding = \"windows-1252\"\n");
                &["app.log"]
            }
        };
        assert_eq!(ingest(&cli, flags), 1);
        assert_eq!(
            stored_raws(&cli),
            [json!("2024-01-01 10:00:00 caf\u{e9} \u{20ac}")]
        );
    }
    let (code, errors) = Cli::new().failure(&["ingest", "--encoding", "utf-7", "app.log"]);
    assert_eq!(code, 2);
    assert!(errors.contains("windows-1252"), "{errors}");
}

#[test]
fn what_is_no_character_is_kept_in_bytes() {
    let bytes = [little("one "), vec![0x3d, 0xd8], little("\ntwo\n")].concat();
    let logs = read(bytes, &IngestOptions::new().with_encoding(Encoding::UTF_16LE));
    assert_eq!(logs.len(), 2);
    assert_eq!(logs[0].raw_bytes().unwrap(), b"one \xed\xa0\xbd");
    assert!(logs[0].metadata.contains_key("raw_base64"));
    assert_eq!(logs[1].raw.as_deref(), Some("two"));
}

#[test]
fn nuls_before_a_line_are_counted_and_the_line_is_read() {
    let text = [
        &vec![0; 300_000][..],
        b"Dec 17 05:19:07 nxui app[5]: text\n\0\0\0\0\0\0\0\0\0\nlast\0\n",
    ]
    .concat();
    let logs = read(text, &IngestOptions::new());
    assert_eq!(raws(&logs), ["Dec 17 05:19:07 nxui app[5]: text", "last\0"]);
    assert_eq!(logs[0].hostname.as_deref(), Some("nxui"));
    assert_eq!(logs[0].metadata[SKIPPED_NULS], 300_000);
    assert!(!logs[1].metadata.contains_key(SKIPPED_NULS));
    let json = read(b"\0\0\0\0\0\0\0\0{\"a\": 1}".to_vec(), &IngestOptions::new());
    assert_eq!(json[0].normalized["a"], 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_encoding_gives_the_logs_of_utf_8(lines in prop::collection::vec("[ -~\u{a0}-\u{ff}]{0,40}", 1..8)) {
        let text = lines.join("\n");
        let expected = read(text.clone().into_bytes(), &IngestOptions::new().with_encoding(Encoding::UTF_8));
        let latin = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let big = utf16(&text, u16::to_be_bytes);
        for (name, bytes) in [("utf-16le", little(&text)), ("utf-16be", big), ("windows-1252", latin)] {
            let options = IngestOptions::new().with_encoding(name.parse().unwrap());
            let found = read(bytes, &options);
            prop_assert_eq!(raws(&found), raws(&expected), "{}", name);
        }
    }
}

#[test]
fn records_of_a_line_that_is_not_utf_8_keep_their_bytes() {
    for (line, records) in [
        (
            &b"{\"Records\": [{\"a\": \"\xff\xfe\"}, {\"b\": \"\xc3\xa9\"}, {\"c\": \"\xe9\"}], \"d\": \"\xff\"}"[..],
            [&b"{\"a\": \"\xff\xfe\"}"[..], b"{\"b\": \"\xc3\xa9\"}", b"{\"c\": \"\xe9\"}"],
        ),
        (
            b"[{\"a\": \"\xff\", \"n\": 1e999}, {\"b\": 2}, {\"c\": \"\xe9\"}]",
            [b"{\"a\": \"\xff\", \"n\": 1e999}", b"{\"b\": 2}", b"{\"c\": \"\xe9\"}"],
        ),
    ] {
        let logs = read(line.to_vec(), &IngestOptions::new().with_encoding(Encoding::UTF_8));
        let raws: Vec<_> = logs.iter().map(|log| log.raw_bytes().unwrap()).collect();
        assert_eq!(raws, records);
    }
}
