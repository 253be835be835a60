//! The engine's extensions, which lakes need.

use std::path::{Path, PathBuf};

use ::duckdb::Connection;

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

/// Lets an engine use an extension; one that is missing is fetched only if the settings allow it.
pub(super) fn load(connection: &Connection, name: &'static str, settings: &ExtensionSettings) -> Result<()> {
    let file = folder_of_engine(connection, &settings.folder()?)?.join(format!("{name}.duckdb_extension"));
    if !file.is_file() && settings.may_install {
        log::info!("installing the extension {name} from the network");
        let installed = connection.execute_batch(&format!("INSTALL {name}"));
        installed.map_err(|error| error::engine("install an extension from the network", error))?;
    } else if !file.is_file() {
        let reason = format!(
            "the engine's extension {name}, which this lake needs, is not there: copy it there, or set \
             store.install_extensions to get it from the network"
        );
        return Err(error::unavailable(file, reason));
    }
    let loaded = connection.execute_batch(&format!("LOAD {name}"));
    loaded.map_err(|error| {
        let reason = format!(
            "the engine does not take it: {}",
            error::first_line(&error.to_string())
        );
        error::unavailable(file, reason)
    })
}
