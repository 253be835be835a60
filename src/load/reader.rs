//! The thread that reads the sources. It hands their lines to the parsers and the writer.

use std::io::BufReader;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::batch::{Chunk, Message, Outcome, SourceDone};
use super::budget::Budget;
use super::progress::{LoadProgress, OnProgress};
use super::writer::PAUSE;
use crate::ingest::{
    ChangedFile, Checkpoints, Follower, IngestError, IngestErrorKind, IngestOptions, LogBlock, LogReader,
    Source,
};
use crate::stop::StopHandle;
use crate::storage::IngestStore as _;
use crate::storage::duckdb::{DuckDbStore, exported_lines};

/// Holds a block that is to be parsed, and the channel for its rows.
pub(super) struct Job {
    pub(super) block: LogBlock,
    pub(super) chunk: SyncSender<Chunk>,
}

/// Means that the writer, or every parser, has ended.
///
/// Its thread says why. What is read after that is not used.
pub(super) struct WriterGone;

/// Reads sources one after another.
pub(super) struct SourceReader<'a> {
    pub(super) store: &'a DuckDbStore,
    pub(super) options: &'a IngestOptions,
    pub(super) stop: &'a StopHandle,
    pub(super) checkpoints: Checkpoints,
    pub(super) sender: SyncSender<Message<'a>>,
    pub(super) parsers: SyncSender<Job>,
    /// Limits the bytes that are read and not stored yet.
    pub(super) bytes_ahead: &'a Budget,
    pub(super) chunk_size: usize,
    pub(super) on_progress: Option<OnProgress<'a>>,
    /// Counts the bytes of all sources so far.
    pub(super) progress: LoadProgress,
    /// Counts the files that were not read to their end because the load was stopped.
    pub(super) unfinished: u64,
}

impl<'a> SourceReader<'a> {
    /// Reads sources to their ends.
    pub(super) fn read_all(&mut self, sources: Vec<Result<Source, IngestError>>) -> Result<(), WriterGone> {
        self.announce(&sources);
        let mut sources = sources.into_iter();
        while !self.stop.is_stopped() {
            match sources.next() {
                Some(Ok(source)) => self.read_source(&source)?,
                Some(Err(error)) => self.fail(error)?,
                None => break,
            }
        }
        let unread = sources.flatten().filter(|source| !source.is_stream()).count();
        self.unfinished += unread as u64;
        self.send(Message::Unfinished(self.unfinished))
    }

    /// Reads from an input that is open already.
    pub(super) fn read_open(&mut self, reader: LogReader) -> Result<(), WriterGone> {
        let mut done = SourceDone::new(reader.name().to_owned());
        self.read_blocks(reader, true, &mut done)?;
        self.send(Message::Done(done))?;
        self.send(Message::Unfinished(self.unfinished))
    }

    /// Reads files as they grow, until the load is stopped.
    pub(super) fn follow(&mut self, mut follower: Follower, interval: Duration) -> Result<(), WriterGone> {
        loop {
            match follower.poll(&self.checkpoints) {
                Ok(changed) => {
                    let mut paths = changed.iter().map(|file| file.source().name());
                    if paths.any(|path| !self.checkpoints.has_path(&path)) {
                        self.learn_positions();
                    }
                    self.read_changed(&mut follower, &changed)?;
                }
                Err(error) => return self.fail(error),
            }
            self.send(Message::Idle)?;
            if !follower.is_due() && self.stop.wait(interval) || self.stop.is_stopped() {
                return Ok(());
            }
        }
    }

    /// Learns what other processes have read since this one began: a file that comes to it may have been read under
    /// another name.
    fn learn_positions(&mut self) {
        loop {
            match self.store.file_positions() {
                Ok(positions) => return self.checkpoints.learn(positions),
                Err(error) if error.is_retryable() && !self.stop.wait(PAUSE) => {
                    log::debug!("looking for known files again: {}", error.with_causes());
                }
                Err(error) => return log::warn!("files that others have read are not known: {error}"),
            }
        }
    }

    fn send(&self, message: Message<'a>) -> Result<(), WriterGone> {
        self.sender.send(message).map_err(|_| WriterGone)
    }

    /// Reports a source that could not be read.
    fn fail(&self, error: IngestError) -> Result<(), WriterGone> {
        let mut done = SourceDone::new(error.name.clone());
        done.outcome = match error.kind {
            IngestErrorKind::Loop => Outcome::Skipped(error),
            _ => Outcome::Failed(error),
        };
        self.send(Message::Done(done))
    }

