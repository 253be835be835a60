//! What holds of any input. The fuzz targets in `fuzz/` look for inputs of which it does not; those in
//! `tests/seeds/` are where they start from, and what they found.

use std::io::Cursor;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike as _, SecondsFormat, Utc};
use logstore::ingest::{Encoding, IngestOptions, InputFormat, LogReader};
use logstore::time::{TimeContext, find_time, find_time_at_start, parse_time};
use logstore::{
    DuckDbStore, Filter, LogEntry, LogQuery, LogStore as _, MemoryStore, Operator, StoreExt as _,
};
use serde_json::{Map, Value, json};

/// Every line comes back, in order. Of an array, the elements do; what stands between them is its punctuation.
///
/// The first byte is the format's place among all, or else leaves the format to be detected.
pub(crate) fn lines(input: &[u8]) {
    let Some((format, text)) = input.split_first() else {
        return;
    };
    // What is between the events of a list is its punctuation.
    if [&b"<Event"[..], b"</Events>"]
        .iter()
        .any(|mark| text.windows(mark.len()).any(|part| part == *mark))
    {
        return;
    }
    let mut options = IngestOptions::new().with_encoding(Encoding::UTF_8);
    options.format = InputFormat::ALL
        .into_iter()
        .zip(b'0'..)
        .find_map(|(known, digit)| (digit == *format).then_some(known));
    // An exported log has a text of its own.
    if options.format == Some(InputFormat::Export) {
        return;
    }
    let logs: Vec<LogEntry> = LogReader::new(Cursor::new(text.to_vec()), &options)
        .map(Result::unwrap)
        .collect();
    let raws: Vec<_> = logs.iter().map(|log| log.raw_bytes().unwrap()).collect();
    // An object over several lines holds their ends, and the empty ones among them.
    let found: Vec<_> = raws.iter().flat_map(|raw| split(raw)).collect();
    let expected = split(text);
    let is_in_array = expected
        .iter()
        .any(|line| line.trim_ascii_start().starts_with(b"["));
    assert_eq!(content(&found, is_in_array), content(&expected, is_in_array));
}

/// Lines without their ends, `\n` or `\r\n`, and without many NULs before them. The last one has no end.
fn split(text: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    for line in &mut lines {
        let nuls = line.iter().take_while(|byte| **byte == 0).count();
        *line = if nuls < 8 { line } else { &line[nuls..] };
    }
    let ended = lines.len() - 1;
    for line in &mut lines[..ended] {
        *line = line.strip_suffix(b"\r").unwrap_or(line);
    }
    lines
}

