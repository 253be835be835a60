//! A lake: tables whose catalog is a database and whose data are Parquet files, by the engine's extension `DuckLake`.
//!
//! Many machines write to a lake at once. The catalog gives each commit a number, the snapshot; `DuckLake` refuses a
//! commit that changes rows which another one has changed since it began, but not one that adds rows. What must be
//! there once (logs, alerts, positions) is therefore looked for and committed by one writer at a time: see
//! [`Turn`](super::turn::Turn).

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use ::duckdb::{Config, Connection};
use chrono::{DateTime, Utc};

use super::commit_lock;
use crate::storage::duckdb::engine::conninfo::with_timeouts;
use crate::storage::duckdb::engine::files::{self, NewFile};
use crate::storage::duckdb::engine::gate::{Opened, Opener};
use crate::storage::duckdb::engine::location::{Catalog, Lake, Location};
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::engine::settings::{EngineSettings, LARGE_BUFFERS};
use crate::storage::duckdb::engine::spill_folder::SpillSpace;
use crate::storage::duckdb::engine::{extensions, repair};
use crate::storage::duckdb::error::{self, OpenFailure};
use crate::storage::duckdb::schema;
use crate::storage::duckdb::seq::LOGS_OF_SNAPSHOT;
use crate::storage::duckdb::sql::functions;
use crate::storage::duckdb::sql::statement::literal;
use crate::storage::duckdb::transaction::transaction;
use crate::storage::{Error, Result};

/// What the lake is called within the engine.
const NAME: &str = "lake";

/// Opens the engine on a lake.
pub(crate) struct LakeOpener {
    lake: Lake,
    settings: EngineSettings,
    spill: SpillSpace,
}

impl LakeOpener {
    pub(crate) fn new(lake: &Lake, settings: &EngineSettings) -> Self {
        Self {
            lake: lake.clone(),
            settings: settings.clone(),
            spill: SpillSpace::elsewhere(),
        }
    }
}

impl Opener for LakeOpener {
    fn open(&self, mode: Mode) -> Result<Opened, OpenFailure> {
        if let Some(file) = self.lake.catalog_file() {
            files::check_file(file).map_err(OpenFailure::Other)?;
            repair::put_right_if_killed(file, &self.settings, self.spill.path())?;
        }
        let shown = Location::Lake(self.lake.clone()).to_string();
        let connection = open(&self.lake, &self.settings, self.spill.path(), mode)?;
        functions::register(&connection)
            .and_then(|()| connection.execute_batch(&format!("SET {LARGE_BUFFERS} = true")))
            .map_err(|error| error::open_failure(&shown, error))?;
        let is_current = schema::refuse_newer(&connection, &shown).map_err(OpenFailure::Other)?;
        Ok(Opened {
            connection,
            is_current,
        })
    }

    fn enter(&self, connection: &Connection) -> ::duckdb::Result<()> {
        connection.execute_batch(&format!("USE {NAME}"))
    }
}

/// Opens an engine on a lake that is there.
fn open(
    lake: &Lake,
    settings: &EngineSettings,
    spill: Option<&Path>,
    mode: Mode,
) -> Result<Connection, OpenFailure> {
    let connection = engine(lake, settings, spill).map_err(OpenFailure::Other)?;
    let access = match mode {
        Mode::Read if lake.catalog_file().is_some() => "READ_ONLY",
        _ => "CREATE_IF_NOT_EXISTS false",
    };
    attach(&connection, lake, settings, access)?;
    confine(&connection, settings).map_err(OpenFailure::Other)?;
    Ok(connection)
}

/// Makes a lake without tables in a database, unless another process is faster; a file with all of its tables.
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
    let connection = engine(&made, settings, None)?;
    attach_new(&connection, &made, settings).map_err(OpenFailure::into_error)?;
    transaction(&connection, "create the store", schema::create)?;
    drop(connection);
    new.persist().map(drop)
}

