//! Reads feeds that are JSON: one document, or an object on each line.

use serde_json::{Map, Value};

use super::entry::{Collector, Entry};
use super::row::Row;
use super::{FeedError, FeedFormat, misp, otx, stix};
use crate::models::ThreatIntel;

/// Returns whether a text looks like JSON.
pub(super) fn may_be(text: &str) -> bool {
    let start = text.trim_start();
    start.starts_with('{')
        || start.starts_with("[{")
        || start.starts_with('[') && serde_json::from_str::<Value>(start).is_ok()
}

/// Reads a text that is JSON of a format, or of the one that its members tell.
pub(super) fn read(
    text: &str,
    format: Option<FeedFormat>,
    collector: &mut Collector<'_>,
) -> Result<FeedFormat, FeedError> {
    let document: Value = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(_) if text.trim_start().starts_with('{') && is_of_lines(format) => {
            lines(text, collector);
            return Ok(FeedFormat::Json);
        }
        Err(error) => {
            return Err(FeedError::Format {
                format: format.unwrap_or(FeedFormat::Json),
                reason: format!("it is not valid JSON: {error}"),
            });
        }
    };
    let format = format.unwrap_or_else(|| format_of(&document));
    match format {
        FeedFormat::Stix => stix::read(None, &document, collector),
        FeedFormat::Misp => misp::read(&document, collector),
        FeedFormat::Otx => otx::read(&document, collector),
        FeedFormat::WarningList => warning_list(&document, collector)?,
        FeedFormat::List | FeedFormat::Csv | FeedFormat::Json => rows(&document, collector),
    }
    Ok(format)
}

fn is_of_lines(format: Option<FeedFormat>) -> bool {
    matches!(format, None | Some(FeedFormat::Json))
}

/// Tells the format of a document by its members.
fn format_of(document: &Value) -> FeedFormat {
    if is_warning_list(document) {
        FeedFormat::WarningList
    } else if stix::is_stix(document) {
        FeedFormat::Stix
    } else if misp::is_misp(document) {
        FeedFormat::Misp
    } else if otx::is_otx(document) {
        FeedFormat::Otx
    } else {
        FeedFormat::Json
    }
}

fn is_warning_list(document: &Value) -> bool {
    let Some(list) = document.get("list").and_then(Value::as_array) else {
        return false;
    };
    list.iter().all(Value::is_string)
}

/// Reads a list of MISP's warning lists. A dot in front of a name means that subdomains are meant as well.
fn warning_list(document: &Value, collector: &mut Collector<'_>) -> Result<(), FeedError> {
    if !collector.options.allow {
        return Err(FeedError::NamesTheHarmless);
    }
    let values = document.get("list").and_then(Value::as_array);
    for value in values.into_iter().flatten().filter_map(Value::as_str) {
        let entry = Entry {
            value,
            ..Entry::default()
        };
        collector.take(None, entry);
    }
    Ok(())
}

/// Reads an object on each line.
fn lines(text: &str, collector: &mut Collector<'_>) {
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        match serde_json::from_str::<Value>(line) {
            Ok(object) if stix::is_stix(&object) => stix::read(Some(number), &object, collector),
            Ok(Value::Object(object)) => self::object(Some(number), &object, collector),
            Ok(_) => collector.refuse(Some(number), line, "it is no object"),
            Err(error) => collector.refuse(Some(number), line, format!("it is not valid JSON: {error}")),
        }
    }
}

/// Reads the objects of a document that are like rows, wherever they are.
fn rows(document: &Value, collector: &mut Collector<'_>) {
    match document {
        Value::Array(values) => values.iter().for_each(|value| rows(value, collector)),
        Value::Object(object) if Row::of_object(object).has_indicators() => object_of(object, collector),
        Value::Object(object) => object.values().for_each(|value| rows(value, collector)),
        _ => {}
    }
}

fn object_of(object: &Map<String, Value>, collector: &mut Collector<'_>) {
    self::object(None, object, collector);
}

/// Reads an object: this crate's own, or one that is like a row.
fn object(line: Option<u64>, object: &Map<String, Value>, collector: &mut Collector<'_>) {
    let row = Row::of_object(object);
    let text = || Value::Object(object.clone()).to_string();
    if object.contains_key("indicator_value") {
        match serde_json::from_value::<ThreatIntel>(Value::Object(object.clone())) {
            Ok(intel) => collector.take_own(intel),
            Err(error) => collector.refuse(line, &text(), error.to_string()),
        }
    } else if row.has_indicators() {
        row.take(line, &text(), collector);
    } else if object.get("type").and_then(Value::as_str) != Some("metadata") {
        collector.refuse(line, &text(), "no member of it holds an indicator");
    }
}
