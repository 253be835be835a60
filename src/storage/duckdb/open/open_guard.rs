//! Keeps a file open between operations of a process, and lets others have it.

use crate::storage::Result;
use crate::storage::duckdb::engine::gate::Lease;
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::store::DuckDbStore;

/// Keeps a store in a file open: see [`DuckDbStore::hold_open`].
#[must_use = "it keeps the store open until it is dropped"]
pub struct OpenGuard(Option<Lease>);

impl OpenGuard {
    /// Returns whether another process waits for the store. The caller then drops this guard.
    pub fn has_waiters(&self) -> bool {
        self.0.as_ref().is_some_and(Lease::has_waiters)
    }
}

impl DuckDbStore {
    /// Keeps a store in a file open between operations, until the guard is dropped.
    ///
    /// This serves a caller that appends one batch after another. To open and close the file takes a tenth of the time
    /// of a batch. Processes that wait for the file get it first.
    ///
    /// The guard changes nothing if the store stays open anyway, or if processes cannot show that they wait. They
    /// cannot on other systems than Linux, or if the store's folder may not be read.
    ///
    /// Other processes wait until the guard is dropped. Ask between operations whether it
    /// [has waiters](OpenGuard::has_waiters), and drop it then. Also drop it as soon as there is nothing to do.
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
    ///         kept = Some(store.hold_open()?);
    ///     }
    ///     store.append_logs(&[LogEntry::new(chrono::Utc::now()).with_procid(n)])?;
    ///     kept = kept.filter(|kept| !kept.has_waiters());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Locked`](crate::Error::Locked) if another process does not release the file,
    /// [`Error::ReadOnly`](crate::Error::ReadOnly) if the store is read only.
    pub fn hold_open(&self) -> Result<OpenGuard> {
        self.refuse_if_read_only("keep the store open")?;
        if self.gate.locked_file().is_none() || self.held.is_some() {
            return Ok(OpenGuard(None));
        }
        let writing = self.gate.wait_to_write(self.lock_timeout)?;
        let lease = self.lease(Mode::Write)?.keep();
        drop(writing);
        Ok(OpenGuard(Some(lease).filter(Lease::can_see_waiters)))
    }
}
