//! Reads stored logs again with the formats of today.

use std::io::Cursor as Bytes;

use crate::ingest::{
    AMBIGUOUS, FormatLibrary, HEADER, IngestOptions, LINE_PART, LogReader, PARSE_ERROR, TIME_SOURCE,
    read_columns,
};
use crate::models::{FIELDS, FORMAT, LOGSOURCE, LogEntry, LogQuery, RAW_BYTES};
use crate::stop::StopHandle;
use crate::storage::duckdb::{Change, DuckDbStore};
use crate::storage::{Cursor, Result};

/// Reads the lines of stored logs again, so that they have the fields that today's formats find.
///
/// Line, id, order and reading positions stay as they are, and consumers are not given the logs again. A log without
/// its line stays as it is, and so does one whose fields a program has set. Each batch is one transaction: a run that
/// ends early has done a part, and the next one does the rest.
///
/// ```
/// use logstore::{DuckDbStore, LogEntry, LogStore, LogQuery, StoreExt};
/// use logstore::load::Reparse;
///
/// let store = DuckDbStore::open(":memory:")?;
/// let line = r#"{"time": "2024-05-01T10:00:00Z", "srcip": "203.0.113.9"}"#;
/// let log = LogEntry::new("2024-05-01T10:00:00Z".parse()?).with_raw(line).with_source_type("json");
/// store.append_logs(&[log])?;
/// let report = Reparse::new(&store).run()?;
/// assert_eq!((report.read, report.changed), (1, 1));
/// assert_eq!(store.fetch_logs(&LogQuery::new())?[0].source_ip().as_deref(), Some("203.0.113.9"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct Reparse<'a> {
    store: &'a DuckDbStore,
    query: LogQuery,
    options: IngestOptions,
    is_dry_run: bool,
    stop: StopHandle,
}

/// Describes what a [`Reparse`] has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReparseReport {
    /// Counts the logs that were looked at.
    pub read: u64,
    /// Counts the logs whose fields changed, or would change.
    pub changed: u64,
    /// Counts the logs that stay as they are because their lines alone do not say what they are: parts of long lines,
    /// and lines with columns that hold an envelope. An ingest of their files into a new store reads them again.
    pub unreadable: u64,
}

impl<'a> Reparse<'a> {
    /// Counts the logs of a transaction.
    const BATCH: usize = 40_960;

    /// Reads every log of a store again.
    pub fn new(store: &'a DuckDbStore) -> Self {
        Self {
            store,
            query: LogQuery::new(),
            options: IngestOptions::new(),
            is_dry_run: false,
            stop: StopHandle::default(),
        }
    }

    /// Reads only the logs that pass a query. Its limit and its order do not count.
    pub fn query(self, query: LogQuery) -> Self {
        Self { query, ..self }
    }

    /// Reads lines as these options say: zone, order of dates, trusted proxies and formats.
    pub fn options(self, options: IngestOptions) -> Self {
        Self { options, ..self }
    }

    /// Reads lines by the definitions of this library.
    pub fn formats(mut self, formats: FormatLibrary) -> Self {
        self.options.formats = formats;
        self
    }

    /// Counts the logs that would change, and changes none.
    pub fn dry_run(self, is_dry_run: bool) -> Self {
        Self { is_dry_run, ..self }
    }

    /// Returns the handle that stops this run after its batch, from any thread.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Reads the logs again, batch by batch.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for a lake. Otherwise fails as
    /// [`append_logs`](crate::LogStore::append_logs) does; the batches before the error are done.
    pub fn run(self) -> Result<ReparseReport> {
        let mut report = ReparseReport::default();
        let mut cursor = Cursor::BEGINNING;
        let change = |log: &LogEntry| match self.query.matches(log) {
            true => change_of(log, &self.options),
            false => Change::None,
        };
        while !self.stop.is_stopped() {
            let part = self
                .store
                .rewrite_logs(cursor, Self::BATCH, self.is_dry_run, &change)?;
            report.read += part.read;
            report.changed += part.changed;
            report.unreadable += part.unreadable;
            let Some(next) = part.next else { break };
            cursor = next;
        }
        Ok(report)
    }
}

/// Lists names of the kind of a log that an ingest gives where no definition reads it.
const GENERAL: [&str; 5] = ["json", "syslog", "text", "access_log", "error_log"];

/// Lists members of `metadata` that are made anew.
const READ_AGAIN: [&str; 7] = [
    FORMAT,
    LOGSOURCE,
    FIELDS,
    AMBIGUOUS,
    PARSE_ERROR,
    TIME_SOURCE,
    RAW_BYTES,
];

/// Returns what reading the line of a log again changes.
fn change_of(log: &LogEntry, options: &IngestOptions) -> Change {
    // A time without a year was before the log was read.
    let options = options.clone().with_reference(log.ingestion_time);
    let new = if log.metadata.contains_key(LINE_PART) {
        return Change::Unreadable;
    } else if log.metadata.contains_key(HEADER) {
        match read_columns(log, &options) {
            Some(new) => Some(new),
            None => return Change::Unreadable,
        }
    } else {
        read_line(log, &options)
    };
    new.map(|new| keep(new, log))
        .filter(|new| new != log)
        .map_or(Change::None, |new| Change::To(Box::new(new)))
}

/// Returns the log that the line of another one makes today. `None` if it has no line, or is not one of an ingest.
fn read_line(log: &LogEntry, options: &IngestOptions) -> Option<LogEntry> {
    let source_type = log.source_type.as_deref()?;
    let is_of_format = log.metadata.contains_key(FORMAT);
    if !is_of_format && !GENERAL.contains(&source_type) {
        return None;
    }
    let mut logs = LogReader::new(Bytes::new(log.raw_bytes()?), options);
    let new = logs.next()?.ok()?;
    logs.next().is_none().then_some(new)
}

/// Gives a log that was read again what stays of the stored one.
fn keep(mut new: LogEntry, log: &LogEntry) -> LogEntry {
    new.id.clone_from(&log.id);
    new.ingestion_time = log.ingestion_time;
    new.raw.clone_from(&log.raw);
    new.file.clone_from(&log.file);
    keep_time(&mut new, log);
    new.host = new.host.or_else(|| log.host.clone());
    new.hostname = new.hostname.or_else(|| log.hostname.clone());
    let kept = log
        .metadata
        .iter()
        .filter(|(name, _)| !READ_AGAIN.contains(&name.as_str()));
    for (name, value) in kept {
        new.metadata.insert(name.clone(), value.clone());
    }
    new
}

/// Keeps the time of a log where its line gives none, or the same text.
fn keep_time(new: &mut LogEntry, log: &LogEntry) {
    let has_time = !new.metadata.contains_key(TIME_SOURCE);
    let had_time = !log.metadata.contains_key(TIME_SOURCE);
    if !has_time || had_time && new.timestamp == log.timestamp {
        new.event_time = log.event_time;
        match log.metadata.get(TIME_SOURCE) {
            Some(source) => new.metadata.insert(TIME_SOURCE.to_owned(), source.clone()),
            None => new.metadata.remove(TIME_SOURCE),
        };
    }
}
