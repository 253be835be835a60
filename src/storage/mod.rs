//! The contract of a store, and the stores.
//!
//! The traits are small, object-safe and without default bodies. [`Store`] is all of them, and [`StoreExt`] adds
//! convenience methods.

mod copy;
mod cursor;
pub mod duckdb;
mod error;
mod fetcher;
mod field_report;
mod forward;
mod memory;
mod typed_id;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::models::{
    Alert, AlertEvent, AlertLog, AlertQuery, Counts, DetectionRule, Detections, Field, FilePosition,
    FileProgress, Filter, Hit, HitRange, IntelQuery, IntelSummary, LogEntry, LogKey, LogQuery, Lookback,
    RuleDay, RuleQuery, Suppression, ThreatIntel,
};

pub use crate::models::SoughtObservables;
pub use copy::{CopyOptions, CopyReport, copy_store};
pub use cursor::Cursor;
pub(crate) use cursor::SeenSnapshot;
pub use error::{Error, Result};
pub use fetcher::{Fetcher, LogBatch, StartPosition};
pub use field_report::{FieldReport, FieldSummary};
pub use memory::MemoryStore;
use typed_id::only_one;

/// Holds logs, in two orders: by time for queries, by commit for [`read_after`](Self::read_after).
pub trait LogStore: Send + Sync {
    /// Stores logs, all or none of them.
    ///
    /// A log with the event time and id of a stored one is not stored, and counts as a duplicate. So does a log that
    /// comes twice.
    ///
    /// When this returns, the logs are on disk and every later read sees them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if a log's fields are nested too deeply: see [`LogEntry::validate`].
    fn append_logs(&self, logs: &[LogEntry]) -> Result<AppendResult>;

    /// Returns a stream of the logs that a query wants, in its order.
    ///
    /// The stream reads on demand. It yields the logs that were there when this was called. It borrows nothing: it may
    /// outlive the handle, and go to another thread.
    fn scan_logs(&self, query: &LogQuery) -> Result<LogStream>;

    /// Returns a stream of the logs of a query that may hold one of some words, in its order.
    ///
    /// Each log that holds one, in any of its texts and in any letter case, is among them. Others may be: the store leaves
    /// out what it can tell at little cost. A word consists of letters and digits of ASCII. The query's limit
    /// counts all logs of the query.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if a word has other characters or none.
    fn scan_logs_with_words(&self, query: &LogQuery, words: &[String]) -> Result<LogStream>;

    /// Returns a stream of the logs of a query that may hold a certain observable, in its order.
    ///
    /// An observable is an address, a domain, a URL, an e-mail address or the digest of a file. Each log with one in its
    /// fields, its message or its line that is sought is among them. Others may be: the store leaves out what it can tell
    /// at little cost. The query's limit counts all logs of the query.
    fn scan_logs_with_observables(&self, query: &LogQuery, sought: &SoughtObservables) -> Result<LogStream>;

    /// Finds one log by its key.
    fn log(&self, key: &LogKey) -> Result<Option<LogEntry>>;

    /// Counts the logs that a query wants. The query's order, limit and page are ignored.
    fn count_logs(&self, query: &LogQuery) -> Result<u64>;

    /// Counts the logs that a query wants for each combination of values of some fields.
    ///
    /// The most frequent combination comes first; equally frequent ones are in the order of their values. The query's
    /// order, limit and page are ignored.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if a field is `any`, which has many values in a log.
    fn count_logs_by(&self, query: &LogQuery, fields: &[Field]) -> Result<Vec<GroupCount>>;

    /// Counts the logs that a query wants in each stretch of `width`, oldest first.
    ///
    /// Empty stretches are left out. Stretches start at multiples of the width since 1970 in UTC.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the width is less than a microsecond.
    fn histogram(&self, query: &LogQuery, width: TimeDelta) -> Result<Vec<TimeBucket>>;

    /// Returns the first logs after a cursor, in the order of their commits.
    ///
    /// Returns up to `limit` logs, and fewer if they are long. Returns none only if no log comes after the cursor.
    ///
    /// # Errors
    ///
    /// [`Error::Restored`] if a lake's catalog was restored from a backup since the cursor was read.
    fn read_after(&self, cursor: Cursor, limit: usize) -> Result<LogPage>;

    /// Returns the cursor after the last log that was committed.
    fn end_cursor(&self) -> Result<Cursor>;

