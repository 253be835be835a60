//! Names ranges of logs in SQL: what is left of a store without some of its blocks.

use std::cmp::Reverse;
use std::ops::RangeInclusive;

use ::duckdb::Connection;

use super::{blocks, commits, cover};
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::{commit_order, schema};

/// Limits the ranges that the engine reads apart. It takes time to plan each of them.
const MOST_RANGES: usize = 32;

/// Holds blocks that are left out, which are in the order of their logs, and what is left.
pub(super) struct LeftOut {
    pub(super) blocks: Vec<RangeInclusive<i64>>,
    /// Holds the last sequence number that a log may have.
    pub(super) last: i64,
    /// Counts the sequence numbers that are left.
    pub(super) span: i64,
}

impl LeftOut {
    /// Leaves out some blocks, of all that are stored.
    pub(super) fn new(
        connection: &Connection,
        order: CommitOrder,
        stored: &[RangeInclusive<i64>],
        is_left_out: impl Fn(usize) -> bool,
    ) -> Result<Self> {
        let of = |blocks: &[RangeInclusive<i64>], are_left_out: bool| -> Vec<_> {
            let chosen = blocks.iter().enumerate();
            let chosen = chosen.filter(|(place, _)| is_left_out(*place) == are_left_out);
            chosen.map(|(_, block)| block.clone()).collect()
        };
        if order == CommitOrder::Counter {
            let (blocks, last) = (of(stored, true), commit_order::last_seq(connection)?);
            let span = count(&ranges_between(&blocks, last));
            return Ok(Self { blocks, last, span });
        }
        let snapshots = commits::snapshots(connection)?;
        Ok(Self {
            blocks: of(&commits::extended(stored, &snapshots), true),
            last: i64::MAX,
            span: match commits::are_covered(stored, &snapshots) {
                true => span_of_commits(&of(stored, false)),
                false => i64::MAX,
            },
        })
    }

    /// Returns the sequence numbers that are left, and a few others, in few ranges.
    pub(super) fn ranges(&self) -> Vec<RangeInclusive<i64>> {
        ranges_between(&self.blocks, self.last)
    }
}

/// Counts sequence numbers.
pub(super) fn count(ranges: &[RangeInclusive<i64>]) -> i64 {
    ranges.iter().map(blocks::length).fold(0, i64::saturating_add)
}

/// Returns about how many logs the blocks of a lake have. Most sequence numbers between commits are no log's.
fn span_of_commits(blocks: &[RangeInclusive<i64>]) -> i64 {
    blocks
        .iter()
        .map(|block| blocks::length(block).min(cover::MOST))
        .sum()
}

/// Returns the query for the rows of logs with these sequence numbers: of `log_rows`, and in a lake of `log_texts`.
pub(super) fn rows_of(order: CommitOrder, seqs: &RangeInclusive<i64>) -> String {
    format!(
        "SELECT * FROM {} WHERE {}",
        table_of(order),
        order.is_within_sql(seqs)
    )
}

/// Returns SQL that names all logs of a store like a table, with the columns of their rows.
pub(super) fn table_of(order: CommitOrder) -> &'static str {
    match order {
        CommitOrder::Counter => "log_rows",
        CommitOrder::Snapshots => schema::LOG_TEXTS,
    }
}

/// Returns SQL that names the logs of a union of some rows like a table, with the columns of `log_texts`; nothing without
/// rows.
pub(super) fn logs_of(order: CommitOrder, rows: &[String]) -> String {
    let rows = rows.join(" UNION ALL ");
    match order {
        _ if rows.is_empty() => rows,
        CommitOrder::Counter => schema::log_texts_of(&rows),
        CommitOrder::Snapshots => format!("({rows})"),
    }
}

/// Returns SQL for the same rows, to be asked before other conditions. The engine may ask dearer ones first, but it asks
/// nothing before a limit.
pub(super) fn asked_first(select: &str) -> String {
    format!("SELECT * FROM ({select} LIMIT {})", i64::MAX)
}

/// Returns blocks, in the order of their logs, with those that follow one another joined.
fn joined(blocks: &[RangeInclusive<i64>]) -> Vec<RangeInclusive<i64>> {
    let mut runs: Vec<RangeInclusive<i64>> = Vec::new();
    for block in blocks {
        match runs.last_mut() {
            Some(last) if *block.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(block.end());
            }
            _ => runs.push(block.clone()),
        }
    }
    runs
}

/// Returns the sequence numbers from 1 to the last that are in no block, in few ranges. These may hold the smallest blocks
/// as well.
pub(super) fn ranges_between(blocks: &[RangeInclusive<i64>], last: i64) -> Vec<RangeInclusive<i64>> {
    let mut gaps = joined(blocks);
    // Between the gaps there is one range more.
    gaps.sort_by_key(|gap| Reverse(blocks::length(gap)));
    gaps.truncate(MOST_RANGES - 1);
    gaps.sort_by_key(|gap| *gap.start());
    let mut ranges = Vec::new();
    let mut next = 1;
    for gap in &gaps {
        if next < *gap.start() {
            ranges.push(next..=gap.start() - 1);
        }
        next = gap.end().saturating_add(1);
    }
    if gaps.last().is_none_or(|gap| *gap.end() < last) {
        ranges.push(next..=last);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_in_no_block_is_in_a_range(
            starts in prop::collection::btree_set(1..2_000_i64, 0..200),
            last in 1_i64..8_000,
        ) {
            let blocks: Vec<_> = starts.iter().map(|start| start * 3..=start * 3 + start % 4).collect();
            let ranges = ranges_between(&blocks, last);
            prop_assert!(ranges.len() <= MOST_RANGES);
            prop_assert!(ranges.is_sorted_by(|a, b| a.end() < b.start()));
            for seq in 1..=last {
                let is_in_block = blocks.iter().any(|block| block.contains(&seq));
                let is_in_range = ranges.iter().any(|range| range.contains(&seq));
                prop_assert!(is_in_block || is_in_range);
                prop_assert!(!is_in_range || !is_in_block || blocks.len() >= MOST_RANGES);
            }
        }
    }
}
