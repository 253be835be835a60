//! Snapshots: the catalog gives each commit a number.

use ::duckdb::Connection;

use super::NAME;
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::seq::LOGS_OF_SNAPSHOT;

/// Returns the last snapshot that the transaction sees.
pub(crate) fn snapshot(connection: &Connection) -> Result<i64> {
    let sql = format!("SELECT id FROM ducklake_current_snapshot('{NAME}') AS current(id)");
    let read = connection.query_row(&sql, [], |row| row.get(0));
    read.map_err(|error| error::engine("read the last position", error))
}

/// Returns SQL for a number that no log's sequence number exceeds.
pub(crate) fn end_seq_sql() -> String {
    format!("(SELECT (id + 1) * {LOGS_OF_SNAPSHOT} FROM ducklake_current_snapshot('{NAME}') AS current(id))")
}
