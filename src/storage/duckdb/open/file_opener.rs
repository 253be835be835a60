//! Opens the engine on a file, or in memory.

use std::path::{Path, PathBuf};

use ::duckdb::{AccessMode, Connection};

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

/// Opens the engine on a store in a file.
pub(crate) struct FileOpener {
    path: PathBuf,
    settings: EngineSettings,
    spill: SpillSpace,
    /// Says whether opening the file creates it.
    is_new: bool,
}

impl FileOpener {
    /// Opens a file that exists.
    pub(crate) fn new(path: &Path, settings: &EngineSettings) -> Self {
        Self {
            path: path.to_owned(),
            settings: settings.clone(),
            spill: SpillSpace::beside(path),
            is_new: false,
        }
    }

    /// Opens a file that does not exist yet, which creates it.
    pub(crate) fn of_new_file(path: &Path, settings: &EngineSettings) -> Self {
        Self {
            is_new: true,
            ..Self::new(path, settings)
        }
    }
}

impl Opener for FileOpener {
    fn open(&self, mode: Mode) -> Result<Opened, OpenFailure> {
        if !self.is_new {
            files::check_file(&self.path).map_err(OpenFailure::Other)?;
        }
        repair::repair_if_killed(&self.path, &self.settings, self.spill.path())?;
        let access = match mode {
            Mode::Read => AccessMode::ReadOnly,
            Mode::Write => AccessMode::ReadWrite,
        };
        start(&self.path, access, &self.settings, &self.spill)
    }

    fn enter(&self, _: &Connection) -> ::duckdb::Result<()> {
        Ok(())
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
        start(
            Path::new(":memory:"),
            AccessMode::Automatic,
            &self.settings,
            &self.spill,
        )
    }

    fn enter(&self, _: &Connection) -> ::duckdb::Result<()> {
        Ok(())
    }
}

fn start(
    path: &Path,
    access: AccessMode,
    settings: &EngineSettings,
    spill: &SpillSpace,
) -> Result<Opened, OpenFailure> {
    let writes = matches!(access, AccessMode::ReadWrite);
    let shown = path.display().to_string();
    let config = settings.config(access, spill.path());
    let opened = config.and_then(|config| {
        let connection = Connection::open_with_flags(path, config)?;
        functions::register(&connection)?;
        if writes {
            long_texts::keep_apart(&connection, long_texts::longest(&connection));
        }
        Ok(connection)
    });
    let connection = opened.map_err(|error| error::open_failure(&shown, error))?;
    let is_current = schema::refuse_newer(&connection, &shown).map_err(OpenFailure::Other)?;
    Ok(Opened {
        connection,
        is_current,
        data_path: None,
    })
}
