//! Names ranges of logs in SQL: what is left of a store without some of its blocks.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::ops::RangeInclusive;

use ::duckdb::Connection;

use super::{blocks, commits, cover};
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::words::observables::{Stretches, stretches};
use crate::storage::duckdb::{commit_order, schema};

/// Limits the ranges that the engine reads apart. It takes time to plan each of them.
const MOST_RANGES: usize = 32;

/// Limits those of a file, of which more take as long as a look at the sequence numbers of all logs.
const MOST_RANGES_OF_FILE: usize = 64;

/// Holds ranges of logs that are left out, in the order of the logs, and what is left.
pub(super) struct LeftOut {
    pub(super) ranges: Vec<RangeInclusive<i64>>,
    /// Holds the last sequence number that a log may have.
    pub(super) last: i64,
    /// Counts the sequence numbers that are left.
    pub(super) span: i64,
}

impl LeftOut {
    /// Leaves out stretches of blocks, of all that are stored. `wanted` returns those of a block that are left.
    ///
    /// In a lake, a block is left out as a whole, or not at all.
    pub(super) fn new(
        connection: &Connection,
        order: CommitOrder,
        stored: &[RangeInclusive<i64>],
        wanted: impl Fn(usize) -> Stretches,
    ) -> Result<Self> {
        if order == CommitOrder::Counter {
            let stretches = stored.iter().enumerate().flat_map(|(place, block)| {
                let wanted = wanted(place);
                let numbered = stretches(block).zip(0..);
                numbered.filter_map(move |(stretch, number)| (wanted & 1 << number == 0).then_some(stretch))
            });
            let ranges = joined(stretches.filter(|stretch| !stretch.is_empty()));
            let last = commit_order::last_seq(connection)?;
            let span = last.saturating_sub(count(&ranges));
            return Ok(Self { ranges, last, span });
        }
        let of = |blocks: &[RangeInclusive<i64>], are_left_out: bool| -> Vec<_> {
            let chosen = blocks.iter().enumerate();
            let chosen = chosen.filter(|(place, _)| (wanted(*place) == 0) == are_left_out);
            chosen.map(|(_, block)| block.clone()).collect()
        };
        let snapshots = commits::snapshots(connection)?;
        Ok(Self {
            ranges: of(&commits::extended(stored, &snapshots), true),
            last: i64::MAX,
            span: match commits::are_covered(stored, &snapshots) {
                true => span_of_commits(&of(stored, false)),
                false => i64::MAX,
            },
        })
    }

    /// Returns the sequence numbers that are neither left out nor in some other blocks, and a few others, in few ranges.
    pub(super) fn ranges_without(&self, blocks: &[RangeInclusive<i64>]) -> Vec<RangeInclusive<i64>> {
        let mut all = [&self.ranges, blocks].concat();
        all.sort_by_key(|block| *block.start());
        ranges_between(&all, self.last, MOST_RANGES)
    }

    /// Returns queries for the rows of the logs that are left, and of a few others: of `log_rows`, and in a lake of
    /// `log_texts`.
    pub(super) fn rows(&self, order: CommitOrder) -> Vec<String> {
        let most = match order {
            CommitOrder::Counter => MOST_RANGES_OF_FILE,
            CommitOrder::Snapshots => MOST_RANGES,
        };
        let ranges = ranges_between(&self.ranges, self.last, most);
        match order {
            CommitOrder::Counter if count(&ranges) / 2 > self.span => self.in_groups(),
            _ => ranges.iter().map(|range| rows_of(order, range)).collect(),
        }
    }

    /// Returns queries for the rows of many ranges: those of groups of sequence numbers, each of which has a bit.
    fn in_groups(&self) -> Vec<String> {
        /// Limits the groups, as each query has the bits of its own.
        const MOST_GROUPS: i64 = 1 << 15;
        /// Counts the queries, which the engine runs at once. One thread looks at the sequence numbers of each.
        const QUERIES: usize = 4;
        // The number of a group is so many bits shorter than that of a log.
        let mut shorter = 0;
        while self.last >> shorter >= MOST_GROUPS {
            shorter += 1;
        }
        let bits = self.bits(shorter);
        let mut first = 0;
        let mut queries = Vec::new();
        for bits in bits.chunks(bits.len().div_ceil(QUERIES)) {
            let next = first + i64::try_from(bits.len()).unwrap_or_default();
            if bits.contains(&b'1') {
                let (from, until) = (first << shorter, self.last.min((next << shorter) - 1));
                let bits: String = bits.iter().copied().map(char::from).collect();
                // The engine would read all columns of each row if it were asked for more than this at once.
                queries.push(asked_first(&format!(
                    "SELECT * FROM log_rows WHERE seq BETWEEN {from} AND {until}
                    AND get_bit('{bits}'::BIT, CAST((seq >> {shorter}) - {first} AS INTEGER)) = 1"
                )));
            }
            first = next;
        }
        queries
    }

