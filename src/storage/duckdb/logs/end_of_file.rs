//! Looks for what is in the last blocks of a file, and moves rows from there.
//!
//! The engine writes into the first free blocks, and cuts off free blocks at the end of the file. So the file gets
//! smaller if what is in its last blocks is written again.

use std::ops::RangeInclusive;

use ::duckdb::{Connection, params};

use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::{identifier, literal, query_all};

pub(crate) const ACTION: &str = "move rows from the end of the file";

/// Describes rows that the engine stores together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowGroup {
    pub(crate) table: String,
    /// Holds the engine's numbers of the rows.
    pub(crate) rows: RangeInclusive<i64>,
    pub(crate) last_block: i64,
}

/// Returns the row group that has the last block of the file, if the file has many free blocks before it.
///
/// Tables with keys are left out: their indexes keep deleted rows, so that nothing would become free.
pub(crate) fn last_row_group(connection: &Connection) -> Result<Option<RowGroup>> {
    const USED: &str = "SELECT used_blocks FROM pragma_database_size()
        WHERE database_name = current_database() AND 4 * free_blocks > total_blocks";
    const TABLES: &str = "SELECT table_name FROM duckdb_tables()
        WHERE database_name = current_database() AND NOT internal AND NOT has_primary_key ORDER BY table_name";
    let failed = |error| error::engine(ACTION, error);
    let used: Vec<i64> = query_all(connection, USED, [], |row| row.get(0)).map_err(failed)?;
    let Some(used) = used.first() else {
        return Ok(None);
    };
    let tables: Vec<String> = query_all(connection, TABLES, [], |row| row.get(0)).map_err(failed)?;
    let mut last: Option<RowGroup> = None;
    for table in tables {
        let of_table = last_of(connection, table).map_err(failed)?;
        last = last
            .into_iter()
            .chain(of_table)
            .max_by_key(|group| group.last_block);
    }
    Ok(last.filter(|group| group.last_block >= *used))
}

/// Returns the row group of a table that has its last block.
fn last_of(connection: &Connection, table: String) -> ::duckdb::Result<Option<RowGroup>> {
    let sql = format!(
        "WITH row_groups AS (
            SELECT
                row_group_id,
                max(greatest(block_id, coalesce(list_max(additional_block_ids), -1))) AS last_block,
                sum(count) FILTER (column_id = 0 AND segment_type = 'VALIDITY') AS rows
            FROM pragma_storage_info({})
            GROUP BY row_group_id
        ), placed AS (
            SELECT last_block, rows, sum(rows) OVER (ORDER BY row_group_id) AS until FROM row_groups
        )
        SELECT CAST(until - rows AS BIGINT), CAST(until - 1 AS BIGINT), last_block
        FROM placed
        WHERE last_block >= 0
        ORDER BY last_block DESC, until
        LIMIT 1",
        literal(&table)
    );
    let found = query_all(connection, &sql, [], |row| {
        Ok((row.get(0)?..=row.get(1)?, row.get(2)?))
    })?;
    let group = |(rows, last_block)| RowGroup {
        table,
        rows,
        last_block,
    };
    Ok(found.into_iter().next().map(group))
}

/// Returns the first and the last sequence number of the logs in a row group; `None` without logs.
pub(crate) fn seqs(connection: &Connection, group: &RowGroup) -> Result<Option<(i64, i64)>> {
    const SQL: &str = "SELECT min(seq), max(seq) FROM log_rows WHERE rowid BETWEEN ? AND ?";
    let span = params![group.rows.start(), group.rows.end()];
    let read = connection.query_row(SQL, span, |row| {
        Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?))
    });
    read.map_err(|error| error::engine(ACTION, error))
}

/// Inserts the rows of a row group again, and deletes the old ones.
pub(crate) fn insert_again(connection: &Connection, group: &RowGroup) -> Result<()> {
    const COLUMNS: &str = "SELECT column_name FROM duckdb_columns()
        WHERE database_name = current_database() AND table_name = ? ORDER BY column_index";
    let failed = |error| error::engine(ACTION, error);
    let columns = query_all(connection, COLUMNS, [&group.table], |row| row.get::<_, String>(0));
    let columns: Vec<String> = columns
        .map_err(failed)?
        .iter()
        .map(|name| identifier(name))
        .collect();
    let (table, columns) = (identifier(&group.table), columns.join(", "));
    // The engine numbers the rows of a transaction beyond all others, so that the new ones stay.
    for sql in [
        format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE rowid BETWEEN ? AND ? ORDER BY rowid"
        ),
        format!("DELETE FROM {table} WHERE rowid BETWEEN ? AND ?"),
    ] {
        let changed = connection.execute(&sql, params![group.rows.start(), group.rows.end()]);
        changed.map_err(failed)?;
    }
    Ok(())
}
