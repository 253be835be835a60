//! [`LogEntry`] from and to JSON. Any object is a log; no key of it is lost.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::super::time::{TimeContext, parse_time, to_micros};
use super::aliases::{self, Slot};
use super::{BorrowedLog, Ids, LogEntry, id};
use crate::models::{Json, Members};

impl LogEntry {
    /// Reads a log from any JSON object. Well-known keys and their usual aliases fill the fields. All other keys stay
    /// in [`normalized`](Self::normalized). A log without a time of its own gets `context`'s reference time.
    ///
    /// ```
    /// use logstore::LogEntry;
    /// use logstore::time::TimeContext;
    /// use serde_json::json;
    ///
    /// let object = json!({"ts": 1_521_911_720.865716, "id.orig_h": "10.47.1.100", "uid": "CqKst5"});
    /// let log = LogEntry::from_json(object.as_object().unwrap().clone(), &TimeContext::default());
    /// assert_eq!(log.event_time.to_rfc3339(), "2018-03-24T17:15:20.865716+00:00");
    /// assert_eq!(log.source_ip().as_deref(), Some("10.47.1.100"));
    /// assert_eq!(log.normalized["uid"], "CqKst5");
    /// ```
    pub fn from_json(object: Map<String, Value>, context: &TimeContext) -> Self {
        let members = Members::from(&object);
        id::with_own(|ids| {
            BorrowedLog::from_json(members, Origin::Store, context, ids)
                .0
                .into_entry()
        })
    }
}

impl<'a> BorrowedLog<'a> {
    /// Reads a log as [`LogEntry::from_json`] does, and says whether it has a time of its own.
    pub(crate) fn from_json(
        object: Members<'a>,
        origin: Origin,
        context: &TimeContext,
        ids: &mut Ids,
    ) -> (Self, bool) {
        let mut log = Self::new(context.reference, ids);
        let mut rest = Rest::of(object);
        if origin == Origin::Store {
            rest.fill_own(&mut log);
        }
        let has_time = rest.fill_time(&mut log, context);
        log.message = rest.take_text_of(Slot::Message);
        log.appname = rest.take_text_of(Slot::Appname);
        log.host = rest.take_text_of(Slot::Host).or_else(|| rest.nested_host());
        log.hostname = rest.take_text_of(Slot::Hostname);
        log.source_type = rest.take_text_of(Slot::SourceType);
        log.procid = rest.take_integer_of(Slot::Procid);
        let normalized = rest.take_object("normalized");
        log.normalized = rest.beside(normalized);
        (log, has_time)
    }
}

/// Names the writer of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Means this crate or its caller, who may say everything of a log.
    Store,
    /// Means any other program, which describes an event and the kind of log. Only a collector may say where a log was
    /// read from. Such members of the program stay in `normalized`.
    Source,
}

/// Counts the members with names of this crate's own. They are `id`, `event_time`, `ingestion_time`, `raw`,
/// `normalized` and `metadata`.
const OWN_NAMES: usize = 6;

/// Holds the members of an object, and the places of those that have been taken.
struct Rest<'a> {
    members: Members<'a>,
    taken: Vec<usize>,
    /// Holds the rank and the place of the best-named member for each field; `texts` holds those of the best-named
    /// text.
    values: [Option<(usize, usize)>; Slot::COUNT],
    texts: [Option<(usize, usize)>; Slot::COUNT],
}

impl<'a> Rest<'a> {
    fn of(members: Members<'a>) -> Self {
        let (mut values, mut texts) = ([None; Slot::COUNT], [None; Slot::COUNT]);
        let improve = |best: &mut Option<(usize, usize)>, rank, place| {
            if best.is_none_or(|(held, _)| rank < held) {
                *best = Some((rank, place));
            }
        };
        for (place, (name, value)) in members.iter().enumerate() {
            if let Some((slot, rank)) = aliases::slot_of(name) {
                improve(&mut values[slot as usize], rank, place);
                if let Json::String(_) = value {
                    improve(&mut texts[slot as usize], rank, place);
                }
            }
        }
        Self {
            members,
            taken: Vec::with_capacity(Slot::COUNT + OWN_NAMES),
            values,
            texts,
        }
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        self.members
            .place_of(name)
            .filter(|place| !self.taken.contains(place))
    }

