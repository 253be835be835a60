//! [`LogEntry`] from and to JSON. Any object is a log; no key of it is lost.

use chrono::{DateTime, Utc};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::super::time::{TimeContext, parse_time, to_micros};
use super::{LogEntry, names};

impl LogEntry {
    /// Reads a log from any JSON object. Well-known keys and their usual aliases fill the fields, all
    /// other keys stay in [`normalized`](Self::normalized). Without a time of its own, the log gets
    /// `context`'s reference time.
    ///
    /// ```
    /// use logstore::{LogEntry, TimeContext};
    /// use serde_json::json;
    ///
    /// let object = json!({"ts": 1_521_911_720.865716, "id.orig_h": "10.47.1.100", "uid": "CqKst5"});
    /// let log = LogEntry::from_json(object.as_object().unwrap().clone(), &TimeContext::default());
    /// assert_eq!(log.event_time.to_rfc3339(), "2018-03-24T17:15:20.865716+00:00");
    /// assert_eq!(log.source_ip(), Some("10.47.1.100"));
    /// assert_eq!(log.normalized["uid"], "CqKst5");
    /// ```
    pub fn from_json(object: Map<String, Value>, context: &TimeContext) -> Self {
        Self::from_json_with_time(object, context).0
    }

    /// As [`from_json`](Self::from_json), and whether the log has a time of its own.
    pub(crate) fn from_json_with_time(object: Map<String, Value>, context: &TimeContext) -> (Self, bool) {
        let mut object = object;
        let mut log = Self::new(context.reference);
        if let Some(id) = take_string(&mut object, &["id"]) {
            log.id = id;
        }
        if let Some(time) = take_own_time(&mut object, "ingestion_time") {
            log.ingestion_time = time;
        }
        let has_time = log.fill_time(&mut object, context);
        log.raw = take_string(&mut object, &["raw"]);
        log.message = take_string(&mut object, names::MESSAGE);
        log.appname = take_string(&mut object, names::APPNAME);
        log.file = take_string(&mut object, names::FILE);
        log.host = take_string(&mut object, names::HOST).or_else(|| nested_host(&object));
        log.hostname = take_string(&mut object, names::HOSTNAME);
        log.source_type = take_string(&mut object, names::SOURCE_TYPE);
        log.procid = take_integer(&mut object, names::PROCID);
        log.normalized = take_object(&mut object, "normalized");
        log.metadata = take_object(&mut object, "metadata");
        for (key, value) in object {
            insert_beside(&mut log.normalized, key, value);
        }
        (log, has_time)
    }

    /// Sets event time and timestamp from the first name whose value is a time; says whether there was one.
    fn fill_time(&mut self, object: &mut Map<String, Value>, context: &TimeContext) -> bool {
        let written = take_own_time(object, "event_time");
        let named = names::TIME.iter().find_map(|name| {
            let (text, time) = time_of(object.get(*name)?, context)?;
            object.shift_remove(*name);
            Some((text, time))
        });
        let found = named.or_else(|| nested_time(object, context));
        let has_time = written.is_some() || found.is_some();
        if let Some((text, time)) = found {
            self.timestamp = Some(text);
            self.event_time = time;
        } else {
            self.timestamp = take_string(object, &["timestamp"]);
        }
        if let Some(time) = written {
            self.event_time = time;
        }
        has_time
    }
}

/// A time under a name that only this crate writes; anything else under it stays.
fn take_own_time(object: &mut Map<String, Value>, name: &str) -> Option<DateTime<Utc>> {
    let time: DateTime<Utc> = object.get(name)?.as_str()?.parse().ok()?;
    object.shift_remove(name);
    Some(to_micros(time))
}

/// Smaller numbers are durations or counters far more often than times before 1973.
const SMALLEST_EPOCH: f64 = 1e8;

fn time_of(value: &Value, context: &TimeContext) -> Option<(String, DateTime<Utc>)> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.as_f64()? >= SMALLEST_EPOCH => number.to_string(),
        _ => return None,
    };
    let time = parse_time(&text, context)?;
    Some((text, time))
}

