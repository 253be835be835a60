//! Opens the engine on a file, or in memory.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ::duckdb::{AccessMode, Config, Connection};

use crate::storage::Result;
use crate::storage::duckdb::engine::gate::{Opened, Opener};
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::engine::settings::EngineSettings;
use crate::storage::duckdb::engine::spill_folder::SpillSpace;
use crate::storage::duckdb::engine::{files, repair};
use crate::storage::duckdb::error::{self, OpenFailure};
use crate::storage::duckdb::functions;
use crate::storage::duckdb::logs::long_texts;
use crate::storage::duckdb::schema;
use crate::storage::duckdb::sql::statement::{identifier, literal};
use crate::sync::lock;

/// Limits how long a file may have been open for its engine to be kept.
///
/// An engine that worked for longer may have allocated much, which goes back to the system only when it is closed. To
/// start another takes about a tenth of this time.
const LONGEST_KEPT: Duration = Duration::from_millis(100);

/// Asks whether the engine's settings are locked.
const IS_LOCKED: &str = "SELECT current_setting('lock_configuration') :: BOOLEAN";

/// Opens the engine on a store in a file.
///
/// The engine runs on between short operations and attaches the file for each. To start it takes longer than to open
/// the file, most of it for the functions that it registers.
pub(crate) struct FileOpener {
    path: PathBuf,
    /// Names the file among the databases of the engine.
    name: String,
    settings: EngineSettings,
    /// Says whether opening the file creates it.
    is_new: bool,
    /// Keeps the engine between operations.
    running: Mutex<Option<Running>>,
    /// It is dropped last, as the engine writes to it.
    spill: SpillSpace,
}

struct Running {
    engine: Connection,
    /// Says when the file was opened.
    since: Instant,
}

impl FileOpener {
    /// Opens a file that exists.
    pub(crate) fn new(path: &Path, settings: &EngineSettings) -> Self {
        Self {
            path: path.to_owned(),
            name: identifier(&name_of(path)),
            settings: settings.clone(),
            is_new: false,
            running: Mutex::default(),
            spill: SpillSpace::beside(path),
        }
    }

    /// Opens a file that does not exist yet, which creates it.
    pub(crate) fn of_new_file(path: &Path, settings: &EngineSettings) -> Self {
        Self {
            is_new: true,
            ..Self::new(path, settings)
        }
    }

    /// Returns a connection to the engine that runs, or to a new one.
    fn connect(&self) -> ::duckdb::Result<Connection> {
        let since = Instant::now();
        let mut running = lock(&self.running);
        // It is sound: the last operation could detach the file.
        let engine = match running.take() {
            Some(kept) => kept.engine,
            None => {
                let config = self.settings.config(AccessMode::Automatic, self.spill.path())?;
                // It is confined when it has opened the file.
                start(config.enable_external_access(true)?)?
            }
        };
        let connection = engine.try_clone()?;
        *running = Some(Running { engine, since });
        Ok(connection)
    }

    fn attach(&self, connection: &Connection, mode: Mode) -> ::duckdb::Result<()> {
        let access = match mode {
            Mode::Read => "READ_ONLY",
            Mode::Write => "READ_WRITE",
        };
        let path = literal(&self.path.display().to_string());
        connection.execute_batch(&format!("ATTACH {path} AS {} (TYPE duckdb, {access})", self.name))?;
        self.enter(connection)?;
        if !self.settings.external_access {
            // A confined engine may still open what it had open.
            connection.execute_batch("SET enable_external_access = false")?;
        }
        if mode == Mode::Write {
            long_texts::keep_apart(connection, long_texts::longest(connection));
        }
        Ok(())
    }

    /// Detaches the file, so that its engine can be kept. Returns false if it has to be closed.
    fn detach(&self, connection: &Connection) -> bool {
        let is_long = |running: &Running| running.since.elapsed() > LONGEST_KEPT;
        if lock(&self.running).as_ref().is_none_or(is_long) {
            return false;
        }
        // A caller's own SQL locks the settings, which the next operation may need to change.
        let is_locked = connection.query_row(IS_LOCKED, [], |row| row.get(0));
        let detached = connection.execute_batch(&format!("USE {MEMORY}; DETACH {}", self.name));
        matches!((is_locked, detached), (Ok(false), Ok(())))
    }

    /// Lets the engine close the file with its last connection.
    fn stop(&self) {
        *lock(&self.running) = None;
    }
}

impl Opener for FileOpener {
    fn open(&self, mode: Mode) -> Result<Opened, OpenFailure> {
        if !self.is_new {
            files::check_file(&self.path).map_err(OpenFailure::Other)?;
        }
        repair::repair_if_killed(&self.path, &self.settings, self.spill.path())?;
        let shown = self.path.display().to_string();
        let attached = self.connect().and_then(|connection| {
            self.attach(&connection, mode)?;
            Ok(connection)
        });
        let opened = attached
            .map_err(|error| error::open_failure(&shown, error))
            .and_then(|connection| opened(connection, &shown));
        opened.inspect_err(|_| self.stop())
    }

    fn enter(&self, connection: &Connection) -> ::duckdb::Result<()> {
        connection.execute_batch(&format!("USE {}", self.name))
    }

    fn close(&self, connection: Connection) {
        if !self.detach(&connection) {
            self.stop();
        }
    }
}

/// Names the engine's own database, which is in memory and stays empty.
const MEMORY: &str = "memory";

/// Returns the name that the engine itself would give a file.
fn name_of(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let name = file.split('.').next().unwrap_or_default();
    match name.to_ascii_lowercase().as_str() {
        "" | MEMORY | "main" | "system" | "temp" | "information_schema" | "pg_catalog" => {
            format!("{name}_db")
        }
        _ => name.to_owned(),
    }
}

/// Opens the engine on a new store in memory.
pub(crate) struct MemoryOpener {
    settings: EngineSettings,
    spill: SpillSpace,
}

impl MemoryOpener {
    pub(crate) fn new(settings: &EngineSettings) -> Self {
        Self {
            settings: settings.clone(),
            spill: SpillSpace::elsewhere(),
        }
    }
}

impl Opener for MemoryOpener {
    fn open(&self, _: Mode) -> Result<Opened, OpenFailure> {
        const SHOWN: &str = ":memory:";
        let config = self.settings.config(AccessMode::Automatic, self.spill.path());
        let started = config.and_then(start);
        opened(started.map_err(|error| error::open_failure(SHOWN, error))?, SHOWN)
    }

    fn enter(&self, _: &Connection) -> ::duckdb::Result<()> {
        Ok(())
    }
}

/// Starts an engine with the functions of this store, without a file.
fn start(config: Config) -> ::duckdb::Result<Connection> {
    let connection = Connection::open_in_memory_with_flags(config)?;
    functions::register(&connection)?;
    Ok(connection)
}

fn opened(connection: Connection, shown: &str) -> Result<Opened, OpenFailure> {
    Ok(Opened {
        is_current: schema::refuse_newer(&connection, shown).map_err(OpenFailure::Other)?,
        connection,
        data_path: None,
    })
}
