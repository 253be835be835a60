//! One log: a few well-known fields, and everything else its source wrote.

mod borrowed;
mod format_note;
mod found;
mod id;
mod json;
mod key;
pub(super) mod names;
mod reserved;
mod set_by_reader;
mod values;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::time::to_micros;
use super::{Edits, InvalidValue, JsonObject, Members};
pub use borrowed::BorrowedLog;
pub(crate) use format_note::FormatNote;
use found::Found;
pub(crate) use id::Ids;
pub(crate) use json::Origin;
pub use key::LogKey;
pub(crate) use names::Role;
pub(crate) use reserved::{FIELDS, FORMAT, LOGSOURCE, RAW_BYTES};
pub use reserved::{PARSE_ERROR, TIME_SOURCE};

/// Lists the columns of texts that, with the times and objects, say all of a log. The others follow from them.
pub(crate) const TEXT_COLUMNS: [&str; 10] = [
    "id",
    "timestamp",
    "raw",
    "appname",
    "file",
    "host",
    "hostname",
    "message",
    "source_type",
    "procid",
];
pub(crate) const TIME_COLUMNS: [&str; 2] = ["event_time", "ingestion_time"];
pub(crate) const OBJECT_COLUMNS: [&str; 2] = ["normalized", "metadata"];

/// Holds a log, as it is stored.
///
/// Two logs are the same if they agree in [`event_time`](Self::event_time) and [`id`](Self::id):
/// a store keeps one of them.
///
/// ```
/// use logstore::LogEntry;
///
/// let log: LogEntry = serde_json::from_str(
///     r#"{"@timestamp": "2015-05-17T10:05:03Z", "program": "sshd", "pid": 4242,
///         "msg": "Failed password for root", "source": {"ip": "203.0.113.9"}, "user": "root"}"#,
/// )?;
/// assert_eq!(log.appname.as_deref(), Some("sshd"));
/// assert_eq!(log.procid, Some(4242));
/// assert_eq!(log.source_ip().as_deref(), Some("203.0.113.9"));
/// assert_eq!(log.user(), Some("root"));
/// assert_eq!(log.normalized["source"]["ip"], "203.0.113.9");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LogEntry {
    /// Names the log; with its time, unique in a store.
    pub id: String,
    /// Holds the time of the event, in UTC, to the microsecond.
    pub event_time: DateTime<Utc>,
    /// Holds the time as the source wrote it.
    pub timestamp: Option<String>,
    /// Holds the log as it arrived, without its line end.
    pub raw: Option<String>,
    /// Names the program that logged.
    pub appname: Option<String>,
    /// Names the file it was read from.
    pub file: Option<String>,
    /// Names the host it was received from, or the only host that the source names.
    pub host: Option<String>,
    /// Names the host that logged, as it calls itself.
    pub hostname: Option<String>,
    /// Holds the text for people.
    pub message: Option<String>,
    /// Names the process that logged.
    pub procid: Option<i64>,
    /// Names the kind of source, such as `syslog` or `json`.
    pub source_type: Option<String>,
    /// Holds every field of the source that has no place above.
    pub normalized: JsonObject,
    /// Holds what is known about the log that its source did not write.
    pub metadata: JsonObject,
    /// Holds the time when it was taken in, in UTC, to the microsecond.
    pub ingestion_time: DateTime<Utc>,
}

/// Limits the length of a log's texts together. A store needs memory for several times as much.
const LONGEST_LOG: usize = 32 << 20;

impl LogEntry {
    /// Makes a log of an event at `event_time`, with a new id, taken in now.
    pub fn new(event_time: DateTime<Utc>) -> Self {
        id::with_own(|ids| BorrowedLog::new(event_time, ids).into_entry())
    }

