//! Narrows a search to the blocks that may hold what is sought.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ::duckdb::Connection;

use super::listed::{self, Found};
use super::plain::Plain;
use super::slices::{Slices, number_of};
use super::{blocks, commits, cover, frequent};
use crate::models::{Indicator, LogQuery, Needle, Node, Place, Test};
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::words::needs::Need;
use crate::storage::duckdb::{commit_order, schema};

/// Limits the ranges that the engine reads apart. It takes time to plan each of them.
const MOST_RANGES: usize = 32;

/// Limits the slices of each filter that are read.
const MOST_SLICES: usize = 128;

/// Names the logs that a query need be asked of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Narrowed {
    /// Holds SQL that names them like a table, with the columns of `log_texts`.
    logs: String,
    /// Holds SQL that is true of those to look at.
    condition: Option<String>,
    /// Counts the sequence numbers of their blocks, and those between.
    pub(crate) span: i64,
    /// Says that most logs of the store are left out; always true in a lake, where that is not known.
    pub(crate) are_few: bool,
    /// Says that those without the addresses that are sought are left out, but for a few.
    pub(crate) have_address: bool,
}

/// Returns what blocks must hold for a query of `log_texts` and for observables; `None` if all logs are looked at.
///
/// A store of an earlier version that is read only has no blocks.
fn need(log_texts: &str, query: &LogQuery, sought: &[Indicator]) -> Option<Need> {
    let has_blocks = log_texts == schema::LOG_TEXTS;
    has_blocks
        .then(|| Need::of_query(query).and(Need::of_indicators(sought)))
        .filter(|need| *need != Need::Nothing)
}

/// Returns the logs that a query need be asked of; `None` if these are all. Where observables are sought, logs of other
/// blocks are left out.
///
/// In a lake, it is called outside a transaction, which an error would end. Logs that are committed after it may be among
/// those that the query is asked of, or not.
pub(crate) fn narrowed(
    connection: &Connection,
    order: CommitOrder,
    log_texts: &str,
    query: &LogQuery,
    sought: &[Indicator],
) -> Result<Option<Narrowed>> {
    let Some(need) = need(log_texts, query, sought) else {
        return Ok(None);
    };
    let narrowed = match narrowed_by_filters(connection, order, query, sought, &need) {
        // A file of a lake may be lost. That of filters holds no logs.
        Err(error) if order == CommitOrder::Snapshots && !error.is_retryable() => {
            log::warn!("all logs are searched, as the filters of their blocks cannot be read: {error}");
            None
        }
        narrowed => narrowed?,
    };
    match order {
        // The first logs of many are soon found.
        CommitOrder::Counter
            if query.limit.is_none() || narrowed.as_ref().is_some_and(|narrowed| narrowed.are_few) =>
        {
            without_a_word(connection, query, narrowed)
        }
        // It would read the files of a lake twice.
        CommitOrder::Counter | CommitOrder::Snapshots => Ok(narrowed),
    }
}

/// Leaves out logs without a word that is sought, if many blocks hold it.
fn without_a_word(
    connection: &Connection,
    query: &LogQuery,
    narrowed: Option<Narrowed>,
) -> Result<Option<Narrowed>> {
    if narrowed
        .as_ref()
        .is_some_and(|narrowed| narrowed.have_address || narrowed.span < frequent::MANY_LOGS)
    {
        return Ok(narrowed);
    }
    let logs = narrowed
        .as_ref()
        .map_or(schema::LOG_TEXTS, |narrowed| &narrowed.logs);
    let condition = frequent::condition(connection, logs, query)?;
    if condition.is_none() {
        return Ok(narrowed);
    }
    let narrowed = narrowed.unwrap_or_else(|| Narrowed::whole_store(None));
    Ok(Some(Narrowed {
        condition,
        ..narrowed
    }))
}

/// Returns SQL for the same rows, to be asked before other conditions. The engine may ask dearer ones first, but it asks
/// nothing before a limit.
fn asked_first(select: &str) -> String {
    format!("SELECT * FROM ({select} LIMIT {})", i64::MAX)
}

