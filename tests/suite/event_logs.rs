//! Windows event logs are read record by record, as the same events in XML are.

use crate::exactly_once::ingest;
use crate::support::Cli;

const CHUNK: usize = 1 << 16;

/// Writes the elements of an event in the binary form of a record, which names its place in the chunk.
struct Record {
    bytes: Vec<u8>,
    start: usize,
}

impl Record {
    fn new(start: usize) -> Self {
        // The header of a record has 24 bytes, and a fragment begins with its version.
        let bytes = [vec![0; 24], vec![0x0f, 1, 1, 0]].concat();
        Self { bytes, start }
    }

    fn name(&mut self, name: &str) {
        let here = self.start + self.bytes.len() + 4;
        self.bytes.extend(u32::try_from(here).unwrap().to_le_bytes());
        self.bytes.extend([0; 6]);
        self.text(name);
        self.bytes.extend([0; 2]);
    }

    fn text(&mut self, text: &str) {
        let units: Vec<u16> = text.encode_utf16().collect();
        self.bytes
            .extend(u16::try_from(units.len()).unwrap().to_le_bytes());
        self.bytes.extend(units.into_iter().flat_map(u16::to_le_bytes));
    }

    fn value(&mut self, text: &str) {
        self.bytes.extend([0x05, 0x01]);
        self.text(text);
    }

    fn open(&mut self, name: &str, attribute: Option<(&str, &str)>) {
        self.bytes.push(if attribute.is_some() { 0x41 } else { 0x01 });
        self.bytes.extend([0; 4]);
        self.name(name);
        if let Some((name, value)) = attribute {
            self.bytes.extend([0; 4]);
            self.bytes.push(0x06);
            self.name(name);
            self.value(value);
        }
        self.bytes.push(0x02);
    }

    fn element(&mut self, name: &str, attribute: Option<(&str, &str)>, text: &str) {
        self.open(name, attribute);
        if !text.is_empty() {
            self.value(text);
        }
        self.bytes.push(0x04);
    }

    fn end(mut self, id: u64) -> Vec<u8> {
        self.bytes.push(0);
        let size = u32::try_from(self.bytes.len() + 4).unwrap().to_le_bytes();
        self.bytes.extend(size);
        self.bytes[..4].copy_from_slice(b"**\0\0");
        self.bytes[4..8].copy_from_slice(&size);
        self.bytes[8..16].copy_from_slice(&id.to_le_bytes());
        // 2024-01-01, in steps of 100 nanoseconds since 1601.
        self.bytes[16..24].copy_from_slice(&133_485_408_000_000_000_u64.to_le_bytes());
        self.bytes
    }
}

/// A failed login, as the record with this number.
fn login(start: usize, id: u64) -> Vec<u8> {
    let mut record = Record::new(start);
    record.open("Event", None);
    record.open("System", None);
    record.element(
        "Provider",
        Some(("Name", "Microsoft-Windows-Security-Auditing")),
        "",
    );
    record.element("EventID", None, "4625");
    record.element("TimeCreated", Some(("SystemTime", "2024-01-01T00:00:00.5Z")), "");
    record.element("EventRecordID", None, &id.to_string());
    record.element("Computer", None, "DC1");
    record.bytes.push(0x04);
    record.open("EventData", None);
    record.element("Data", Some(("Name", "TargetUserName")), "bob & eve");
    record.bytes.extend([0x04, 0x04]);
    record.end(id)
}

/// A file of one chunk with these records.
fn event_log(records: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    let (first, last) = (*records.start(), *records.end());
    let mut chunk = vec![0; 512];
    chunk[..8].copy_from_slice(b"ElfChnk\0");
    let mut last_start = 0;
    for id in records {
        last_start = chunk.len();
        chunk.extend(login(last_start, id));
    }
    for (at, value) in [(8, first), (16, last), (24, first), (32, last)] {
        chunk[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    for (at, value) in [(40, 128), (44, last_start), (48, chunk.len())] {
        chunk[at..at + 4].copy_from_slice(&u32::try_from(value).unwrap().to_le_bytes());
    }
    chunk.resize(CHUNK, 0);
    let mut file = vec![0; 4096];
    file[..8].copy_from_slice(b"ElfFile\0");
    file[24..32].copy_from_slice(&(last + 1).to_le_bytes());
    file[32..44].copy_from_slice(&[128, 0, 0, 0, 1, 0, 3, 0, 0, 16, 1, 0]);
    [file, chunk].concat()
}

#[test]
fn each_record_of_an_event_log_is_a_log() {
    let cli = Cli::new();
    cli.write("logs/Security.evtx", event_log(1..=3));
    assert_eq!(ingest(&cli, &["logs"]), 3);
    let sql = "SELECT raw, event_time, host, source_type, normalized FROM logs ORDER BY seq";
    let rows = cli.rows(&["query", sql]);
    for (row, id) in rows.iter().zip(1..) {
        let raw = row["raw"].as_str().unwrap();
        assert!(raw.starts_with("<Event>") && raw.ends_with("</Event>"), "{raw}");
        assert!(
            row["event_time"]
                .as_str()
                .unwrap()
                .starts_with("2024-01-01T00:00:00.5"),
            "{row}"
        );
        assert_eq!(row["host"], "DC1");
        assert_eq!(row["normalized"]["EventRecordID"], id);
        assert_eq!(row["normalized"]["EventID"], 4625);
        assert_eq!(row["normalized"]["TargetUserName"], "bob & eve");
    }
    // The same events as XML are the same logs, other than their ids and files.
    let xml: Vec<_> = rows.iter().map(|row| row["raw"].as_str().unwrap()).collect();
    cli.write("events.xml", xml.join("\n"));
    let other = ["-d", "other.duckdb"];
    cli.output(&[&other[..], &["ingest", "events.xml"]].concat());
    assert_eq!(cli.rows(&[&other[..], &["query", sql]].concat()), rows);
}

#[test]
fn an_event_log_is_read_once_and_then_what_is_new() {
    let cli = Cli::new();
    cli.write("Security.evtx", event_log(1..=20));
    assert_eq!(ingest(&cli, &["Security.evtx"]), 20);
    cli.write("Security.evtx", event_log(1..=30));
    assert_eq!(ingest(&cli, &["Security.evtx"]), 10);
}

#[test]
fn a_damaged_event_log_says_so() {
    let cli = Cli::new();
    let mut bytes = event_log(1..=3);
    bytes.truncate(2_000);
    cli.write("Security.evtx", &bytes);
    let (code, errors) = cli.failure(&["ingest", "Security.evtx"]);
    assert_eq!(code, 3);
    assert!(errors.contains("not a whole Windows event log"), "{errors}");
}
