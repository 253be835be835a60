//! Opens a store in a file, in memory or as a lake.

pub(super) mod file_opener;
pub(super) mod gates;
pub(super) mod open_guard;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::storage::Result;
use crate::storage::duckdb::adopt;
use crate::storage::duckdb::engine::files::{self, NewFile};
use crate::storage::duckdb::engine::location::{Lake, Location};
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::engine::settings::EngineSettings;
use crate::storage::duckdb::error::{self, OpenFailure};
use crate::storage::duckdb::lake::create;
use crate::storage::duckdb::options::{Access, OpenOptions};
use crate::storage::duckdb::schema::{self, SchemaState};
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::duckdb::store::first_look::{self, FirstLook};
use crate::storage::duckdb::transaction::{read_transaction, transaction};

impl DuckDbStore {
    /// Opens the store at a location with the default [`OpenOptions`].
    ///
    /// A location is a path, `:memory:` or `ducklake:CATALOG?data_path=PATH`.
    ///
    /// # Errors
    ///
    /// See [`OpenOptions::open`].
    pub fn open(location: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::default().open(location)
    }

    /// Returns the default options, to change them before opening a store.
    pub fn options() -> OpenOptions {
        OpenOptions::default()
    }

    /// Replaces the handle's file with a copy in memory that has the tables of this version.
    fn read_foreign_copy(&mut self, settings: &EngineSettings) -> Result<()> {
        let copy = gates::in_memory(settings);
        let target = copy.lease(Mode::Write, self.lock_timeout)?;
        let source = self.lease(Mode::Read)?;
        adopt::copy(source.connection(), target.connection())?;
        drop((source, target));
        log::warn!(
            "reading a copy of {} in memory: another program made its tables",
            self.location
        );
        self.gate = copy;
        Ok(())
    }
}

impl OpenOptions {
    /// Opens the store at a location: a path, `:memory:`, or `ducklake:CATALOG?data_path=PATH`.
    ///
    /// The tables of another program with the well-known columns are taken over, unless the store is read only.
    ///
    /// # Errors
    ///
    /// [`Error::NoStore`](crate::Error::NoStore) if there is no store and none can be created,
    /// [`Error::NotAStore`](crate::Error::NotAStore) if something else is there,
    /// [`Error::Locked`](crate::Error::Locked) if another process does not release it,
    /// [`Error::NewerSchema`](crate::Error::NewerSchema) if a later version has written it.
    pub fn open(&self, location: impl AsRef<Path>) -> Result<DuckDbStore> {
        let store = match Location::parse(location.as_ref())? {
            Location::Memory => self.open_memory(),
            Location::File(path) => self.open_file(&path),
            Location::Lake(lake) => self.open_lake(lake),
        }?;
        self.hold(store)
    }

    fn store(&self, location: Location) -> Result<DuckDbStore> {
        Ok(DuckDbStore {
            location: location.to_string(),
            gate: gates::of(location, &self.engine, self.lock_timeout)?,
            lock_timeout: self.lock_timeout,
            query_timeout: self.query_timeout,
            read_only: self.read_only,
            log_texts: schema::LOG_TEXTS,
            alerts: schema::ALERTS,
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
            SchemaState::Older if self.read_only => {
                log::warn!("{} has the tables of an earlier version", store.location);
                store.log_texts = schema::log_texts_of_older(store.lease(Mode::Read)?.connection())?;
                store.alerts = schema::alerts_of_older(store.lease(Mode::Read)?.connection())?;
            }
            SchemaState::Foreign if self.read_only => store.read_foreign_copy(&self.engine)?,
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
            None => store.retry(|| match store.gate.try_lease(Mode::Read, store.lock_timeout) {
                Err(OpenFailure::NoLake(_)) if may_make => Ok(true),
                leased => leased.map(|_| false).map_err(OpenFailure::into_error),
            })?,
        };
        if is_missing {
            create::create(&lake, &self.engine, self.lock_timeout)?;
        }
        let (found, data_path) = store.retry(|| {
            let lease = store.lease(Mode::Read)?;
            // All of this reads one snapshot, as others may be creating the tables.
            let found = read_transaction(lease.connection(), "open the store", |_| {
                first_look::found(&lease)
            });
            Ok((found?, lease.data_path()))
        })?;
        store.data_path = data_path;
        match found {
            SchemaState::Current => {}
            SchemaState::Nothing if may_make => store.write("create the store", schema::create_missing)?,
            SchemaState::Nothing => {
                let reason = "it is a lake without a store: name another, or ingest logs into it";
                return Err(error::no_store(&store.location, reason));
            }
            SchemaState::Older if !self.read_only => {
                store.write("bring the tables up to date", schema::migrate)?;
                log::info!("brought the tables of {} up to date", store.location);
            }
            SchemaState::Older => {
                let reason = "it is a lake with the tables of an earlier version: open it for writing once";
                return Err(error::not_a_store(&store.location, reason));
            }
            SchemaState::Foreign => {
                let reason = "it is a lake with the tables of another program: name another database";
                return Err(error::not_a_store(&store.location, reason));
            }
        }
        Ok(store)
    }

    /// Keeps the engine open until the handle is dropped, if access is exclusive.
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

    /// Checks a path for mistakes that the engine would report less clearly.
    fn check_path(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Err(error::not_a_store(path, "it is a folder: name a file"));
        }
        if !path.exists() && (self.read_only || !self.create) {
            let reason = "there is no such file: name another, or make one by ingesting logs";
            return Err(error::no_store(path, reason));
        }
        Ok(())
    }
}

/// Creates an empty store, unless another process is faster.
fn create_file(path: &Path, settings: &EngineSettings) -> Result<()> {
    let new = NewFile::beside(&files::canonical(path)?)?;
    let gate = gates::of_new_file(&new.path(), settings);
    let lease = gate.lease(Mode::Write, Duration::ZERO)?;
    transaction(lease.connection(), "create the store", schema::create)?;
    drop(lease);
    new.persist().map(drop)
}
