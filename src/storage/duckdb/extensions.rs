//! The engine's extensions: where they are, and how they get there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ::duckdb::{Config, Connection};
use serde::Serialize;

use super::error;
use crate::storage::Result;

/// Where extensions are, and whether missing ones are fetched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ExtensionSettings {
    pub(super) folder: Option<PathBuf>,
    /// Whether the engine may fetch one that is missing from the network.
    pub(super) may_install: bool,
}

impl ExtensionSettings {
    /// The folder under which extensions are, by version and platform.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.folder {
            return Ok(folder.clone());
        }
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        home.map(|home| home.join(".duckdb").join("extensions"))
            .ok_or_else(|| {
                let reason =
                    "there is no home folder to look for extensions in: set store.extension_directory";
                error::unavailable("~/.duckdb/extensions", reason)
            })
    }
}

/// An extension that lakes need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Extension {
    /// Its name.
    pub name: &'static str,
    /// What needs it.
    pub needed_for: &'static str,
    /// Where the engine looks for it.
    pub path: PathBuf,
    /// Whether it is there.
    pub installed: bool,
}

const EXTENSIONS: [(&str, &str); 3] = [
    ("ducklake", "every lake"),
    ("postgres_scanner", "catalogs in PostgreSQL"),
    ("httpfs", "data in S3"),
];

impl Extension {
    /// The extensions that lakes need, and whether they are in a folder; without one, in that of the engine's own,
    /// `~/.duckdb/extensions`.
    ///
    /// ```
    /// let folder = tempfile::tempdir().unwrap();
    /// let extensions = logstore::Extension::all(Some(folder.path()))?;
    /// assert_eq!(extensions[0].name, "ducklake");
    /// assert!(!extensions[0].installed);
    /// # Ok::<(), logstore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) if no folder is given and there is no home folder.
    pub fn all(folder: Option<&Path>) -> Result<Vec<Self>> {
        let settings = ExtensionSettings {
            folder: folder.map(Path::to_owned),
            may_install: false,
        };
        let folder = settings.folder()?;
        let started = engine(&folder).map_err(|error| error::engine("start the engine", error))?;
        Self::all_of(&started, &folder)
    }

    fn all_of(engine: &Connection, folder: &Path) -> Result<Vec<Self>> {
        let folder = folder_of_engine(engine, folder)?;
        let extensions = EXTENSIONS.into_iter().map(|(name, needed_for)| {
            let path = folder.join(format!("{name}.duckdb_extension"));
            let installed = path.is_file();
            Self {
                name,
                needed_for,
                path,
                installed,
            }
        });
        Ok(extensions.collect())
    }

    /// Copies an extension's file to where the engine looks for it. The engine checks who signed it when it loads it.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) if the file is not called as one of [`all`](Self::all), or
    /// the engine does not take it; [`Error::NotWritten`](crate::Error::NotWritten) if it cannot be copied.
    pub fn install_file(folder: Option<&Path>, file: &Path) -> Result<Self> {
        let name = file.file_name().unwrap_or_default();
        let known = Self::all(folder)?
            .into_iter()
            .find(|extension| extension.path.file_name() == Some(name));
        let Some(extension) = known else {
            let names = EXTENSIONS
                .map(|(name, _)| format!("{name}.duckdb_extension"))
                .join(", ");
            return Err(error::unavailable(
                file,
                format!("it is none of the extensions that lakes need: {names}"),
            ));
        };
        extension.try_file(file)?;
        copy(file, &extension.path).map_err(|io| error::not_written(&extension.path, io.to_string()))?;
        Ok(Self {
            installed: true,
            ..extension
        })
    }

    /// Lets the engine fetch an extension of its version from the network.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`](crate::Error::Backend) if it cannot.
    pub fn install(self) -> Result<Self> {
        let failed = |error| error::engine("install an extension from the network", error);
        let folder = self.path.ancestors().nth(3).unwrap_or(Path::new(""));
        let connection = engine(folder).map_err(failed)?;
        connection
            .execute_batch(&format!("INSTALL {}", self.name))
            .map_err(failed)?;
        Ok(Self {
            installed: true,
            ..self
        })
    }

    /// Whether the engine takes a file for what its name says.
    fn try_file(&self, file: &Path) -> Result<()> {
        let refused =
            |reason: String| error::unavailable(file, format!("it is no extension of this engine: {reason}"));
        let place = tempfile::tempdir().map_err(|io| refused(io.to_string()))?;
        let engine = engine(place.path()).map_err(|error| error::engine("start the engine", error))?;
        let name = self.path.file_name().unwrap_or_default();
        let tried = folder_of_engine(&engine, place.path())?.join(name);
        copy(file, &tried).map_err(|io| refused(io.to_string()))?;
        let loaded = engine.execute_batch(&format!("LOAD {}", self.name));
        loaded.map_err(|error| refused(error::first_line(&error.to_string()).to_owned()))
    }
}

/// An engine that knows no more than where its extensions are.
fn engine(folder: &Path) -> ::duckdb::Result<Connection> {
    let config = Config::default()
        .enable_autoload_extension(false)?
        .with("autoinstall_known_extensions", "false")?
        .with("extension_directory", folder.display().to_string())?;
    Connection::open_in_memory_with_flags(config)
}

/// Where this engine's own extensions are in a folder.
fn folder_of_engine(engine: &Connection, folder: &Path) -> Result<PathBuf> {
    const SQL: &str =
        "SELECT library_version, (SELECT platform FROM pragma_platform()) FROM pragma_version()";
    let read = engine.query_row(SQL, [], |row| {
        let (version, platform): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(folder.join(version).join(platform))
    });
    read.map_err(|error| error::engine("start the engine", error))
}

/// Complete or not at all, so that no process loads half of it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    io::copy(&mut fs::File::open(from)?, &mut new)?;
    new.persist(to)?;
    Ok(())
}

/// Lets an engine use an extension; one that is missing is fetched only if the settings allow it.
pub(super) fn load(connection: &Connection, name: &'static str, settings: &ExtensionSettings) -> Result<()> {
    let all = Extension::all_of(connection, &settings.folder()?)?;
    let Some(extension) = all.into_iter().find(|extension| extension.name == name) else {
        return Err(error::unavailable(name, "lakes need no such extension"));
    };
    if !extension.installed && settings.may_install {
        log::info!("installing the extension {name} from the network");
        let installed = connection.execute_batch(&format!("INSTALL {name}"));
        installed.map_err(|error| error::engine("install an extension from the network", error))?;
    } else if !extension.installed {
        return Err(missing(&extension));
    }
    let loaded = connection.execute_batch(&format!("LOAD {name}"));
    loaded.map_err(|error| {
        let reason = format!(
            "the engine does not take it: {}",
            error::first_line(&error.to_string())
        );
        error::unavailable(&extension.path, reason)
    })
}

fn missing(extension: &Extension) -> crate::storage::Error {
    let (name, needed_for) = (extension.name, extension.needed_for);
    let reason = format!(
        "the engine's extension {name}, which {needed_for} needs, is not there: run `logstore extensions install` to \
         get it from the network, or `logstore extensions install --from FOLDER` with a folder that holds \
         {name}.duckdb_extension"
    );
    error::unavailable(&extension.path, reason)
}
