//! Settings from defaults, files, the environment and flags, each with its origin.
//!
//! Later layers win. The layers are, from the first to the last:
//!
//! 1. the defaults
//! 2. `/etc/logstore/logstore.toml`
//! 3. `logstore/logstore.toml` in the user's configuration folder
//! 4. `logstore.toml` in the working folder
//! 5. variables such as `LOGSTORE_STORE__LOCK_TIMEOUT`
//! 6. flags
//!
//! A file may end in `.yaml` or `.yml` instead.

mod duration;
mod intel;
mod networks;
mod optional_duration;
mod options;
mod variables;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::providers::{Format as _, Serialized, Toml};
use figment::value::{Dict, Map, Value as FigmentValue};
use figment::{Figment, Metadata, Profile, Provider, Source};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::load::DEFAULT_BATCH_SIZE;
use crate::models::{ContinuationLines, DateOrder, Encoding, Secret, Zone};
use crate::storage::duckdb::{Access, DEFAULT_MEMORY_LIMIT, S3Options, without_password};
pub use intel::{HalfLifeSettings, IntelSettings};
use variables::Variable;
use yaml::Yaml;

/// Holds everything that can be set. [`Settings::default`] is the bottom layer.
///
/// ```
/// use logstore::Settings;
/// use logstore::config::SettingsLoader;
///
/// let loaded = SettingsLoader::new().without_environment().with_flag("store.lock_timeout", "30s").load()?;
/// assert_eq!(loaded.settings.store.lock_timeout.as_secs(), 30);
/// assert_eq!(loaded.get("store.access"), Some("shared".into()));
/// # Ok::<(), logstore::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// Names the store: a path, `:memory:`, or `ducklake:CATALOG?data_path=PATH`.
    pub database: String,
    /// Names the zone of times that are typed and shown: an IANA name or an offset.
    pub time_zone: Zone,
    /// Says how the store is used.
    pub store: StoreSettings,
    /// Says how logs are read from text.
    pub ingest: IngestSettings,
    /// Says how logs are polled.
    pub fetch: FetchSettings,
    /// Says how rules are applied.
    pub detect: DetectSettings,
    /// Says how logs are compared with threat intelligence.
    pub intel: IntelSettings,
    /// Says how diagnostics are written.
    pub log: LogSettings,
}

/// Says how the store is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreSettings {
    /// Says whether other processes take turns with this one.
    pub access: Access,
    /// Limits the wait for other processes, such as `10s`.
    #[serde(with = "duration")]
    pub lock_timeout: Duration,
    /// Limits the run time of a query, such as `1m`; `None` means no limit.
    #[serde(with = "optional_duration")]
    pub query_timeout: Option<Duration>,
    /// Limits the memory of the engine, such as `1GiB`.
    pub memory_limit: String,
    /// Counts the threads of the engine. `None` means one for each processor, one fewer in an ingest, and one in a detector.
    pub threads: Option<u32>,
    /// Names the folder of the engine's extensions, which lakes need. `None` means `~/.duckdb/extensions`.
    pub extension_directory: Option<PathBuf>,
    /// Says whether a missing extension may be fetched from the network.
    pub install_extensions: bool,
    /// Holds the password of a lake's catalog; `None` lets libpq find it.
    pub catalog_password: Option<Secret>,
    /// Says how to reach the data of a lake in S3. Values that are not set are read from the variables of the AWS
    /// tools.
    pub s3: S3Options,
}

/// Says how logs are read from text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IngestSettings {
    /// Names the character encoding of text, such as `windows-1252`. `None` means UTF-8, or UTF-16 where the first
    /// bytes of a source tell it.
    pub encoding: Option<Encoding>,
    /// Names the field, or several between commas, whose value makes the id of a log, such as `eventID`.
    pub id_field: Option<String>,
    /// Says whether lines that continue an event are joined with it: `join` or `keep`.
    pub continuation_lines: ContinuationLines,
    /// Says how long an event of several lines at the end of a followed file waits for more of them, such as `1s`.
    #[serde(with = "duration")]
    pub multiline_timeout: Duration,
    /// Names the zone of times that name none: an IANA name or an offset.
    pub zone: Zone,
    /// Says whether day or month comes first in a date of numbers: `day_first`, `month_first` or `auto`. `auto` goes by
    /// the other dates of a file, else by the separators.
    pub date_order: DateOrder,
    /// Names the networks whose hosts are proxies. In a list of addresses, the client is the last address outside these
    /// networks. `None` means the private, loopback, link-local and unique local networks.
    #[serde(deserialize_with = "networks::deserialize")]
    pub trusted_proxies: Option<Vec<IpNet>>,
    /// Names the folder of definitions of formats, which are known besides those that are built in.
    pub formats: Option<PathBuf>,
    /// Counts the logs of one transaction. The first transaction of an ingest holds half as many.
    pub batch_size: usize,
}

