//! A request to stop that reaches every thread of a loop.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::sync::lock;

/// Stops a [`Fetcher`](crate::Fetcher), a [`Loader`](crate::Loader) or any other loop that waits with it.
///
/// Any thread can stop them. A loop that waits is woken.
///
/// ```
/// use std::time::Duration;
/// use logstore::StopHandle;
///
/// let stop = StopHandle::default();
/// let waiting = stop.clone();
/// let thread = std::thread::spawn(move || waiting.wait(Duration::from_secs(3_600)));
/// stop.stop();
/// assert!(thread.join().unwrap() && stop.is_stopped());
/// ```
#[derive(Debug, Clone, Default)]
pub struct StopHandle(Arc<(Mutex<bool>, Condvar)>);

impl StopHandle {
    /// Stops all loops that have this handle or a clone of it.
    pub fn stop(&self) {
        let (stopped, changed) = &*self.0;
        *lock(stopped) = true;
        changed.notify_all();
    }

    /// Returns whether [`stop`](Self::stop) was called.
    pub fn is_stopped(&self) -> bool {
        *lock(&self.0.0)
    }

    /// Waits for `time`, or until it is stopped. Returns whether it was stopped.
    pub fn wait(&self, time: Duration) -> bool {
        let (stopped, changed) = &*self.0;
        let waited = changed.wait_timeout_while(lock(stopped), time, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
