//! The surroundings of a command: settings, the store that they name, and standard output.

use std::io::{BufRead, IsTerminal as _};
use std::num::NonZero;
use std::time::Duration;

use env_logger::WriteStyle;
use logstore::config::{LoadedSettings, SettingsLoader};
use logstore::{DuckDbStore, OpenOptions, Settings};
use serde::de::DeserializeOwned;

use crate::flags::{Color, Global, TimeLimit};
use crate::output::Output;
use crate::{Failure, Result, logging};

/// Holds the settings, the options of the store, and the output of one command.
pub(crate) struct Context {
    pub(crate) loaded: LoadedSettings,
    pub(crate) output: Output,
    read_only: bool,
}

impl Context {
    /// Loads the settings and starts the diagnostics.
    pub(crate) fn new(global: &Global) -> Result<Self> {
        let loaded = load_settings(global)?;
        let color = match global.color {
            Color::Auto => WriteStyle::Auto,
            Color::Always => WriteStyle::Always,
            Color::Never => WriteStyle::Never,
        };
        logging::start(&loaded.settings.log, color)?;
        for variable in &loaded.unknown_variables {
            log::warn!("the variable {variable} is set, but there is no such setting");
        }
        Ok(Self {
            output: Output::new(global, loaded.settings.time_zone),
            loaded,
            read_only: global.read_only,
        })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// Returns the options to open a store with. Only the commands that query logs limit the time of a query.
    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions::from(&self.settings().store)
            .query_timeout(None)
            .read_only(self.read_only)
    }

    /// Opens the store, which must exist.
    pub(crate) fn existing_store(&self) -> Result<DuckDbStore> {
        let options = self.options().create(false).open_at_first_use(true);
        Ok(options.open(&self.settings().database)?)
    }

    /// Opens the store, which must exist, for a detector.
    ///
    /// The engine has one thread, unless the settings say otherwise. It reads a batch while the last one is looked at. A
    /// second thread would mostly wait in a loop: with it, detection takes half as much processor time again.
    pub(crate) fn store_to_detect(&self) -> Result<DuckDbStore> {
        let threads = self.settings().store.threads;
        let options = self.options().threads(threads.unwrap_or(1));
        let options = options.create(false).open_at_first_use(true);
        Ok(options.open(&self.settings().database)?)
    }

    /// Opens the store, which must exist, for queries that may take this long.
    pub(crate) fn existing_store_within(&self, time: &TimeLimit) -> Result<DuckDbStore> {
        let options = self.options().query_timeout(self.time(time));
        let options = options.create(false).open_at_first_use(true);
        Ok(options.open(&self.settings().database)?)
    }

    fn time(&self, given: &TimeLimit) -> Option<Duration> {
        given.timeout.or(self.settings().store.query_timeout)
    }

    /// Opens the store, and creates it if it does not exist.
    pub(crate) fn store(&self) -> Result<DuckDbStore> {
        let options = self.options().open_at_first_use(true);
        Ok(options.open(&self.settings().database)?)
    }

    /// Opens the store for an ingest, and creates it if it does not exist.
    ///
    /// The engine leaves a processor to reading and parsing, unless the settings say how many threads it has.
    pub(crate) fn store_to_load(&self) -> Result<DuckDbStore> {
        let mut options = self.options();
        if self.settings().store.threads.is_none() {
            let threads = u32::try_from(processors() - 1).unwrap_or(u32::MAX);
            options = options.threads(threads.max(1));
        }
        Ok(options.open(&self.settings().database)?)
    }

    /// Opens the store, which must exist, and lets it write other files.
    pub(crate) fn exporting_store(&self, time: &TimeLimit) -> Result<DuckDbStore> {
        let options = self.options().query_timeout(self.time(time));
        let options = options
            .create(false)
            .external_access(true)
            .open_at_first_use(true);
        Ok(options.open(&self.settings().database)?)
    }
}

fn load_settings(global: &Global) -> Result<LoadedSettings> {
    let mut layers = SettingsLoader::new();
    if let Some(file) = &global.config {
        layers = layers.with_file(file);
    }
    let flags = [
        ("database", &global.database),
        ("time_zone", &global.time_zone),
        ("store.access", &global.access),
        ("store.lock_timeout", &global.lock_timeout),
        ("log.level", &global.log_level),
        ("log.format", &global.log_format),
    ];
    for (key, value) in flags {
        if let Some(value) = value {
            layers = layers.with_flag(key, value.as_str());
        }
    }
    Ok(layers.load()?)
}

/// Returns how many threads run at the same time; one, if the system does not say.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Reads JSON objects from standard input, one a line.
pub(crate) fn objects_on_stdin<T: DeserializeOwned>(what: &str) -> Result<Vec<T>> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Failure::Usage(format!(
            "nothing to add: give flags (see --help), or {what} as JSON lines on standard input"
        )));
    }
    let mut objects = Vec::new();
    for (index, line) in stdin.lock().lines().enumerate() {
        let failed = |error: String| {
            Failure::Usage(format!(
                "cannot read {what} from line {} of standard input: {error}",
                index + 1
            ))
        };
        let line = line.map_err(|error| failed(error.to_string()))?;
        if !line.trim().is_empty() {
            objects.push(serde_json::from_str(&line).map_err(|error| failed(error.to_string()))?);
        }
    }
    Ok(objects)
}
