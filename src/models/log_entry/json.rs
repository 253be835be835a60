//! [`LogEntry`] from and to JSON. Any object is a log; no key of it is lost.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::super::time::{TimeContext, parse_time, to_micros};
use super::names::{self, Found, Slot};
use super::{LogEntry, RAW_BYTES, Summary, raw_of};
use crate::models::{Json, JsonObject, Members};

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
        Draft::from_json(Members::from(&object), context).0.into_log()
    }
}

/// A log whose fields may still change.
pub(crate) struct Draft<'a> {
    /// The log without its fields.
    pub(crate) log: LogEntry,
    pub(crate) normalized: Members<'a>,
    pub(crate) metadata: Members<'a>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(log: LogEntry) -> Self {
        Self {
            log,
            normalized: Members::default(),
            metadata: Members::default(),
        }
    }

    pub(crate) fn into_log(self) -> LogEntry {
        LogEntry {
            normalized: JsonObject::from_members(self.normalized),
            metadata: JsonObject::from_members(self.metadata),
            ..self.log
        }
    }

    /// See [`LogEntry::with_raw`].
    pub(crate) fn set_raw(&mut self, line: &[u8]) {
        let (text, encoded) = raw_of(line);
        self.log.raw = Some(text);
        if let Some(encoded) = encoded {
            self.metadata.insert(RAW_BYTES, encoded);
        }
    }

    pub(crate) fn with_summary<T>(&self, take: impl FnOnce(Summary<'_>) -> T) -> T {
        let found = Found::in_objects([&self.normalized, &self.metadata]);
        take(Summary::of(|role| found.get(role)))
    }

    /// See [`LogEntry::from_json`]; also says whether the log has a time of its own.
    pub(crate) fn from_json(object: Members<'a>, context: &TimeContext) -> (Self, bool) {
        let mut log = LogEntry::new(context.reference);
        let mut rest = Rest::of(object);
        if let Some(id) = rest.take_text("id") {
            log.id = id;
        }
        if let Some(time) = rest.take_own_time("ingestion_time") {
            log.ingestion_time = time;
        }
        let has_time = rest.fill_time(&mut log, context);
        log.raw = rest.take_text("raw");
        log.message = rest.take_text_of(Slot::Message);
        log.appname = rest.take_text_of(Slot::Appname);
        log.file = rest.take_text_of(Slot::File);
        log.host = rest.take_text_of(Slot::Host).or_else(|| rest.nested_host());
        log.hostname = rest.take_text_of(Slot::Hostname);
        log.source_type = rest.take_text_of(Slot::SourceType);
        log.procid = rest.take_integer_of(Slot::Procid);
        let mut draft = Self {
            log,
            normalized: rest.take_object("normalized"),
            metadata: rest.take_object("metadata"),
        };
        for member in rest.members.into_iter().flatten() {
            draft.normalized.insert_beside(member.name, member.value);
        }
        (draft, has_time)
    }
}

struct Member<'a> {
    name: Cow<'a, str>,
    value: Json<'a>,
    /// The field that it may fill.
    slot: Option<(Slot, usize)>,
}

/// The members of an object that have not been taken.
struct Rest<'a> {
    members: Vec<Option<Member<'a>>>,
    /// For each field the text with the best name: its rank and its place.
    texts: [Option<(usize, usize)>; Slot::COUNT],
}

impl<'a> Rest<'a> {
    fn of(object: Members<'a>) -> Self {
        let mut texts = [None; Slot::COUNT];
        let members = object.into_iter().enumerate().map(|(place, (name, value))| {
            let slot = names::slot_of(&name);
            if let (Some((slot, rank)), Json::String(_)) = (slot, &value) {
                let best: &mut Option<(usize, usize)> = &mut texts[slot as usize];
                if best.is_none_or(|(held, _)| rank < held) {
                    *best = Some((rank, place));
                }
            }
            Some(Member { name, value, slot })
        });
        Self {
            members: members.collect(),
            texts,
        }
    }

    /// The members and their places.
    fn members(&self) -> impl Iterator<Item = (usize, &Member<'a>)> {
        let members = self.members.iter().enumerate();
        members.filter_map(|(place, member)| Some((place, member.as_ref()?)))
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        self.members()
            .find(|(_, member)| member.name == name)
            .map(|(place, _)| place)
    }

