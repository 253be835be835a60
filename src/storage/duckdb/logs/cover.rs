//! Gives stored logs a block with a filter: those that came in few at a time, were changed, or are from an earlier
//! version.

use std::ops::RangeInclusive;

use ::duckdb::{Connection, params};

use super::blocks::{self, Block, is_few, length};
use super::trigrams;
use crate::models::BorrowedLog;
use crate::storage::Result;
use crate::storage::duckdb::commit_order::{self, CommitOrder};
use crate::storage::duckdb::rows::columns::{LogColumn, READ, READ_SQL};
use crate::storage::duckdb::rows::decode;
use crate::storage::duckdb::rows::encode::LogRows;
use crate::storage::duckdb::sql::statement::{Sql, for_each_chunk};
use crate::storage::duckdb::words::collected::KeyCollector;
use crate::storage::duckdb::words::filter::ENOUGH_KEYS;
use crate::storage::duckdb::words::observables::stretches;
use crate::storage::duckdb::{error, schema};

/// Counts the logs that a block usually has.
pub(crate) const USUAL: i64 = 16_384;

/// Counts the logs of small blocks: of those with many words, and of the last ones.
const LEAST: i64 = USUAL / 8;

/// Limits the logs that are given blocks in one transaction.
pub(crate) const MOST: i64 = 4 * USUAL;

/// Lists the columns of texts that are made of the others, by the rules of the version that stored the log.
const SUMMARY: [LogColumn; 6] = [
    LogColumn::SourceIp,
    LogColumn::DestIp,
    LogColumn::User,
    LogColumn::Process,
    LogColumn::Action,
    LogColumn::Outcome,
];

/// Gives blocks to rows that were inserted with ascending sequence numbers.
///
/// Rows that are too few wait until there are enough of them.
pub(crate) fn cover_new(
    connection: &Connection,
    order: CommitOrder,
    rows: &LogRows,
    first_seq: i64,
) -> Result<()> {
    let mut made = blocks::of_rows(rows, first_seq);
    if order == CommitOrder::Snapshots {
        return blocks::store(connection, order, &made);
    }
    let Some(first) = made.first_mut() else {
        let last_seq = first_seq.saturating_add(i64::try_from(rows.len()).unwrap_or(i64::MAX)) - 1;
        return cover_tail(connection, first_seq..=last_seq);
    };
    // A few logs before them, which would not fill a block, are searched with them.
    let waiting = blocks::stored_until(connection)?.saturating_add(1)..=first_seq - 1;
    if is_few(&waiting) && length(&waiting) > 0 {
        first.merge(&block_of(connection, order, waiting)?);
    }
    blocks::store(connection, order, &made)
}

/// Gives a block to logs that were appended few at a time, once they are enough for one. `seqs` are those of the last
/// append.
///
/// A search looks at each log without a block. So the first blocks are small, and the logs of several are given one again
/// when they are as many as a block usually has.
fn cover_tail(connection: &Connection, seqs: RangeInclusive<i64>) -> Result<()> {
    let end_of = |length: i64| seqs.end() / length * length;
    // Most appends do not look.
    if end_of(LEAST) < *seqs.start() {
        return Ok(());
    }
    // Logs from before this version are for maintenance.
    let mut first = (blocks::stored_until(connection)?.saturating_add(1)).max(seqs.end() - MOST);
    let usual = end_of(USUAL);
    if usual >= *seqs.start() {
        let small = blocks::stored_from(connection, usual - USUAL + 1)?;
        first = small.map_or(first, |small| first.min(small));
    }
    match is_few(&(first..=*seqs.end())) {
        true => Ok(()),
        false => cover(connection, first..=*seqs.end()).map(drop),
    }
}

/// Gives blocks to the first logs that have none, and returns how many; 0 if there are no more.
///
/// Fewer than fill a block stay without one.
pub(crate) fn cover_first(connection: &Connection) -> Result<u64> {
    let last = commit_order::last_seq(connection)?;
    let mut next = first_seq(connection)?;
    for block in blocks::stored(connection, CommitOrder::Counter)? {
        let gap = next..=block.start().saturating_sub(1);
        if length(&gap) > 0 && !is_few(&gap) {
            return cover(connection, gap);
        }
        next = next.max(block.end().saturating_add(1));
    }
    match is_few(&(next..=last)) {
        true => Ok(0),
        false => cover(connection, next..=last),
    }
}

/// Forgets the blocks before the first log.
pub(crate) fn forget_deleted(connection: &Connection) -> Result<()> {
    let first = first_seq(connection)?;
    blocks::forget_before(connection, CommitOrder::Counter, first)
}

fn first_seq(connection: &Connection) -> Result<i64> {
    let sql = "SELECT coalesce(min(seq), (SELECT max(last_seq) + 1 FROM logstore)) FROM log_rows";
    let read = connection.query_row(sql, [], |row| row.get(0));
    read.map_err(|error| error::engine(blocks::ACTION, error))
}

