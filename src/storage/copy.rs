//! Copying one store into another, written against the traits alone.

use std::collections::{HashMap, HashSet};
use std::iter::Peekable;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};

use super::{Cursor, LogStream, Result, Store};
use crate::models::{
    Alert, AlertQuery, Detections, FilePosition, FileProgress, IntelQuery, LogEntry, LogQuery, Order,
    RuleQuery,
};

/// Counts the logs that are read and stored at a time.
const LOGS_AT_ONCE: usize = 50_000;

/// Describes the outcome of [`copy_store`], and of the comparison after it.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct CopyReport {
    /// Counts the logs that this run has stored.
    pub logs: u64,
    /// Counts the alerts that this run has stored.
    pub alerts: u64,
    /// Counts the pieces of threat intelligence that this run has stored.
    pub threat_intel: u64,
    /// Counts the detection rules that this run has stored.
    pub detection_rules: u64,
    /// Counts the named consumers that go on in the target from their position in the source.
    pub consumers: u64,
    /// Counts the files whose reading positions this run has copied.
    pub files: u64,
    /// Counts the logs of the source that the target holds, the same in every field.
    pub verified: u64,
    /// Counts the logs of the source that are missing in the target or differ there.
    pub missing: u64,
    /// Counts the logs of the target that are not the source's.
    pub others: u64,
    /// Holds the sum of the SHA-256 of the source's logs, in hexadecimal. Their order does not matter.
    pub source_checksum: String,
    /// Holds the same sum of those logs as the target holds them.
    pub target_checksum: String,
}

/// Says how [`copy_store`] copies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Names the source, under which the target records how far the source was read.
    pub source_name: String,
}

impl CopyOptions {
    /// Copies a source with this name, such as its location.
    pub fn new(source_name: impl Into<String>) -> Self {
        let source_name = source_name.into();
        Self { source_name }
    }
}

/// Copies everything that a store holds into another one, then compares every log.
///
/// Each store may be a file, a lake or in memory. The target keeps what it already holds.
///
/// A copy that was interrupted resumes, and a repeated copy adds only what is new. The target records how far the
/// source was read among its [`file_positions`], under the source's [name](CopyOptions::source_name). It does so in the
/// transactions that store the logs.
///
/// Consumers that the target does not know go on there from their position when the copy began. They do not if the
/// target held other logs before: it is not known which of those they have read.
///
/// Alerts, intelligence and rules that the target already holds stay as they are. Only the events of the histories of
/// alerts are added, and change them as in the source. Suppressions are copied. Hits of correlations and the lists of
/// logs of alerts are not.
///
/// ```
/// use logstore::{DuckDbStore, LogEntry, LogStore, MemoryStore};
/// use logstore::storage::{CopyOptions, copy_store};
///
/// let (from, to) = (MemoryStore::new(), DuckDbStore::open(":memory:")?);
/// from.append_logs(&[LogEntry::new(chrono::Utc::now()).with_message("hello")])?;
/// let copied = copy_store(&from, &to, &CopyOptions::new("memory"))?;
/// assert_eq!((copied.logs, copied.verified, copied.missing), (1, 1, 0));
/// assert_eq!(copied.source_checksum, copied.target_checksum);
/// # Ok::<(), logstore::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Conflict`](super::Error::Conflict) if another process copies the same store into the target.
///
/// [`file_positions`]: super::IngestStore::file_positions
pub fn copy_store(from: &dyn Store, to: &dyn Store, options: &CopyOptions) -> Result<CopyReport> {
    let mut copied = CopyReport::default();
    let mut progress = CopyProgress::start(from, &options.source_name, to)?;
    progress.copy_logs(&mut copied)?;
    // From here on the source's logs are those that it holds now, even if more come meanwhile.
    let logs = from.scan_logs(&oldest_first())?;
    progress.copy_logs(&mut copied)?;
    copied.alerts = copy_alerts(from, to)?;
    copy_hits(from, to)?;
    copy_suppressions(from, to)?;
    copied.threat_intel = copy_intel(from, to)?;
    copied.detection_rules = copy_rules(from, to)?;
    copied.files = copy_file_positions(from, to)?;
    compare(logs, to.scan_logs(&oldest_first())?, &mut copied)?;
    if copied.others > 0 && copied.consumers > 0 {
        log::warn!(
            "{} logs of the target are not the source's: the consumers that were moved may not have read them",
            copied.others
        );
    }
    Ok(copied)
}

