//! The threads of a load: one reads, several parse, and the caller's stores.
//!
//! ```text
//!            blocks            rows, in any order
//!  reader ───────────> parsers ──────────────────┐
//!     │                                          v
//!     └──────────── messages, in order ───────> writer ──> store
//! ```
//!
//! The reader sends each block to a parser that is free. It sends the channel of its rows to the writer. So the writer
//! stores the rows in the order of the sources, although they are parsed in any order.
//!
//! Two budgets bound the work.
//!
//! - Processors: as many parsers work as there are processors. The writer counts as one of them while it stores.
//!   Otherwise parsers that are far ahead would keep it from its processor.
//! - Bytes: the bytes that are read and not stored yet are at most those of a batch.

use std::iter;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::batch::{BATCH_BYTES, CHUNK_ROWS, Chunk};
use super::budget::Budget;
use super::options::LoadOptions;
use super::progress::{LoadProgress, OnProgress};
use super::reader::{Job, SourceReader, WriterGone};
use super::report::LoadReport;
use super::writer::{Retries, Writer};
use crate::ingest::Checkpoints;
use crate::stop::StopHandle;
use crate::storage::Result;
use crate::storage::duckdb::{DuckDbStore, LogRowsBuilder};
use crate::sync::lock;

/// Holds what the threads of a load share: the store, the options and the request to stop.
pub(super) struct Pipeline<'a> {
    pub(super) store: &'a DuckDbStore,
    pub(super) options: &'a LoadOptions,
    pub(super) stop: &'a StopHandle,
    pub(super) retries: Retries,
}

impl Pipeline<'_> {
    /// Runs the threads until `read` has handed on all there is to read, and all of it is stored.
    pub(super) fn run(
        &self,
        checkpoints: Checkpoints,
        on_progress: Option<OnProgress<'_>>,
        read: impl FnOnce(&mut SourceReader<'_>) -> Result<(), WriterGone> + Send,
    ) -> Result<LoadReport> {
        let batch_size = self.options.batch_size.max(1);
        let (sender, messages) = sync_channel(batch_size.div_ceil(CHUNK_ROWS));
        let count = processors();
        let (parsers, jobs) = sync_channel(count);
        // The last parser drops it. Should all parsers panic, the reader would otherwise wait for them.
        let jobs = Arc::new(Mutex::new(jobs));
        let cores = Budget::new(count);
        let bytes_ahead = Budget::new(BATCH_BYTES);
        thread::scope(|scope| {
            let (cores, bytes_ahead) = (&cores, &bytes_ahead);
            for jobs in iter::repeat_n(jobs, count) {
                scope.spawn(move || parse_all(&jobs, cores, LogRowsBuilder::with_words()));
            }
            scope.spawn(move || {
                let mut reader = SourceReader {
                    store: self.store,
                    options: &self.options.ingest,
                    stop: self.stop,
                    checkpoints,
                    sender,
                    parsers,
                    bytes_ahead,
                    chunk_size: batch_size.min(CHUNK_ROWS),
                    on_progress,
                    progress: LoadProgress::default(),
                    unfinished: 0,
                };
                // The writer says why it has gone.
                read(&mut reader).ok();
            });
            // A writer that fails drops the messages, so that the reader stops as well.
            Writer::new(self.store, batch_size, self.stop, self.retries, cores).store_all(messages)
        })
    }
}

/// Parses blocks until no more come.
fn parse_all(jobs: &Mutex<Receiver<Job>>, cores: &Budget, mut rows: LogRowsBuilder) {
    let next = || lock(jobs).recv();
    while let Ok(job) = next() {
        let _core = cores.take(1);
        // The writer may have gone.
        job.chunk.send(Chunk::parse(job.block, &mut rows)).ok();
    }
}

/// Returns how many threads run at the same time; one, if the system does not say.
fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
