//! Marks the data path of a lake as its own, so that no other lake takes it, and none deletes another one's files.
//!
//! A mark is an object `logstore-lakes/ID` under the data path. The id is the one that `DuckLake` gave to the schema of
//! the lake when it was created. A copy of the data path takes the mark along.

use std::fs;
use std::path::Path;

use ::duckdb::Connection;

use super::{CATALOG, data};
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::{self, literal};

const FOLDER: &str = "logstore-lakes";

/// Returns the id of an attached lake.
pub(crate) fn id_of(connection: &Connection) -> Result<String> {
    let sql = format!(
        "SELECT CAST(schema_uuid AS VARCHAR) FROM {CATALOG}.ducklake_schema WHERE schema_name = 'main' \
         ORDER BY schema_id LIMIT 1"
    );
    let read = connection.query_row(&sql, [], |row| row.get(0));
    read.map_err(|error| error::engine("read the id of the lake", error))
}

/// Refuses a data path for a new lake if it is another lake's, or lies within one, or holds one.
pub(crate) fn refuse_taken(connection: &Connection, data_path: &str) -> Result<()> {
    let mut taken = marks_within(connection, data_path)?;
    let mut place = data_path.trim_end_matches('/');
    while let Some((parent, _)) = place.rsplit_once('/') {
        if parent.is_empty() || parent.ends_with('/') {
            break;
        }
        taken.extend(marks_at(connection, parent)?);
        place = parent;
    }
    let Some(mark) = taken.into_iter().next() else {
        return Ok(());
    };
    let reason = format!(
        "it is the data path of another lake, as {mark} shows: name a place of its own. If that lake is gone for good, \
         remove its files with the mark"
    );
    Err(error::not_a_store(data_path, reason))
}

/// Returns the marks of other lakes at a data path and below it.
pub(crate) fn of_others(connection: &Connection, data_path: &str, own: &str) -> Result<Vec<String>> {
    let mut marks = marks_within(connection, data_path)?;
    marks.retain(|mark| !mark.ends_with(&format!("/{own}")));
    Ok(marks)
}

/// Marks a data path as that of a lake, unless it has the mark.
pub(crate) fn set(connection: &Connection, data_path: &str, id: &str) -> Result<()> {
    let place = format!("{}/{FOLDER}", data_path.trim_end_matches('/'));
    let mark = format!("{place}/{id}");
    if marks_at(connection, data_path)?.contains(&mark) {
        return Ok(());
    }
    if data::is_remote(data_path) {
        let sql = format!(
            "COPY (SELECT 'the data of a lake of logstore') TO {} (FORMAT csv, HEADER false)",
            literal(&mark)
        );
        let set = connection.execute_batch(&sql);
        return set.map_err(|error| error::engine("mark the data path", error));
    }
    let set = fs::create_dir_all(&place).and_then(|()| fs::write(&mark, "the data of a lake of logstore\n"));
    set.map_err(|io| error::not_written(mark, format!("cannot mark the data path: {io}")))
}

fn marks_at(connection: &Connection, folder: &str) -> Result<Vec<String>> {
    match data::is_remote(folder) {
        true => objects(
            connection,
            &format!("{}/{FOLDER}/*", folder.trim_end_matches('/')),
        ),
        false => entries(&Path::new(folder).join(FOLDER)),
    }
}

/// Returns the marks at a place and in all folders below it.
fn marks_within(connection: &Connection, folder: &str) -> Result<Vec<String>> {
    if data::is_remote(folder) {
        return objects(
            connection,
            &format!("{}/**/{FOLDER}/*", folder.trim_end_matches('/')),
        );
    }
    let mut marks = Vec::new();
    let mut folders = vec![Path::new(folder).to_owned()];
    while let Some(folder) = folders.pop() {
        if folder.file_name().is_some_and(|name| name == FOLDER) {
            marks.extend(entries(&folder)?);
            continue;
        }
        let inner = data::list_folder(&folder)?.into_iter();
        folders.extend(inner.filter(|entry| entry.is_folder).map(|entry| entry.path));
    }
    Ok(marks)
}

fn entries(folder: &Path) -> Result<Vec<String>> {
    let entries = data::list_folder(folder)?.into_iter();
    Ok(entries.map(|entry| entry.path.display().to_string()).collect())
}

fn objects(connection: &Connection, pattern: &str) -> Result<Vec<String>> {
    let found = statement::query_all(
        connection,
        "SELECT file FROM glob(?) ORDER BY file",
        [pattern],
        |row| row.get(0),
    );
    found.map_err(|error| error::engine("look for the marks of lakes", error))
}
