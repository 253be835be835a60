//! How an operation waits for a store's file, and how a process that keeps the file open lets others have it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::DuckDbStore;
use super::connection::Lease;
use super::mode::Mode;
use super::queue::{Number, Passed, Place};
use crate::storage::Result;

/// How long a predecessor in the queue may take until others try to go before it. It may have been stopped, or use the
/// file; `DuckDB`'s lock tells.
const PATIENCE: Duration = Duration::from_secs(1);

/// An operation that waits for the engine.
pub(super) struct Waiter {
    started: Instant,
    timeout: Duration,
    place: Option<Place>,
    predecessor: Option<Number>,
    /// When the present predecessor became the next one to wait for, or the last one went.
    since: Instant,
    /// When to try to open the file, unless the predecessor goes before.
    next_try: Instant,
}

impl Waiter {
    pub(super) fn new(timeout: Duration) -> Self {
        let started = Instant::now();
        Self {
            started,
            timeout,
            place: None,
            predecessor: None,
            since: started,
            next_try: started,
        }
    }

    pub(super) fn waited(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn is_out_of_time(&self) -> bool {
        self.waited() >= self.timeout
    }

    /// Takes a place in a store's queue, unless there is one already, there can be none, or nobody is to wait.
    pub(super) fn queue_up(&mut self, store: &Path, mode: Mode, passed: &mut Option<Passed>) {
        // One who does not wait must not be seen to: whoever keeps the file open would close it for nobody.
        if self.place.is_none() && !self.timeout.is_zero() {
            self.place = Place::take(store, mode, passed);
        }
    }

    /// Whether to try to open the file now: when nobody is before this operation, when its predecessor takes long, and
    /// for a last time.
    pub(super) fn is_its_turn(&mut self) -> bool {
        let predecessor = self.place.as_ref().and_then(Place::predecessor);
        let now = Instant::now();
        if predecessor != self.predecessor {
            self.predecessor = predecessor;
            self.since = now;
            self.next_try = predecessor.map_or(now, |_| now + PATIENCE);
        }
        now >= self.next_try || self.is_out_of_time()
    }

    /// Waits longer before the next try to open the file.
    pub(super) fn note_refusal(&mut self) {
        self.next_try = Instant::now() + retry_after(self.since.elapsed());
    }

    /// How long to wait for an engine that others of this process use.
    pub(super) fn pause_for_this_process(&self) -> Duration {
        retry_after(self.waited()).min(self.time_left())
    }

    /// How long to wait for other processes before looking again.
    pub(super) fn pause_for_others(&self) -> Duration {
        let until_next_try = self.next_try.saturating_duration_since(Instant::now());
        let pause = match (&self.place, self.predecessor) {
            (Some(place), Some(predecessor)) => {
                let distance = u64::try_from(place.number() - predecessor).unwrap_or(u64::MAX);
                look_after(distance, self.since.elapsed()).min(until_next_try)
            }
            _ => until_next_try,
        };
        pause.min(self.time_left())
    }

    fn time_left(&self) -> Duration {
        self.timeout.saturating_sub(self.waited())
    }

    /// Gives up the place to the engine that this operation has opened. If it went before a process that does not use
    /// its place, the operations that follow need not wait for that one either.
    pub(super) fn give_place(
        &mut self,
        store: &Path,
        mode: Mode,
        passed: &mut Option<Passed>,
    ) -> Option<Place> {
        if let Some(number) = self.predecessor.filter(|_| self.since.elapsed() >= PATIENCE) {
            *passed = Some(Passed::now(number));
        }
        self.place.take().or_else(|| Place::take(store, mode, passed))
    }
}

/// To look at the queue costs little: those who are near its head look at it often, the others more seldom.
fn look_after(distance: u64, waited: Duration) -> Duration {
    const LONGEST: Duration = Duration::from_millis(10);
    Duration::from_millis(distance)
        .max(waited / 50)
        .clamp(Duration::from_millis(1), LONGEST)
}

/// Retries come quickly at first, then about ten times a second, not in step with other processes.
pub(super) fn retry_after(waited: Duration) -> Duration {
    let base = (waited / 4).clamp(Duration::from_millis(2), Duration::from_millis(100));
    base.mul_f64(0.5 + fastrand::f64())
}

/// Keeps a store in a file open: see [`DuckDbStore::keep_open`].
#[must_use = "it keeps the store open until it is dropped"]
pub struct KeptOpen(Option<Lease>);

impl KeptOpen {
    /// Whether another process waits for the store: then this is to be dropped.
    pub fn is_awaited(&self) -> bool {
        self.0.as_ref().is_some_and(Lease::is_awaited)
    }
}

impl DuckDbStore {
    /// Keeps a store in a file open between operations, for whoever appends one batch after another: to open and close
    /// the file takes a tenth of the time of a batch. Processes that wait for the file get it first. Changes nothing
    /// where the store stays open anyway, or where nobody can say that they wait: on other systems than Linux, and where
    /// the store's folder may not be read.
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
        self.refuse_if_read_only("keep the store open")?;
        if self.gate.locked_file().is_none() || self.held.is_some() {
            return Ok(KeptOpen(None));
        }
        let lease = {
            let _writing = self.gate.writing();
            self.lease(Mode::Write)?.keep()
        };
        Ok(KeptOpen(Some(lease).filter(Lease::can_be_awaited)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_near_the_head_look_often() {
        let long_ago = Duration::from_secs(60);
        assert_eq!(look_after(1, Duration::ZERO), Duration::from_millis(1));
        assert_eq!(look_after(4, Duration::ZERO), Duration::from_millis(4));
        assert_eq!(look_after(1_000, Duration::ZERO), Duration::from_millis(10));
        assert_eq!(look_after(1, long_ago), Duration::from_millis(10));
    }
}
