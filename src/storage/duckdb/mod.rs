//! The store on `DuckDB`: the only place that knows the engine.

mod alerts;
mod allowed;
mod backup;
mod check;
mod comparison;
mod connection;
mod conninfo;
mod consumers;
mod deadline;
mod detection_rules;
mod error;
mod extensions;
mod file_opener;
mod file_positions;
mod files;
mod first_look;
mod functions;
mod gates;
mod lake;
mod layout;
mod location;
mod logs;
mod long_texts;
mod maintain;
mod mode;
mod network;
mod predicate;
mod private_folder;
mod query;
mod queue;
mod recovery;
mod repeated;
mod rows;
mod s3;
mod scan;
mod schema;
mod seq;
mod settings;
mod spill_folder;
mod staged;
mod statement;
mod streamed;
mod threat_intel;
mod transaction;
mod turn;
mod typed_rows;
mod waiting;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::duckdb::Connection;

use super::{Error, Result};
use crate::models::Secret;
use connection::{Gate, Lease};
use deadline::Deadline;
use files::NewFile;
use first_look::FirstLook;
use location::{Lake, Location};
use mode::Mode;
use schema::Found;
use settings::EngineSettings;
use transaction::{read_transaction, transaction};
use turn::Turn;

pub use check::Check;
pub use extensions::Extension;
pub(crate) use location::without_password;
pub use maintain::{Maintenance, MaintenanceStep};
pub use query::{ExportFormat, QueryRows, QueryStream};
pub(crate) use rows::{LogRows, LogRowsBuilder};
pub use s3::S3Options;
pub use settings::DEFAULT_MEMORY_LIMIT;
pub use waiting::KeptOpen;

/// How a store's file is shared with other processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Each operation opens the file, works and closes it; other processes take turns, in the order in which they come
    /// (on Linux; elsewhere by luck). A scan keeps them out for
    /// as long as the engine needs, and a second more: what its reader has not taken by then is put aside on disk.
    #[default]
    Shared,
    /// The file stays open, and no other process can use it.
    Exclusive,
}

/// A store in a `DuckDB` file, in memory, or in a lake that many machines share.
///
/// A lake has a catalog and a place for its data: `ducklake:postgres:host=db dbname=soc?data_path=s3://soc/logs`. The
/// catalog is a PostgreSQL database, for many machines, or a file, for one; it remembers where the data is, so that
/// `?data_path=` is needed only when the lake is made.
///
/// The handle can be shared between threads, and a file can be opened as often as one likes, in one process
/// or in many: see [`Access`].
///
/// ```
/// use logstore::{DuckDbStore, LogEntry, LogQuery, LogStore, StoreExt};
///
/// let store = DuckDbStore::open(":memory:")?;
/// store.append_logs(&[LogEntry::new(chrono::Utc::now()).with_appname("sshd").with_message("Failed password")])?;
/// for log in store.fetch_logs(&LogQuery::new().contains("Failed"))? {
///     println!("{} {:?}", log.event_time, log.appname);
/// }
/// # Ok::<(), logstore::Error>(())
/// ```
#[derive(Clone)]
pub struct DuckDbStore {
    gate: Arc<Gate>,
    lock_timeout: Duration,
    query_timeout: Option<Duration>,
    read_only: bool,
    location: String,
    /// The SQL of what logs are read from.
    log_texts: &'static str,
    /// Where a lake's data files are.
    data_path: Option<String>,
    /// Only held, never used: keeps the engine open for as long as the handle lives. The mutex lets threads
    /// share it.
    held: Option<Arc<Mutex<Lease>>>,
    /// Where nobody has looked at the tables yet.
    first_look: Option<Arc<FirstLook>>,
}

