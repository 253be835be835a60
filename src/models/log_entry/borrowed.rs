//! A log that is only passed on: it borrows its texts.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use ipnet::IpNet;

use super::format_note::FormatNote;
use super::found::Found;
use super::names::Role;
use super::reserved::{KNOWN_SOURCE, RAW_BYTES};
use super::{CoreFields, Ids, LogEntry, RawText};
use crate::models::time::to_micros;
use crate::models::{Json, JsonObject, Members};

/// Holds a log whose texts are mostly borrowed from the line that it was read from. Most logs stay in this form until
/// they are stored. See [`LogReader::read_next`](crate::ingest::LogReader::read_next).
#[derive(Debug, Clone)]
pub struct BorrowedLog<'a> {
    pub(crate) id: Cow<'a, str>,
    pub(crate) event_time: DateTime<Utc>,
    pub(crate) timestamp: Option<Cow<'a, str>>,
    pub(crate) raw: Option<Cow<'a, str>>,
    pub(crate) appname: Option<Cow<'a, str>>,
    pub(crate) file: Option<Cow<'a, str>>,
    pub(crate) host: Option<Cow<'a, str>>,
    pub(crate) hostname: Option<Cow<'a, str>>,
    pub(crate) message: Option<Cow<'a, str>>,
    pub(crate) procid: Option<i64>,
    pub(crate) source_type: Option<Cow<'a, str>>,
    pub(super) normalized: Members<'a>,
    pub(super) metadata: Members<'a>,
    /// Holds what a definition says of the log, while the metadata has nothing else.
    pub(super) format: Option<&'a FormatNote>,
    pub(crate) ingestion_time: DateTime<Utc>,
    /// Holds the summary of its fields, if that was looked for.
    pub(super) found: Option<Box<Found<'a>>>,
}

impl<'a> BorrowedLog<'a> {
    /// Makes a log as [`LogEntry::new`] does.
    pub(crate) fn new(event_time: DateTime<Utc>, ids: &mut Ids) -> Self {
        Self {
            id: ids.next().into(),
            event_time: to_micros(event_time),
            timestamp: None,
            raw: None,
            appname: None,
            file: None,
            host: None,
            hostname: None,
            message: None,
            procid: None,
            source_type: None,
            normalized: Members::default(),
            metadata: Members::default(),
            format: None,
            ingestion_time: ids.now(),
            found: None,
        }
    }

    /// Returns the log as it arrived: see [`LogEntry::raw`].
    pub fn raw(&self) -> Option<&str> {
        self.raw.as_deref()
    }

    /// Returns whether something is known about the log under this name: see [`LogEntry::metadata`].
    pub fn has_metadata(&self, name: &str) -> bool {
        self.metadata.get(name).is_some() || self.format.is_some_and(|note| note.has(name))
    }

    /// Makes the log with texts of its own.
    pub fn into_entry(mut self) -> LogEntry {
        self.unfold_format();
        let owned = |text: Option<Cow<'a, str>>| text.map(Cow::into_owned);
        LogEntry {
            id: self.id.into_owned(),
            event_time: self.event_time,
            timestamp: owned(self.timestamp),
            raw: owned(self.raw),
            appname: owned(self.appname),
            file: owned(self.file),
            host: owned(self.host),
            hostname: owned(self.hostname),
            message: owned(self.message),
            procid: self.procid,
            source_type: owned(self.source_type),
            normalized: JsonObject::from_members(&self.normalized),
            metadata: JsonObject::from_members(&self.metadata),
            ingestion_time: self.ingestion_time,
        }
    }

    /// Sets the line as [`LogEntry::with_raw`] does.
    pub(crate) fn set_raw(&mut self, line: &'a RawText<'_>) {
        self.raw = Some(Cow::Borrowed(&line.text));
        if let Some(encoded) = line.encoded() {
            self.note(RAW_BYTES, encoded);
        }
    }