fn oldest_first() -> LogQuery {
    LogQuery::new().order(Order::OldestFirst)
}

/// Says how far a store is copied.
struct CopyProgress<'a> {
    from: &'a dyn Store,
    to: &'a dyn Store,
    /// Holds the position as the target records it.
    position: FilePosition,
    is_known: bool,
    /// Names the consumers that are to go on in the target.
    ///
    /// Each has the position of its first unread log; `None` if it has read all.
    consumers: Vec<(String, Option<Cursor>)>,
}

impl<'a> CopyProgress<'a> {
    fn start(from: &'a dyn Store, source: &str, to: &'a dyn Store) -> Result<Self> {
        let id = FilePosition::id_of_copy(source);
        let known = to
            .file_positions()?
            .into_iter()
            .find(|position| position.id == id);
        let is_known = known.is_some();
        let position = known.unwrap_or_else(|| FilePosition::of_copy(source));
        let mut progress = Self {
            from,
            to,
            position,
            is_known,
            consumers: Vec::new(),
        };
        if is_known || to.count_logs(&LogQuery::new())? == 0 {
            progress.find_consumers()?;
        } else {
            log::warn!("the target holds logs already: consumers are not moved there");
        }
        Ok(progress)
    }

    fn find_consumers(&mut self) -> Result<()> {
        for (name, position) in self.from.positions()? {
            if self.to.position(&name)?.is_none() {
                let unread = next_log(self.from, position)?;
                self.consumers.push((name, unread));
            }
        }
        Ok(())
    }

    fn cursor(&self) -> Cursor {
        Cursor::after(i64::try_from(self.position.bytes).unwrap_or(i64::MAX))
    }

    fn copy_logs(&mut self, copied: &mut CopyReport) -> Result<()> {
        loop {
            let next = next_log(self.from, self.cursor())?;
            copied.consumers += self.move_consumers(next)?;
            let Some(next) = next else {
                return Ok(());
            };
            let mut page = self.from.read_after(self.cursor(), LOGS_AT_ONCE)?;
            let boundaries = self.consumers.iter().filter_map(|(_, unread)| *unread);
            if let Some(boundary) = boundaries.filter(|boundary| *boundary > next).min() {
                while page.next >= boundary && page.logs.len() > 1 {
                    // Read again: a page does not tell the position of each of its logs.
                    page = self.from.read_after(self.cursor(), page.logs.len() / 2)?;
                }
            }
            copied.logs += self.store(&page.logs, page.next)?;
            log::info!("copied {} logs", copied.logs);
        }
    }

    /// Stores logs and how far the source is then read, both or neither.
    fn store(&mut self, logs: &[LogEntry], next: Cursor) -> Result<u64> {
        let to = FilePosition {
            bytes: next.seq().unsigned_abs(),
            ..self.position.clone()
        };
        let progress = FileProgress {
            from: self.is_known.then_some(self.position.bytes),
            to: to.clone(),
        };
        let appended = self.to.append_logs_from_files(logs, &[progress])?;
        self.position = to;
        self.is_known = true;
        Ok(appended.stored)
    }

    /// Moves consumers to the end of the target if their first unread log is the next one to copy.
    fn move_consumers(&mut self, next: Option<Cursor>) -> Result<u64> {
        let (here, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.consumers)
            .into_iter()
            .partition(|(_, unread)| *unread == next);
        self.consumers = later;
        for (name, _) in &here {
            self.to.commit(name, None, self.to.end_cursor()?, &[])?;
        }
        Ok(here.len() as u64)
    }
}

