//! The program's diagnostics, on standard error.

use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use env_logger::{Builder, Logger, WriteStyle};
use indicatif::ProgressBar;
use logstore::InvalidValue;
use logstore::config::{LogFormat, LogSettings};
use serde_json::{Map, Value};

use crate::output::note;

/// Starts the diagnostics.
pub(crate) fn start(settings: &LogSettings, color: WriteStyle) -> Result<(), InvalidValue> {
    IS_JSON.get_or_init(|| settings.format == LogFormat::Json);
    let mut filter = env_filter::Builder::new();
    filter.try_parse(&settings.level).map_err(|error| {
        InvalidValue::new(
            "log level",
            &settings.level,
            format!("use off, error, warn, info, debug or trace ({error})"),
        )
    })?;
    if !is_level_or_filter(&settings.level) {
        let reason = "use off, error, warn, info, debug or trace, or a filter such as logstore=debug";
        return Err(InvalidValue::new("log level", &settings.level, reason));
    }
    let mut builder = Builder::new();
    builder.parse_filters(&settings.level).write_style(color);
    match settings.format {
        LogFormat::Json => builder.format(|out, record| {
            let mut fields = Map::new();
            let time = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
            fields.insert("time".into(), time.into());
            fields.insert("level".into(), record.level().as_str().to_lowercase().into());
            fields.insert("target".into(), record.target().into());
            fields.insert("message".into(), record.args().to_string().into());
            // A visitor that only inserts cannot fail.
            record.key_values().visit(&mut KeyValues(&mut fields)).ok();
            writeln!(out, "{}", Value::from(fields))
        }),
        _ => builder.format(|out, record| {
            let style = out.default_level_style(record.level());
            let text = crate::printable::printable(&record.args().to_string()).into_owned();
            writeln!(
                out,
                "{style}{}{style:#}: {text}",
                record.level().as_str().to_lowercase()
            )
        }),
    };
    let logger = builder.build();
    let level = logger.filter();
    // Only a second start in one process could fail, and there is none.
    if log::set_boxed_logger(Box::new(AroundBar(logger))).is_ok() {
        log::set_max_level(level);
    }
    Ok(())
}

/// Holds the progress bar that is drawn on standard error, if one is.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn bar() -> MutexGuard<'static, Option<ProgressBar>> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws a progress bar until it is dropped. Diagnostics are written above the bar meanwhile.
pub(crate) struct Drawn;

impl Drawn {
    pub(crate) fn new(drawn: ProgressBar) -> Self {
        *bar() = Some(drawn);
        Self
    }

    /// Clears the bar: nothing else is drawn.
    pub(crate) fn clear() {
        if let Some(bar) = bar().take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        Self::clear();
    }
}

/// Takes the bar away while a record is written.
///
/// Otherwise the terminal would keep a copy of the bar above each record.
struct AroundBar(Logger);

impl log::Log for AroundBar {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.0.matches(record) {
            return;
        }
        match bar().as_ref() {
            Some(bar) => bar.suspend(|| self.0.log(record)),
            None => self.0.log(record),
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Returns whether the text is a level or a filter.
///
/// `env_filter` takes any other word for a module to be logged in full, which is never meant.
fn is_level_or_filter(level: &str) -> bool {
    level.contains(['=', ',']) || level.parse::<log::LevelFilter>().is_ok()
}

/// Says whether standard error is to hold JSON. Settings say so, or before they are read, the flag or the variable.
static IS_JSON: OnceLock<bool> = OnceLock::new();

pub(crate) fn is_json_asked_for() -> bool {
    const FLAG: &str = "--log-format";
    if let Some(is_json) = IS_JSON.get() {
        return *is_json;
    }
    let arguments: Vec<String> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let flag = arguments.iter().enumerate().rev().find_map(|(place, argument)| {
        match argument.strip_prefix(FLAG)? {
            "" => arguments.get(place + 1).map(String::as_str),
            value => value.strip_prefix('='),
        }
    });
    match flag {
        Some(format) => format == "json",
        None => std::env::var_os("LOGSTORE_LOG__FORMAT").is_some_and(|format| format == "json"),
    }
}

/// Prints the error that ends the program as the last line of its diagnostics.
pub(crate) fn print_json_error(text: &str) {
    // This holds also for a clock that is before 1970.
    let time = DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Micros, true);
    let line = serde_json::json!({ "time": time, "level": "error", "target": "logstore", "message": text });
    note(line);
}

struct KeyValues<'a>(&'a mut Map<String, Value>);

impl<'kvs> log::kv::VisitSource<'kvs> for KeyValues<'_> {
    fn visit_pair(
        &mut self,
        key: log::kv::Key<'kvs>,
        value: log::kv::Value<'kvs>,
    ) -> Result<(), log::kv::Error> {
        self.0
            .entry(key.as_str())
            .or_insert_with(|| value.to_string().into());
        Ok(())
    }
}
