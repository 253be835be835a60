//! Blocks of logs with their filters, written in the transaction of the logs.
//!
//! A commit to a lake learns its snapshot only when it is done. So its blocks have the places of the logs in it, and
//! belong to the same snapshot. Those that maintenance makes later have sequence numbers. Either way, a commit of logs has
//! blocks for all of its logs, or none.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ::duckdb::arrow::array::{ArrayRef, AsArray as _, BinaryArray, BooleanArray, Int16Array, Int64Array};
use ::duckdb::arrow::datatypes::Int64Type;
use ::duckdb::{Connection, params};

use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::error;
use crate::storage::duckdb::rows::decode;
use crate::storage::duckdb::rows::encode::LogRows;
use crate::storage::duckdb::sql::staged::{ROW_GROUP, StagedRows};
use crate::storage::duckdb::sql::statement::{self, Sql, for_each_chunk_or};
use crate::storage::duckdb::words::VERSION;
use crate::storage::duckdb::words::collected::{ChunkWords, Keys};
use crate::storage::duckdb::words::filter::{ENOUGH_KEYS, Filter, PARTS};

pub(crate) const ACTION: &str = "store the words of logs";

/// Counts the logs that a block has at least. A filter of fewer would be larger than they are.
pub(crate) const FEWEST_LOGS: usize = 2_048;

/// Counts the blocks whose slices fill a row group.
const SORTED_TOGETHER: usize = ROW_GROUP / PARTS;

/// Counts sequence numbers.
pub(crate) fn length(seqs: &RangeInclusive<i64>) -> i64 {
    seqs.end().saturating_sub(*seqs.start()).saturating_add(1)
}

/// Returns whether there are fewer logs than a block has.
pub(crate) fn is_few(seqs: &RangeInclusive<i64>) -> bool {
    // Without logs, the length may be less than none.
    usize::try_from(length(seqs)).map_or(true, |length| length < FEWEST_LOGS)
}

/// Holds logs that follow one another, and what they hold.
pub(crate) struct Block {
    pub(crate) seqs: RangeInclusive<i64>,
    pub(crate) filter: Filter,
}

impl Block {
    pub(crate) fn new(seqs: RangeInclusive<i64>) -> Self {
        Self {
            seqs,
            filter: Filter::new(),
        }
    }

    /// Adds the logs of the block before or after this one.
    pub(crate) fn merge(&mut self, other: &Self) {
        let start = *self.seqs.start().min(other.seqs.start());
        self.seqs = start..=*self.seqs.end().max(other.seqs.end());
        self.filter.merge(&other.filter);
    }

    /// Adds the next logs with their keys.
    fn extend(&mut self, logs: i64, words: &ChunkWords) {
        let first = self.seqs.end() + 1;
        self.seqs = *self.seqs.start()..=self.seqs.end() + logs;
        self.add_logs(first..=*self.seqs.end(), &words.keys);
        self.filter.add_trigrams(&words.trigrams);
    }

    /// Adds the keys of some of its logs.
    pub(crate) fn add_logs(&mut self, seqs: RangeInclusive<i64>, keys: &Keys) {
        self.filter.start(seqs);
        match keys {
            Keys::These(keys) => keys.iter().for_each(|key| self.filter.add(*key)),
            Keys::All => self.filter.fill(),
        }
    }

    /// Says whether the filter has room for more keys.
    fn has_room_for(&self, keys: &Keys) -> bool {
        match keys {
            Keys::These(keys) => self.filter.keys().saturating_add(keys.len()) <= ENOUGH_KEYS,
            Keys::All => false,
        }
    }
}

/// Returns the blocks of rows with ascending sequence numbers; none if the rows are too few.
pub(crate) fn of_rows(rows: &LogRows, first_seq: i64) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut next = first_seq;
    for (logs, words) in rows.words_of_chunks() {
        let logs = i64::try_from(logs).unwrap_or(i64::MAX);
        match blocks.last_mut() {
            Some(block) if block.has_room_for(&words.keys) => block.extend(logs, words),
            _ => {
                let mut block = Block::new(next..=next - 1);
                block.extend(logs, words);
                blocks.push(block);
            }
        }
        next += logs;
    }
    // The last logs are too few for a filter of their own.
    if let Some(last) = blocks.pop_if(|last| is_few(&last.seqs))
        && let Some(block) = blocks.last_mut()
    {
        block.merge(&last);
    }
    blocks
}

