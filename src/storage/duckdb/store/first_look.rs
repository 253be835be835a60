//! Looks whether a file has the tables of this version, and makes them. Either `open` looks, or the first operation
//! after it, which opens the file once less.

use std::sync::atomic::{AtomicBool, Ordering};

use ::duckdb::Connection;

use super::DuckDbStore;
use crate::storage::Result;
use crate::storage::duckdb::engine::files;
use crate::storage::duckdb::engine::gate::Lease;
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::schema::{self, SchemaState};
use crate::storage::duckdb::{adopt, error};

/// Holds the look at the tables that a store's first operation has to take.
pub(crate) struct FirstLook {
    is_taken: AtomicBool,
    may_create: bool,
}

impl FirstLook {
    pub(crate) fn new(may_create: bool) -> Self {
        Self {
            is_taken: AtomicBool::new(false),
            may_create,
        }
    }
}

/// Holds a change of the tables, which does nothing if another process has made it since.
#[derive(Clone, Copy)]
struct Change {
    action: &'static str,
    run: fn(&Connection) -> Result<()>,
}

impl DuckDbStore {
    /// Returns a connection for one operation. The first call makes sure that the file has the tables of this version.
    pub(crate) fn lease(&self, mode: Mode) -> Result<Lease> {
        let lease = self.gate.lease(mode, self.lock_timeout)?;
        let is_new = |look: &&FirstLook| !look.is_taken.load(Ordering::Acquire);
        let Some(look) = self.first_look.as_deref().filter(is_new) else {
            return Ok(lease);
        };
        let lease = self.look(lease, mode, look.may_create)?;
        look.is_taken.store(true, Ordering::Release);
        Ok(lease)
    }

    fn look(&self, lease: Lease, mode: Mode, may_create: bool) -> Result<Lease> {
        let found = found(&lease)?;
        let Some(change) = self.change(found, may_create)? else {
            return Ok(lease);
        };
        if mode == Mode::Write {
            self.change_on(lease.connection(), change)?;
            self.note_change(found);
            return Ok(lease);
        }
        drop(lease);
        let looked = Self {
            first_look: None,
            ..self.clone()
        };
        looked.make_tables(found, may_create)?;
        looked.lease(mode)
    }

    /// Brings the tables of a file up to date, takes them over or creates them.
    pub(crate) fn make_tables(&self, found: SchemaState, may_create: bool) -> Result<()> {
        if let Some(change) = self.change(found, may_create)? {
            self.write(change.action, change.run)?;
            self.note_change(found);
        }
        Ok(())
    }

    /// Returns the change that a file's tables need; `None` if they are those of this version.
    fn change(&self, found: SchemaState, may_create: bool) -> Result<Option<Change>> {
        let (action, run): (_, fn(&Connection) -> Result<()>) = match found {
            SchemaState::Current => return Ok(None),
            SchemaState::Older => ("bring the tables up to date", schema::migrate),
            SchemaState::Foreign => ("take over the tables of another program", take_over),
            SchemaState::Nothing if may_create && !self.read_only => {
                ("create the store", schema::create_missing)
            }
            SchemaState::Nothing => {
                let reason = "it is a DuckDB file without a table logs: name another, or ingest logs into it";
                return Err(error::no_store(&self.location, reason));
            }
        };
        Ok(Some(Change { action, run }))
    }

    /// Changes the tables within the operation of a writer.
    fn change_on(&self, connection: &Connection, change: Change) -> Result<()> {
        self.refuse_if_read_only(change.action)?;
        if let Some(path) = self.gate.locked_file() {
            files::prepare_write_ahead_log(path)?;
        }
        self.transaction_on_disk(connection, change.action, change.run)
    }

    fn note_change(&self, found: SchemaState) {
        match found {
            SchemaState::Older => log::info!("brought the tables of {} up to date", self.location),
            SchemaState::Foreign => {
                log::warn!("took over the tables of another program in {}", self.location);
            }
            SchemaState::Current | SchemaState::Nothing => {}
        }
    }
}

/// Returns what a store holds. This is known already if it had the tables of this version when it was opened.
pub(crate) fn found(lease: &Lease) -> Result<SchemaState> {
    match lease.is_current() {
        true => Ok(SchemaState::Current),
        false => schema::find(lease.connection()),
    }
}

fn take_over(connection: &Connection) -> Result<()> {
    match schema::find(connection)? {
        SchemaState::Foreign => adopt::in_place(connection),
        SchemaState::Current | SchemaState::Older | SchemaState::Nothing => Ok(()),
    }
}
