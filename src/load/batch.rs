//! The messages between the threads of a load, and the batch that one transaction stores.

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use super::budget::Permit;
use super::report::SourceReport;
use crate::ingest::{CutFile, IngestError, LogBlock, PARSE_ERROR};
use crate::models::{FileProgress, TIME_SOURCE};
use crate::storage::duckdb::{LogRows, LogRowsBuilder};

/// Counts the rows that a parser hands on together.
pub(super) const CHUNK_ROWS: usize = 2_048;

/// Limits the bytes of lines in a batch. Its last chunk may exceed the limit.
pub(super) const BATCH_BYTES: usize = 160 << 20;

/// Carries what the reader tells the writer, in the order of the sources.
pub(super) enum Message<'a> {
    /// Gives the rows that a parser has or will have. The permit is their part of the budget of bytes ahead of the
    /// writer.
    Rows(Receiver<Chunk>, Permit<'a>),
    /// Says that a source was read, for now.
    Done(SourceDone),
    /// Says that the reader has to wait for more text.
    Idle,
    /// Counts the files that were not read, or not to their end, when the load was stopped.
    Unfinished(u64),
}

/// Describes a source that was read, for now.
pub(super) struct SourceDone {
    pub(super) name: PathBuf,
    pub(super) bytes: u64,
    pub(super) is_known: bool,
    pub(super) cut: Option<CutFile>,
    pub(super) outcome: Outcome,
}

/// Says how the reading of a source ended.
pub(super) enum Outcome {
    Read,
    /// Means that the source is left out.
    Skipped(IngestError),
    /// Means that the source was not read, or not to its end.
    Failed(IngestError),
}

impl SourceDone {
    pub(super) fn new(name: PathBuf) -> Self {
        Self {
            name,
            bytes: 0,
            is_known: false,
            cut: None,
            outcome: Outcome::Read,
        }
    }
}

/// Holds rows of one source.
#[derive(Default)]
pub(super) struct Chunk {
    rows: LogRows,
    progress: Option<FileProgress>,
    bytes: usize,
    pub(super) parse_errors: u64,
    pub(super) without_time: u64,
}

impl Chunk {
    /// Describes the logs of the chunk.
    pub(super) fn report(&self) -> SourceReport {
        SourceReport {
            logs: self.rows.len() as u64,
            without_time: self.without_time,
            parse_errors: self.parse_errors,
        }
    }

    /// Parses a block and turns its logs into rows.
    pub(super) fn parse(block: LogBlock, rows: &mut LogRowsBuilder) -> Self {
        let mut chunk = Self::default();
        chunk.progress = block.parse(|log| {
            chunk.bytes += log.raw().map_or(0, str::len);
            chunk.parse_errors += u64::from(log.has_metadata(PARSE_ERROR));
            chunk.without_time += u64::from(log.has_metadata(TIME_SOURCE));
            rows.push(&log);
        });
        chunk.rows = rows.finish();
        chunk
    }
}

/// Holds the rows that one transaction stores, with the positions of their files.
///
/// A batch may hold the end of one source and all of the next. Therefore many small files need few transactions.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rows: LogRows,
    /// Counts the rows. [`LogRows`] would have to add the number up for each chunk.
    pub(super) count: usize,
    pub(super) files: Vec<FileProgress>,
    bytes: usize,
    pub(super) parse_errors: u64,
    pub(super) without_time: u64,
    /// Says since when the reader has waited for more; `None` if it has not.
    pub(super) due_since: Option<Instant>,
}

impl Batch {
    pub(super) fn push(&mut self, chunk: Chunk) {
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

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0 && self.files.is_empty()
    }

    pub(super) fn has_room_for(&self, chunk: &Chunk, size: usize) -> bool {
        self.count == 0 || self.count + chunk.rows.len() <= self.most(size)
    }

    pub(super) fn is_full(&self, size: usize) -> bool {
        self.count >= self.most(size)
            || self.bytes >= BATCH_BYTES
            || self.rows.length_at_end() >= LogRows::ENOUGH_TEXT
    }

    /// Returns how many rows the batch may hold. That is `size`, unless rows of the same length exceed [`BATCH_BYTES`]
    /// before.
    fn most(&self, size: usize) -> usize {
        let length = (self.bytes / self.count.max(1)).max(1);
        whole_row_groups(size.min(BATCH_BYTES / length))
    }
}

/// Rounds down to whole row groups.
///
/// A batch of little more than that leaves a rest that the engine writes again and again: see [`LogRows::ROW_GROUP`].
fn whole_row_groups(rows: usize) -> usize {
    match rows / LogRows::ROW_GROUP {
        0 => rows,
        groups => groups * LogRows::ROW_GROUP,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many rows a batch holds when it is full, of chunks with this many rows and bytes.
    fn rows_of_a_batch(size: usize, rows: usize, bytes: usize) -> usize {
        let log = crate::LogEntry::new(chrono::DateTime::UNIX_EPOCH);
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
