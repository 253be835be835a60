//! The writer: it stores the parsed rows, in the order of the sources.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use super::batch::{Batch, Message, Outcome, SourceDone};
use super::budget::Budget;
use super::complaint::Complaint;
use super::report::{LoadReport, SourceReport};
use crate::stop::StopHandle;
use crate::storage::duckdb::{DuckDbStore, OpenGuard};
use crate::storage::{AppendResult, Error, Result};

/// Says for how long the store stays open while the writer waits for logs, and a batch that is due waits for more.
const SOON: Duration = Duration::from_millis(20);

/// Limits how long a batch that is due waits while more logs come soon. Each transaction takes as long as many logs.
const LONGEST: Duration = Duration::from_secs(1);

/// Says how long to wait before a retry of what failed without waiting.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// Says whether errors of other processes or the network are retried: see [`Error::is_retryable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retries {
    /// Means that the first error ends the load. A later load goes on from there.
    None,
    /// Means that retries go on until the load is stopped. What was taken from a pipe cannot be read again.
    UntilStopped,
}

/// Stores one batch after another.
pub(super) struct Writer<'a> {
    store: &'a DuckDbStore,
    batch_size: usize,
    stop: &'a StopHandle,
    retries: Retries,
    cores: &'a Budget,
    /// Keeps the store open between batches, while no other process waits for it.
    kept: Option<OpenGuard>,
    batch: Batch,
    /// Says how many logs the next transaction stores.
    size: usize,
    /// Describes the logs of the source that is being read.
    source: SourceReport,
    report: LoadReport,
    complaint: Complaint,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        store: &'a DuckDbStore,
        batch_size: usize,
        stop: &'a StopHandle,
        retries: Retries,
        cores: &'a Budget,
    ) -> Self {
        Self {
            store,
            batch_size,
            stop,
            retries,
            cores,
            kept: None,
            batch: Batch::default(),
            // The first batch is full sooner: until then the store is idle.
            size: batch_size.div_ceil(2),
            source: SourceReport::default(),
            report: LoadReport::default(),
            complaint: Complaint::default(),
        }
    }

    /// Stores everything that the messages announce.
    pub(super) fn store_all(mut self, messages: Receiver<Message<'_>>) -> Result<LoadReport> {
        while let Some(message) = self.next(&messages)? {
            match message {
                Message::Rows(chunk, ahead) => match chunk.recv() {
                    Ok(chunk) => {
                        drop(ahead);
                        if !self.batch.has_room_for(&chunk, self.size) {
                            self.store()?;
                        }
                        self.source.add(chunk.report());
                        self.batch.push(chunk);
                    }
                    // Its parser has panicked, and the scope of all threads will. Nothing after this chunk may be
                    // stored.
                    Err(_) => break,
                },
                Message::Done(done) => self.count(done),
                Message::Idle => {
                    self.batch.due_since.get_or_insert_with(Instant::now);
                }
                Message::Unfinished(files) => self.report.unfinished_sources = files,
            }
            self.yield_to_waiters();
            if self.batch.is_full(self.size) {
                self.store()?;
            }
        }
        self.store()?;
        Ok(self.report)
    }

    /// Returns the next message, after a batch that is due is stored. Closes the store before a long wait.
    fn next<'m>(&mut self, messages: &Receiver<Message<'m>>) -> Result<Option<Message<'m>>> {
        match messages.try_recv() {
            Ok(message) => return Ok(Some(message)),
            Err(TryRecvError::Disconnected) => return Ok(None),
            Err(TryRecvError::Empty) => {}
        }
        let due_since = self.batch.due_since;
        if due_since.is_none_or(|since| since.elapsed() < LONGEST)
            && let Ok(message) = messages.recv_timeout(SOON)
        {
            return Ok(Some(message));
        }
        if due_since.is_some() {
            self.store()?;
        }
        self.kept = None;
        Ok(messages.recv().ok())
    }

    fn yield_to_waiters(&mut self) {
        self.kept = self.kept.take().filter(|kept| !kept.has_waiters());
    }

    fn store(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        self.size = self.batch_size;
        let core = self.cores.take(1);
        let appended = self.append(&batch)?;
        drop(core);
        self.report.parse_errors += batch.parse_errors;
        self.report.without_time += batch.without_time;
        self.report.logs += batch.count as u64;
        self.report.stored += appended.stored;
        self.report.duplicates += appended.duplicates;
        Ok(())
    }

    fn append(&mut self, batch: &Batch) -> Result<AppendResult> {
        loop {
            match self.append_once(batch) {
                Err(error) if error.is_retryable() && self.goes_on() => {
                    self.complaint.warn(&error);
                    // The engine may be unusable: the next retry opens another one.
                    self.kept = None;
                    // The other errors come after a wait of their own.
                    if matches!(error, Error::Disconnected { .. } | Error::DataUnreachable { .. }) {
                        self.stop.wait(PAUSE);
                    }
                }
                outcome => {
                    self.complaint = Complaint::default();
                    return outcome;
                }
            }
        }
    }

    fn goes_on(&self) -> bool {
        self.retries == Retries::UntilStopped && !self.stop.is_stopped()
    }

    fn append_once(&mut self, batch: &Batch) -> Result<AppendResult> {
        if self.kept.is_none() {
            let asked = Instant::now();
            self.kept = Some(self.store.hold_open()?);
            log::debug!("waited {:?} for the lock", asked.elapsed());
        }
        self.store.append_rows_from_files(&batch.rows, &batch.files)
    }

    /// Counts a source. Errors are logged as well, as the report may come months later.
    fn count(&mut self, done: SourceDone) {
        let read = std::mem::take(&mut self.source);
        self.report.add_source(done.name, read);
        self.report.bytes += done.bytes;
        if let Outcome::Skipped(error) = done.outcome {
            log::warn!("{error}");
            return self.report.add_skipped(error);
        }
        self.report.sources += 1;
        self.report.known_sources += u64::from(done.is_known);
        if let Some(cut) = done.cut {
            self.report.add_cut(cut);
        }
        if let Outcome::Failed(error) = done.outcome {
            log::error!("{error}");
            self.report.add_failed(error);
        }
    }
}
