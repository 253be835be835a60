//! A store in plain Rust: the specification for every other store, and a test double.

mod alerts;
mod detections;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    AppendResult, CommitResult, ConsumerStore, Cursor, Error, FileLogs, GroupCount, IngestStore, IntelStore,
    LogPage, LogStore, LogStream, Result, RuleStore, SoughtObservables, Stats, TimeBucket, bucket_start,
    width_micros,
};
use crate::models::{
    Alert, AlertEvent, AlertLog, DetectionRule, Field, FilePosition, FileProgress, Filter, Hit, IntelQuery,
    IntelSummary, LogEntry, LogKey, LogQuery, Lookback, Order, RuleQuery, Suppression, TIME_SOURCE,
    ThreatIntel, now, to_micros,
};
use crate::sync::lock;

/// Holds a store in memory, which ends when it is dropped.
///
/// ```
/// use logstore::{LogEntry, LogQuery, LogStore, MemoryStore};
///
/// let store = MemoryStore::new();
/// let log = LogEntry::new(chrono::Utc::now());
/// store.append_logs(&[log.clone(), log])?;
/// assert_eq!(store.count_logs(&LogQuery::new())?, 1);
/// # Ok::<(), logstore::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default, Clone)]
struct State {
    /// Holds the logs in the order of their commits.
    logs: Vec<(i64, LogEntry)>,
    keys: HashSet<(DateTime<Utc>, String)>,
    last_seq: i64,
    alerts: BTreeMap<String, Alert>,
    alert_logs: BTreeSet<AlertLog>,
    /// Holds the events of alerts in the order in which they were stored, each with the id of its alert.
    alert_events: Vec<(String, AlertEvent)>,
    suppressions: BTreeMap<String, Suppression>,
    hits: BTreeSet<Hit>,
    consumers: BTreeMap<String, Consumer>,
    files: BTreeMap<String, FilePosition>,
    intel: BTreeMap<String, ThreatIntel>,
    /// Holds the number of the import that added each piece.
    imports: HashMap<String, u64>,
    last_import: u64,
    lookbacks: BTreeMap<String, Lookback>,
    rules: BTreeMap<String, DetectionRule>,
}

#[derive(Debug, Clone, Copy)]
struct Consumer {
    position: Cursor,
    missed: u64,
}

impl MemoryStore {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the state. Every method leaves it whole before anything can panic.
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Stores intelligence, and notes which import added it.
    fn import(&mut self, intel: &[ThreatIntel]) {
        let import = self.last_import + 1;
        for intel in intel {
            let known = self.intel.insert(intel.id.clone(), intel.clone());
            if known.is_none_or(|known| intel.adds_to(&known)) {
                self.imports.insert(intel.id.clone(), import);
                self.last_import = import;
            }
        }
    }

    fn append(&mut self, log: &LogEntry) -> bool {
        let mut log = log.clone();
        log.event_time = to_micros(log.event_time);
        log.ingestion_time = to_micros(log.ingestion_time);
        let is_new = self.keys.insert((log.event_time, log.id.clone()));
        if is_new {
            self.last_seq += 1;
            self.logs.push((self.last_seq, log));
        }
        is_new
    }

    fn append_all(&mut self, logs: &[LogEntry]) -> AppendResult {
        let mut appended = AppendResult::default();
        for log in logs {
            if self.append(log) {
                appended.stored += 1;
            } else {
                appended.duplicates += 1;
            }
        }
        appended
    }

    fn matching<'a>(&'a self, query: &'a LogQuery) -> impl Iterator<Item = &'a LogEntry> {
        let logs = self.logs.iter().map(|(_, log)| log);
        logs.filter(|log| query.matches(log))
    }
}

fn limited<T>(items: impl Iterator<Item = T>, limit: Option<u64>) -> Vec<T> {
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    items.take(limit).collect()
}

impl LogStore for MemoryStore {
    fn append_logs(&self, logs: &[LogEntry]) -> Result<AppendResult> {
        logs.iter().try_for_each(LogEntry::validate)?;
        Ok(self.state().append_all(logs))
    }

