//! The names that sources give to the same field.
//!
//! Sources: the Elastic Common Schema, OCSF, the `OpenTelemetry` semantic conventions, Windows event JSON as `NXLog`
//! and Winlogbeat write it, Zeek, Suricata EVE, AWS `CloudTrail`, the systemd journal, GELF, and the loggers of common
//! languages. A dot means a nested object, or is a part of the name.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use foldhash::fast::FixedState;

use ipnet::IpNet;

use crate::models::address::{self, PRIVATE_NETWORKS};
use crate::models::{Json, Members};

/// Lists names of the event's time, best first.
const TIME: &[&str] = &[
    "timestamp",
    "@timestamp",
    "event_time",
    "time",
    "ts",
    "_time",
    "eventTime",
    "datetime",
    "date",
    "time_dt",
    "timeUnixNano",
    "observedTimeUnixNano",
    "observed_timestamp",
    "TimeCreated",
    "EventTime",
    "UtcTime",
    "SystemTime",
    "_SOURCE_REALTIME_TIMESTAMP",
    "__REALTIME_TIMESTAMP",
    "EdgeStartTimestamp",
    "event.created",
    "asctime",
    "created_at",
    "started_at",
    "t",
];

/// Lists places of the event's time inside nested values, name by name.
pub(super) const NESTED_TIME: &[&[&str]] = &[
    &["t", "$date"],
    &["Event", "System", "TimeCreated", "@SystemTime"],
    &["Event", "System", "TimeCreated", "#attributes", "SystemTime"],
    &["winlog", "time_created"],
    &[
        "resourceLogs",
        "0",
        "scopeLogs",
        "0",
        "logRecords",
        "0",
        "timeUnixNano",
    ],
    &[
        "resourceLogs",
        "0",
        "scopeLogs",
        "0",
        "logRecords",
        "0",
        "observedTimeUnixNano",
    ],
];

const MESSAGE: &[&str] = &[
    "message",
    "msg",
    "Message",
    "MESSAGE",
    "short_message",
    "log",
    "text",
    "body",
];
const APPNAME: &[&str] = &[
    "appname",
    "app_name",
    "program",
    "app",
    "application",
    "ident",
    "SYSLOG_IDENTIFIER",
    "service",
    "service.name",
    "SourceName",
];
const PROCID: &[&str] = &["procid", "pid", "PID", "_PID", "process_id"];
const HOST: &[&str] = &["host", "source_host"];
const HOSTNAME: &[&str] = &[
    "hostname",
    "host_name",
    "hostName",
    "Hostname",
    "HostName",
    "_HOSTNAME",
    "Computer",
    "ComputerName",
];
const FILE: &[&str] = &["file", "log_file", "filename"];
const SOURCE_TYPE: &[&str] = &["source_type", "sourcetype", "_sourcetype", "log_type"];

/// Names what an analyst asks of every log, whatever its source calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    SourceIp,
    DestIp,
    User,
    Action,
    Outcome,
    Level,
    /// Names the proxies between the client and the program that logs.
    Forwarded,
}

