//! Narrows a search to the blocks that may hold what is sought.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ::duckdb::Connection;

use super::in_templates::InTemplates;
use super::listed::{self, Found};
use super::plain::Plain;
use super::ranges::{LeftOut, asked_first, count, logs_of, ranges_between, rows_of, table_of};
use super::slices::{Slices, number_of};
use super::{blocks, cover, frequent};
use crate::models::{Indicator, LogQuery, Needle, Node, Place, Test};
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::schema;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::statement::Sql;
use crate::storage::duckdb::words::needs::Need;

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
    let left_out = LeftOut::new(connection, order, &stored, |place| {
        templates.are_in(place) || wanted.as_ref().is_some_and(|wanted| !wanted.is_wanted(place))
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
        .filter(|(place, _)| wanted.is_wanted(*place));
    let blocks: Vec<_> = blocks.map(|(_, block)| block.clone()).collect();
    log::debug!(
        "{} of {} blocks may hold what is sought",
        blocks.len(),
        stored.len()
    );
    let left_out = LeftOut::new(connection, order, stored, |place| !wanted.is_wanted(place))?;
    let plain = match order {
        CommitOrder::Counter => {
            let addresses = match sought {
                [] => sought_address(query).into_iter().collect(),
                sought => only_addresses(sought, &wanted.found),
            };
            // What is left is not looked at again before it is put together.
            Plain::new(connection, order, &addresses, blocks)?
                .filter(|plain| count(&left_by(&left_out, plain)) <= cover::MOST)
        }
        CommitOrder::Snapshots => None,
    };
    if left_out.blocks.is_empty() && plain.is_none() {
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

/// Says which blocks may do.
struct Wanted {
    are_wanted: Vec<bool>,
    found: Found,
}

impl Wanted {
    /// Says whether the block at this place may do.
    fn is_wanted(&self, place: usize) -> bool {
        self.are_wanted.get(place) != Some(&false)
    }

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
            let left = left_by(left_out, &plain);
            let left = left
                .iter()
                .map(|range| format!(" OR {}", order.is_within_sql(range)));
            plain.condition() + &left.collect::<String>()
        });
        let ranges = left_out.ranges();
        let rows = ranges.iter().map(|range| match &condition {
            Some(condition) => asked_first(&format!("{} AND ({condition})", rows_of(order, range))),
            None => rows_of(order, range),
        });
        Self {
            logs: logs_of(order, &rows.collect::<Vec<_>>()),
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
        let others = left_out.ranges().into_iter();
        let others = others.map(|range| format!("{} AND ({condition}) IS NOT TRUE", rows_of(order, &range)));
        let others: Vec<String> = others.collect();
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

/// Returns the sequence numbers that are neither in blocks that are left out nor in those of plain texts, with a few others.
fn left_by(left_out: &LeftOut, plain: &Plain) -> Vec<RangeInclusive<i64>> {
    let mut all = [&left_out.blocks[..], &plain.blocks].concat();
    all.sort_by_key(|block| *block.start());
    ranges_between(&all, left_out.last)
}
