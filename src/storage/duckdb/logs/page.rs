//! Pages: logs in the order of their commits, after a cursor.

use ::duckdb::{Connection, params_from_iter};

use super::long_texts;
use super::plan::select_logs;
use crate::storage::duckdb::commit_order::{self, CommitOrder};
use crate::storage::duckdb::engine::location::Location;
use crate::storage::duckdb::lake::{history, snapshot};
use crate::storage::duckdb::rows::decode;
use crate::storage::duckdb::sql::statement::{self, Sql, for_each_chunk};
use crate::storage::duckdb::transaction::read_transaction;
use crate::storage::duckdb::{error, schema, seq};
use crate::storage::{Cursor, LogPage, Result};

/// Reads the first logs after a cursor.
pub(crate) fn after(
    location: &Location,
    connection: &Connection,
    log_texts: &str,
    cursor: Cursor,
    limit: usize,
) -> Result<LogPage> {
    match CommitOrder::of(location) {
        CommitOrder::Counter => page_of_file(connection, log_texts, cursor, limit),
        // The queries of a page must see the same snapshot.
        CommitOrder::Snapshots => read_transaction(connection, "read logs", |connection| {
            let last = snapshot::snapshot(connection)?;
            let seen = history::check(connection, location, cursor, last)?;
            let page = page_of_lake(connection, cursor, last, limit)?;
            Ok(LogPage {
                next: page.next.having_seen(seen),
                ..page
            })
        }),
    }
}

/// Returns the cursor after all logs.
pub(crate) fn end(location: &Location, connection: &Connection) -> Result<Cursor> {
    match CommitOrder::of(location) {
        CommitOrder::Counter => Ok(Cursor::after(commit_order::last_seq(connection)?)),
        CommitOrder::Snapshots => read_transaction(connection, "read the last position", |connection| {
            let last = snapshot::snapshot(connection)?;
            let end = Cursor::after(seq::end_of_snapshot(last));
            Ok(end.having_seen(history::check(connection, location, end, last)?))
        }),
    }
}

fn page_of_file(connection: &Connection, log_texts: &str, cursor: Cursor, limit: usize) -> Result<LogPage> {
    let last = commit_order::last_seq(connection)?;
    if last <= cursor.seq() {
        return Ok(LogPage::empty(cursor));
    }
    let texts = Texts::new(connection, log_texts);
    let page_until = |until: i64| texts.page(connection, cursor, until, limit);
    // Numbers are missing only where logs were deleted. Without such a gap, the engine need not look at all logs to
    // find the first ones.
    let until = cursor
        .seq()
        .saturating_add(i64::try_from(limit).unwrap_or(i64::MAX));
    let first = page_until(until)?;
    let is_enough = first.logs.len() == limit || texts.are_measured && !first.logs.is_empty();
    let page = match is_enough || until >= last {
        true => first,
        false => page_until(last)?,
    };
    Ok(LogPage {
        is_last: page.logs.is_empty() || page.next.seq() >= last,
        ..page
    })
}

/// Describes the texts of the logs of a file or in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts<'a> {
    log_texts: &'a str,
    /// Says whether they are measured before they are read, because some are long.
    pub(crate) are_measured: bool,
}

impl<'a> Texts<'a> {
    pub(crate) fn new(connection: &Connection, log_texts: &'a str) -> Self {
        Self {
            log_texts,
            are_measured: long_texts::need_measuring(CommitOrder::Counter, connection, log_texts),
        }
    }

    /// Reads the first logs after a cursor up to a sequence number: up to a limit, and fewer if they are long.
    pub(crate) fn page(
        &self,
        connection: &Connection,
        cursor: Cursor,
        until: i64,
        limit: usize,
    ) -> Result<LogPage> {
        let limit = match self.are_measured {
            true => long_texts::first_of(connection, cursor.seq() + 1..=until, limit, self.log_texts)?.0,
            false => limit,
        };
        let mut sql = select_logs(self.log_texts);
        sql.push("\nWHERE seq > ");
        sql.bind(cursor.seq());
        sql.push(" AND seq <= ");
        sql.bind(until);
        let has_room_for_all =
            usize::try_from(until.saturating_sub(cursor.seq())).is_ok_and(|all| all <= limit);
        match has_room_for_all {
            true => page_of_all(connection, &sql, cursor),
            false => page(connection, sql, cursor, limit),
        }
    }
}