const ROLES: [(Role, &[&str]); 7] = [
    (
        Role::SourceIp,
        &[
            "source_ip",
            "src_ip",
            "source.ip",
            "source.address",
            "src_endpoint.ip",
            "client.ip",
            "client.address",
            "network.peer.address",
            "id.orig_h",
            "sourceIPAddress",
            "SourceIp",
            "SourceAddress",
            "IpAddress",
            "ClientAddress",
            "src",
            "srcip",
            "src_addr",
            "source_address",
            "client_ip",
            "clientip",
            "clientIp",
            "ClientIP",
            "request.client_ip",
            "request.remote_ip",
            "remote_ip",
            "remote_addr",
            "remote_host",
            "rhost",
            "c-ip",
            "net.peer.ip",
            "tx_hosts",
        ],
    ),
    (
        Role::DestIp,
        &[
            "dest_ip",
            "dst_ip",
            "destination_ip",
            "destination.ip",
            "destination.address",
            "dst_endpoint.ip",
            "server.ip",
            "server.address",
            "network.local.address",
            "id.resp_h",
            "DestinationIp",
            "DestinationAddress",
            "DestAddress",
            "dst",
            "dest",
            "dstip",
            "dst_addr",
            "destination_address",
            "server_ip",
            "s-ip",
            "rx_hosts",
        ],
    ),
    (
        Role::User,
        &[
            "user",
            "user.name",
            "actor.user.name",
            "username",
            "user_name",
            "userName",
            "userIdentity.userName",
            "userIdentity.sessionContext.sessionIssuer.userName",
            "userIdentity.invokedBy",
            "userIdentity.arn",
            "userIdentity.principalId",
            "User",
            "SubjectUserName",
            "TargetUserName",
            "SourceUser",
            "AccountName",
            "src_user",
            "enduser.id",
            "user.id",
            "user.email",
            "actor.user.email_addr",
            "auid",
            "acct",
            "account",
            "login",
            "remote_user",
            "cs-username",
        ],
    ),
    (
        Role::Action,
        &[
            "action",
            "event.action",
            "event_action",
            "activity_name",
            "eventName",
            "event_name",
            "alert.action",
        ],
    ),
    (
        Role::Outcome,
        &["outcome", "event.outcome", "event_outcome", "status", "result"],
    ),
    (
        Role::Level,
        &[
            "level",
            "log.level",
            "loglevel",
            "log_level",
            "lvl",
            "severityText",
            "severity_text",
            "severity",
            "Level",
            "levelname",
        ],
    ),
    (
        Role::Forwarded,
        &[
            "x_forwarded_for",
            "x-forwarded-for",
            "X-Forwarded-For",
            "xForwardedFor",
            "http_x_forwarded_for",
            "forwarded_for",
            "xff",
            "request.headers.X-Forwarded-For",
            "request.headers.x-forwarded-for",
            "headers.X-Forwarded-For",
            "headers.x-forwarded-for",
            "x_real_ip",
            "x-real-ip",
            "X-Real-IP",
            "http_x_real_ip",
            "forwarded",
            "Forwarded",
        ],
    ),
];

/// Names the member of `metadata` that says the source address, whatever the log's own fields say.
pub(super) const KNOWN_SOURCE: &str = "source_ip";

/// Lists Windows events about the account that is logged on, not the one that logs it on.
const LOGON_EVENTS: [u64; 12] = [
    4624, 4625, 4634, 4647, 4768, 4769, 4770, 4771, 4776, 4777, 4778, 4779,
];

/// Limits the depth at which known names are looked for.
const MAX_DEPTH: usize = 4;

/// Maps names, which are looked up for each member of each log.
type Names<T> = HashMap<&'static str, T, FixedState>;

struct Index {
    roles: Names<(Role, usize)>,
    /// Holds every proper prefix of a dotted name: the objects worth looking into.
    containers: HashSet<&'static str, FixedState>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let named = || {
        ROLES.into_iter().flat_map(|(role, names)| {
            names
                .iter()
                .enumerate()
                .map(move |(rank, name)| (*name, (role, rank)))
        })
    };
    let prefixes = |name: &'static str| name.match_indices('.').map(move |(dot, _)| &name[..dot]);
    Index {
        roles: named().collect(),
        containers: named().flat_map(|(name, _)| prefixes(name)).collect(),
    }
});

/// Names a field of a log that goes by several names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Time,
    Message,
    Appname,
    Procid,
    Host,
    Hostname,
    File,
    SourceType,
}

impl Slot {
    pub(super) const COUNT: usize = SLOTS.len();
}

const SLOTS: [(Slot, &[&str]); 8] = [
    (Slot::Time, TIME),
    (Slot::Message, MESSAGE),
    (Slot::Appname, APPNAME),
    (Slot::Procid, PROCID),
    (Slot::Host, HOST),
    (Slot::Hostname, HOSTNAME),
    (Slot::File, FILE),
    (Slot::SourceType, SOURCE_TYPE),
];

static SLOT_OF: LazyLock<Names<(Slot, usize)>> = LazyLock::new(|| {
    let named = SLOTS.into_iter().flat_map(|(slot, names)| {
        let ranked = names.iter().enumerate();
        ranked.map(move |(rank, name)| (*name, (slot, rank)))
    });
    named.collect()
});

/// Returns the field that a member of this name may fill, and the rank of the name. The lower the rank, the better.
pub(super) fn slot_of(name: &str) -> Option<(Slot, usize)> {
    SLOT_OF.get(name).copied()
}

/// Returns every name under which a source may write what a column holds, with the column.
pub(crate) fn with_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    let slots = SLOTS
        .into_iter()
        .map(|(slot, names)| (column_of_slot(slot), names));
    let roles = ROLES
        .into_iter()
        .filter_map(|(role, names)| Some((column_of_role(role)?, names)));
    slots
        .chain(roles)
        .flat_map(|(column, names)| names.iter().map(move |name| (*name, column)))
}

