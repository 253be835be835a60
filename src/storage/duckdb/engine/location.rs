//! Locations: parses the text that names the place of a store.

use std::fmt;
use std::path::{Path, PathBuf};

use super::conninfo::{without_password_of_parameters, without_password_of_uri};
use super::files::canonical;
use crate::models::Secret;
use crate::storage::Result;
use crate::storage::duckdb::error;

/// Describes the place of a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Location {
    Memory,
    File(PathBuf),
    Lake(Lake),
}

/// Describes the catalog of a lake, and the place of its data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Lake {
    pub(crate) catalog: Catalog,
    /// Names the place of data files: a folder, or a place such as `s3://bucket/prefix`. The catalog records it.
    pub(crate) data_path: Option<String>,
}

/// Describes the database that knows the tables and files of a lake.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Catalog {
    /// Uses a file of the engine's, which one process at a time can open.
    File(PathBuf),
    Postgres {
        /// Holds the connection for libpq, without the password.
        connection: String,
        password: Option<Secret>,
    },
}

const MEMORY: &str = ":memory:";
const LAKE: &str = "ducklake:";
const POSTGRES: &str = "postgres:";
const DATA_PATH: [&str; 2] = ["?data_path=", "&data_path="];

impl Location {
    /// Takes a location apart: a path, `:memory:`, or `ducklake:CATALOG?data_path=PATH`.
    pub(crate) fn parse(location: &Path) -> Result<Self> {
        match location.to_str() {
            Some(MEMORY) => Ok(Self::Memory),
            Some(text) => match (text.strip_prefix(LAKE), server_scheme(text)) {
                (Some(lake), _) => Lake::parse(lake).map(Self::Lake),
                // The rest may hold a password.
                (None, Some(scheme)) => Err(error::not_a_store(
                    format!("{scheme}..."),
                    "it is not a file: a lake is ducklake:postgres://USER@HOST/DATABASE?data_path=PLACE, where the \
                     place may be a folder or s3://BUCKET/PREFIX",
                )),
                (None, None) => {
                    refuse_secrets(text)?;
                    Ok(Self::File(location.to_owned()))
                }
            },
            None => Ok(Self::File(location.to_owned())),
        }
    }

    /// Returns the same place with canonical paths.
    pub(crate) fn canonical(self) -> Result<Self> {
        Ok(match self {
            Self::Memory => Self::Memory,
            Self::File(path) => Self::File(canonical(&path)?),
            Self::Lake(lake) => Self::Lake(lake.canonical()?),
        })
    }

    /// Returns whether several processes may write at the same time.
    pub(crate) fn has_many_writers(&self) -> bool {
        self.lake().is_some_and(|lake| lake.catalog_file().is_none())
    }

    /// Returns the file that the engine locks while it has the store open.
    pub(crate) fn locked_file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Lake(lake) => lake.catalog_file(),
            Self::Memory => None,
        }
    }

    pub(crate) fn lake(&self) -> Option<&Lake> {
        match self {
            Self::Lake(lake) => Some(lake),
            _ => None,
        }
    }
}

/// Writes the location as the caller gave it, but without a password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str(MEMORY),
            Self::File(path) => path.display().fmt(f),
            Self::Lake(lake) => write!(f, "{LAKE}{}", lake.catalog),
        }
    }
}

impl Lake {
    fn parse(text: &str) -> Result<Self> {
        let start = DATA_PATH.iter().filter_map(|mark| text.rfind(mark)).max();
        let (catalog, data_path) = match start {
            Some(start) => (&text[..start], Some(&text[start + DATA_PATH[0].len()..])),
            None => (text, None),
        };
        let catalog = Catalog::parse(catalog)?;
        let data_path = match data_path {
            Some("") => {
                return Err(error::not_a_store(
                    format!("{LAKE}{catalog}"),
                    "its data path is empty",
                ));
            }
            place => place.map(str::to_owned),
        };
        Ok(Self { catalog, data_path })
    }

    /// Returns the same lake with canonical paths.
    pub(crate) fn canonical(self) -> Result<Self> {
        let catalog = match self.catalog {
            Catalog::File(path) => Catalog::File(canonical(&path)?),
            postgres @ Catalog::Postgres { .. } => postgres,
        };
        let data_path = match self.data_path {
            // The catalog records it for processes in other folders.
            Some(folder) if !folder.contains("://") => {
                Some(canonical(Path::new(&folder))?.display().to_string())
            }
            place => place,
        };
        Ok(Self { catalog, data_path })
    }

