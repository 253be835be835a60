//! Polling a store for new logs, written against the traits alone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{AlertStore, CommitResult, ConsumerStore, Cursor, DetectionStore, Error, LogStore, Result};
use crate::backoff::Doubling;
use crate::models::{Alert, Detections, LogEntry, LogQuery};
use crate::stop::StopHandle;
use crate::sync::lock;

/// Says where a [`Fetcher`] begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartPosition {
    /// Begins at the first log that the store holds.
    #[default]
    Earliest,
    /// Begins after the last log that was committed before the first poll.
    Latest,
    /// Begins after a cursor.
    After(Cursor),
}

/// Yields the new logs of a store without end, in the order of their commits, none lost and none twice.
///
/// It reads the logs that are there, then polls at an interval: see [`every`](Self::every). It yields an error and
/// retries the poll, with growing delays while the poll keeps failing. The iterator ends only when it is
/// [stopped](Self::stop_handle).
///
/// The catalog of a lake may be restored from a backup meanwhile. The fetcher then yields [`Error::Restored`]. A named
/// consumer goes on from the position that the restored catalog holds. Without a name, each poll yields the error.
///
/// ```
/// use std::time::Duration;
/// use logstore::{Alert, Fetcher, LogEntry, LogStore, MemoryStore, Severity};
///
/// let store = MemoryStore::new();
/// store.append_logs(&[LogEntry::new(chrono::Utc::now()).with_message("Failed password for root")])?;
///
/// let fetcher = Fetcher::new(&store).consumer("brute-force").every(Duration::from_secs(60));
/// let stop = fetcher.stop_handle();
/// for batch in fetcher {
///     let batch = batch?;
///     let failed = batch.logs().iter().filter(|log| log.message.as_deref().is_some_and(|m| m.contains("Failed")));
///     let alerts: Vec<_> = failed
///         .map(|log| Alert::new("failed_login", "heuristic", Severity::Low).with_log_id(&log.id))
///         .collect();
///     batch.commit(&alerts)?; // the alerts and the position, both or neither
///     assert_eq!(alerts.len(), 1);
///     stop.stop();
/// }
/// # Ok::<(), logstore::Error>(())
/// ```
pub struct Fetcher<S> {
    store: S,
    start: StartPosition,
    interval: Duration,
    batch_size: usize,
    query: Option<LogQuery>,
    consumer: Option<String>,
    stop: StopHandle,
    /// Holds the cursor after the last log that was read; `None` before the first poll.
    read: Option<Cursor>,
    position: Arc<Mutex<Position>>,
    /// Holds the time to wait before the next poll.
    wait: Duration,
    failures: u32,
    /// Says whether the iterator ends at the last log, and whether it has come there.
    ends: bool,
    is_at_end: bool,
    on_batch: Vec<BatchCallback<S>>,
    on_error: Vec<ErrorCallback>,
}

type BatchCallback<S> = Box<dyn FnMut(&LogBatch<S>) -> Result<()> + Send>;
type ErrorCallback = Box<dyn FnMut(&Error) + Send>;

/// Holds the position of a named consumer, as far as this process knows.
#[derive(Debug, Default)]
struct Position {
    committed: Option<Cursor>,
    /// Says whether another process has moved the consumer since.
    is_stale: bool,
}

/// The first wait after an error; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

impl<S: LogStore + ConsumerStore + AlertStore + Clone> Fetcher<S> {
    /// Reads every log of a store from the beginning on, 10,000 at a time, polled every 60 seconds.
    ///
    /// The store must be cheap to clone: a reference, an `Arc`, a [`DuckDbStore`](crate::DuckDbStore).
    pub fn new(store: S) -> Self {
        Self {
            store,
            start: StartPosition::default(),
            interval: Duration::from_secs(60),
            batch_size: 10_000,
            query: None,
            consumer: None,
            stop: StopHandle::default(),
            read: None,
            position: Arc::default(),
            wait: Duration::ZERO,
            failures: 0,
            ends: false,
            is_at_end: false,
            on_batch: Vec::new(),
            on_error: Vec::new(),
        }
    }

    /// Sets the start position. A named consumer begins here only if it never committed.
    #[must_use]
    pub fn start(self, start: StartPosition) -> Self {
        Self { start, ..self }
    }