    /// Deletes the logs from before a time, and returns their number.
    ///
    /// Cursors stay valid. The next [`commit`](ConsumerStore::commit) of a consumer counts the deleted logs that it had
    /// not read.
    fn delete_logs_before(&self, time: DateTime<Utc>) -> Result<u64>;

    /// Deletes the logs from before a time that pass a filter, as [`delete_logs_before`](Self::delete_logs_before)
    /// does.
    fn delete_matching_logs_before(&self, time: DateTime<Utc>, filter: &Filter) -> Result<u64>;

    /// Counts what the store holds.
    fn stats(&self) -> Result<Stats>;
}

/// Holds alerts, by their ids.
pub trait AlertStore: Send + Sync {
    /// Stores alerts, all or none of them, and returns how many are new.
    ///
    /// An alert whose id is already there stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if an alert lacks a required field: see [`Alert::validate`].
    fn store_alerts(&self, alerts: &[Alert]) -> Result<u64>;

    /// Finds one alert by its id.
    fn alert(&self, id: &str) -> Result<Option<Alert>>;

    /// Returns the alerts that a query wants, in its order.
    fn fetch_alerts(&self, query: &AlertQuery) -> Result<Vec<Alert>>;

    /// Marks alerts as acknowledged, all or none of them. A repeated call changes nothing.
    ///
    /// Those whose status is new are then in progress.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such alert.
    fn acknowledge_alerts(&self, ids: &[&str]) -> Result<()>;

    /// Changes alerts as an event says, and appends it to their histories: all of it or nothing.
    ///
    /// An event that an alert has already changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such alert, [`Error::InvalidInput`] if the event is a note without a text.
    fn update_alerts(&self, ids: &[&str], event: &AlertEvent) -> Result<()>;

    /// Returns the events of some alerts, each with the id of its alert, in the order of these ids, the earliest first.
    fn alert_events(&self, ids: &[&str]) -> Result<Vec<(String, AlertEvent)>>;

    /// Returns the ids of the alerts that wait for their delivery to a receiver: their histories have
    /// [`AwaitDelivery`](crate::alerts::AlertAction::AwaitDelivery) by it, and no
    /// [`Deliver`](crate::alerts::AlertAction::Deliver).
    ///
    /// Those with fewer failures come first, and then those that have waited longer.
    fn undelivered_alerts(&self, receiver: &str) -> Result<Vec<String>>;

    /// Returns the logs of some alerts, each with the id of its alert, in the order of these ids, the earliest first.
    ///
    /// These are the 100 earliest logs of each alert and the latest, by event time and id. They may have been deleted
    /// since. An alert of a caller's own detector has none: it names one log itself.
    fn alert_logs(&self, ids: &[&str]) -> Result<Vec<(String, LogKey)>>;

    /// Deletes the resolved alerts that were last changed before a time, with their histories, and returns their number.
    ///
    /// A match that is delivered again afterwards raises its alert again.
    fn delete_resolved_alerts_before(&self, time: DateTime<Utc>) -> Result<u64>;
}

/// Holds what detectors of rules find: matches counted into alerts, hits for correlations, and suppressions.
pub trait DetectionStore: Send + Sync {
    /// Counts matches into alerts, stores hits, and moves a consumer from one position to another: all or nothing.
    ///
    /// A match is counted once, by its rule and its log. Any order and any batches of the same matches give alerts with
    /// the same ids, counts, times and logs. A match whose alert an analyst has resolved raises an alert of the next
    /// generation.
    ///
    /// A hit that is stored already is not stored again.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if the consumer is not at `from`, as when another process has its name.
    /// [`Error::InvalidInput`] if a match cannot be stored: see [`Match::validate`](crate::alerts::Match::validate).
    fn commit_detections(
        &self,
        consumer: &str,
        from: Option<Cursor>,
        to: Cursor,
        detections: &Detections,
    ) -> Result<CommitResult>;

    /// Counts matches into alerts and stores hits, as a hunt over stored logs does. No position moves.
    ///
    /// New alerts are marked as found later. The mark goes when a consumer finds one of their matches.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if a match cannot be stored.
    fn store_detections(&self, detections: &Detections) -> Result<CommitResult>;

    /// Returns how far a consumer has looked back for intelligence; `None` if it never has.
    fn lookback(&self, consumer: &str) -> Result<Option<Lookback>>;

