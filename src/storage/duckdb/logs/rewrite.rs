//! Replaces stored logs, and keeps their places in the order of commits.

use std::ops::RangeInclusive;

use ::duckdb::{Connection, params};

use super::{blocks, long_texts, page};
use crate::models::{InvalidValue, LogEntry};
use crate::storage::duckdb::error;
use crate::storage::duckdb::rows::encode::LogRows;
use crate::storage::duckdb::sql::statement;
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::{Cursor, Result};

const ACTION: &str = "replace logs";

/// Describes a part of a store whose logs were replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rewritten {
    pub(crate) read: u64,
    pub(crate) changed: u64,
    /// Counts the logs that `change` cannot read.
    pub(crate) unreadable: u64,
    /// Marks where the next part begins; `None` at the end of the store.
    pub(crate) next: Option<Cursor>,
}

/// Says what becomes of a log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    None,
    /// Means that the log stays as it is, because it does not say enough to be read again.
    Unreadable,
    To(Box<LogEntry>),
}

impl DuckDbStore {
    /// Replaces logs after a cursor by what `change` makes of them, in one transaction.
    ///
    /// Each log keeps its id and its place, so that no consumer is given it again.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for a lake: there, the place of a log is the commit that stored it.
    pub(crate) fn rewrite_logs(
        &self,
        cursor: Cursor,
        limit: usize,
        is_dry_run: bool,
        change: &dyn Fn(&LogEntry) -> Change,
    ) -> Result<Rewritten> {
        if self.is_lake() {
            let reason = "a lake numbers its logs by their commits, so that consumers would be given replaced ones again: \
                          ingest the files into a new lake";
            return Err(InvalidValue::new("store", self.location(), reason).into());
        }
        let rewrite = |connection: &Connection| {
            let page = page::after(self.gate.location(), connection, self.log_texts, cursor, limit)?;
            let read = page.logs.len() as u64;
            let next = (read > 0).then_some(page.next);
            let changes: Vec<Change> = page.logs.iter().map(change).collect();
            let count = |is: fn(&Change) -> bool| changes.iter().filter(|change| is(change)).count() as u64;
            let changed = count(|change| matches!(change, Change::To(_)));
            let unreadable = count(|change| *change == Change::Unreadable);
            if changed > 0 && !is_dry_run {
                let both = page.logs.into_iter().zip(changes);
                let after = |(log, change)| match change {
                    Change::To(new) => *new,
                    Change::None | Change::Unreadable => log,
                };
                let logs: Vec<LogEntry> = both.map(after).collect();
                let seqs = cursor.seq() + 1..=page.next.seq();
                replace(connection, &seqs, &LogRows::new(&logs)?)?;
                blocks::forget(connection, seqs)?;
            }
            Ok(Rewritten {
                read,
                changed,
                unreadable,
                next,
            })
        };
        match is_dry_run {
            true => self.read(rewrite),
            false => self.write(ACTION, rewrite),
        }
    }
}

/// Replaces the logs with these sequence numbers by rows, one for each of them.
///
/// All are written again, so that they stay next to each other.
pub(crate) fn replace(connection: &Connection, seqs: &RangeInclusive<i64>, rows: &LogRows) -> Result<()> {
    let failed = |error| error::engine(ACTION, error);
    long_texts::keep_apart(connection, rows.longest_text());
    let span = params![seqs.start(), seqs.end()];
    let numbers = "SELECT seq FROM log_rows WHERE seq BETWEEN ? AND ? ORDER BY seq";
    let numbers: Vec<i64> =
        statement::query_all(connection, numbers, span, |row| row.get(0)).map_err(failed)?;
    if numbers.len() != rows.len() {
        let (found, given) = (numbers.len(), rows.len());
        return Err(error::corrupt(format!(
            "{found} logs were to be replaced by {given}"
        )));
    }
    let delete = "DELETE FROM log_rows WHERE seq BETWEEN ? AND ?";
    connection.execute(delete, span).map_err(failed)?;
    rows.insert(connection, numbers)
}
