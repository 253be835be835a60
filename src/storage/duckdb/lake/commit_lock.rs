//! Turns: who may commit to a lake, maintain it or make it, one process of all machines at a time.
//!
//! A turn is a lock in the database that is the catalog, held by a transaction: it ends when whoever has it is done,
//! dies or is cut off.

use std::sync::Arc;
use std::time::Duration;

use ::duckdb::Connection;

use crate::storage::duckdb::engine::conninfo::with_timeouts;
use crate::storage::duckdb::engine::gate::{Gate, Lease};
use crate::storage::duckdb::engine::location::{Catalog, Lake, Location};
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::{self, literal};
use crate::storage::{Error, Result};

/// What `DuckLake` calls the database that knows the tables.
const CATALOG: &str = "__ducklake_metadata_lake";

/// The right to commit, which one writer of all machines has at a time: what it sees when it looks, nobody changes
/// until it has committed. It is a lock in the catalog's database, which is given up when the writer is done, dies or
/// is cut off.
///
/// A catalog in a file needs none: its file is locked for as long as somebody writes.
pub(crate) struct Turn(Option<Lease>);

/// For how long a writer may keep its turn without a sign of life.
const LONGEST_TURN: &str = "60s";

/// Who takes turns. The locks' names are any numbers that others who use the database do not.
#[derive(Clone, Copy)]
enum Turns {
    Commits = 7_108_646,
    Upkeep = 7_108_647,
    Creation = 7_108_648,
}

impl Turn {
    pub(crate) fn wait(gate: &Arc<Gate>, timeout: Duration) -> Result<Self> {
        Self::wait_for(Turns::Commits, LONGEST_TURN, gate, timeout)
    }

    /// The right to do upkeep, which keeps nobody from committing.
    pub(crate) fn wait_for_upkeep(gate: &Arc<Gate>, timeout: Duration) -> Result<Self> {
        Self::wait_for(Turns::Upkeep, "0", gate, timeout)
    }

    fn wait_for(turns: Turns, longest: &str, gate: &Arc<Gate>, timeout: Duration) -> Result<Self> {
        if !gate.location().has_many_writers() {
            return Ok(Self(None));
        }
        let turn = Self(Some(gate.lease(Mode::Write, timeout)?));
        let connection = turn.connection().expect("it was just leased");
        take_lock(connection, CATALOG, turns, longest, timeout)
            .map_err(|error| not_its_turn(gate.location(), timeout, error))?;
        Ok(turn)
    }

    fn connection(&self) -> Option<&Connection> {
        self.0.as_ref().map(Lease::connection)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(connection) = self.connection()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            log::debug!("giving up a turn: {error}");
        }
    }
}

/// Begins a transaction that holds a lock in a database that is attached.
fn take_lock(
    connection: &Connection,
    database: &str,
    turns: Turns,
    longest: &str,
    timeout: Duration,
) -> ::duckdb::Result<()> {
    // Anything but 0, which would wait for ever.
    let millis = timeout.as_millis().clamp(1, i32::MAX as u128);
    let limits = format!(
        "SELECT set_config('lock_timeout', '{millis}ms', true) AS lock_timeout,
            set_config('idle_in_transaction_session_timeout', '{longest}', true) AS idle_timeout"
    );
    let wait = format!("SELECT CAST(pg_advisory_xact_lock({}) AS text)", turns as i32);
    connection.execute_batch("BEGIN TRANSACTION")?;
    for sql in [&limits, &wait] {
        let sql = format!("SELECT * FROM postgres_query('{database}', {})", literal(sql));
        statement::query_all(connection, &sql, [], |_| Ok(()))?;
    }
    Ok(())
}

/// The right to make a lake in a database, until the connection is dropped. When two make one at once, the engine
/// (1.5.5) of the slower one reads freed memory while it rolls back.
pub(crate) fn wait_to_create(engine: &Connection, lake: &Lake, timeout: Duration) -> Result<Connection> {
    const DATABASE: &str = "creation";
    let location = Location::Lake(lake.clone());
    let failed = |error| error::engine("create the store", error);
    let connection = engine.try_clone().map_err(failed)?;
    let Catalog::Postgres { connection: to, .. } = &lake.catalog else {
        return Ok(connection);
    };
    let attach = format!(
        "ATTACH {} AS {DATABASE} (TYPE postgres, SECRET catalog)",
        literal(&with_timeouts(to))
    );
    let attached = connection.execute_batch(&attach);
    attached.map_err(|error| error::open_failure(&location.to_string(), error).into_error())?;
    take_lock(&connection, DATABASE, Turns::Creation, LONGEST_TURN, timeout)
        .map_err(|error| not_its_turn(&location, timeout, error))?;
    Ok(connection)
}

/// Tells why a writer did not get its turn.
fn not_its_turn(location: &Location, waited: Duration, error: ::duckdb::Error) -> Error {
    match error::is_lock_timeout(&error) {
        true => Error::Locked {
            path: location.to_string().into(),
            holder: "writers of other processes".to_owned(),
            waited,
        },
        false => error::engine("wait for other writers", error),
    }
}