    /// Counts matches into alerts as [`store_detections`](Self::store_detections) does, and moves on how far a consumer
    /// has looked back: all or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if the consumer has not looked back as far as `from`, as when another process has its name.
    fn commit_lookback(
        &self,
        consumer: &str,
        from: Option<&Lookback>,
        to: &Lookback,
        detections: &Detections,
    ) -> Result<CommitResult>;

    /// Returns the hits in some ranges, each once, in the order of correlation, group, event time and log id.
    fn hits(&self, ranges: &[HitRange]) -> Result<Vec<Hit>>;

    /// Returns up to `limit` hits from a time on, in the order of event time.
    fn hits_since(&self, since: Option<DateTime<Utc>>, limit: u64) -> Result<Vec<Hit>>;

    /// Returns all logs of some alerts, those that are counted and those that led to them, in no order.
    ///
    /// [`AlertStore::alert_logs`] returns those that an analyst wants.
    fn detected_logs(&self, alerts: &[&str]) -> Result<Vec<AlertLog>>;

    /// Stores logs of alerts, as another store holds them. They change no alert. One that is stored already is not
    /// stored again.
    fn store_detected_logs(&self, logs: &[AlertLog]) -> Result<()>;

    /// Counts what each rule found on each day of event time, from a time on, in the order of rules and days.
    fn rule_days(&self, since: Option<DateTime<Utc>>) -> Result<Vec<RuleDay>>;

    /// Deletes the hits from before a time, and returns their number.
    ///
    /// It also forgets which logs are counted in alerts whose windows end by then, but for those that the alerts keep.
    /// So these alerts count no further matches: a commit returns the number of matches that come too late.
    fn delete_hits_before(&self, time: DateTime<Utc>) -> Result<u64>;

    /// Adds a suppression for the matches of later commits. One with the id of a stored one changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if it has no reason, or would suppress everything.
    fn add_suppression(&self, suppression: &Suppression) -> Result<()>;

    /// Returns all suppressions, the earliest first.
    fn suppressions(&self) -> Result<Vec<Suppression>>;

    /// Removes suppressions, all or none of them. Alerts keep their status.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such suppression.
    fn remove_suppressions(&self, ids: &[&str]) -> Result<()>;
}

/// Holds reading positions of named consumers, committed together with their alerts.
pub trait ConsumerStore: Send + Sync {
    /// Returns the position of a consumer; `None` if it never committed.
    fn position(&self, consumer: &str) -> Result<Option<Cursor>>;

    /// Returns the position of every consumer that has ever committed, in the order of their names.
    fn positions(&self) -> Result<Vec<(String, Cursor)>>;

    /// Stores alerts and moves a consumer from one position to another, both or neither.
    ///
    /// The alerts are stored as [`AlertStore::store_alerts`] does.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if the consumer is not at `from`, as when another process has its name.
    fn commit(
        &self,
        consumer: &str,
        from: Option<Cursor>,
        to: Cursor,
        alerts: &[Alert],
    ) -> Result<CommitResult>;
}

/// Holds reading positions of files, committed together with the logs read from them.
pub trait IngestStore: Send + Sync {
    /// Returns the positions of all files that were ever read, in the order of their ids.
    fn file_positions(&self) -> Result<Vec<FilePosition>>;

    /// Stores logs and moves on the positions of the files that they were read from, both or neither.
    ///
    /// The logs are stored as [`LogStore::append_logs`] does.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if a file's position is not what its progress starts from. This happens when another process
    /// reads the file into this store.
    fn append_logs_from_files(&self, logs: &[LogEntry], files: &[FileProgress]) -> Result<AppendResult>;
}

/// Holds threat intelligence, by its ids.
pub trait IntelStore: Send + Sync {
    /// Stores threat intelligence, all or none of it, and replaces pieces with the same id.
    ///
    /// Of several pieces with one id the last counts.
    fn upsert_intel(&self, intel: &[ThreatIntel]) -> Result<()>;

    /// Returns the threat intelligence that a query wants, in the order of its ids.
    fn fetch_intel(&self, query: &IntelQuery) -> Result<Vec<ThreatIntel>>;

