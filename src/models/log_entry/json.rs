//! [`LogEntry`] from and to JSON. Any object is a log; no key of it is lost.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::super::time::{TimeContext, is_time_of_day, parse_dated, parse_parts, to_micros, zone_of};
use super::found::{Candidate, CandidateValue, Found};
use super::names::Slot;
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
        let (found, candidates) = Found::with_candidates(&object);
        let mut rest = Rest::of(object, candidates);
        if origin == Origin::Store {
            rest.fill_own(&mut log);
        }
        let has_time = rest.fill_time(&mut log, context);
        log.message = rest.take_text_of(Slot::Message);
        log.appname = rest.take_text_of(Slot::Appname);
        if origin == Origin::Store || !rest.is_of_request() {
            log.host = rest.take_text_of(Slot::Host).or_else(|| rest.nested_host());
        }
        log.hostname = rest.take_text_of(Slot::Hostname);
        log.source_type = rest.take_text_of(Slot::SourceType);
        log.procid = rest.take_integer_of(Slot::Procid);
        let normalized = rest.take_object("normalized");
        log.normalized = rest.beside(normalized);
        log.found = found;
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

/// Limits the length of a text that is copied from a member into a column.
const LONGEST_COPY: usize = 1 << 16;

/// Holds the members of an object, and the places of those that have been taken.
struct Rest<'a> {
    members: Members<'a>,
    taken: Vec<usize>,
    /// Holds the members that may fill a column, the best first.
    candidates: Vec<Candidate<'a>>,
}