    fn value(&self, name: &str) -> Option<&Json<'a>> {
        self.members.value_at(self.place_of(name)?)
    }

    /// Returns what `read` makes of the first member that may fill a field, and its place. The names are tried from the
    /// best.
    fn first_of<T>(&self, slot: Slot, read: impl Fn(&Json<'a>) -> Option<T>) -> Option<(usize, T)> {
        let mut candidate = self.values[slot as usize];
        while let Some((rank, place)) = candidate {
            let value = self
                .members
                .value_at(place)
                .filter(|_| !self.taken.contains(&place));
            if let Some(found) = value.and_then(&read) {
                return Some((place, found));
            }
            candidate = self.next_best(slot, rank);
        }
        None
    }

    /// Returns the member whose name is the best after one of this rank.
    fn next_best(&self, slot: Slot, rank: usize) -> Option<(usize, usize)> {
        let members = self.members.iter().enumerate();
        let named = members.filter_map(|(place, (name, _))| {
            let (of, other) = aliases::slot_of(name)?;
            (of == slot && other > rank).then_some((other, place))
        });
        named.min()
    }

    fn take(&mut self, place: usize) -> Option<Json<'a>> {
        self.taken.push(place);
        self.members.take_value_at(place)
    }

    fn take_text_at(&mut self, place: usize) -> Option<Cow<'a, str>> {
        match self.take(place)? {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    fn take_text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let place = self.place_of(name)?;
        self.members.value_at(place)?.as_str()?;
        self.take_text_at(place)
    }

    fn take_text_of(&mut self, slot: Slot) -> Option<Cow<'a, str>> {
        let (_, place) = self.texts[slot as usize]?;
        self.take_text_at(place)
    }

    fn take_integer_of(&mut self, slot: Slot) -> Option<i64> {
        let integer = |value: &Json<'a>| value.as_i64().or_else(|| canonical_integer(value.as_str()?));
        let (place, number) = self.first_of(slot, integer)?;
        self.take(place);
        Some(number)
    }

    /// Takes an object; anything else under the name stays.
    fn take_object(&mut self, name: &str) -> Option<Members<'a>> {
        let place = self.place_of(name)?;
        let is_object = matches!(self.members.value_at(place)?, Json::Object(_));
        match is_object.then(|| self.take(place))?? {
            Json::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Fills the fields that only a collector or this crate may set.
    fn fill_own(&mut self, log: &mut BorrowedLog<'a>) {
        if let Some(id) = self.take_text("id") {
            log.id = id;
        }
        if let Some(time) = self.take_own_time("ingestion_time") {
            log.ingestion_time = time;
        }
        log.raw = self.take_text("raw");
        log.file = self.take_text_of(Slot::File);
        log.metadata = self.take_object("metadata").unwrap_or_default();
    }

    /// Takes a time under a name that only this crate writes; anything else under it stays.
    fn take_own_time(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let time: DateTime<Utc> = self.value(name)?.as_str()?.parse().ok()?;
        self.take(self.place_of(name)?);
        Some(to_micros(time))
    }

    /// Sets event time and timestamp from the first name whose value is a time; says whether there was one.
    fn fill_time(&mut self, log: &mut BorrowedLog<'a>, context: &TimeContext) -> bool {
        let written = self.take_own_time("event_time");
        let named = self.first_of(Slot::Time, |value| time_of(value, context));
        let found = match named {
            Some((place, time)) => self.take(place).and_then(time_text).map(|text| (text, time)),
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

    fn nested_time(&self, context: &TimeContext) -> Option<(Cow<'a, str>, DateTime<Utc>)> {
        aliases::NESTED_TIME
            .iter()
            .find_map(|path| {
                let (first, rest) = path.split_first()?;
                let value = self.value(first)?.at(rest)?;
                let time = time_of(value, context)?;
                Some((time_text(value.clone())?, time))
            })
            .or_else(|| self.log4j_instant())
    }

    /// Reads `{"instant": {"epochSecond": 1663977609, "nanoOfSecond": 484000000}}`, as Log4j's JSON layout writes.
    fn log4j_instant(&self) -> Option<(Cow<'a, str>, DateTime<Utc>)> {
        let instant = self.value("instant")?;
        let seconds = instant.at(&["epochSecond"])?.as_i64()?;
        let nanos = instant.at(&["nanoOfSecond"]).map_or(Some(0), Json::as_u64)?;
        let time = DateTime::from_timestamp(seconds, u32::try_from(nanos).ok()?)?;
        Some((format!("{seconds}.{nanos:09}").into(), to_micros(time)))
    }

    fn nested_host(&self) -> Option<Cow<'a, str>> {
        match self.value("host")?.at(&["name"])? {
            Json::String(name) => Some(name.clone()),
            _ => None,
        }
    }

    /// Adds the members that have not been taken to those of another object.
    fn beside(mut self, other: Option<Members<'a>>) -> Members<'a> {
        self.members.remove(|place| self.taken.contains(&place));
        let Some(mut members) = other else {
            return self.members;
        };
        for (name, value) in self.members {
            members.insert_beside(name, value);
        }
        members
    }
}

/// Smaller numbers are durations or counters far more often than times before 1973.
const SMALLEST_EPOCH: f64 = 1e8;

fn time_of(value: &Json<'_>, context: &TimeContext) -> Option<DateTime<Utc>> {
    match value {
        Json::String(text) => parse_time(text, context),
        Json::Number(number) if number.as_f64()? >= SMALLEST_EPOCH => {
            parse_time(&number.to_string(), context)
        }
        _ => None,
    }
}

/// Returns a time as its source wrote it.
fn time_text(value: Json<'_>) -> Option<Cow<'_, str>> {
    match value {
        Json::String(text) => Some(text),
        Json::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
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
        let context = TimeContext::default();
        let (log, _) = id::with_own(|ids| BorrowedLog::from_json(object, Origin::Store, &context, ids));
        Ok(log.into_entry())
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
