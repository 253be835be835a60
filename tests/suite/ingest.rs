//! Text in, logs out: nothing is lost, whatever the text.

use std::io::{Cursor, Write as _};

use chrono::{DateTime, Utc};
use logstore::LogEntry;
use logstore::ingest::{IngestOptions, InputFormat, LogReader, PARSE_ERROR, Source, TIME_SOURCE};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::invariants;
use crate::support::{Cli, messages, shared_data};

fn read(text: impl AsRef<[u8]>) -> Vec<LogEntry> {
    read_as(text, &IngestOptions::new())
}

fn read_as(text: impl AsRef<[u8]>, options: &IngestOptions) -> Vec<LogEntry> {
    let input = Cursor::new(text.as_ref().to_vec());
    LogReader::new(input, options).map(Result::unwrap).collect()
}

fn raws(logs: &[LogEntry]) -> Vec<Vec<u8>> {
    logs.iter().map(|log| log.raw_bytes().unwrap()).collect()
}

/// Fails once it has been read.
struct Failing;

impl std::io::Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the cable is unplugged"))
    }
}

#[test]
fn what_was_read_before_a_failure_is_given_before_it() {
    for text in ["{\"a\": 1,\n\"b\": 2,\n", "one\n{\n", "one\ntwo"] {
        let input = std::io::BufReader::new(std::io::Read::chain(Cursor::new(text), Failing));
        let read: Vec<_> = LogReader::new(input, &IngestOptions::new()).collect();
        let (failure, logs) = read.split_last().unwrap();
        assert!(failure.as_ref().unwrap_err().to_string().contains("unplugged"));
        let logs: Vec<_> = logs
            .iter()
            .map(|log| log.as_ref().unwrap().raw.as_deref())
            .collect();
        assert_eq!(logs, text.lines().map(Some).collect::<Vec<_>>(), "{text:?}");
    }
}

/// Lines of every format, whole, broken, and mixed up.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = select(
        &[
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
            "<165>1 2003-10-11T22:14:15.003Z host app 7 ID47 [x@1 a=\"b\"] text",
            "203.0.113.9 - bob [28/Dec/2019:16:49:07 +0000] \"GET / HTTP/1.1\" 304 0 \"-\" \"x\"",
            "[Sun Dec 04 04:47:44 2005] [error] [client 222.166.160.184] forbidden",
            "2024/01/02 03:04:05 [error] 7#8: *9 open() failed, client: 203.0.113.9",
            "{\"ts\": 1521911720.865716, \"id.orig_h\": \"10.47.1.100\", \"id\": 5}",
            "{\"Records\": [1]}",
            "10:00:00 only a time of day",
            "2024-01-01 10:00:00 INFO main: started",
            "[",
            "[{",
            "{",
            "]",
            "},",
            "[]",
            "  indented",
            "\u{feff}bom",
            "\u{1b}[31mred\u{1b}[0m",
        ][..],
    )
    .prop_map(|line| line.as_bytes().to_vec());
    let cut = (known.clone(), any::<prop::sample::Index>())
        .prop_map(|(line, at)| line[..at.index(line.len() + 1)].to_vec());
    let noise = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![3 => known, 2 => cut, 1 => noise, 2 => "\\PC{0,60}".prop_map(String::into_bytes)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_comes_back(format in select(&b"?532"[..]), lines in prop::collection::vec(line(), 0..12)) {
        invariants::lines(&[vec![format], lines.join(&b'\n'), vec![b'\n']].concat());
    }

    #[test]
    fn every_object_keeps_its_keys(keys in prop::collection::hash_set("[a-z@_.]{1,12}", 0..8)) {
        let object: Value = keys.iter().map(|key| (key.clone(), json!(format!("value of {key}")))).collect::<serde_json::Map<_, _>>().into();
        let logs = read(object.to_string());
        prop_assert_eq!(logs.len(), 1);
        let kept = serde_json::to_string(&logs[0].normalized).unwrap() + &format!("{:?}", logs[0]);
        for key in keys {
            let text = format!("value of {key}");
            prop_assert!(kept.contains(&text), "{} is gone", key);
        }
    }
}