fn narrowed_by_filters(
    connection: &Connection,
    order: CommitOrder,
    query: &LogQuery,
    sought: &[Indicator],
    need: &Need,
) -> Result<Option<Narrowed>> {
    let stored = blocks::stored(connection, order)?;
    if stored.is_empty() {
        return Ok(None);
    }
    let Some(Wanted { are_wanted, found }) = Wanted::of(connection, order, need, &stored)? else {
        return Ok(None);
    };
    let of = |blocks: &[RangeInclusive<i64>], are_wanted_ones: bool| -> Vec<_> {
        let chosen = blocks.iter().zip(&are_wanted);
        let chosen = chosen.filter(|(_, is_wanted)| **is_wanted == are_wanted_ones);
        chosen.map(|(block, _)| block.clone()).collect()
    };
    let wanted = of(&stored, true);
    log::debug!(
        "{} of {} blocks may hold what is sought",
        wanted.len(),
        stored.len()
    );
    if order == CommitOrder::Snapshots {
        if wanted.len() == stored.len() {
            return Ok(None);
        }
        let snapshots = commits::snapshots(connection)?;
        let others = of(&commits::extended(&stored, &snapshots), false);
        let span = match commits::are_covered(&stored, &snapshots) {
            true => span_of_commits(&wanted),
            false => i64::MAX,
        };
        let narrowed = Narrowed::without(order, others, i64::MAX, None);
        return Ok(Some(Narrowed { span, ..narrowed }));
    }
    let others = of(&stored, false);
    let last = commit_order::last_seq(connection)?;
    let addresses = match sought {
        [] => sought_address(query).into_iter().collect(),
        sought => only_addresses(sought, &found),
    };
    let plain = Plain::new(connection, order, &addresses, wanted)?;
    // What is left is not looked at again before it is put together.
    let plain = plain.filter(|plain| count(&left_by(&others, plain, last)) <= cover::MOST);
    if others.is_empty() && plain.is_none() {
        return Ok(None);
    }
    Ok(Some(Narrowed::without(order, others, last, plain)))
}

/// Counts sequence numbers.
fn count(ranges: &[RangeInclusive<i64>]) -> i64 {
    ranges.iter().map(blocks::length).fold(0, i64::saturating_add)
}

/// Returns the addresses that blocks may hold, of all that is sought; nothing if they may hold anything else.
fn only_addresses(sought: &[Indicator], found: &Found) -> BTreeSet<IpAddr> {
    let mut addresses = BTreeSet::new();
    for indicator in sought {
        let need = Need::of_indicators(std::slice::from_ref(indicator));
        match indicator {
            _ if !need.may_be_met(&|key| found.may_hold(key)) => {}
            Indicator::Ip(address) => {
                addresses.insert(*address);
            }
            _ => return BTreeSet::new(),
        }
    }
    addresses
}

/// Says which blocks may do.
struct Wanted {
    are_wanted: Vec<bool>,
    found: Found,
}

impl Wanted {
    /// Says of each block whether it may do; `None` if a need asks for too many slices.
    fn of(
        connection: &Connection,
        order: CommitOrder,
        need: &Need,
        blocks: &[RangeInclusive<i64>],
    ) -> Result<Option<Self>> {
        /// Limits the alternatives whose slices are read. Of more, the lists of all observables take less time.
        const FEW: usize = 8;
        let all = match need {
            Need::Any(all) => all,
            need => std::slice::from_ref(need),
        };
        let (mut listed, mut others): (Vec<_>, Vec<_>) = all.iter().partition(|need| need.has_observable());
        if listed.len() <= FEW {
            others.append(&mut listed);
        }
        let (mut are_wanted, found) = match listed.is_empty() {
            true => (vec![false; blocks.len()], Found::Anything),
            false => listed::may_meet_any(connection, order, &listed, blocks)?,
        };
        for (alternatives, keys) in in_parts(&others) {
            let numbers: BTreeSet<i16> = keys.into_iter().map(number_of).collect();
            if numbers.len() > MOST_SLICES {
                return Ok(None);
            }
            let slices = Slices::read(connection, order, &numbers)?;
            for (is_wanted, block) in are_wanted.iter_mut().zip(blocks) {
                let may_hold = |key| slices.may_hold(*block.start(), key);
                *is_wanted = *is_wanted || alternatives.iter().any(|need| need.may_be_met(&may_hold));
            }
        }
        Ok(Some(Self { are_wanted, found }))
    }
}