    pub(crate) fn catalog_file(&self) -> Option<&Path> {
        match &self.catalog {
            Catalog::File(path) => Some(path),
            Catalog::Postgres { .. } => None,
        }
    }
}

impl Catalog {
    fn parse(text: &str) -> Result<Self> {
        if let Some(connection) = text.strip_prefix(POSTGRES) {
            return Ok(Self::postgres(connection));
        }
        if text.starts_with("postgresql://") {
            return Ok(Self::postgres(text));
        }
        if text.is_empty() {
            let reason = "name its catalog: a file, or postgres: and how to connect";
            return Err(error::not_a_store(LAKE, reason));
        }
        refuse_secrets(text)?;
        Ok(Self::File(text.into()))
    }

    fn postgres(connection: &str) -> Self {
        // postgres://host/name is a URI, postgres:host=... are parameters.
        let connection = match connection.starts_with("//") {
            true => format!("{POSTGRES}{connection}"),
            false => connection.to_owned(),
        };
        let (connection, password) = match connection.contains("://") {
            true => without_password_of_uri(&connection),
            false => without_password_of_parameters(&connection),
        };
        Self::Postgres { connection, password }
    }
}

impl fmt::Display for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Postgres { connection, .. } => {
                let scheme = if connection.contains("://") { "" } else { POSTGRES };
                write!(f, "{scheme}{}", shown(connection, |name| !is_parameter(name)))
            }
        }
    }
}

/// Refuses a file name that holds connection secrets: the file would be created, with a password in its name.
fn refuse_secrets(text: &str) -> Result<()> {
    let shown = without_secrets(text);
    if shown == text {
        return Ok(());
    }
    let reason =
        "it is not a file: a lake is ducklake:postgres:host=HOST user=USER dbname=DATABASE?data_path=PLACE";
    Err(error::not_a_store(shown, reason))
}

/// Hides the values of parameters that are named like secrets, in every form of a location.
fn without_secrets(text: &str) -> String {
    shown(text, is_like_a_secret)
}

/// Hides the values of some parameters.
fn shown(text: &str, is_hidden: impl Fn(&str) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        let end_of_last = |c: char| c.is_whitespace() || matches!(c, '&' | '?' | '/' | ':');
        let name = before.trim_end().rsplit(end_of_last).next().unwrap_or_default();
        shown.push_str(before);
        shown.push('=');
        rest = after;
        if is_hidden(&name.to_ascii_lowercase()) {
            shown.push_str("...");
            rest = &after[end_of_value(after)..];
        }
    }
    shown + rest
}

/// Returns whether a name is that of a secret, or a misspelt one.
fn is_like_a_secret(name: &str) -> bool {
    const SECRETS: [&str; 5] = ["password", "passwd", "pwd", "secret", "token"];
    const LIKENESS: f64 = 0.85;
    let is_like = |secret: &&str| name.ends_with(secret) || strsim::jaro_winkler(name, secret) >= LIKENESS;
    SECRETS.iter().any(is_like)
}

/// Returns whether a name is that of a parameter of libpq that is no secret. The value of a misspelt one may be one.
fn is_parameter(name: &str) -> bool {
    const PARAMETERS: [&str; 19] = [
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "service",
        "options",
        "application_name",
        "client_encoding",
        "connect_timeout",
        "tcp_user_timeout",
        "target_session_attrs",
        "load_balance_hosts",
        "gssencmode",
        "krbsrvname",
        "channel_binding",
        "require_auth",
        "requirepeer",
        "data_path",
    ];
    let is_known = PARAMETERS.contains(&name) || name.starts_with("ssl") || name.starts_with("keepalives");
    is_known && !is_like_a_secret(name)
}

/// Returns the end of a value: at its quote, or before a space, `&` or `?`.
fn end_of_value(text: &str) -> usize {
    let start = text.len() - text.trim_start().len();
    let value = &text[start..];
    let length = match value.strip_prefix('\'') {
        Some(quoted) => quoted.find('\'').map_or(value.len(), |end| end + 2),
        None => value
            .find(|c: char| c.is_whitespace() || matches!(c, '&' | '?'))
            .unwrap_or(value.len()),
    };
    start + length
}

/// Returns a location without a password, so that it may be shown.
pub(crate) fn without_password(location: &str) -> String {
    match location.strip_prefix(LAKE).map(Lake::parse) {
        Some(Ok(lake)) => Location::Lake(lake).to_string(),
        Some(Err(_)) => LAKE.to_owned(),
        None => {
            server_scheme(location).map_or_else(|| without_secrets(location), |scheme| format!("{scheme}..."))
        }
    }
}

