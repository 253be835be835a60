//! Reading in one thread, parsing in several, storing in another one.

#[path = "../bin/logstore/commands/ingest/without_time.rs"]
mod without_time;
#[path = "writer.rs"]
mod writing;

use std::iter;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::ProgressBar;
use logstore::{
    ChangedFile, DuckDbStore, FileProgress, Follower, IngestError, IngestErrorKind, IngestOptions,
    KnownFiles, LogBlock, LogReader, LogRows, LogRowsBuilder, PARSE_ERROR, Source, StopHandle, TIME_SOURCE,
};

use super::Summary;
use crate::Result;
use crate::context::processors;
use writing::Writing;

/// How to read, and into which store.
pub(super) struct Pipeline<'a> {
    pub(super) store: &'a DuckDbStore,
    pub(super) options: IngestOptions,
    /// Logs in one transaction.
    pub(super) batch_size: usize,
    pub(super) stop: StopHandle,
    /// Whether to wait for a store that others hold, however long it takes.
    pub(super) keeps_trying: bool,
    pub(super) progress: ProgressBar,
}

/// What the reader tells the writer, in the order of the sources.
enum Message<'a> {
    /// Rows that a parser has, or will have, and how much of what may be ahead of the writer they are.
    Rows(Receiver<Chunk>, Taken<'a>),
    /// A source was read, for now.
    Done(Done),
    /// What comes next has to be waited for.
    Pause,
    /// So many files were not read to their end, or not at all, when it was stopped.
    Unfinished(usize),
}

struct Done {
    name: PathBuf,
    bytes: u64,
    is_known: bool,
    outcome: Outcome,
}

/// What became of a source.
enum Outcome {
    Read,
    /// It is left out.
    Skipped(IngestError),
    /// It was not read, or not to its end.
    Failed(IngestError),
}

/// There is nothing more to read, or nobody to read for: the writer has gone, and says why.
struct Ended;

impl Pipeline<'_> {
    /// Reads sources to their ends.
    pub(super) fn read_to_ends(
        &self,
        sources: Vec<Result<Source, IngestError>>,
        known: KnownFiles,
    ) -> Result<Summary> {
        self.run(known, |reading| {
            let mut sources = sources.into_iter();
            while !self.stop.is_stopped() {
                match sources.next() {
                    Some(Ok(source)) => reading.read_source(&source)?,
                    Some(Err(error)) => reading.fail(error)?,
                    None => break,
                }
            }
            reading.unfinished += sources.flatten().filter(|source| !source.is_stream()).count();
            reading.send(Message::Unfinished(reading.unfinished))
        })
    }

    /// Reads files as they grow, until it is stopped.
    pub(super) fn follow(
        &self,
        mut follower: Follower,
        known: KnownFiles,
        interval: Duration,
    ) -> Result<Summary> {
        self.run(known, |reading| {
            loop {
                match follower.poll(&reading.known) {
                    Ok(changed) => reading.read_changed(&mut follower, &changed)?,
                    Err(error) => return reading.fail(error),
                }
                reading.send(Message::Pause)?;
                if !follower.is_due() && self.stop.wait(interval) || self.stop.is_stopped() {
                    return Ok(());
                }
            }
        })
    }

    fn run(
        &self,
        known: KnownFiles,
        read_all: impl FnOnce(&mut Reading<'_>) -> Result<(), Ended> + Send,
    ) -> Result<Summary> {
        let (sender, messages) = sync_channel(self.batch_size.div_ceil(CHUNK));
        let count = processors();
        let (parsers, jobs) = sync_channel(count);
        // Gone with the last parser, should all of them panic: the reader would wait for them.
        let jobs = Arc::new(Mutex::new(jobs));
        // Parsers that are far ahead of the writer have kept it from its core, and have nothing more to do.
        let cores = Limit::new(count);
        let bytes_ahead = Limit::new(BATCH_BYTES);
        let outcome = thread::scope(|scope| {
            let (cores, bytes_ahead) = (&cores, &bytes_ahead);
            for jobs in iter::repeat_n(jobs, count) {
                scope.spawn(move || parse_all(&jobs, cores));
            }
            scope.spawn(move || {
                let mut reading = Reading {
                    pipeline: self,
                    known,
                    sender,
                    parsers,
                    bytes_ahead,
                    chunk_size: self.batch_size.min(CHUNK),
                    unfinished: 0,
                };
                read_all(&mut reading).ok();
            });
            // Gives up the receiver when it fails, so that the reader stops as well.
            Writing::new(self, cores).take_all(messages)
        });
        self.progress.finish_and_clear();
        outcome
    }
}

/// The reader's side.
struct Reading<'a> {
    pipeline: &'a Pipeline<'a>,
    known: KnownFiles,
    sender: SyncSender<Message<'a>>,
    parsers: SyncSender<Job>,
    bytes_ahead: &'a Limit,
    chunk_size: usize,
    /// How many files it was stopped in.
    unfinished: usize,
}

/// What is to be parsed, and who waits for it.
struct Job {
    block: LogBlock,
    chunk: SyncSender<Chunk>,
}

impl<'a> Reading<'a> {
    fn send(&self, message: Message<'a>) -> Result<(), Ended> {
        self.sender.send(message).map_err(|_| Ended)
    }

    /// Goes on after something that could not be read.
    fn fail(&self, error: IngestError) -> Result<(), Ended> {
        let mut done = Done::of(error.name.clone());
        done.outcome = match error.kind {
            IngestErrorKind::Loop => Outcome::Skipped(error),
            _ => Outcome::Failed(error),
        };
        self.send(Message::Done(done))
    }

