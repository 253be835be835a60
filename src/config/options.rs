//! Settings translated into the options of the parts of this crate.

use super::{IngestSettings, Settings, StoreSettings};
use crate::load::LoadOptions;
use crate::storage::Result;
use crate::storage::duckdb::{DuckDbStore, OpenOptions, S3Options};

impl From<&StoreSettings> for OpenOptions {
    /// Takes every setting of the store. Settings of S3 that are not set are read from the environment: see
    /// [`S3Options::from_environment`].
    fn from(settings: &StoreSettings) -> Self {
        let mut options = Self::default()
            .access(settings.access)
            .lock_timeout(settings.lock_timeout)
            .query_timeout(settings.query_timeout)
            .memory_limit(&settings.memory_limit)
            .allow_extension_install(settings.install_extensions)
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
}

impl From<&IngestSettings> for LoadOptions {
    /// Takes every setting of an ingest. For a reader without a loader, the options of lines are
    /// [`LoadOptions::ingest`].
    ///
    /// The interval between two looks at followed files is a setting of another section:
    /// [`FetchSettings::interval`](super::FetchSettings::interval).
    fn from(settings: &IngestSettings) -> Self {
        let mut options = Self::new().with_batch_size(settings.batch_size);
        options.ingest.encoding = settings.encoding;
        options.ingest.continuation_lines = settings.continuation_lines;
        options.ingest.id_field.clone_from(&settings.id_field);
        options.ingest.multiline_timeout = Some(settings.multiline_timeout);
        options.ingest.zone = Some(settings.zone);
        options.ingest.date_order = settings.date_order;
        options
            .ingest
            .trusted_proxies
            .clone_from(&settings.trusted_proxies);
        options
    }
}

impl Settings {
    /// Opens the store that these settings name, as they say, and creates it if it does not exist.
    ///
    /// ```
    /// use logstore::LogStore;
    /// use logstore::config::SettingsLoader;
    ///
    /// let loaded = SettingsLoader::new().without_environment().with_flag("database", ":memory:").load()?;
    /// let store = loaded.settings.open_store()?;
    /// assert_eq!(store.stats()?.logs, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`OpenOptions::open`].
    pub fn open_store(&self) -> Result<DuckDbStore> {
        OpenOptions::from(&self.store).open(&self.database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_settings_are_default_options() {
        let settings = Settings::default();
        let from_settings = format!("{:?}", OpenOptions::from(&settings.store));
        assert_eq!(from_settings, format!("{:?}", OpenOptions::default()));
    }
}
