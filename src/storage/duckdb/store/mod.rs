//! A store: the handle, and how its operations run.

pub(super) mod first_look;
pub(super) mod new_files;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::duckdb::Connection;

use self::first_look::FirstLook;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::engine::deadline::Deadline;
use crate::storage::duckdb::engine::gate::{Gate, Lease, Writing};
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::engine::{files, waiter};
use crate::storage::duckdb::error;
use crate::storage::duckdb::lake::commit_lock::CommitLock;
use crate::storage::duckdb::lake::{data, fence, parts, snapshot};
use crate::storage::duckdb::transaction::{read_transaction, transaction};
use crate::storage::{Error, Result};

/// Represents a store in a `DuckDB` file, in memory, or in a lake that many machines share.
///
/// A lake has a catalog and a place for its data: `ducklake:postgres:host=db dbname=soc?data_path=s3://soc/logs`. The
/// catalog is a PostgreSQL database for many machines, or a file for one. It records the place of the data, so that
/// `?data_path=` is needed only when the lake is created.
///
/// Threads can share the handle. A file can be opened any number of times, in one process or in many: see
/// [`Access`](crate::duckdb::Access).
///
/// ```
/// use logstore::{DuckDbStore, LogEntry, LogQuery, LogStore, StoreExt};
///
/// let store = DuckDbStore::open(":memory:")?;
/// store.append_logs(&[LogEntry::new(chrono::Utc::now()).with_appname("sshd").with_message("Failed password")])?;
/// for log in store.fetch_logs(&LogQuery::new().contains("Failed"))? {
///     println!("{} {:?}", log.event_time, log.appname);
/// }
/// # Ok::<(), logstore::Error>(())
/// ```
#[derive(Clone)]
pub struct DuckDbStore {
    pub(super) gate: Arc<Gate>,
    pub(super) lock_timeout: Duration,
    pub(super) query_timeout: Option<Duration>,
    pub(super) read_only: bool,
    pub(super) location: String,
    /// Holds SQL that logs are read from: a view, or a query that replaces one.
    pub(super) log_texts: &'static str,
    /// Holds SQL that alerts are read from: a table, or a query that replaces it.
    pub(super) alerts: &'static str,
    /// Names the place of a lake's data files.
    pub(super) data_path: Option<String>,
    /// Keeps the engine open until the handle is dropped. The mutex lets threads share it.
    pub(super) held: Option<Arc<Mutex<Lease>>>,
    /// Holds the look at the tables that the first operation takes.
    pub(super) first_look: Option<Arc<FirstLook>>,
}

impl DuckDbStore {
    /// Returns the location of the store, without a password.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Returns the canonical paths of the store's files; none for a store in memory.
    ///
    /// Some of the files come and go. A process that has the store open must not open and close them itself: that
    /// would release the engine's lock.
    pub fn files(&self) -> Vec<PathBuf> {
        let Some(path) = self.gate.locked_file() else {
            return Vec::new();
        };
        vec![path.to_owned(), files::write_ahead_log(path)]
    }

    pub(super) fn is_lake(&self) -> bool {
        self.gate.location().lake().is_some()
    }

    /// Returns whether tables refuse a second row with the same key. Those of a lake have no keys.
    pub(super) fn has_keys(&self) -> bool {
        !self.is_lake()
    }

    pub(super) fn commit_order(&self) -> CommitOrder {
        CommitOrder::of(self.gate.location())
    }

    /// Returns how long a query may wait for its reader; `None` if it keeps no other process out meanwhile.
    pub(super) fn patience_with_readers(&self) -> Option<Duration> {
        const PATIENCE: Duration = Duration::from_secs(1);
        (self.gate.locked_file().is_some() && self.held.is_none()).then_some(PATIENCE)
    }

    /// Runs an operation that only reads.
    pub(super) fn read<T>(&self, operation: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        self.retry(|| operation(self.lease(Mode::Read)?.connection()))
    }

    /// Runs an operation that only reads, and interrupts it when its time is over.
    pub(super) fn read_in_time<T>(&self, operation: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        self.read(|connection| {
            let running = connection.interrupt_handle();
            let deadline = Deadline::start(self.query_timeout, move || running.interrupt())?;
            let outcome = operation(connection);
            Deadline::judge(deadline, outcome)
        })
    }

    /// Runs an operation that writes, in a transaction, when no other writer is at work.
    ///
    /// The transaction of a lake with many writers commits only if no other one has committed since it began.
    pub(super) fn write<T>(
        &self,
        action: &'static str,
        operation: impl Fn(&Connection) -> Result<T>,
    ) -> Result<T> {
        self.retry(|| {
            self.write_statement(action, |connection| {
                self.transaction_on_disk(connection, action, |connection| {
                    if self.gate.location().has_many_writers() {
                        fence::expect_next_after(connection, snapshot::snapshot(connection)?)?;
                    }
                    operation(connection)
                })
            })
        })
    }