/// Returns alternatives with their keys, in parts of which the slices can be in memory together.
fn in_parts<'n>(alternatives: &[&'n Need]) -> Vec<(Vec<&'n Need>, BTreeSet<u64>)> {
    let mut parts: Vec<(Vec<&Need>, BTreeSet<u64>)> = Vec::new();
    for need in alternatives {
        let mut keys = BTreeSet::new();
        need.each_key(&mut |key| {
            keys.insert(key);
        });
        match parts.last_mut() {
            Some((needs, of_part)) if of_part.len() + keys.len() <= MOST_SLICES => {
                needs.push(need);
                of_part.append(&mut keys);
            }
            _ => parts.push((vec![need], keys)),
        }
    }
    parts
}

/// Returns about how many logs the blocks of a lake have. Most sequence numbers between commits are no log's.
fn span_of_commits(blocks: &[RangeInclusive<i64>]) -> i64 {
    blocks
        .iter()
        .map(|block| blocks::length(block).min(cover::MOST))
        .sum()
}

/// Returns the address that a query seeks as a whole.
fn sought_address(query: &LogQuery) -> Option<IpAddr> {
    query.filters().iter().find_map(|filter| match filter.node() {
        Node::Condition(condition) => match (&condition.field().0, condition.test()) {
            (Place::Any, Test::Has(Needle::Address(address))) => Some(*address),
            _ => None,
        },
        _ => None,
    })
}

impl Narrowed {
    /// Returns SQL that names the logs of a query's times like a table, with the columns of `log_texts`. They may be more.
    pub(crate) fn log_texts(&self, query: &LogQuery) -> Cow<'_, str> {
        let Some(condition) = &self.condition else {
            return Cow::Borrowed(&self.logs);
        };
        let times = predicate::times(query);
        let selected = format!("SELECT * FROM {} WHERE {times} AND ({condition})", self.logs);
        Cow::Owned(format!("({})", asked_first(&selected)))
    }

    /// Names logs of the whole store again. In a query over a short time, many ranges of rows take longer to plan than to
    /// read.
    pub(crate) fn of_whole_store(&self) -> Self {
        Self::whole_store(self.condition.clone())
    }

    fn whole_store(condition: Option<String>) -> Self {
        Self {
            logs: schema::LOG_TEXTS.to_owned(),
            condition,
            span: i64::MAX,
            are_few: false,
            have_address: false,
        }
    }

    /// Returns whether it names no logs at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// Leaves out the logs of blocks, which are in the order of their logs. No log has a number after the last.
    fn without(
        order: CommitOrder,
        blocks: Vec<RangeInclusive<i64>>,
        last: i64,
        plain: Option<Plain>,
    ) -> Self {
        let ranges = ranges_between(&blocks, last);
        // In a lake, the last range has no end.
        let span = count(match ranges.split_last() {
            Some((last, others)) if *last.end() == i64::MAX => others,
            _ => &ranges,
        });
        let have_address = plain.is_some();
        let condition = plain.map(|plain| {
            let left = left_by(&blocks, &plain, last);
            let left = left
                .iter()
                .map(|range| format!(" OR {}", order.is_within_sql(range)));
            plain.condition() + &left.collect::<String>()
        });
        let rows = ranges.iter().map(|range| match &condition {
            Some(condition) => asked_first(&format!("{} AND ({condition})", rows_of(order, range))),
            None => rows_of(order, range),
        });
        let rows = rows.collect::<Vec<_>>().join(" UNION ALL ");
        let logs = match order {
            _ if rows.is_empty() => rows,
            CommitOrder::Counter => schema::log_texts_of(&rows),
            CommitOrder::Snapshots => format!("({rows})"),
        };
        Self {
            logs,
            condition: None,
            span,
            are_few: span < last / 2,
            have_address,
        }
    }
}

/// Returns the sequence numbers that are neither in blocks that are left out nor in those of plain texts, with a few others.
fn left_by(blocks: &[RangeInclusive<i64>], plain: &Plain, last: i64) -> Vec<RangeInclusive<i64>> {
    let mut all = [blocks, &plain.blocks].concat();
    all.sort_by_key(|block| *block.start());
    ranges_between(&all, last)
}

/// Returns the query for the rows of logs with these sequence numbers: of `log_rows`, and in a lake of `log_texts`.
fn rows_of(order: CommitOrder, seqs: &RangeInclusive<i64>) -> String {
    let table = match order {
        CommitOrder::Counter => "log_rows",
        CommitOrder::Snapshots => schema::LOG_TEXTS,
    };
    format!("SELECT * FROM {table} WHERE {}", order.is_within_sql(seqs))
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
fn ranges_between(blocks: &[RangeInclusive<i64>], last: i64) -> Vec<RangeInclusive<i64>> {
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