    fn scan_logs(&self, query: &LogQuery) -> Result<LogStream> {
        let state = self.state();
        let mut logs: Vec<_> = state.logs.iter().collect();
        // Logs are in commit order, which a stable sort keeps among equal times.
        logs.sort_by_key(|(_, log)| log.event_time);
        if query.order != Order::OldestFirst {
            logs.reverse();
        }
        let first = query
            .after
            .as_ref()
            .map_or(0, |key| first_after(&logs, key, query.order));
        let logs = logs.into_iter().skip(first).map(|(_, log)| log);
        let wanted = logs.filter(|log| query.matches(log)).cloned();
        let logs = limited(wanted, query.limit);
        Ok(LogStream::new(logs.into_iter().map(Ok)))
    }

    fn scan_logs_with_words(&self, query: &LogQuery, _words: &[String]) -> Result<LogStream> {
        // To look for words takes as long as to look at the logs.
        self.scan_logs(query)
    }

    fn scan_logs_with_observables(&self, query: &LogQuery, _sought: &SoughtObservables) -> Result<LogStream> {
        self.scan_logs(query)
    }

    fn log(&self, key: &LogKey) -> Result<Option<LogEntry>> {
        let state = self.state();
        let mut logs = state.logs.iter().map(|(_, log)| log);
        Ok(logs.find(|log| log.key() == *key).cloned())
    }

    fn count_logs(&self, query: &LogQuery) -> Result<u64> {
        Ok(self.state().matching(query).count() as u64)
    }

    fn count_logs_by(&self, query: &LogQuery, fields: &[Field]) -> Result<Vec<GroupCount>> {
        fields.iter().try_for_each(Field::check_single)?;
        let state = self.state();
        let mut counts: BTreeMap<Vec<Option<String>>, u64> = BTreeMap::new();
        for log in state.matching(query) {
            let values = fields.iter().map(|field| Some(field.text_in(log)?.into_owned()));
            *counts.entry(values.collect()).or_default() += 1;
        }
        let mut groups: Vec<_> = counts
            .into_iter()
            .map(|(values, count)| GroupCount { values, count })
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        Ok(groups)
    }

    fn histogram(&self, query: &LogQuery, width: TimeDelta) -> Result<Vec<TimeBucket>> {
        let width = width_micros(width)?;
        let mut counts: BTreeMap<DateTime<Utc>, u64> = BTreeMap::new();
        for log in self.state().matching(query) {
            *counts.entry(bucket_start(log.event_time, width)).or_default() += 1;
        }
        let buckets = counts
            .into_iter()
            .map(|(start, count)| TimeBucket { start, count });
        Ok(buckets.collect())
    }

    fn read_after(&self, cursor: Cursor, limit: usize) -> Result<LogPage> {
        let state = self.state();
        let after = state.logs.partition_point(|(seq, _)| *seq <= cursor.seq());
        let read = || state.logs[after..].iter().take(limit);
        let next = read().next_back().map_or(cursor, |(seq, _)| Cursor::after(*seq));
        let logs: Vec<LogEntry> = read().map(|(_, log)| log.clone()).collect();
        Ok(LogPage {
            is_last: logs.is_empty() || next.seq() >= state.last_seq,
            logs,
            next,
        })
    }

    fn end_cursor(&self) -> Result<Cursor> {
        Ok(Cursor::after(self.state().last_seq))
    }

    fn delete_logs_before(&self, time: DateTime<Utc>) -> Result<u64> {
        self.delete_matching_logs_before(time, &Filter::default())
    }