/// Says how logs are polled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FetchSettings {
    /// Holds the time between two polls, such as `1s`.
    #[serde(with = "duration")]
    pub interval: Duration,
}

/// Says how rules are applied to logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DetectSettings {
    /// Holds the length of the windows of event time in which matches that are alike are counted in one alert.
    #[serde(with = "duration")]
    pub dedup: Duration,
    /// Holds how late a log may come. Upkeep deletes hits that are older than this.
    #[serde(with = "duration")]
    pub lateness: Duration,
    /// Names a file in TOML that says which logs feed which log sources of rules, besides what is built in.
    pub routes: Option<PathBuf>,
    /// Says whether event 4688 of the security log feeds rules for `process_creation`.
    pub security_4688: bool,
    /// Holds the values of placeholders in rules, such as those of `%Servers%` under `Servers`.
    pub placeholders: BTreeMap<String, Vec<String>>,
}

impl DetectSettings {
    /// Returns the values of a placeholder, by its name without the signs.
    pub fn placeholder(&self, name: &str) -> Option<Vec<String>> {
        self.placeholders.get(name).cloned()
    }
}

/// Says how diagnostics are written to standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LogSettings {
    /// Holds the log level: `off`, `error`, `warn`, `info`, `debug` or `trace`, or levels by module.
    pub level: String,
    /// Holds the format of diagnostics.
    pub format: LogFormat,
}

/// Names a format of diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogFormat {
    /// Writes text for people.
    Text,
    /// Writes one JSON object a line.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            database: "logstore.duckdb".into(),
            time_zone: Zone::UTC,
            store: StoreSettings {
                access: Access::Shared,
                lock_timeout: Duration::from_secs(10),
                query_timeout: None,
                memory_limit: DEFAULT_MEMORY_LIMIT.into(),
                threads: None,
                extension_directory: None,
                install_extensions: false,
                catalog_password: None,
                s3: S3Options::default(),
            },
            ingest: IngestSettings {
                encoding: None,
                id_field: None,
                continuation_lines: ContinuationLines::Join,
                multiline_timeout: Duration::from_secs(1),
                zone: Zone::UTC,
                date_order: DateOrder::Auto,
                trusted_proxies: None,
                formats: None,
                batch_size: DEFAULT_BATCH_SIZE,
            },
            fetch: FetchSettings {
                interval: Duration::from_secs(1),
            },
            detect: DetectSettings {
                dedup: Duration::from_secs(3600),
                lateness: Duration::from_secs(7 * 24 * 3600),
                routes: None,
                security_4688: false,
                placeholders: BTreeMap::new(),
            },
            intel: IntelSettings::default(),
            log: LogSettings {
                level: "warn".into(),
                format: LogFormat::Text,
            },
        }
    }
}

impl Settings {
    /// Returns the key of a value that its type allows but that cannot be used, and why.
    fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.database.is_empty() {
            return Some(("database", "name a file, or :memory:"));
        }
        if self.ingest.batch_size == 0 {
            return Some(("ingest.batch_size", "a batch holds at least one log"));
        }
        if self.detect.dedup < Duration::from_secs(1) {
            return Some(("detect.dedup", "use at least 1s"));
        }
        if self.store.threads == Some(0) {
            return Some(("store.threads", "the engine needs at least one"));
        }
        if !is_size(&self.store.memory_limit) {
            return Some((
                "store.memory_limit",
                "use a number and a unit, such as 512MiB or 1GB",
            ));
        }
        None
    }
}

fn is_size(text: &str) -> bool {
    const UNITS: [&str; 8] = ["KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"];
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    number.parse::<f64>().is_ok() && UNITS.contains(&unit.trim_start())
}

const PREFIX: &str = "LOGSTORE_";

/// Loads settings from the usual files, the environment and flags.
#[derive(Debug, Clone)]
#[must_use]
pub struct SettingsLoader {
    file: Option<PathBuf>,
    reads_environment: bool,
    flags: Vec<(String, FigmentValue)>,
}

impl Default for SettingsLoader {
    fn default() -> Self {
        Self {
            file: None,
            reads_environment: true,
            flags: Vec::new(),
        }
    }
}

impl SettingsLoader {
    /// Makes a loader that reads the usual files and the environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this file instead of the usual ones.
    pub fn with_file(self, file: impl Into<PathBuf>) -> Self {
        Self {
            file: Some(file.into()),
            ..self
        }
    }