/// Gives blocks to logs with these sequence numbers, up to a limit, and returns how many numbers have one now.
fn cover(connection: &Connection, seqs: RangeInclusive<i64>) -> Result<u64> {
    let last = *seqs.end().min(&(seqs.start() + MOST - 1));
    // Blocks of another version are there no more.
    blocks::forget(connection, *seqs.start()..=last)?;
    let (mut next, mut size) = (*seqs.start(), USUAL);
    let mut made = Vec::new();
    while next <= last {
        let mut end = last.min(next + size - 1);
        if is_few(&(end + 1..=last)) {
            end = last;
        }
        let block = block_of(connection, CommitOrder::Counter, next..=end)?;
        // Lines of other sources have more words, or fewer.
        size = match block.filter.keys() {
            keys if keys > ENOUGH_KEYS => (size / 2).max(LEAST),
            keys if keys < ENOUGH_KEYS / 2 => (size * 2).min(MOST),
            _ => size,
        };
        made.push(block);
        next = end + 1;
    }
    blocks::store(connection, CommitOrder::Counter, &made)?;
    Ok(u64::try_from(last - seqs.start() + 1).unwrap_or_default())
}

/// Makes the block of logs that are stored.
pub(crate) fn block_of(
    connection: &Connection,
    order: CommitOrder,
    seqs: RangeInclusive<i64>,
) -> Result<Block> {
    let mut block = Block::new(seqs.clone());
    let mut collector = KeyCollector::default();
    let mut stretch = stretches(&seqs).next().unwrap_or_else(|| seqs.clone());
    for_each_chunk(connection, &select(order, &seqs), |chunk| {
        let summary = (READ.len()..READ.len() + SUMMARY.len()).map(|column| decode::texts(&chunk, column));
        let summary = summary.collect::<Result<Vec<_>>>()?;
        for (row, (seq, log)) in decode::logs(&chunk)?.into_iter().enumerate() {
            if !stretch.contains(&seq) {
                block.add_logs(stretch.clone(), &collector.finish());
                let next = stretches(&seqs).find(|stretch| stretch.contains(&seq));
                stretch = next.unwrap_or_else(|| seqs.clone());
            }
            collector.add(&BorrowedLog::of_entry(&log), log.metadata.to_text().as_deref());
            for text in summary
                .iter()
                .filter_map(|texts| texts.get(row).copied().flatten())
            {
                collector.add_text(text);
            }
        }
        // Many long texts have many keys.
        block.add_logs(stretch.clone(), &collector.finish());
        Ok(true)
    })?;
    block
        .filter
        .add_trigrams(&trigrams::of_logs(connection, order, &seqs)?);
    Ok(block)
}

/// Returns a number that tells whether the texts that are made of logs were changed.
pub(crate) fn fingerprint(connection: &Connection, seqs: &RangeInclusive<i64>) -> Result<Option<String>> {
    // The engine joins the hashes of several values by XOR, so that a change of all rows alike would change nothing.
    let sql = format!(
        "SELECT CAST(sum(hash(hash(seq, {}))) AS VARCHAR) FROM log_rows WHERE seq BETWEEN ? AND ?",
        summary_sql()
    );
    let read = connection.query_row(&sql, params![seqs.start(), seqs.end()], |row| row.get(0));
    read.map_err(|error| error::engine(blocks::ACTION, error))
}

fn summary_sql() -> String {
    SUMMARY.map(|column| format!("\"{}\"", column.name())).join(", ")
}

fn select(order: CommitOrder, seqs: &RangeInclusive<i64>) -> Sql {
    let summary = summary_sql();
    Sql::new(format!(
        "SELECT {}, {summary}\nFROM {}\nWHERE {}",
        *READ_SQL,
        schema::LOG_TEXTS,
        order.is_within_sql(seqs)
    ))
}

/// Limits the blocks whose filters a check compares with their logs.
const CHECKED: usize = 16;

/// Counts the blocks, of a few, whose filters lack words of their logs.
pub(crate) fn count_wrong(connection: &Connection, order: CommitOrder) -> Result<u64> {
    let stored = blocks::stored(connection, order)?;
    let step = stored.len().div_ceil(CHECKED).max(1);
    let mut wrong = 0;
    for seqs in stored.into_iter().step_by(step) {
        let first_seq = *seqs.start();
        let block = block_of(connection, order, seqs.clone())?;
        let mut is_wrong = false;
        blocks::each_slice(connection, order, first_seq, |number, stored| {
            is_wrong |= block.filter.is_missing_from(number, stored, &seqs);
        })?;
        wrong += u64::from(is_wrong);
    }
    Ok(wrong)
}