fn column_of_slot(slot: Slot) -> &'static str {
    match slot {
        Slot::Time => "event_time",
        Slot::Message => "message",
        Slot::Appname => "appname",
        Slot::Procid => "procid",
        Slot::Host => "host",
        Slot::Hostname => "hostname",
        Slot::File => "file",
        Slot::SourceType => "source_type",
    }
}

fn column_of_role(role: Role) -> Option<&'static str> {
    match role {
        Role::SourceIp => Some("source_ip"),
        Role::DestIp => Some("dest_ip"),
        Role::User => Some("user"),
        Role::Action => Some("action"),
        Role::Outcome => Some("outcome"),
        Role::Level => Some("level"),
        Role::Forwarded => None,
    }
}

/// Holds the best value for each role that was found so far.
#[derive(Debug, Default, Clone)]
pub(super) struct Found<'a> {
    best: [Option<(usize, Cow<'a, str>)>; ROLES.len()],
    /// Says whether the source address depends on which addresses are taken for proxies.
    is_forwarded: bool,
}

impl<'a> Found<'a> {
    pub(super) fn in_objects(objects: [&Members<'a>; 2]) -> Self {
        Self::behind(&PRIVATE_NETWORKS, objects)
    }

    /// Looks through objects where the hosts of these networks are proxies.
    pub(super) fn behind(proxies: &[IpNet], objects: [&Members<'a>; 2]) -> Self {
        let mut search = Search {
            found: Self::default(),
            proxies,
        };
        let [normalized, metadata] = objects;
        // The `metadata` of a line is the line's own, and not this crate's.
        let said = match normalized.get("metadata") {
            Some(Json::Object(said)) => Some(said),
            _ => None,
        };
        let places = [(0, Some(normalized)), (1, said), (2, Some(metadata))];
        for (place, members) in places {
            let Some(members) = members else { continue };
            let target_user_first = is_logon(members);
            search.visit_object(members, "", MAX_DEPTH, &|name, rank| {
                let is_logged_on = target_user_first && name == "TargetUserName";
                match is_logged_on || place == 2 && name == KNOWN_SOURCE {
                    true => 0,
                    false => rank + 1 + place * 10_000,
                }
            });
        }
        search.found.follow_proxies(proxies);
        search.found
    }

    pub(super) fn get(&self, role: Role) -> Option<&str> {
        self.best[role as usize].as_ref().map(|(_, value)| &**value)
    }

    /// Returns the value of a role in objects that lend all of their texts.
    pub(super) fn borrowed(&self, role: Role) -> Option<&'a str> {
        match self.best[role as usize] {
            Some((_, Cow::Borrowed(value))) => Some(value),
            _ => None,
        }
    }

    /// Returns the address in canonical form, which may be another one than that of the log.
    pub(super) fn into_address(mut self, role: Role) -> Option<Cow<'a, str>> {
        self.best[role as usize].take().map(|(_, value)| value)
    }

    pub(super) fn is_forwarded(&self) -> bool {
        self.is_forwarded
    }

    /// Goes on from a source that is a proxy, or is not known, to the client that the proxies name.
    fn follow_proxies(&mut self, proxies: &[IpNet]) {
        let Some((rank, list)) = self.best[Role::Forwarded as usize].take() else {
            return;
        };
        let source = &mut self.best[Role::SourceIp as usize];
        if source.as_ref().is_some_and(|(rank, _)| *rank == 0) {
            return;
        }
        self.is_forwarded = true;
        let is_proxy = |address: &str| address::is_in(proxies, address);
        if source.as_ref().is_none_or(|(_, address)| is_proxy(address))
            && let Some(client) = client_of(list, proxies)
        {
            *source = Some((rank, client));
        }
    }
}

/// Returns the client of a list, borrowed where it can be.
fn client_of<'a>(list: Cow<'a, str>, proxies: &[IpNet]) -> Option<Cow<'a, str>> {
    match list {
        Cow::Borrowed(list) => address::client(list, proxies),
        Cow::Owned(list) => address::client(&list, proxies).map(|client| client.into_owned().into()),
    }
}

/// Returns the address of a text, borrowed where it can be.
fn address_of(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    match text {
        Cow::Borrowed(text) => address::canonical(text),
        Cow::Owned(text) => match address::canonical(&text)? {
            Cow::Owned(address) => Some(address.into()),
            Cow::Borrowed(address) if address.len() == text.len() => Some(text.into()),
            Cow::Borrowed(address) => Some(address.to_owned().into()),
        },
    }
}