/// Stores blocks in the open transaction.
pub(crate) fn store(connection: &Connection, order: CommitOrder, blocks: &[Block]) -> Result<()> {
    if blocks.is_empty() {
        return Ok(());
    }
    // The rows of a lake stay with their commit.
    if order == CommitOrder::Counter {
        sort_if_enough(connection)?;
    }
    let staged = StagedRows::of(ACTION, blocks, |blocks| {
        let column = |value: fn(&Block) -> i64| -> ArrayRef {
            Arc::new(
                blocks
                    .iter()
                    .map(|block| Some(value(block)))
                    .collect::<Int64Array>(),
            )
        };
        let unsorted = blocks.iter().map(|_| Some(false));
        vec![
            ("first_seq", column(|block| *block.seqs.start())),
            ("last_seq", column(|block| *block.seqs.end())),
            ("version", column(|_| VERSION)),
            ("is_sorted", Arc::new(unsorted.collect::<BooleanArray>())),
        ]
    })?;
    staged.insert_into(
        connection,
        ACTION,
        "log_blocks",
        "first_seq, last_seq, version, is_sorted",
    )?;
    let slices = blocks.iter().flat_map(|block| {
        let parts = block.filter.parts(&block.seqs);
        parts.map(|(number, words)| {
            (
                *block.seqs.start(),
                i16::try_from(number).unwrap_or(i16::MAX),
                words,
            )
        })
    });
    let mut slices: Vec<_> = slices.collect();
    // A search reads the same slice of all blocks.
    slices.sort_by_key(|(_, slice, _)| *slice);
    insert_slices(connection, &slices)
}

fn insert_slices<W: AsRef<[u8]>>(connection: &Connection, slices: &[(i64, i16, W)]) -> Result<()> {
    if slices.is_empty() {
        return Ok(());
    }
    let staged = StagedRows::of(ACTION, slices, |slices| {
        let first_seqs: Int64Array = slices.iter().map(|(first_seq, ..)| Some(*first_seq)).collect();
        let numbers: Int16Array = slices.iter().map(|(_, slice, _)| Some(*slice)).collect();
        let words: BinaryArray = slices.iter().map(|(.., words)| Some(words.as_ref())).collect();
        vec![
            ("first_seq", Arc::new(first_seqs) as ArrayRef),
            ("slice", Arc::new(numbers)),
            ("words", Arc::new(words)),
        ]
    })?;
    staged.insert_into(connection, ACTION, "block_words", "first_seq, slice, words")
}

