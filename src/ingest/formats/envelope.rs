//! Envelopes: what collectors and clouds put around the records of others.
//!
//! A delivery holds many records, and each becomes a log. A wrapper holds one record, and the log has the fields of
//! both.

use super::json::{self, Element};
use crate::models::{Json, Members};

/// Names the member of a delivery that lists its records.
///
/// AWS `CloudTrail` writes `Records`, Azure `records`, a subscription of AWS `CloudWatch` `logEvents`.
const LISTS: [&str; 3] = ["Records", "records", "logEvents"];

/// Holds the records of a delivery.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    /// Holds each record with its own text.
    pub(crate) records: Vec<Record<'a>>,
}

/// Holds a record, its text, and what the envelope says of it.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) text: &'a str,
    pub(crate) members: Members<'a>,
    /// Holds what the records of a delivery share.
    pub(crate) shared: Members<'a>,
}

/// Returns the records of a delivery. An object that is none comes back.
pub(crate) fn delivery((text, object): Element<'_>) -> Result<Delivery<'_>, Element<'_>> {
    let is_list = |name: &&&str| is_list_of_objects(object.get(name)) && is_envelope(&object, name);
    let opened = match LISTS.iter().find(is_list) {
        Some(name) => listed(text, &object, name),
        None if object.get("resourceLogs").is_some() => open_telemetry(text),
        None => None,
    };
    match opened {
        Some(records) if !records.is_empty() => Ok(Delivery { records }),
        _ => Err((text, object)),
    }
}

/// Returns whether the members next to a list of records can be those of an envelope.
///
/// An event with a member `records` of its own is no delivery: rules would not see its other members.
fn is_envelope(object: &Members<'_>, list: &str) -> bool {
    // A request's id and time, as Amazon's Firehose writes them.
    const MOST_OTHERS: usize = 2;
    let is_of_log_group = list == "logEvents" && object.get("logGroup").is_some();
    let others = || object.iter().filter(|(name, _)| *name != list);
    let is_event = |value: &Json<'_>| matches!(value, Json::Object(_));
    is_of_log_group || others().count() <= MOST_OTHERS && !others().any(|(_, value)| is_event(value))
}

fn is_list_of_objects(value: Option<&Json<'_>>) -> bool {
    let Some(Json::Array(elements)) = value else {
        return false;
    };
    !elements.is_empty() && elements.iter().all(|element| matches!(element, Json::Object(_)))
}

fn listed<'a>(text: &'a str, object: &Members<'a>, name: &str) -> Option<Vec<Record<'a>>> {
    let elements = json::array_of_objects(json::member(text, name)?)?;
    let shared = without(object, name);
    let records = elements.into_iter().map(|(text, members)| Record {
        text,
        members,
        shared: shared.clone(),
    });
    Some(records.collect())
}

fn without<'a>(object: &Members<'a>, name: &str) -> Members<'a> {
    let mut rest = object.clone();
    let place = rest.place_of(name);
    rest.remove(|at| Some(at) == place);
    rest
}

/// Returns the records of an export of [OpenTelemetry](https://opentelemetry.io/docs/specs/otlp/) as JSON.
fn open_telemetry(text: &str) -> Option<Vec<Record<'_>>> {
    let mut records = Vec::new();
    for (resource_text, resource) in json::array_of_objects(json::member(text, "resourceLogs")?)? {
        let Some(scopes) = json::member(resource_text, "scopeLogs") else {
            continue;
        };
        for (scope_text, scope) in json::array_of_objects(scopes)? {
            let Some(logs) = json::member(scope_text, "logRecords") else {
                continue;
            };
            for (text, record) in json::array_of_objects(logs)? {
                let mut shared = Members::default();
                for (name, of) in [("resource", &resource), ("scope", &scope)] {
                    if let Some(value) = of.get(name) {
                        shared.insert(name, value.clone());
                    }
                }
                records.push(Record {
                    text,
                    members: telemetry_record(record, &resource),
                    shared,
                });
            }
        }
    }
    Some(records)
}

/// Makes the attributes of a record, and of its resource, members like any others.
fn telemetry_record<'a>(record: Members<'a>, resource: &Members<'a>) -> Members<'a> {
    let mut members = Members::default();
    let mut attributes = None;
    for (name, value) in record {
        match (&*name, value) {
            ("attributes", list) => attributes = Some(list),
            ("body", value) => members.insert("body", attribute_value(value)),
            (_, value) => members.insert(name, value),
        }
    }
    let of_resource = resource
        .get("resource")
        .and_then(|resource| resource.at(&["attributes"]));
    for list in attributes.as_ref().into_iter().chain(of_resource) {
        let Json::Array(pairs) = list else { continue };
        for pair in pairs {
            if let (Some(Json::String(key)), Some(value)) = (pair.at(&["key"]), pair.at(&["value"])) {
                members.insert_if_missing(key.clone(), attribute_value(value.clone()));
            }
        }
    }
    members
}

