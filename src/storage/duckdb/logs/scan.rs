//! Scans: queries whose rows are read while they run.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::duckdb::arrow::array::{Array as _, StructArray};
use ::duckdb::{Connection, InterruptHandle};
use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::long_texts;
use super::spill::{self, Spill};
use crate::models::LogEntry;
use crate::storage::duckdb::engine::deadline::Deadline;
use crate::storage::duckdb::engine::gate::Lease;
use crate::storage::duckdb::rows::decode;
use crate::storage::duckdb::sql::sought::Sought;
use crate::storage::duckdb::sql::statement::{Sql, for_each_chunk_or};
use crate::storage::{Error, Result};
use crate::sync::lock;

/// Makes items of a scan from rows.
pub(crate) trait FromRows: Serialize + DeserializeOwned + Send + Sized + 'static {
    /// Returns an item for each row of a chunk.
    fn from_rows(chunk: &StructArray) -> Result<Vec<Self>>;
}

impl FromRows for LogEntry {
    fn from_rows(chunk: &StructArray) -> Result<Vec<Self>> {
        let logs = decode::logs(chunk)?;
        Ok(logs.into_iter().map(|(_, log)| log).collect())
    }
}

/// Holds items that are passed to the reader together.
enum Chunk<T> {
    /// Holds rows of the engine. The reader makes items of them while the engine goes on.
    Rows(StructArray),
    /// Holds items that were spilled.
    Items(Vec<T>),
}

impl<T: FromRows> Chunk<T> {
    fn into_items(self) -> Result<Vec<T>> {
        match self {
            Self::Rows(rows) => T::from_rows(&rows),
            Self::Items(items) => Ok(items),
        }
    }
}

/// Describes a query, and how its errors are reported.
pub(crate) struct Query<P> {
    /// Returns the queries that yield the items, one after another. All of them see the store as it is when they start.
    pub(crate) plan: P,
    pub(crate) limit: Option<u64>,
    /// Limits how long the query may take.
    pub(crate) time: Option<Duration>,
    pub(crate) error: fn(&str, ::duckdb::Error) -> Error,
    /// Holds the name that `error` is given.
    pub(crate) subject: String,
    /// Is what the plan is told is sought, for a function of the queries until they end.
    pub(crate) sought: Option<Sought>,
    /// Leaves out some rows of a chunk; `None` keeps all of them.
    pub(crate) keep: Option<Keep>,
}

/// Returns the rows of a chunk that the reader gets.
pub(crate) type Keep = Box<dyn Fn(StructArray) -> Result<StructArray> + Send>;

/// Runs a query in a thread of its own, a few chunks ahead of its reader.
///
/// Statement and connection borrow from one another, so they live on that thread's stack.
pub(crate) struct Scan<T> {
    chunks: Option<Receiver<Result<Chunk<T>>>>,
    current: std::vec::IntoIter<T>,
    query: Arc<RunningQuery>,
    thread: Option<JoinHandle<()>>,
}

impl<T: FromRows> Scan<T> {
    /// Starts a scan, and returns when the first chunk is there, so that the logs are those of now.
    ///
    /// The lease ends with the query. The query waits for its reader, for `patience` in all. After that it spills its
    /// rows to disk, so that a slow reader keeps no other process out.
    pub(crate) fn start<P>(lease: Lease, wanted: Query<P>, patience: Option<Duration>) -> Result<Self>
    where
        P: FnOnce(&Connection, Option<&Sought>) -> Result<Vec<Sql>> + Send + 'static,
    {
        const CHUNKS_AHEAD: usize = 4;
        let query = Arc::new(RunningQuery::new(lease.connection().interrupt_handle()));
        let end = EndOfQuery(Arc::clone(&query));
        let interrupted = Arc::clone(&query);
        let deadline = Deadline::start(wanted.time, move || interrupted.interrupt())?;
        let (sender, chunks) = bounded(CHUNKS_AHEAD);
        let thread = std::thread::Builder::new()
            .name("logstore-scan".into())
            .spawn(move || {
                let reader = Reader {
                    sender,
                    patience,
                    spill: None,
                };
                run(lease, wanted, deadline, end, reader);
            })
            .map_err(|io| spill::failed("start reading logs", io))?;
        let first = chunks.recv();
        let mut scan = Self {
            chunks: Some(chunks),
            current: Vec::new().into_iter(),
            query,
            thread: Some(thread),
        };
        if let Ok(first) = first {
            scan.current = first?.into_items()?.into_iter();
        }
        Ok(scan)
    }
}

