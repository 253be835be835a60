//! Reads stored lines again that do not say alone what they are.

use super::formats::header;
use super::options::IngestOptions;
use super::parser::{ENVELOPE, HEADER, OUTER, Parser};
use crate::models::{Json, LogEntry, Members};

/// Reads the columns of a stored line again, which its log keeps under their names.
///
/// Returns `None` if its line has no columns, or if the log has members that are none of them: those of an envelope.
pub(crate) fn read_columns(log: &LogEntry, options: &IngestOptions) -> Option<LogEntry> {
    let family = header::family(log.metadata.get(HEADER)?.as_str()?)?;
    if log.metadata.contains_key(ENVELOPE) || log.normalized.contains_key(OUTER) {
        return None;
    }
    let mut parser = Parser::new(options, None, None, log.ingestion_time);
    let mut found = None;
    parser.stored_columns(members_of(log), family, &log.raw_bytes()?, &mut |log| {
        found = Some(log.into_entry());
    });
    found
}

/// Returns the members that the columns of a line have made: those that its log keeps, and those that are its fields.
fn members_of(log: &LogEntry) -> Members<'_> {
    let kept = log.normalized.members();
    let is_kept = |text: &str| kept.iter().any(|(_, held)| held.as_str() == Some(text));
    let mut members = kept.clone();
    let fields = [
        ("message", &log.message),
        ("host", &log.host),
        ("hostname", &log.hostname),
        ("appname", &log.appname),
    ];
    for (name, value) in fields {
        // A field that a member holds under another name was found there.
        if let Some(text) = value.as_deref().filter(|text| !is_kept(text)) {
            members.insert(name, text);
        }
    }
    if let Some(id) = log.procid {
        members.insert_if_missing("procid", Json::Number(id.into()));
    }
    members
}
