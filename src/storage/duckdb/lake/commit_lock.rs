//! The locks of a lake. Each lets one process of all machines at a time commit to it, maintain it or create it.
//!
//! Each is an advisory lock in the PostgreSQL database that is the catalog. A transaction holds it, so that it ends
//! when its holder is done, dies, stops or is cut off. A holder does not notice that its lock has ended: see
//! [`fence`](super::fence).

use std::sync::Arc;
use std::time::Duration;

use ::duckdb::Connection;

use super::heartbeat::Heartbeat;
use super::{CATALOG, fence};
use crate::storage::duckdb::engine::conninfo::{millis, with_timeouts};
use crate::storage::duckdb::engine::gate::{Gate, Lease};
use crate::storage::duckdb::engine::location::{Catalog, Lake, Location};
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::{self, literal};
use crate::storage::{Error, Result};

/// Grants the turn to commit. Writers that hold it one after another need not repeat work because of each other.
///
/// A catalog in a file needs no such lock: the engine locks that file while a process writes.
pub(crate) struct CommitLock(Option<Heartbeat>);

/// Limits how long a holder may send nothing before the database takes the lock away. Working holders have a
/// [`Heartbeat`].
const IDLE_TIMEOUT: &str = "60s";

/// Names the purpose of a lock, and its number in the database.
///
/// The numbers were chosen at random, so that other programs that use the database do not use them.
#[derive(Clone, Copy)]
enum LockKind {
    Commit = 7_108_646,
    Maintenance = 7_108_647,
    Create = 7_108_648,
}

impl LockKind {
    /// Limits how long a holder may work. A process that waits for a disk for ever must not keep the others waiting.
    fn longest(self) -> Duration {
        match self {
            Self::Commit | Self::Create => Duration::from_secs(15 * 60),
            // Two that maintain a lake at the same time do no harm, and the steps of a large lake take long.
            Self::Maintenance => Duration::from_secs(24 * 3_600),
        }
    }
}

impl CommitLock {
    /// Waits for the turn to commit to a catalog that has a [`fence`]. Creates the fence if it is missing.
    pub(crate) fn take(gate: &Arc<Gate>, timeout: Duration) -> Result<Self> {
        let (lock, has_fence) = Self::take_turn(gate, timeout)?;
        if has_fence {
            return Ok(lock);
        }
        // This transaction does not see what another process has created while this one waited.
        drop(lock);
        let (lock, has_fence) = Self::take_turn(gate, timeout)?;
        if has_fence {
            return Ok(lock);
        }
        lock.create_fence()?;
        Ok(Self::take_turn(gate, timeout)?.0)
    }

    /// Waits for the turn to commit, and returns whether the catalog has a fence.
    fn take_turn(gate: &Arc<Gate>, timeout: Duration) -> Result<(Self, bool)> {
        Self::take_kind(LockKind::Commit, gate, timeout)
    }

    /// Creates the fence, and ends the transaction that holds the lock.
    fn create_fence(mut self) -> Result<()> {
        let Some(lease) = self.0.take().and_then(Heartbeat::end) else {
            return Ok(());
        };
        let connection = lease.connection();
        let created = fence::create(connection).and_then(|()| connection.execute_batch("COMMIT"));
        if created.is_err() {
            give_up(&lease);
        }
        created.map_err(error::no_fence)
    }

    /// Waits for the right to maintain the lake. Other processes may commit meanwhile.
    pub(crate) fn take_for_maintenance(gate: &Arc<Gate>, timeout: Duration) -> Result<Self> {
        Ok(Self::take_kind(LockKind::Maintenance, gate, timeout)?.0)
    }

    fn take_kind(kind: LockKind, gate: &Arc<Gate>, timeout: Duration) -> Result<(Self, bool)> {
        if !gate.location().has_many_writers() {
            return Ok((Self(None), true));
        }
        let lease = gate.lease(Mode::Write, timeout)?;
        match take_lock(lease.connection(), CATALOG, kind, timeout) {
            Ok(has_fence) => Ok((Self(Some(Heartbeat::start(lease, kind.longest())?)), has_fence)),
            Err(error) => {
                give_up(&lease);
                Err(lock_failure(gate.location(), timeout, error))
            }
        }
    }
}

impl Drop for CommitLock {
    fn drop(&mut self) {
        if let Some(lease) = self.0.take().and_then(Heartbeat::end) {
            give_up(&lease);
        }
    }
}

/// Ends the transaction that holds a lock.
fn give_up(lease: &Lease) {
    if let Err(error) = lease.connection().execute_batch("ROLLBACK") {
        log::debug!("giving up a lock of the lake: {error}");
    }
}

/// Begins a transaction that holds a lock in an attached database. Returns whether that is a catalog with a fence.
fn take_lock(
    connection: &Connection,
    database: &str,
    kind: LockKind,
    timeout: Duration,
) -> ::duckdb::Result<bool> {
    let millis = millis(timeout);
    // One query takes one round trip. OFFSET keeps the limits apart, so that they hold before the lock is waited for.
    let wait = format!(
        "SELECT CAST(pg_advisory_xact_lock({}) AS text) AS locked, lock_timeout, idle_timeout,
            ({}) AS has_fence
        FROM (
            SELECT set_config('lock_timeout', '{millis}ms', true) AS lock_timeout,
                set_config('idle_in_transaction_session_timeout', '{IDLE_TIMEOUT}', true) AS idle_timeout
            OFFSET 0
        ) AS limits",
        kind as i32,
        fence::IS_THERE
    );
    // Without the names before it, the engine would look for the function in the lake, on a connection of its own.
    let sql = format!(
        "SELECT has_fence FROM system.main.postgres_query('{database}', {})",
        literal(&wait)
    );
    connection.execute_batch("BEGIN TRANSACTION")?;
    let has_fence = statement::query_all(connection, &sql, [], |row| row.get(0))?;
    Ok(has_fence.contains(&true))
}

/// Waits for the right to create a lake in a database. The right ends with the returned connection.
///
/// If two processes create one lake at the same time, the slower one's DuckDB 1.5.5 reads freed memory in its rollback.
pub(crate) fn take_to_create(engine: &Connection, lake: &Lake, timeout: Duration) -> Result<Connection> {
    const DATABASE: &str = "creation";
    let location = Location::Lake(lake.clone());
    let failed = |error| error::engine("create the store", error);
    let connection = engine.try_clone().map_err(failed)?;
    let Catalog::Postgres { connection: to, .. } = &lake.catalog else {
        return Ok(connection);
    };
    let attach = format!(
        "ATTACH {} AS {DATABASE} (TYPE postgres, SECRET catalog)",
        literal(&with_timeouts(to, timeout))
    );
    let attached = connection.execute_batch(&attach);
    attached.map_err(|error| error::open_failure(&location.to_string(), error).into_error())?;
    take_lock(&connection, DATABASE, LockKind::Create, timeout)
        .map(drop)
        .map_err(|error| lock_failure(&location, timeout, error))?;
    Ok(connection)
}

/// Returns the error of a process that did not get a lock.
fn lock_failure(location: &Location, waited: Duration, error: ::duckdb::Error) -> Error {
    match error::is_lock_timeout(&error) {
        true => Error::Locked {
            path: location.to_string().into(),
            holder: "writers of other processes".to_owned(),
            waited,
        },
        false => error::engine("wait for other writers", error),
    }
}
