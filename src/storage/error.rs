//! The errors of a store, told apart by what the caller can do about them.

use std::path::PathBuf;
use std::time::Duration;

use crate::models::InvalidValue;

/// The result of a store's methods.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a store could not do what it was asked.
///
/// A message says what was tried, on what, and where it is known, what to do; the cause is the
/// [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's input is wrong: correct it.
    #[error(transparent)]
    InvalidInput(#[from] InvalidValue),

    /// Something that was named does not exist.
    #[error("no {what} {name:?}")]
    NotFound {
        /// What was looked for, such as `alert`.
        what: &'static str,
        /// The name it was looked for under.
        name: String,
    },

    /// There is no store here, or there cannot be one.
    #[error("cannot open store {path:?}: {reason}")]
    Unavailable {
        /// Where the store should be.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },

    /// A file cannot be written.
    #[error("cannot write {path:?}: {reason}")]
    WriteFailed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },

    /// Another process holds the store: try again, or wait longer.
    #[error(
        "store {path:?} is locked by {holder}: waited {waited:.1?}, set a longer lock timeout or stop it"
    )]
    Locked {
        /// The store.
        path: PathBuf,
        /// The program and process that holds it, as far as the system tells.
        holder: String,
        /// For how long it was tried.
        waited: Duration,
    },

    /// A query took longer than it may: ask for less, or allow it more time.
    #[error(
        "the query was ended after {limit:?}, the time that it may take: ask for less, or allow it more time"
    )]
    TimedOut {
        /// How long a query may take.
        limit: Duration,
    },

    /// The store was opened for reading only.
    #[error("cannot {action}: the store is open for reading only")]
    ReadOnly {
        /// What was tried.
        action: &'static str,
    },

    /// The store was written by a later version of this crate: use that version.
    #[error(
        "store {path:?} has schema version {found}, this program knows versions up to {known}: use a newer logstore"
    )]
    NewerSchema {
        /// The store.
        path: PathBuf,
        /// The version of its schema.
        found: i64,
        /// The latest version known here.
        known: i64,
    },

    /// The stored data is damaged: restore the store from a backup.
    #[error("store is damaged, restore it from a backup: {reason}")]
    Corrupt {
        /// What was found.
        reason: String,
    },

    /// Another process moved a position since it was read: read it again.
    #[error(
        "the position of {what} {name:?} is not {expected} any more: another process moved it to {actual}"
    )]
    Conflict {
        /// Whose position it is: `consumer` or `file`.
        what: &'static str,
        /// The name of the consumer, or the path of the file.
        name: String,
        /// Where the caller took it to be.
        expected: String,
        /// Where it is.
        actual: String,
    },

    /// Concurrent writers kept conflicting with this operation on a lake. Nothing was stored: try again.
    #[error("cannot {action}: other processes changed the same rows each time, try again")]
    TransactionConflict {
        /// What was tried.
        action: &'static str,
        /// What the engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// There is no connection to the database that is the catalog of a lake: try again when there is. The operation
    /// may have been kept, if the connection broke at its very end; to repeat it does no harm.
    #[error("cannot {action}: no connection to the catalog")]
    Disconnected {
        /// What was tried.
        action: &'static str,
        /// What the engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The disk is full: free some space. Nothing of the operation was kept.
    #[error("cannot {action}: no space left on the disk, free some and try again")]
    DiskFull {
        /// What was tried.
        action: &'static str,
        /// What the engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The engine failed for a reason of its own.
    #[error("cannot {action}")]
    Backend {
        /// What was tried.
        action: &'static str,
        /// What the engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Returns whether the same operation may succeed later although nobody corrects anything: another process held the
    /// store, won a race for the same rows, or the connection to the catalog broke. To repeat the operation does no harm,
    /// even if it was kept.
    ///
    /// ```
    /// use std::time::Duration;
    /// use logstore::{DuckDbStore, Error, LogEntry, LogStore};
    ///
    /// fn append(store: &DuckDbStore, logs: &[LogEntry]) -> Result<u64, Error> {
    ///     loop {
    ///         match store.append_logs(logs) {
    ///             Err(error) if error.is_retryable() => std::thread::sleep(Duration::from_secs(1)),
    ///             appended => return Ok(appended?.stored),
    ///         }
    ///     }
    /// }
    /// # let log = LogEntry::new(chrono::Utc::now());
    /// # assert_eq!(append(&DuckDbStore::open(":memory:")?, &[log])?, 1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Locked { .. } | Self::TransactionConflict { .. } | Self::Disconnected { .. }
        )
    }
}
