//! The data files of a lake as a user sees them: whether each is whole, what is lost with one that is not.

pub(super) mod lost;

use std::collections::{HashMap, HashSet};
use std::vec;

use chrono::NaiveDate;
use serde::Serialize;

use crate::storage::Result;
use crate::storage::duckdb::lake::data_files::DataFile;
use crate::storage::duckdb::lake::digest::{self, Digest};
use crate::storage::duckdb::lake::{checksums, data, data_files};
use crate::storage::duckdb::sql::statement;
use crate::storage::duckdb::store::DuckDbStore;

/// Holds the finding of [`DuckDbStore::check_data_files`] on one file of a lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DataFileCheck {
    /// Holds the place of the file: a path, or `s3://BUCKET/KEY`.
    pub file: String,
    /// Names the table whose rows it holds.
    pub table: String,
    /// Counts the rows of the table that cannot be read without the file.
    pub rows: u64,
    /// Holds the day (UTC) of its first row, if its rows have times.
    pub first_day: Option<NaiveDate>,
    /// Holds the day (UTC) of its last row, if its rows have times.
    pub last_day: Option<NaiveDate>,
    /// Holds its size in bytes, as the catalog records it.
    pub bytes: u64,
    /// Says whether it is as it was written.
    pub state: DataFileState,
}

/// Says whether a data file is as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DataFileState {
    /// Means that the file has the checksum that was recorded for it.
    Whole,
    /// Means that the file has its size, and that no checksum was recorded yet: [`DuckDbStore::maintain`] does that.
    Unrecorded,
    /// Means that the file does not exist.
    Missing,
    /// Means that the file has another size or content than it was written with.
    Damaged,
}

impl DataFileState {
    /// Returns whether the content of the file is lost.
    fn is_lost(self) -> bool {
        matches!(self, Self::Missing | Self::Damaged)
    }
}

impl DataFileCheck {
    /// Describes the problem of the file, and what to do; `None` if it has none.
    pub fn problem(&self) -> Option<String> {
        let problem = match self.state {
            DataFileState::Whole | DataFileState::Unrecorded => return None,
            DataFileState::Missing => "is missing",
            DataFileState::Damaged => "is damaged",
        };
        Some(format!(
            "{}, which holds {}, {problem}: restore this file from a backup, or drop it with logstore maintain \
             --drop-lost FILE",
            self.file,
            self.content()
        ))
    }

    /// Describes the rows of the file, such as `500 rows of log_rows of 2024-01-01`.
    pub fn content(&self) -> String {
        let rows = format!("{} rows of {}", self.rows, self.table);
        match (self.first_day, self.last_day) {
            (Some(first), Some(last)) if first == last => format!("{rows} of {first}"),
            (Some(first), Some(last)) => format!("{rows} of {first} to {last}"),
            _ => rows,
        }
    }

    pub(crate) fn new(file: &DataFile, state: DataFileState) -> Self {
        let day = |micros| Some(statement::time(micros).ok()?.date_naive());
        Self {
            file: file.path.clone(),
            table: file.table.clone(),
            rows: file.rows,
            first_day: file.times.and_then(|(first, _)| day(first)),
            last_day: file.times.and_then(|(_, last)| day(last)),
            bytes: file.bytes,
            state,
        }
    }
}

/// Holds the digests that were recorded for each file, by its id in the catalog.
type Checksums = HashMap<i64, HashSet<Digest>>;

/// Verifies one data file of a lake for each item: see [`DuckDbStore::check_data_files`].
#[derive(Debug)]
pub struct DataFileChecks<'a> {
    store: &'a DuckDbStore,
    files: vec::IntoIter<DataFile>,
    recorded: Checksums,
    total_bytes: u64,
}

impl DataFileChecks<'_> {
    /// Returns the size of all files in bytes, including those that were verified.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    fn check(&self, file: &DataFile) -> Result<Option<DataFileCheck>> {
        let state = self.store.state_of(file, self.recorded.get(&file.id))?;
        // Another process may have merged the file into another one meanwhile, and deleted it.
        if state.is_lost() && !self.store.is_current(file)? {
            return Ok(None);
        }
        Ok(Some(DataFileCheck::new(file, state)))
    }
}

impl Iterator for DataFileChecks<'_> {
    type Item = Result<DataFileCheck>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let file = self.files.next()?;
            if let Some(check) = self.check(&file).transpose() {
                return Some(check);
            }
        }
    }
}

