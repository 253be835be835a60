//! Narrows a search to the blocks that may hold what is sought.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ::duckdb::Connection;

use super::in_templates::InTemplates;
use super::listed::{self, Found};
use super::plain::Plain;
use super::ranges::{LeftOut, asked_first, count, logs_of, table_of};
use super::slices::{Slices, number_of};
use super::{blocks, cover, frequent};
use crate::models::{Indicator, LogQuery, Needle, Node, Place, Test};
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::schema;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::statement::Sql;
use crate::storage::duckdb::words::needs::Need;
use crate::storage::duckdb::words::observables::Stretches;

/// Limits the logs that are read because their template has what is sought. Of more, all columns are read in any case.
const MANY: i64 = 500_000;

/// Limits them for a query with a limit.
const FEW: i64 = 16_384;

/// Says what logs are narrowed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Counting,
    Reading,
}

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
    decided: Option<Decided>,
}

/// Names the logs of which a filter is known without a look at their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decided {
    /// Holds SQL that names logs that pass the filter, like [`Narrowed::logs`].
    logs: String,
    /// Holds SQL that names the others that may pass it.
    others: String,
    /// Holds the place of the filter in the query.
    filter: usize,
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
    purpose: Purpose,
) -> Result<Option<Narrowed>> {
    // A store of an earlier version that is read only has no blocks.
    if log_texts != schema::LOG_TEXTS {
        return Ok(None);
    }
    let narrowed = match narrowed_by_blocks(connection, order, query, sought, purpose) {
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

fn narrowed_by_blocks(
    connection: &Connection,
    order: CommitOrder,
    query: &LogQuery,
    sought: &[Indicator],
    purpose: Purpose,
) -> Result<Option<Narrowed>> {
    let need = Need::of_query(query).and(Need::of_indicators(sought));
    let may_be_in_templates = sought.is_empty() && InTemplates::may_have(query);
    if need == Need::Nothing && !may_be_in_templates {
        return Ok(None);
    }
    let stored = blocks::stored(connection, order)?;
    if stored.is_empty() {
        return Ok(None);
    }
    let wanted = match need {
        Need::Nothing => None,
        need => Wanted::of(connection, order, &need, &stored)?,
    };
    let narrowed = match &wanted {
        Some(wanted) => narrowed_by_filters(connection, order, query, sought, &stored, wanted)?,
        None => None,
    };
    // Of few logs, all columns are soon read.
    let are_few = narrowed.as_ref().is_some_and(|narrowed| narrowed.are_few);
    if are_few || !may_be_in_templates {
        return Ok(narrowed);
    }
    let Some(templates) = InTemplates::new(connection, order, query, &stored)? else {
        return Ok(narrowed);
    };
    let left_out = LeftOut::new(connection, order, &stored, |place| match &wanted {
        _ if templates.are_in(place) => 0,
        Some(wanted) => wanted.stretches(place),
        None => Stretches::MAX,
    })?;
    let found = match purpose {
        Purpose::Counting => MANY,
        Purpose::Reading => {
            // The first logs of many are soon found.
            let most = if query.limit.is_some() { FEW } else { MANY };
            match templates.count(connection, table_of(order), query, most)? {
                found if found > most => return Ok(narrowed),
                found => found,
            }
        }
    };
    Ok(Some(Narrowed::to_templates(
        order, query, &templates, &left_out, found,
    )))
}

fn narrowed_by_filters(
    connection: &Connection,
    order: CommitOrder,
    query: &LogQuery,
    sought: &[Indicator],
    stored: &[RangeInclusive<i64>],
    wanted: &Wanted,
) -> Result<Option<Narrowed>> {
    let blocks = stored
        .iter()
        .enumerate()
        .filter(|(place, _)| wanted.stretches(*place) != 0);
    let blocks: Vec<_> = blocks.map(|(_, block)| block.clone()).collect();
    log::debug!(
        "{} of {} blocks may hold what is sought",
        blocks.len(),
        stored.len()
    );
    let left_out = LeftOut::new(connection, order, stored, |place| wanted.stretches(place))?;
    let plain = match order {
        CommitOrder::Counter => {
            let addresses = match sought {
                [] => sought_address(query).into_iter().collect(),
                sought => only_addresses(sought, &wanted.found),
            };
            // What is left is not looked at again before it is put together.
            Plain::new(connection, order, &addresses, blocks)?
                .filter(|plain| count(&left_out.ranges_without(&plain.blocks)) <= cover::MOST)
        }
        CommitOrder::Snapshots => None,
    };
    if left_out.ranges.is_empty() && plain.is_none() {
        return Ok(None);
    }
    Ok(Some(Narrowed::without(order, &left_out, plain)))
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

/// Says which stretches of blocks may do.
struct Wanted {
    stretches: Vec<Stretches>,
    found: Found,
}

impl Wanted {
    /// Returns the stretches that may do of the block at this place.
    fn stretches(&self, place: usize) -> Stretches {
        self.stretches.get(place).copied().unwrap_or(Stretches::MAX)
    }

    /// Says of each block which stretches may do; `None` if a need asks for too many slices.
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
        let (listed, others): (Vec<_>, Vec<_>) = all.iter().partition(|need| need.has_observable());
        if listed.len() <= FEW {
            let all: Vec<_> = all.iter().collect();
            return match Self::of_slices(connection, order, &all, blocks)? {
                Some(wanted) if others.is_empty() => {
                    wanted.within_lists(connection, order, &all, blocks).map(Some)
                }
                wanted => Ok(wanted),
            };
        }
        let (stretches, found) = listed::may_meet_any(connection, order, &listed, blocks)?;
        let of_slices = Self::of_slices(connection, order, &others, blocks)?;
        Ok(of_slices.map(|of_slices| {
            let both = stretches.iter().zip(of_slices.stretches);
            let stretches = both.map(|(listed, others)| listed | others).collect();
            Self { stretches, found }
        }))
    }

    /// Says of each block whether its filter may meet one of some needs; `None` if these ask for too many slices.
    fn of_slices(
        connection: &Connection,
        order: CommitOrder,
        needs: &[&Need],
        blocks: &[RangeInclusive<i64>],
    ) -> Result<Option<Self>> {
        let mut of_blocks = vec![0; blocks.len()];
        for (alternatives, keys) in in_parts(needs) {
            let numbers: BTreeSet<i16> = keys.into_iter().map(number_of).collect();
            if numbers.len() > MOST_SLICES {
                return Ok(None);
            }
            let slices = Slices::read(connection, order, &numbers)?;
            for (stretches, block) in of_blocks.iter_mut().zip(blocks) {
                let may_hold = |key| slices.may_hold(*block.start(), key);
                if alternatives.iter().any(|need| need.may_be_met(&may_hold)) {
                    *stretches = Stretches::MAX;
                }
            }
        }
        Ok(Some(Self {
            stretches: of_blocks,
            found: Found::Anything,
        }))
    }

    /// Keeps the stretches that lists say, of the blocks that filters have left. Each need has an observable.
    fn within_lists(
        mut self,
        connection: &Connection,
        order: CommitOrder,
        needs: &[&Need],
        blocks: &[RangeInclusive<i64>],
    ) -> Result<Self> {
        let left = blocks.iter().zip(&mut self.stretches);
        let left = left.filter(|(_, stretches)| **stretches != 0);
        let (blocks, left): (Vec<_>, Vec<_>) = left.map(|(block, left)| (block.clone(), left)).unzip();
        // A lake is read by whole commits.
        if order == CommitOrder::Counter && !blocks.is_empty() {
            let (listed, _) = listed::may_meet_any(connection, order, needs, &blocks)?;
            for (stretches, listed) in left.into_iter().zip(listed) {
                *stretches = listed;
            }
        }
        Ok(self)
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
            decided: None,
        }
    }

    /// Returns whether it names no logs at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// Leaves out the logs of blocks.
    fn without(order: CommitOrder, left_out: &LeftOut, plain: Option<Plain>) -> Self {
        let have_address = plain.is_some();
        let condition = plain.map(|plain| {
            let left = left_out.ranges_without(&plain.blocks);
            let left = left
                .iter()
                .map(|range| format!(" OR {}", order.is_within_sql(range)));
            plain.condition() + &left.collect::<String>()
        });
        let rows = left_out.rows(order).into_iter().map(|rows| match &condition {
            Some(condition) => asked_first(&rows_with(&rows, condition)),
            None => rows,
        });
        let rows: Vec<String> = rows.collect();
        Self {
            logs: logs_of(order, &rows),
            condition: None,
            span: left_out.span,
            are_few: are_few(order, left_out.span, left_out),
            have_address,
            decided: None,
        }
    }

    /// Leaves out the logs of blocks whose values lack what is sought, but for those with a template that has it, of which
    /// so many are found.
    fn to_templates(
        order: CommitOrder,
        query: &LogQuery,
        templates: &InTemplates,
        left_out: &LeftOut,
        found: i64,
    ) -> Self {
        let table = table_of(order);
        let (condition, times) = (templates.condition(), predicate::times(query));
        let of_templates = |condition: &str| format!("SELECT * FROM {table} WHERE {times} AND {condition}");
        let has_not = format!("({condition}) IS NOT TRUE");
        let others = left_out.rows(order);
        let others: Vec<String> = others.iter().map(|rows| rows_with(rows, &has_not)).collect();
        let with = |select: Option<String>| {
            let first = select.iter().map(|select| asked_first(select));
            logs_of(order, &first.chain(others.clone()).collect::<Vec<_>>())
        };
        let decided = templates.decided().map(|(filter, decides)| {
            let undecided = of_templates(&format!("{condition} AND ({decides}) IS NOT TRUE"));
            Decided {
                logs: logs_of(order, &[of_templates(&decides)]),
                others: with((!templates.are_all_decided()).then_some(undecided)),
                filter,
            }
        });
        let span = left_out.span.saturating_add(found);
        Self {
            logs: with((found > 0).then(|| of_templates(&condition))),
            condition: None,
            span,
            are_few: are_few(order, span, left_out),
            have_address: false,
            decided,
        }
    }

    /// Returns SQL that names the logs that pass a query after `FROM`.
    pub(crate) fn passing(&self, query: &LogQuery) -> Sql {
        let Some(decided) = self.decided.as_ref().filter(|_| self.condition.is_none()) else {
            return passing(&self.log_texts(query), query);
        };
        let mut rest = query.clone();
        rest.filters.remove(decided.filter);
        let mut sql = Sql::new("(SELECT * FROM ");
        sql.append(passing(&decided.logs, &rest));
        if !decided.others.is_empty() {
            sql.push(" UNION ALL SELECT * FROM ");
            sql.append(passing(&decided.others, query));
        }
        sql.push(")");
        sql
    }
}

/// Returns SQL that names the logs that pass a query after `FROM`, of those that are named like a table.
pub(crate) fn passing(log_texts: &str, query: &LogQuery) -> Sql {
    let mut sql = Sql::new(log_texts);
    sql.append(predicate::where_clause(query));
    sql
}

/// Says whether so many logs are less than half of all. In a lake, it is not known how many there are.
fn are_few(order: CommitOrder, span: i64, left_out: &LeftOut) -> bool {
    order == CommitOrder::Snapshots || span < left_out.last / 2
}

/// Returns SQL for the rows of a query for which a condition is true.
fn rows_with(rows: &str, condition: &str) -> String {
    format!("SELECT * FROM ({rows}) WHERE {condition}")
}
