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
    let mut options = IngestOptions::new().with_encoding(Encoding::UTF_8);
    options.format = InputFormat::ALL
        .into_iter()
        .zip(b'0'..)
        .find_map(|(known, digit)| (digit == *format).then_some(known));
    // An exported log has a text of its own.
    if options.format == Some(InputFormat::Export) {
        return;
    }
    comes_back(text, &options);
}

/// Marks the texts whose records are logs of their own: what is between them is punctuation, or kept elsewhere.
const LISTS: [&[u8]; 6] = [
    b"<Event",
    b"</Events>",
    b"Records",
    b"records",
    b"logEvents",
    b"resourceLogs",
];

/// Each line of a text is the text of a log; of records, each text is a part of the lines.
fn comes_back(text: &[u8], options: &IngestOptions) {
    let logs: Vec<LogEntry> = LogReader::new(Cursor::new(text.to_vec()), options)
        .map(Result::unwrap)
        .collect();
    let raws: Vec<_> = logs.iter().map(|log| log.raw_bytes().unwrap()).collect();
    if LISTS.iter().any(|mark| contains(text, mark)) {
        let lines = split(text).join(&b'\n');
        for raw in &raws {
            assert!(
                contains(&lines, &split(raw).join(&b'\n')),
                "{}",
                String::from_utf8_lossy(raw)
            );
        }
        return;
    }
    // An object over several lines holds their ends, and the empty ones among them.
    let found: Vec<_> = raws.iter().flat_map(|raw| split(raw)).collect();
    let expected = split(text);
    let is_in_array = expected
        .iter()
        .any(|line| line.trim_ascii_start().starts_with(b"["));
    let is_punctuated = is_in_array || expected.iter().any(|line| may_be_several(line));
    assert_eq!(content(&found, is_punctuated), content(&expected, is_punctuated));
}

/// Objects that follow each other on a line are logs of their own.
fn may_be_several(line: &[u8]) -> bool {
    line.split(|byte| *byte == b'}')
        .skip(1)
        .any(|rest| rest.trim_ascii_start().starts_with(b"{"))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
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

/// A sample of a format comes back, however a client or a sender changes it.
///
/// The first two bytes choose a line, and each four bytes after them a change of it.
pub(crate) fn formats(input: &[u8]) {
    static LINES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let mut lines = samples();
        lines.extend(ENVELOPES.iter().map(|line| (*line).to_owned()));
        lines
    });
    let [first, second, changes @ ..] = input else {
        return;
    };
    let lines = &*LINES;
    let line = |number: usize| lines[number % lines.len()].as_bytes();
    let mut text = line(usize::from(u16::from_be_bytes([*first, *second]))).to_vec();
    for change in changes.chunks_exact(4).take(16) {
        let [kind, high, low, argument] = *change else {
            continue;
        };
        let place = (text.len() * usize::from(u16::from_be_bytes([high, low]))) >> 16;
        changed(
            &mut text,
            kind,
            place,
            argument,
            line(usize::from(u16::from_be_bytes([low, argument]))),
        );
        text.truncate(LONGEST);
    }
    comes_back(&text, &IngestOptions::new().with_encoding(Encoding::UTF_8));
}

/// Limits a changed text. A reader that takes quadratic time takes minutes for it.
const LONGEST: usize = 1 << 16;

/// Lists lines of the structures and envelopes that no definition has.
const ENVELOPES: [&str; 16] = [
    r#"{"log":"203.0.113.9 - bob [01/May/2024:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n","stream":"stdout","time":"2024-05-01T10:00:00.5Z"}"#,
    r#"2024-05-01T10:00:00.1Z stdout P {"user":"bob","#,
    r#"2024-05-01T10:00:00.1Z stdout F "src":"203.0.113.9"}"#,
    r#"{"Records":[{"eventVersion":"1.08","eventTime":"2024-05-01T10:00:00Z","sourceIPAddress":"203.0.113.9"},{"a":1}]}"#,
    r#"{"owner":"1","logEvents":[{"id":"1","timestamp":1714557600000,"message":"Failed password for root from 203.0.113.9 port 4 ssh2"}]}"#,
    r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"h"}}]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1714557600000000000","body":{"stringValue":"x"}}]}]}]}"#,
    r#"{"_index":"a","_source":{"@timestamp":"2024-05-01T10:00:00Z","message":"{\"user\":\"bob\"}"}}"#,
    "<34>1 2024-05-01T10:00:00.003Z h app 42 ID47 [a@1 b=\"c\\\"\"][d e=\"f\"] message",
    "<34>Oct 11 22:14:15 h su[7]: 'su root' failed for bob on /dev/pts/8",
    "<189>123: *May  1 10:00:00.123 UTC: %SYS-5-CONFIG_I: Configured from console by bob on vty0 (203.0.113.9)",
    "#Fields: date time s-ip cs-method c-ip sc-status\n2024-05-01 10:00:00 203.0.113.1 GET 203.0.113.9 200\n2024-05-01 10:00:01 - \"a b\" - -",
    "#separator \\x09\n#fields\tts\tid.orig_h\tuser\n#types\ttime\taddr\tstring\n1714557600.5\t203.0.113.9\t(empty)",
    "time,src_ip,user\n2024-05-01T10:00:00Z,203.0.113.9,\"b\"\"o\nb\"\n",
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='a'/><EventID>4625</EventID><TimeCreated SystemTime='2024-05-01T10:00:00Z'/><Computer>h</Computer></System><EventData><Data Name='TargetUserName'>bob &amp; eve</Data></EventData></Event>",
    "2024-01-01 10:00:00 ERROR x\n\tat com.example.Main.run(Main.java:12)\nCaused by: java.io.IOException: no",
    "[\n{\"a\": 1},\n{\"a\": [2]}\n]",
];

