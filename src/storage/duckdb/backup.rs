//! A copy of a store, made while others write to it.

use std::path::Path;
use std::time::Duration;

use ::duckdb::Connection;
use ::duckdb::arrow::array::{Array as _, RecordBatch};

use super::commit_order::{self, CommitOrder};
use super::engine::files::{self, NewFile};
use super::engine::location::{Location, without_password};
use super::engine::mode::Mode;
use super::logs::long_texts;
use super::open::gates;
use super::store::DuckDbStore;
use super::transaction::read_transaction;
use super::{error, schema};
use crate::models::InvalidValue;
use crate::storage::Result;

/// Counts the logs that are copied before others may write again.
const LOGS_AT_ONCE: i64 = 200_000;

impl DuckDbStore {
    /// Copies the store, as it is at one moment, to a new file, and returns its number of logs.
    ///
    /// Others may read and write meanwhile. None waits longer than it takes to copy 200,000 logs. Nothing is
    /// overwritten.
    ///
    /// ```
    /// use logstore::{DuckDbStore, LogEntry, LogStore};
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let store = DuckDbStore::open(folder.path().join("soc.duckdb"))?;
    /// store.append_logs(&[LogEntry::new(chrono::Utc::now())])?;
    /// assert_eq!(store.backup(folder.path().join("backup.duckdb"))?, 1);
    /// assert_eq!(DuckDbStore::open(folder.path().join("backup.duckdb"))?.stats()?.logs, 1);
    /// # Ok::<(), logstore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::WriteFailed`](crate::Error::WriteFailed) if the file exists already or cannot be created.
    pub fn backup(&self, file: impl AsRef<Path>) -> Result<u64> {
        if self.is_lake() {
            let reason =
                "only a store in a file can be backed up so: copy the data of a lake, and dump its catalog";
            return Err(InvalidValue::new("store to back up", self.location(), reason).into());
        }
        let Location::File(file) = Location::parse(file.as_ref())? else {
            let reason = "a backup is a file: logstore copy makes a lake of a store";
            return Err(error::not_written(
                without_password(&file.as_ref().to_string_lossy()),
                reason,
            ));
        };
        let file = files::canonical(&file)?;
        let exists = || error::not_written(&file, "the file exists already: remove it or name another");
        if file.exists() {
            return Err(exists());
        }
        loop {
            let new = NewFile::beside(&file)?;
            let Some(copied) = self.copy_to(&new)? else {
                log::info!("copying {} again: logs were deleted meanwhile", self.location);
                continue;
            };
            return match new.persist()? {
                true => Ok(copied),
                false => Err(exists()),
            };
        }
    }

    /// Returns the number of copied logs; `None` if some of them were deleted meanwhile.
    fn copy_to(&self, file: &NewFile) -> Result<Option<u64>> {
        let gate = gates::of_new_file(&file.path(), self.gate.settings());
        let target = gate.lease(Mode::Write, Duration::ZERO)?;
        let target = target.connection();
        schema::create_tables(target)?;
        let (mut seq, mut copied) = (0, 0);
        while let Some(next) = self.read(|source| end_of_long_texts(source, seq))? {
            let slice = format!("seq > {seq} AND seq <= {next}");
            copied += self.read(|source| copy_rows(source, target, "log_rows", &slice))?;
            begin_row_group(target)?;
            seq = next;
        }
        while self.read(commit_order::last_seq)? - seq > LOGS_AT_ONCE {
            let next = seq + LOGS_AT_ONCE;
            let slice = format!("seq > {seq} AND seq <= {next}");
            copied += self.read(|source| copy_rows(source, target, "log_rows", &slice))?;
            seq = next;
        }
        self.read(|source| {
            read_transaction(source, "copy the store", |source| {
                copy_rest(source, target, seq, copied)
            })
        })
    }
}

/// Returns the last of the logs after a sequence number that are copied together if texts are long.
///
/// Returns `None` if texts are not long, or if the rest fits together.
fn end_of_long_texts(source: &Connection, seq: i64) -> Result<Option<i64>> {
    let last = commit_order::last_seq(source)?;
    if last <= seq || !long_texts::need_measuring(CommitOrder::Counter, source, schema::LOG_TEXTS) {
        return Ok(None);
    }
    let limit = usize::try_from(LOGS_AT_ONCE).unwrap_or(usize::MAX);
    let (count, end) = long_texts::first_of(source, seq + 1..=last, limit, schema::LOG_TEXTS)?;
    Ok((count > 0 && end < last).then_some(end))
}

/// Ends a row group, so that the next rows begin another one.
fn begin_row_group(target: &Connection) -> Result<()> {
    long_texts::keep_apart(target, usize::MAX);
    let written = target.execute_batch("CHECKPOINT");
    written.map_err(|error| error::engine("copy the store", error))
}

/// Copies the logs after a sequence number, and every other table.
fn copy_rest(source: &Connection, target: &Connection, seq: i64, copied: u64) -> Result<Option<u64>> {
    let copied = copied + copy_rows(source, target, "log_rows", &format!("seq > {seq}"))?;
    let counted = source.query_row("SELECT count(*) FROM logs", [], |row| row.get(0));
    let there: u64 = counted.map_err(|error| error::engine("count logs", error))?;
    if copied != there {
        return Ok(None);
    }
    for table in schema::TABLES.into_iter().filter(|table| *table != "log_rows") {
        copy_rows(source, target, table, "true")?;
    }
    Ok(Some(copied))
}

/// Copies rows of a table, and returns their number.
fn copy_rows(source: &Connection, target: &Connection, table: &str, condition: &str) -> Result<u64> {
    let failed = |error| error::engine("copy the store", error);
    let columns = schema::column_list(target, table)?;
    // The copy keeps the order of the rows.
    let sql = format!("SELECT {columns} FROM {table} WHERE {condition} ORDER BY rowid");
    let mut statement = source.prepare(&sql).map_err(failed)?;
    drop(statement.stream_arrow([]).map_err(failed)?);
    let mut appender = target.appender(table).map_err(failed)?;
    let mut copied = 0;
    while let Some(chunk) = statement.step().map_err(failed)? {
        copied += chunk.len() as u64;
        appender
            .append_record_batch(RecordBatch::from(chunk))
            .map_err(failed)?;
    }
    appender.flush().map_err(failed)?;
    Ok(copied)
}
