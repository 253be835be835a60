//! Looks for many observables in the lists of blocks: see [`observables`](crate::storage::duckdb::words::observables).

use std::collections::HashMap;
use std::ops::RangeInclusive;

use ::duckdb::Connection;
use ::duckdb::arrow::array::AsArray as _;
use ::duckdb::arrow::datatypes::Int64Type;
use foldhash::HashSet;

use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::error;
use crate::storage::duckdb::rows::decode;
use crate::storage::duckdb::sql::statement::{Sql, for_each_chunk_or};
use crate::storage::duckdb::words::filter::LIST;
use crate::storage::duckdb::words::keys::is_of_observable;
use crate::storage::duckdb::words::needs::Need;
use crate::storage::duckdb::words::observables::{piece_of, pieces_of};

/// Says of each block whether it may meet one of some needs, each of which has an observable. A block without a list may.
pub(super) fn may_meet_any(
    connection: &Connection,
    order: CommitOrder,
    needs: &[&Need],
    blocks: &[RangeInclusive<i64>],
) -> Result<Vec<bool>> {
    let mut sought = HashSet::default();
    for need in needs {
        need.each_key(&mut |key| {
            if is_of_observable(key) {
                sought.insert(piece_of(key));
            }
        });
    }
    let mut may_meet: HashMap<i64, bool> = HashMap::new();
    let first_seq = order.seq_sql("first_seq");
    let sql = format!("SELECT {first_seq}, words FROM block_words WHERE slice = {LIST}");
    let failed = |error| error::engine("search the words of logs", error);
    for_each_chunk_or(connection, &Sql::new(sql), failed, |chunk| {
        let seqs = chunk.column(0).as_primitive_opt::<Int64Type>();
        let seqs = seqs.ok_or_else(|| error::corrupt("a sequence number is no number"))?;
        for (seq, list) in seqs.iter().zip(decode::bytes(&chunk, 1)?) {
            let Some(seq) = seq else { continue };
            let may = list.is_none_or(|list| list_may_meet_any(list, needs, &sought));
            // A block that is there twice has no list to trust.
            may_meet
                .entry(seq)
                .and_modify(|known| *known = true)
                .or_insert(may);
        }
        Ok(true)
    })?;
    let of_block = |block: &RangeInclusive<i64>| may_meet.get(block.start()).copied().unwrap_or(true);
    Ok(blocks.iter().map(of_block).collect())
}

fn list_may_meet_any(list: &[u8], needs: &[&Need], sought: &HashSet<u32>) -> bool {
    let Some(pieces) = pieces_of(list) else {
        return true;
    };
    let found: HashSet<u32> = pieces.filter(|piece| sought.contains(piece)).collect();
    // Of other keys, a list tells nothing.
    let may_hold = |key| !is_of_observable(key) || found.contains(&piece_of(key));
    !found.is_empty() && needs.iter().any(|need| need.may_be_met(&may_hold))
}