    /// Replaces the id.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..self
        }
    }

    /// Sets the line as it arrived. Bytes that are not UTF-8 are shown as `U+FFFD` in [`raw`](Self::raw). They are
    /// kept, and [`raw_bytes`](Self::raw_bytes) returns them.
    ///
    /// ```
    /// use logstore::LogEntry;
    ///
    /// let log = LogEntry::new(chrono::Utc::now()).with_raw(b"caf\xe9");
    /// assert_eq!(log.raw.as_deref(), Some("caf\u{fffd}"));
    /// assert_eq!(log.raw_bytes().as_deref(), Some(&b"caf\xe9"[..]));
    /// ```
    #[must_use]
    pub fn with_raw(mut self, line: impl AsRef<[u8]>) -> Self {
        let line = RawText::of(line.as_ref());
        if let Some(encoded) = line.encoded() {
            self.metadata.insert(RAW_BYTES.into(), encoded.into());
        }
        self.raw = Some(line.text.into_owned());
        self
    }

    /// Sets the program that logged.
    #[must_use]
    pub fn with_appname(self, appname: impl Into<String>) -> Self {
        Self {
            appname: Some(appname.into()),
            ..self
        }
    }

    /// Sets the host that logged, as [`host`](Self::host) and [`hostname`](Self::hostname).
    #[must_use]
    pub fn with_host(self, host: impl Into<String>) -> Self {
        let host = host.into();
        Self {
            host: Some(host.clone()),
            hostname: Some(host),
            ..self
        }
    }

    /// Sets the host that logged, as it calls itself, and not the host that the log was received from.
    #[must_use]
    pub fn with_hostname(self, hostname: impl Into<String>) -> Self {
        Self {
            hostname: Some(hostname.into()),
            ..self
        }
    }

    /// Sets the time as the source wrote it. It is kept as text; [`event_time`](Self::event_time) is what counts.
    #[must_use]
    pub fn with_timestamp(self, timestamp: impl Into<String>) -> Self {
        Self {
            timestamp: Some(timestamp.into()),
            ..self
        }
    }

    /// Sets the file that the log was read from.
    #[must_use]
    pub fn with_file(self, file: impl Into<String>) -> Self {
        Self {
            file: Some(file.into()),
            ..self
        }
    }

    /// Sets the kind of source, such as `syslog` or `json`.
    #[must_use]
    pub fn with_source_type(self, source_type: impl Into<String>) -> Self {
        Self {
            source_type: Some(source_type.into()),
            ..self
        }
    }

    /// Sets the text for people.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            ..self
        }
    }

    /// Sets the process that logged.
    #[must_use]
    pub fn with_procid(self, procid: i64) -> Self {
        Self {
            procid: Some(procid),
            ..self
        }
    }

    /// Adds a field to [`normalized`](Self::normalized).
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.normalized.insert(name.into(), value.into());
        self
    }

    /// Adds what is known about the log that its source did not write to [`metadata`](Self::metadata).
    #[must_use]
    pub fn with_metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Sets when the log was taken in.
    #[must_use]
    pub fn with_ingestion_time(self, time: DateTime<Utc>) -> Self {
        Self {
            ingestion_time: to_micros(time),
            ..self
        }
    }

    /// Checks that the log can be stored.
    ///
    /// # Errors
    ///
    /// If `normalized` or `metadata` is nested too deeply: more than 100 levels. If its texts have more than 32 MiB
    /// together.
    pub fn validate(&self) -> Result<(), InvalidValue> {
        self.normalized.check("field of a log")?;
        self.metadata.check("field of a log")?;
        match self.length() {
            length if length > LONGEST_LOG => {
                let reason = format!(
                    "its texts have {} MiB together, and a log takes {} MiB: make several logs of it",
                    length >> 20,
                    LONGEST_LOG >> 20
                );
                Err(InvalidValue::new("log", &self.id, reason))
            }
            _ => Ok(()),
        }
    }

    /// Returns the length of the texts that grow with a log.
    fn length(&self) -> usize {
        let texts = [
            &self.raw,
            &self.message,
            &self.timestamp,
            &self.appname,
            &self.file,
            &self.host,
            &self.hostname,
        ];
        let texts = texts.into_iter().flatten().map(String::len);
        let objects = [&self.normalized, &self.metadata].map(JsonObject::length);
        texts.chain(objects).sum()
    }

    /// Returns the bytes of the line as it arrived.
    pub fn raw_bytes(&self) -> Option<Vec<u8>> {
        let encoded = self.metadata.get(RAW_BYTES).and_then(Value::as_str);
        match encoded.and_then(|text| BASE64.decode(text).ok()) {
            Some(bytes) => Some(bytes),
            None => self.raw.as_ref().map(|raw| raw.as_bytes().to_vec()),
        }
    }

    /// Returns the address that acted, under any of its names, in canonical form.
    ///
    /// The names are those of ECS, OCSF, `OpenTelemetry`, Windows, Zeek, Suricata and `CloudTrail`. The canonical form
    /// is that of RFC 5952, without a port, and with an IPv4 address as IPv4. A value that is no address stays in
    /// [`normalized`](Self::normalized).
    ///
    /// A host in a private, loopback, link-local or unique local network is taken for a proxy. Behind a proxy, the
    /// client is returned if `X-Forwarded-For` or a similar field names it. `source_ip` in
    /// [`metadata`](Self::metadata) comes before anything else.
    ///
    /// ```
    /// use logstore::LogEntry;
    ///
    /// let log = LogEntry::new(chrono::Utc::now());
    /// assert_eq!(log.clone().with_field("src_ip", "[2001:DB8::1]:443").source_ip().as_deref(), Some("2001:db8::1"));
    /// assert_eq!(log.with_field("src_ip", "unknown").source_ip(), None);
    /// ```
    pub fn source_ip(&self) -> Option<Cow<'_, str>> {
        self.found().into_address(Role::SourceIp)
    }

    /// Returns the address that was acted on, under any of its names, in canonical form.
    pub fn dest_ip(&self) -> Option<Cow<'_, str>> {
        self.found().into_address(Role::DestIp)
    }

    /// Returns the port of the address that acted, under any of its names.
    pub fn source_port(&self) -> Option<u16> {
        self.found().port(Role::SourcePort)
    }

    /// Returns the port of the address that was acted on, under any of its names.
    pub fn dest_port(&self) -> Option<u16> {
        self.found().port(Role::DestPort)
    }

    /// Returns the program or image that the log is about, under any of its names. It is the path where the source
    /// gives one.
    pub fn process(&self) -> Option<&str> {
        self.found().borrowed(Role::Process)
    }

    /// Returns the user who acted, under any of its names. For a Windows logon, that is the user logged on.
    pub fn user(&self) -> Option<&str> {
        self.found().borrowed(Role::User)
    }

    /// Returns the action, such as `ssh_login` or `ConsoleLogin`.
    pub fn action(&self) -> Option<&str> {
        self.found().borrowed(Role::Action)
    }

    /// Returns the outcome of the action, such as `success` or `failure`.
    pub fn outcome(&self) -> Option<&str> {
        self.found().borrowed(Role::Outcome)
    }

    /// Returns how serious the source calls the log, such as `error`, in the source's words.
    pub fn level(&self) -> Option<&str> {
        self.found().borrowed(Role::Level)
    }

    /// Returns everything that an analyst asks of every log, in one pass.
    pub fn core_fields(&self) -> CoreFields<'_> {
        let found = self.found();
        let address = |role| found.clone().into_address(role);
        CoreFields::of(address, |role| found.borrowed(role), |role| found.port(role))
    }

    /// Returns the definition that read the log, with its version, such as `fortigate/1`.
    pub fn format(&self) -> Option<&str> {
        self.metadata.get(FORMAT)?.as_str()
    }

    fn found(&self) -> Found<'_> {
        Found::in_objects([&Members::from(&*self.normalized), &Members::from(&*self.metadata)])
    }
}

