//! Logs as `logstore export` writes them: they come back as they were, with their ids.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::models::{LogEntry, Members, OBJECT_COLUMNS, TEXT_COLUMNS, TIME_COLUMNS, TimeContext};

/// Lists the columns that every export begins with, in its order.
const FIRST_COLUMNS: [&str; 14] = [
    "event_time",
    "id",
    "timestamp",
    "raw",
    "appname",
    "file",
    "host",
    "hostname",
    "message",
    "procid",
    "source_type",
    "normalized",
    "metadata",
    "ingestion_time",
];

/// Begins the header of a CSV file.
const CSV_HEADER: &str = "event_time,id,";

/// Lists the first characters of text before which an export to CSV writes `'`.
const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Returns whether a line names the columns of a CSV file.
pub(crate) fn is_csv_header(line: &str) -> bool {
    line.starts_with(CSV_HEADER)
}

/// Returns whether a file with this first line has the columns of an export, in JSON lines or CSV.
///
/// Any program may write such a file. So this is no reason to read it as an export.
pub(crate) fn may_begin(first_line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(first_line) else {
        return false;
    };
    let line = line.trim_start_matches('\u{feff}');
    let begins = |names: &mut dyn Iterator<Item = &str>| names.take(FIRST_COLUMNS.len()).eq(FIRST_COLUMNS);
    match serde_json::from_str::<Members<'_>>(line) {
        Ok(log) => begins(&mut log.iter().map(|(name, _)| name)),
        Err(_) => begins(&mut line.split(',')),
    }
}

/// Reads a line of JSON; `None` if it is no exported log.
pub(crate) fn of_json(line: &str) -> Option<LogEntry> {
    let mut object: Map<String, Value> = serde_json::from_str(line).ok()?;
    object.retain(|name, value| is_kept(name) && !value.is_null());
    entry(object)
}

/// Reads the columns of a CSV file; `None` if they are no exported log.
pub(crate) fn of_columns<'a>(columns: impl Iterator<Item = (&'a str, Cow<'a, str>)>) -> Option<LogEntry> {
    let mut object = Map::new();
    for (name, value) in columns.filter(|(name, value)| is_kept(name) && !value.is_empty()) {
        let value = match OBJECT_COLUMNS.contains(&name) {
            true => serde_json::from_str(&value).ok()?,
            false => Value::String(without_quote(&value).to_owned()),
        };
        object.insert(name.to_owned(), value);
    }
    entry(object)
}

fn is_kept(name: &str) -> bool {
    [&TEXT_COLUMNS[..], &TIME_COLUMNS, &OBJECT_COLUMNS]
        .iter()
        .any(|names| names.contains(&name))
}

/// Removes the quote that keeps a spreadsheet from taking a text for a formula.
fn without_quote(text: &str) -> &str {
    let rest = text
        .strip_prefix('\'')
        .filter(|rest| rest.starts_with(FORMULA_STARTS));
    rest.unwrap_or(text)
}

fn entry(mut object: Map<String, Value>) -> Option<LogEntry> {
    for name in TIME_COLUMNS {
        if let Some(Value::String(time)) = object.get_mut(name) {
            *time = format!("{}Z", time.trim_end_matches('Z').replacen(' ', "T", 1));
        }
    }
    object.get("id")?.as_str()?;
    let written = object
        .get("event_time")?
        .as_str()?
        .parse::<chrono::DateTime<chrono::Utc>>()
        .ok()?;
    let entry = LogEntry::from_json(object, &TimeContext::new(written));
    entry.validate().is_ok().then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_objects_are_no_exported_logs() {
        for line in [
            "",
            "{}",
            "{\"id\": \"a\"}",
            "{\"id\": \"a\", \"event_time\": \"yesterday\"}",
            "{\"event_time\": \"2024-01-01 00:00:00\"}",
        ] {
            assert_eq!(of_json(line), None, "{line}");
        }
        let log =
            of_json("{\"id\": \"a\", \"event_time\": \"2024-01-01 00:00:00.5\", \"user\": \"x\"}").unwrap();
        assert_eq!(
            (log.id.as_str(), log.event_time.timestamp_subsec_millis()),
            ("a", 500)
        );
        assert!(log.normalized.is_empty());
    }

    #[test]
    fn a_quote_before_a_formula_is_removed() {
        let columns = [
            ("id", "a"),
            ("event_time", "2024-01-01 00:00:00"),
            ("raw", "'=1"),
            ("message", "'text"),
        ];
        let log = of_columns(columns.into_iter().map(|(name, value)| (name, value.into()))).unwrap();
        assert_eq!(
            (log.raw.as_deref(), log.message.as_deref()),
            (Some("=1"), Some("'text"))
        );
    }
}
