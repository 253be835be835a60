//! The options of opening a store.

use std::path::PathBuf;
use std::time::Duration;

use super::engine::extensions::{self, Extension};
use super::engine::s3::S3Options;
use super::engine::settings::EngineSettings;
use crate::models::Secret;
use crate::storage::Result;

/// Says how a store's file is shared with other processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Opens the file for each operation, and closes it after that.
    ///
    /// Other processes take turns, on Linux in the order in which they come. A scan holds the file while DuckDB
    /// produces rows and for at most one more second. Rows that its reader has not taken by then spill to a temporary
    /// file.
    #[default]
    Shared,
    /// Keeps the file open, so that no other process can use it.
    Exclusive,
}

/// Says how to open a [`DuckDbStore`](crate::DuckDbStore).
///
/// ```no_run
/// use std::time::Duration;
/// use logstore::DuckDbStore;
/// use logstore::duckdb::Access;
///
/// let store = DuckDbStore::options()
///     .access(Access::Exclusive)
///     .lock_timeout(Duration::from_secs(30))
///     .open("soc.duckdb")?;
/// # Ok::<(), logstore::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct OpenOptions {
    pub(super) access: Access,
    pub(super) lock_timeout: Duration,
    pub(super) query_timeout: Option<Duration>,
    pub(super) read_only: bool,
    pub(super) create: bool,
    pub(super) open_at_first_use: bool,
    pub(super) engine: EngineSettings,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            access: Access::default(),
            lock_timeout: Duration::from_secs(10),
            query_timeout: None,
            read_only: false,
            create: true,
            open_at_first_use: false,
            engine: EngineSettings::default(),
        }
    }
}

impl OpenOptions {
    /// Sets whether the file stays open. Default: [`Access::Shared`].
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Sets how long an operation waits for other processes. Default: 10 seconds.
    #[must_use]
    pub fn lock_timeout(self, lock_timeout: Duration) -> Self {
        Self { lock_timeout, ..self }
    }

    /// Limits how long a query of logs may run before it fails with [`Error::TimedOut`](crate::Error::TimedOut).
    ///
    /// The limit applies to scans, counts, exports and the caller's own SQL. `None`, the default, sets no limit.
    #[must_use]
    pub fn query_timeout(self, query_timeout: Option<Duration>) -> Self {
        Self {
            query_timeout,
            ..self
        }
    }

    /// Sets whether the store is read only. Default: no.
    ///
    /// The tables of another program are then read as they are. Only a copy in memory is brought up to date.
    #[must_use]
    pub fn read_only(self, read_only: bool) -> Self {
        Self { read_only, ..self }
    }

    /// Sets whether a file that does not exist is created. Default: yes.
    #[must_use]
    pub fn create(self, create: bool) -> Self {
        Self { create, ..self }
    }

    /// Sets whether the first operation looks at the content of a file, instead of [`open`](Self::open). Default: no.
    ///
    /// This takes 10 ms less than to open the file for that alone. The first operation then fails with the errors that
    /// [`open`](Self::open) would have returned. Applies to shared access that may write.
    #[must_use]
    pub fn open_at_first_use(self, open_at_first_use: bool) -> Self {
        Self {
            open_at_first_use,
            ..self
        }
    }

    /// Limits the memory that the engine uses, such as `512MiB`.
    ///
    /// Default: [`DEFAULT_MEMORY_LIMIT`](crate::duckdb::DEFAULT_MEMORY_LIMIT).
    #[must_use]
    pub fn memory_limit(mut self, limit: impl Into<String>) -> Self {
        self.engine.memory_limit = limit.into();
        self
    }

    /// Limits the number of threads that the engine uses. Default: the machine's.
    #[must_use]
    pub fn threads(mut self, threads: u32) -> Self {
        self.engine.threads = Some(threads);
        self
    }

    /// Sets whether SQL may read and write other files. Default: no.
    #[must_use]
    pub fn external_access(mut self, external_access: bool) -> Self {
        self.engine.external_access = external_access;
        self
    }

    /// Sets the folder of the engine's extensions, which lakes need. Default: `~/.duckdb/extensions`.
    #[must_use]
    pub fn extension_directory(mut self, folder: impl Into<PathBuf>) -> Self {
        self.engine.lake.extensions.folder = Some(folder.into());
        self
    }

    /// Sets whether a missing extension may be fetched from the network. Default: no.
    #[must_use]
    pub fn allow_extension_install(mut self, may_install: bool) -> Self {
        self.engine.lake.extensions.may_install = may_install;
        self
    }

    /// Sets the password of a lake's catalog, if its location holds none.
    ///
    /// Default: the password that libpq finds in `PGPASSWORD` or `~/.pgpass`.
    #[must_use]
    pub fn catalog_password(mut self, password: Secret) -> Self {
        self.engine.lake.catalog_password = Some(password);
        self
    }

    /// Sets the options for a lake's data in S3. Default: [`S3Options::from_environment`].
    #[must_use]
    pub fn s3(mut self, options: S3Options) -> Self {
        self.engine.lake.s3 = options;
        self
    }

    /// Returns the engine's extensions that lakes need, and whether each is installed.
    ///
    /// # Errors
    ///
    /// [`Error::EngineUnavailable`](crate::Error::EngineUnavailable) if there is no folder to look in.
    pub fn extensions(&self) -> Result<Vec<Extension>> {
        extensions::list(&self.engine.lake.extensions)
    }

    /// Installs extensions from files and folders, or missing ones from the network if no path is given.
    ///
    /// A file is `<name>.duckdb_extension` as the engine's makers publish it, with or without `.gz`.
    ///
    /// # Errors
    ///
    /// [`Error::EngineUnavailable`](crate::Error::EngineUnavailable) if there are none, or if the engine does not accept one. The
    /// latter happens if it was made for another version or platform.
    pub fn install_extensions(&self, from: &[PathBuf]) -> Result<Vec<Extension>> {
        extensions::install(from, &self.engine.lake.extensions)
    }
}
