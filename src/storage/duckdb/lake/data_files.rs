//! Lists the files of a lake's tables, as its catalog knows them.

use std::collections::{BTreeSet, HashSet};
use std::ops::RangeInclusive;

use ::duckdb::{Connection, Row, params};

use super::{CATALOG, data};
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::seq::LOGS_OF_SNAPSHOT;
use crate::storage::duckdb::sql::statement::{self, identifier};

/// Describes a file that holds rows of a table, or the numbers of rows that were deleted from such a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// Holds the number that the catalog gave the file. No other file of the lake has or had it.
    pub(crate) id: i64,
    /// Holds the number of the file with the rows. It is another file's if this one holds deletions.
    pub(crate) rows_in: i64,
    pub(crate) table: String,
    /// Holds its place: a path of this machine, or one in S3.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// Counts the rows that cannot be read without the file.
    pub(crate) rows: u64,
    /// Holds the times of its first and last row in microseconds, if the table has times.
    pub(crate) times: Option<(i64, i64)>,
}

/// Selects the files that the newest snapshot needs. `{times}` joins their times.
const CURRENT: &str = "
WITH tables AS (
    SELECT t.table_id, t.table_name,
        CASE WHEN t.path_is_relative AND s.path_is_relative THEN ? || s.path || t.path
            WHEN t.path_is_relative THEN s.path || t.path
            ELSE t.path END AS folder
    FROM {catalog}.ducklake_table AS t
    JOIN {catalog}.ducklake_schema AS s ON s.schema_id = t.schema_id
    WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL
), deletions AS (
    SELECT delete_file_id, data_file_id, path, path_is_relative, file_size_bytes, delete_count
    FROM {catalog}.ducklake_delete_file
    WHERE end_snapshot IS NULL
), files AS (
    SELECT f.data_file_id AS id, f.data_file_id AS rows_in, f.table_id, f.path, f.path_is_relative,
        f.file_size_bytes, f.record_count - coalesce(d.delete_count, 0) AS row_count
    FROM {catalog}.ducklake_data_file AS f
    LEFT JOIN deletions AS d ON d.data_file_id = f.data_file_id
    WHERE f.end_snapshot IS NULL
    UNION ALL
    SELECT d.delete_file_id, d.data_file_id, f.table_id, d.path, d.path_is_relative, d.file_size_bytes,
        f.record_count - d.delete_count
    FROM deletions AS d
    JOIN {catalog}.ducklake_data_file AS f ON f.data_file_id = d.data_file_id
)
SELECT file.id, file.rows_in, t.table_name,
    CASE WHEN file.path_is_relative THEN t.folder || file.path ELSE file.path END AS place,
    file.file_size_bytes, file.row_count, times.first_time, times.last_time
FROM files AS file
JOIN tables AS t ON t.table_id = file.table_id
LEFT JOIN {times} AS times ON times.data_file_id = file.rows_in
ORDER BY file.id";

/// Selects the times of the first and last row of each file, from the statistics that the catalog has.
const TIMES: &str = "(
    SELECT s.data_file_id, epoch_us(TRY_CAST(s.min_value AS TIMESTAMP)) AS first_time,
        epoch_us(TRY_CAST(s.max_value AS TIMESTAMP)) AS last_time
    FROM {catalog}.ducklake_file_column_stats AS s
    JOIN {catalog}.ducklake_column AS c ON c.table_id = s.table_id AND c.column_id = s.column_id
    JOIN tables AS t ON t.table_id = c.table_id
    WHERE c.end_snapshot IS NULL
        AND c.column_name = CASE t.table_name WHEN 'log_rows' THEN 'event_time' ELSE 'created_at' END
)";

/// Selects no times. Those of all files take long to read.
const NO_TIMES: &str =
    "(SELECT -1 AS data_file_id, NULL :: BIGINT AS first_time, NULL :: BIGINT AS last_time)";

/// Returns the files that the newest snapshot needs, in the order of their numbers.
pub(crate) fn current(connection: &Connection) -> Result<Vec<DataFile>> {
    select(connection, TIMES)
}

/// Returns the same files without the times of their rows.
pub(crate) fn current_without_times(connection: &Connection) -> Result<Vec<DataFile>> {
    select(connection, NO_TIMES)
}

