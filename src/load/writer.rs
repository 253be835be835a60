//! Storing what the parsers made of the sources, in their order.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use logstore::{Appended, Error, FileProgress, KeptOpen, LogRows};

use super::without_time::WithoutTime;
use super::{BATCH_BYTES, Chunk, Done, Limit, Message, Outcome, Pipeline};
use crate::Result;
use crate::commands::ingest::Summary;

/// For how long a store stays open that has to wait for logs.
const SOON: Duration = Duration::from_millis(20);

/// Before trying again what failed at once.
const PAUSE: Duration = Duration::from_secs(1);

/// The writer's side.
pub(super) struct Writing<'a> {
    pipeline: &'a Pipeline<'a>,
    cores: &'a Limit,
    /// The store, open, if it has been written to and nobody waits for it.
    kept: Option<KeptOpen>,
    batch: Batch,
    /// Logs in the next transaction.
    size: usize,
    without_time: WithoutTime,
    summary: Summary,
}

impl<'a> Writing<'a> {
    pub(super) fn new(pipeline: &'a Pipeline<'a>, cores: &'a Limit) -> Self {
        Self {
            pipeline,
            cores,
            kept: None,
            batch: Batch::default(),
            // The first one is full sooner: until then the store has nothing to do.
            size: pipeline.batch_size.div_ceil(2),
            without_time: WithoutTime::default(),
            summary: Summary::default(),
        }
    }

    /// Stores all that there is.
    pub(super) fn take_all(mut self, messages: Receiver<Message<'_>>) -> Result<Summary> {
        while let Some(message) = self.next(&messages)? {
            match message {
                Message::Rows(chunk, ahead) => match chunk.recv() {
                    Ok(chunk) => {
                        drop(ahead);
                        if !self.batch.has_room_for(&chunk, self.size) {
                            self.store()?;
                        }
                        self.without_time.add(chunk.without_time);
                        self.batch.push(chunk);
                    }
                    // Its parser has panicked, as will the scope of all threads: nothing after it may be stored.
                    Err(_) => break,
                },
                Message::Done(done) => self.count(done),
                Message::Pause => self.batch.is_due = true,
                Message::Unfinished(files) => self.summary.unfinished = files,
            }
            self.let_others_in();
            if self.batch.is_full(self.size) {
                self.store()?;
            }
        }
        self.store()?;
        self.without_time.log();
        Ok(self.summary)
    }

