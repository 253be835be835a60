//! The errors of a store, told apart by what the caller can do about them.

use std::path::PathBuf;
use std::time::Duration;

use crate::models::InvalidValue;

/// Holds the result of a store's method.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says why a store could not do what the caller asked.
///
/// A message says what was tried and on what. Where the remedy is known, it says what to do. The cause is the
/// [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Means that the caller's input is wrong: correct it.
    #[error(transparent)]
    InvalidInput(#[from] InvalidValue),

    /// Means that something that the caller named does not exist.
    #[error("no {what} {name:?}")]
    NotFound {
        /// Names the kind of thing, such as `alert`.
        what: &'static str,
        /// Holds the name that the caller gave.
        name: String,
    },

    /// Means that there is no store here: name another place, or make a store.
    #[error("cannot open store {path:?}: {reason}")]
    NoStore {
        /// Names the place where a store was looked for.
        path: PathBuf,
        /// Says what is missing, and what to do.
        reason: String,
    },

    /// Means that no store can be at this place: name another, or move away what is there.
    #[error("cannot open store {path:?}: {reason}")]
    NotAStore {
        /// Names the place.
        path: PathBuf,
        /// Says what is there, and what to do.
        reason: String,
    },

    /// Means that the system does not let this process use the store's files: change who may.
    #[error("cannot open store {path:?}: permission denied: check who may write it and its folder")]
    AccessDenied {
        /// Names the store.
        path: PathBuf,
    },

    /// Means that the engine, or an extension of it, cannot be used: mend its installation or its settings.
    #[error("cannot use {path:?}: {reason}")]
    EngineUnavailable {
        /// Names the store or the extension's file that the engine was to open.
        path: PathBuf,
        /// Says what is wrong, and what to do.
        reason: String,
    },

    /// Means that a file cannot be written.
    #[error("cannot write {path:?}: {reason}")]
    WriteFailed {
        /// Names the file.
        path: PathBuf,
        /// Says what is wrong, and what to do.
        reason: String,
    },

    /// Means that another process holds the store: retry, or wait longer.
    #[error(
        "store {path:?} is locked by {holder}: waited {waited:.1?}, set a longer lock timeout or stop it"
    )]
    Locked {
        /// Names the store.
        path: PathBuf,
        /// Names the program and process that hold it, as far as the system tells.
        holder: String,
        /// Holds the time that the operation waited.
        waited: Duration,
    },

    /// Means that a query took longer than it may: ask for less, or allow it more time.
    #[error(
        "the query was ended after {limit:?}, the time that it may take: ask for less, or allow it more time"
    )]
    TimedOut {
        /// Holds the time that a query may take.
        limit: Duration,
    },

    /// Means that the store was opened for reading only.
    #[error("cannot {action}: the store is open for reading only")]
    ReadOnly {
        /// Names the operation that was tried.
        action: &'static str,
    },

    /// Means that a later version of this crate wrote the store: use that version.
    #[error(
        "store {path:?} has schema version {found}, this program knows versions up to {known}: use a newer logstore"
    )]
    NewerSchema {
        /// Names the store.
        path: PathBuf,
        /// Holds the version of its schema.
        found: i64,
        /// Holds the latest version known here.
        known: i64,
    },

    /// Means that the stored data is damaged: restore the store from a backup.
    #[error("store is damaged, restore it from a backup: {reason}")]
    Corrupt {
        /// Says what was found.
        reason: String,
    },

    /// Means that another process moved a position after the caller read it: read it again.
    #[error(
        "the position of {what} {name:?} is not {expected} any more: another process moved it to {actual}"
    )]
    Conflict {
        /// Names the owner of the position: `consumer` or `file`.
        what: &'static str,
        /// Holds the name of the consumer, or the path of the file.
        name: String,
        /// Holds the position that the caller expected.
        expected: String,
        /// Holds the actual position.
        actual: String,
    },

    /// Means that a lake's catalog is not the one that a cursor was read from: begin again at another position.
    ///
    /// A backup was restored. Logs after the cursor may be others than those that its reader has not read.
    #[error(
        "the catalog was restored from a backup since this position was read: it does not hold snapshot {snapshot} as it \
         was; begin again, at a consumer's position or at the first log"
    )]
    Restored {
        /// Holds the number of the last snapshot that the reader has seen.
        snapshot: i64,
    },

    /// Means that concurrent writers kept conflicting with this operation on a lake. Nothing was stored: retry.
    #[error("cannot {action}: other processes changed the same rows each time, try again")]
    TransactionConflict {
        /// Names the operation that was tried.
        action: &'static str,
        /// Holds the engine's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// Means that the database that is a lake's catalog does not answer: retry when it does.
    ///
    /// The operation may have been kept if the connection broke at its very end. A repetition does no harm.
    #[error("cannot {action}: no connection to the catalog")]
    Disconnected {
        /// Names the operation that was tried.
        action: &'static str,
        /// Holds the engine's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// Means that the storage of a lake's data does not answer: retry when it does. Nothing of the operation was kept.
    #[error("cannot {action}: the storage of the data does not answer, try again when it does")]
    DataUnreachable {
        /// Names the operation that was tried.
        action: &'static str,
        /// Holds the engine's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// Means that the disk is full: free some space. Nothing of the operation was kept.
    #[error("cannot {action}: no space left on the disk, free some and try again")]
    DiskFull {
        /// Names the operation that was tried.
        action: &'static str,
        /// Holds the engine's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// Means that the engine failed for a reason of its own.
    #[error("cannot {action}")]
    Backend {
        /// Names the operation that was tried.
        action: &'static str,
        /// Holds the engine's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Returns whether the same operation may succeed later without any correction.
    ///
    /// Such an operation failed because of a lock, a conflict, or a catalog or storage that does not answer. A
    /// repetition does no harm, even if the operation was kept.
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
            Self::Locked { .. }
                | Self::TransactionConflict { .. }
                | Self::Disconnected { .. }
                | Self::DataUnreachable { .. }
        )
    }

    /// Returns the message with those of its causes, in one line.
    ///
    /// ```
    /// use logstore::DuckDbStore;
    ///
    /// let error = DuckDbStore::open("/nowhere/soc.duckdb").unwrap_err();
    /// assert!(error.with_causes().starts_with("cannot open store"));
    /// ```
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        text
    }
}
