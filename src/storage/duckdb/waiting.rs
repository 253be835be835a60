//! Who waits for a store's file, so that whoever keeps it open lets them have it.
//!
//! The engine's lock does not tell. So whoever waits holds a shared lock on the store's folder meanwhile, which ends with
//! its process: on the folder, because to open and close the file would free the engine's lock. Stores in one folder
//! have that lock in common; whoever keeps one of them open then closes it without need.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::connection::{Lease, Mode};
use super::{DuckDbStore, files};
use crate::storage::Result;

/// Holds the lock that says that somebody waits.
pub(super) struct Waiting {
    _folder: File,
}

impl Waiting {
    /// Tells those who keep a store's file open that somebody waits for it; `None` if they cannot be told, or not now.
    pub(super) fn announce(store: &Path) -> Option<Self> {
        let folder = File::open(files::folder_of(store)).ok()?;
        folder.try_lock_shared().ok()?;
        Some(Self { _folder: folder })
    }
}

/// The folder whose lock says whether somebody waits for a store in it.
struct Folder(File);

impl Folder {
    /// `None` where nobody can say that they wait.
    fn of(store: &Path) -> Option<Self> {
        let folder = File::open(files::folder_of(store)).ok()?;
        match folder.try_lock_shared() {
            Ok(()) => folder.unlock().ok()?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(_)) => return None,
        }
        Some(Self(folder))
    }

    fn is_awaited(&self) -> bool {
        match self.0.try_lock() {
            Ok(()) => self.0.unlock().is_err(),
            Err(_) => true,
        }
    }
}

/// Keeps a store in a file open: see [`DuckDbStore::keep_open`].
#[must_use = "it keeps the store open until it is dropped"]
pub struct KeptOpen(Option<(Lease, Folder)>);

impl KeptOpen {
    /// Whether another process waits for the store: then this is to be dropped.
    pub fn is_awaited(&self) -> bool {
        self.0.as_ref().is_some_and(|(_, folder)| folder.is_awaited())
    }
}

impl DuckDbStore {
    /// Keeps a store in a file open between operations, for whoever appends one batch after another: to open and close
    /// the file takes a tenth of the time of a batch. Processes that wait for the file get it first. Changes nothing
    /// where the store stays open anyway, or where its folder cannot be locked, so that nobody can say that they wait.
    ///
    /// Ask between operations [whether it is awaited](KeptOpen::is_awaited), and drop it then, and as soon as there is
    /// nothing to do: until it is dropped, others wait.
    ///
    /// ```
    /// use logstore::{DuckDbStore, LogEntry, LogStore};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("soc.duckdb");
    /// let store = DuckDbStore::open(path)?;
    /// let mut kept = None;
    /// for n in 0..3 {
    ///     if kept.is_none() {
    ///         kept = Some(store.keep_open()?);
    ///     }
    ///     store.append_logs(&[LogEntry::new(chrono::Utc::now()).with_procid(n)])?;
    ///     kept = kept.filter(|kept| !kept.is_awaited());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Locked`](crate::Error::Locked) if another process does not let go of the file,
    /// [`Error::ReadOnly`](crate::Error::ReadOnly) if nothing may be written.
    pub fn keep_open(&self) -> Result<KeptOpen> {
        /// Whoever waits tries again at least that often.
        const PATIENCE: Duration = Duration::from_millis(200);
        /// Whoever opens a store comes twice: to see what it is, and for what it wants of it.
        const SECOND_LOOK: Duration = Duration::from_millis(30);
        self.refuse_if_read_only("keep the store open")?;
        let closes = self.gate.locked_file().filter(|_| self.held.is_none());
        let Some(folder) = closes.and_then(Folder::of) else {
            return Ok(KeptOpen(None));
        };
        let started = Instant::now();
        if folder.is_awaited() {
            while started.elapsed() < PATIENCE && folder.is_awaited() {
                thread::sleep(Duration::from_millis(2));
            }
            thread::sleep(SECOND_LOOK);
        }
        Ok(KeptOpen(Some((self.lease(Mode::Write)?, folder))))
    }
}
