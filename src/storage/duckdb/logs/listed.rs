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

/// Says what blocks were found to hold.
pub(super) enum Found {
    /// Means that it is not known.
    Anything,
    /// Holds pieces of the keys that some of their lists have.
    Pieces(HashSet<u32>),
}

impl Found {
    /// Says whether one of the blocks may hold a key. Of other keys than those of observables, a list tells nothing.
    pub(super) fn may_hold(&self, key: u64) -> bool {
        match self {
            Self::Anything => true,
            Self::Pieces(pieces) => !is_of_observable(key) || pieces.contains(&piece_of(key)),
        }
    }

    /// Says whether one of some needs may be met, each of which has an observable.
    fn may_meet_any(&self, needs: &[&Need]) -> bool {
        match self {
            // Most blocks hold none.
            Self::Pieces(pieces) if pieces.is_empty() => false,
            _ => needs
                .iter()
                .any(|need| need.may_be_met(&|key| self.may_hold(key))),
        }
    }

    /// Returns what both hold.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Pieces(mut pieces), Self::Pieces(others)) => {
                pieces.extend(others);
                Self::Pieces(pieces)
            }
            _ => Self::Anything,
        }
    }
}

/// Says of each block whether it may meet one of some needs, each of which has an observable, and what they hold. A block
/// without a list may hold anything.
pub(super) fn may_meet_any(
    connection: &Connection,
    order: CommitOrder,
    needs: &[&Need],
    blocks: &[RangeInclusive<i64>],
) -> Result<(Vec<bool>, Found)> {
    let mut sought = HashSet::default();
    for need in needs {
        need.each_key(&mut |key| {
            if is_of_observable(key) {
                sought.insert(piece_of(key));
            }
        });
    }
    let mut of_blocks: HashMap<i64, Found> = HashMap::new();
    let first_seq = order.seq_sql("first_seq");
    let sql = format!("SELECT {first_seq}, words FROM block_words WHERE slice = {LIST}");
    let failed = |error| error::engine("search the words of logs", error);
    for_each_chunk_or(connection, &Sql::new(sql), failed, |chunk| {
        let seqs = chunk.column(0).as_primitive_opt::<Int64Type>();
        let seqs = seqs.ok_or_else(|| error::corrupt("a sequence number is no number"))?;
        for (seq, list) in seqs.iter().zip(decode::bytes(&chunk, 1)?) {
            let Some(seq) = seq else { continue };
            let found = list.and_then(pieces_of).map_or(Found::Anything, |pieces| {
                Found::Pieces(pieces.filter(|piece| sought.contains(piece)).collect())
            });
            // A block that is there twice has no list to trust.
            of_blocks
                .entry(seq)
                .and_modify(|known| *known = Found::Anything)
                .or_insert(found);
        }
        Ok(true)
    })?;
    let (mut may_meet, mut all) = (Vec::new(), Found::Pieces(HashSet::default()));
    for block in blocks {
        let found = of_blocks.remove(block.start()).unwrap_or(Found::Anything);
        may_meet.push(found.may_meet_any(needs));
        all = all.with(found);
    }
    Ok((may_meet, all))
}