    /// Goes on from this consumer's position, and lets [`LogBatch::commit`] keep the position in the store.
    #[must_use]
    pub fn consumer(self, name: impl Into<String>) -> Self {
        Self {
            consumer: Some(name.into()),
            ..self
        }
    }

    /// Sets how long to wait after a poll that came to the last log.
    #[must_use]
    pub fn every(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// Ends the iterator when it has read all logs that are there, or after an error.
    ///
    /// ```
    /// use logstore::{Fetcher, LogEntry, LogStore, MemoryStore};
    ///
    /// let store = MemoryStore::new();
    /// store.append_logs(&[LogEntry::new(chrono::Utc::now())])?;
    /// assert_eq!(Fetcher::new(&store).once().count(), 1);
    /// # Ok::<(), logstore::Error>(())
    /// ```
    #[must_use]
    pub fn once(self) -> Self {
        Self { ends: true, ..self }
    }

    /// Limits the number of logs in a batch; 0 is taken as 1.
    #[must_use]
    pub fn batch_size(self, logs: usize) -> Self {
        Self {
            batch_size: logs.max(1),
            ..self
        }
    }

    /// Yields only the logs that this query wants; its order and limit are ignored.
    #[must_use]
    pub fn matching(self, query: LogQuery) -> Self {
        Self {
            query: Some(query),
            ..self
        }
    }

    /// Registers a callback for [`run`](Self::run). An error that it returns goes to the error callbacks.
    #[must_use]
    pub fn on_batch(mut self, callback: impl FnMut(&LogBatch<S>) -> Result<()> + Send + 'static) -> Self {
        self.on_batch.push(Box::new(callback));
        self
    }

    /// Registers a callback for the errors that [`run`](Self::run) meets.
    #[must_use]
    pub fn on_error(mut self, callback: impl FnMut(&Error) + Send + 'static) -> Self {
        self.on_error.push(Box::new(callback));
        self
    }

    /// Returns a handle that stops this fetcher, from any thread.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Calls the registered callbacks for each batch and each error until it is stopped.
    ///
    /// Errors go to the program's diagnostics if no callback is registered for them.
    pub fn run(mut self) {
        while let Some(item) = self.next() {
            let outcome =
                item.and_then(|batch| self.on_batch.iter_mut().try_for_each(|callback| callback(&batch)));
            let Err(error) = outcome else { continue };
            if self.on_error.is_empty() {
                log::error!("polling goes on after: {}", error.with_causes());
            }
            for callback in &mut self.on_error {
                callback(&error);
            }
        }
    }

    /// Returns the logs of the next page as a batch; `None` if the query wants none of them.
    fn poll(&mut self) -> Result<Option<LogBatch<S>>> {
        let from = self.next_position()?;
        let page = self.store.read_after(from, self.batch_size)?;
        self.is_at_end = page.is_last;
        self.wait = match page.is_last {
            true => self.interval,
            false => Duration::ZERO,
        };
        self.read = Some(page.next);
        let mut logs = page.logs;
        if let Some(query) = &self.query {
            logs.retain(|log| query.matches(log));
        }
        Ok((!logs.is_empty()).then(|| LogBatch {
            store: self.store.clone(),
            logs,
            next: page.next,
            consumer: self.consumer.clone(),
            position: Arc::clone(&self.position),
        }))
    }

    /// Returns the cursor after the last log that was read, or the start position.
    fn next_position(&mut self) -> Result<Cursor> {
        let is_stale = lock(&self.position).is_stale;
        if let (Some(read), false) = (self.read, is_stale) {
            return Ok(read);
        }
        if let Some(consumer) = &self.consumer {
            let committed = self.store.position(consumer)?;
            *lock(&self.position) = Position {
                committed,
                is_stale: false,
            };
            if let Some(position) = committed {
                return Ok(position);
            }
        }
        let begin = match self.start {
            StartPosition::Earliest => Cursor::BEGINNING,
            StartPosition::Latest => self.store.end_cursor()?,
            StartPosition::After(cursor) => cursor,
        };
        self.read = Some(begin);
        Ok(begin)
    }

    fn back_off(&mut self) {
        self.failures = self.failures.saturating_add(1);
        let backoff = Doubling {
            first: FIRST_BACKOFF,
            longest: self.interval.max(FIRST_BACKOFF).min(LONGEST_BACKOFF),
        };
        self.wait = backoff.after(self.failures, fastrand::f64());
    }
}

impl<S: LogStore + ConsumerStore + AlertStore + Clone> Iterator for Fetcher<S> {
    type Item = Result<LogBatch<S>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if (self.ends && self.is_at_end) || self.stop.wait(self.wait) {
                return None;
            }
            match self.poll() {
                Ok(batch) => {
                    self.failures = 0;
                    if let Some(batch) = batch {
                        return Some(Ok(batch));
                    }
                }
                Err(error) => {
                    if matches!(error, Error::Restored { .. }) {
                        // The position of a named consumer was restored with the logs.
                        lock(&self.position).is_stale = self.consumer.is_some();
                    }
                    self.is_at_end = true;
                    self.back_off();
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<S> std::fmt::Debug for Fetcher<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher")
            .field("start", &self.start)
            .field("consumer", &self.consumer)
            .field("interval", &self.interval)
            .field("batch_size", &self.batch_size)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

/// Holds logs that a [`Fetcher`] found, in the order of their commits.
pub struct LogBatch<S> {
    store: S,
    logs: Vec<LogEntry>,
    next: Cursor,
    consumer: Option<String>,
    position: Arc<Mutex<Position>>,
}

impl<S: ConsumerStore + AlertStore> LogBatch<S> {
    /// Returns the logs, of which there is at least one.
    pub fn logs(&self) -> &[LogEntry] {
        &self.logs
    }

    /// Returns the logs by value.
    pub fn into_logs(self) -> Vec<LogEntry> {
        self.logs
    }

    /// Returns the cursor after the logs.
    pub fn next_cursor(&self) -> Cursor {
        self.next
    }

    /// Stores alerts and moves a named consumer's position past this batch, both or neither.
    ///
    /// Without a named consumer it stores the alerts only.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if another process moved the consumer of the same name first. Nothing of this batch was
    /// stored. The fetcher then goes on from the other process's position.
    pub fn commit(&self, alerts: &[Alert]) -> Result<CommitResult> {
        let Some(consumer) = &self.consumer else {
            let stored = self.store.store_alerts(alerts)?;
            return Ok(CommitResult::of_alerts(stored, 0));
        };
        self.move_on(consumer, |from| {
            self.store.commit(consumer, from, self.next, alerts)
        })
    }
}

impl<S: DetectionStore> LogBatch<S> {
    /// Counts matches into alerts, stores hits and moves a named consumer's position past this batch: all or nothing.
    ///
    /// Without a named consumer it stores them as a hunt does: see [`DetectionStore::store_detections`].
    ///
    /// # Errors
    ///
    /// Those of [`commit`](Self::commit), and [`Error::InvalidInput`] if a match cannot be stored.
    pub fn commit_detections(&self, detections: &Detections) -> Result<CommitResult> {
        let Some(consumer) = &self.consumer else {
            return self.store.store_detections(detections);
        };
        self.move_on(consumer, |from| {
            self.store
                .commit_detections(consumer, from, self.next, detections)
        })
    }
}

impl<S> LogBatch<S> {
    /// Commits from the position that the consumer is known to have, and notes the one that it has then.
    fn move_on(
        &self,
        consumer: &str,
        commit: impl FnOnce(Option<Cursor>) -> Result<CommitResult>,
    ) -> Result<CommitResult> {
        let mut position = lock(&self.position);
        if position.committed.is_some_and(|committed| committed >= self.next) {
            return Err(super::consumer_conflict(
                consumer,
                Some(self.next),
                position.committed,
            ));
        }
        let outcome = commit(position.committed);
        match &outcome {
            Ok(committed) => {
                position.committed = Some(self.next);
                if committed.missed > 0 {
                    let missed = committed.missed;
                    log::warn!(
                        "consumer {consumer:?} missed {missed} logs: they were deleted before it read them"
                    );
                }
            }
            Err(Error::Conflict { .. }) => position.is_stale = true,
            Err(_) => {}
        }
        outcome
    }
}

impl<S> std::fmt::Debug for LogBatch<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogBatch")
            .field("logs", &self.logs.len())
            .field("next", &self.next)
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}