    /// Reads neither the usual files nor the environment.
    pub fn without_environment(self) -> Self {
        Self {
            reads_environment: false,
            ..self
        }
    }

    /// Sets a key, whatever files and environment say.
    pub fn with_flag(mut self, key: impl Into<String>, value: impl Into<FigmentValue>) -> Self {
        self.flags.push((key.into(), value.into()));
        self
    }

    /// Reads all layers.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or a key or its value is not valid; the error names it and its origin.
    pub fn load(self) -> Result<LoadedSettings, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Settings::default()));
        for file in self.files()? {
            figment = match file.extension().and_then(|extension| extension.to_str()) {
                Some("yaml" | "yml") => figment.merge(Yaml::file_exact(&file)),
                _ => figment.merge(Toml::file_exact(&file)),
            };
        }
        let mut unknown_variables = Vec::new();
        if self.reads_environment {
            let known = known_variables();
            let (set, unknown): (Vec<String>, Vec<String>) = std::env::vars_os()
                .filter_map(|(name, _)| name.into_string().ok())
                .filter(|name| name.starts_with(PREFIX))
                .partition(|name| known.contains(name));
            unknown_variables = unknown;
            for name in set {
                figment = figment.merge(Variable(name));
            }
        }
        for (key, value) in self.flags {
            figment = figment.merge(Flag { key, value });
        }
        let settings: Settings = figment
            .extract()
            .map_err(|error| ConfigError::of_figment(&error, &figment))?;
        if let Some((key, reason)) = settings.problem() {
            let value = figment
                .find_value(key)
                .map(|value| text_of(&value))
                .unwrap_or_default();
            return Err(ConfigError {
                key: key.to_owned(),
                value,
                origin: origin(&figment, key),
                reason: reason.to_owned(),
            });
        }
        Ok(LoadedSettings {
            settings,
            unknown_variables,
            figment,
        })
    }

    fn files(&self) -> Result<Vec<PathBuf>, ConfigError> {
        if let Some(file) = &self.file {
            return match std::fs::File::open(file) {
                Ok(_) => Ok(vec![file.clone()]),
                Err(error) => Err(ConfigError {
                    key: String::new(),
                    value: String::new(),
                    origin: file.display().to_string(),
                    reason: format!("cannot read it: {error}"),
                }),
            };
        }
        if !self.reads_environment {
            return Ok(Vec::new());
        }
        let user = std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
            .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".config")));
        let folders = [
            Some(PathBuf::from("/etc/logstore")),
            user.map(|folder| folder.join("logstore")),
            Some(PathBuf::new()),
        ];
        let candidates = folders.into_iter().flatten().flat_map(|folder| {
            ["logstore.toml", "logstore.yaml", "logstore.yml"].map(|name| folder.join(name))
        });
        Ok(candidates.filter(|file| file.is_file()).collect())
    }
}

/// Returns the variable of a setting: `LOGSTORE_STORE__ACCESS` for `store.access`.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

fn known_variables() -> Vec<String> {
    known_keys().iter().map(|key| variable(key)).collect()
}

/// Returns the dotted paths of all settings.
fn known_keys() -> Vec<String> {
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    let mut keys = Vec::new();
    leaves("", &defaults, &mut |key, _| keys.push(key.to_owned()));
    keys
}

/// Names the settings that are never printed.
const SECRETS: [&str; 3] = [
    "store.catalog_password",
    "store.s3.secret_access_key",
    "store.s3.session_token",
];

/// Returns whether the value at a path may be shown. An unknown setting, or a whole section, may hold a password.
fn may_be_shown(key: &str) -> bool {
    !SECRETS.contains(&key) && known_keys().iter().any(|known| known == key)
}

fn leaves(prefix: &str, value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    let Value::Object(map) = value else {
        return visit(prefix, value);
    };
    for (name, inner) in map {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        leaves(&key, inner, visit);
    }
}

/// Holds a setting from the command line.
struct Flag {
    key: String,
    value: FigmentValue,
}

const FLAG: &str = "flag";

impl Provider for Flag {
    fn metadata(&self) -> Metadata {
        Metadata::named(FLAG)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = figment::util::nest(&self.key, self.value.clone());
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}

/// Holds settings with their origins.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadedSettings {
    /// Holds the settings.
    pub settings: Settings,
    /// Names the variables that look like settings but are none.
    pub unknown_variables: Vec<String>,
    figment: Figment,
}

/// Holds one setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Setting {
    /// Names the setting by its dotted path.
    pub key: String,
    /// Holds its value.
    pub value: Value,
    /// Names its origin: `default`, a file, a variable, or `flag`.
    pub origin: String,
}