    fn delete_matching_logs_before(&self, time: DateTime<Utc>, filter: &Filter) -> Result<u64> {
        let state = &mut *self.state();
        let is_deleted = |log: &LogEntry| log.event_time < time && filter.matches(log);
        let (deleted, kept) = std::mem::take(&mut state.logs)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, log)| is_deleted(log));
        state.logs = kept;
        for (seq, log) in &deleted {
            state.keys.remove(&(log.event_time, log.id.clone()));
            for consumer in state.consumers.values_mut() {
                consumer.missed += u64::from(*seq > consumer.position.seq());
            }
        }
        Ok(deleted.len() as u64)
    }

    fn stats(&self) -> Result<Stats> {
        let state = self.state();
        let times = || state.logs.iter().map(|(_, log)| log.event_time);
        let new = state.alerts.values().filter(|alert| !alert.acknowledged);
        let mut without_time: BTreeMap<Option<String>, u64> = BTreeMap::new();
        let logs = state.logs.iter().map(|(_, log)| log);
        for log in logs.filter(|log| log.metadata.contains_key(TIME_SOURCE)) {
            *without_time.entry(log.file.clone()).or_default() += 1;
        }
        Ok(Stats {
            location: "memory".into(),
            engine: "logstore memory".into(),
            schema_version: 0,
            data_path: None,
            bytes_on_disk: None,
            logs: state.logs.len() as u64,
            oldest_log: times().min(),
            newest_log: times().max(),
            logs_without_time: without_time.values().sum(),
            files_without_time: files_with_most(without_time),
            alerts: state.alerts.len() as u64,
            unacknowledged_alerts: new.count() as u64,
            threat_intel: state.intel.len() as u64,
            detection_rules: state.rules.len() as u64,
            consumers: state.consumers.len() as u64,
        })
    }
}

/// Returns the index of the first log after a key. If the key's log is gone, all logs of its time are skipped.
fn first_after(logs: &[&(i64, LogEntry)], key: &LogKey, order: Order) -> usize {
    let found = logs.iter().position(|(_, log)| log.key() == *key);
    let next = found.map(|index| index + 1);
    next.unwrap_or_else(|| {
        logs.partition_point(|(_, log)| match order {
            Order::NewestFirst | Order::Any => log.event_time >= key.event_time,
            Order::OldestFirst => log.event_time <= key.event_time,
        })
    })
}

/// Returns the files that most logs are from.
fn files_with_most(files: BTreeMap<Option<String>, u64>) -> Vec<FileLogs> {
    let mut files: Vec<_> = files
        .into_iter()
        .map(|(file, logs)| FileLogs { file, logs })
        .collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.logs));
    files.truncate(FileLogs::MOST);
    files
}

impl ConsumerStore for MemoryStore {
    fn position(&self, consumer: &str) -> Result<Option<Cursor>> {
        let state = self.state();
        Ok(state.consumers.get(consumer).map(|consumer| consumer.position))
    }

    fn positions(&self) -> Result<Vec<(String, Cursor)>> {
        let state = self.state();
        let consumers = state.consumers.iter();
        Ok(consumers
            .map(|(name, consumer)| (name.clone(), consumer.position))
            .collect())
    }

    fn commit(
        &self,
        consumer: &str,
        from: Option<Cursor>,
        to: Cursor,
        alerts: &[Alert],
    ) -> Result<CommitResult> {
        alerts.iter().try_for_each(Alert::validate)?;
        let mut state = self.state();
        let missed = state.move_consumer(consumer, from, to)?;
        Ok(CommitResult::of_alerts(state.store_alerts(alerts), missed))
    }
}

impl State {
    /// Moves a consumer, and returns how many logs it has missed.
    fn move_consumer(&mut self, consumer: &str, from: Option<Cursor>, to: Cursor) -> Result<u64> {
        let held = self.consumers.get(consumer).copied();
        let actual = held.map(|held| held.position);
        if actual != from {
            return Err(super::consumer_conflict(consumer, from, actual));
        }
        let moved = Consumer {
            position: to,
            missed: 0,
        };
        self.consumers.insert(consumer.to_owned(), moved);
        Ok(held.map_or(0, |held| held.missed))
    }
}

impl IngestStore for MemoryStore {
    fn file_positions(&self) -> Result<Vec<FilePosition>> {
        Ok(self.state().files.values().cloned().collect())
    }

    fn append_logs_from_files(&self, logs: &[LogEntry], files: &[FileProgress]) -> Result<AppendResult> {
        logs.iter().try_for_each(LogEntry::validate)?;
        let mut state = self.state();
        let mut moved = state.files.clone();
        for progress in files {
            let actual = moved.get(&progress.to.id).map(|position| position.bytes);
            if actual != progress.from {
                return Err(super::file_conflict(progress, actual));
            }
            moved.insert(progress.to.id.clone(), progress.to.clone());
        }
        state.files = moved;
        Ok(state.append_all(logs))
    }
}

