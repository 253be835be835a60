//! Keeps a lock of the catalog while its holder works, so that a step may take longer than a stopped process keeps it.
//!
//! The database takes a lock away from a connection that sends nothing. A holder that works for long uses another
//! connection. So a thread speaks on the lock's connection from time to time. It stops with its process.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::CATALOG;
use crate::storage::duckdb::engine::gate::Lease;
use crate::storage::{Error, Result};

/// Keeps the connection of a lock busy until it ends.
pub(crate) struct Heartbeat {
    running: Sender<()>,
    thread: JoinHandle<Lease>,
}

/// Says how often the thread speaks.
const INTERVAL: Duration = Duration::from_secs(10);

impl Heartbeat {
    /// Starts to keep a connection busy, for a time at most.
    pub(crate) fn start(lease: Lease, longest: Duration) -> Result<Self> {
        let (running, ended) = bounded(0);
        let thread = thread::Builder::new()
            .name("logstore-heartbeat".into())
            .spawn(move || keep_busy(lease, longest, &ended))
            .map_err(|io| Error::Backend {
                action: "keep a lock of the lake",
                source: io.into(),
            })?;
        Ok(Self { running, thread })
    }

    /// Ends it, and returns the connection; `None` if the thread panicked.
    pub(crate) fn end(self) -> Option<Lease> {
        drop(self.running);
        let joined = self.thread.join();
        if joined.is_err() {
            log::error!("the thread that keeps a lock of the lake panicked");
        }
        joined.ok()
    }
}

fn keep_busy(lease: Lease, longest: Duration, ended: &Receiver<()>) -> Lease {
    let sql = format!("FROM system.main.postgres_query('{CATALOG}', 'SELECT 1')");
    let started = Instant::now();
    while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) && started.elapsed() < longest {
        if let Err(error) = lease.connection().execute_batch(&sql) {
            // The holder finds out when it commits.
            log::debug!("a lock of the lake was lost: {error}");
            break;
        }
    }
    lease
}
