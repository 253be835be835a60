//! The library as a whole: each sample gives what its definition says, and one definition alone claims it.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::super::{fields::Outcome, syslog};
use super::*;
use crate::ingest::FormatLibrary;
use crate::models::TimeContext;

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
    let library = FormatLibrary::built_in();
    let problems: Vec<_> = definitions()
        .iter()
        .flat_map(|definition| {
            let named = |problem| format!("{}: {problem}", definition.name);
            library
                .problems(definition)
                .into_iter()
                .map(named)
                .collect::<Vec<_>>()
        })
        .collect();
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
fn every_definition_can_be_used() {
    for definition in definitions() {
        assert_eq!(definition.check(), Ok(()), "{}", definition.name);
    }
}