    /// Returns a digit for each group: `1` if one of its sequence numbers is left.
    fn bits(&self, shorter: u32) -> Vec<u8> {
        let of = |seq: i64| usize::try_from(seq >> shorter).unwrap_or_default();
        let mut bits = vec![b'0'; of(self.last) + 1];
        let mut next = 1;
        let end = self.last.saturating_add(1);
        for range in self.ranges.iter().chain([&(end..=end)]) {
            let before = self.last.min(range.start() - 1);
            if next <= before {
                let wanted = bits.iter_mut().take(of(before) + 1).skip(of(next));
                wanted.for_each(|bit| *bit = b'1');
            }
            next = range.end().saturating_add(1);
        }
        bits
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

/// Returns the query for the rows of logs with these sequence numbers.
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

/// Returns SQL for what a row of [`table_of`] has itself of a column of `log_texts`, which names it `stored_`.
pub(super) fn column_of(order: CommitOrder, column: &str) -> Cow<'_, str> {
    match column.strip_prefix("stored_") {
        Some(own) if order == CommitOrder::Counter => format!("\"{own}\"").into(),
        _ => column.into(),
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

/// Returns ranges, which are in the order of their logs, with those that follow one another joined.
fn joined(ranges: impl IntoIterator<Item = RangeInclusive<i64>>) -> Vec<RangeInclusive<i64>> {
    let mut runs: Vec<RangeInclusive<i64>> = Vec::new();
    for block in ranges {
        match runs.last_mut() {
            Some(last) if *block.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(block.end());
            }
            _ => runs.push(block),
        }
    }
    runs
}

/// Returns the sequence numbers from 1 to the last that are in no block, in so many ranges at most. These may hold the
/// smallest blocks as well.
fn ranges_between(blocks: &[RangeInclusive<i64>], last: i64, most: usize) -> Vec<RangeInclusive<i64>> {
    let mut gaps = joined(blocks.iter().cloned());
    // Between the gaps there is one range more.
    gaps.sort_by_key(|gap| Reverse(blocks::length(gap)));
    gaps.truncate(most.saturating_sub(1));
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
            let ranges = ranges_between(&blocks, last, MOST_RANGES);
            prop_assert!(ranges.len() <= MOST_RANGES);
            prop_assert!(ranges.is_sorted_by(|a, b| a.end() < b.start()));
            for seq in 1..=last {
                let is_in_block = blocks.iter().any(|block| block.contains(&seq));
                let is_in_range = ranges.iter().any(|range| range.contains(&seq));
                prop_assert!(is_in_block || is_in_range);
                prop_assert!(!is_in_range || !is_in_block || blocks.len() >= MOST_RANGES);
            }
        }

        #[test]
        fn what_is_left_out_of_no_range_is_in_a_group(
            starts in prop::collection::btree_set(0..60_i64, 0..50),
            last in 1_i64..90_000,
        ) {
            let ranges = joined(starts.iter().map(|start| start * 1_500..=start * 1_500 + 1_499 + start % 2));
            let left_out = LeftOut { ranges, last, span: 0 };
            let queries: Vec<_> = left_out.in_groups().iter().map(|sql| Groups::of(sql)).collect();
            let shorter = shorter(last);
            for group in 0..=last >> shorter {
                let seqs = (group << shorter).max(1)..=last.min((group << shorter) + (1 << shorter) - 1);
                let is_left = |seq: i64| !left_out.ranges.iter().any(|range| range.contains(&seq));
                let is_wanted = seqs.clone().any(is_left);
                for seq in [*seqs.start(), *seqs.end()].into_iter().filter(|seq| seqs.contains(seq)) {
                    let is_asked_for = queries.iter().filter(|groups| groups.ask_for(seq)).count();
                    prop_assert_eq!(is_asked_for, usize::from(is_wanted), "{}", seq);
                }
            }
        }
    }

    /// Counts the bits that the number of a group has fewer than that of a log.
    fn shorter(last: i64) -> u32 {
        (0..63).find(|shorter| last >> shorter < 1 << 15).unwrap()
    }

    /// Holds what a query for groups has.
    struct Groups {
        seqs: RangeInclusive<i64>,
        bits: String,
        shorter: i64,
        first: i64,
    }

    impl Groups {
        fn of(sql: &str) -> Self {
            let [before, bits, after] = sql.split('\'').collect::<Vec<_>>()[..] else {
                panic!("{sql}");
            };
            let numbers = |text: &str| -> Vec<i64> {
                let digits = text.split(|c: char| !c.is_ascii_digit());
                digits.filter_map(|digits| digits.parse().ok()).collect()
            };
            let (seqs, place) = (numbers(before), numbers(after));
            Self {
                seqs: seqs[0]..=seqs[1],
                bits: bits.to_owned(),
                shorter: place[0],
                first: place[1],
            }
        }

        fn ask_for(&self, seq: i64) -> bool {
            let bit = || usize::try_from((seq >> self.shorter) - self.first).unwrap();
            self.seqs.contains(&seq) && self.bits.as_bytes()[bit()] == b'1'
        }
    }
}