impl LoadedSettings {
    /// Returns the value at a dotted path, such as `store.access`; `None` if there is no such setting.
    pub fn get(&self, key: &str) -> Option<Value> {
        let pointer = format!("/{}", key.replace('.', "/"));
        self.shown().pointer(&pointer).cloned()
    }

    /// Returns the settings without passwords.
    fn shown(&self) -> Value {
        let shown = Settings {
            database: without_password(&self.settings.database),
            ..self.settings.clone()
        };
        serde_json::to_value(&shown).unwrap_or_default()
    }

    /// Returns every setting, in the order in which they are documented.
    pub fn entries(&self) -> Vec<Setting> {
        let values = self.shown();
        let mut entries = Vec::new();
        leaves("", &values, &mut |key, value| {
            entries.push(Setting {
                key: key.to_owned(),
                value: value.clone(),
                origin: origin(&self.figment, key),
            });
        });
        entries
    }
}

fn origin(figment: &Figment, key: &str) -> String {
    figment
        .find_metadata(key)
        .map_or_else(|| "default".to_owned(), |metadata| origin_of(metadata, key))
}

fn origin_of(metadata: &Metadata, key: &str) -> String {
    match &metadata.source {
        _ if metadata.name == FLAG => FLAG.to_owned(),
        Some(Source::File(path)) => path.display().to_string(),
        Some(Source::Code(_)) => "default".to_owned(),
        _ if metadata.name.contains("environment") => variable(key),
        _ => "default".to_owned(),
    }
}

/// Names the place where a file breaks its format. The message of the parser is not shown: it may quote a password.
fn place_in_file(message: &str) -> String {
    let numbers = |after: &str| {
        let (_, rest) = message.split_once(after)?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<u64>().ok()
    };
    let problem = "it is not a valid settings file";
    match (numbers("line "), numbers("column ")) {
        (Some(line), Some(column)) => format!("{problem}: look at line {line}, column {column}"),
        _ => format!("{problem}: settings are written as name = value in TOML, name: value in YAML"),
    }
}

fn text_of(value: &FigmentValue) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// Describes a setting that is not valid, or a file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use {}{origin}: {reason}", self.setting())]
#[non_exhaustive]
pub struct ConfigError {
    /// Holds the dotted path of the setting, which is empty if the file as a whole is meant.
    pub key: String,
    /// Holds its value, as far as it is known and may be shown.
    pub value: String,
    /// Names the origin of the setting: a file, a variable, or `flag`.
    pub origin: String,
    /// Says why it cannot be used.
    pub reason: String,
}

impl ConfigError {
    /// Returns `setting "key" = "value" from `, as far as that is known.
    fn setting(&self) -> String {
        match (self.key.as_str(), self.value.as_str()) {
            ("", _) => "settings from ".to_owned(),
            (key, "") => format!("setting {key:?} from "),
            (key, value) => format!("setting {key:?} = {value:?} from "),
        }
    }

    fn of_figment(error: &figment::Error, figment: &Figment) -> Self {
        use figment::error::Kind;
        let key = error.path.join(".");
        let origin = error
            .metadata
            .as_ref()
            .map_or_else(|| "default".to_owned(), |metadata| origin_of(metadata, &key));
        let value = match &error.kind {
            Kind::InvalidType(actual, _) | Kind::InvalidValue(actual, _) => match actual {
                figment::error::Actual::Str(text) => text.clone(),
                other => other.to_string(),
            },
            Kind::UnknownVariant(variant, _) => variant.clone(),
            _ => figment
                .find_value(&key)
                .ok()
                .filter(|value| value.as_dict().is_none())
                .map(|value| text_of(&value))
                .unwrap_or_default(),
        };
        let (key, reason) = match &error.kind {
            Kind::Message(text) if key.is_empty() => (key, place_in_file(text)),
            Kind::UnknownField(field, known) => {
                let reason = format!("there is no such setting; here are {}", known.join(", "));
                // The path of an error ends with the field, but not in every case.
                match error.path.last().is_some_and(|last| last == field) || key.is_empty() {
                    true => (if key.is_empty() { field.clone() } else { key }, reason),
                    false => (format!("{key}.{field}"), reason),
                }
            }
            _ if !may_be_shown(&key) && !key.is_empty() => {
                let reason = match SECRETS.contains(&key.as_str()) {
                    true => "it is not text: put quotes around it",
                    false => "it is a section with settings of its own",
                };
                (key, reason.to_owned())
            }
            kind => (key, kind.to_string()),
        };
        let value = Some(value).filter(|_| may_be_shown(&key)).unwrap_or_default();
        Self {
            key,
            value: without_password(&value),
            origin,
            reason,
        }
    }
}