impl IntelStore for MemoryStore {
    fn upsert_intel(&self, intel: &[ThreatIntel]) -> Result<()> {
        intel.iter().try_for_each(ThreatIntel::validate)?;
        let mut state = self.state();
        state.import(intel);
        Ok(())
    }

    fn fetch_intel(&self, query: &IntelQuery) -> Result<Vec<ThreatIntel>> {
        let state = self.state();
        let intel = state.intel.values().filter(|intel| query.matches(intel));
        Ok(limited(intel.cloned(), query.limit))
    }

    fn read_intel(&self, after: u64, take: &mut dyn FnMut(IntelSummary<'_>)) -> Result<()> {
        let state = self.state();
        let is_wanted = |intel: &&ThreatIntel| {
            after == 0 || state.imports.get(&intel.id).is_some_and(|import| *import > after)
        };
        let wanted = state.intel.values().filter(is_wanted);
        wanted.for_each(|intel| take(IntelSummary::from(intel)));
        Ok(())
    }

    fn last_import(&self) -> Result<u64> {
        Ok(self.state().last_import)
    }

    fn replace_intel(&self, source: &str, intel: &[ThreatIntel], time: DateTime<Utc>) -> Result<u64> {
        intel.iter().try_for_each(ThreatIntel::validate)?;
        let time = to_micros(time);
        let said: HashSet<&str> = intel.iter().map(|intel| intel.id.as_str()).collect();
        let mut state = self.state();
        let is_unsaid = |intel: &&mut ThreatIntel| {
            intel.source == source
                && !said.contains(intel.id.as_str())
                && intel.expires_at.is_none_or(|expiry| time < expiry)
        };
        let mut expired = 0;
        for intel in state.intel.values_mut().filter(is_unsaid) {
            intel.expires_at = Some(time);
            expired += 1;
        }
        state.import(intel);
        Ok(expired)
    }

    fn intel_version(&self) -> Result<u64> {
        let mut hasher = DefaultHasher::new();
        for intel in self.state().intel.values() {
            intel.id.hash(&mut hasher);
            intel.threat_type.hash(&mut hasher);
            intel.confidence.to_bits().hash(&mut hasher);
            (intel.created_at, intel.expires_at).hash(&mut hasher);
        }
        Ok(hasher.finish())
    }

    fn expire_intel(&self, time: DateTime<Utc>) -> Result<u64> {
        let mut state = self.state();
        let before = state.intel.len();
        state
            .intel
            .retain(|_, intel| intel.expires_at.is_none_or(|expiry| time < expiry));
        Ok((before - state.intel.len()) as u64)
    }
}

impl RuleStore for MemoryStore {
    fn upsert_rules(&self, rules: &[DetectionRule]) -> Result<()> {
        rules.iter().try_for_each(DetectionRule::validate)?;
        let mut state = self.state();
        for rule in rules {
            let created_at = state
                .rules
                .get(&rule.id)
                .map_or(rule.created_at, |held| held.created_at);
            let rule = DetectionRule {
                created_at,
                ..rule.clone()
            };
            state.rules.insert(rule.id.clone(), rule);
        }
        Ok(())
    }

    fn fetch_rules(&self, query: &RuleQuery) -> Result<Vec<DetectionRule>> {
        let state = self.state();
        Ok(state
            .rules
            .values()
            .filter(|rule| query.matches(rule))
            .cloned()
            .collect())
    }

    fn enable_rules(&self, ids: &[&str]) -> Result<()> {
        self.switch_rules(ids, true)
    }

    fn disable_rules(&self, ids: &[&str]) -> Result<()> {
        self.switch_rules(ids, false)
    }
}

impl MemoryStore {
    fn switch_rules(&self, ids: &[&str], enabled: bool) -> Result<()> {
        let mut state = self.state();
        if let Some(unknown) = ids.iter().find(|id| !state.rules.contains_key(**id)) {
            return Err(Error::NotFound {
                what: "rule",
                name: (*unknown).to_owned(),
            });
        }
        let now = to_micros(now());
        for id in ids {
            if let Some(rule) = state.rules.get_mut(*id) {
                (rule.enabled, rule.updated_at) = (enabled, now);
            }
        }
        Ok(())
    }
}
