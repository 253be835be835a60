//! Appends logs, each once, with the positions of the files that they were read from.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use ::duckdb::Connection;

use super::blocks::FEWEST_LOGS;
use super::{cover, long_texts};
use crate::models::{FilePosition, FileProgress, LogEntry};
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::error;
use crate::storage::duckdb::lake::create;
use crate::storage::duckdb::rows::encode::LogRows;
use crate::storage::duckdb::sql::log_id::LogId;
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::duckdb::store::new_files::NewFiles;
use crate::storage::{AppendResult, Error, IngestStore, Result};

impl IngestStore for DuckDbStore {
    fn file_positions(&self) -> Result<Vec<FilePosition>> {
        self.read(|connection| self.all_positions(connection))
    }

    fn append_logs_from_files(&self, logs: &[LogEntry], files: &[FileProgress]) -> Result<AppendResult> {
        self.append_rows_from_files(&rows_of(logs)?, files)
    }
}

/// Makes rows from logs, with their keys if they are enough for a filter.
pub(crate) fn rows_of(logs: &[LogEntry]) -> Result<LogRows> {
    match logs.len() >= FEWEST_LOGS {
        true => LogRows::with_words(logs),
        false => LogRows::new(logs),
    }
}

impl DuckDbStore {
    /// Appends rows that were made from logs before, as
    /// [`append_logs_from_files`](IngestStore::append_logs_from_files) does.
    ///
    /// # Errors
    ///
    /// See there.
    pub(crate) fn append_rows_from_files(
        &self,
        rows: &LogRows,
        files: &[FileProgress],
    ) -> Result<AppendResult> {
        const ACTION: &str = "append logs";
        rows.check_length()?;
        let longest = rows.longest_text();
        let is_small = rows.len() <= create::INLINED_ROWS;
        let new_files = NewFiles::default();
        let append = |connection: &Connection| {
            // The rows of a small commit are in the catalog.
            if !is_small {
                self.note_snapshot(&new_files, connection)?;
            }
            long_texts::keep_apart(connection, longest);
            self.move_on(connection, files)?;
            self.append(connection, rows)
        };
        // To look for few rows and write them takes less time than to check for conflicting commits.
        let appended = match is_small {
            true => self.write(ACTION, append),
            false => self.write_ahead(ACTION, append, |connection, snapshot| {
                self.check_positions(connection, files)?;
                are_stored_since(connection, rows, snapshot)
            }),
        };
        let appended = match appended {
            Err(Error::Conflict { .. })
                if self.read(|connection| self.is_kept(connection, rows, files))? =>
            {
                AppendResult {
                    stored: 0,
                    duplicates: rows.len() as u64,
                }
            }
            appended => appended?,
        };
        self.record_checksums(&new_files);
        let AppendResult {
            stored, duplicates, ..
        } = appended;
        log::debug!(
            stored = stored, duplicates = duplicates, files = files.len();
            "stored a batch: {stored} logs of {} files, {duplicates} duplicates", files.len()
        );
        Ok(appended)
    }

    /// Returns whether an earlier try was kept although its connection broke: the files are where it moved them, and
    /// its rows are stored.
    fn is_kept(&self, connection: &Connection, rows: &LogRows, files: &[FileProgress]) -> Result<bool> {
        let last: HashMap<&str, u64> = files
            .iter()
            .map(|progress| (progress.to.id.as_str(), progress.to.bytes))
            .collect();
        let known = self.bytes_of(connection, files)?;
        let are_moved = last.iter().all(|(id, bytes)| known.get(*id) == Some(bytes));
        Ok(are_moved && stored_keys(connection, rows, "log_rows")?.len() == rows.len())
    }

    /// Appends rows in the open transaction.
    pub(crate) fn append(&self, connection: &Connection, rows: &LogRows) -> Result<AppendResult> {
        if rows.is_empty() {
            return Ok(AppendResult::default());
        }
        let order = self.commit_order();
        let first_seq = order.first_seq(connection, rows.len())?;
        let appended = append_new(connection, rows, first_seq, order)?;
        order.count(connection, appended.stored)?;
        Ok(appended)
    }
}