    /// Reads a file, or those in an archive. The engine reads Parquet.
    fn read_source(&mut self, source: &Source) -> Result<(), WriterGone> {
        match source.exported_parquet(self.options) {
            Ok(None) => {}
            Ok(Some(path)) => {
                let opened = exported_lines(path).map_err(|error| IngestError::new(path, error));
                let reader =
                    opened.map(|lines| LogReader::of_lines(BufReader::new(lines), self.options, path));
                return self.read(source, reader);
            }
            Err(error) => return self.fail(error),
        }
        match source.members() {
            Ok(None) => {
                let opened = source.open_known(self.options, &self.checkpoints);
                self.read(source, opened)
            }
            Ok(Some(members)) => self.read_members(members),
            Err(error) => self.fail(error),
        }
    }

    fn read_members(&mut self, members: Vec<Result<Source, IngestError>>) -> Result<(), WriterGone> {
        for member in members {
            match member {
                Ok(member) => {
                    let opened = member.open_known(self.options, &self.checkpoints);
                    self.read(&member, opened)?;
                }
                Err(error) => self.fail(error)?,
            }
            if self.stop.is_stopped() {
                break;
            }
        }
        Ok(())
    }

    /// Reads what was written to files that are followed.
    fn read_changed(&mut self, follower: &mut Follower, changed: &[ChangedFile]) -> Result<(), WriterGone> {
        for file in changed {
            match follower.members(file) {
                Ok(None) => {
                    let opened = follower.open(file, self.options, &self.checkpoints);
                    if let Some(opened) = opened.transpose() {
                        self.read(file.source(), opened)?;
                    }
                }
                Ok(Some(members)) => self.read_members(members)?,
                Err(error) => self.fail(error)?,
            }
            if self.stop.is_stopped() {
                break;
            }
        }
        Ok(())
    }

    /// Hands on what a source holds.
    fn read(&mut self, source: &Source, opened: Result<LogReader, IngestError>) -> Result<(), WriterGone> {
        let mut done = SourceDone::new(source.name());
        match opened {
            // A stopped pipe comes to its end, and what was taken from it is read.
            Ok(reader) => self.read_blocks(reader, !source.is_stream(), &mut done)?,
            Err(error) if error.kind == IngestErrorKind::NotText && !source.is_named() => {
                done.outcome = Outcome::Skipped(error);
            }
            Err(error) => done.outcome = Outcome::Failed(error),
        }
        self.send(Message::Done(done))
    }

    /// Hands on the blocks of a source. If it `can_break_off`, it ends after any of them when the load is stopped.
    fn read_blocks(
        &mut self,
        mut reader: LogReader,
        can_break_off: bool,
        done: &mut SourceDone,
    ) -> Result<(), WriterGone> {
        done.is_known = reader.is_known();
        done.cut = reader.take_cut();
        while let Some(block) = reader.next_block(self.chunk_size) {
            match block {
                Ok(block) => self.hand_on(block)?,
                Err(error) => done.outcome = Outcome::Failed(error),
            }
            self.count_bytes(&reader, done);
            if self.stop.is_stopped() && can_break_off {
                self.unfinished += 1;
                break;
            }
            if reader.is_waiting() {
                self.send(Message::Idle)?;
            }
        }
        self.count_bytes(&reader, done);
        if let Some(position) = reader.position() {
            self.checkpoints.record(position);
        }
        Ok(())
    }

    /// Reports how much there is to read, if the caller wants to know.
    fn announce(&mut self, sources: &[Result<Source, IngestError>]) {
        if let Some(on_progress) = &mut self.on_progress {
            self.progress.total_bytes = sources.iter().flatten().map(Source::bytes).sum();
            on_progress(self.progress);
        }
    }

    fn count_bytes(&mut self, reader: &LogReader, done: &mut SourceDone) {
        self.progress.bytes += reader.bytes_read() - done.bytes;
        done.bytes = reader.bytes_read();
        if let Some(on_progress) = &mut self.on_progress {
            on_progress(self.progress);
        }
    }

    fn hand_on(&self, block: LogBlock) -> Result<(), WriterGone> {
        let (chunk, parsed): (_, Receiver<Chunk>) = sync_channel(1);
        let ahead = self.bytes_ahead.take(block.bytes());
        self.send(Message::Rows(parsed, ahead))?;
        self.parsers.send(Job { block, chunk }).map_err(|_| WriterGone)
    }
}
