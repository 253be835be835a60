//! Reading in one thread, making layouts in a second, storing in a third.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use indicatif::ProgressBar;
use logstore::{
    Appended, BorrowedLog, DuckDbStore, Error, FileProgress, Follower, IngestError, IngestOptions,
    KnownFiles, LogReader, LogRows, LogRowsBuilder, PARSE_ERROR, Source, StopHandle,
};

use super::Summary;
use crate::Result;

/// Before trying again what failed at once.
const PAUSE: Duration = Duration::from_secs(1);

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

/// What one thread hands to the next one.
enum Message {
    Rows(Chunk, Option<FileProgress>),
    /// A source was read, for now.
    Done(Done),
    /// What comes next has to be waited for.
    Pause,
}

#[derive(Default)]
struct Done {
    bytes: u64,
    is_known: bool,
    error: Option<IngestError>,
}

/// There is nothing more to read, or nobody to read for: the writer has gone, and says why.
struct Ended;

impl Pipeline<'_> {
    /// Reads sources to their ends.
    pub(super) fn read_to_ends(&self, sources: &[Source], known: KnownFiles) -> Result<Summary> {
        self.run(known, |reading| {
            for source in sources.iter().take_while(|_| !self.stop.is_stopped()) {
                let opened = source.open_known(&self.options, &reading.known);
                reading.read(opened)?;
            }
            Ok(())
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
                for file in follower.poll().map_err(|error| reading.fail(error))? {
                    let opened = file.open(&self.options, &reading.known);
                    reading.read(opened)?;
                }
                reading.send(Message::Pause)?;
                if self.stop.wait(interval) {
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
        /// Chunks that are ahead of the next thread: few, so that they are still in the caches.
        const CHUNKS_AHEAD: usize = 4;
        let (sender, read) = sync_channel(CHUNKS_AHEAD);
        let (ready, messages) = sync_channel(self.batch_size.div_ceil(CHUNK));
        let outcome = std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut reading = Reading {
                    pipeline: self,
                    known,
                    sender,
                    chunk_size: self.batch_size.min(CHUNK),
                    chunk: Chunk::default(),
                    rows: LogRowsBuilder::default(),
                };
                read_all(&mut reading).ok();
            });
            scope.spawn(move || make_layouts(&read, &ready));
            // Gives up the receiver when it fails, so that the reader stops as well.
            self.write(messages)
        });
        self.progress.finish_and_clear();
        outcome
    }

    fn write(&self, messages: Receiver<Message>) -> Result<Summary> {
        let mut summary = Summary::default();
        let mut batch = Batch::default();
        // The first one is full sooner: until then the store has nothing to do.
        let mut size = self.batch_size.div_ceil(2);
        let mut next = messages.recv().ok();
        while let Some(message) = next {
            match message {
                Message::Rows(chunk, progress) => batch.push(chunk, progress),
                Message::Done(done) => self.count(done, &mut summary),
                Message::Pause => batch.is_due = true,
            }
            if batch.is_full(size) {
                size = self.batch_size;
                self.store(&mut batch, &mut summary)?;
            }
            next = match messages.try_recv() {
                Ok(message) => Some(message),
                Err(TryRecvError::Disconnected) => None,
                Err(TryRecvError::Empty) => {
                    if batch.is_due {
                        self.store(&mut batch, &mut summary)?;
                    }
                    messages.recv().ok()
                }
            };
        }
        self.store(&mut batch, &mut summary)?;
        Ok(summary)
    }

    fn store(&self, batch: &mut Batch, summary: &mut Summary) -> Result {
        let batch = std::mem::take(batch);
        if batch.rows.is_empty() && batch.files.is_empty() {
            return Ok(());
        }
        let appended = self.append(&batch).inspect_err(|_| self.progress.abandon())?;
        summary.parse_errors += batch.parse_errors;
        summary.logs += batch.rows.len() as u64;
        summary.stored += appended.stored;
        summary.duplicates += appended.duplicates;
        Ok(())
    }

    fn append(&self, batch: &Batch) -> logstore::Result<Appended> {
        loop {
            match self.store.append_rows_of_files(&batch.rows, &batch.files) {
                Err(
                    error @ (Error::Locked { .. } | Error::Contended { .. } | Error::Disconnected { .. }),
                ) if self.keeps_trying && !self.stop.is_stopped() => {
                    self.progress.suspend(|| log::warn!("{error}; trying again"));
                    // The others come after a wait of their own.
                    if matches!(error, Error::Disconnected { .. }) {
                        self.stop.wait(PAUSE);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    fn count(&self, done: Done, summary: &mut Summary) {
        summary.sources += 1;
        summary.known_sources += u64::from(done.is_known);
        summary.bytes += done.bytes;
        if let Some(error) = done.error {
            summary.failed_sources += 1;
            self.progress.suspend(|| log::error!("{error}"));
        }
    }
}

/// The reader's side.
struct Reading<'a> {
    pipeline: &'a Pipeline<'a>,
    known: KnownFiles,
    sender: SyncSender<Message>,
    chunk_size: usize,
    chunk: Chunk,
    /// The rows of the chunk.
    rows: LogRowsBuilder,
}

impl Reading<'_> {
    fn send(&self, message: Message) -> Result<(), Ended> {
        self.sender.send(message).map_err(|_| Ended)
    }

    /// Ends with something that could not be read.
    fn fail(&self, error: IngestError) -> Ended {
        let done = Done {
            error: Some(error),
            ..Done::default()
        };
        self.send(Message::Done(done)).ok();
        Ended
    }

    /// Hands on what a source holds, in chunks after which one can go on.
    fn read(&mut self, opened: Result<LogReader, IngestError>) -> Result<(), Ended> {
        let mut done = Done::default();
        match opened {
            Ok(mut reader) => {
                done.is_known = reader.is_known();
                while let Some(read) = reader.read_next(|log| self.push(&log)) {
                    done.error = read.err();
                    let must_wait = reader.is_waiting();
                    if must_wait || self.is_full() && reader.is_between_logs() {
                        self.hand_on(&mut reader, &mut done)?;
                        if self.pipeline.stop.is_stopped() {
                            break;
                        }
                    }
                    if must_wait {
                        self.send(Message::Pause)?;
                    }
                }
                self.hand_on(&mut reader, &mut done)?;
            }
            Err(error) => done.error = Some(error),
        }
        self.send(Message::Done(done))
    }

    fn push(&mut self, log: &BorrowedLog<'_>) {
        self.chunk.bytes += log.raw().map_or(0, str::len);
        self.chunk.parse_errors += u64::from(log.has_metadata(PARSE_ERROR));
        self.rows.push(log);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= self.chunk_size || self.chunk.bytes >= BYTES
    }

    fn hand_on(&mut self, reader: &mut LogReader, done: &mut Done) -> Result<(), Ended> {
        self.pipeline.progress.inc(reader.bytes_read() - done.bytes);
        done.bytes = reader.bytes_read();
        let progress = reader.take_progress();
        if let Some(progress) = &progress {
            self.known.note(progress);
        }
        let chunk = Chunk {
            rows: self.rows.finish(),
            ..std::mem::take(&mut self.chunk)
        };
        if chunk.rows.is_empty() && progress.is_none() {
            return Ok(());
        }
        self.send(Message::Rows(chunk, progress))
    }
}

/// Makes layouts, until there are no more rows or nobody wants them.
fn make_layouts(read: &Receiver<Message>, ready: &SyncSender<Message>) {
    for mut message in read {
        if let Message::Rows(chunk, _) = &mut message {
            chunk.rows.make_layouts();
        }
        if ready.send(message).is_err() {
            return;
        }
    }
}

/// Rows that are handed on at a time.
const CHUNK: usize = 2_048;

/// No chunk holds many more bytes, but for one that is a single line, and no batch many times as many.
const BYTES: usize = 16 << 20;

/// Rows of one source.
#[derive(Default)]
struct Chunk {
    rows: LogRows,
    bytes: usize,
    parse_errors: u64,
}

/// What is stored in one transaction. It may hold the end of one source and all of the next: many small files
/// are few transactions.
#[derive(Default)]
struct Batch {
    rows: LogRows,
    files: Vec<FileProgress>,
    bytes: usize,
    parse_errors: u64,
    /// Whether it is not to wait for more.
    is_due: bool,
}

impl Batch {
    fn push(&mut self, chunk: Chunk, progress: Option<FileProgress>) {
        self.bytes += chunk.bytes;
        self.parse_errors += chunk.parse_errors;
        self.rows.append(chunk.rows);
        let Some(progress) = progress else { return };
        match self.files.last_mut() {
            Some(last) if last.to.id == progress.to.id => last.to = progress.to,
            _ => self.files.push(progress),
        }
    }

    fn is_full(&self, size: usize) -> bool {
        self.rows.len() >= size || self.bytes >= 8 * BYTES
    }
}
