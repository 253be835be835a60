//! Remembers a checksum of each data file, because Parquet as the engine writes it has none.
//!
//! The checksums are in a table of the catalog's database, next to the tables of `DuckLake`. A dump of the database holds
//! them. They are no part of a snapshot: a file never changes, so that its checksum is always right or always missing.

use std::collections::{HashMap, HashSet};

use ::duckdb::Connection;

use super::data_files::{self, DataFile};
use super::digest::{self, Digest};
use super::{CATALOG, data};
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::{self, literal};

/// Names the table. It has no key, because a writer and maintenance may record the same file.
const TABLE: &str = "logstore_checksums";

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
    let rows: Vec<String> = digests
        .iter()
        .map(|(id, digest)| format!("({id}, {}, {})", digest.bytes, literal(&digest.sha256)))
        .collect();
    let sql = format!(
        "INSERT INTO {CATALOG}.{TABLE} (file_id, bytes, sha256) VALUES {}",
        rows.join(", ")
    );
    let recorded = connection.execute_batch(&sql);
    recorded.map_err(|error| error::engine("record checksums", error))
}

/// Records the digests of the files that commits since a snapshot have added, where this machine has the files.
///
/// Objects in S3 would have to be fetched for this. Maintenance does that.
pub(crate) fn record_since(connection: &Connection, data_path: &str, snapshot: i64) -> Result<()> {
    let added = data_files::added_since(connection, data_path, snapshot)?;
    let here: Vec<DataFile> = added
        .into_iter()
        .filter(|file| !data::is_remote(&file.path))
        .collect();
    if here.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = here.iter().map(|file| file.id.to_string()).collect();
    let known = recorded_ids(connection, &format!("file_id IN ({})", ids.join(", ")))?;
    let mut digests = Vec::new();
    for file in here {
        if !known.contains(&file.id)
            && let Some(digest) = digest::of_file(&file.path)?
        {
            digests.push((file.id, digest));
        }
    }
    record(connection, &digests)
}

/// Returns the files that have no checksum yet.
pub(crate) fn unrecorded(connection: &Connection) -> Result<Vec<DataFile>> {
    let known = recorded_ids(connection, "true")?;
    // No file is of a snapshot before the first.
    let mut files = data_files::added_since(connection, &data::data_path(connection)?, -1)?;
    files.retain(|file| !known.contains(&file.id));
    Ok(files)
}

fn recorded_ids(connection: &Connection, condition: &str) -> Result<HashSet<i64>> {
    let sql = format!("SELECT file_id FROM {CATALOG}.{TABLE} WHERE {condition}");
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
