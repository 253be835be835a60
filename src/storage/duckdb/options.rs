//! The options of opening a store.

use std::path::PathBuf;
use std::time::Duration;

use super::engine::extensions::{self, Extension};
use super::engine::s3::S3Options;
use super::engine::settings::EngineSettings;
use crate::models::Secret;
use crate::storage::Result;

/// How a store's file is shared with other processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Each operation opens the file, works and closes it. Other processes take turns, on Linux in the order in which
    /// they come. A scan holds the file while DuckDB produces rows and for at most one more second; rows that its
    /// reader has not taken by then spill to a temporary file.
    #[default]
    Shared,
    /// The file stays open, and no other process can use it.
    Exclusive,
}

/// How to open a [`DuckDbStore`](crate::DuckDbStore).
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

    /// Sets how long a query of logs may run, be it a scan, a count, an export or SQL of the caller's own, before it
    /// ends with [`Error::TimedOut`](crate::Error::TimedOut). `None`, the default, sets no limit.
    #[must_use]
    pub fn query_timeout(self, query_timeout: Option<Duration>) -> Self {
        Self {
            query_timeout,
            ..self
        }
    }

    /// Sets whether nothing may be written. The tables of another program are then read as they are: a copy in
    /// memory is brought up to date. Default: no.
    #[must_use]
    pub fn read_only(self, read_only: bool) -> Self {
        Self { read_only, ..self }
    }

    /// Sets whether a file that does not exist is made. Default: yes.
    #[must_use]
    pub fn create(self, create: bool) -> Self {
        Self { create, ..self }
    }

    /// Leaves it to the first operation to look at what is in a file, which takes 10 ms less than to open the file for
    /// that alone. The operation then fails with the errors that [`open`](Self::open) has for it. Applies to shared
    /// access that may write. Default: no.
    #[must_use]
    pub fn open_at_first_use(self, open_at_first_use: bool) -> Self {
        Self {
            open_at_first_use,
            ..self
        }
    }

    /// Sets how much memory the engine may use, such as `512MiB`. Default:
    /// [`DEFAULT_MEMORY_LIMIT`](crate::duckdb::DEFAULT_MEMORY_LIMIT).
    #[must_use]
    pub fn memory_limit(mut self, limit: impl Into<String>) -> Self {
        self.engine.memory_limit = limit.into();
        self
    }

    /// Sets how many threads the engine may use. Default: the machine's.
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

    /// In which folder the engine's extensions are, which lakes need. Default: `~/.duckdb/extensions`.
    #[must_use]
    pub fn extension_directory(mut self, folder: impl Into<PathBuf>) -> Self {
        self.engine.lake.extensions.folder = Some(folder.into());
        self
    }

    /// Sets whether an extension that is missing may be fetched from the network. Default: no.
    #[must_use]
    pub fn allow_extension_install(mut self, may_install: bool) -> Self {
        self.engine.lake.extensions.may_install = may_install;
        self
    }

    /// Sets the password of a lake's catalog, where its location holds none. Default: the one that libpq finds, in
    /// `PGPASSWORD` or `~/.pgpass`.
    #[must_use]
    pub fn catalog_password(mut self, password: Secret) -> Self {
        self.engine.lake.catalog_password = Some(password);
        self
    }

    /// Sets how to reach the data of a lake in S3. Default: [`S3Options::from_environment`].
    #[must_use]
    pub fn s3(mut self, options: S3Options) -> Self {
        self.engine.lake.s3 = options;
        self
    }

    /// Returns the engine's extensions that lakes need, and whether they are where they are looked for.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) if there is no folder to look in.
    pub fn extensions(&self) -> Result<Vec<Extension>> {
        extensions::list(&self.engine.lake.extensions)
    }

    /// Puts extensions where they are looked for: those that files and folders hold, `<name>.duckdb_extension` as the
    /// engine's makers publish it, with or without `.gz`; those that are missing, from the network, if no path is
    /// given.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) if there are none or the engine does not take one, as when it
    /// was made for another version or platform.
    pub fn install_extensions(&self, from: &[PathBuf]) -> Result<Vec<Extension>> {
        extensions::install(from, &self.engine.lake.extensions)
    }
}