/// How to open a [`DuckDbStore`].
///
/// ```no_run
/// use std::time::Duration;
/// use logstore::{Access, DuckDbStore};
///
/// let store = DuckDbStore::options()
///     .access(Access::Exclusive)
///     .lock_timeout(Duration::from_secs(30))
///     .open("soc.duckdb")?;
/// # Ok::<(), logstore::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct OpenOptions {
    access: Access,
    lock_timeout: Duration,
    query_timeout: Option<Duration>,
    read_only: bool,
    create: bool,
    open_at_first_use: bool,
    engine: EngineSettings,
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
    /// Whether the file stays open. Default: [`Access::Shared`].
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// How long an operation waits for other processes. Default: 10 seconds.
    #[must_use]
    pub fn lock_timeout(self, lock_timeout: Duration) -> Self {
        Self { lock_timeout, ..self }
    }

    /// How long a query of logs may run, be it a scan, a count, an export or SQL of the caller's own, before it ends with
    /// [`Error::TimedOut`]. `None`, the default, for as long as it takes.
    #[must_use]
    pub fn query_timeout(self, query_timeout: Option<Duration>) -> Self {
        Self {
            query_timeout,
            ..self
        }
    }

    /// Whether nothing may be written. The tables of another program are then read as they are: a copy in
    /// memory is brought up to date. Default: no.
    #[must_use]
    pub fn read_only(self, read_only: bool) -> Self {
        Self { read_only, ..self }
    }

    /// Whether a file that does not exist is made. Default: yes.
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

    /// How much memory the engine may use, such as `512MiB`. Default: [`DEFAULT_MEMORY_LIMIT`].
    #[must_use]
    pub fn memory_limit(mut self, limit: impl Into<String>) -> Self {
        self.engine.memory_limit = limit.into();
        self
    }

    /// How many threads the engine may use. Default: the machine's.
    #[must_use]
    pub fn threads(mut self, threads: u32) -> Self {
        self.engine.threads = Some(threads);
        self
    }

    /// Whether SQL may read and write other files. Default: no.
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

    /// Whether an extension that is missing may be fetched from the network. Default: no.
    #[must_use]
    pub fn install_extensions(mut self, may_install: bool) -> Self {
        self.engine.lake.extensions.may_install = may_install;
        self
    }

    /// The password of a lake's catalog, where its location holds none. Default: what libpq finds, in `PGPASSWORD` or
    /// `~/.pgpass`.
    #[must_use]
    pub fn catalog_password(mut self, password: Secret) -> Self {
        self.engine.lake.catalog_password = Some(password);
        self
    }

    /// How to reach the data of a lake in S3. Default: [`S3Options::from_environment`].
    #[must_use]
    pub fn s3(mut self, options: S3Options) -> Self {
        self.engine.lake.s3 = options;
        self
    }

    /// The engine's extensions that lakes need, and whether they are where they are looked for.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if there is no folder to look in.
    pub fn extensions(&self) -> Result<Vec<Extension>> {
        extensions::list(&self.engine.lake.extensions)
    }

    /// Puts extensions where they are looked for: those that files and folders hold, `<name>.duckdb_extension` as the
    /// engine's makers publish it, with or without `.gz`; those that are missing, from the network, if no path is given.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if there are none or the engine does not take one, as when it was made for another version
    /// or platform.
    pub fn add_extensions(&self, from: &[PathBuf]) -> Result<Vec<Extension>> {
        extensions::install(from, &self.engine.lake.extensions)
    }

    /// Opens the store at a location: a path, `:memory:`, or `ducklake:CATALOG?data_path=PATH`.
    ///
    /// The tables of another program with the well-known columns are taken over, unless the store is only
    /// to be read.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if there is no store and none can be made, [`Error::Locked`] if another process
    /// does not let go of it, [`Error::NewerSchema`] if a later version has written it.
    pub fn open(&self, location: impl AsRef<Path>) -> Result<DuckDbStore> {
        let store = match Location::of(location.as_ref())? {
            Location::Memory => self.open_memory(),
            Location::File(path) => self.open_file(&path),
            Location::Lake(lake) => self.open_lake(lake),
        }?;
        self.hold(store)
    }

    fn store(&self, location: Location) -> Result<DuckDbStore> {
        Ok(DuckDbStore {
            location: location.to_string(),
            gate: gates::of(location, &self.engine)?,
            lock_timeout: self.lock_timeout,
            query_timeout: self.query_timeout,
            read_only: self.read_only,
            log_texts: schema::LOG_TEXTS,
            data_path: None,
            held: None,
            first_look: None,
        })
    }

    fn open_file(&self, path: &Path) -> Result<DuckDbStore> {
        self.check_path(path)?;
        if !path.exists() {
            create_file(path, &self.engine)?;
        }
        let mut store = self.store(Location::File(path.to_owned()))?;
        if self.open_at_first_use && self.access == Access::Shared && !self.read_only {
            store.first_look = Some(Arc::new(FirstLook::new(self.create)));
            return Ok(store);
        }
        let found = first_look::found(&store.lease(Mode::Read)?)?;
        match found {
            Found::Older if self.read_only => {
                log::warn!("{} has the tables of an earlier version", store.location);
                store.log_texts = schema::log_texts_of_older(store.lease(Mode::Read)?.connection())?;
            }
            Found::Foreign if self.read_only => store.read_foreign_copy(&self.engine)?,
            _ => store.make_tables(found, self.create)?,
        }
        Ok(store)
    }

    fn open_lake(&self, lake: Lake) -> Result<DuckDbStore> {
        let may_make = self.create && !self.read_only;
        if let Some(file) = lake.catalog_file() {
            self.check_path(file)?;
        }
        let lake = lake.canonical()?;
        let mut store = self.store(Location::Lake(lake.clone()))?;
        let is_missing = match lake.catalog_file() {
            Some(file) => !file.exists(),
            None => match store.lease(Mode::Read) {
                Err(error) if lake::is_missing(&error) && may_make => true,
                leased => leased.map(|_| false)?,
            },
        };
        if is_missing {
            lake::create(&lake, &self.engine, self.lock_timeout)?;
        }
        // In one snapshot: others may be making the tables.
        let (found, data_path) = store.read(|connection| {
            read_transaction(connection, "open the store", |connection| {
                Ok((schema::find(connection)?, lake::data_path(connection)?))
            })
        })?;
        store.data_path = Some(data_path);
        let unavailable = |reason| Err(error::unavailable(&store.location, reason));
        match found {
            Found::Current => {}
            Found::Nothing if may_make => store.write("create the store", schema::create_missing)?,
            Found::Nothing => {
                return unavailable("it is a lake without a store: name another, or ingest logs into it");
            }
            Found::Older | Found::Foreign => {
                return unavailable("it is a lake with the tables of another program: name another database");
            }
        }
        Ok(store)
    }

    /// Keeps the engine open for as long as the handle lives, if that is how the store is accessed.
    fn hold(&self, mut store: DuckDbStore) -> Result<DuckDbStore> {
        if self.access == Access::Exclusive {
            let mode = if self.read_only { Mode::Read } else { Mode::Write };
            let lease = store.lease(mode)?.keep();
            store.held = Some(Arc::new(Mutex::new(lease)));
        }
        Ok(store)
    }

    fn open_memory(&self) -> Result<DuckDbStore> {
        let store = DuckDbStore {
            read_only: false,
            ..self.store(Location::Memory)?
        };
        store.write("create the store", schema::create)?;
        Ok(DuckDbStore {
            read_only: self.read_only,
            ..store
        })
    }

    /// Says in plain words what the engine would say in its own.
    fn check_path(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Err(error::unavailable(path, "it is a folder: name a file"));
        }
        if !path.exists() && (self.read_only || !self.create) {
            let reason = "there is no such file: name another, or make one by ingesting logs";
            return Err(error::unavailable(path, reason));
        }
        Ok(())
    }
}