/// Looks through the members of a log.
struct Search<'a, 'p> {
    found: Found<'a>,
    proxies: &'p [IpNet],
}

impl<'a> Search<'a, '_> {
    fn visit_object(
        &mut self,
        members: &Members<'a>,
        prefix: &str,
        depth: usize,
        rank: &dyn Fn(&str, usize) -> usize,
    ) {
        for (key, value) in members.iter() {
            if prefix.is_empty() {
                self.visit(key, value, depth, rank);
            } else {
                self.visit(&format!("{prefix}.{key}"), value, depth, rank);
            }
        }
    }

    fn visit(&mut self, name: &str, value: &Json<'a>, depth: usize, rank: &dyn Fn(&str, usize) -> usize) {
        if let Some(&(role, order)) = INDEX.roles.get(name)
            && let Some(text) = self.text_for(role, value)
        {
            self.offer(role, rank(name, order), text);
        }
        if depth == 0 {
            return;
        }
        match value {
            Json::Object(inner) if INDEX.containers.contains(name) => {
                self.visit_object(inner, name, depth - 1, rank);
            }
            Json::Object(inner) if name == "attributes" => self.visit_object(inner, "", depth - 1, rank),
            Json::Array(pairs) if name == "attributes" => {
                for (key, value) in pairs.iter().filter_map(otlp_attribute) {
                    self.visit(key, value, depth - 1, rank);
                }
            }
            Json::Array(_) if name == "resourceLogs" => {
                let record = value.at(&["0", "scopeLogs", "0", "logRecords", "0"]);
                if let Some(Json::Object(record)) = record {
                    self.visit_object(record, "", depth - 1, rank);
                }
            }
            _ => {}
        }
    }

    /// Reads a value for a role: for an address, only an address will do.
    fn text_for(&mut self, role: Role, value: &Json<'a>) -> Option<Cow<'a, str>> {
        match role {
            Role::SourceIp | Role::DestIp => self.address_in(role, text_of(value)?),
            Role::Forwarded => list_of(value),
            Role::User | Role::Action | Role::Outcome | Role::Level => text_of(value),
        }
    }

    fn address_in(&mut self, role: Role, text: Cow<'a, str>) -> Option<Cow<'a, str>> {
        if role == Role::DestIp || !text.contains(',') {
            return address_of(text);
        }
        let client = client_of(text, self.proxies)?;
        self.found.is_forwarded = true;
        Some(client)
    }

    fn offer(&mut self, role: Role, rank: usize, text: Cow<'a, str>) {
        let best = &mut self.found.best[role as usize];
        if best.as_ref().is_none_or(|(held, _)| rank < *held) {
            *best = Some((rank, text));
        }
    }
}

fn is_logon(members: &Members<'_>) -> bool {
    let id = members
        .get("EventID")
        .and_then(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok()));
    id.is_some_and(|id| LOGON_EVENTS.contains(&id))
}

/// Returns a text that says something: sources write `-` or nothing where they have no value.
fn text_of<'a>(value: &Json<'a>) -> Option<Cow<'a, str>> {
    let text = match value {
        Json::String(text) => text,
        Json::Array(values) => match values.first()? {
            Json::String(text) => text,
            _ => return None,
        },
        _ => return None,
    };
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    };
    (!text.is_empty() && text != "-").then_some(text)
}

/// Returns a list of proxies; some sources write each into an element of its own.
fn list_of<'a>(value: &Json<'a>) -> Option<Cow<'a, str>> {
    match value {
        Json::Array(elements) if elements.len() > 1 => {
            let texts: Vec<&str> = elements.iter().filter_map(Json::as_str).collect();
            (!texts.is_empty()).then(|| texts.join(",").into())
        }
        _ => text_of(value),
    }
}

/// Reads an attribute as OTLP writes it in JSON: `{"key": ..., "value": {"stringValue": ...}}`.
fn otlp_attribute<'j, 'a>(pair: &'j Json<'a>) -> Option<(&'j str, &'j Json<'a>)> {
    Some((pair.at(&["key"])?.as_str()?, pair.at(&["value", "stringValue"])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_for_two_fields() {
        let names: usize = SLOTS.iter().map(|(_, names)| names.len()).sum();
        assert_eq!(SLOT_OF.len(), names);
        let names: usize = ROLES.iter().map(|(_, names)| names.len()).sum();
        assert_eq!(INDEX.roles.len(), names);
    }
}
