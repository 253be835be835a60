//! Creates a lake once, however many processes try.

use std::time::Duration;

use ::duckdb::Connection;

use super::{NAME, attach, checksums, commit_lock, data, mark};
use crate::storage::Result;
use crate::storage::duckdb::engine::files::NewFile;
use crate::storage::duckdb::engine::location::{Catalog, Lake, Location};
use crate::storage::duckdb::engine::settings::EngineSettings;
use crate::storage::duckdb::error::{self, OpenFailure};
use crate::storage::duckdb::schema;
use crate::storage::duckdb::transaction::transaction;

/// Creates a lake without tables in a database, unless another process is faster. In a file, creates all of its tables.
pub(crate) fn create(lake: &Lake, settings: &EngineSettings, timeout: Duration) -> Result<()> {
    let Some(file) = lake.catalog_file() else {
        return create_in_database(lake, settings, timeout);
    };
    let new = NewFile::beside(file)?;
    let made = Lake {
        catalog: Catalog::File(new.path()),
        data_path: Some(
            lake.data_path
                .clone()
                .unwrap_or_else(|| format!("{}.files", file.display())),
        ),
    };
    let connection = attach::engine(&made, settings, None)?;
    attach_new(&connection, &made, settings, timeout).map_err(OpenFailure::into_error)?;
    transaction(&connection, "create the store", schema::create)?;
    let id = mark::id_of(&connection)?;
    drop(connection);
    // Only the process that was fastest marks the data path.
    match (new.persist()?, &made.data_path) {
        (true, Some(data_path)) => mark::set(&attach::engine(&made, settings, None)?, data_path, &id),
        _ => Ok(()),
    }
}

fn create_in_database(lake: &Lake, settings: &EngineSettings, timeout: Duration) -> Result<()> {
    let Some(data_path) = &lake.data_path else {
        let reason = "there is no lake in it yet: say where its data goes, with ?data_path=FOLDER or \
                      ?data_path=s3://BUCKET/PREFIX after it";
        return Err(error::no_store(Location::Lake(lake.clone()).to_string(), reason));
    };
    let connection = attach::engine(lake, settings, None)?;
    let lock = commit_lock::take_to_create(&connection, lake, timeout)?;
    // Another process may have created it meanwhile.
    let attached = match attach::attach(&connection, lake, settings, "CREATE_IF_NOT_EXISTS false", timeout) {
        Err(OpenFailure::NoLake(_)) => attach_new(&connection, lake, settings, timeout)
            .and_then(|()| Ok(mark::set(&connection, data_path, &mark::id_of(&connection)?)?)),
        attached => attached,
    };
    drop(lock);
    attached.map_err(OpenFailure::into_error)
}

/// Creates a lake that does not exist.
///
/// The catalog keeps the rows of small commits until they are flushed. A file for each would make many files.
fn attach_new(
    connection: &Connection,
    lake: &Lake,
    settings: &EngineSettings,
    timeout: Duration,
) -> Result<(), OpenFailure> {
    let failed = |error| OpenFailure::Other(error::engine("create the store", error));
    if let Some(data_path) = lake.data_path.as_deref() {
        mark::refuse_taken(connection, data_path)?;
        if !data::is_remote(data_path) {
            data::make_folder(data_path)?;
        }
    }
    attach::attach(connection, lake, settings, "CREATE_IF_NOT_EXISTS true", timeout)?;
    for (option, value) in [
        ("parquet_compression", "zstd"),
        ("data_inlining_row_limit", &INLINED_ROWS.to_string()),
    ] {
        let sql = format!("CALL ducklake_set_option('{NAME}', '{option}', '{value}')");
        connection.execute_batch(&sql).map_err(failed)?;
    }
    Ok(checksums::make_table(connection)?)
}

/// Limits the rows of a commit that the catalog keeps.
///
/// A file for each small commit would make many files. From about this many rows on, a file is written faster.
pub(crate) const INLINED_ROWS: usize = 100;