    /// Gives threat intelligence to `take`, piece by piece and in no order: what logs are compared with of it. It comes
    /// from the imports after one; 0 gives all of it.
    ///
    /// This takes much less time and memory than to fetch it. After an error, some pieces have been given.
    fn read_intel(&self, after: u64, take: &mut dyn FnMut(IntelSummary<'_>)) -> Result<()>;

    /// Returns the number of the last import that added intelligence; 0 if none has.
    ///
    /// Each call of [`upsert_intel`](Self::upsert_intel) and [`replace_intel`](Self::replace_intel) is an import, with a
    /// greater number than all before. An indicator that is stored already belongs to the import that added it, unless
    /// it had expired or was [benign](crate::feeds::BENIGN) until then.
    fn last_import(&self) -> Result<u64>;

    /// Stores what a source says now, all or none of it, and lets what it says no longer expire at a time.
    ///
    /// That is the intelligence of the source with other ids, unless it expires earlier. Returns the number of those.
    fn replace_intel(&self, source: &str, intel: &[ThreatIntel], time: DateTime<Utc>) -> Result<u64>;

    /// Returns a number that is another one when the threat intelligence is.
    ///
    /// It takes much less time than to fetch all of it. Another store or program gives another number.
    fn intel_version(&self) -> Result<u64>;

    /// Deletes the threat intelligence that has expired at a time, and returns the number of pieces.
    fn expire_intel(&self, time: DateTime<Utc>) -> Result<u64>;
}

/// Holds detection rules, by their ids.
pub trait RuleStore: Send + Sync {
    /// Stores rules, all or none of them, and replaces those with the same id.
    ///
    /// A replaced rule keeps its creation time. Of several rules with one id the last counts.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if a rule lacks a required field.
    fn upsert_rules(&self, rules: &[DetectionRule]) -> Result<()>;

    /// Returns the rules that a query wants, in the order of their ids.
    fn fetch_rules(&self, query: &RuleQuery) -> Result<Vec<DetectionRule>>;

    /// Lets detectors apply rules: all of them, or none if one is unknown.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such rule.
    fn enable_rules(&self, ids: &[&str]) -> Result<()>;

    /// Keeps detectors from applying rules: all of them, or none if one is unknown.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such rule.
    fn disable_rules(&self, ids: &[&str]) -> Result<()>;
}

/// Combines everything that a store does.
pub trait Store:
    LogStore + AlertStore + DetectionStore + ConsumerStore + IngestStore + IntelStore + RuleStore
{
}

impl<S> Store for S where
    S: LogStore + AlertStore + DetectionStore + ConsumerStore + IngestStore + IntelStore + RuleStore + ?Sized
{
}

/// Adds convenience methods to every [`Store`].
///
/// ```
/// use logstore::{LogEntry, LogStore, MemoryStore, StoreExt};
///
/// let store = MemoryStore::new();
/// store.append_logs(&[LogEntry::new(chrono::Utc::now()).with_message("hello")])?;
/// assert_eq!(store.fetch_recent_logs(chrono::TimeDelta::minutes(1))?.len(), 1);
/// # Ok::<(), logstore::Error>(())
/// ```
pub trait StoreExt: Store {
    /// Returns the logs that a query wants, all of them in memory.
    fn fetch_logs(&self, query: &LogQuery) -> Result<Vec<LogEntry>> {
        self.scan_logs(query)?.collect()
    }

    /// Returns the logs of the last `within`, newest first.
    fn fetch_recent_logs(&self, within: TimeDelta) -> Result<Vec<LogEntry>> {
        self.fetch_logs(&LogQuery::new().since(within))
    }

    /// Finds logs by the text of a [`LogKey`], or by an id alone.
    ///
    /// For an id, all logs are searched. Logs of several times may have one id; the newest comes first.
    fn find_logs(&self, typed: &str) -> Result<Vec<LogEntry>> {
        let by_key = match typed.parse::<LogKey>() {
            Ok(key) => self.log(&key)?,
            Err(_) => None,
        };
        match by_key {
            Some(log) => Ok(vec![log]),
            None => self.fetch_logs(&LogQuery::new().equals("id", typed)?),
        }
    }

    /// Finds one alert by its id, or by the beginning of its id.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if no id begins so, [`Error::InvalidInput`] if several do, or if it has fewer than four
    /// characters.
    fn find_alert(&self, typed: &str) -> Result<Alert> {
        match self.alert(typed)? {
            Some(alert) => Ok(alert),
            None => {
                let query = AlertQuery::new().id_prefix(typed).limit(2);
                only_one("alert", typed, self.fetch_alerts(&query)?)
            }
        }
    }

    /// Finds one rule by its id, or by the beginning of its id.
    ///
    /// # Errors
    ///
    /// Those of [`find_alert`](Self::find_alert).
    fn find_rule(&self, typed: &str) -> Result<DetectionRule> {
        match self.fetch_rules(&RuleQuery::new().id(typed))?.pop() {
            Some(rule) => Ok(rule),
            None => only_one(
                "rule",
                typed,
                self.fetch_rules(&RuleQuery::new().id_prefix(typed))?,
            ),
        }
    }

    /// Finds one suppression by its id, or by the beginning of its id.
    ///
    /// # Errors
    ///
    /// Those of [`find_alert`](Self::find_alert).
    fn find_suppression(&self, typed: &str) -> Result<Suppression> {
        let mut found = self.suppressions()?;
        found.retain(|suppression| suppression.id.starts_with(typed));
        match found.iter().position(|suppression| suppression.id == typed) {
            Some(place) => Ok(found.swap_remove(place)),
            None => only_one("suppression", typed, found),
        }
    }

    /// Stores one alert. An alert whose id is already there stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the alert lacks a required field.
    fn store_alert(&self, alert: &Alert) -> Result<()> {
        self.store_alerts(std::slice::from_ref(alert)).map(drop)
    }
}

impl<S: Store + ?Sized> StoreExt for S {}

/// Describes the outcome of an [`append_logs`](LogStore::append_logs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AppendResult {
    /// Counts the logs that were new.
    pub stored: u64,
    /// Counts the logs that were already there.
    pub duplicates: u64,
}

/// Describes the outcome of a [`commit`](ConsumerStore::commit), or of [detections](DetectionStore::commit_detections).
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct CommitResult {
    /// Counts the alerts that were new, suppressed ones among them.
    pub stored: u64,
    /// Counts the matches that were new: each is counted in one alert.
    pub counted: u64,
    /// Counts those of them that a suppression covers.
    pub suppressed: u64,
    /// Counts the matches that were counted before.
    pub repeated: u64,
    /// Counts the matches that came too late: it is forgotten which logs their alerts have counted.
    pub late: u64,
    /// Counts the logs deleted since the consumer's last commit that it had not read by then.
    pub missed: u64,
    /// Holds the alerts that a commit of detections has raised, suppressed ones among them.
    pub raised: Vec<Alert>,
}

impl CommitResult {
    /// Returns the outcome of a commit of matches, which has raised some alerts.
    pub(crate) fn of_counts(counts: Counts, raised: Vec<Alert>) -> Self {
        Self {
            stored: counts.new,
            counted: counts.counted,
            suppressed: counts.suppressed,
            repeated: counts.repeated,
            late: counts.late,
            missed: 0,
            raised,
        }
    }