fn nested_time(object: &Map<String, Value>, context: &TimeContext) -> Option<(String, DateTime<Utc>)> {
    names::NESTED_TIME
        .iter()
        .find_map(|pointer| time_of(pointer_in(object, pointer)?, context))
        .or_else(|| log4j_instant(object))
}

/// `{"instant": {"epochSecond": 1663977609, "nanoOfSecond": 484000000}}`, as Log4j's JSON layout writes.
fn log4j_instant(object: &Map<String, Value>) -> Option<(String, DateTime<Utc>)> {
    let instant = object.get("instant")?;
    let seconds = instant.get("epochSecond")?.as_i64()?;
    let nanos = instant.get("nanoOfSecond").map_or(Some(0), Value::as_u64)?;
    let time = DateTime::from_timestamp(seconds, u32::try_from(nanos).ok()?)?;
    Some((format!("{seconds}.{nanos:09}"), to_micros(time)))
}

fn pointer_in<'a>(object: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let (first, rest) = pointer.strip_prefix('/')?.split_once('/')?;
    object.get(first)?.pointer(&format!("/{rest}"))
}

fn nested_host(object: &Map<String, Value>) -> Option<String> {
    object.get("host")?.get("name")?.as_str().map(str::to_owned)
}

fn take_string(object: &mut Map<String, Value>, names: &[&str]) -> Option<String> {
    let name = names
        .iter()
        .find(|name| matches!(object.get(**name), Some(Value::String(_))))?;
    match object.shift_remove(*name)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn take_integer(object: &mut Map<String, Value>, names: &[&str]) -> Option<i64> {
    let (name, number) = names.iter().find_map(|name| {
        let value = object.get(*name)?;
        let number = value.as_i64().or_else(|| canonical_integer(value.as_str()?))?;
        Some((name, number))
    })?;
    object.shift_remove(*name);
    Some(number)
}

/// An integer written the one way that its value would be: `0042` is an identifier, not a number.
fn canonical_integer(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn take_object(object: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match object.shift_remove(name) {
        Some(Value::Object(inner)) => inner,
        Some(other) => {
            object.insert(name.to_owned(), other);
            Map::new()
        }
        None => Map::new(),
    }
}

/// Inserts under `key`, or where that is taken by another value, under `key_2`, `key_3`, ...
pub(crate) fn insert_beside(map: &mut Map<String, Value>, key: String, value: Value) {
    let mut free = key.clone();
    let mut number = 1;
    while map.get(&free).is_some_and(|held| *held != value) {
        number += 1;
        free = format!("{key}_{number}");
    }
    map.insert(free, value);
}

impl<'de> Deserialize<'de> for LogEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Map::deserialize(deserializer)?;
        Ok(Self::from_json(object, &TimeContext::default()))
    }
}

impl Serialize for LogEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("event_time", &self.event_time)?;
        let texts = [
            ("timestamp", &self.timestamp),
            ("host", &self.host),
            ("hostname", &self.hostname),
            ("appname", &self.appname),
        ];
        for (name, text) in texts {
            serialize_some(&mut map, name, text.as_ref())?;
        }
        serialize_some(&mut map, "procid", self.procid.as_ref())?;
        let texts = [
            ("message", &self.message),
            ("source_type", &self.source_type),
            ("file", &self.file),
            ("raw", &self.raw),
        ];
        for (name, text) in texts {
            serialize_some(&mut map, name, text.as_ref())?;
        }
        map.serialize_entry("normalized", &self.normalized)?;
        map.serialize_entry("metadata", &self.metadata)?;
        map.serialize_entry("ingestion_time", &self.ingestion_time)?;
        map.end()
    }
}

fn serialize_some<M: SerializeMap, T: Serialize>(
    map: &mut M,
    name: &str,
    value: Option<T>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, &value))
}