const ACTION: &str = "record checksums";

impl DuckDbStore {
    /// Verifies the data files of a lake against the checksums that were recorded for them, one file for each item.
    ///
    /// Each file is read as a whole. Others may read and write meanwhile. A store that is not a lake has no data files.
    ///
    /// ```no_run
    /// # let lake = logstore::DuckDbStore::open("ducklake:catalog.ducklake")?;
    /// for file in lake.check_data_files()? {
    ///     if let Some(problem) = file?.problem() {
    ///         println!("{problem}");
    ///     }
    /// }
    /// # Ok::<(), logstore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the catalog cannot be read. An item is an error if its file cannot be read, though it may exist.
    pub fn check_data_files(&self) -> Result<DataFileChecks<'_>> {
        let (files, recorded) = self.files_and_checksums()?;
        Ok(DataFileChecks {
            store: self,
            total_bytes: files.iter().map(|file| file.bytes).sum(),
            files: files.into_iter(),
            recorded,
        })
    }

    /// Returns the data files and the checksums that were recorded for them; none of a store that is not a lake.
    fn files_and_checksums(&self) -> Result<(Vec<DataFile>, Checksums)> {
        if !self.is_lake() {
            return Ok((Vec::new(), Checksums::new()));
        }
        self.read(|connection| Ok((data_files::current(connection)?, checksums::recorded(connection)?)))
    }

    /// Returns the files that maintenance would read but that are lost.
    pub(crate) fn lost_among_rewritten(&self) -> Result<Vec<DataFileCheck>> {
        let (files, recorded) = self.read(|connection| {
            Ok((
                data_files::to_be_rewritten(connection)?,
                checksums::recorded(connection)?,
            ))
        })?;
        let mut lost = Vec::new();
        for file in files {
            let state = self.state_of(&file, recorded.get(&file.id))?;
            if state.is_lost() {
                lost.push(DataFileCheck::new(&file, state));
            }
        }
        Ok(lost)
    }

    /// Records the checksums of files that have none, and returns their number.
    ///
    /// They are recorded as it goes, so that the next maintenance continues after one that was stopped.
    pub(crate) fn record_missing_checksums(&self) -> Result<u64> {
        const AT_ONCE: usize = 64;
        let record = |digests: &[(i64, Digest)]| {
            self.write_in_catalog(ACTION, |connection| checksums::record(connection, digests))
        };
        let files = self.write_in_catalog(ACTION, |connection| {
            checksums::make_table(connection)?;
            checksums::forget_gone(connection)?;
            checksums::unrecorded(connection)
        })?;
        let (mut digests, mut count) = (Vec::new(), 0);
        for file in &files {
            let Some(digest) = self.digest_of(&file.path)? else {
                continue;
            };
            // A file of another size was damaged before.
            if digest.bytes == file.bytes {
                digests.push((file.id, digest));
                count += 1;
            }
            if digests.len() == AT_ONCE {
                record(&digests)?;
                digests.clear();
            }
        }
        record(&digests)?;
        Ok(count)
    }

    /// Compares a file with the digests that were recorded for it.
    pub(crate) fn state_of(
        &self,
        file: &DataFile,
        recorded: Option<&HashSet<Digest>>,
    ) -> Result<DataFileState> {
        let Some(recorded) = recorded else {
            return Ok(match self.size_of(&file.path)? {
                None => DataFileState::Missing,
                Some(bytes) if bytes == file.bytes => DataFileState::Unrecorded,
                Some(_) => DataFileState::Damaged,
            });
        };
        Ok(match self.digest_of(&file.path)? {
            None => DataFileState::Missing,
            Some(digest) if recorded.iter().all(|known| *known == digest) => DataFileState::Whole,
            Some(_) => DataFileState::Damaged,
        })
    }

    /// Reads a data file and returns its digest; `None` if it does not exist.
    pub(crate) fn digest_of(&self, path: &str) -> Result<Option<Digest>> {
        match data::is_remote(path) {
            true => self.read(|connection| digest::of_object(connection, path)),
            false => digest::of_file(path),
        }
    }

    fn size_of(&self, path: &str) -> Result<Option<u64>> {
        match data::is_remote(path) {
            true => self.read(|connection| digest::size_of_object(connection, path)),
            false => digest::size_of_file(path),
        }
    }

    fn is_current(&self, file: &DataFile) -> Result<bool> {
        self.read(|connection| data_files::is_current(connection, file.id))
    }
}
