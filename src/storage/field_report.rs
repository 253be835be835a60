//! Which fields logs have, how often, of which types, and with which values.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::Result;
use crate::models::LogEntry;

/// Describes the fields of some logs.
///
/// ```
/// use logstore::LogEntry;
/// use logstore::storage::FieldReport;
/// use serde_json::json;
///
/// let object = json!({"user": "root", "http": {"status": 404}});
/// let log = LogEntry::from_json(object.as_object().unwrap().clone(), &Default::default());
/// let report = FieldReport::of([Ok(log)])?;
/// assert_eq!(report.logs, 1);
/// let field = report.fields.iter().find(|field| field.name == "normalized.http.status").unwrap();
/// assert_eq!((field.types.as_slice(), field.examples.as_slice()), (&["number"][..], &["404".to_owned()][..]));
/// # Ok::<(), logstore::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FieldReport {
    /// Counts the logs that were looked at.
    pub logs: u64,
    /// Holds the fields, those of the most logs first.
    pub fields: Vec<FieldSummary>,
    /// Says whether there are more fields than [`FieldReport::MOST`]. The others are not in the report.
    pub is_cut: bool,
}

/// Describes a field of some logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FieldSummary {
    /// Names the field as filters do: a column, or a path in `normalized`.
    pub name: String,
    /// Counts the logs that have the field.
    pub logs: u64,
    /// Lists the types of its values: `text`, `number`, `boolean`, `list` and `null`.
    pub types: Vec<&'static str>,
    /// Holds some of its values, each of them once. Long ones are cut.
    pub examples: Vec<String>,
}

#[derive(Debug, Default)]
struct Seen {
    logs: u64,
    types: BTreeSet<&'static str>,
    examples: Vec<String>,
}

impl FieldReport {
    /// Limits the fields of a report. A client may name as many as it likes.
    pub const MOST: usize = 10_000;

    /// Looks at the fields of logs, one log after another.
    ///
    /// # Errors
    ///
    /// Fails with the first error among the logs.
    pub fn of(logs: impl IntoIterator<Item = Result<LogEntry>>) -> Result<Self> {
        let mut report = Self::default();
        let mut seen = BTreeMap::new();
        for log in logs {
            let log = log?;
            report.logs += 1;
            for (name, value) in columns(&log) {
                report.note(&mut seen, name, &value);
            }
            let normalized: &Map<String, Value> = &log.normalized;
            for (name, value) in normalized {
                report.note(&mut seen, format!("normalized.{name}"), value);
            }
        }
        let fields = seen.into_iter().map(|(name, seen)| FieldSummary {
            name,
            logs: seen.logs,
            types: seen.types.into_iter().collect(),
            examples: seen.examples,
        });
        report.fields = fields.collect();
        report
            .fields
            .sort_by(|a, b| b.logs.cmp(&a.logs).then_with(|| a.name.cmp(&b.name)));
        Ok(report)
    }

    /// Notes a field of a log. The members of an object are fields of their own.
    fn note(&mut self, seen: &mut BTreeMap<String, Seen>, name: String, value: &Value) {
        /// Limits the examples of a field, and the characters of each.
        const EXAMPLES: usize = 3;
        const LONGEST: usize = 60;
        if let Value::Object(members) = value
            && !members.is_empty()
        {
            for (member, value) in members {
                self.note(seen, format!("{name}.{member}"), value);
            }
            return;
        }
        if seen.len() >= Self::MOST && !seen.contains_key(&name) {
            self.is_cut = true;
            return;
        }
        let field = seen.entry(name).or_default();
        field.logs += 1;
        field.types.insert(type_of(value));
        if field.examples.len() < EXAMPLES && !value.is_null() {
            let text = match value {
                Value::String(text) => text.chars().take(LONGEST).collect(),
                other => other.to_string().chars().take(LONGEST).collect::<String>(),
            };
            if !field.examples.contains(&text) {
                field.examples.push(text);
            }
        }
    }
}

/// Returns the columns of a log that have a value, other than its line, its times and its keys.
fn columns(log: &LogEntry) -> Vec<(String, Value)> {
    let texts = [
        ("appname", &log.appname),
        ("file", &log.file),
        ("host", &log.host),
        ("hostname", &log.hostname),
        ("message", &log.message),
        ("source_type", &log.source_type),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), Value::from(text.clone()?))));
    let procid = log
        .procid
        .map(|process| ("procid".to_owned(), Value::from(process)));
    // Its fields are texts and numbers, which are JSON.
    let core = serde_json::to_value(log.core_fields()).unwrap_or_default();
    let core = match core {
        Value::Object(core) => core,
        _ => Map::new(),
    };
    texts.chain(procid).chain(core).collect()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::models::TimeContext;

    fn log(object: Value) -> LogEntry {
        let object = object.as_object().cloned().unwrap_or_default();
        LogEntry::from_json(object, &TimeContext::default())
    }

    #[test]
    fn fields_are_counted_with_types_and_examples() {
        let logs =
            (0..5).map(|n| log(json!({"n": n, "a": {"b": if n == 0 { json!([1]) } else { json!("x") }}})));
        let report = FieldReport::of(logs.map(Ok)).unwrap();
        let field = |name: &str| report.fields.iter().find(|field| field.name == name).unwrap();
        assert_eq!((report.logs, report.is_cut), (5, false));
        assert_eq!(field("normalized.n").examples, ["0", "1", "2"]);
        assert_eq!(field("normalized.a.b").types, ["list", "text"]);
        assert_eq!(field("normalized.a.b").logs, 5);
    }

    #[test]
    fn a_report_is_bounded() {
        let logs = (0..=FieldReport::MOST).map(|n| log(json!({ format!("field{n}"): 1 })));
        let report = FieldReport::of(logs.map(Ok)).unwrap();
        assert_eq!(report.fields.len(), FieldReport::MOST);
        assert!(report.is_cut);
    }
}