/// Lists texts that end, begin or escape something in some structure.
const NASTY: [&[u8]; 32] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"=",
    b"|",
    b"\0",
    b"\0\0\0\0\0\0\0\0\0",
    b"\xef\xbb\xbf",
    b"\xff",
    b"1e999",
    b"\\ud800",
    b"<134>",
    b" from 203.0.113.9 ",
    b"\t",
    b",",
    b";",
    b"<![CDATA[",
    b"]]>",
    b"&#0;",
    "\u{e9}".as_bytes(),
    b"\n",
    b"\r\n",
    b"\x1b[31m",
    b"'",
    b": ",
    b" user=\"",
    b"</Event>",
    b"{\"a\":",
    b"\\=",
];

fn changed(text: &mut Vec<u8>, kind: u8, place: usize, argument: u8, other: &[u8]) {
    let size = usize::from(argument);
    let end = text.len().min(place + size + 1);
    let nasty = NASTY[size % NASTY.len()];
    match kind % 8 {
        0 => drop(text.drain(place..end)),
        1 | 2 => drop(text.splice(place..place, nasty.iter().copied())),
        3 => drop(text.splice(place..end.min(place + 1), [argument])),
        4 => {
            let part = text[place..end].repeat(LONGEST / (8 * (end - place).max(1)));
            text.splice(place..place, part);
        }
        5 => {
            text.truncate(place);
            text.extend(other.iter().skip(place.min(other.len() / 2)));
        }
        6 => text.truncate(place),
        _ => wrap(text, argument),
    }
}

/// Puts a line into an envelope.
fn wrap(text: &mut Vec<u8>, kind: u8) {
    let line = String::from_utf8_lossy(text).into_owned();
    let wrapped = match kind % 6 {
        0 => format!("<13>May  1 10:00:00 h app[7]: {line}"),
        1 => format!("<13>1 2024-05-01T10:00:00Z h app 7 - - {line}"),
        2 => format!("2024-05-01T10:00:00.1Z stdout F {line}"),
        3 => json!({"log": line, "stream": "stdout", "time": "2024-05-01T10:00:00.5Z"}).to_string(),
        4 => json!({"@timestamp": "2024-05-01T10:00:00Z", "message": line}).to_string(),
        _ => format!("May  1 10:00:00 relay May  1 10:00:00 h {line}"),
    };
    *text = wrapped.into_bytes();
}

/// Returns the lines of the samples of all definitions.
fn samples() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = "src/ingest/formats/library";
    let folder = [root.join(library), root.join("..").join(library)];
    let folder = folder.iter().find(|folder| folder.is_dir()).unwrap();
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut lines = Vec::new();
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
    {
        let definition: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        let samples = definition.get("sample").and_then(toml::Value::as_array);
        let line = |sample: &toml::Value| sample.get("line")?.as_str().map(str::to_owned);
        lines.extend(samples.into_iter().flatten().filter_map(line));
    }
    lines
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

/// Returns bytes that follow from a number alone.
#[cfg(test)]
fn bytes_of(number: u64, length: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// Calls a check with inputs that follow from numbers, each with its number in the message of a failure.
#[cfg(test)]
fn for_each_number(numbers: impl Iterator<Item = u64>, check: impl Fn(&[u8])) {
    for number in numbers {
        let length = usize::try_from(number % 11).unwrap() * 4 + 2;
        let failed =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&bytes_of(number, length))));
        assert!(failed.is_ok(), "the input of number {number} fails");
    }
}

#[test]
fn samples_of_formats_come_back_whole() {
    for line in samples() {
        comes_back(line.as_bytes(), &IngestOptions::new());
    }
    let lines = samples().len() + ENVELOPES.len();
    // Each line as it is, then changed lines.
    for number in 0..u16::try_from(lines).unwrap() {
        formats(&number.to_be_bytes());
    }
    for_each_seed("formats", formats);
    for_each_number(0..400, formats);
}

/// Runs for so many seconds as LOGSTORE_FUZZ_SECONDS says, from the number of LOGSTORE_FUZZ_START on. `scripts/fuzz`
/// does that where cargo-fuzz is not installed.
#[test]
#[ignore = "runs for a stated time"]
fn changed_samples_of_formats_come_back() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("LOGSTORE_FUZZ_SECONDS").unwrap_or(60);
    let start = number("LOGSTORE_FUZZ_START").unwrap_or_else(|| Utc::now().timestamp().unsigned_abs() << 20);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let numbers = (start..).take_while(|number| {
        if number % 1000 == 0 {
            eprintln!("{number}");
        }
        std::time::Instant::now() < end
    });
    for_each_number(numbers, formats);
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
