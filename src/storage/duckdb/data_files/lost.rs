//! Drops data files that are lost, so that the rest of a lake can be read and maintained.

use super::DataFileCheck;
use crate::models::InvalidValue;
use crate::storage::duckdb::lake::commit_lock::CommitLock;
use crate::storage::duckdb::lake::data_files;
use crate::storage::duckdb::lake::data_files::DataFile;
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::duckdb::tables::consumers;
use crate::storage::duckdb::transaction::transaction;
use crate::storage::{Error, Result};

const ACTION: &str = "drop a data file";

impl DuckDbStore {
    /// Describes a data file of a lake that is missing or damaged, before it is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the lake needs no such file, [`Error::InvalidInput`] if the file is as it was written.
    pub fn lost_file(&self, file: &str) -> Result<DataFileCheck> {
        self.find_lost_file(file).map(|(_, check)| check)
    }

    /// Drops a data file of a lake that is missing or damaged, with all of its rows, and returns their number.
    ///
    /// A consumer that has not read the file to its end is told that it missed all of the file's logs. What is left of
    /// the file is deleted by [`maintain`](Self::maintain), as any unused file.
    ///
    /// # Errors
    ///
    /// As [`lost_file`](Self::lost_file). [`Error::Locked`] if another process maintains the lake.
    pub fn drop_lost_file(&self, file: &str) -> Result<u64> {
        let _maintenance = CommitLock::take_for_maintenance(&self.gate, self.lock_timeout)?;
        let (lost, check) = self.find_lost_file(file)?;
        let dropped = self.write_statement(ACTION, |connection| {
            if lost.table == "log_rows" {
                transaction(connection, ACTION, |connection| {
                    let last = data_files::last_seq_in(connection, lost.rows_in)?;
                    consumers::add_missed(connection, last, lost.rows)
                })?;
            }
            transaction(connection, ACTION, |connection| {
                data_files::drop_file(connection, lost.rows_in)
            })
        });
        self.after_failure(dropped)?;
        log::warn!("dropped {}, which held {}", check.file, check.content());
        Ok(check.rows)
    }

    fn find_lost_file(&self, file: &str) -> Result<(DataFile, DataFileCheck)> {
        let (files, recorded) = self.files_and_checksums()?;
        let Some(found) = files.into_iter().find(|other| other.path == file) else {
            return Err(Error::NotFound {
                what: "data file",
                name: file.to_owned(),
            });
        };
        let state = self.state_of(&found, recorded.get(&found.id))?;
        if !state.is_lost() {
            let reason = "it is there and not known to be damaged: only a file that is lost can be dropped";
            return Err(InvalidValue::new("lost file", file, reason).into());
        }
        let check = DataFileCheck::new(&found, state);
        Ok((found, check))
    }
}
