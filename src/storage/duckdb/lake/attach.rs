//! Opens the engine on a lake, and limits the files that it may use.

use std::path::Path;
use std::time::Duration;

use ::duckdb::{Config, Connection};

use super::{NAME, data};
use crate::storage::Result;
use crate::storage::duckdb::engine::conninfo::with_timeouts;
use crate::storage::duckdb::engine::gate::{Opened, Opener};
use crate::storage::duckdb::engine::location::{Catalog, Lake, Location};
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::engine::settings::{EngineSettings, LARGE_BUFFERS};
use crate::storage::duckdb::engine::spill_folder::SpillSpace;
use crate::storage::duckdb::engine::{extensions, files, repair, verified};
use crate::storage::duckdb::error::{self, OpenFailure};
use crate::storage::duckdb::functions;
use crate::storage::duckdb::schema;
use crate::storage::duckdb::sql::statement::literal;
use crate::storage::duckdb::transaction::read_transaction;

/// Opens the engine on a lake.
pub(crate) struct LakeOpener {
    lake: Lake,
    settings: EngineSettings,
    lock_timeout: Duration,
    spill: SpillSpace,
}

impl LakeOpener {
    /// Opens a lake whose statements wait for locks of other processes for `lock_timeout`.
    pub(crate) fn new(lake: &Lake, settings: &EngineSettings, lock_timeout: Duration) -> Self {
        Self {
            lake: lake.clone(),
            settings: settings.clone(),
            lock_timeout,
            spill: SpillSpace::elsewhere(),
        }
    }
}

impl Opener for LakeOpener {
    fn open(&self, mode: Mode) -> Result<Opened, OpenFailure> {
        if let Some(file) = self.lake.catalog_file() {
            files::check_file(file).map_err(OpenFailure::Other)?;
            repair::repair_if_killed(file, &self.settings, self.spill.path())?;
        }
        let shown = Location::Lake(self.lake.clone()).to_string();
        let connection = self.connect(mode)?;
        connection
            .execute_batch(&format!("SET {LARGE_BUFFERS} = true"))
            .map_err(|error| error::open_failure(&shown, error))?;
        // One transaction takes fewer round trips to the catalog.
        let (data_path, is_current) = read_transaction(&connection, "open the store", |connection| {
            Ok((
                data::data_path(connection)?,
                schema::refuse_newer(connection, &shown)?,
            ))
        })?;
        confine(&connection, &self.settings, &data_path)?;
        use_threads(&connection, &self.settings)?;
        Ok(Opened {
            connection,
            is_current,
            data_path: Some(data_path),
        })
    }

    fn enter(&self, connection: &Connection) -> ::duckdb::Result<()> {
        connection.execute_batch(&format!("USE {NAME}"))
    }
}

impl LakeOpener {
    /// Opens an engine on a lake that exists.
    fn connect(&self, mode: Mode) -> Result<Connection, OpenFailure> {
        let (lake, settings) = (&self.lake, &self.settings);
        let connection = engine(lake, settings, self.spill.path()).map_err(OpenFailure::Other)?;
        let access = match mode {
            Mode::Read if lake.catalog_file().is_some() => "READ_ONLY",
            _ => "CREATE_IF_NOT_EXISTS false",
        };
        attach(&connection, lake, settings, access, self.lock_timeout)?;
        Ok(connection)
    }
}

/// Retries a commit that lost a race, first without a wait and then with growing delays, for about 3 s.
///
/// The holder of the commit lock need not wait for others. By default the engine waits 100 ms first.
const RETRIES: &str =
    "SET ducklake_retry_wait_ms = 1; SET ducklake_retry_backoff = 1.3; SET ducklake_max_retry_count = 25";

/// Starts an engine that can attach a lake, with one thread.
///
/// Each of the many small queries of a catalog would be one thread's, for which the other one waits in a loop.
pub(crate) fn engine(lake: &Lake, settings: &EngineSettings, spill: Option<&Path>) -> Result<Connection> {
    let failed = |error| error::engine("start the engine", error);
    let folder = settings.lake.extensions.folder()?;
    let connection = settings
        .common_config(Config::default(), spill)
        .and_then(|config| config.threads(1))
        .and_then(|config| config.with("extension_directory", folder.display().to_string()))
        // What `extensions::load` loads was then verified before.
        .and_then(|config| match verified::is_closed_to_others(&folder) {
            true => config.allow_unsigned_extensions(),
            false => Ok(config),
        })
        .and_then(Connection::open_in_memory_with_flags)
        .map_err(failed)?;
    functions::register(&connection).map_err(failed)?;
    extensions::load(&connection, "ducklake", &settings.lake.extensions)?;
    connection.execute_batch(RETRIES).map_err(failed)?;
    if let Catalog::Postgres { password, .. } = &lake.catalog {
        extensions::load(&connection, "postgres_scanner", &settings.lake.extensions)?;
        // Without a password here, libpq looks for one itself.
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
    lake.data_path.as_deref().is_some_and(data::is_remote)
}

fn use_s3(connection: &Connection, settings: &EngineSettings) -> Result<()> {
    extensions::load(connection, "httpfs", &settings.lake.extensions)?;
    let made = connection.execute_batch(&settings.lake.s3.secret());
    made.map_err(|error| error::engine("use the credentials of the data", error))
}

pub(crate) fn attach(
    connection: &Connection,
    lake: &Lake,
    settings: &EngineSettings,
    access: &str,
    lock_timeout: Duration,
) -> Result<(), OpenFailure> {
    let mut options = access.to_owned();
    let place = match &lake.catalog {
        Catalog::File(path) => path.display().to_string(),
        Catalog::Postgres { connection: to, .. } => {
            options.push_str(", META_SECRET 'catalog'");
            format!("postgres:{}", with_timeouts(to, lock_timeout))
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
    // A location need not say that the data is remote, as the catalog records it.
    if let Err(error) = &attached
        && error::needs_httpfs(error)
        && !names_remote_data(lake)
    {
        use_s3(connection, settings).map_err(OpenFailure::Other)?;
        attached = connection.execute_batch(&sql);
    }
    attached.map_err(|error| error::open_failure(&Location::Lake(lake.clone()).to_string(), error))
}

/// Lets the engine use as many threads as the settings say, or one for each processor.
fn use_threads(connection: &Connection, settings: &EngineSettings) -> Result<()> {
    let sql = match settings.threads {
        Some(threads) => format!("SET threads = {threads}"),
        None => "RESET threads".to_owned(),
    };
    let set = connection.execute_batch(&sql);
    set.map_err(|error| error::engine("open the store", error))
}

/// Lets the engine use nothing but the lake's own files.
fn confine(connection: &Connection, settings: &EngineSettings, data_path: &str) -> Result<()> {
    if settings.external_access {
        return Ok(());
    }
    let sql = format!(
        "SET allowed_directories = [{}]; SET enable_external_access = false",
        literal(data_path)
    );
    let confined = connection.execute_batch(&sql);
    confined.map_err(|error| error::engine("open the store", error))
}