impl<'a> CoreFields<'a> {
    fn of(
        address: impl Fn(Role) -> Option<Cow<'a, str>>,
        get: impl Fn(Role) -> Option<&'a str>,
        port: impl Fn(Role) -> Option<u16>,
    ) -> Self {
        Self {
            source_ip: address(Role::SourceIp),
            dest_ip: address(Role::DestIp),
            source_port: port(Role::SourcePort),
            dest_port: port(Role::DestPort),
            user: get(Role::User),
            process: get(Role::Process),
            action: get(Role::Action),
            outcome: get(Role::Outcome),
            level: get(Role::Level),
        }
    }
}

/// Holds a line as text.
#[derive(Debug, Clone)]
pub(crate) struct RawText<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Holds the line, if the text is not all of it.
    bytes: Option<&'a [u8]>,
    /// Says what was replaced in the text.
    replaced: Edits,
}

impl<'a> RawText<'a> {
    pub(crate) fn of(line: &'a [u8]) -> Self {
        // Nearly all are UTF-8, which `from_utf8` tells many times faster than `from_utf8_lossy`.
        match str::from_utf8(line) {
            Ok(text) => text.into(),
            Err(_) => Self::undecoded(line),
        }
    }

    fn undecoded(line: &'a [u8]) -> Self {
        let (mut text, mut end, mut replaced) = (String::new(), 0, Edits::default());
        for chunk in line.utf8_chunks() {
            text.push_str(chunk.valid());
            end += chunk.valid().len() + chunk.invalid().len();
            if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                replaced.push(text.len(), end);
            }
        }
        Self {
            text: text.into(),
            bytes: Some(line),
            replaced,
        }
    }

    /// Returns a part of the text with its part of the line.
    pub(crate) fn part<'t>(&'t self, part: &'t str) -> RawText<'t> {
        let Some(bytes) = self.bytes else {
            return part.into();
        };
        let bytes = bytes.get(self.replaced.original_of(part, &self.text));
        bytes.map_or_else(|| part.into(), RawText::of)
    }

    /// Returns the line in Base64, if the text is not all of it.
    fn encoded(&self) -> Option<String> {
        self.bytes.map(|bytes| BASE64.encode(bytes))
    }
}

impl<'a> From<&'a str> for RawText<'a> {
    fn from(text: &'a str) -> Self {
        Self {
            text: text.into(),
            bytes: None,
            replaced: Edits::default(),
        }
    }
}

/// Holds the result of [`LogEntry::core_fields`].
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct CoreFields<'a> {
    /// Holds the address that acted: see [`LogEntry::source_ip`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<Cow<'a, str>>,
    /// Holds the address that was acted on: see [`LogEntry::dest_ip`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_ip: Option<Cow<'a, str>>,
    /// Holds the port of the address that acted: see [`LogEntry::source_port`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    /// Holds the port of the address that was acted on: see [`LogEntry::dest_port`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    /// Names the user who acted: see [`LogEntry::user`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    /// Names the program or image that the log is about: see [`LogEntry::process`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<&'a str>,
    /// Names the action: see [`LogEntry::action`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'a str>,
    /// Names the outcome of the action: see [`LogEntry::outcome`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'a str>,
    /// Says how serious the source calls the log: see [`LogEntry::level`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<&'a str>,
}

#[cfg(test)]
mod tests;
