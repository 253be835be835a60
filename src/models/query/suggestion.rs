//! Suggestions for a field that no log has: fields of similar names.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::field::{Column, Field, Place, Root, TEXT, is_name_character};
use crate::models::LogEntry;
use crate::models::log_entry::names;

/// Limits the number of suggested fields.
const MOST: usize = 3;

/// Says how alike two names must be, from 0 to 1.
const LIKENESS: f64 = 0.85;

/// Limits the depth at which members of objects are looked for.
const DEEPEST: usize = 4;

impl Field {
    /// Says whether the field is a path into `normalized` or `metadata`, in which any name is allowed.
    pub fn is_path(&self) -> bool {
        matches!(self.0, Place::Path(_))
    }

    /// Names fields that are called like this one, the best first; `None` if one of the logs has this field.
    ///
    /// A column is suggested for itself and for every name that sources give it. A member of the logs is suggested for
    /// itself.
    ///
    /// ```
    /// use logstore::{Field, LogEntry};
    ///
    /// let log = LogEntry::new(chrono::Utc::now()).with_field("bytes_out", 7);
    /// let suggest = |name: &str| name.parse::<Field>().map(|field| field.suggestions(std::slice::from_ref(&log)));
    /// assert_eq!(suggest("usr")?, Some(vec!["user".to_owned()]));
    /// assert_eq!(suggest("src_ip")?, Some(vec!["source_ip".to_owned()]));
    /// assert_eq!(suggest("bytes_ou")?, Some(vec!["bytes_out".to_owned()]));
    /// assert_eq!(suggest("bytes_out")?, None);
    /// # Ok::<(), logstore::InvalidValue>(())
    /// ```
    pub fn suggestions(&self, logs: &[LogEntry]) -> Option<Vec<String>> {
        let Place::Path(path) = &self.0 else {
            return None;
        };
        if logs.iter().any(|log| self.text_in(log).is_some()) {
            return None;
        }
        let name = path.name().to_lowercase();
        let mut best: HashMap<String, f64> = HashMap::new();
        for (candidate, suggestion) in candidates(logs) {
            let likeness = likeness(&name, &candidate.to_lowercase());
            if likeness >= LIKENESS && suggestion != self.to_string() {
                let held = best.entry(suggestion).or_default();
                *held = held.max(likeness);
            }
        }
        let mut best: Vec<(String, f64)> = best.into_iter().collect();
        best.sort_by(|(a, of_a), (b, of_b)| of_b.total_cmp(of_a).then_with(|| a.cmp(b)));
        // A name of a column under another spelling is no slip of the pen.
        let same = best.iter().filter(|(_, likeness)| *likeness >= 1.0).count();
        best.truncate(if same > 0 { same.min(MOST) } else { MOST });
        Some(best.into_iter().map(|(suggestion, _)| suggestion).collect())
    }
}

/// Returns names, and the field that each of them means.
fn candidates(logs: &[LogEntry]) -> Vec<(String, String)> {
    let columns = Column::ALL.iter().map(|column| column.name());
    let columns = columns.chain([TEXT]).map(|name| (name, name));
    let known = columns.chain(names::with_columns());
    let mut names: Vec<(String, String)> = known
        .map(|(name, column)| (name.to_owned(), column.to_owned()))
        .collect();
    let mut members = Vec::new();
    for log in logs {
        add_members(&log.normalized, "", DEEPEST, &mut members);
        let root = Root::Metadata.name();
        add_members(&log.metadata, root, DEEPEST, &mut members);
        members.sort_unstable();
        members.dedup();
    }
    names.extend(members.into_iter().map(|name| (name.clone(), name)));
    names
}

fn add_members(members: &Map<String, Value>, prefix: &str, depth: usize, names: &mut Vec<String>) {
    // Names that need quotes are not suggested.
    let plain = members
        .iter()
        .filter(|(name, _)| name.chars().all(is_name_character));
    for (name, value) in plain.filter(|(name, _)| !name.is_empty()) {
        let name = match prefix {
            "" => name.clone(),
            prefix => format!("{prefix}.{name}"),
        };
        if let (Value::Object(inner), 1..) = (value, depth) {
            add_members(inner, &name, depth - 1, names);
        }
        names.push(name);
    }
}

/// Returns how alike two names are, from 0 to 1. A name that is the last part of the other is almost the same.
fn likeness(name: &str, candidate: &str) -> f64 {
    const OF_A_PART: f64 = 0.95;
    let ends_with = |whole: &str, part: &str| {
        let before = whole.strip_suffix(part);
        before.is_some_and(|before| before.ends_with('.'))
    };
    match ends_with(name, candidate) || ends_with(candidate, name) {
        true => OF_A_PART,
        false => strsim::jaro_winkler(name, candidate),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn suggest(name: &str) -> Option<Vec<String>> {
        let mut log = LogEntry::new(chrono::Utc::now())
            .with_field("http", json!({"request": {"bytes": 7}, "status": 200}))
            .with_field("winlog.channel", "x")
            .with_field("a b", "x");
        log.metadata.insert("ambiguous".into(), json!(["user"]));
        name.parse::<Field>().unwrap().suggestions(&[log])
    }

    #[test]
    fn suggests_columns_aliases_and_members() {
        for (name, expected) in [
            ("apname", "appname"),
            ("USER", "user"),
            ("normalized.hostnam", "hostname"),
            ("dst_ip", "dest_ip"),
            ("@timestamp", "event_time"),
            ("bytes", "http.request.bytes"),
            ("http.satus", "http.status"),
            ("winlog.chanel", "winlog.channel"),
            ("metadata.ambigous", "metadata.ambiguous"),
        ] {
            let suggestions = suggest(name).unwrap();
            assert_eq!(suggestions.first().map(String::as_str), Some(expected), "{name}");
            assert!(suggestions.len() <= MOST);
        }
    }

    #[test]
    fn fields_that_are_there_need_no_suggestion() {
        for name in [
            "user",
            "text",
            "http.status",
            "winlog.channel",
            "normalized.\"a b\"",
        ] {
            assert_eq!(suggest(name), None, "{name}");
        }
        assert_eq!(suggest("qqqqqqq"), Some(Vec::new()));
    }
}