/// Makes an empty store, unless another process is faster.
fn create_file(path: &Path, settings: &EngineSettings) -> Result<()> {
    let new = NewFile::beside(&files::canonical(path)?)?;
    let gate = gates::of_new_file(&new.path(), settings);
    let lease = gate.lease(Mode::Write, Duration::ZERO)?;
    transaction(lease.connection(), "create the store", schema::create)?;
    drop(lease);
    new.persist().map(drop)
}

impl DuckDbStore {
    /// Opens the store at a location, a path, `:memory:` or `ducklake:CATALOG?data_path=PATH`, with the default [`OpenOptions`].
    ///
    /// # Errors
    ///
    /// See [`OpenOptions::open`].
    pub fn open(location: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::default().open(location)
    }

    /// How to open a store in another way than [`open`](Self::open) does.
    pub fn options() -> OpenOptions {
        OpenOptions::default()
    }

    /// Where the store is, without a password.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The canonical paths of the store's files, of which some come and go; none for a store in memory.
    ///
    /// A process that has the store open must not open and close these files itself: that would free the
    /// engine's lock.
    pub fn files(&self) -> Vec<PathBuf> {
        let Some(path) = self.gate.locked_file() else {
            return Vec::new();
        };
        vec![path.to_owned(), files::write_ahead_log(path)]
    }

    fn is_lake(&self) -> bool {
        self.gate.location().lake().is_some()
    }

    /// How long a query may wait for whoever reads it; `None` where it keeps nobody out meanwhile.
    fn patience_with_readers(&self) -> Option<Duration> {
        const PATIENCE: Duration = Duration::from_secs(1);
        (self.gate.locked_file().is_some() && self.held.is_none()).then_some(PATIENCE)
    }

    /// Runs an operation that only reads.
    fn read<T>(&self, operation: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let outcome = operation(self.lease(Mode::Read)?.connection());
        self.note_disconnection(outcome)
    }

