//! The trigrams of blocks: made again where logs are stored in another form, and read by searches. See
//! [`trigrams`](crate::storage::duckdb::words::trigrams).

use std::collections::HashMap;
use std::ops::RangeInclusive;

use ::duckdb::Connection;

use super::blocks;
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::rows::columns::LogColumn;
use crate::storage::duckdb::rows::values::{self, VALUES};
use crate::storage::duckdb::schema;
use crate::storage::duckdb::sql::statement::{Sql, for_each_chunk};
use crate::storage::duckdb::words::filter::TRIGRAMS;
use crate::storage::duckdb::words::trigrams::{Reader, Trigrams};

/// Makes the trigrams of the blocks of logs again, which are stored in another form.
pub(crate) fn renew(connection: &Connection, seqs: &RangeInclusive<i64>) -> Result<()> {
    let stored = blocks::stored(connection, CommitOrder::Counter)?.into_iter();
    let renewed = stored.filter(|block| block.end() >= seqs.start() && block.start() <= seqs.end());
    let made = renewed.map(|block| {
        let trigrams = of_logs(connection, CommitOrder::Counter, &block)?;
        Ok((*block.start(), trigrams.stored()))
    });
    blocks::replace_part(connection, TRIGRAMS, &made.collect::<Result<Vec<_>>>()?)
}

/// Returns SQL for a column as it is stored, in the view `log_texts`.
fn stored_sql(column: LogColumn) -> String {
    match column {
        LogColumn::Id | LogColumn::Raw | LogColumn::Message | LogColumn::Timestamp => {
            format!("\"stored_{}\"", column.name())
        }
        _ => format!("\"{}\"", column.name()),
    }
}

/// Returns the trigrams of the values of logs with these sequence numbers.
pub(super) fn of_logs(
    connection: &Connection,
    order: CommitOrder,
    seqs: &RangeInclusive<i64>,
) -> Result<Trigrams> {
    let columns = VALUES.map(stored_sql).join(", ");
    let sql = Sql::new(format!(
        "SELECT {columns} FROM {} WHERE {}",
        schema::LOG_TEXTS,
        order.is_within_sql(seqs)
    ));
    let mut trigrams = Trigrams::new();
    for_each_chunk(connection, &sql, |chunk| {
        values::add_trigrams(&chunk, VALUES.into_iter(), &mut trigrams)?;
        Ok(true)
    })?;
    Ok(trigrams)
}

/// Says of each block, by its first sequence number, which of some parts of texts no value of it has. A block without
/// trigrams may have each.
pub(super) fn lacking(
    connection: &Connection,
    order: CommitOrder,
    parts: &[Vec<u32>],
) -> Result<HashMap<i64, Vec<bool>>> {
    let (mut of_blocks, mut reader) = (HashMap::new(), Reader::new());
    let first_seq = order.seq_sql("first_seq");
    let sql = format!("SELECT {first_seq}, words FROM block_words WHERE slice = {TRIGRAMS}");
    blocks::for_each_stored(connection, &Sql::new(sql), |seq, stored| {
        let trigrams = stored.and_then(|stored| reader.read(stored));
        let lacks = |part: &Vec<u32>| trigrams.as_ref().is_some_and(|trigrams| !trigrams.have(part));
        // A block that is there twice has no trigrams to trust.
        let known = of_blocks.insert(seq, parts.iter().map(lacks).collect());
        if known.is_some() {
            of_blocks.insert(seq, vec![false; parts.len()]);
        }
    })?;
    Ok(of_blocks)
}
