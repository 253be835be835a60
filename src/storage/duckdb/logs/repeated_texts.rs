//! Stores logs again whose texts repeat but have no templates: those of earlier versions, and those that were appended
//! few at a time. An append learns only from its own logs which templates repeat.

use std::ops::RangeInclusive;

use ::duckdb::{Connection, params};

use super::page::Texts;
use super::{blocks, cover, rewrite, trigrams};
use crate::models::{BorrowedLog, LogEntry};
use crate::storage::duckdb::rows::encode::{LogRows, LogRowsBuilder};
use crate::storage::duckdb::rows::template::LONGEST;
use crate::storage::duckdb::rows::templates::{MOST, OFTEN};
use crate::storage::duckdb::sql::statement;
use crate::storage::duckdb::{error, schema};
use crate::storage::{Cursor, Result};

pub(crate) const ACTION: &str = "store texts once";

/// Counts the sequence numbers of a part, whose logs are a row group. The first part starts with number 1.
///
/// The templates of a part are learnt together. So a part that was stored again has few of each without a template.
const PART: i64 = 122_880;

/// Counts the sequence numbers whose logs are read at a time.
const READ: u16 = 16_384;

/// Limits the bytes of text that are stored in one transaction.
const ENOUGH_TEXT: usize = 4 * LogRows::ENOUGH_TEXT;

/// Describes logs that were stored again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredAgain {
    pub(crate) logs: u64,
    /// Holds the last sequence number that was looked at.
    pub(crate) until: i64,
}

/// Returns the parts in which more than a quarter of the logs have no template of their own.
pub(crate) fn parts(connection: &Connection) -> Result<Vec<RangeInclusive<i64>>> {
    const SQL: &str = "SELECT (seq - 1) // ? AS part
        FROM log_rows
        GROUP BY part
        HAVING 4 * (count(*) - count(template)) > count(*)
        ORDER BY part";
    let parts = statement::query_all(connection, SQL, [PART], |row| row.get::<_, i64>(0));
    let parts = parts.map_err(|error| error::engine(ACTION, error))?;
    Ok(parts.into_iter().map(seqs_of).collect())
}

/// Returns the parts that have logs with these sequence numbers.
pub(crate) fn parts_of((first, last): (i64, i64)) -> impl Iterator<Item = RangeInclusive<i64>> {
    (part_of(first)..=part_of(last)).map(seqs_of)
}

fn part_of(seq: i64) -> i64 {
    (seq - 1) / PART
}

fn seqs_of(part: i64) -> RangeInclusive<i64> {
    part * PART + 1..=(part + 1) * PART
}

/// Says whether more than a quarter of the logs of a part would get a template if they were stored again.
///
/// These are logs of earlier versions, which may have one, and logs whose templates repeat in the part.
pub(crate) fn is_worthwhile(connection: &Connection, part: &RangeInclusive<i64>) -> Result<bool> {
    // Of very many templates, not all are learnt.
    let most = MOST / 2;
    let sql = format!(
        "WITH of_part AS (
            SELECT
                variables IS NULL AND identifiers IS NULL AND strlen(coalesce(layout, raw)) <= {LONGEST} AS is_older,
                CASE WHEN variables IS NOT NULL AND template IS NULL THEN hash(layout) END AS layout
            FROM log_rows
            WHERE seq BETWEEN ? AND ?
        ), together AS (
            SELECT count(*) AS logs FROM of_part WHERE layout IS NOT NULL GROUP BY layout
        ), repeated AS (
            SELECT CASE WHEN count(*) < {most} THEN sum(logs - {OFTEN}) FILTER (logs > {OFTEN}) END AS logs
            FROM together
        )
        SELECT 4 * (count(*) FILTER (is_older) + coalesce((SELECT logs FROM repeated), 0)) > count(*) FROM of_part"
    );
    let read = connection.query_row(&sql, params![part.start(), part.end()], |row| row.get(0));
    read.map_err(|error| error::engine(ACTION, error))
}

/// Stores the first logs of a part again, in the open transaction. `builder` knows the templates of those before them.
///
/// They keep their sequence numbers and the filters of their words.
pub(crate) fn store_again(
    connection: &Connection,
    seqs: &RangeInclusive<i64>,
    builder: &mut LogRowsBuilder,
) -> Result<StoredAgain> {
    let Some((rows, until)) = read(connection, seqs, builder)? else {
        return Ok(StoredAgain {
            logs: 0,
            until: *seqs.end(),
        });
    };
    let seqs = *seqs.start()..=until;
    let summary = cover::fingerprint(connection, &seqs)?;
    rewrite::replace(connection, &seqs, &rows)?;
    // What an earlier version made of a log may be something else than what this one makes of it.
    if summary != cover::fingerprint(connection, &seqs)? {
        blocks::forget(connection, seqs.clone())?;
    }
    trigrams::renew(connection, &seqs)?;
    Ok(StoredAgain {
        logs: rows.len() as u64,
        until,
    })
}

/// Makes rows of the first logs with these sequence numbers, and returns them with the last number.
///
/// Returns `None` if a log was written by another program, so that its fields would be written in another way.
fn read(
    connection: &Connection,
    seqs: &RangeInclusive<i64>,
    builder: &mut LogRowsBuilder,
) -> Result<Option<(LogRows, i64)>> {
    let texts = Texts::new(connection, schema::LOG_TEXTS);
    let mut rows = LogRows::default();
    let mut cursor = Cursor::after(seqs.start() - 1);
    while cursor.seq() < *seqs.end() && rows.length() < ENOUGH_TEXT {
        let until = *seqs.end().min(&(cursor.seq() + i64::from(READ)));
        let page = texts.page(connection, cursor, until, usize::from(READ))?;
        if !page.logs.iter().all(are_fields_kept) {
            return Ok(None);
        }
        for log in &page.logs {
            builder.push(&BorrowedLog::of_entry(log));
        }
        rows.append(builder.finish());
        let has_long_texts = texts.are_measured && !page.logs.is_empty() && page.next.seq() < until;
        if has_long_texts {
            return Ok(Some((rows, page.next.seq())));
        }
        cursor = Cursor::after(until);
    }
    Ok(Some((rows, cursor.seq())))
}

/// Says whether the fields of a log are written as they are stored.
fn are_fields_kept(log: &LogEntry) -> bool {
    log.normalized.is_as_written() && log.metadata.is_as_written()
}