/// Takes a value out of its type: `{"stringValue": "x"}` is `"x"`.
fn attribute_value(value: Json<'_>) -> Json<'_> {
    const TYPES: [&str; 5] = [
        "stringValue",
        "intValue",
        "doubleValue",
        "boolValue",
        "bytesValue",
    ];
    let Json::Object(members) = &value else {
        return value;
    };
    let named = TYPES.iter().find_map(|name| members.get(name));
    named.cloned().unwrap_or(value)
}

/// Lists the members that hold a whole record of another program, each with a member that tells the wrapper.
const WRAPPED: [(&str, &str); 5] = [
    // Elasticsearch, as its search and elasticdump write it.
    ("_source", "_index"),
    // Splunk's export.
    ("result", "preview"),
    // Splunk's HTTP event collector.
    ("event", "sourcetype"),
    ("event", "sourceType"),
    // Beats, which read a line as JSON.
    ("json", "@timestamp"),
];

/// Limits the wrappers around a record.
const MOST_WRAPPERS: usize = 3;

/// Takes an object out of its wrappers. Returns the inmost one first.
pub(crate) fn unwrap(object: Members<'_>) -> Vec<Members<'_>> {
    let mut opened = vec![object];
    while opened.len() <= MOST_WRAPPERS {
        let Some(last) = opened.last_mut() else { break };
        let Some(inner) = wrapped(last) else { break };
        opened.push(inner);
    }
    opened.reverse();
    opened
}

/// Takes the record out of a wrapper.
fn wrapped<'a>(object: &mut Members<'a>) -> Option<Members<'a>> {
    let (name, _) = WRAPPED.iter().find(|(name, mark)| {
        matches!(object.get(name), Some(Json::Object(_))) && object.get(mark).is_some()
    })?;
    let place = object.place_of(name)?;
    let inner = object.take_value_at(place)?;
    object.remove(|at| at == place);
    match inner {
        Json::Object(inner) => Some(inner),
        _ => None,
    }
}

/// Lists members that hold a line of another program, best first.
const LINES: [&str; 6] = ["log", "message", "MESSAGE", "msg", "_raw", "event"];

/// Holds the text of a line that is an object, and where it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ObjectInLine {
    /// Names the object among those that [`unwrap`] returns.
    pub(crate) level: usize,
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// Returns the text of a line that is an object, in an object that was taken out of its wrappers or in one of these.
pub(crate) fn object_in_line(levels: &[Members<'_>]) -> Option<ObjectInLine> {
    let mut levels = levels.iter().enumerate();
    levels.find_map(|(level, object)| {
        LINES.iter().find_map(|name| {
            let text = object.get(name)?.as_str()?.trim();
            let may_be_object = text.starts_with('{') && text.ends_with('}') || text.starts_with("{\"");
            may_be_object.then(|| ObjectInLine {
                level,
                name,
                text: text.to_owned(),
            })
        })
    })
}

/// Holds a line of a container, as a container runtime writes it to files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ContainerLine<'a> {
    pub(crate) time: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) line: &'a str,
}

/// Reads `2024-05-01T10:00:00.123456789Z stdout F line`, the format of the Kubernetes Container Runtime Interface.
pub(crate) fn container_line(text: &str) -> Option<ContainerLine<'_>> {
    let (time, rest) = text.split_once(' ')?;
    let (stream, rest) = rest.split_once(' ')?;
    let (tag, line) = rest.split_once(' ')?;
    let is_known = matches!(stream, "stdout" | "stderr") && matches!(tag, "F" | "P");
    (is_known && time.contains('T')).then_some(ContainerLine { time, stream, line })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(text: &str) -> Vec<(String, String)> {
        let object = serde_json::from_str(text).unwrap();
        let records = delivery((text, object)).unwrap().records;
        let texts = |record: &Record<'_>| {
            (
                record.text.to_owned(),
                record.shared.to_text().unwrap_or_default(),
            )
        };
        records.iter().map(texts).collect()
    }

    #[test]
    fn each_record_of_a_delivery_has_its_own_text() {
        let found = opened(r#"{"owner": "1", "logEvents": [{"id" : 1}, {"id":2}], "x": "]"}"#);
        let shared = r#"{"owner":"1","x":"]"}"#;
        assert_eq!(
            found,
            [
                (r#"{"id" : 1}"#.into(), shared.into()),
                (r#"{"id":2}"#.into(), shared.to_owned())
            ]
        );
        let none = r#"{"records": [1], "resourceLogs": []}"#;
        assert!(delivery((none, serde_json::from_str(none).unwrap())).is_err());
    }

    #[test]
    fn wrappers_are_opened_from_the_outside() {
        let text = r#"{"_index": "a", "_source": {"@timestamp": "b", "json": {"user": "c"}}}"#;
        let opened = unwrap(serde_json::from_str(text).unwrap());
        let texts: Vec<_> = opened.iter().filter_map(Members::to_text).collect();
        assert_eq!(
            texts,
            [r#"{"user":"c"}"#, r#"{"@timestamp":"b"}"#, r#"{"_index":"a"}"#]
        );
    }

    #[test]
    fn a_line_is_found_in_a_wrapped_object() {
        let text = r#"{"preview": false, "result": {"_raw": "{\"user\": \"a\"}", "host": "b"}}"#;
        let opened = unwrap(serde_json::from_str(text).unwrap());
        let line = object_in_line(&opened).unwrap();
        assert_eq!(
            (line.level, line.name, &*line.text),
            (0, "_raw", r#"{"user": "a"}"#)
        );
        assert_eq!(object_in_line(&opened[1..]), None);
    }

    #[test]
    fn a_line_of_a_container_has_a_stream() {
        let found = container_line("2024-05-01T10:00:00.1Z stderr F a b").unwrap();
        assert_eq!(
            (found.time, found.stream, found.line),
            ("2024-05-01T10:00:00.1Z", "stderr", "a b")
        );
        assert_eq!(container_line("2024-05-01T10:00:00.1Z host F a b"), None);
    }
}
