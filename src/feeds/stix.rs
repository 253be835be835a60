//! Reads the indicators of [STIX 2.1](https://docs.oasis-open.org/cti/stix/v2.1/stix-v2.1.html), section 4.7.

mod pattern;

use serde_json::{Map, Value};

use super::confidence;
use super::entry::{Collector, Entry};

/// Returns whether a document has STIX objects, in a bundle or in another envelope.
pub(super) fn is_stix(document: &Value) -> bool {
    let is_bundle = document.get("type").is_some_and(|name| name == "bundle");
    is_bundle || !indicators(document).is_empty()
}

pub(super) fn read(line: Option<u64>, document: &Value, collector: &mut Collector<'_>) {
    for indicator in indicators(document) {
        take(line, indicator, collector);
    }
}

/// Lists the objects that are indicators, wherever they are in an envelope.
fn indicators(document: &Value) -> Vec<&Map<String, Value>> {
    let mut found = Vec::new();
    let mut open = vec![document];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(values) => open.extend(values.iter().rev()),
            Value::Object(object) if is_indicator(object) => found.push(object),
            Value::Object(object) => open.extend(object.values().rev()),
            _ => {}
        }
    }
    found
}

fn is_indicator(object: &Map<String, Value>) -> bool {
    // The answers of OpenCTI name the type otherwise.
    let is_named = |member: &str, named: &str| object.get(member).is_some_and(|name| name == named);
    (is_named("type", "indicator") || is_named("entity_type", "Indicator")) && object.contains_key("pattern")
}

fn take(line: Option<u64>, indicator: &Map<String, Value>, collector: &mut Collector<'_>) {
    let text = |name: &str| indicator.get(name).and_then(Value::as_str);
    let pattern = text("pattern").unwrap_or_default();
    if indicator.get("revoked") == Some(&Value::Bool(true)) {
        return collector.refuse(line, pattern, "the indicator is revoked");
    }
    if text("pattern_type").is_some_and(|name| name != "stix") {
        return collector.refuse(line, pattern, "the pattern is not of STIX");
    }
    let values = match pattern::values(pattern) {
        Ok(values) => values,
        Err(reason) => return collector.refuse(line, pattern, reason),
    };
    for (value, indicator_type) in &values {
        let mut entry = Entry {
            value,
            indicator_type: Some(*indicator_type),
            threat_type: threat_type(indicator),
            metadata: metadata(indicator),
            ..Entry::default()
        };
        if let Some(confidence) = indicator.get("confidence") {
            let read = confidence::of_percent(confidence);
            entry.set_confidence(read.map_err(|reason| match text("id") {
                Some(id) => format!("{reason} (of {id})"),
                None => reason,
            }));
        }
        entry.set_expiry(text("valid_until"));
        collector.take(line, entry);
    }
}

/// Returns the first type that the indicator names, or its first label, as STIX 2.0 had it.
fn threat_type(indicator: &Map<String, Value>) -> Option<String> {
    let first = |name: &str| indicator.get(name)?.get(0)?.as_str();
    let named = first("indicator_types").or_else(|| first("labels"));
    named.map(str::to_owned)
}

fn metadata(indicator: &Map<String, Value>) -> Map<String, Value> {
    const KEPT: [&str; 7] = [
        "name",
        "description",
        "labels",
        "valid_from",
        "kill_chain_phases",
        "created",
        "modified",
    ];
    let mut metadata = Map::new();
    if let Some(id) = indicator.get("id") {
        metadata.insert("stix_id".to_owned(), id.clone());
    }
    for name in KEPT {
        if let Some(value) = indicator.get(name) {
            metadata.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(level) = marking(indicator) {
        metadata.insert("tlp".to_owned(), level.into());
    }
    metadata
}

/// Returns the level of the Traffic Light Protocol, by the ids that the specification gives its markings (section 7.2).
fn marking(indicator: &Map<String, Value>) -> Option<&'static str> {
    const MARKINGS: [(&str, &str); 4] = [
        (
            "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
            "white",
        ),
        (
            "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
            "green",
        ),
        (
            "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
            "amber",
        ),
        ("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "red"),
    ];
    let ids = indicator.get("object_marking_refs")?.as_array()?;
    let named = MARKINGS
        .iter()
        .find(|(id, _)| ids.iter().any(|known| known == id));
    named.map(|(_, level)| *level)
}
