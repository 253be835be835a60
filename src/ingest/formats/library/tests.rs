//! The library as a whole: each sample gives what its definition says, and one definition alone claims it.

use std::io::Cursor;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::super::{fields::Outcome, syslog};
use super::*;
use crate::LogEntry;
use crate::ingest::{IngestOptions, LogReader};
use crate::models::{TIME_SOURCE, TimeContext};

/// Reads the files of the library, with their samples.
fn definitions() -> Vec<Definition> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ingest/formats/library");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    let definition = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let definition: Definition =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(
            path.file_stem().and_then(|stem| stem.to_str()),
            Some(definition.name.as_str())
        );
        definition
    };
    paths.iter().map(definition).collect()
}

/// Returns the moment before which times without a year are, so that samples give the same in later years.
fn reference() -> DateTime<Utc> {
    "2026-11-28T00:00:00Z".parse().unwrap()
}

fn read(line: &str) -> LogEntry {
    let options = IngestOptions::new().with_reference(reference());
    let mut logs = LogReader::new(Cursor::new(line.to_owned()), &options);
    let log = logs.next().unwrap().unwrap();
    let others = logs.count();
    assert_eq!(others, 0, "{line:?} is {} logs", others + 1);
    log
}

/// Returns a field of a log by the name of its column, or a member of `normalized`.
fn field_of(log: &LogEntry, name: &str) -> Option<String> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match name {
        "event_time" => (!log.metadata.contains_key(TIME_SOURCE)).then(|| log.event_time.to_rfc3339()),
        "host" => log.host.clone().or_else(|| log.hostname.clone()),
        "appname" => log.appname.clone(),
        "procid" => log.procid.map(|process| process.to_string()),
        "message" => log.message.clone(),
        "source_ip" => log.source_ip().map(|address| address.to_string()),
        "dest_ip" => log.dest_ip().map(|address| address.to_string()),
        "user" => log.user().map(str::to_owned),
        "action" => log.action().map(str::to_owned),
        "outcome" => log.outcome().map(str::to_owned),
        "level" => log.level().map(str::to_owned),
        name => log.normalized.get(name).map(text),
    }
}

fn is_given(name: &str, found: Option<&str>, given: &str) -> bool {
    match found {
        None => given.is_empty(),
        Some(found) if name == "event_time" => {
            let moment = |text: &str| text.parse::<DateTime<Utc>>().ok();
            moment(found).is_some() && moment(found) == moment(given)
        }
        Some(found) => found == given,
    }
}

/// Returns the program and the message of a line, as the library is asked for them.
fn header_of(line: &str) -> (Option<&str>, &str) {
    let context = TimeContext::new(reference());
    for format in [syslog::rfc5424, syslog::rfc3164] {
        if let Outcome::Fields(fields) = format(line, &context) {
            return (fields.appname, fields.message.unwrap_or_default());
        }
    }
    (None, line)
}

#[test]
fn samples_give_what_their_definitions_say() {
    let mut problems = Vec::new();
    for definition in definitions() {
        assert!(
            !definition.samples.is_empty(),
            "{} has no sample",
            definition.name
        );
        for sample in &definition.samples {
            let log = read(&sample.line);
            for (name, given) in &sample.gives {
                let found = field_of(&log, name);
                if !is_given(name, found.as_deref(), given) {
                    problems.push(format!(
                        "{}: {name} is {found:?}, not {given:?}, of {}",
                        definition.name, sample.line
                    ));
                }
            }
            let format = log.metadata.get("format").and_then(|format| format.as_str());
            let expected = format!("{}/{}", definition.name, definition.version);
            if format != Some(&expected) {
                problems.push(format!("{}: {format:?} reads {}", definition.name, sample.line));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn one_definition_claims_a_sample() {
    let library = Library::built_in();
    let mut problems = Vec::new();
    for definition in definitions() {
        for sample in &definition.samples {
            let (program, message) = header_of(&sample.line);
            let mut claims = library.claims(program, message);
            if claims.is_empty() {
                claims = library.claims(None, &sample.line);
            }
            if claims.len() > 1 || claims.iter().any(|claim| *claim != definition.name) {
                problems.push(format!("{}: {claims:?} claim {}", definition.name, sample.line));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_pattern_is_an_expression() {
    for definition in definitions() {
        for pattern in &definition.patterns {
            let compiled = Pattern::new(&pattern.text).map_err(|error| error.to_string());
            let checked = compiled.and_then(|pattern| pattern.check().map_err(|error| error.to_string()));
            assert_eq!(checked, Ok(()), "{}: {}", definition.name, pattern.text);
        }
    }
}
