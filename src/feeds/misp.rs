//! Reads the events, feeds and exported attributes of
//! [MISP](https://www.misp-standard.org/rfc/misp-standard-core.html).

use serde_json::{Map, Value};

use super::entry::{Collector, Entry};
use crate::models::IndicatorType;

/// Returns whether a document is of MISP.
pub(super) fn is_misp(document: &Value) -> bool {
    let answer = document.get("response").unwrap_or(document);
    let first = match answer {
        Value::Array(list) => list.first(),
        other => Some(other),
    };
    first.is_some_and(|first| {
        first.get("Event").is_some() || first.get("Attribute").is_some() || is_attribute(first)
    })
}

fn is_attribute(value: &Value) -> bool {
    value.get("to_ids").is_some() && value.get("value").is_some()
}

pub(super) fn read(document: &Value, collector: &mut Collector<'_>) {
    let answer = document.get("response").unwrap_or(document);
    let parts = answer
        .as_array()
        .map_or(std::slice::from_ref(answer), Vec::as_slice);
    for part in parts {
        match part.get("Event") {
            // An attribute alone has what it is told of its event with it.
            event if is_attribute(part) => attribute(&event.map(about).unwrap_or_default(), part, collector),
            event => self::event(event.unwrap_or(part), collector),
        }
    }
}

/// Reads the attributes of an event, and those of its objects.
fn event(event: &Value, collector: &mut Collector<'_>) {
    let about = about(event);
    let objects = event.get("Object").and_then(Value::as_array);
    let owners = std::iter::once(event).chain(objects.into_iter().flatten());
    for owner in owners {
        let attributes = owner.get("Attribute").and_then(Value::as_array);
        for attribute in attributes.into_iter().flatten() {
            self::attribute(&about, attribute, collector);
        }
    }
}

/// Returns what an event says of all of its attributes.
fn about(event: &Value) -> Map<String, Value> {
    let mut about = Map::new();
    for (name, member) in [("event", "info"), ("event_id", "uuid"), ("date", "date")] {
        if let Some(value) = event.get(member) {
            about.insert(name.to_owned(), value.clone());
        }
    }
    tags(event, &mut about);
    about
}

/// Adds the tags of an event or attribute; the tag of the Traffic Light Protocol under its own name.
fn tags(owner: &Value, metadata: &mut Map<String, Value>) {
    let tags = owner.get("Tag").and_then(Value::as_array);
    let names = tags
        .into_iter()
        .flatten()
        .filter_map(|tag| tag.get("name")?.as_str());
    let (levels, names): (Vec<&str>, Vec<&str>) =
        names.partition(|name| name.to_ascii_lowercase().starts_with("tlp:"));
    if let Some(level) = levels.first() {
        metadata.insert("tlp".to_owned(), level[4..].into());
    }
    if !names.is_empty() {
        metadata.insert("tags".to_owned(), names.into());
    }
}

fn attribute(about: &Map<String, Value>, attribute: &Value, collector: &mut Collector<'_>) {
    let text = |name: &str| attribute.get(name).and_then(Value::as_str);
    let (Some(value), Some(type_name)) = (text("value"), text("type")) else {
        return collector.refuse(
            None,
            &attribute.to_string(),
            "the attribute has no type or no value",
        );
    };
    if !is_set(attribute.get("to_ids")) {
        return collector.refuse(
            None,
            value,
            "the attribute is not for detection (to_ids is not true)",
        );
    }
    if is_set(attribute.get("deleted")) {
        return collector.refuse(None, value, "the attribute is deleted");
    }
    let mut metadata = match attribute.get("Event") {
        Some(event) if about.is_empty() => self::about(event),
        _ => about.clone(),
    };
    tags(attribute, &mut metadata);
    for name in ["category", "comment", "first_seen", "last_seen", "uuid"] {
        if let Some(said) = text(name).filter(|said| !said.is_empty()) {
            metadata.insert(name.to_owned(), said.into());
        }
    }
    let parts: Vec<(&str, IndicatorType)> = parts(type_name, value);
    if parts.is_empty() {
        return collector.refuse(None, value, format!("logs are compared with no {type_name}"));
    }
    for (value, indicator_type) in parts {
        let entry = Entry {
            value,
            indicator_type: Some(indicator_type),
            metadata: metadata.clone(),
            ..Entry::default()
        };
        collector.take(None, entry);
    }
}

/// Returns whether a flag is set: `true`, or 1 as older versions write it.
fn is_set(flag: Option<&Value>) -> bool {
    flag.is_some_and(|flag| *flag == true || *flag == 1 || *flag == "1")
}

/// Returns the values of an attribute that are indicators. Types such as `domain|ip` have two values. The first one may
/// be the name of a file, with any characters.
fn parts<'v>(type_name: &str, value: &'v str) -> Vec<(&'v str, IndicatorType)> {
    if type_name == "malware-sample" {
        let digest = value.rsplit_once('|').map_or(value, |(_, digest)| digest);
        return vec![(digest, IndicatorType::FileHash)];
    }
    let names = type_name.rsplit('|');
    let values = value.rsplitn(names.clone().count(), '|').zip(names);
    let mut values: Vec<(&str, &str)> = values.collect();
    values.reverse();
    values
        .into_iter()
        .filter_map(|(value, name)| Some((value, type_of(name)?)))
        .collect()
}

fn type_of(name: &str) -> Option<IndicatorType> {
    Some(match name {
        "ip-src" | "ip-dst" | "ip" => IndicatorType::Ip,
        "domain" | "hostname" => IndicatorType::Domain,
        "url" | "uri" | "link" => IndicatorType::Url,
        "email" | "email-src" | "email-dst" | "email-reply-to" => IndicatorType::Email,
        "md5" | "sha1" | "sha256" | "sha512" => IndicatorType::FileHash,
        _ => return None,
    })
}
