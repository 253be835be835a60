//! Deadlines: a query that takes too long is interrupted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::storage::{Error, Result};

/// Interrupts a query when its time is over, until this is dropped.
pub(crate) struct Deadline {
    limit: Duration,
    is_over: Arc<AtomicBool>,
    /// Ends the thread when it is dropped.
    running: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Deadline {
    /// Starts the deadline; `None` if there is no limit.
    pub(crate) fn start(
        limit: Option<Duration>,
        interrupt: impl Fn() + Send + 'static,
    ) -> Result<Option<Self>> {
        let Some(limit) = limit else { return Ok(None) };
        let (running, ended) = bounded(0);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::Builder::new()
            .name("logstore-deadline".into())
            .spawn(move || watch(limit, &ended, &over, interrupt))
            .map_err(|io| Error::Backend {
                action: "limit the time of a query",
                source: io.into(),
            })?;
        Ok(Some(Self {
            limit,
            is_over,
            running: Some(running),
            thread: Some(thread),
        }))
    }

    /// Returns the outcome of an operation. An error becomes [`Error::TimedOut`] if the time was over.
    pub(crate) fn judge<T>(deadline: Option<Self>, outcome: Result<T>) -> Result<T> {
        match deadline {
            Some(deadline) if outcome.is_err() && deadline.is_over.load(Ordering::SeqCst) => {
                Err(Error::TimedOut {
                    limit: deadline.limit,
                })
            }
            _ => outcome,
        }
    }
}

fn watch(limit: Duration, ended: &Receiver<()>, is_over: &AtomicBool, interrupt: impl Fn()) {
    /// Repeats the interrupt, as one between two statements is lost.
    const AGAIN: Duration = Duration::from_millis(50);
    let mut left = limit;
    while ended.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
        is_over.store(true, Ordering::SeqCst);
        interrupt();
        left = AGAIN;
    }
}

impl Drop for Deadline {
    /// Waits for the thread: nothing is interrupted from here on.
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread that limits the time of a query panicked");
        }
    }
}
