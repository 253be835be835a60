//! Looks for many observables in the lists of blocks: see [`observables`](crate::storage::duckdb::words::observables).

use std::ops::RangeInclusive;

use ::duckdb::Connection;
use foldhash::{HashMap, HashSet};

use super::blocks;
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::sql::statement::Sql;
use crate::storage::duckdb::words::filter::LIST;
use crate::storage::duckdb::words::keys::is_of_observable;
use crate::storage::duckdb::words::needs::Need;
use crate::storage::duckdb::words::observables::{Stretches, piece_of, read};

/// Says what blocks were found to hold.
pub(super) enum Found {
    /// Means that it is not known.
    Anything,
    /// Holds pieces of the keys that some of their lists have, with the stretches of each.
    Pieces(HashMap<u32, Stretches>),
}

impl Found {
    /// Says whether one of the blocks may hold a key.
    pub(super) fn may_hold(&self, key: u64) -> bool {
        self.stretches(key) != 0
    }

    /// Returns the stretches of a block that may hold a key. Of other keys than those of observables, a list tells nothing.
    fn stretches(&self, key: u64) -> Stretches {
        match self {
            Self::Pieces(pieces) if is_of_observable(key) => {
                pieces.get(&piece_of(key)).copied().unwrap_or_default()
            }
            Self::Anything | Self::Pieces(_) => Stretches::MAX,
        }
    }

    /// Returns the stretches of a block in which one of some needs may be met, each of which has an observable.
    fn may_meet_any(&self, needs: &[&Need]) -> Stretches {
        match self {
            // Most blocks hold none.
            Self::Pieces(pieces) if pieces.is_empty() => 0,
            _ => needs
                .iter()
                .fold(0, |all, need| all | need.stretches(&|key| self.stretches(key))),
        }
    }

    /// Returns what both hold.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Pieces(mut pieces), Self::Pieces(others)) => {
                for (piece, stretches) in others {
                    *pieces.entry(piece).or_default() |= stretches;
                }
                Self::Pieces(pieces)
            }
            _ => Self::Anything,
        }
    }
}

/// Returns the stretches of each block that may meet one of some needs, each of which has an observable, and what the
/// blocks hold. A block without a list may hold anything.
pub(super) fn may_meet_any(
    connection: &Connection,
    order: CommitOrder,
    needs: &[&Need],
    blocks: &[RangeInclusive<i64>],
) -> Result<(Vec<Stretches>, Found)> {
    let mut sought = HashSet::default();
    for need in needs {
        need.each_key(&mut |key| {
            if is_of_observable(key) {
                sought.insert(piece_of(key));
            }
        });
    }
    let named: HashMap<i64, &RangeInclusive<i64>> =
        blocks.iter().map(|block| (*block.start(), block)).collect();
    let mut of_blocks: HashMap<i64, Found> = HashMap::default();
    blocks::for_each_stored(connection, &lists_sql(order, blocks), |seq, list| {
        let pieces = list
            .zip(named.get(&seq))
            .and_then(|(list, block)| read(list, block));
        let found = pieces.map_or(Found::Anything, |pieces| {
            Found::Pieces(pieces.filter(|(piece, _)| sought.contains(piece)).collect())
        });
        // A block that is there twice has no list to trust.
        of_blocks
            .entry(seq)
            .and_modify(|known| *known = Found::Anything)
            .or_insert(found);
    })?;
    let (mut may_meet, mut all) = (Vec::new(), Found::Pieces(HashMap::default()));
    for block in blocks {
        let found = of_blocks.remove(block.start()).unwrap_or(Found::Anything);
        may_meet.push(found.may_meet_any(needs));
        all = all.with(found);
    }
    Ok((may_meet, all))
}

/// Returns the query for the lists of blocks.
fn lists_sql(order: CommitOrder, blocks: &[RangeInclusive<i64>]) -> Sql {
    /// Limits the blocks that are named. Of more, all lists are read.
    const FEW: usize = 256;
    let first_seq = order.seq_sql("first_seq");
    let mut sql = Sql::new(format!(
        "SELECT {first_seq}, words FROM block_words WHERE slice = {LIST}"
    ));
    if blocks.len() <= FEW {
        sql.push(&format!(" AND {first_seq} IN ("));
        sql.bind_all(blocks.iter().map(|block| *block.start()));
        sql.push(")");
    }
    sql
}