/// All lines but the empty ones; of what may be an array, not its punctuation.
fn content(lines: &[&[u8]], is_in_array: bool) -> String {
    let lines: Vec<_> = lines.iter().copied().filter(|line| !line.is_empty()).collect();
    let mut bytes = lines.join(&b'\n');
    bytes.retain(|byte| !is_in_array || !(b"[],".contains(byte) || byte.is_ascii_whitespace()));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A time is found within the text, and read again from how it is written.
pub(crate) fn times(text: &str) {
    let context = TimeContext::new(DateTime::UNIX_EPOCH);
    for found in [
        find_time_at_start(text, &context),
        find_time(text, text.len() / 2, &context),
    ]
    .into_iter()
    .flatten()
    {
        assert!(text.get(found.start..found.end).is_some(), "{found:?}");
    }
    if let Some(time) = parse_time(text, &context)
        && (0..=9999).contains(&time.year())
    {
        let written = time.to_rfc3339_opts(SecondsFormat::Micros, true);
        assert_eq!(parse_time(&written, &context), Some(time), "{written}");
    }
}

/// A JSON object is a log, and the log is the same after it was written as JSON.
pub(crate) fn json(input: &[u8]) {
    let Ok(object) = serde_json::from_slice::<Map<String, Value>>(input) else {
        return;
    };
    let log = LogEntry::from_json(object, &TimeContext::new(DateTime::UNIX_EPOCH));
    let written = serde_json::to_string(&log).unwrap();
    assert_eq!(
        serde_json::from_str::<LogEntry>(&written).unwrap(),
        log,
        "{written}"
    );
}

/// A query is refused, or has the same answer from both stores.
///
/// Each line is a condition: how to compare, the field and the value, divided by tabs; or else a filter.
pub(crate) fn query(text: &str) {
    static STORES: LazyLock<(MemoryStore, DuckDbStore)> = LazyLock::new(|| {
        let stores = (MemoryStore::new(), DuckDbStore::open(":memory:").unwrap());
        stores.0.append_logs(&stored_logs()).unwrap();
        stores.1.append_logs(&stored_logs()).unwrap();
        stores
    });
    let (model, engine) = &*STORES;
    let mut query = LogQuery::new();
    let mut fields = Vec::new();
    for line in text.lines().take(8) {
        let Some(filter) = filter(line) else {
            return;
        };
        fields.extend(filter.fields().into_iter().take(2).cloned());
        query = query.filter(filter);
    }
    assert_eq!(
        engine.fetch_logs(&query).unwrap(),
        model.fetch_logs(&query).unwrap()
    );
    assert_eq!(
        engine.count_logs_by(&query, &fields).unwrap(),
        model.count_logs_by(&query, &fields).unwrap()
    );
    assert_eq!(
        engine.count_logs(&LogQuery::new()).unwrap(),
        stored_logs().len() as u64
    );
}

fn filter(line: &str) -> Option<Filter> {
    let Some((comparison, rest)) = line.split_once('\t') else {
        return written(line);
    };
    let (field, value) = rest.split_once('\t')?;
    let operator = match comparison {
        "=" | "!=" => Operator::equals(value),
        "in" => Operator::one_of(value.split('\t')),
        "contains" => Operator::contains(value),
        "matches" => Operator::Matches(value.parse().ok()?),
        "network" => Operator::in_network(value).ok()?,
        _ => return written(line),
    };
    let filter = Filter::condition(field, operator).ok()?;
    match comparison {
        "!=" => filter.negated().ok(),
        _ => Some(filter),
    }
}

/// A filter is printed as text that is the same filter.
fn written(text: &str) -> Option<Filter> {
    let filter: Filter = text.parse().ok()?;
    let printed = filter.to_string();
    assert_eq!(printed.parse::<Filter>().as_ref(), Ok(&filter), "{printed}");
    Some(filter)
}

fn stored_logs() -> Vec<LogEntry> {
    let texts = [
        "Failed password for root from 203.0.113.9 port 4 ssh2",
        "'; DROP TABLE logs; --",
        "a\0b\n\u{202e}\"%_\\",
        "",
        "ß É İ 🦆",
    ];
    let mut logs: Vec<_> = texts
        .into_iter()
        .zip(0..)
        .map(|(text, n)| {
            LogEntry::new(DateTime::<Utc>::from_timestamp(n, 0).unwrap())
                .with_id(n.to_string())
                .with_raw(text)
                .with_message(text)
                .with_procid(n)
                .with_field("user", text)
                .with_field("src_ip", format!("10.0.0.{n}"))
                .with_field("k", json!({"a": [n, null, 0.1], "a.b": {"": text}}))
        })
        .collect();
    for log in &mut logs {
        log.ingestion_time = DateTime::UNIX_EPOCH;
    }
    logs
}

#[cfg(test)]
fn for_each_seed(target: &str, check: impl Fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/seeds")
        .join(target);
    for seed in std::fs::read_dir(folder).unwrap() {
        let path = seed.unwrap().path();
        eprintln!("{}", path.display());
        check(&std::fs::read(path).unwrap());
    }
}

#[test]
fn every_line_of_the_seeds_comes_back() {
    for_each_seed("lines", lines);
}

#[test]
fn times_of_the_seeds_are_found() {
    for_each_seed("times", |seed| times(&String::from_utf8_lossy(seed)));
}

#[test]
fn objects_of_the_seeds_survive() {
    for_each_seed("json", json);
}

#[test]
fn both_stores_answer_the_queries_of_the_seeds() {
    for_each_seed("query", |seed| query(&String::from_utf8_lossy(seed)));
}
