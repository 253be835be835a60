//! Records the checksums of the files that an operation has added to a lake.

use std::cell::Cell;

use ::duckdb::Connection;

use super::DuckDbStore;
use crate::storage::Result;
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::lake::{checksums, data, snapshot};

const ACTION: &str = "record checksums";

/// Holds the snapshot from which on an operation adds files; none in a store that is not a lake.
#[derive(Default)]
pub(crate) struct NewFiles(Cell<Option<i64>>);

impl DuckDbStore {
    /// Notes the snapshot that a transaction begins with.
    pub(crate) fn note_snapshot(&self, files: &NewFiles, connection: &Connection) -> Result<()> {
        if self.is_lake() {
            files.0.set(Some(snapshot::snapshot(connection)?));
        }
        Ok(())
    }

    /// Records the checksums of the files that were added since, after the commit that added them.
    ///
    /// The logs are stored already. So a failure is not the operation's, and maintenance records what is missing.
    pub(crate) fn record_checksums(&self, files: &NewFiles) {
        let (Some(snapshot), Some(data_path)) = (files.0.get(), &self.data_path) else {
            return;
        };
        // Maintenance reads objects in S3.
        if data::is_remote(data_path) {
            return;
        }
        let recorded = self.write_in_catalog(ACTION, |connection| {
            checksums::record_since(connection, self.gate.location(), data_path, snapshot)
        });
        if let Err(error) = recorded {
            log::debug!("maintenance will record the checksums of new files: {error}");
        }
    }

    /// Runs statements that change only tables of this program in the catalog's database.
    ///
    /// In a lake with many writers they take no commit lock, because no snapshot has such a table. They may be repeated.
    pub(crate) fn write_in_catalog<T>(
        &self,
        action: &'static str,
        statement: impl Fn(&Connection) -> Result<T>,
    ) -> Result<T> {
        if !self.gate.location().has_many_writers() {
            return self.write_statement(action, statement);
        }
        self.refuse_if_read_only(action)?;
        self.retry(|| statement(self.lease(Mode::Write)?.connection()))
    }
}