    /// Runs an operation that writes, most of it before the writer takes the commit lock of a lake.
    ///
    /// The order of events is what makes this safe:
    ///
    /// 1. A transaction begins and notes its snapshot.
    /// 2. The operation looks for stored logs, and writes its files. Other writers may commit meanwhile.
    /// 3. The writer takes the commit lock. From here on no other writer commits, unless this one loses the lock.
    /// 4. `is_overtaken` looks for a commit since the snapshot that makes the work void. It uses another connection,
    ///    which sees all commits. If there is one, the transaction is rolled back and retried.
    /// 5. The transaction commits, as the next one after the snapshot that `is_overtaken` saw. The fence refuses it if
    ///    another one came between. Only then the lock is released.
    ///
    /// A store that one process at a time writes to has no commit lock: there this is [`write`](Self::write).
    pub(super) fn write_ahead<T>(
        &self,
        action: &'static str,
        operation: impl Fn(&Connection) -> Result<T>,
        is_overtaken: impl Fn(&Connection, i64) -> Result<bool>,
    ) -> Result<T> {
        if !self.gate.location().has_many_writers() {
            return self.write(action, operation);
        }
        self.retry(|| {
            self.refuse_if_read_only(action)?;
            let lease = self.lease(Mode::Write)?;
            let (outcome, commit_lock) = transaction(lease.connection(), action, |connection| {
                let snapshot = snapshot::snapshot(connection)?;
                let outcome = operation(connection)?;
                self.sync_data()?;
                let commit_lock = CommitLock::take(&self.gate, self.lock_timeout)?;
                let look = |connection: &Connection| {
                    Ok((
                        is_overtaken(connection, snapshot)?,
                        snapshot::snapshot(connection)?,
                    ))
                };
                let (is_overtaken, latest) =
                    read_transaction(self.lease(Mode::Read)?.connection(), action, look)?;
                if is_overtaken {
                    return Err(Error::TransactionConflict {
                        action,
                        source: "another process committed the same logs or positions".into(),
                    });
                }
                fence::expect_next_after(connection, latest)?;
                // The lock is returned, so that the transaction commits before the lock is dropped.
                Ok((outcome, commit_lock))
            })?;
            drop(commit_lock);
            Ok(outcome)
        })
    }

    /// Runs a single statement that writes, which is a transaction of its own.
    pub(super) fn write_statement<T>(
        &self,
        action: &'static str,
        statement: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        self.refuse_if_read_only(action)?;
        let right = self.wait_to_write()?;
        let lease = self.lease(Mode::Write)?;
        if let Some(path) = self.gate.locked_file() {
            files::prepare_write_ahead_log(path)?;
        }
        let outcome = statement(lease.connection());
        // The file is closed, or the connection returned, before the next writer begins.
        drop(lease);
        drop(right);
        outcome
    }

    /// Waits until no other operation writes: first of this process, then of the lake's other processes.
    fn wait_to_write(&self) -> Result<RightToWrite<'_>> {
        let of_process = self.gate.wait_to_write(self.lock_timeout)?;
        let of_lake = CommitLock::take(&self.gate, self.lock_timeout)?;
        Ok(RightToWrite {
            _of_lake: of_lake,
            _of_process: of_process,
        })
    }

    /// Runs an operation in a transaction, and syncs the files that it writes to disk before the commit.
    pub(super) fn transaction_on_disk<T>(
        &self,
        connection: &Connection,
        action: &'static str,
        operation: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        transaction(connection, action, |connection| {
            let outcome = operation(connection)?;
            self.sync_data()?;
            Ok(outcome)
        })
    }

    /// Syncs data files to disk. The caller calls this before a commit that adds files to a lake.
    pub(super) fn sync_data(&self) -> Result<()> {
        self.data_path.as_deref().map_or(Ok(()), data::sync)
    }

    pub(super) fn refuse_if_read_only(&self, action: &'static str) -> Result<()> {
        match self.read_only {
            true => Err(Error::ReadOnly { action }),
            false => Ok(()),
        }
    }

    /// Runs an operation until the lock timeout is over, and retries it on a conflict with other processes, or if the
    /// catalog does not answer.
    pub(super) fn retry<T>(&self, operation: impl Fn() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        loop {
            let outcome = self.after_failure(operation());
            let waited = started.elapsed();
            match &outcome {
                Err(error) if waited < self.lock_timeout && may_succeed_soon(error) => {
                    log::debug!("trying again: {}", error.with_causes());
                    std::thread::sleep(waiter::retry_after(waited));
                }
                Err(Error::DiskFull { source, .. }) => {
                    if let Some(data_path) = &self.data_path {
                        parts::remove_named(&source.to_string(), data_path);
                    }
                    return outcome;
                }
                _ => return outcome,
            }
        }
    }

    /// Lets the next operation connect anew after the connection to a catalog was lost. Names what an operation has
    /// waited for.
    pub(super) fn after_failure<T>(&self, outcome: Result<T>) -> Result<T> {
        match outcome {
            Err(error @ Error::Disconnected { .. }) => {
                self.gate.close_when_unused();
                Err(error)
            }
            Err(error) if error::has_waited_for_lock(&error) => Err(Error::Locked {
                path: self.location.clone().into(),
                holder: "a process that does not end its transaction in the catalog".to_owned(),
                waited: self.lock_timeout,
            }),
            outcome => outcome,
        }
    }
}

/// Returns whether a retry makes sense that does not wait for long.
fn may_succeed_soon(error: &Error) -> bool {
    matches!(error, Error::TransactionConflict { .. }) || error::may_answer_soon(error)
}

/// Holds the right to write. Fields are dropped in their order, so that the lake's lock is released first.
struct RightToWrite<'a> {
    _of_lake: CommitLock,
    _of_process: Option<Writing<'a>>,
}

impl std::fmt::Debug for DuckDbStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DuckDbStore")
            .field("location", &self.location)
            .field("lock_timeout", &self.lock_timeout)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}
