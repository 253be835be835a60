//! Remembers a checksum of each data file, because Parquet as the engine writes it has none.
//!
//! The checksums are in a table of the catalog's database, next to the tables of `DuckLake`. A dump of the database holds
//! them. They are no part of a snapshot: a file never changes, so that its checksum is always right or always missing.

use std::collections::{HashMap, HashSet};

use ::duckdb::Connection;

use super::CATALOG;
use super::data_files::{self, DataFile};
use super::digest::{self, Digest};
use crate::storage::Result;
use crate::storage::duckdb::engine::location::Location;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::{self, literal};

/// Names the table. It has no key, because a writer and maintenance may record the same file.
const TABLE: &str = "logstore_checksums";

/// Names the schema of the catalog's tables in a `PostgreSQL` server, for statements that the server runs.
const SERVER_SCHEMA: &str = "public";

/// Creates the table, unless it is there.
pub(crate) fn make_table(connection: &Connection) -> Result<()> {
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {CATALOG}.{TABLE} (file_id BIGINT, bytes BIGINT, sha256 VARCHAR)"
    );
    let made = connection.execute_batch(&sql);
    made.map_err(|error| error::engine("make the table of checksums", error))
}

/// Returns the recorded digests of each file. A sound file has every one of its digests.
pub(crate) fn recorded(connection: &Connection) -> Result<HashMap<i64, HashSet<Digest>>> {
    let sql = format!("SELECT file_id, bytes, sha256 FROM {CATALOG}.{TABLE}");
    let rows = statement::query_all(connection, &sql, [], |row| {
        let digest = Digest {
            bytes: row.get(1)?,
            sha256: row.get(2)?,
        };
        Ok((row.get(0)?, digest))
    });
    let mut recorded: HashMap<i64, HashSet<Digest>> = HashMap::new();
    match rows {
        Ok(rows) => {
            for (id, digest) in rows {
                recorded.entry(id).or_default().insert(digest);
            }
            Ok(recorded)
        }
        // An earlier version made the lake, and no maintenance has run since.
        Err(error) if error::is_missing_table(&error) => Ok(recorded),
        Err(error) => Err(error::engine("read the checksums", error)),
    }
}

/// Records digests of files.
pub(crate) fn record(connection: &Connection, digests: &[(i64, Digest)]) -> Result<()> {
    if digests.is_empty() {
        return Ok(());
    }
    let recorded = connection.execute_batch(&insert(CATALOG, digests));
    recorded.map_err(|error| error::engine("record checksums", error))
}

fn insert(schema: &str, digests: &[(i64, Digest)]) -> String {
    let rows: Vec<String> = digests
        .iter()
        .map(|(id, digest)| format!("({id}, {}, {})", digest.bytes, literal(&digest.sha256)))
        .collect();
    format!(
        "INSERT INTO {schema}.{TABLE} (file_id, bytes, sha256) VALUES {}",
        rows.join(", ")
    )
}

/// Records the digests of the files on this machine that commits since a snapshot have added.
///
/// A `PostgreSQL` server answers two statements for this. The engine would read whole tables of the catalog. The
/// server answers before the rows are on its disk, because maintenance records what a crash takes.
pub(crate) fn record_since(
    connection: &Connection,
    location: &Location,
    data_path: &str,
    snapshot: i64,
) -> Result<()> {
    let is_server = location.has_many_writers();
    let schema = if is_server { SERVER_SCHEMA } else { CATALOG };
    let mut digests = Vec::new();
    for (id, path) in unrecorded_since(connection, schema, data_path, snapshot)? {
        if let Some(digest) = digest::of_file(&path)? {
            digests.push((id, digest));
        }
    }
    if !is_server || digests.is_empty() {
        return record(connection, &digests);
    }
    let insert = format!("SET LOCAL synchronous_commit = off; {}", insert(schema, &digests));
    // A transaction of the engine would take two more round trips.
    let recorded = connection.execute_batch(&format!(
        "CALL postgres_execute('{CATALOG}', {}, use_transaction := false)",
        literal(&insert)
    ));
    recorded.map_err(|error| error::engine("record checksums", error))
}

/// Returns the number and the path of each file that commits after a snapshot have added, if it has no checksum yet.
fn unrecorded_since(
    connection: &Connection,
    schema: &str,
    data_path: &str,
    snapshot: i64,
) -> Result<Vec<(i64, String)>> {
    let sql = format!(
        "SELECT f.data_file_id AS id,
            CASE WHEN NOT f.path_is_relative THEN f.path
                WHEN NOT t.path_is_relative THEN t.path || f.path
                WHEN NOT s.path_is_relative THEN s.path || t.path || f.path
                ELSE {} || s.path || t.path || f.path END AS place
        FROM {schema}.ducklake_data_file AS f
        JOIN {schema}.ducklake_table AS t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
        JOIN {schema}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
        WHERE f.begin_snapshot > {snapshot} AND f.end_snapshot IS NULL
            AND NOT EXISTS (SELECT 1 FROM {schema}.{TABLE} AS known WHERE known.file_id = f.data_file_id)",
        literal(data_path)
    );
    let sql = match schema {
        SERVER_SCHEMA => format!(
            "SELECT id, place FROM system.main.postgres_query('{CATALOG}', {}, use_transaction := false)",
            literal(&sql)
        ),
        _ => sql,
    };
    let files = statement::query_all(connection, &sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
    files.map_err(|error| error::engine("list the new data files", error))
}

/// Returns the files that have no checksum yet.
pub(crate) fn unrecorded(connection: &Connection) -> Result<Vec<DataFile>> {
    let known = recorded_ids(connection)?;
    let mut files = data_files::current_without_times(connection)?;
    files.retain(|file| !known.contains(&file.id));
    Ok(files)
}

fn recorded_ids(connection: &Connection) -> Result<HashSet<i64>> {
    let sql = format!("SELECT file_id FROM {CATALOG}.{TABLE}");
    let ids = statement::query_all(connection, &sql, [], |row| row.get(0));
    let ids: Vec<i64> = ids.map_err(|error| error::engine("read the checksums", error))?;
    Ok(ids.into_iter().collect())
}

/// Deletes the checksums of files that the catalog does not know any more.
pub(crate) fn forget_gone(connection: &Connection) -> Result<()> {
    let sql = format!(
        "DELETE FROM {CATALOG}.{TABLE}
        WHERE file_id NOT IN (SELECT data_file_id FROM {CATALOG}.ducklake_data_file)
            AND file_id NOT IN (SELECT delete_file_id FROM {CATALOG}.ducklake_delete_file)"
    );
    let forgotten = connection.execute_batch(&sql);
    forgotten.map_err(|error| error::engine("forget checksums", error))
}
