//! The names under which sources write the same thing.
//!
//! Sources: the Elastic Common Schema, OCSF, the `OpenTelemetry` semantic conventions, Windows event
//! JSON as `NXLog` and Winlogbeat write it, Zeek, Suricata EVE, AWS `CloudTrail`, the systemd journal,
//! GELF, and the loggers of common languages. A dot stands for a nested object or for itself.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// Names of the event's time, best first.
pub(super) const TIME: &[&str] = &[
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

/// Places of the event's time inside nested values, as JSON pointers (RFC 6901).
pub(super) const NESTED_TIME: &[&str] = &[
    "/t/$date",
    "/Event/System/TimeCreated/@SystemTime",
    "/Event/System/TimeCreated/#attributes/SystemTime",
    "/winlog/time_created",
    "/resourceLogs/0/scopeLogs/0/logRecords/0/timeUnixNano",
    "/resourceLogs/0/scopeLogs/0/logRecords/0/observedTimeUnixNano",
];

pub(super) const MESSAGE: &[&str] = &[
    "message",
    "msg",
    "Message",
    "MESSAGE",
    "short_message",
    "log",
    "text",
    "body",
];
pub(super) const APPNAME: &[&str] = &[
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
pub(super) const PROCID: &[&str] = &["procid", "pid", "PID", "_PID", "process_id"];
pub(super) const HOST: &[&str] = &["host", "source_host"];
pub(super) const HOSTNAME: &[&str] = &[
    "hostname",
    "host_name",
    "hostName",
    "Hostname",
    "HostName",
    "_HOSTNAME",
    "Computer",
    "ComputerName",
];
pub(super) const FILE: &[&str] = &["file", "log_file", "filename"];
pub(super) const SOURCE_TYPE: &[&str] = &["source_type", "sourcetype", "_sourcetype", "log_type"];

/// What an analyst asks of every log, whatever its source calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    SourceIp,
    DestIp,
    User,
    Action,
    Outcome,
    Level,
}

const ROLES: [(Role, &[&str]); 6] = [
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
];

/// Windows events about the account that is logged on, not the one that logs it on.
const LOGON_EVENTS: [u64; 12] = [
    4624, 4625, 4634, 4647, 4768, 4769, 4770, 4771, 4776, 4777, 4778, 4779,
];

/// How deep a known name can lie.
const MAX_DEPTH: usize = 4;

struct Index {
    roles: HashMap<&'static str, (Role, usize)>,
    /// Every proper prefix of a dotted name: the objects worth looking into.
    containers: HashSet<&'static str>,
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

/// The best value for each role that was found so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Found<'a> {
    best: [Option<(usize, &'a str)>; ROLES.len()],
}

impl<'a> Found<'a> {
    pub(super) fn in_maps(maps: [&'a Map<String, Value>; 2]) -> Self {
        let mut found = Self::default();
        for (place, map) in maps.into_iter().enumerate() {
            let target_user_first = is_logon(map);
            found.visit_object(map, "", MAX_DEPTH, &|role, name, rank| {
                let preferred = target_user_first && name == "TargetUserName";
                let rank = if preferred { 0 } else { rank + 1 };
                // A service's name may stand where an address belongs: any address is better.
                let penalty = if role.is_address() { 1_000 } else { 0 };
                (rank + place * 10_000, penalty)
            });
        }
        found
    }

    pub(super) fn get(&self, role: Role) -> Option<&'a str> {
        self.best[role as usize].map(|(_, value)| value)
    }

    fn visit_object(
        &mut self,
        map: &'a Map<String, Value>,
        prefix: &str,
        depth: usize,
        rank: &dyn Fn(Role, &str, usize) -> (usize, usize),
    ) {
        for (key, value) in map {
            if prefix.is_empty() {
                self.visit(key, value, depth, rank);
            } else {
                self.visit(&format!("{prefix}.{key}"), value, depth, rank);
            }
        }
    }

    fn visit(
        &mut self,
        name: &str,
        value: &'a Value,
        depth: usize,
        rank: &dyn Fn(Role, &str, usize) -> (usize, usize),
    ) {
        if let (Some(&(role, order)), Some(text)) = (INDEX.roles.get(name), text_of(value)) {
            let (rank, penalty) = rank(role, name, order);
            let is_address = penalty == 0 || text.parse::<std::net::IpAddr>().is_ok();
            self.offer(role, if is_address { rank } else { rank + penalty }, text);
        }
        if depth == 0 {
            return;
        }
        match value {
            Value::Object(inner) if INDEX.containers.contains(name) => {
                self.visit_object(inner, name, depth - 1, rank);
            }
            Value::Object(inner) if name == "attributes" => self.visit_object(inner, "", depth - 1, rank),
            Value::Array(pairs) if name == "attributes" => {
                for (key, value) in pairs.iter().filter_map(otlp_attribute) {
                    self.visit(key, value, depth - 1, rank);
                }
            }
            Value::Array(_) if name == "resourceLogs" => {
                let record = value.pointer("/0/scopeLogs/0/logRecords/0");
                if let Some(Value::Object(record)) = record {
                    self.visit_object(record, "", depth - 1, rank);
                }
            }
            _ => {}
        }
    }

    fn offer(&mut self, role: Role, rank: usize, text: &'a str) {
        let best = &mut self.best[role as usize];
        if best.is_none_or(|(held, _)| rank < held) {
            *best = Some((rank, text));
        }
    }
}

impl Role {
    fn is_address(self) -> bool {
        matches!(self, Self::SourceIp | Self::DestIp)
    }
}

fn is_logon(map: &Map<String, Value>) -> bool {
    let id = map
        .get("EventID")
        .and_then(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok()));
    id.is_some_and(|id| LOGON_EVENTS.contains(&id))
}

/// A text that says something: sources write `-` or nothing where they have no value.
fn text_of(value: &Value) -> Option<&str> {
    let text = match value {
        Value::String(text) => text,
        Value::Array(values) => values.first()?.as_str()?,
        _ => return None,
    };
    let text = text.trim();
    (!text.is_empty() && text != "-").then_some(text)
}

/// An attribute as OTLP writes it in JSON: `{"key": ..., "value": {"stringValue": ...}}`.
fn otlp_attribute(pair: &Value) -> Option<(&str, &Value)> {
    Some((pair.get("key")?.as_str()?, pair.get("value")?.get("stringValue")?))
}
