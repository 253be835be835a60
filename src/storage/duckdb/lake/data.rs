//! The data files of a lake: their place, their size, and their sync to disk.

use std::fs::File;

use ::duckdb::Connection;

use super::NAME;
use crate::storage::Result;
use crate::storage::duckdb::error;

/// Returns the place of a lake's data files, as its catalog records it.
pub(crate) fn data_path(connection: &Connection) -> Result<String> {
    let sql = format!("SELECT value FROM ducklake_options('{NAME}') WHERE option_name = 'data_path'");
    let read = connection.query_row(&sql, [], |row| row.get(0));
    read.map_err(|error| error::engine("read where the data is", error))
}

pub(crate) fn is_remote(data_path: &str) -> bool {
    data_path.contains("://")
}

/// Syncs data files to disk, which the engine does not do. Data in S3 is durable after the upload.
pub(crate) fn sync(data_path: &str) -> Result<()> {
    if is_remote(data_path) {
        return Ok(());
    }
    let synced = File::open(data_path).and_then(|folder| sync_files_beside(&folder));
    synced.map_err(|io| error::not_written(data_path, format!("cannot have it on the disk: {io}")))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn sync_files_beside(folder: &File) -> std::io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn sync_files_beside(_: &File) -> std::io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

#[cfg(not(unix))]
fn sync_files_beside(folder: &File) -> std::io::Result<()> {
    folder.sync_all()
}

/// Returns the size of a lake's data files in bytes.
pub(crate) fn data_bytes(connection: &Connection) -> Result<u64> {
    let sql = format!(
        "SELECT coalesce(sum(file_size_bytes + delete_file_size_bytes), 0) :: UBIGINT FROM ducklake_table_info('{NAME}')"
    );
    let read = connection.query_row(&sql, [], |row| row.get(0));
    read.map_err(|error| error::engine("read statistics", error))
}