    /// Lends the summary that [`LogEntry::core_fields`] returns.
    pub(crate) fn with_core_fields<T>(&self, take: impl FnOnce(CoreFields<'_>) -> T) -> T {
        let looked_for;
        let found = match &self.found {
            Some(found) => found,
            None => {
                looked_for = self.look_for_core_fields();
                &looked_for
            }
        };
        let address = |role| found.get(role).map(Cow::Borrowed);
        take(CoreFields::of(
            address,
            |role| found.get(role),
            |role| found.port(role),
        ))
    }

    /// Looks for the summary now, not each time that it is asked for.
    pub(crate) fn keep_core_fields(&mut self) {
        self.found
            .get_or_insert_with(|| Found::in_objects([&self.normalized, &self.metadata]).into());
    }

    /// Adds a member to the metadata that is no field of the summary.
    pub(crate) fn note(&mut self, name: &'static str, value: impl Into<Json<'a>>) {
        self.unfold_format();
        self.metadata.insert(name, value);
    }

    /// Corrects the source address, given the networks whose hosts are proxies instead of the usual ones.
    pub(crate) fn follow_proxies(&mut self, proxies: &[IpNet]) {
        let found = self.look_for_core_fields();
        if !found.is_forwarded() {
            return;
        }
        let behind = Found::behind(proxies, [&self.normalized, &self.metadata]);
        if behind.get(Role::SourceIp) != found.get(Role::SourceIp)
            && let Some(address) = behind.into_address(Role::SourceIp)
        {
            self.metadata_mut().insert(KNOWN_SOURCE, Json::String(address));
        }
    }

    pub(super) fn look_for_core_fields(&self) -> Found<'a> {
        Found::in_objects([&self.normalized, &self.metadata])
    }

    /// Says whether `is` holds of a text of the log other than its line and its metadata: a column, or a value of its
    /// fields. Numbers are written into `memory`.
    pub(crate) fn any_text(&self, memory: &mut String, is: &mut impl FnMut(&str) -> bool) -> bool {
        let columns = [
            &self.message,
            &self.timestamp,
            &self.appname,
            &self.file,
            &self.host,
            &self.hostname,
            &self.source_type,
        ];
        self.procid.is_some_and(|procid| is(&procid.to_string()))
            || columns.into_iter().flatten().any(|text| is(text))
            || self.normalized.any_text(memory, is)
    }

    pub(crate) fn normalized(&self) -> &Members<'a> {
        &self.normalized
    }

    pub(crate) fn normalized_mut(&mut self) -> &mut Members<'a> {
        self.found = None;
        &mut self.normalized
    }

    /// Returns the metadata as JSON text, for which there is memory; nothing if it is empty.
    pub(crate) fn metadata_text<'t>(&'t self, memory: &'t mut String) -> Option<&'t str> {
        if let Some(note) = self.format {
            return Some(note.text());
        }
        memory.clear();
        self.metadata.write_to(memory).then_some(memory)
    }

    pub(crate) fn metadata_mut(&mut self) -> &mut Members<'a> {
        self.found = None;
        self.unfold_format();
        &mut self.metadata
    }

    /// Makes a log that borrows the texts of another. Its fields may be nested more deeply than can be stored: see
    /// [`LogEntry::validate`].
    pub(crate) fn of_entry(log: &'a LogEntry) -> Self {
        let borrowed = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
        Self {
            id: log.id.as_str().into(),
            event_time: log.event_time,
            timestamp: borrowed(&log.timestamp),
            raw: borrowed(&log.raw),
            appname: borrowed(&log.appname),
            file: borrowed(&log.file),
            host: borrowed(&log.host),
            hostname: borrowed(&log.hostname),
            message: borrowed(&log.message),
            procid: log.procid,
            source_type: borrowed(&log.source_type),
            normalized: log.normalized.members(),
            metadata: log.metadata.members(),
            format: None,
            ingestion_time: log.ingestion_time,
            found: None,
        }
    }
}