    /// Runs an operation that only reads, and that ends when its time is over.
    fn read_in_time<T>(&self, operation: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.read(|connection| {
            let running = connection.interrupt_handle();
            let deadline = Deadline::start(self.query_timeout, move || running.interrupt())?;
            let outcome = operation(connection);
            Deadline::judge(deadline, outcome)
        })
    }

    /// Runs an operation that writes, in a transaction, when it is this writer's turn.
    fn write<T>(&self, action: &'static str, operation: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        self.again_while_contended(|| {
            self.write_statement(action, |connection| {
                self.transaction_on_disk(connection, action, &operation)
            })
        })
    }

    /// As [`write`](Self::write), but at a lake with many writers most of the work is done before the turn.
    /// `is_overtaken` then says, by what everybody sees, whether others have committed since a snapshot what makes
    /// that work void; it is done again in that case.
    fn write_ahead<T>(
        &self,
        action: &'static str,
        operation: impl Fn(&Connection) -> Result<T>,
        is_overtaken: impl Fn(&Connection, i64) -> Result<bool>,
    ) -> Result<T> {
        if !self.gate.location().has_many_writers() {
            return self.write(action, operation);
        }
        self.again_while_contended(|| {
            self.refuse_if_read_only(action)?;
            let lease = self.lease(Mode::Write)?;
            let (outcome, _turn_until_committed) = transaction(lease.connection(), action, |connection| {
                let snapshot = lake::snapshot(connection)?;
                let outcome = operation(connection)?;
                self.sync_data()?;
                let turn = Turn::wait(&self.gate, self.lock_timeout)?;
                match is_overtaken(self.lease(Mode::Read)?.connection(), snapshot)? {
                    true => Err(Error::Contended {
                        action,
                        source: "another process committed the same logs or positions".into(),
                    }),
                    false => Ok((outcome, turn)),
                }
            })?;
            Ok(outcome)
        })
    }

    /// Runs a single statement that writes, which is a transaction of its own.
    fn write_statement<T>(
        &self,
        action: &'static str,
        statement: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        self.refuse_if_read_only(action)?;
        let _writing = self.gate.writing();
        let _turn = Turn::wait(&self.gate, self.lock_timeout)?;
        let lease = self.lease(Mode::Write)?;
        if let Some(path) = self.gate.locked_file() {
            files::prepare_write_ahead_log(path)?;
        }
        statement(lease.connection())
    }

    /// Runs an operation in a transaction, and has the files that it writes on the disk before they count.
    fn transaction_on_disk<T>(
        &self,
        connection: &Connection,
        action: &'static str,
        operation: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        transaction(connection, action, |connection| {
            let outcome = operation(connection)?;
            self.sync_data()?;
            Ok(outcome)
        })
    }

    /// To be called before a commit says that files belong to a lake.
    fn sync_data(&self) -> Result<()> {
        self.data_path.as_deref().map_or(Ok(()), lake::sync)
    }

    fn refuse_if_read_only(&self, action: &'static str) -> Result<()> {
        match self.read_only {
            true => Err(Error::ReadOnly { action }),
            false => Ok(()),
        }
    }

    /// Runs an operation again when another process was faster, for as long as one waits for others.
    fn again_while_contended<T>(&self, operation: impl Fn() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        loop {
            let outcome = operation();
            let waited = started.elapsed();
            match &outcome {
                Err(Error::Contended { source, .. }) if waited < self.lock_timeout => {
                    log::debug!("trying again: {source}");
                    std::thread::sleep(waiting::retry_after(waited));
                }
                _ => return self.note_disconnection(outcome),
            }
        }
    }

    /// Lets the next operation connect anew after the connection to a catalog was lost.
    fn note_disconnection<T>(&self, outcome: Result<T>) -> Result<T> {
        if matches!(outcome, Err(Error::Disconnected { .. })) {
            self.gate.close_when_unused();
        }
        outcome
    }

    /// Replaces the file by a copy in memory with the tables of this version.
    fn read_foreign_copy(&mut self, settings: &EngineSettings) -> Result<()> {
        let copy = gates::in_memory(settings);
        let target = copy.lease(Mode::Write, self.lock_timeout)?;
        let source = self.lease(Mode::Read)?;
        schema::take_over(source.connection(), target.connection(), false)?;
        drop((source, target));
        log::warn!(
            "reading a copy of {} in memory: another program made its tables",
            self.location
        );
        self.gate = copy;
        Ok(())
    }
}

impl std::fmt::Debug for DuckDbStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DuckDbStore")
            .field("location", &self.location)
            .field("lock_timeout", &self.lock_timeout)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}
