//! Transactions: an operation is kept as a whole, or not at all.

use ::duckdb::Connection;

use super::error;
use crate::storage::Result;

/// Runs an operation in a transaction, which is kept as a whole if it succeeds, and not at all otherwise.
pub(super) fn transaction<T>(
    connection: &Connection,
    action: &'static str,
    operation: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    let failed = |error| error::engine(action, error);
    connection.execute_batch("BEGIN TRANSACTION").map_err(failed)?;
    let outcome = operation(connection).and_then(|outcome| {
        connection.execute_batch("COMMIT").map_err(failed)?;
        Ok(outcome)
    });
    if outcome.is_err()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        // A failed COMMIT has rolled back already. The first error is the cause.
        log::debug!("rolling back after a failure to {action}: {error}");
    }
    outcome
}

/// Runs an operation that only reads, in a transaction: all of its statements see the same snapshot.
pub(super) fn read_transaction<T>(
    connection: &Connection,
    action: &'static str,
    operation: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    let failed = |error| error::engine(action, error);
    connection
        .execute_batch("BEGIN TRANSACTION READ ONLY")
        .map_err(failed)?;
    let outcome = operation(connection);
    let ended = connection.execute_batch("ROLLBACK").map_err(failed);
    // The first error is the cause.
    outcome.and_then(|outcome| ended.map(|()| outcome))
}