/// Returns the position of the first log after a cursor.
fn next_log(store: &dyn Store, cursor: Cursor) -> Result<Option<Cursor>> {
    let page = store.read_after(cursor, 1)?;
    Ok((!page.logs.is_empty()).then_some(page.next))
}

/// Counts the alerts that are read and stored at a time, the newest first.
const ALERTS_AT_ONCE: u64 = 10_000;

fn copy_alerts(from: &dyn Store, to: &dyn Store) -> Result<u64> {
    let mut copied = 0;
    let mut until: Option<DateTime<Utc>> = None;
    let mut limit = ALERTS_AT_ONCE;
    loop {
        let query = AlertQuery::new().limit(limit);
        let alerts = from.fetch_alerts(&match until {
            Some(until) => query.until(until),
            None => query,
        })?;
        copied += store_alerts(&alerts, from, to)?;
        let Some(oldest) = alerts.last().filter(|_| alerts.len() as u64 == limit) else {
            return Ok(copied);
        };
        // The page may not have held all alerts of the oldest one's time.
        let next = oldest.created_at.checked_add_signed(TimeDelta::microseconds(1));
        match next == until {
            true => limit = limit.saturating_mul(2),
            false => until = next,
        }
    }
}

fn store_alerts(alerts: &[Alert], from: &dyn Store, to: &dyn Store) -> Result<u64> {
    let stored = to.store_alerts(alerts)?;
    let ids: Vec<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
    to.store_detected_logs(&from.detected_logs(&ids)?)?;
    let held = to.alert_events(&ids)?;
    let held: HashSet<(&str, &str)> = held
        .iter()
        .map(|(id, event)| (id.as_str(), event.id.as_str()))
        .collect();
    // An event changes its alert in the target as it did in the source.
    for (id, event) in from.alert_events(&ids)? {
        if !held.contains(&(id.as_str(), event.id.as_str())) {
            to.update_alerts(&[&id], &event)?;
        }
    }
    Ok(stored)
}

/// Counts the hits that are read and stored at a time.
const HITS_AT_ONCE: u64 = 100_000;

fn copy_hits(from: &dyn Store, to: &dyn Store) -> Result<()> {
    let mut since: Option<DateTime<Utc>> = None;
    let mut limit = HITS_AT_ONCE;
    loop {
        let hits = from.hits_since(since, limit)?;
        let last = hits.last().filter(|_| hits.len() as u64 == limit);
        let last = last.map(|hit| hit.log.event_time);
        let detections = Detections {
            hits,
            ..Detections::default()
        };
        to.store_detections(&detections)?;
        // The page may not have held all hits of the last one's time.
        match last {
            None => return Ok(()),
            Some(last) if Some(last) == since => limit = limit.saturating_mul(2),
            Some(last) => since = Some(last),
        }
    }
}

fn copy_suppressions(from: &dyn Store, to: &dyn Store) -> Result<()> {
    let suppressions = from.suppressions()?;
    suppressions
        .iter()
        .try_for_each(|suppression| to.add_suppression(suppression))
}

fn copy_intel(from: &dyn Store, to: &dyn Store) -> Result<u64> {
    let (all, held) = (
        from.fetch_intel(&IntelQuery::new())?,
        to.fetch_intel(&IntelQuery::new())?,
    );
    let new = without(all, &held, |intel| &intel.id);
    to.upsert_intel(&new)?;
    Ok(new.len() as u64)
}

fn copy_rules(from: &dyn Store, to: &dyn Store) -> Result<u64> {
    let (all, held) = (
        from.fetch_rules(&RuleQuery::new())?,
        to.fetch_rules(&RuleQuery::new())?,
    );
    let new = without(all, &held, |rule| &rule.id);
    to.upsert_rules(&new)?;
    Ok(new.len() as u64)
}