    /// The next message, after what is due is stored.
    fn next<'m>(&mut self, messages: &Receiver<Message<'m>>) -> Result<Option<Message<'m>>> {
        match messages.try_recv() {
            Ok(message) => return Ok(Some(message)),
            Err(TryRecvError::Disconnected) => return Ok(None),
            Err(TryRecvError::Empty) => {}
        }
        if self.batch.is_due {
            self.store()?;
        } else if let Ok(message) = messages.recv_timeout(SOON) {
            return Ok(Some(message));
        }
        self.kept = None;
        Ok(messages.recv().ok())
    }

    fn let_others_in(&mut self) {
        self.kept = self.kept.take().filter(|kept| !kept.is_awaited());
    }

    fn store(&mut self) -> Result {
        let batch = std::mem::take(&mut self.batch);
        if batch.count == 0 && batch.files.is_empty() {
            return Ok(());
        }
        self.size = self.pipeline.batch_size;
        let core = self.cores.take(1);
        let appended = self
            .append(&batch)
            .inspect_err(|_| self.pipeline.progress.finish_and_clear())?;
        drop(core);
        self.summary.parse_errors += batch.parse_errors;
        self.summary.without_time += batch.without_time;
        self.summary.logs += batch.count as u64;
        self.summary.stored += appended.stored;
        self.summary.duplicates += appended.duplicates;
        Ok(())
    }

    fn append(&mut self, batch: &Batch) -> logstore::Result<Appended> {
        let Pipeline { stop, progress, .. } = self.pipeline;
        loop {
            match self.append_once(batch) {
                Err(
                    error @ (Error::Locked { .. } | Error::Contended { .. } | Error::Disconnected { .. }),
                ) if self.pipeline.keeps_trying && !stop.is_stopped() => {
                    progress.suspend(|| log::warn!("{error}; trying again"));
                    // The engine may have given up: the next try opens another one.
                    self.kept = None;
                    // The others come after a wait of their own.
                    if matches!(error, Error::Disconnected { .. }) {
                        stop.wait(PAUSE);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    fn append_once(&mut self, batch: &Batch) -> logstore::Result<Appended> {
        let store = self.pipeline.store;
        if self.kept.is_none() {
            let asked = Instant::now();
            self.kept = Some(store.keep_open()?);
            log::debug!("waited {:?} for the lock", asked.elapsed());
        }
        store.append_rows_of_files(&batch.rows, &batch.files)
    }

    fn count(&mut self, done: Done) {
        let progress = &self.pipeline.progress;
        self.without_time.end_source(done.name);
        self.summary.bytes += done.bytes;
        if let Outcome::Skipped(error) = done.outcome {
            self.summary.skipped_sources += 1;
            return progress.suspend(|| log::warn!("{error}"));
        }
        self.summary.sources += 1;
        self.summary.known_sources += u64::from(done.is_known);
        if let Outcome::Failed(error) = done.outcome {
            self.summary.failed_sources += 1;
            progress.suspend(|| log::error!("{error}"));
        }
    }
}

/// What is stored in one transaction. It may hold the end of one source and all of the next: many small files
/// are few transactions.
#[derive(Default)]
struct Batch {
    rows: LogRows,
    /// How many rows there are, which they would have to add up for each chunk.
    count: usize,
    files: Vec<FileProgress>,
    bytes: usize,
    parse_errors: u64,
    without_time: u64,
    /// Whether it is not to wait for more.
    is_due: bool,
}

impl Batch {
    fn push(&mut self, chunk: Chunk) {
        self.count += chunk.rows.len();
        self.bytes += chunk.bytes;
        self.parse_errors += chunk.parse_errors;
        self.without_time += chunk.without_time;
        self.rows.append(chunk.rows);
        let Some(progress) = chunk.progress else { return };
        match self.files.last_mut() {
            Some(last) if last.to.id == progress.to.id => last.to = progress.to,
            _ => self.files.push(progress),
        }
    }

    fn has_room_for(&self, chunk: &Chunk, size: usize) -> bool {
        self.count == 0 || self.count + chunk.rows.len() <= self.most(size)
    }

    fn is_full(&self, size: usize) -> bool {
        self.count >= self.most(size)
            || self.bytes >= BATCH_BYTES
            || self.rows.length_at_end() >= LogRows::ENOUGH_TEXT
    }

    /// So many rows as are wanted, and as fit if more come of the same length.
    fn most(&self, size: usize) -> usize {
        let length = (self.bytes / self.count.max(1)).max(1);
        whole_row_groups(size.min(BATCH_BYTES / length))
    }
}

fn whole_row_groups(rows: usize) -> usize {
    match rows / LogRows::ROW_GROUP {
        0 => rows,
        groups => groups * LogRows::ROW_GROUP,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many rows there are when there is no room for more, of chunks with so many rows and bytes.
    fn rows_of_a_batch(size: usize, rows: usize, bytes: usize) -> usize {
        let log = logstore::LogEntry::new(chrono::DateTime::UNIX_EPOCH);
        let rows = LogRows::new(&vec![log; rows]).unwrap();
        let chunk = || Chunk {
            rows: rows.clone(),
            bytes,
            ..Chunk::default()
        };
        let mut batch = Batch::default();
        while !batch.is_full(size) && batch.has_room_for(&chunk(), size) {
            batch.push(chunk());
        }
        batch.count
    }

    #[test]
    fn batches_are_little_less_than_whole_row_groups() {
        const GROUP: usize = LogRows::ROW_GROUP;
        assert_eq!(rows_of_a_batch(2 * GROUP, 2_048, 2_048), 2 * GROUP);
        assert_eq!(rows_of_a_batch(GROUP, 10_000, 10_000), 120_000);
        assert_eq!(rows_of_a_batch(GROUP + 5_000, 10_000, 10_000), 120_000);
        assert_eq!(rows_of_a_batch(2 * GROUP, 10_000, 10_000_000), 120_000);
    }

    #[test]
    fn batches_are_as_large_as_they_may_be() {
        assert_eq!(rows_of_a_batch(7, 3, 3), 6);
        assert_eq!(rows_of_a_batch(7, 10, 10), 10);
        assert_eq!(rows_of_a_batch(LogRows::ROW_GROUP, 1, BATCH_BYTES / 2), 2);
        assert_eq!(rows_of_a_batch(LogRows::ROW_GROUP, 1, 3 * BATCH_BYTES), 1);
    }
}