fn create_in_database(lake: &Lake, settings: &EngineSettings, timeout: Duration) -> Result<()> {
    if lake.data_path.is_none() {
        let reason = "there is no lake in it yet: say where its data goes, with ?data_path=FOLDER or \
                      ?data_path=s3://BUCKET/PREFIX after it";
        return Err(error::unavailable(
            Location::Lake(lake.clone()).to_string(),
            reason,
        ));
    }
    let connection = engine(lake, settings, None)?;
    let _alone = commit_lock::wait_to_create(&connection, lake, timeout)?;
    // Another process may have made it meanwhile.
    match attach(&connection, lake, settings, "CREATE_IF_NOT_EXISTS false").map_err(OpenFailure::into_error) {
        Err(error) if is_missing(&error) => {
            attach_new(&connection, lake, settings).map_err(OpenFailure::into_error)
        }
        attached => attached,
    }
}

/// Makes a lake that is not there. Commits of few rows are kept in the catalog, until they are flushed: a file for
/// each would be many.
fn attach_new(connection: &Connection, lake: &Lake, settings: &EngineSettings) -> Result<(), OpenFailure> {
    let failed = |error| OpenFailure::Other(error::engine("create the store", error));
    if let Some(folder) = lake.data_path.as_deref().filter(|path| !is_remote(path)) {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|io| OpenFailure::Other(error::not_written(folder, format!("cannot make it: {io}"))))?;
    }
    attach(connection, lake, settings, "CREATE_IF_NOT_EXISTS true")?;
    for (option, value) in [
        ("parquet_compression", "zstd"),
        ("data_inlining_row_limit", &INLINED_ROWS.to_string()),
    ] {
        let sql = format!("CALL ducklake_set_option('{NAME}', '{option}', '{value}')");
        connection.execute_batch(&sql).map_err(failed)?;
    }
    Ok(())
}

/// Up to how many rows of a commit are kept in the catalog: a file for each would be many, but from about as many on
/// it is written sooner.
pub(crate) const INLINED_ROWS: usize = 100;

/// A commit that others were faster than is tried again at once, for whoever has its turn need not wait for them, and
/// then later and later for about 3 seconds in all. By default the engine waits 100 ms before it tries again.
const RETRIES: &str =
    "SET ducklake_retry_wait_ms = 1; SET ducklake_retry_backoff = 1.3; SET ducklake_max_retry_count = 25";

/// An engine that can be told of a lake.
fn engine(lake: &Lake, settings: &EngineSettings, spill: Option<&Path>) -> Result<Connection> {
    let failed = |error| error::engine("start the engine", error);
    let folder = settings.lake.extensions.folder()?;
    let connection = settings
        .common_config(Config::default(), spill)
        .and_then(|config| config.with("extension_directory", folder.display().to_string()))
        .and_then(Connection::open_in_memory_with_flags)
        .map_err(failed)?;
    extensions::load(&connection, "ducklake", &settings.lake.extensions)?;
    connection.execute_batch(RETRIES).map_err(failed)?;
    if let Catalog::Postgres { password, .. } = &lake.catalog {
        extensions::load(&connection, "postgres_scanner", &settings.lake.extensions)?;
        // Without one, libpq looks for it itself.
        let password = password.as_ref().or(settings.lake.catalog_password.as_ref());
        let parameter = password.map(|password| format!(", PASSWORD {}", literal(password.reveal())));
        let sql = format!(
            "CREATE SECRET catalog (TYPE postgres{})",
            parameter.unwrap_or_default()
        );
        connection.execute_batch(&sql).map_err(failed)?;
    }
    if names_remote_data(lake) {
        use_s3(&connection, settings)?;
    }
    Ok(connection)
}

fn names_remote_data(lake: &Lake) -> bool {
    lake.data_path.as_deref().is_some_and(is_remote)
}

fn is_remote(data_path: &str) -> bool {
    data_path.contains("://")
}

fn use_s3(connection: &Connection, settings: &EngineSettings) -> Result<()> {
    extensions::load(connection, "httpfs", &settings.lake.extensions)?;
    let made = connection.execute_batch(&settings.lake.s3.secret());
    made.map_err(|error| error::engine("use the credentials of the data", error))
}