    /// Reads a file, or those in an archive.
    fn read_source(&mut self, source: &Source) -> Result<(), Ended> {
        match source.members() {
            Ok(None) => {
                let opened = source.open_known(&self.pipeline.options, &self.known);
                self.read(source, opened)
            }
            Ok(Some(members)) => self.read_members(members),
            Err(error) => self.fail(error),
        }
    }

    fn read_members(&mut self, members: Vec<Result<Source, IngestError>>) -> Result<(), Ended> {
        for member in members {
            match member {
                Ok(member) => {
                    let opened = member.open_known(&self.pipeline.options, &self.known);
                    self.read(&member, opened)?;
                }
                Err(error) => self.fail(error)?,
            }
            if self.pipeline.stop.is_stopped() {
                break;
            }
        }
        Ok(())
    }

    /// Reads what was written to files that are followed.
    fn read_changed(&mut self, follower: &mut Follower, changed: &[ChangedFile]) -> Result<(), Ended> {
        for file in changed {
            match follower.members(file) {
                Ok(None) => {
                    let opened = follower.open(file, &self.pipeline.options, &self.known);
                    if let Some(opened) = opened.transpose() {
                        self.read(file.source(), opened)?;
                    }
                }
                Ok(Some(members)) => self.read_members(members)?,
                Err(error) => self.fail(error)?,
            }
            if self.pipeline.stop.is_stopped() {
                break;
            }
        }
        Ok(())
    }

    /// Hands on what a source holds, in blocks after which one can go on.
    fn read(&mut self, source: &Source, opened: Result<LogReader, IngestError>) -> Result<(), Ended> {
        let mut done = Done::of(source.name());
        match opened {
            Ok(reader) => self.read_blocks(source, reader, &mut done)?,
            Err(error) if error.kind == IngestErrorKind::NotText && !source.is_named() => {
                done.outcome = Outcome::Skipped(error);
            }
            Err(error) => done.outcome = Outcome::Failed(error),
        }
        self.send(Message::Done(done))
    }

    fn read_blocks(&mut self, source: &Source, mut reader: LogReader, done: &mut Done) -> Result<(), Ended> {
        done.is_known = reader.is_known();
        // A stopped pipe comes to its end, and what was taken from it is read.
        let is_stream = source.is_stream();
        while let Some(block) = reader.next_block(self.chunk_size) {
            match block {
                Ok(block) => self.hand_on(block)?,
                Err(error) => done.outcome = Outcome::Failed(error),
            }
            self.count_bytes(&reader, done);
            if self.pipeline.stop.is_stopped() && !is_stream {
                self.unfinished += 1;
                break;
            }
            if reader.is_waiting() {
                self.send(Message::Pause)?;
            }
        }
        self.count_bytes(&reader, done);
        if let Some(position) = reader.position() {
            self.known.note(position);
        }
        Ok(())
    }

    fn count_bytes(&self, reader: &LogReader, done: &mut Done) {
        self.pipeline.progress.inc(reader.bytes_read() - done.bytes);
        done.bytes = reader.bytes_read();
    }

    fn hand_on(&self, block: LogBlock) -> Result<(), Ended> {
        let (chunk, parsed) = sync_channel(1);
        let ahead = self.bytes_ahead.take(block.bytes());
        self.send(Message::Rows(parsed, ahead))?;
        self.parsers.send(Job { block, chunk }).map_err(|_| Ended)
    }
}

impl Done {
    fn of(name: PathBuf) -> Self {
        Self {
            name,
            bytes: 0,
            is_known: false,
            outcome: Outcome::Read,
        }
    }
}

/// Parses until there is nothing more to parse.
fn parse_all(jobs: &Mutex<Receiver<Job>>, cores: &Limit) {
    let mut rows = LogRowsBuilder::default();
    let next = || lock(jobs).recv();
    while let Ok(job) = next() {
        let _core = cores.take(1);
        // The writer may have gone.
        job.chunk.send(Chunk::of(job.block, &mut rows)).ok();
    }
}

/// So much of something that several threads use.
struct Limit {
    most: usize,
    taken: Mutex<usize>,
    given_back: Condvar,
}

/// A part of it, until this is dropped.
struct Taken<'a> {
    limit: &'a Limit,
    amount: usize,
}

impl Limit {
    fn new(most: usize) -> Self {
        Self {
            most,
            taken: Mutex::default(),
            given_back: Condvar::new(),
        }
    }

    /// Waits until there is enough. More than there ever is can be had while nobody has anything.
    fn take(&self, amount: usize) -> Taken<'_> {
        let is_too_much = |taken: &mut usize| *taken > 0 && *taken + amount > self.most;
        let taken = self.given_back.wait_while(lock(&self.taken), is_too_much);
        *taken.unwrap_or_else(PoisonError::into_inner) += amount;
        Taken { limit: self, amount }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *lock(&self.limit.taken) -= self.amount;
        self.limit.given_back.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rows that are handed on at a time.
const CHUNK: usize = 2_048;

/// Bytes of lines in a batch, or few more.
const BATCH_BYTES: usize = 160 << 20;

/// Rows of one source.
#[derive(Default)]
struct Chunk {
    rows: LogRows,
    progress: Option<FileProgress>,
    bytes: usize,
    parse_errors: u64,
    without_time: u64,
}

impl Chunk {
    fn of(block: LogBlock, rows: &mut LogRowsBuilder) -> Self {
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