    /// Returns the outcome of a commit of alerts.
    pub(crate) fn of_alerts(stored: u64, missed: u64) -> Self {
        Self {
            stored,
            missed,
            ..Self::default()
        }
    }
}

/// Yields logs, read on demand.
///
/// ```
/// use std::sync::Arc;
/// use logstore::{LogEntry, LogQuery, LogStore, MemoryStore, Store};
/// use logstore::storage::LogStream;
///
/// let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
/// store.append_logs(&[LogEntry::new(chrono::Utc::now())])?;
/// let logs: LogStream = store.scan_logs(&LogQuery::new())?;
/// drop(store);
/// let thread = std::thread::spawn(move || logs.count());
/// assert_eq!(thread.join().unwrap(), 1);
/// # Ok::<(), logstore::Error>(())
/// ```
pub struct LogStream(Box<dyn Iterator<Item = Result<LogEntry>> + Send>);

impl LogStream {
    /// Returns a stream of the items of an iterator.
    pub fn new(logs: impl Iterator<Item = Result<LogEntry>> + Send + 'static) -> Self {
        Self(Box::new(logs))
    }
}

impl Iterator for LogStream {
    type Item = Result<LogEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl std::fmt::Debug for LogStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogStream")
    }
}

/// Says how many logs have a combination of values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupCount {
    /// Holds the values, in the order of the requested fields; `None` means that the logs have no value.
    pub values: Vec<Option<String>>,
    /// Counts the logs with these values.
    pub count: u64,
}