/// Stores the rows that are not stored yet.
fn append_new(
    connection: &Connection,
    rows: &LogRows,
    first_seq: i64,
    order: CommitOrder,
) -> Result<AppendResult> {
    let insert = |rows: &LogRows| {
        rows.insert(connection, first_seq..)?;
        cover::cover_new(connection, order, rows, first_seq)?;
        Ok::<_, Error>(rows.len() as u64)
    };
    let stored = match without_duplicates(connection, rows)? {
        None => insert(rows)?,
        Some(keeps) => insert(&rows.filtered(&keeps)?)?,
    };
    Ok(AppendResult {
        stored,
        duplicates: rows.len() as u64 - stored,
    })
}

/// Returns which rows to store so that each log is there once; `None` for all of them.
fn without_duplicates(connection: &Connection, rows: &LogRows) -> Result<Option<Vec<bool>>> {
    let known = stored_keys(connection, rows, "log_rows")?;
    // Ids that this crate makes one after another ascend.
    let is_unique = rows.keys().map(|(_, id)| id).is_sorted_by(|a, b| a < b);
    if known.is_empty() && is_unique {
        return Ok(None);
    }
    let mut seen: HashSet<(i64, LogId<'_>)> =
        known.iter().map(|(time, id)| (*time, LogId::new(id))).collect();
    let keeps: Vec<bool> = rows.keys().map(|key| seen.insert(key)).collect();
    Ok(keeps.contains(&false).then_some(keeps))
}

/// Returns whether any of the rows were stored in a lake after a snapshot.
pub(crate) fn are_stored_since(connection: &Connection, rows: &LogRows, snapshot: i64) -> Result<bool> {
    let newer = format!("(SELECT event_time, id, uuid FROM log_rows WHERE snapshot_id > {snapshot})");
    Ok(!stored_keys(connection, rows, &newer)?.is_empty())
}

/// Returns the rows' keys that a table of keys holds already.
///
/// The time span prunes the search to the row groups and files that overlap it.
fn stored_keys(connection: &Connection, rows: &LogRows, stored: &str) -> Result<Vec<(i64, String)>> {
    let failed = |error| error::engine("look for logs that are stored already", error);
    let Some((first, last)) = rows.span().map(RangeInclusive::into_inner) else {
        return Ok(Vec::new());
    };
    // New logs usually share at most a second with stored ones, so that few ids are looked for.
    let shared = format!(
        "SELECT epoch_us(min(event_time)), epoch_us(max(event_time))
        FROM {stored}
        WHERE event_time BETWEEN make_timestamp(?) AND make_timestamp(?)"
    );
    let shared = connection.query_row(&shared, [first, last], |row| Ok((row.get(0)?, row.get(1)?)));
    let (Some(first), Some(last)) = shared.map_err(failed)? else {
        return Ok(Vec::new());
    };
    let Some(ids) = rows.ids(first..=last)? else {
        return Ok(Vec::new());
    };
    // Logs of earlier versions have UUIDs as texts.
    let sql = format!(
        "SELECT epoch_us(event_time), CAST(uuid AS VARCHAR)
        FROM {stored}
        WHERE event_time BETWEEN make_timestamp(?) AND make_timestamp(?)
        AND uuid IN (SELECT uuid FROM {ids})
        UNION ALL
        SELECT epoch_us(event_time), id
        FROM {stored}
        WHERE event_time BETWEEN make_timestamp(?) AND make_timestamp(?)
        AND id IN (SELECT coalesce(id, CAST(uuid AS VARCHAR)) FROM {ids})",
        ids = ids.sql()
    );
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let keys = statement
        .query_map([first, last, first, last], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(failed)?;
    keys.collect::<::duckdb::Result<_>>().map_err(failed)
}