/// Returns the start of a location that names a server, such as `https://` or `postgres:`; `None` for a path.
fn server_scheme(location: &str) -> Option<&str> {
    for scheme in ["postgres:", "postgresql:"] {
        if !location.contains("://") && location.starts_with(scheme) {
            return Some(scheme);
        }
    }
    let end = location.find("://")?;
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':');
    let scheme = &location[..end];
    // A single letter is a drive of Windows.
    (scheme.len() > 1 && scheme.chars().all(is_scheme)).then(|| &location[..end + 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lake(text: &str) -> Lake {
        match Location::parse(Path::new(text)) {
            Ok(Location::Lake(lake)) => lake,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn passwords_are_taken_out() {
        let cases = [
            (
                "ducklake:postgres:host=db password=geheim dbname=soc",
                "ducklake:postgres:host=db dbname=soc",
                "geheim",
            ),
            (
                r"ducklake:postgres:password = 'it\'s a \\' host=db",
                "ducklake:postgres:host=db",
                r"it's a \",
            ),
            (
                "ducklake:postgres:password='' host=db",
                "ducklake:postgres:host=db",
                "",
            ),
            (
                "ducklake:postgres:host='a b' password='open",
                "ducklake:postgres:host='a b'",
                "open",
            ),
            (
                "ducklake:postgres://me:ge%40heim@db:5432/soc",
                "ducklake:postgres://me@db:5432/soc",
                "ge@heim",
            ),
            (
                "ducklake:postgresql://me:a:b@db/soc?sslmode=require",
                "ducklake:postgresql://me@db/soc?sslmode=require",
                "a:b",
            ),
            (
                "ducklake:postgres://db/soc?password=geheim&user=me",
                "ducklake:postgres://db/soc?user=me",
                "geheim",
            ),
        ];
        for (text, shown, secret) in cases {
            let location = Location::Lake(lake(text));
            assert_eq!(location.to_string(), shown);
            assert_eq!(without_password(text), shown);
            let Catalog::Postgres { password, .. } = lake(text).catalog else {
                panic!("{text}")
            };
            assert_eq!(password, Some(secret.into()), "{text}");
        }
    }

    #[test]
    fn misspelt_passwords_are_not_shown() {
        for text in [
            "ducklake:postgres:host=db pasword=geheim dbname=soc",
            "ducklake:postgres:host=db pass = 'geheim' dbname=soc",
            "ducklake:postgres:host=db pw=geheim dbname=soc",
            "ducklake:postgres://me@db/soc?passwort=geheim",
        ] {
            let shown = Location::Lake(lake(text)).to_string();
            assert!(!shown.contains("geheim") && shown.contains("db"), "{shown}");
            assert_eq!(without_password(text), shown);
        }
        for text in ["host=db pasword=geheim", "ducklake:host=db passwrod=geheim"] {
            let refused = Location::parse(Path::new(text)).unwrap_err().to_string();
            assert!(!refused.contains("geheim"), "{refused}");
        }
        let known = "ducklake:postgres:host=db sslmode=require application_name=soc dbname=soc";
        assert_eq!(Location::Lake(lake(known)).to_string(), known);
        assert!(Location::parse(Path::new("day=2026-11-28/soc.duckdb")).is_ok());
    }

    #[test]
    fn data_paths_follow_the_catalog() {
        let place = |text: &str| lake(text).data_path;
        assert_eq!(place("ducklake:postgres:dbname=soc"), None);
        assert_eq!(
            place("ducklake:postgres:dbname=soc?data_path=s3://b/p").as_deref(),
            Some("s3://b/p")
        );
        assert_eq!(
            place("ducklake:postgres://db/soc?sslmode=require&data_path=/tmp/lake").as_deref(),
            Some("/tmp/lake")
        );
        assert!(Location::parse(Path::new("ducklake:postgres:dbname=soc?data_path=")).is_err());
        assert!(Location::parse(Path::new("ducklake:")).is_err());
    }

    #[test]
    fn other_locations_are_paths() {
        assert_eq!(Location::parse(Path::new(":memory:")).unwrap(), Location::Memory);
        assert_eq!(
            Location::parse(Path::new("soc.duckdb")).unwrap(),
            Location::File("soc.duckdb".into())
        );
    }
}
