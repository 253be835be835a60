//! The commands, a file each.

pub(crate) mod alerts;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod count;
pub(crate) mod export;
pub(crate) mod extensions;
pub(crate) mod fetch;
pub(crate) mod ingest;
pub(crate) mod intel;
pub(crate) mod maintain;
pub(crate) mod prune;
pub(crate) mod query;
pub(crate) mod rules;
pub(crate) mod show;
pub(crate) mod stats;

use std::io::{BufRead, IsTerminal as _};
use std::num::NonZero;
use std::time::{Duration, SystemTime};

use env_logger::WriteStyle;
use logstore::{DuckDbStore, Layers, Loaded, OpenOptions, S3Options, Settings};
use serde::de::DeserializeOwned;

use crate::args::{Args, Color, Command, Global, TimeLimit};
use crate::output::Output;
use crate::{Failure, Result, logging};

/// What every command gets.
pub(crate) struct Context {
    pub(crate) loaded: Loaded,
    pub(crate) output: Output,
    read_only: bool,
}

pub(crate) fn run(args: &Args) -> Result {
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        let text = "the clock of this machine is before 1970: set it, for logs are stored with the time";
        return Err(Failure::Failed(text.to_owned()));
    }
    let loaded = load_settings(&args.global)?;
    let color = match args.global.color {
        Color::Auto => WriteStyle::Auto,
        Color::Always => WriteStyle::Always,
        Color::Never => WriteStyle::Never,
    };
    logging::start(&loaded.settings.log, color)?;
    for variable in &loaded.unknown_variables {
        log::warn!("the variable {variable} is set, but there is no such setting");
    }
    let context = &mut Context {
        output: Output::new(&args.global, loaded.settings.time_zone),
        loaded,
        read_only: args.global.read_only,
    };
    match &args.command {
        Command::Ingest(args) => ingest::run(args, context),
        Command::Fetch(args) => fetch::run(args, context),
        Command::Count(args) => count::run(args, context),
        Command::Alerts(args) => alerts::run(args, context),
        Command::Intel(args) => intel::run(args, context),
        Command::Rules(args) => rules::run(args, context),
        Command::Query(args) => query::run(args, context),
        Command::Show(args) => show::run(args, context),
        Command::Stats(args) => stats::run(args, context),
        Command::Prune(args) => prune::run(args, context),
        Command::Maintain(args) => maintain::run(args, context),
        Command::Backup(args) => backup::run(args, context),
        Command::Copy(args) => copy::run(args, context),
        Command::Check(args) => check::run(args, context),
        Command::Export(args) => export::run(args, context),
        Command::Extensions(args) => extensions::run(args, context),
        Command::Config(args) => config::run(args, context),
        Command::Completions(args) => completions::run(args, context),
        Command::Man(args) => completions::run_man(args, context),
    }
}

fn load_settings(global: &Global) -> Result<Loaded> {
    let mut layers = Layers::new();
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

impl Context {
    pub(crate) fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    fn options(&self) -> OpenOptions {
        let settings = &self.loaded.settings.store;
        let mut options = DuckDbStore::options()
            .access(settings.access)
            .lock_timeout(settings.lock_timeout)
            .memory_limit(&settings.memory_limit)
            .read_only(self.read_only)
            .install_extensions(settings.install_extensions)
            .s3(settings.s3.clone().or(S3Options::from_environment()));
        if let Some(threads) = settings.threads {
            options = options.threads(threads);
        }
        if let Some(folder) = &settings.extension_directory {
            options = options.extension_directory(folder);
        }
        if let Some(password) = &settings.catalog_password {
            options = options.catalog_password(password.clone());
        }
        options
    }

    /// The store, which must be there.
    pub(crate) fn existing_store(&self) -> Result<DuckDbStore> {
        let options = self.options().create(false).open_at_first_use(true);
        Ok(options.open(&self.settings().database)?)
    }

    /// The same for a query that may take so long.
    pub(crate) fn existing_store_within(&self, time: &TimeLimit) -> Result<DuckDbStore> {
        let options = self.options().query_timeout(self.time(time));
        let options = options.create(false).open_at_first_use(true);
        Ok(options.open(&self.settings().database)?)
    }

    fn time(&self, given: &TimeLimit) -> Option<Duration> {
        given.timeout.or(self.settings().store.query_timeout)
    }

    /// The store, made if it is not there.
    pub(crate) fn store(&self) -> Result<DuckDbStore> {
        let options = self.options().open_at_first_use(true);
        Ok(options.open(&self.settings().database)?)
    }

    /// The store, made if it is not there, for one who reads and parses while it stores: the engine leaves a processor
    /// to that, unless it is told otherwise.
    pub(crate) fn store_beside_a_reader(&self) -> Result<DuckDbStore> {
        let mut options = self.options();
        if self.settings().store.threads.is_none() {
            let threads = u32::try_from(processors() - 1).unwrap_or(u32::MAX);
            options = options.threads(threads.max(1));
        }
        Ok(options.open(&self.settings().database)?)
    }

    /// The store, which must be there, with leave to write other files.
    pub(crate) fn exporting_store(&self, time: &TimeLimit) -> Result<DuckDbStore> {
        let options = self.options().query_timeout(self.time(time));
        let options = options
            .create(false)
            .external_access(true)
            .open_at_first_use(true);
        Ok(options.open(&self.settings().database)?)
    }
}

/// How many threads work at once; one, where the system does not say it.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// The JSON objects on standard input, one a line.
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