#[test]
fn formats_are_told_apart_line_by_line() {
    let text = "\
<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8
<165>1 2003-10-11T22:14:15.003Z host app 7 - - text
203.0.113.9 - bob [28/Dec/2019:16:49:07 +0000] \"GET / HTTP/1.1\" 304 0 \"-\" \"x\"
[Sun Dec 04 04:47:44 2005] [error] [client 222.166.160.184] forbidden
{\"time\": \"2024-01-01T00:00:00Z\", \"msg\": \"hello\"}
anything else
";
    let logs = read(text);
    let types: Vec<_> = logs
        .iter()
        .map(|log| log.source_type.as_deref().unwrap())
        .collect();
    assert_eq!(types, ["su", "syslog", "web-access", "web-error", "json", "text"]);
    assert_eq!(raws(&logs).join(&b'\n'), text.trim_end().as_bytes());
}

#[test]
fn lines_without_time_take_that_of_the_line_before() {
    let logs = read("first\n2024-01-01 10:00:00 x\n  at some.java.Line\n{\"no\": \"time\"}\n10:00:01 y\n");
    let own: DateTime<Utc> = "2024-01-01T10:00:00Z".parse().unwrap();
    assert_eq!(logs[0].metadata[TIME_SOURCE], "ingestion");
    assert!(logs[1].metadata.is_empty());
    for log in &logs[2..4] {
        assert_eq!(
            (log.event_time, &log.metadata[TIME_SOURCE]),
            (own, &json!("previous_line"))
        );
    }
    assert_eq!(logs[4].event_time.to_rfc3339(), "2024-01-01T10:00:01+00:00");
}

#[test]
fn lines_before_any_time_take_that_of_the_file() {
    let cli = Cli::new();
    let path = cli.write("plain.log", "no time\n");
    let modified: DateTime<Utc> = "2020-02-02T02:02:02Z".parse().unwrap();
    std::fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_modified(modified.into())
        .unwrap();
    let log = Source::file(&path)
        .open(&IngestOptions::new())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(
        (log.event_time, &log.metadata[TIME_SOURCE]),
        (modified, &json!("file_modified"))
    );
    assert_eq!(log.file.as_deref(), path.to_str());
}

#[test]
fn times_of_day_go_on_past_midnight() {
    let logs = read("2024-01-01 23:59:58 x\n23:59:59 y\n00:00:01 z\n23:59:59 back\n");
    let times: Vec<_> = logs.iter().map(|log| log.event_time.to_rfc3339()).collect();
    assert_eq!(
        times[1..],
        [
            "2024-01-01T23:59:59+00:00",
            "2024-01-02T00:00:01+00:00",
            "2024-01-01T23:59:59+00:00"
        ]
    );
}

#[test]
fn years_and_zones_come_from_the_options() {
    let options = IngestOptions::new()
        .with_reference("2020-03-01T00:00:00Z".parse().unwrap())
        .with_zone("Europe/Paris".parse().unwrap());
    let logs = read_as(
        "Feb 29 12:00:00 host x: leap\nMar  1 00:30:00 host x: before\n",
        &options,
    );
    let times: Vec<_> = logs.iter().map(|log| log.event_time.to_rfc3339()).collect();
    assert_eq!(times, ["2020-02-29T11:00:00+00:00", "2020-02-29T23:30:00+00:00"]);
}

#[test]
fn json_comes_in_every_arrangement() {
    for text in [
        "{\"a\": 1}\n{\"a\": 2}\n",
        "[{\"a\": 1}, {\"a\": 2}]",
        "[\n  {\n    \"a\": 1\n  },\n  {\"a\":\n2}\n]\n",
        "{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}\n",
        "{\"Records\": [{\"a\": 1}, {\"a\": 2}]}",
        "{\n\"Records\": [\n{\"a\": 1},\n{\"a\": 2}]\n}",
        "\u{feff}[{\"a\": 1},\n{\"a\": 2}]",
    ] {
        let logs = read(text);
        let values: Vec<_> = logs.iter().map(|log| &log.normalized["a"]).collect();
        assert_eq!(values, [1, 2], "{text}");
        for log in &logs {
            assert!(text.contains(log.raw.as_deref().unwrap()), "{text}");
            assert!(!log.metadata.contains_key(PARSE_ERROR));
        }
    }
}

#[test]
fn what_cannot_be_parsed_is_kept_and_says_why() {
    for (text, reason) in [
        ("{\"a\": ", "not valid JSON"),
        ("{\"a\": 1} trailing", "not valid JSON"),
        ("{\n\"a\": 1\n", "the object does not end"),
        ("<4096>1 - - - - - -", "above 191"),
        (
            "<1>1 2003-08-24T05:14:15.1122334455+07:00 host - - - -",
            "timestamp",
        ),
    ] {
        let logs = read(text);
        let error = logs[0].metadata[PARSE_ERROR].as_str().unwrap();
        assert!(error.contains(reason), "{text}: {error}");
        assert_eq!(raws(&logs).join(&b'\n'), text.trim_end_matches('\n').as_bytes());
    }
    let options = IngestOptions::new().with_format(InputFormat::AccessLog);
    assert_eq!(
        read_as("hello", &options)[0].metadata[PARSE_ERROR],
        "not in the format access_log"
    );
}

#[test]
fn the_sound_parts_of_an_object_are_read() {
    for (text, member, problem) in [
        (
            r#"{"a": 1, "b": 1e999}"#,
            json!("1e999"),
            "a value that JSON cannot hold at column 15",
        ),
        (
            r#"{"a": 1, "b": "x\ud800"}"#,
            json!("x\u{fffd}"),
            "half of a surrogate pair",
        ),
        (
            r#"{"a": 1, "b": "C:\Users"}"#,
            json!(r"C:\Users"),
            "an escape sequence",
        ),
        (
            r#"{"a": 1, "b": "long te"#,
            json!("long te\u{fffd}"),
            "ends too early",
        ),
        (
            r#"{"a": 1, "b": 2, "ua": "x"y"}"#,
            json!(2),
            "no JSON any more at column 27",
        ),
        (
            r#"h app: {"a": 1, "b": 1e999}"#,
            json!("1e999"),
            "a value that JSON cannot hold",
        ),
        (
            r#"{"a": 1, "log": "{\"b\": 1e999}"}"#,
            json!("1e999"),
            "a value that JSON cannot hold",
        ),
    ] {
        let text = match text.strip_prefix("h app") {
            Some(rest) => format!("May  1 10:00:00 h app{rest}"),
            None => text.to_owned(),
        };
        let logs = read(&text);
        assert_eq!(raws(&logs), [text.as_bytes()]);
        let log = &logs[0];
        let error = log.metadata[PARSE_ERROR].as_str().unwrap();
        assert!(
            error.starts_with("not valid JSON: ") && error.contains(problem),
            "{text}: {error}"
        );
        assert_eq!(
            (&log.normalized["a"], &log.normalized["b"]),
            (&json!(1), &member),
            "{text}"
        );
    }
}

#[test]
fn the_first_part_of_a_long_object_is_read() {
    let text = format!(
        "{{\"user\": \"bob\", \"x\": \"{}\", \"y\": 1}}\n",
        "a".repeat(9 << 20)
    );
    let logs = read(&text);
    assert_eq!(logs.len(), 2);
    assert_eq!(raws(&logs).concat(), text.trim_end().as_bytes());
    assert_eq!((logs[0].user(), logs[1].user()), (Some("bob"), None));
    let parts: Vec<_> = logs.iter().map(|log| &log.metadata["line_part"]).collect();
    assert_eq!(parts, [1, 2]);
}

#[test]
fn levels_below_the_hundredth_are_a_text() {
    let text = format!("{{\"a\": 1, \"b\": {}7{}}}", "[".repeat(2000), "]".repeat(2000));
    let logs = read(&text);
    assert_eq!(logs[0].raw.as_ref(), Some(&text));
    assert_eq!(logs[0].normalized["a"], 1);
    let error = logs[0].metadata[PARSE_ERROR].as_str().unwrap();
    assert!(error.contains("more than 100 levels"), "{error}");
    let mut value = &logs[0].normalized["b"];
    for _ in 0..99 {
        value = &value[0];
    }
    assert_eq!(*value, format!("{}7{}", "[".repeat(1901), "]".repeat(1901)));
}

#[test]
fn values_of_one_name_are_kept() {
    let text = r#"{"time": "2024-01-02", "user": "a", "time": "2024-01-01T10:00:00Z", "message": "x", "user": "b", "message": "y"}"#;
    let log = &read(text)[0];
    assert_eq!(log.event_time.to_rfc3339(), "2024-01-01T10:00:00+00:00");
    assert_eq!(log.user(), Some("b"));
    assert_eq!(log.message.as_deref(), Some("y"));
    assert_eq!(log.normalized["user"], json!(["b", "a"]));
    assert_eq!(log.normalized["message"], json!(["y", "x"]));
    assert!(!log.metadata.contains_key(PARSE_ERROR));
}

#[test]
fn an_object_over_several_lines_may_have_flaws() {
    let text = "{\n  \"a\": 1e999,\n  \"b\": {\n    \"c\": 2\n  }\n}\n{\"a\": 1e999, \"b\": {\n\"c\": 2}}\n";
    let logs = read(text);
    assert_eq!(logs.len(), 2);
    for log in &logs {
        assert_eq!(log.normalized["a"], "1e999");
        assert_eq!(log.normalized["b"]["c"], 2);
    }
    assert_eq!(raws(&logs).join(&b'\n'), text.trim_end().as_bytes());
    let array = "[\n{\"a\": 1},\n{\"a\": 1e999},\n{\"a\": 3}\n]\n";
    let values: Vec<_> = read(array)
        .iter()
        .map(|log| log.normalized["a"].clone())
        .collect();
    assert_eq!(values, [json!(1), json!("1e999"), json!(3)]);
}

#[test]
fn several_objects_on_a_line_are_logs_of_their_own() {
    let text = r#"{"a": 1}{"a": 2} {"a": 1e999}"#;
    let logs = read(text);
    assert_eq!(
        raws(&logs),
        [&br#"{"a": 1}"#[..], br#"{"a": 2}"#, br#"{"a": 1e999}"#]
    );
}

#[test]
fn the_ids_of_others_are_fields() {
    let logs = read("{\"id\": \"x\", \"raw\": 7, \"message\": \"m\"}");
    assert_ne!(logs[0].id, "x");
    assert_eq!(logs[0].normalized["id"], "x");
    assert_eq!(logs[0].normalized["raw"], 7);
    assert_eq!(messages(&logs), ["m"]);
}

#[test]
fn compressed_files_are_read_up_to_their_damage() {
    let cli = Cli::new();
    let text: String = (0..20_000)
        .map(|n| format!("line {n} {}\n", n * 7919 % 10_007))
        .collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let open = |path| Source::file(path).open(&IngestOptions::new()).unwrap();
    let whole = open(cli.write("whole.gz", &gzip));
    assert_eq!(whole.map(Result::unwrap).count(), 20_000);
    let zstd = zstd::encode_all(text.as_bytes(), 0).unwrap();
    assert_eq!(
        open(cli.write("whole.zst", &zstd)).map(Result::unwrap).count(),
        20_000
    );
    for (name, bytes) in [
        ("cut.gz", &gzip[..gzip.len() / 2]),
        ("cut.zst", &zstd[..zstd.len() / 2]),
    ] {
        let mut read: Vec<_> = open(cli.write(name, bytes)).collect();
        let error = read.pop().unwrap().unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        let logs: Vec<_> = read.into_iter().map(Result::unwrap).collect();
        let found = String::from_utf8(raws(&logs).join(&b'\n')).unwrap();
        assert!(!found.is_empty() && text.starts_with(&found), "{name}");
    }
}

#[test]
fn the_cases_of_other_syslog_parsers_hold() {
    let Some(data) = shared_data("data/parse") else {
        return;
    };
    let cases = std::fs::read_to_string(data.join("syslog_parse_cases.jsonl")).unwrap();
    for case in cases.lines() {
        let case: Value = serde_json::from_str(case).unwrap();
        check_syslog_case(&case);
    }
}

fn check_syslog_case(case: &Value) {
    let (input, expected) = (case["input"].as_str().unwrap(), &case["expect"]);
    let is_strict = case["variant"] == "rfc5424";
    let reference = if input.contains("Dec ") {
        "2020-01-01T00:00:00Z"
    } else {
        "2020-12-01T00:00:00Z"
    };
    let mut options = IngestOptions::new().with_reference(reference.parse().unwrap());
    if case["test"] == "parse_chrono_tz" {
        options = options.with_zone("+01:00".parse().unwrap());
    }
    if is_strict {
        options = options.with_format(InputFormat::Rfc5424);
    }
    let log = &read_as(input, &options)[0];
    assert_eq!(
        log.metadata.contains_key(PARSE_ERROR),
        expected["error"] == true,
        "{input}"
    );
    let text = |value: &Option<String>| value.as_deref().map_or(Value::Null, Value::from);
    let procid = log
        .procid
        .map(|process| process.to_string())
        .or_else(|| Some(log.normalized.get("procid")?.as_str()?.to_owned()));
    let found = [
        ("hostname", text(&log.hostname)),
        ("appname", text(&log.appname)),
        ("procid", text(&procid)),
        (
            "facility",
            log.normalized.get("facility").cloned().unwrap_or_default(),
        ),
        (
            "severity",
            log.normalized.get("severity").cloned().unwrap_or_default(),
        ),
        ("msgid", log.normalized.get("msgid").cloned().unwrap_or_default()),
        ("message", text(&log.message)),
    ];
    for (name, value) in found {
        if let Some(wanted) = expected
            .get(name)
            .filter(|wanted| !wanted.is_null() || value != Value::Null)
        {
            let is_empty = *wanted == "" && value.is_null();
            assert!(
                is_empty || value == *wanted,
                "{name} of {input}: {value}, not {wanted}"
            );
        }
    }
    if let Some(nanos) = expected["timestamp_ns"].as_i64() {
        let micros = log.event_time.timestamp_micros();
        // One of those parsers drops fractions of a second.
        assert!(
            micros == nanos / 1_000
                || micros / 1_000_000 == nanos / 1_000_000_000 && nanos % 1_000_000_000 == 0,
            "{input}"
        );
    }
}
