//! Real logs from other projects, where they are at hand: every line comes back, with its time and fields.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};
use logstore::detect::IndicatorSet;
use logstore::feeds::{self, FeedOptions};
use logstore::ingest::{IngestOptions, LogReader, PARSE_ERROR, Source};
use logstore::time::{DateOrder, TimeContext, parse_time};
use logstore::{DuckDbStore, LogEntry};
use serde_json::Value;

use crate::support::{Cli, assert_views_agree, shared_data};

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_log = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        path.is_file() && name != "LICENSE" && !name.ends_with(".csv") && !name.ends_with(".md")
    };
    let mut files: Vec<_> = entries.filter(is_log).collect();
    files.sort();
    files
}

fn log_files(logs: &Path) -> Vec<PathBuf> {
    let mut files = files_in(&logs.join("lnav"));
    files.extend(files_in(&logs.join("apache_access")));
    for folder in std::fs::read_dir(logs.join("loghub")).unwrap() {
        let folder = folder.unwrap().path();
        if folder.is_dir() {
            files.extend(files_in(&folder));
        }
    }
    files
}

fn lines_of(file: &Path) -> Vec<String> {
    let bytes = std::fs::read(file).unwrap();
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}

fn read(file: &Path, options: &IngestOptions) -> Vec<LogEntry> {
    Source::file(file)
        .open(options)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// The year before which the expectations place times without one.
fn before_2026() -> IngestOptions {
    IngestOptions::new().with_reference("2025-12-31T23:59:59Z".parse().unwrap())
}

#[test]
fn every_line_comes_back_from_the_command_line() {
    let Some(logs) = shared_data("data/logs") else {
        return;
    };
    let cli = Cli::new();
    for file in log_files(&logs) {
        cli.output(&["ingest", file.to_str().unwrap()]);
        let rows = cli.rows(&["fetch", "--format", "jsonl"]);
        // An event of several lines has them with their breaks.
        let raws = rows
            .iter()
            .flat_map(|row| row["raw"].as_str().unwrap().split('\n'));
        let mut found: Vec<&str> = raws.filter(|raw| !raw.is_empty()).collect();
        let lines = lines_of(&file);
        let (deliveries, mut expected): (Vec<&str>, Vec<&str>) = lines
            .iter()
            .map(String::as_str)
            .filter(|line| !line.is_empty())
            .partition(|line| line.starts_with("{\"resourceLogs\""));
        // A record of a delivery has its own text.
        found.retain(|raw| {
            !deliveries
                .iter()
                .any(|line| line.len() > raw.len() && line.contains(raw))
        });
        let times: Vec<DateTime<Utc>> = rows
            .iter()
            .map(|row| row["event_time"].as_str().unwrap().parse().unwrap())
            .collect();
        assert!(times.is_sorted(), "{file:?}");
        // Where the times of a file never go back, its order is that of its lines.
        if read(&file, &IngestOptions::new()).is_sorted_by_key(|log| log.event_time) {
            assert_eq!(found, expected, "{file:?}");
        }
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{file:?}");
        let store = DuckDbStore::open(cli.path("logstore.duckdb")).unwrap();
        assert_views_agree(&store);
        drop(store);
        std::fs::remove_file(cli.path("logstore.duckdb")).unwrap();
    }
}

/// Files in which lnav's times differ on purpose; the reasons stand in ARCHITECTURE.md.
const OTHERWISE_IN_LNAV: &[&str] = &[
    // It leaves offsets and zones out of account.
    "logfile_block.1",
    "logfile_postgres.0",
    "logfile_postgres.1",
    "logfile_regexp_access_log.0",
    "logfile_with_zones.0",
    // It moves a line that is older than the one before to the time of that one.
    "logfile_dst.0",
    "logfile_java.1",
    "logfile_syslog_with_mixed_times.0",
    "logfile_vdsm.0",
    "logfile_yday.0",
    "Apache_2k.log",
    "apache_logs",
    // It counts years and days back from the end of the file.
    "logfile_rollover.0",
    "logfile_rollover.1",
    "logfile_rollover.2",
    // It takes times from headers, or from lines that follow.
    "logfile_filter.1",
    "logfile_w3c.2",
    "logfile_w3c.3",
    "logfile_w3c.4",
    "logfile_w3c.5",
    "logfile_w3c.6",
];

#[test]
fn times_are_those_that_lnav_reads() {
    let (Some(parse), Some(logs)) = (shared_data("data/parse"), shared_data("data/logs")) else {
        return;
    };
    let files: HashMap<String, PathBuf> = log_files(&logs)
        .into_iter()
        .map(|file| (file.file_name().unwrap().to_string_lossy().into_owned(), file))
        .collect();
    let mut times: HashMap<String, HashMap<String, Vec<DateTime<Utc>>>> = HashMap::new();
    let mut checked = 0;
    for case in std::fs::read_to_string(parse.join("lnav_times.jsonl"))
        .unwrap()
        .lines()
    {
        let case: Value = serde_json::from_str(case).unwrap();
        let name = case["file"].as_str().unwrap();
        if OTHERWISE_IN_LNAV.contains(&name) {
            continue;
        }
        let read_times = times.entry(name.to_owned()).or_insert_with(|| {
            let mut by_line: HashMap<String, Vec<DateTime<Utc>>> = HashMap::new();
            for log in read(&files[name], &before_2026()) {
                by_line.entry(log.raw.unwrap()).or_default().push(log.event_time);
            }
            by_line
        });
        let line = usize::try_from(case["log_line"].as_u64().unwrap()).unwrap();
        let line = &lines_of(&files[name])[line];
        let expected =
            NaiveDateTime::parse_from_str(case["log_time"].as_str().unwrap(), "%Y-%m-%d %H:%M:%S%.f")
                .unwrap();
        let millis = expected.and_utc().timestamp_millis();
        let found = &read_times[line];
        assert!(
            found.iter().any(|time| time.timestamp_millis() == millis),
            "{name}: {line}: {found:?}, not {expected}"
        );
        checked += 1;
    }
    assert!(checked > 1_000, "only {checked} lines were compared");
}

#[test]
fn fields_are_those_of_the_structured_files() {
    let Some(logs) = shared_data("data/logs/loghub") else {
        return;
    };
    for (name, host, program, process) in [
        ("Linux", Some("Level"), Some("Component"), Some("PID")),
        ("OpenSSH", Some("Component"), None, Some("Pid")),
        ("HDFS", None, Some("Component"), Some("Pid")),
        ("Proxifier", None, Some("Program"), None),
        ("Windows", None, Some("Component"), None),
    ] {
        let file = logs.join(name).join(format!("{name}_2k.log"));
        let logs = read(&file, &before_2026());
        let structured = file.with_file_name(format!("{name}_2k.log_structured.csv"));
        let mut reader = csv::Reader::from_path(structured).unwrap();
        let rows: Vec<HashMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
        assert_eq!(logs.len(), rows.len(), "{name}");
        for (log, row) in logs.iter().zip(&rows) {
            let expected = |column: Option<&str>| {
                column
                    .map(|column| row[column].as_str())
                    .filter(|text| !text.is_empty())
            };
            let line = log.raw.as_deref().unwrap();
            if host.is_some() {
                assert_eq!(log.host.as_deref(), expected(host), "host of {line}");
            }
            if program.is_some() {
                assert_eq!(log.appname.as_deref(), expected(program), "program of {line}");
            }
            if process.is_some() {
                let found = log.procid.map(|process| process.to_string());
                let expected = expected(process).map(|text| text.trim_end_matches(".0"));
                assert_eq!(found.as_deref(), expected, "process of {line}");
            }
        }
    }
}

#[test]
fn times_in_every_form_are_read() {
    let Some(parse) = shared_data("data/parse") else {
        return;
    };
    // Those cases put the month first, whatever separates it from the day.
    let context = TimeContext::default().with_date_order(DateOrder::MonthFirst);
    for case in std::fs::read_to_string(parse.join("timestamp_cases.jsonl"))
        .unwrap()
        .lines()
    {
        let case: Value = serde_json::from_str(case).unwrap();
        let Some(nanos) = case["expect_ns"].as_i64() else {
            continue;
        };
        let input = case["input"].as_str().unwrap();
        let time = parse_time(input, &context).unwrap_or_else(|| panic!("{input} is no time"));
        assert_eq!(time.timestamp_micros(), nanos.div_euclid(1_000), "{input}");
    }
}

/// The elements of a JSON file, whatever their arrangement.
fn objects_in(text: &str) -> Vec<Value> {
    let values: Vec<Value> = serde_json::Deserializer::from_str(text)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let flat = values.into_iter().flat_map(|value| match value {
        Value::Array(elements) => elements,
        Value::Object(mut object) => match object.remove("Records") {
            Some(Value::Array(records)) => records,
            _ => vec![Value::Object(object)],
        },
        other => vec![other],
    });
    flat.collect()
}

/// Whether a value stands somewhere in a log, under its key or in a field of its own.
fn holds(log: &LogEntry, key: &str, value: &Value) -> bool {
    let text = value.as_str();
    let fields = [
        &log.timestamp,
        &log.appname,
        &log.file,
        &log.host,
        &log.hostname,
        &log.message,
        &log.source_type,
    ];
    log.normalized.get(key) == Some(value)
        || text.is_some() && fields.into_iter().any(|field| field.as_deref() == text)
        || log.timestamp.as_deref() == Some(value.to_string().as_str())
        || log.procid.is_some_and(|process| {
            value.as_i64() == Some(process) || text == Some(process.to_string().as_str())
        })
        || value.as_object().is_some_and(|object| *object == log.metadata)
}

fn check_json(folder: &str, time_key: &str, check: impl Fn(&Value, &LogEntry)) {
    let Some(folder) = shared_data(folder) else { return };
    for file in files_in(&folder)
        .into_iter()
        .filter(|file| file.extension().is_some_and(|end| end == "json"))
    {
        let logs = read(&file, &IngestOptions::new());
        let objects = objects_in(&std::fs::read_to_string(&file).unwrap());
        assert_eq!(logs.len(), objects.len(), "{file:?}");
        for (log, object) in logs.iter().zip(&objects) {
            assert!(!log.metadata.contains_key(PARSE_ERROR), "{file:?}");
            let raw: Value = serde_json::from_str(log.raw.as_deref().unwrap()).unwrap();
            assert_eq!(raw, *object, "{file:?}");
            for (key, value) in object.as_object().unwrap() {
                assert!(holds(log, key, value), "{file:?}: {key} is gone");
            }
            let written = object[time_key].as_str().unwrap();
            assert_eq!(
                Some(log.event_time),
                parse_time(written, &TimeContext::default()),
                "{file:?}"
            );
            check(object, log);
        }
    }
}

#[test]
fn cloudtrail_loses_no_key() {
    check_json("data/json/cloudtrail", "eventTime", |object, log| {
        let identity = &object["userIdentity"];
        let user = [
            &identity["userName"],
            &identity["sessionContext"]["sessionIssuer"]["userName"],
            &identity["invokedBy"],
        ];
        let expected = user.into_iter().find_map(Value::as_str);
        if expected.is_some() {
            assert_eq!(log.user(), expected);
        }
        let source = object["sourceIPAddress"].as_str();
        let address = source.filter(|text| text.parse::<std::net::IpAddr>().is_ok());
        assert_eq!(log.source_ip().as_deref(), address);
        assert_eq!(log.action(), object["eventName"].as_str());
    });
}

#[test]
fn suricata_loses_no_key() {
    check_json("data/json/suricata", "timestamp", |object, log| {
        assert_eq!(log.source_ip().as_deref(), object["src_ip"].as_str());
        assert_eq!(log.dest_ip().as_deref(), object["dest_ip"].as_str());
    });
}

#[test]
fn zeek_loses_no_key() {
    check_json("data/json/zeek", "ts", |object, log| {
        if let Some(address) = object["id.orig_h"].as_str() {
            assert_eq!(log.source_ip().as_deref(), Some(address));
            assert_eq!(log.dest_ip().as_deref(), object["id.resp_h"].as_str());
        }
        if let Some(user) = object["username"].as_str() {
            assert_eq!(log.user(), Some(user));
        }
    });
}

#[test]
fn windows_events_lose_no_key() {
    let Some(folder) = shared_data("data/json/otrf") else {
        return;
    };
    let archive = folder.join("empire_shell_net_localgroup_administrators.zip");
    // The archive tool of the system; where it is missing, nothing is claimed.
    let unzipped = std::process::Command::new("unzip")
        .arg("-p")
        .arg(&archive)
        .output();
    let Ok(unzipped) = unzipped else {
        eprintln!("skipped: there is no unzip");
        return;
    };
    let text = String::from_utf8(unzipped.stdout).unwrap();
    let objects = objects_in(&text);
    let input = std::io::Cursor::new(text.into_bytes());
    let logs: Vec<_> = LogReader::new(input, &IngestOptions::new())
        .map(Result::unwrap)
        .collect();
    assert_eq!(logs.len(), objects.len());
    assert!(logs.len() > 100);
    for (log, object) in logs.iter().zip(&objects) {
        for (key, value) in object.as_object().unwrap() {
            assert!(holds(log, key, value), "{key} is gone from {object}");
        }
        // Sysmon says when the event was; the collector, when it came.
        let time = object.get("UtcTime").unwrap_or(&object["@timestamp"]);
        assert_eq!(
            Some(log.event_time),
            parse_time(time.as_str().unwrap(), &TimeContext::default())
        );
        if let Some(user) = object["TargetUserName"]
            .as_str()
            .filter(|_| object["EventID"] == 4624)
        {
            assert_eq!(log.user(), Some(user));
        }
    }
}

/// Returns the indicators of a feed; those of a warning list too, as if they were a threat.
fn indicators_of(file: &Path) -> IndicatorSet {
    let text = std::fs::read_to_string(file).unwrap();
    let list = serde_json::from_str::<Value>(&text).ok();
    let list = list.map_or(text, |warnings| {
        let values = warnings["list"].as_array().unwrap();
        let lines = values
            .iter()
            .map(|value| format!("{}\n", value.as_str().unwrap()));
        lines.collect()
    });
    IndicatorSet::new(&feeds::read(&list, &FeedOptions::new("feed")).unwrap().intel)
}

#[test]
fn lines_with_an_address_of_a_feed_are_those_of_the_key() {
    let (Some(intel), Some(logs)) = (shared_data("data/intel"), shared_data("data/logs")) else {
        return;
    };
    let key: Value = serde_json::from_slice(&std::fs::read(intel.join("key.json")).unwrap()).unwrap();
    for (pair, expected) in key["key"].as_object().unwrap() {
        let (feed, name) = pair.split_once(" | ").unwrap();
        let feed = match feed.strip_prefix("misp ") {
            Some(list) => format!("misp/{list}.json"),
            None => key["feeds"][feed].as_str().unwrap().to_owned(),
        };
        let set = indicators_of(&intel.join(feed));
        let stem = |file: &PathBuf| file.file_stem().is_some_and(|stem| *stem == *name);
        let file = log_files(&logs).into_iter().find(stem).unwrap();
        let found = read(&file, &before_2026());
        let lines = found.iter().filter(|log| !set.matches(log).is_empty()).count();
        assert_eq!(expected["lines"], lines, "{pair}");
    }
}