/// Returns the first logs after a cursor up to the last snapshot, by the snapshots that added them.
///
/// Files know their snapshots, so that only new files are read. Logs keep their snapshots when files are merged and
/// snapshots expire.
fn page_of_lake(connection: &Connection, cursor: Cursor, last: i64, limit: usize) -> Result<LogPage> {
    let end = Cursor::after(seq::end_of_snapshot(last));
    if end <= cursor {
        return Ok(LogPage::empty(cursor));
    }
    let Some(until) = snapshot_with(connection, cursor, last, limit)? else {
        return Ok(LogPage::empty(end));
    };
    let mut sql = select_logs(schema::LOG_TEXTS);
    sql.append(after_in_lake(cursor, until));
    let page = page(connection, sql, cursor, limit)?;
    match page.logs.len() < limit {
        true => Ok(LogPage { next: end, ..page }),
        false => Ok(LogPage {
            is_last: page.next >= end,
            ..page
        }),
    }
}

/// Returns ` WHERE ...` for the logs after a cursor up to a snapshot, over a lake's `log_texts`.
fn after_in_lake(cursor: Cursor, until: i64) -> Sql {
    let first = seq::snapshot_of(cursor.seq());
    let mut sql = Sql::new("\nWHERE snapshot_id >= ");
    sql.bind(first);
    sql.push(" AND snapshot_id <= ");
    sql.bind(until);
    sql.push(" AND (snapshot_id > ");
    sql.bind(first);
    sql.push(" OR place > ");
    sql.bind(cursor.seq() - first * seq::LOGS_OF_SNAPSHOT);
    sql.push(")");
    sql
}

/// Returns the first snapshot up to which there are enough logs after a cursor, else the last one.
///
/// Returns `None` if there are no logs at all. To sort all remaining logs for each page would take longer the more
/// there are.
fn snapshot_with(connection: &Connection, cursor: Cursor, last: i64, wanted: usize) -> Result<Option<i64>> {
    const FIRST_LOOK: i64 = 64;
    let first = seq::snapshot_of(cursor.seq());
    let mut look = FIRST_LOOK;
    let mut has_any = false;
    loop {
        let until = last.min(first.saturating_add(look));
        let mut sql = Sql::new("SELECT snapshot_id, count(*)\nFROM log_texts");
        sql.append(after_in_lake(cursor, until));
        sql.push("\nGROUP BY snapshot_id\nORDER BY snapshot_id");
        let counted: Vec<(i64, usize)> =
            statement::query_all(connection, &sql.text, params_from_iter(&sql.values), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .map_err(|error| error::engine("read logs", error))?;
        has_any |= !counted.is_empty();
        let mut found = 0_usize;
        for (snapshot, count) in counted {
            found = found.saturating_add(count);
            if found >= wanted {
                return Ok(Some(snapshot));
            }
        }
        if until == last {
            return Ok(has_any.then_some(last));
        }
        look = look.saturating_mul(16);
    }
}

/// Returns a page of the first logs of a query, in the order of their commits.
fn page(connection: &Connection, mut sql: Sql, cursor: Cursor, limit: usize) -> Result<LogPage> {
    sql.push("\nORDER BY seq");
    sql.limit(Some(limit as u64));
    page_of_all(connection, &sql, cursor)
}

/// Returns a page of all logs of a query, in the order of their commits.
///
/// The engine yields them nearly in this order. It would copy all of their texts to sort them.
fn page_of_all(connection: &Connection, sql: &Sql, cursor: Cursor) -> Result<LogPage> {
    let mut logs = Vec::new();
    for_each_chunk(connection, sql, |chunk| {
        logs.append(&mut decode::logs(&chunk)?);
        Ok(true)
    })?;
    if !logs.is_sorted_by_key(|(seq, _)| *seq) {
        logs.sort_unstable_by_key(|(seq, _)| *seq);
    }
    let next = logs.last().map_or(cursor, |(seq, _)| Cursor::after(*seq));
    Ok(LogPage {
        logs: logs.into_iter().map(|(_, log)| log).collect(),
        ..LogPage::empty(next)
    })
}