    fn value(&self, name: &str) -> Option<&Json<'a>> {
        self.members()
            .find(|(_, member)| member.name == name)
            .map(|(_, member)| &member.value)
    }

    /// What `read` makes of the first member that may fill a field, and its place. The names are tried from the best.
    fn first_of<T>(&self, slot: Slot, read: impl Fn(&Json<'a>) -> Option<T>) -> Option<(usize, T)> {
        let mut passed = None;
        loop {
            let named = self.members().filter_map(|(place, member)| {
                let (_, rank) = member.slot.filter(|(of, _)| *of == slot)?;
                (Some(rank) > passed).then_some((rank, place, &member.value))
            });
            let (rank, place, value) = named.min_by_key(|(rank, ..)| *rank)?;
            if let Some(found) = read(value) {
                return Some((place, found));
            }
            passed = Some(rank);
        }
    }

    fn take(&mut self, place: usize) -> Option<Json<'a>> {
        self.members.get_mut(place)?.take().map(|member| member.value)
    }

    fn take_text_at(&mut self, place: usize) -> Option<String> {
        match self.take(place)? {
            Json::String(text) => Some(text.into_owned()),
            _ => None,
        }
    }

    fn take_text(&mut self, name: &str) -> Option<String> {
        let place = self.place_of(name)?;
        self.value(name)?.as_str()?;
        self.take_text_at(place)
    }

    fn take_text_of(&mut self, slot: Slot) -> Option<String> {
        let (_, place) = self.texts[slot as usize]?;
        self.take_text_at(place)
    }

    fn take_integer_of(&mut self, slot: Slot) -> Option<i64> {
        let integer = |value: &Json<'a>| value.as_i64().or_else(|| canonical_integer(value.as_str()?));
        let (place, number) = self.first_of(slot, integer)?;
        self.take(place);
        Some(number)
    }

    /// An object; anything else under the name stays.
    fn take_object(&mut self, name: &str) -> Members<'a> {
        let place = self.place_of(name);
        let place = place.filter(|_| matches!(self.value(name), Some(Json::Object(_))));
        match place.and_then(|place| self.take(place)) {
            Some(Json::Object(members)) => members,
            _ => Members::default(),
        }
    }

    /// A time under a name that only this crate writes; anything else under it stays.
    fn take_own_time(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let time: DateTime<Utc> = self.value(name)?.as_str()?.parse().ok()?;
        self.take(self.place_of(name)?);
        Some(to_micros(time))
    }

    /// Sets event time and timestamp from the first name whose value is a time; says whether there was one.
    fn fill_time(&mut self, log: &mut LogEntry, context: &TimeContext) -> bool {
        let written = self.take_own_time("event_time");
        let named = self.first_of(Slot::Time, |value| time_of(value, context));
        let found = match named {
            Some((place, found)) => {
                self.take(place);
                Some(found)
            }
            None => self.nested_time(context),
        };
        let has_time = written.is_some() || found.is_some();
        if let Some((text, time)) = found {
            log.timestamp = Some(text);
            log.event_time = time;
        } else {
            log.timestamp = self.take_text("timestamp");
        }
        if let Some(time) = written {
            log.event_time = time;
        }
        has_time
    }

    fn nested_time(&self, context: &TimeContext) -> Option<(String, DateTime<Utc>)> {
        names::NESTED_TIME
            .iter()
            .find_map(|path| {
                let (first, rest) = path.split_first()?;
                time_of(self.value(first)?.at(rest)?, context)
            })
            .or_else(|| self.log4j_instant())
    }

    /// `{"instant": {"epochSecond": 1663977609, "nanoOfSecond": 484000000}}`, as Log4j's JSON layout writes.
    fn log4j_instant(&self) -> Option<(String, DateTime<Utc>)> {
        let instant = self.value("instant")?;
        let seconds = instant.at(&["epochSecond"])?.as_i64()?;
        let nanos = instant.at(&["nanoOfSecond"]).map_or(Some(0), Json::as_u64)?;
        let time = DateTime::from_timestamp(seconds, u32::try_from(nanos).ok()?)?;
        Some((format!("{seconds}.{nanos:09}"), to_micros(time)))
    }

    fn nested_host(&self) -> Option<String> {
        self.value("host")?.at(&["name"])?.as_str().map(str::to_owned)
    }
}

/// Smaller numbers are durations or counters far more often than times before 1973.
const SMALLEST_EPOCH: f64 = 1e8;

fn time_of(value: &Json<'_>, context: &TimeContext) -> Option<(String, DateTime<Utc>)> {
    let text = match value {
        Json::String(text) => Cow::Borrowed(&**text),
        Json::Number(number) if number.as_f64()? >= SMALLEST_EPOCH => Cow::Owned(number.to_string()),
        _ => return None,
    };
    let time = parse_time(&text, context)?;
    Some((text.into_owned(), time))
}

/// An integer written the one way that its value would be: `0042` is an identifier, not a number.
fn canonical_integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_canonical = text == "0" || digits.starts_with(|first: char| matches!(first, '1'..='9'));
    text.parse().ok().filter(|_| is_canonical)
}

impl<'de> Deserialize<'de> for LogEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Members::deserialize(deserializer)?;
        Ok(Draft::from_json(object, &TimeContext::default()).0.into_log())
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