/// Says how many logs fall into a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TimeBucket {
    /// Holds the start of the stretch.
    pub start: DateTime<Utc>,
    /// Counts the logs of the stretch.
    pub count: u64,
}

/// Holds logs in the order of their commits, and the cursor to go on from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LogPage {
    /// Holds the logs.
    pub logs: Vec<LogEntry>,
    /// Holds the cursor after them.
    pub next: Cursor,
    /// Says that no commit follows them. A page of long logs has fewer logs than were asked for, and others follow.
    pub is_last: bool,
}

impl LogPage {
    /// Makes a page without logs, the last one.
    pub fn empty(next: Cursor) -> Self {
        Self {
            logs: Vec::new(),
            next,
            is_last: true,
        }
    }
}

/// Holds the statistics of a store.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Names the location of the store.
    pub location: String,
    /// Names the engine of the store, with its version.
    pub engine: String,
    /// Holds the version of its schema.
    pub schema_version: i64,
    /// Names the folder or bucket of a lake's data files; `None` for any other store.
    pub data_path: Option<String>,
    /// Counts the bytes on disk; `None` for a store in memory. Of a lake, only its data files count.
    pub bytes_on_disk: Option<u64>,
    /// Counts the logs that the store holds.
    pub logs: u64,
    /// Holds the time of the oldest log.
    pub oldest_log: Option<DateTime<Utc>>,
    /// Holds the time of the newest log.
    pub newest_log: Option<DateTime<Utc>>,
    /// Counts the logs without a time of their own, which have that of another line or of their file.
    pub logs_without_time: u64,
    /// Names the files that most of those logs are from, the most first, up to [`FileLogs::MOST`] files.
    pub files_without_time: Vec<FileLogs>,
    /// Counts the alerts that the store holds.
    pub alerts: u64,
    /// Counts the alerts that are not acknowledged.
    pub unacknowledged_alerts: u64,
    /// Counts the pieces of threat intelligence that the store holds.
    pub threat_intel: u64,
    /// Counts the detection rules that the store holds.
    pub detection_rules: u64,
    /// Counts the named consumers that read from the store.
    pub consumers: u64,
}

/// Says how many logs are from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FileLogs {
    /// Names the file; `None` for logs that were not read from one.
    pub file: Option<String>,
    /// Counts the logs from it.
    pub logs: u64,
}

impl FileLogs {
    /// Limits the number of files that [`Stats`] names.
    pub const MOST: usize = 5;
}

/// Returns the start of the stretch of `width` microseconds that holds a time.
pub(crate) fn bucket_start(time: DateTime<Utc>, width: i64) -> DateTime<Utc> {
    let micros = time.timestamp_micros();
    let start = micros.saturating_sub(micros.rem_euclid(width));
    DateTime::from_timestamp_micros(start).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// Returns the width of a histogram's stretches in microseconds.
pub(crate) fn width_micros(width: TimeDelta) -> Result<i64> {
    width
        .num_microseconds()
        .filter(|micros| *micros > 0)
        .ok_or_else(|| {
            let reason = "use at least a microsecond";
            crate::models::InvalidValue::new("width of a histogram", &width.to_string(), reason).into()
        })
}

/// Returns the error of a commit from a position that is not the consumer's.
pub(crate) fn consumer_conflict(consumer: &str, expected: Option<Cursor>, actual: Option<Cursor>) -> Error {
    conflict("consumer", consumer, expected, actual)
}

/// Returns the error of a commit from another state than that of the consumer.
pub(crate) fn lookback_conflict(
    consumer: &str,
    expected: Option<&Lookback>,
    actual: Option<&Lookback>,
) -> Error {
    conflict("consumer", consumer, expected, actual)
}

/// Returns the error of progress from a position that is not the file's.
pub(crate) fn file_conflict(progress: &FileProgress, actual: Option<u64>) -> Error {
    conflict("file", &progress.to.path, progress.from, actual)
}

fn conflict<P: std::fmt::Display>(
    what: &'static str,
    name: &str,
    expected: Option<P>,
    actual: Option<P>,
) -> Error {
    let text = |position: Option<P>| position.map_or("none".to_owned(), |position| position.to_string());
    Error::Conflict {
        what,
        name: name.to_owned(),
        expected: text(expected),
        actual: text(actual),
    }
}