impl<'a> Rest<'a> {
    fn of(members: Members<'a>, mut candidates: Vec<Candidate<'a>>) -> Self {
        candidates.sort_by_key(|candidate| (candidate.rank, !candidate.is_own));
        Self {
            members,
            taken: Vec::with_capacity(Slot::COUNT + OWN_NAMES),
            candidates,
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

    /// Returns what `read` makes of the best member that may fill a field, and the place of that member if its name is
    /// the column's own.
    fn first_of<T>(&self, slot: Slot, read: impl Fn(&Json<'a>) -> Option<T>) -> Option<(Option<usize>, T)> {
        self.candidates
            .iter()
            .filter(|candidate| candidate.slot == slot)
            .find_map(|candidate| match &candidate.value {
                CandidateValue::Nested(value) => Some((None, read(value)?)),
                CandidateValue::Member(place) if self.taken.contains(place) => None,
                CandidateValue::Member(place) => {
                    let value = self.members.value_at(*place)?;
                    let is_alone = !matches!(value, Json::Object(_) | Json::Array(_));
                    let is_taken = candidate.is_own && is_alone;
                    Some((is_taken.then_some(*place), read(first_value(value))?))
                }
            })
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

    /// Takes the text of a member with the column's own name, or copies that of another member.
    ///
    /// A text of over 64 KiB is not copied, as a store would hold it twice. It stays a member.
    fn take_text_of(&mut self, slot: Slot) -> Option<Cow<'a, str>> {
        let text = |value: &Json<'a>| match value {
            Json::String(text) => Some(text.clone()),
            _ => None,
        };
        let (own, text) = self.first_of(slot, text)?;
        match own {
            Some(place) => self.take_text_at(place),
            None => (!text.is_empty() && text.len() <= LONGEST_COPY).then_some(text),
        }
    }

    fn take_integer_of(&mut self, slot: Slot) -> Option<i64> {
        let integer = |value: &Json<'a>| value.as_i64().or_else(|| canonical_integer(value.as_str()?));
        let (own, number) = self.first_of(slot, integer)?;
        own.map(|place| self.take(place));
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
        let context = &self.in_zone_beside(context);
        let named = self.first_of(Slot::Time, |value| {
            let time = time_of(value, context)?;
            Some((time_text(value)?, time))
        });
        let found = match self.date_and_time(context) {
            Some(found) => Some(found),
            None => named.map(|(own, found)| {
                own.map(|place| self.take(place));
                found
            }),
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

    /// Reads times of this object in the zone that is written beside them.
    fn in_zone_beside(&self, context: &TimeContext) -> TimeContext {
        const NAMES: [&str; 6] = ["tz", "timezone", "time_zone", "timeZone", "TimeZone", "tz_offset"];
        let zone = NAMES.iter().find_map(|name| zone_of(self.value(name)?.as_str()?));
        zone.map_or(*context, |zone| context.with_zone(zone))
    }

    /// Puts the date and the time of day of two members together.
    fn date_and_time(&self, context: &TimeContext) -> Option<(Cow<'a, str>, DateTime<Utc>)> {
        const NAMES: [(&str, &str); 7] = [
            ("date", "time"),
            ("date", "start_time"),
            ("Date", "Time"),
            ("DATE", "TIME"),
            ("event_date", "event_time"),
            ("log_date", "log_time"),
            ("local_date", "local_time"),
        ];
        NAMES.iter().find_map(|(date, time)| {
            let (date, time) = (self.value(date)?.as_str()?, self.value(time)?.as_str()?);
            is_time_of_day(time).then_some(())?;
            let found = parse_parts(Some(date), Some(time), None, context)?;
            Some((format!("{date} {time}").into(), found))
        })
    }

    /// Says whether the object is about a request, so that its `host` is the header of that name.
    fn is_of_request(&self) -> bool {
        const CLIENT: [&str; 6] = [
            "remote_addr",
            "remote_ip",
            "client_ip",
            "clientip",
            "client_address",
            "client_addr",
        ];
        const REQUEST: [&str; 5] = [
            "request",
            "request_uri",
            "request_method",
            "uri",
            "http_user_agent",
        ];
        let has_any = |names: &[&str]| names.iter().any(|name| self.place_of(name).is_some());
        has_any(&CLIENT) && has_any(&REQUEST)
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

/// Returns the first value of a list, which is the one that counts of several members of one name.
fn first_value<'j, 'a>(value: &'j Json<'a>) -> &'j Json<'a> {
    match value {
        Json::Array(values) => values.first().unwrap_or(value),
        value => value,
    }
}

/// Smaller numbers are durations or counters far more often than times before 1973.
const SMALLEST_EPOCH: f64 = 1e8;

fn time_of(value: &Json<'_>, context: &TimeContext) -> Option<DateTime<Utc>> {
    match value {
        // A time of day has no date here, and today's would be a guess.
        Json::String(text) => parse_dated(text, context),
        Json::Number(number) if number.as_f64()? >= SMALLEST_EPOCH => {
            parse_dated(&number.to_string(), context)
        }
        Json::Object(_) => {
            let (seconds, nanos) = seconds_and_nanos(value)?;
            DateTime::from_timestamp(seconds, nanos).map(to_micros)
        }
        _ => None,
    }
}

/// Reads `{"seconds": 1663977609, "nanos": 484000000}`, as protobuf in JSON has it, and the instant of Log4j.
fn seconds_and_nanos(value: &Json<'_>) -> Option<(i64, u32)> {
    let integer = |value: &Json<'_>| value.as_i64().or_else(|| canonical_integer(value.as_str()?));
    let [seconds, nanos] = [["seconds", "epochSecond"], ["nanos", "nanoOfSecond"]]
        .map(|names| names.iter().find_map(|name| value.at(&[name])));
    let nanos = nanos.map_or(Some(0), integer)?;
    Some((integer(seconds?)?, u32::try_from(nanos).ok()?))
}

/// Returns a time as its source wrote it.
fn time_text<'a>(value: &Json<'a>) -> Option<Cow<'a, str>> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string().into()),
        Json::Object(_) => {
            let (seconds, nanos) = seconds_and_nanos(value)?;
            Some(format!("{seconds}.{nanos:09}").into())
        }
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
