//! Calls the functions of `DuckLake` that keep a lake small and fast.

use ::duckdb::Connection;
use chrono::{DateTime, Utc};

use super::NAME;
use crate::storage::Result;
use crate::storage::duckdb::error;

/// Moves the rows of a table from the catalog to files, and returns their number.
pub(crate) fn flush(connection: &Connection, table: &str) -> Result<u64> {
    let call =
        format!("sum(rows_flushed) FROM ducklake_flush_inlined_data('{NAME}', table_name => '{table}')");
    upkeep(connection, &call)
}

/// Rewrites the files of a table without their deleted rows, and returns the number of files.
pub(crate) fn rewrite(connection: &Connection, table: &str) -> Result<u64> {
    let call = format!(
        "sum(files_processed) FROM ducklake_rewrite_data_files('{NAME}', '{table}', delete_threshold => 0.1)"
    );
    upkeep(connection, &call)
}

/// Merges the small files of a table, and returns their number.
pub(crate) fn merge(connection: &Connection, table: &str) -> Result<u64> {
    let call = format!("sum(files_processed) FROM ducklake_merge_adjacent_files('{NAME}', '{table}')");
    upkeep(connection, &call)
}

/// Calls a function that drops items older than a time, and returns the number of items.
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
