//! Removes parts of data files, which writers leave that meet a full disk or are killed.
//!
//! A whole Parquet file ends in a mark of the format. A part does not, and nothing can read it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use ::duckdb::Connection;

use super::{data, data_files};
use crate::storage::Result;
use crate::storage::duckdb::error;

/// Removes the part that a failed write left. The error names the file, which is then of this process.
pub(crate) fn remove_named(failure: &str, data_path: &str) {
    let Some(part) = error::file_of_failed_write(failure) else {
        return;
    };
    let is_ours = !data::is_remote(data_path) && Path::new(part).starts_with(data_path);
    if !is_ours || !is_part(Path::new(part)).unwrap_or(false) {
        return;
    }
    match std::fs::remove_file(part) {
        Ok(()) => log::info!("removed {part}, the part of a file that did not fit on the disk"),
        Err(io) => log::warn!("cannot remove {part}, the part of a file that did not fit: {io}"),
    }
}

/// Removes the parts that nothing has written to since a time, and returns their number.
///
/// Objects in S3 appear only when they are complete.
pub(crate) fn remove_old(connection: &Connection, data_path: &str, before: SystemTime) -> Result<u64> {
    if data::is_remote(data_path) {
        return Ok(0);
    }
    let known = data_files::known_names(connection)?;
    let mut removed = 0;
    let mut folders = vec![Path::new(data_path).to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in data::list_folder(&folder)? {
            if entry.is_folder {
                folders.push(entry.path);
                continue;
            }
            let is_known = |name: &std::ffi::OsStr| name.to_str().is_none_or(|name| known.contains(name));
            if entry
                .path
                .extension()
                .is_none_or(|extension| extension != "parquet")
                || entry.path.file_name().is_none_or(is_known)
            {
                continue;
            }
            let path = entry.path.as_path();
            match remove_if_old(path, before) {
                Ok(is_removed) => removed += u64::from(is_removed),
                // Its writer has removed it.
                Err(io) if io.kind() == io::ErrorKind::NotFound => {}
                Err(io) => return Err(error::not_written(path, format!("cannot remove it: {io}"))),
            }
        }
    }
    Ok(removed)
}

fn remove_if_old(path: &Path, before: SystemTime) -> io::Result<bool> {
    let is_old = path.metadata()?.modified()? < before;
    if !is_old || !is_part(path)? {
        return Ok(false);
    }
    std::fs::remove_file(path)?;
    Ok(true)
}

fn is_part(path: &Path) -> io::Result<bool> {
    const END: &[u8] = b"PAR1";
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length < END.len() as u64 {
        return Ok(true);
    }
    let mut end = [0; END.len()];
    file.seek(SeekFrom::Start(length - END.len() as u64))?;
    file.read_exact(&mut end)?;
    Ok(end != END)
}