fn run<T: FromRows>(
    lease: Lease,
    wanted: Query<impl FnOnce(&Connection, Option<&Sought>) -> Result<Vec<Sql>>>,
    deadline: Option<Deadline>,
    end: EndOfQuery,
    mut reader: Reader<T>,
) {
    let queried = give_all(lease.connection(), wanted, &mut reader);
    let queried = Deadline::judge(deadline, queried);
    drop(end);
    drop(lease);
    // The reader gets the rows from before an error first.
    let given = reader.give_what_was_spilled();
    if let Err(error) = queried.and(given) {
        // A reader that is gone has no use for the error.
        reader.sender.send(Err(error)).ok();
    }
}

fn give_all<T: FromRows>(
    connection: &Connection,
    wanted: Query<impl FnOnce(&Connection, Option<&Sought>) -> Result<Vec<Sql>>>,
    reader: &mut Reader<T>,
) -> Result<()> {
    let failed = |error| (wanted.error)(&wanted.subject, error);
    connection
        .execute_batch("BEGIN TRANSACTION READ ONLY")
        .map_err(failed)?;
    let mut missing = wanted
        .limit
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    for sql in (wanted.plan)(connection, wanted.sought.as_ref())? {
        if missing == 0 {
            break;
        }
        let mut is_wanted = true;
        for_each_chunk_or(connection, &sql, failed, |chunk| {
            let chunk = chunk.slice(0, chunk.len().min(missing));
            missing -= chunk.len();
            let chunk = match &wanted.keep {
                Some(keep) => keep(chunk)?,
                None => chunk,
            };
            if chunk.is_empty() {
                return Ok(missing > 0);
            }
            for piece in long_texts::pieces(chunk) {
                is_wanted = is_wanted && reader.give(piece)?;
            }
            Ok(is_wanted && missing > 0)
        })?;
        if !is_wanted {
            break;
        }
    }
    Ok(())
}

impl<T: FromRows> Iterator for Scan<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.current.next() {
                return Some(Ok(item));
            }
            match self.chunks.as_ref()?.recv() {
                Ok(chunk) => match chunk.and_then(Chunk::into_items) {
                    Ok(items) => self.current = items.into_iter(),
                    Err(error) => {
                        self.chunks = None;
                        return Some(Err(error));
                    }
                },
                Err(_) => self.chunks = None,
            }
        }
    }
}

impl<T> Drop for Scan<T> {
    /// Returns the connection to the gate first, so that the store is free again.
    fn drop(&mut self) {
        let finished = self.chunks.take().is_none();
        if !finished {
            self.query.interrupt();
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread that read logs panicked");
        }
    }
}

/// Interrupts a query while its connection is open.
///
/// In duckdb 1.10505.0, to interrupt a connection while another thread closes it reads freed memory.
struct RunningQuery(Mutex<Option<Arc<InterruptHandle>>>);

impl RunningQuery {
    fn new(handle: Arc<InterruptHandle>) -> Self {
        Self(Mutex::new(Some(handle)))
    }

    fn interrupt(&self) {
        if let Some(handle) = lock(&self.0).as_ref() {
            handle.interrupt();
        }
    }
}

/// Marks the end of a query. It is dropped before the connection, also in a panic.
struct EndOfQuery(Arc<RunningQuery>);

impl Drop for EndOfQuery {
    fn drop(&mut self) {
        *lock(&self.0.0) = None;
    }
}

/// Represents the reader of a query, on the side of the query.
struct Reader<T> {
    sender: Sender<Result<Chunk<T>>>,
    /// Limits how long the query may still wait for the reader; `None` means no limit.
    patience: Option<Duration>,
    spill: Option<Spill>,
}

impl<T: FromRows> Reader<T> {
    /// Passes on a chunk, or spills it, and returns whether there is still a reader.
    fn give(&mut self, chunk: StructArray) -> Result<bool> {
        if let Some(spill) = &mut self.spill {
            return spill.push(&T::from_rows(&chunk)?).map(|()| true);
        }
        let Some(patience) = self.patience else {
            return Ok(self.sender.send(Ok(Chunk::Rows(chunk))).is_ok());
        };
        let started = Instant::now();
        let sent = self.sender.send_timeout(Ok(Chunk::Rows(chunk)), patience);
        self.patience = Some(patience.saturating_sub(started.elapsed()));
        match sent {
            Ok(()) => Ok(true),
            Err(SendTimeoutError::Timeout(Ok(chunk))) => {
                log::debug!("spilling logs for a reader that is slower than the store");
                self.spill.insert(Spill::new()?).push(&chunk.into_items()?)?;
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    fn give_what_was_spilled(&mut self) -> Result<()> {
        let Some(spill) = self.spill.take() else {
            return Ok(());
        };
        spill.drain(|items| self.sender.send(Ok(Chunk::Items(items))).is_ok())
    }
}
