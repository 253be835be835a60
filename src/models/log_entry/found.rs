//! The summary of a log's fields: what an analyst asks of every log, under the names that sources give it.

use std::borrow::Cow;

use ipnet::IpNet;

use super::names::{self, Meaning, Place, Ranked, Role, Slot};
use super::reserved::{FIELDS, KNOWN_SOURCE};
use super::values::{self, Value};
use crate::models::address::{self, PRIVATE_NETWORKS};
use crate::models::{Json, Members};

/// Lists Windows events about the account that is logged on, not the one that logs it on.
const LOGON_EVENTS: [u64; 12] = [
    4624, 4625, 4634, 4647, 4768, 4769, 4770, 4771, 4776, 4777, 4778, 4779,
];

/// Limits the depth at which known names are looked for.
const MAX_DEPTH: u8 = 6;

/// Orders the members that may fill a field: the lower, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Says that the value is one to take only if there is no other.
    is_poor: bool,
    /// Names the object: 0 for the fields of the log, 1 for its own `metadata`, 2 for what an ingest knows of it.
    origin: u8,
    /// Counts how far the member's object is from the object of the log.
    distance: u16,
    name: u16,
}

impl Rank {
    /// Ranks a value that nothing else replaces.
    const SET: Self = Self {
        is_poor: false,
        origin: 0,
        distance: 0,
        name: 0,
    };
}

/// Holds the best value for each role that was found so far.
#[derive(Debug, Default, Clone)]
pub(super) struct Found<'a> {
    best: [Option<(Rank, Value<'a>)>; Role::COUNT],
    /// Says whether the source address depends on which addresses are taken for proxies.
    is_forwarded: bool,
}

/// Holds a member that may fill a column of the log.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) slot: Slot,
    pub(super) rank: Rank,
    /// Says whether it is a member of the log's own object, under the column's own name.
    pub(super) is_own: bool,
    pub(super) value: CandidateValue<'a>,
}

#[derive(Debug)]
pub(super) enum CandidateValue<'a> {
    /// Names the place of a member of the log's own object.
    Member(usize),
    /// Holds the value of a member of another object.
    Nested(Json<'a>),
}

