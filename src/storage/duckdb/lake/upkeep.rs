//! The functions of `DuckLake` that keep a lake small and fast.

use ::duckdb::Connection;
use chrono::{DateTime, Utc};

use super::NAME;
use crate::storage::Result;
use crate::storage::duckdb::error;

/// Moves the rows of a table that the catalog holds to files, and says how many.
pub(crate) fn flush(connection: &Connection, table: &str) -> Result<u64> {
    let call =
        format!("sum(rows_flushed) FROM ducklake_flush_inlined_data('{NAME}', table_name => '{table}')");
    upkeep(connection, &call)
}

/// Writes the files of a table that hold deleted rows without those, and says how many.
pub(crate) fn rewrite(connection: &Connection, table: &str) -> Result<u64> {
    let call = format!(
        "sum(files_processed) FROM ducklake_rewrite_data_files('{NAME}', '{table}', delete_threshold => 0.1)"
    );
    upkeep(connection, &call)
}

/// Merges the small files of a table, and says how many.
pub(crate) fn merge(connection: &Connection, table: &str) -> Result<u64> {
    let call = format!("sum(files_processed) FROM ducklake_merge_adjacent_files('{NAME}', '{table}')");
    upkeep(connection, &call)
}

/// Calls one of the functions that drop what is older than a time, and says how much that was.
pub(crate) fn drop_old(connection: &Connection, function: &str, time: DateTime<Utc>) -> Result<u64> {
    let time = time.format("%Y-%m-%d %H:%M:%S%.6f+00");
    let call = format!("count(*) FROM {function}('{NAME}', older_than => TIMESTAMPTZ '{time}')");
    upkeep(connection, &call)
}

fn upkeep(connection: &Connection, call: &str) -> Result<u64> {
    let sql = format!("SELECT coalesce(CAST(n AS UBIGINT), 0) FROM (SELECT {call}) AS done(n)");
    let called = connection.query_row(&sql, [], |row| row.get(0));
    called.map_err(|error| error::engine("maintain the lake", error))
}
