//! Settings of the engine and of lakes.

use std::path::{Path, PathBuf};

use ::duckdb::{AccessMode, Config};

use super::s3::S3Options;
use crate::models::Secret;
use crate::storage::Result;
use crate::storage::duckdb::error;

/// Limits the memory that the engine uses by default. The engine spills the rest to disk.
pub const DEFAULT_MEMORY_LIMIT: &str = "1GiB";

/// Holds the settings of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineSettings {
    pub(crate) memory_limit: String,
    pub(crate) threads: Option<u32>,
    pub(crate) external_access: bool,
    pub(crate) lake: LakeSettings,
}

/// Names the setting that lets the strings of one chunk be longer than 2 GiB together.
pub(crate) const LARGE_BUFFERS: &str = "arrow_large_buffer_size";

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            memory_limit: DEFAULT_MEMORY_LIMIT.to_owned(),
            threads: None,
            external_access: false,
            lake: LakeSettings::default(),
        }
    }
}

impl EngineSettings {
    /// Returns the configuration of the engine of a store in a file or in memory.
    pub(crate) fn config(&self, mode: AccessMode, spill: Option<&Path>) -> ::duckdb::Result<Config> {
        // The last one takes less time here than as a statement after the start.
        self.common_config(Config::default().access_mode(mode)?, spill)?
            .enable_external_access(self.external_access)?
            .with(LARGE_BUFFERS, "true")
    }

    /// Returns the configuration that all engines share.
    pub(crate) fn common_config(&self, config: Config, spill: Option<&Path>) -> ::duckdb::Result<Config> {
        let mut config = config
            // Without a folder, the engine cannot spill.
            .with(
                "temp_directory",
                spill.map_or_else(String::new, |path| path.display().to_string()),
            )?
            .enable_autoload_extension(false)?
            .max_memory(&self.memory_limit)?
            .with("autoinstall_known_extensions", "false")?
            // Queries name their own order. To preserve the insertion order would keep inserts to one thread.
            .with("preserve_insertion_order", "false")?
            // The first version with all of the compression that the tables use. It applies to new files.
            .with("storage_compatibility_version", "v1.5.0")?
            // Texts of rows that have no template are long, and few: zstd may be chosen for them too.
            .with("zstd_min_string_length", "16")?;
        if let Some(threads) = self.threads {
            config = config.threads(threads.into())?;
        }
        Ok(config)
    }
}

/// Holds the settings that opening a lake needs besides its location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LakeSettings {
    pub(crate) extensions: ExtensionSettings,
    pub(crate) catalog_password: Option<Secret>,
    pub(crate) s3: S3Options,
}

impl Default for LakeSettings {
    fn default() -> Self {
        Self {
            extensions: ExtensionSettings::default(),
            catalog_password: None,
            s3: S3Options::from_environment(),
        }
    }
}

/// Says where extensions are, and whether missing ones are fetched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ExtensionSettings {
    pub(crate) folder: Option<PathBuf>,
    /// Says whether the engine may fetch a missing extension from the network.
    pub(crate) may_install: bool,
}

impl ExtensionSettings {
    /// Returns the folder that holds extensions by version and platform.
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.folder {
            return Ok(folder.clone());
        }
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        home.map(|home| home.join(".duckdb").join("extensions"))
            .ok_or_else(|| {
                let reason =
                    "there is no home folder to look for extensions in: set store.extension_directory";
                error::engine_unavailable("~/.duckdb/extensions", reason)
            })
    }
}