/// Writes the slices of unsorted blocks again in the order of their numbers, once they fill a row group.
///
/// A search reads the same slice of all blocks. Of sorted ones, it reads a few neighbours.
fn sort_if_enough(connection: &Connection) -> Result<()> {
    const SLICES_OF: &str = "SELECT first_seq, slice, words FROM block_words
        WHERE first_seq IN (SELECT first_seq FROM log_blocks WHERE NOT is_sorted AND first_seq BETWEEN ? AND ?)
        ORDER BY slice, first_seq";
    const DELETE: &str = "DELETE FROM block_words
        WHERE first_seq IN (SELECT first_seq FROM log_blocks WHERE NOT is_sorted AND first_seq BETWEEN ? AND ?)";
    const MARK: &str = "UPDATE log_blocks SET is_sorted = true WHERE first_seq BETWEEN ? AND ?";
    let failed = |error| error::engine(ACTION, error);
    let unsorted: Vec<i64> = statement::query_all(
        connection,
        "SELECT first_seq FROM log_blocks WHERE NOT is_sorted ORDER BY first_seq",
        [],
        |row| row.get(0),
    )
    .map_err(failed)?;
    let Some([first, .., last]) = unsorted.get(..SORTED_TOGETHER) else {
        return Ok(());
    };
    let span = params![first, last];
    let slices = statement::query_all(connection, SLICES_OF, span, |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    let slices: Vec<(i64, i16, Vec<u8>)> = slices.map_err(failed)?;
    connection.execute(DELETE, span).map_err(failed)?;
    connection.execute(MARK, span).map_err(failed)?;
    insert_slices(connection, &slices)
}

/// Forgets the blocks of logs that are changed. They are searched until they have a block again.
pub(crate) fn forget(connection: &Connection, seqs: RangeInclusive<i64>) -> Result<()> {
    const WORDS: &str = "DELETE FROM block_words
        WHERE first_seq IN (SELECT first_seq FROM log_blocks WHERE last_seq >= ? AND first_seq <= ?)";
    const BLOCKS: &str = "DELETE FROM log_blocks WHERE last_seq >= ? AND first_seq <= ?";
    for sql in [WORDS, BLOCKS] {
        let deleted = connection.execute(sql, params![seqs.start(), seqs.end()]);
        deleted.map_err(|error| error::engine(ACTION, error))?;
    }
    Ok(())
}

/// Forgets the blocks that end before a sequence number.
pub(crate) fn forget_before(connection: &Connection, order: CommitOrder, first: i64) -> Result<()> {
    let (first_seq, last_seq) = (order.seq_sql("first_seq"), order.seq_sql("last_seq"));
    for table in ["block_words", "log_blocks"] {
        let sql = format!(
            "DELETE FROM {table} WHERE {first_seq} IN (SELECT {first_seq} FROM log_blocks WHERE {last_seq} < ?)"
        );
        let deleted = connection.execute(&sql, [first]);
        deleted.map_err(|error| error::engine(ACTION, error))?;
    }
    Ok(())
}

/// Stores what blocks have with a number again, by their first sequence numbers.
pub(crate) fn replace_part(connection: &Connection, number: usize, parts: &[(i64, Vec<u8>)]) -> Result<()> {
    let number = i16::try_from(number).unwrap_or(i16::MAX);
    for (first_seq, _) in parts {
        let sql = "DELETE FROM block_words WHERE first_seq = ? AND slice = ?";
        let deleted = connection.execute(sql, params![first_seq, number]);
        deleted.map_err(|error| error::engine(ACTION, error))?;
    }
    let parts: Vec<_> = parts
        .iter()
        .map(|(first_seq, part)| (*first_seq, number, part))
        .collect();
    insert_slices(connection, &parts)
}

/// Gives what a query yields of blocks to `take`: a first sequence number, and what is stored of its block.
pub(crate) fn for_each_stored(
    connection: &Connection,
    sql: &Sql,
    mut take: impl FnMut(i64, Option<&[u8]>),
) -> Result<()> {
    let failed = |error| error::engine("search the words of logs", error);
    for_each_chunk_or(connection, sql, failed, |chunk| {
        let seqs = chunk.column(0).as_primitive_opt::<Int64Type>();
        let seqs = seqs.ok_or_else(|| error::corrupt("a sequence number is no number"))?;
        for (seq, stored) in seqs.iter().zip(decode::bytes(&chunk, 1)?) {
            if let Some(seq) = seq {
                take(seq, stored);
            }
        }
        Ok(true)
    })
}

/// Gives the stored slices of a block to `take`, with their numbers.
pub(crate) fn each_slice(
    connection: &Connection,
    order: CommitOrder,
    first_seq: i64,
    mut take: impl FnMut(usize, &[u8]),
) -> Result<()> {
    let sql = format!(
        "SELECT slice, words FROM block_words WHERE {} = ?",
        order.seq_sql("first_seq")
    );
    let read = statement::query_all(connection, &sql, [first_seq], |row| {
        Ok((row.get::<_, i16>(0)?, row.get::<_, Vec<u8>>(1)?))
    });
    for (slice, words) in read.map_err(|error| error::engine("read the words of logs", error))? {
        take(usize::try_from(slice).unwrap_or(usize::MAX), &words);
    }
    Ok(())
}

/// Returns the last sequence number that is in a block with keys of this version; 0 without any.
pub(crate) fn stored_until(connection: &Connection) -> Result<i64> {
    let sql = "SELECT coalesce(max(last_seq), 0) FROM log_blocks WHERE version = ?";
    let read = connection.query_row(sql, [VERSION], |row| row.get(0));
    read.map_err(|error| error::engine(ACTION, error))
}

/// Returns the first sequence number of the first block that starts at one or after it, with keys of this version.
pub(crate) fn stored_from(connection: &Connection, seq: i64) -> Result<Option<i64>> {
    let sql = "SELECT min(first_seq) FROM log_blocks WHERE version = ? AND first_seq >= ?";
    let read = connection.query_row(sql, params![VERSION, seq], |row| row.get(0));
    read.map_err(|error| error::engine(ACTION, error))
}

/// Returns the stored blocks with keys of this version, in the order of their logs.
pub(crate) fn stored(connection: &Connection, order: CommitOrder) -> Result<Vec<RangeInclusive<i64>>> {
    let sql = format!(
        "SELECT {} AS first, {} AS last FROM log_blocks WHERE version = ? ORDER BY first, last",
        order.seq_sql("first_seq"),
        order.seq_sql("last_seq")
    );
    let read = statement::query_all(connection, &sql, [VERSION], |row| Ok(row.get(0)?..=row.get(1)?));
    read.map_err(|error| error::engine(ACTION, error))
}
