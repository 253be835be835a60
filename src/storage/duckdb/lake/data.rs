//! The data files of a lake: their place, their size, and their sync to disk.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ::duckdb::Connection;

use super::NAME;
use crate::storage::duckdb::error;
use crate::storage::{Error, Result};

/// Returns the place of a lake's data files, as its catalog records it.
pub(crate) fn data_path(connection: &Connection) -> Result<String> {
    let sql = format!("SELECT value FROM ducklake_options('{NAME}') WHERE option_name = 'data_path'");
    let read = connection.query_row(&sql, [], |row| row.get(0));
    read.map_err(|error| error::engine("read where the data is", error))
}

pub(crate) fn is_remote(data_path: &str) -> bool {
    data_path.contains("://")
}

/// Makes the folder of a new lake's data, for its owner alone. A folder that is there keeps its mode.
pub(crate) fn make_folder(folder: &str) -> Result<()> {
    if Path::new(folder).exists() {
        warn_if_open(folder);
        return Ok(());
    }
    let made = std::fs::create_dir_all(folder).and_then(|()| close_to_others(folder));
    made.map_err(|io| error::not_written(folder, format!("cannot make it: {io}")))
}

#[cfg(unix)]
fn close_to_others(folder: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn close_to_others(_: &str) -> std::io::Result<()> {
    Ok(())
}

/// Warns if every user of the machine can enter the folder of the data. The engine makes files readable for all.
#[cfg(unix)]
pub(crate) fn warn_if_open(data_path: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    const OTHERS: u32 = 0o007;
    let is_open = |metadata: std::fs::Metadata| metadata.permissions().mode() & OTHERS != 0;
    if !is_remote(data_path) && std::fs::metadata(data_path).is_ok_and(is_open) {
        log::warn!(
            "every user of this machine can read the logs in {data_path}: chmod 700 it, or 2750 for the users of a \
             group"
        );
    }
}

#[cfg(not(unix))]
pub(crate) fn warn_if_open(_: &str) {}

/// Describes what is in a folder.
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) is_folder: bool,
}

/// Lists a folder; nothing for one that does not exist.
pub(crate) fn list_folder(folder: &Path) -> Result<Vec<Entry>> {
    let listed = std::fs::read_dir(folder).and_then(|entries| {
        let entries = entries.map(|entry| {
            let entry = entry?;
            Ok(Entry {
                is_folder: entry.file_type()?.is_dir(),
                path: entry.path(),
            })
        });
        entries.collect::<io::Result<Vec<_>>>()
    });
    match listed {
        Err(io) if io.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(io) => Err(Error::Backend {
            action: "list the data path",
            source: format!("{}: {io}", folder.display()).into(),
        }),
        Ok(entries) => Ok(entries),
    }
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
