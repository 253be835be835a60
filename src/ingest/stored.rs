//! Reads stored lines again that do not say alone what they are.

use super::formats::{header, json};
use super::options::IngestOptions;
use super::parser::{ENVELOPE, HEADER, OUTER, Parser};
use crate::models::{JsonObject, LogEntry};

/// Reads the columns of a stored line again, which its log keeps under their names.
///
/// Returns `None` if its line has no columns, or if the log has members that are none of them: those of an envelope.
pub(crate) fn read_columns(log: &LogEntry, options: &IngestOptions) -> Option<LogEntry> {
    let family = header::family(log.metadata.get(HEADER)?.as_str()?)?;
    if log.metadata.contains_key(ENVELOPE) || log.normalized.contains_key(OUTER) {
        return None;
    }
    let text = serde_json::to_string(&members_of(log)).ok()?;
    let members = json::object(&text)?.members;
    let mut parser = Parser::new(options, None, None, log.ingestion_time);
    let mut found = None;
    parser.stored_columns(members, family, &log.raw_bytes()?, &mut |log| {
        found = Some(log.into_entry());
    });
    found
}

/// Returns the members that the columns of a line have made: those that its log keeps, and those that are its fields.
fn members_of(log: &LogEntry) -> JsonObject {
    let mut members = log.normalized.clone();
    let fields = [
        ("message", &log.message),
        ("host", &log.host),
        ("hostname", &log.hostname),
        ("appname", &log.appname),
    ];
    for (name, value) in fields {
        // A field that a member holds under another name was found there.
        let Some(value) = value else { continue };
        if !log.normalized.values().any(|held| held == value.as_str()) {
            members.insert(name.to_owned(), value.as_str().into());
        }
    }
    if let Some(id) = log.procid {
        members.entry("procid").or_insert_with(|| id.into());
    }
    members
}