fn select(connection: &Connection, times: &str) -> Result<Vec<DataFile>> {
    let sql = CURRENT.replace("{times}", times).replace("{catalog}", CATALOG);
    let data_path = data::data_path(connection)?;
    let files = statement::query_all(connection, &sql, params![data_path], data_file);
    files.map_err(|error| error::engine("list the data files", error))
}

/// Names the snapshots that added logs, as the catalog knows them.
pub(crate) struct Commits {
    /// Holds those of files that one commit wrote, and of rows in the catalog.
    pub(crate) alone: BTreeSet<i64>,
    /// Holds the first and the last one of each file that was merged.
    pub(crate) merged: Vec<RangeInclusive<i64>>,
}

/// Returns the snapshots that added the logs which are there.
pub(crate) fn commits_of_logs(connection: &Connection) -> Result<Commits> {
    const FILES: &str = "
        SELECT f.begin_snapshot, f.partial_max
        FROM {catalog}.ducklake_data_file AS f
        JOIN {catalog}.ducklake_table AS t ON t.table_id = f.table_id
        WHERE t.table_name = 'log_rows' AND t.end_snapshot IS NULL AND f.end_snapshot IS NULL";
    const IN_CATALOG: &str = "
        SELECT i.table_name
        FROM {catalog}.ducklake_inlined_data_tables AS i
        JOIN {catalog}.ducklake_table AS t ON t.table_id = i.table_id
        WHERE t.table_name = 'log_rows' AND t.end_snapshot IS NULL";
    let failed = |error| error::engine("list the commits of logs", error);
    let files = statement::query_all(connection, &FILES.replace("{catalog}", CATALOG), [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let mut commits = Commits {
        alone: BTreeSet::new(),
        merged: Vec::new(),
    };
    for (first, last) in files.map_err(failed)? {
        match last {
            Some(last) => commits.merged.push(first..=last),
            None => {
                commits.alone.insert(first);
            }
        }
    }
    let tables = statement::query_all(connection, &IN_CATALOG.replace("{catalog}", CATALOG), [], |row| {
        row.get::<_, String>(0)
    });
    for table in tables.map_err(failed)? {
        let name = identifier(&table);
        let sql = format!("SELECT DISTINCT begin_snapshot FROM {CATALOG}.{name} WHERE end_snapshot IS NULL");
        let read: Vec<i64> = statement::query_all(connection, &sql, [], |row| row.get(0)).map_err(failed)?;
        commits.alone.extend(read);
    }
    Ok(commits)
}

/// Returns whether the newest snapshot needs a file.
pub(crate) fn is_current(connection: &Connection, id: i64) -> Result<bool> {
    const SQL: &str = "
        SELECT (SELECT count(*) FROM {catalog}.ducklake_data_file WHERE data_file_id = ? AND end_snapshot IS NULL)
            + (SELECT count(*) FROM {catalog}.ducklake_delete_file WHERE delete_file_id = ? AND end_snapshot IS NULL)";
    let sql = SQL.replace("{catalog}", CATALOG);
    let counted = connection.query_row(&sql, params![id, id], |row| row.get::<_, i64>(0));
    counted
        .map(|count| count > 0)
        .map_err(|error| error::engine("list the data files", error))
}

/// Returns the sequence number of the last log in a file of logs.
///
/// A file that was merged holds the logs of several commits. The start of the last one is returned for it, because the
/// catalog does not say how many logs of that commit the file holds.
pub(crate) fn last_seq_in(connection: &Connection, id: i64) -> Result<i64> {
    const SQL: &str = "
        SELECT CASE
            WHEN f.partial_max IS NULL
                THEN f.begin_snapshot * {logs_of_snapshot} + coalesce(TRY_CAST(s.max_value AS BIGINT), 0)
            ELSE f.partial_max * {logs_of_snapshot} END
        FROM {catalog}.ducklake_data_file AS f
        LEFT JOIN {catalog}.ducklake_column AS c
            ON c.table_id = f.table_id AND c.column_name = 'seq' AND c.end_snapshot IS NULL
        LEFT JOIN {catalog}.ducklake_file_column_stats AS s
            ON s.data_file_id = f.data_file_id AND s.column_id = c.column_id
        WHERE f.data_file_id = ?";
    let sql = SQL
        .replace("{catalog}", CATALOG)
        .replace("{logs_of_snapshot}", &LOGS_OF_SNAPSHOT.to_string());
    let read = connection.query_row(&sql, [id], |row| row.get(0));
    read.map_err(|error| error::engine("list the data files", error))
}

/// Drops a file and its rows from the catalog, without reading it, in the open transaction.
///
/// The engine would read the file to delete its rows. This makes the snapshot that such a deletion would make.
pub(crate) fn drop_file(connection: &Connection, id: i64) -> Result<()> {
    const SQL: &str = "
        INSERT INTO {catalog}.ducklake_snapshot
            (snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id)
        SELECT snapshot_id + 1, now(), schema_version, next_catalog_id, next_file_id
        FROM {catalog}.ducklake_snapshot
        ORDER BY snapshot_id DESC
        LIMIT 1;
        INSERT INTO {catalog}.ducklake_snapshot_changes (snapshot_id, changes_made)
        SELECT (SELECT max(snapshot_id) FROM {catalog}.ducklake_snapshot), 'deleted_from_table:' || table_id
        FROM {catalog}.ducklake_data_file
        WHERE data_file_id = {id};
        UPDATE {catalog}.ducklake_data_file
        SET end_snapshot = (SELECT max(snapshot_id) FROM {catalog}.ducklake_snapshot)
        WHERE data_file_id = {id} AND end_snapshot IS NULL;
        UPDATE {catalog}.ducklake_delete_file
        SET end_snapshot = (SELECT max(snapshot_id) FROM {catalog}.ducklake_snapshot)
        WHERE data_file_id = {id} AND end_snapshot IS NULL";
    let sql = SQL.replace("{catalog}", CATALOG).replace("{id}", &id.to_string());
    let dropped = connection.execute_batch(&sql);
    dropped.map_err(|error| error::engine("drop a data file", error))
}

/// Returns the files that maintenance will read, because it merges them or rewrites them.
///
/// The engine merges files of one partition. This may name more files than the engine takes.
pub(crate) fn to_be_rewritten(connection: &Connection) -> Result<Vec<DataFile>> {
    const NEIGHBOURS: &str = "
        SELECT f.data_file_id
        FROM {catalog}.ducklake_data_file AS f
        LEFT JOIN (
            SELECT data_file_id, string_agg(partition_value, '/' ORDER BY partition_key_index) AS place
            FROM {catalog}.ducklake_file_partition_value
            GROUP BY data_file_id
        ) AS p ON p.data_file_id = f.data_file_id
        WHERE f.end_snapshot IS NULL
        QUALIFY count(*) OVER (PARTITION BY f.table_id, f.partition_id, p.place) > 1
        UNION ALL
        SELECT d.data_file_id
        FROM {catalog}.ducklake_delete_file AS d
        WHERE d.end_snapshot IS NULL";
    let sql = NEIGHBOURS.replace("{catalog}", CATALOG);
    let ids = statement::query_all(connection, &sql, [], |row| row.get(0));
    let ids: HashSet<i64> = ids
        .map_err(|error| error::engine("list the data files", error))?
        .into_iter()
        .collect();
    let mut files = current(connection)?;
    files.retain(|file| ids.contains(&file.rows_in));
    Ok(files)
}

/// Returns the names of all files that the catalog knows, those of old snapshots and unused ones included.
pub(crate) fn known_names(connection: &Connection) -> Result<HashSet<String>> {
    const SQL: &str = "
        SELECT parse_filename(path) FROM {catalog}.ducklake_data_file
        UNION ALL
        SELECT parse_filename(path) FROM {catalog}.ducklake_delete_file
        UNION ALL
        SELECT parse_filename(path) FROM {catalog}.ducklake_files_scheduled_for_deletion";
    let sql = SQL.replace("{catalog}", CATALOG);
    let names = statement::query_all(connection, &sql, [], |row| row.get(0));
    let names: Vec<String> = names.map_err(|error| error::engine("list the data files", error))?;
    Ok(names.into_iter().collect())
}

fn data_file(row: &Row<'_>) -> ::duckdb::Result<DataFile> {
    let (first, last): (Option<i64>, Option<i64>) = (row.get(6)?, row.get(7)?);
    Ok(DataFile {
        id: row.get(0)?,
        rows_in: row.get(1)?,
        table: row.get(2)?,
        path: row.get(3)?,
        bytes: row.get(4)?,
        rows: row.get(5)?,
        times: first.zip(last),
    })
}