fn copy_file_positions(from: &dyn Store, to: &dyn Store) -> Result<u64> {
    let new = without(from.file_positions()?, &to.file_positions()?, |position| {
        &position.id
    });
    // The source may itself be a copy of another store. Its position there does not apply to the target.
    let new: Vec<FileProgress> = new
        .into_iter()
        .filter(|position| !position.is_of_copy())
        .map(|to| FileProgress { from: None, to })
        .collect();
    to.append_logs_from_files(&[], &new)?;
    Ok(new.len() as u64)
}

/// Returns the items whose ids are not among the held ones.
fn without<T>(mut all: Vec<T>, held: &[T], id: impl Fn(&T) -> &String) -> Vec<T> {
    let held: HashSet<&String> = held.iter().map(&id).collect();
    all.retain(|item| !held.contains(id(item)));
    all
}

/// Looks for each log of the source in the target. Both streams are in the order of time.
fn compare(source: LogStream, target: LogStream, copied: &mut CopyReport) -> Result<()> {
    let mut source = source.map(|log| log.map(|log| Fingerprint::new(&log))).peekable();
    let mut target = target.map(|log| log.map(|log| Fingerprint::new(&log))).peekable();
    let (mut source_sum, mut target_sum) = (Checksum::default(), Checksum::default());
    while let Some(time) = time_of_next(&mut source)? {
        while time_of_next(&mut target)?.is_some_and(|other| other < time) {
            target.next();
            copied.others += 1;
        }
        let mut found: HashMap<String, Digest> = logs_at(time, &mut target)
            .map(|log| log.map(|log| (log.id, log.digest)))
            .collect::<Result<_>>()?;
        for log in logs_at(time, &mut source) {
            let log = log?;
            source_sum.add(&log.digest);
            match found.remove(&log.id) {
                Some(digest) => {
                    target_sum.add(&digest);
                    let is_same = u64::from(digest == log.digest);
                    copied.verified += is_same;
                    copied.missing += 1 - is_same;
                }
                None => copied.missing += 1,
            }
        }
        copied.others += found.len() as u64;
    }
    for log in target {
        log?;
        copied.others += 1;
    }
    copied.source_checksum = source_sum.to_string();
    copied.target_checksum = target_sum.to_string();
    Ok(())
}

type Digest = [u8; 32];

/// Holds the part of a log that the comparison keeps. Many logs may be of one time, and each may be long.
struct Fingerprint {
    time: DateTime<Utc>,
    id: String,
    /// Holds the SHA-256 of the log as JSON.
    digest: Digest,
}

impl Fingerprint {
    fn new(log: &LogEntry) -> Self {
        Self {
            time: log.event_time,
            id: log.id.clone(),
            // Text and numbers always have a form in JSON.
            digest: Sha256::digest(serde_json::to_vec(log).unwrap_or_default()).into(),
        }
    }
}

fn time_of_next<I>(logs: &mut Peekable<I>) -> Result<Option<DateTime<Utc>>>
where
    I: Iterator<Item = Result<Fingerprint>>,
{
    match logs.next_if(Result::is_err) {
        Some(error) => error.map(|_| None),
        None => Ok(logs.peek().and_then(|log| log.as_ref().ok()).map(|log| log.time)),
    }
}

/// Returns the next logs while they are of a given time.
fn logs_at<I>(time: DateTime<Utc>, logs: &mut Peekable<I>) -> impl Iterator<Item = Result<Fingerprint>>
where
    I: Iterator<Item = Result<Fingerprint>>,
{
    let is_of_time = move |log: &Result<Fingerprint>| log.as_ref().map_or(true, |log| log.time == time);
    std::iter::from_fn(move || logs.next_if(is_of_time))
}

/// Sums digests; the order of the logs does not matter.
#[derive(Default)]
struct Checksum(u128);

impl Checksum {
    fn add(&mut self, digest: &Digest) {
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        self.0 = self.0.wrapping_add(u128::from_be_bytes(first));
    }
}

impl std::fmt::Display for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