impl<'a> Found<'a> {
    pub(super) fn in_objects(objects: [&Members<'a>; 2]) -> Self {
        Self::behind(&PRIVATE_NETWORKS, objects)
    }

    /// Looks through objects where the hosts of these networks are proxies.
    pub(super) fn behind(proxies: &[IpNet], objects: [&Members<'a>; 2]) -> Self {
        let mut search = Search::new(proxies);
        let [normalized, metadata] = objects;
        search.look_through(0, normalized);
        // The `metadata` of a line is the line's own, and not this crate's.
        if let Some(Json::Object(own)) = normalized.get("metadata") {
            search.look_through(1, own);
        }
        search.look_through(2, metadata);
        let mut found = search.found;
        found.follow_proxies(proxies);
        if let Some(Json::Object(set)) = metadata.get(FIELDS) {
            found.take_over(set);
        }
        found
    }

    /// Looks through the object of a log, and collects the members that may fill its columns too. `None` for the
    /// summary if other objects count as well.
    pub(super) fn with_candidates(object: &Members<'a>) -> (Option<Box<Self>>, Vec<Candidate<'a>>) {
        /// Most logs have no more.
        const USUAL: usize = 12;
        let mut search = Search::new(&PRIVATE_NETWORKS);
        search.candidates = Some(Vec::with_capacity(USUAL));
        search.look_through(0, object);
        let is_alone = ["metadata", "normalized"]
            .iter()
            .all(|name| object.place_of(name).is_none());
        let mut found = search.found;
        found.follow_proxies(&PRIVATE_NETWORKS);
        let found = is_alone.then(|| Box::new(found));
        (found, search.candidates.unwrap_or_default())
    }

    fn value(&self, role: Role) -> Option<&Value<'a>> {
        self.best[role as usize].as_ref().map(|(_, value)| value)
    }

    pub(super) fn get(&self, role: Role) -> Option<&str> {
        match self.value(role)? {
            Value::Text(text) => Some(text),
            Value::Port(_) => None,
        }
    }

    pub(super) fn port(&self, role: Role) -> Option<u16> {
        match self.value(role)? {
            Value::Port(port) => Some(*port),
            Value::Text(_) => None,
        }
    }

    /// Returns the value of a role in objects that lend all of their texts.
    pub(super) fn borrowed(&self, role: Role) -> Option<&'a str> {
        match self.value(role)? {
            Value::Text(Cow::Borrowed(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns the address in canonical form, which may be another one than that of the log.
    pub(super) fn into_address(mut self, role: Role) -> Option<Cow<'a, str>> {
        match self.best[role as usize].take()? {
            (_, Value::Text(address)) => Some(address),
            (_, Value::Port(_)) => None,
        }
    }

    pub(super) fn is_forwarded(&self) -> bool {
        self.is_forwarded
    }

    /// Sets a field, whatever the names give.
    pub(super) fn set(&mut self, role: Role, value: Option<Value<'a>>) {
        self.best[role as usize] = value.map(|value| (Rank::SET, value));
    }

    /// Says whether a field has this value.
    pub(super) fn has(&self, role: Role, value: Option<&Value<'a>>) -> bool {
        self.value(role) == value
    }

    /// Sets the fields that the reader of the log set.
    fn take_over(&mut self, set: &Members<'a>) {
        for (role, column) in Role::columns() {
            match set.get(column) {
                None => {}
                Some(Json::Null) => self.set(role, None),
                Some(value) => {
                    if let Some(value) = values::set_by_reader(role, value) {
                        self.set(role, Some(value));
                    }
                }
            }
        }
    }

    /// Goes on from a source that is a proxy, or is not known, to the client that the proxies name.
    fn follow_proxies(&mut self, proxies: &[IpNet]) {
        let Some((rank, Value::Text(list))) = self.best[Role::Forwarded as usize].take() else {
            return;
        };
        let source = &mut self.best[Role::SourceIp as usize];
        if source.as_ref().is_some_and(|(rank, _)| *rank == Rank::SET) {
            return;
        }
        self.is_forwarded = true;
        let is_proxy = |source: &Value<'_>| match source {
            Value::Text(address) => address::is_in(proxies, address),
            Value::Port(_) => false,
        };
        if source.as_ref().is_none_or(|(_, address)| is_proxy(address))
            && let Some(client) = values::client_of(list, proxies)
        {
            *source = Some((rank, Value::Text(client)));
        }
    }
}

/// Looks through the members of a log.
struct Search<'a, 'p> {
    found: Found<'a>,
    proxies: &'p [IpNet],
    candidates: Option<Vec<Candidate<'a>>>,
    origin: u8,
    /// Says that the log is about the account that is logged on.
    is_logon: bool,
}

/// Says where a member is.
#[derive(Debug, Clone, Copy)]
struct Whereabouts {
    /// Names the place in the index that the keys around the member led to.
    index: Place,
    distance: u16,
    depth: u8,
    /// Holds the place in the object of the log.
    member: Option<usize>,
}

impl<'a, 'p> Search<'a, 'p> {
    fn new(proxies: &'p [IpNet]) -> Self {
        Self {
            found: Found::default(),
            proxies,
            candidates: None,
            origin: 0,
            is_logon: false,
        }
    }

    /// Looks through an object whose members are the log's own.
    fn look_through(&mut self, origin: u8, members: &Members<'a>) {
        self.origin = origin;
        self.is_logon = is_logon(members);
        for (member, (key, value)) in members.iter().enumerate() {
            // The fields that a reader set are taken over at the end; those of a line are none.
            if origin > 0 && key == FIELDS {
                continue;
            }
            let at = Whereabouts {
                index: Place::ROOT,
                distance: 0,
                depth: 0,
                member: Some(member),
            };
            self.visit(key, value, at);
        }
    }

    fn visit(&mut self, key: &str, value: &Json<'a>, at: Whereabouts) {
        let Some((index, known)) = names::find(at.index, key) else {
            return;
        };
        if let Some(ranked) = known.meaning_of(key) {
            self.meet(key, value, ranked, at);
        }
        if at.depth == MAX_DEPTH || !known.is_begun && known.distance == 0 {
            return;
        }
        let within = Whereabouts {
            depth: at.depth + 1,
            member: None,
            ..at
        };
        if known.is_begun {
            self.visit_members(value, Whereabouts { index, ..within });
        }
        if known.distance > 0 {
            let distance = at.distance.saturating_add(known.distance);
            let opened = Whereabouts {
                index: Place::ROOT,
                distance,
                ..within
            };
            self.visit_members(value, opened);
        }
    }

    /// Visits the members of an object, of the first object in a list, or of a list of pairs.
    fn visit_members(&mut self, value: &Json<'a>, at: Whereabouts) {
        match value {
            Json::Object(members) => {
                for (key, value) in members.iter() {
                    self.visit(key, value, at);
                }
            }
            Json::Array(elements) => {
                for (key, value) in elements.iter().filter_map(values::pair) {
                    self.visit(key, value, at);
                }
                if let Some(Json::Object(members)) = elements.first() {
                    for (key, value) in members.iter() {
                        self.visit(key, value, at);
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes note of a member whose name has a meaning.
    fn meet(&mut self, key: &str, value: &Json<'a>, ranked: Ranked, at: Whereabouts) {
        let mut rank = Rank {
            is_poor: false,
            origin: self.origin,
            distance: at.distance,
            name: ranked.rank.saturating_add(1),
        };
        match ranked.meaning {
            Meaning::Slot(slot) => self.collect(key, slot, rank, value, at),
            Meaning::Role(role) => {
                let is_set = self.origin == 2 && at.member.is_some() && key == KNOWN_SOURCE;
                let is_logged_on = self.is_logon && key == "TargetUserName";
                if let Some((value, is_poor)) = self.value_for(role, value) {
                    rank.is_poor = is_poor;
                    self.offer(role, if is_set || is_logged_on { Rank::SET } else { rank }, value);
                }
            }
        }
    }

    fn collect(&mut self, key: &str, slot: Slot, rank: Rank, value: &Json<'a>, at: Whereabouts) {
        let Some(candidates) = &mut self.candidates else {
            return;
        };
        let value = match (at.member, value) {
            (Some(member), _) => CandidateValue::Member(member),
            (None, Json::String(_) | Json::Number(_)) => CandidateValue::Nested(value.clone()),
            (None, Json::Object(_)) if slot == Slot::Time => CandidateValue::Nested(value.clone()),
            _ => return,
        };
        candidates.push(Candidate {
            slot,
            rank,
            is_own: at.member.is_some() && slot.is_own(key),
            value,
        });
    }

    /// Reads a value for a role, and says whether it is one to take only if there is no other.
    fn value_for(&mut self, role: Role, value: &Json<'a>) -> Option<(Value<'a>, bool)> {
        if role == Role::SourceIp
            && let Some(list) = values::text_of(value).filter(|text| text.contains(','))
        {
            let client = values::client_of(list, self.proxies)?;
            self.found.is_forwarded = true;
            return Some((Value::Text(client), false));
        }
        let value = values::value_for(role, value)?;
        let is_poor = role == Role::User && value.is_id();
        Some((value, is_poor))
    }

    fn offer(&mut self, role: Role, rank: Rank, value: Value<'a>) {
        let best = &mut self.found.best[role as usize];
        if best.as_ref().is_none_or(|(held, _)| rank < *held) {
            *best = Some((rank, value));
        }
    }
}

fn is_logon(members: &Members<'_>) -> bool {
    let id = members
        .get("EventID")
        .and_then(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok()));
    id.is_some_and(|id| LOGON_EVENTS.contains(&id))
}