fn attach(
    connection: &Connection,
    lake: &Lake,
    settings: &EngineSettings,
    access: &str,
) -> Result<(), OpenFailure> {
    let mut options = access.to_owned();
    let place = match &lake.catalog {
        Catalog::File(path) => path.display().to_string(),
        Catalog::Postgres { connection: to, .. } => {
            options.push_str(", META_SECRET 'catalog'");
            format!("postgres:{}", with_timeouts(to))
        }
    };
    if let Some(data_path) = &lake.data_path {
        options.push_str(&format!(", DATA_PATH {}", literal(data_path)));
    }
    let sql = format!(
        "ATTACH {} AS {NAME} ({options}); USE {NAME}",
        literal(&format!("ducklake:{place}"))
    );
    let mut attached = connection.execute_batch(&sql);
    // A location need not say that the data is remote: the catalog knows.
    if let Err(error) = &attached
        && error::needs_httpfs(error)
        && !names_remote_data(lake)
    {
        use_s3(connection, settings).map_err(OpenFailure::Other)?;
        attached = connection.execute_batch(&sql);
    }
    attached.map_err(|error| error::open_failure(&Location::Lake(lake.clone()).to_string(), error))
}

/// Lets the engine use nothing but the lake's own files.
fn confine(connection: &Connection, settings: &EngineSettings) -> Result<()> {
    let failed = |error| error::engine("open the store", error);
    let data_path = data_path(connection)?;
    if settings.external_access {
        return Ok(());
    }
    let sql = format!(
        "SET allowed_directories = [{}]; SET enable_external_access = false",
        literal(&data_path)
    );
    connection.execute_batch(&sql).map_err(failed)
}

/// Where the data files of a lake are, as its catalog has it.
pub(crate) fn data_path(connection: &Connection) -> Result<String> {
    let sql = format!("SELECT value FROM ducklake_options('{NAME}') WHERE option_name = 'data_path'");
    let read = connection.query_row(&sql, [], |row| row.get(0));
    read.map_err(|error| error::engine("read where the data is", error))
}

/// Has what was written to data files on the disk: the engine does not. Data in S3 is kept once it is there.
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

/// How many bytes the data files of a lake take.
pub(crate) fn data_bytes(connection: &Connection) -> Result<u64> {
    let sql = format!(
        "SELECT coalesce(sum(file_size_bytes + delete_file_size_bytes), 0) :: UBIGINT FROM ducklake_table_info('{NAME}')"
    );
    let read = connection.query_row(&sql, [], |row| row.get(0));
    read.map_err(|error| error::engine("read statistics", error))
}

/// The last snapshot that the transaction sees.
pub(crate) fn snapshot(connection: &Connection) -> Result<i64> {
    let sql = format!("SELECT id FROM ducklake_current_snapshot('{NAME}') AS current(id)");
    let read = connection.query_row(&sql, [], |row| row.get(0));
    read.map_err(|error| error::engine("read the last position", error))
}

/// SQL for what no log's sequence number exceeds.
pub(crate) fn end_seq_sql() -> String {
    format!("(SELECT (id + 1) * {LOGS_OF_SNAPSHOT} FROM ducklake_current_snapshot('{NAME}') AS current(id))")
}

/// Moves the rows of a table that the catalog holds to files, and says how many.
pub(crate) fn flush(connection: &Connection, table: &str) -> Result<u64> {
    let call =
        format!("sum(rows_flushed) FROM ducklake_flush_inlined_data('{NAME}', table_name => '{table}')");
    upkeep(connection, &call)
}

/// Writes the files of a table that hold deleted rows without those, and says how many.
pub(crate) fn rewrite(connection: &Connection, table: &str) -> Result<u64> {
    let call = format!(
        "sum(files_processed) FROM ducklake_rewrite_data_files('{NAME}', '{table}', delete_threshold => 0.1)"
    );
    upkeep(connection, &call)
}

/// Merges the small files of a table, and says how many.
pub(crate) fn merge(connection: &Connection, table: &str) -> Result<u64> {
    let call = format!("sum(files_processed) FROM ducklake_merge_adjacent_files('{NAME}', '{table}')");
    upkeep(connection, &call)
}

/// Calls one of the functions that drop what is older than a time, and says how much that was.
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

/// Whether an error says that a catalog has no lake in it.
pub(crate) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Unavailable { reason, .. } if reason == error::NO_LAKE)
}
