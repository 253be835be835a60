//! Narrows a search to the blocks that may hold what is sought.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::ControlFlow::{self, Break, Continue};
use std::ops::RangeInclusive;

use ::duckdb::Connection;

use super::in_templates::{InTemplates, Sought};
use super::listed::{self, Found};
use super::plain::Plain;
use super::ranges::{LeftOut, asked_first, count, logs_of, table_of};
use super::slices::{Slices, number_of};
use super::{blocks, cover, frequent, soon};
use crate::models::{Indicator, LogQuery, Needle, Node, Place, Test};
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::schema;
use crate::storage::duckdb::sql::predicate::{self, Hint};
use crate::storage::duckdb::sql::statement::Sql;
use crate::storage::duckdb::words::needs::Need;
use crate::storage::duckdb::words::observables::Stretches;

/// Limits the logs that are read because their template has what is sought. Of more, all columns are read in any case.
const MANY: i64 = 500_000;

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
    /// Holds SQL that names those whose templates may have what is sought like a table, with the columns of `log_texts`;
    /// nothing without any.
    of_templates: String,
    unknown: Unknown,
    /// Counts the sequence numbers of their blocks, and those between.
    pub(crate) span: i64,
    /// Says that most logs of the store are left out; always true in a lake, where that is not known.
    pub(crate) are_few: bool,
    /// Says that those without the addresses that are sought are left out, but for a few.
    pub(crate) have_address: bool,
    decided: Option<Decided>,
}

/// Names the other logs, of which nothing but their block is known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unknown {
    /// Holds SQL that names them like [`Narrowed::of_templates`].
    logs: String,
    /// Holds SQL that is true of those to look at.
    condition: Option<String>,
    /// Names all logs of their blocks, of whose columns the engine gives each text once.
    of_blocks: String,
    /// Counts the sequence numbers of these.
    span: i64,
}

/// Names the logs of which a filter is known without a look at their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decided {
    /// Holds SQL that names logs that pass the filter, like [`Narrowed::of_templates`].
    logs: String,
    /// Holds SQL that names the others whose templates may have what is sought.
    undecided: String,
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
    let search = Search {
        connection,
        order,
        query,
        sought,
        purpose,
    };
    match search.narrowed_by_blocks() {
        // A file of a lake may be lost. That of filters holds no logs.
        Err(error) if order == CommitOrder::Snapshots && !error.is_retryable() => {
            log::warn!("all logs are searched, as the filters of their blocks cannot be read: {error}");
            Ok(None)
        }
        Ok(Continue(narrowed)) => search.without_a_word(narrowed),
        Ok(Break(narrowed)) => Ok(narrowed),
        Err(error) => Err(error),
    }
}

/// Holds what is sought, and in which store.
struct Search<'q> {
    connection: &'q Connection,
    order: CommitOrder,
    query: &'q LogQuery,
    sought: &'q [Indicator],
    purpose: Purpose,
}

impl Search<'_> {
    /// Leaves out blocks of logs. What it breaks off with need not be narrowed more.
    fn narrowed_by_blocks(&self) -> Result<ControlFlow<Option<Narrowed>, Option<Narrowed>>> {
        let need = Need::of_query(self.query).and(Need::of_indicators(self.sought));
        let hints: Vec<_> = self.query.filters().iter().map(Hint::of_filter).collect();
        let in_templates = match self.sought {
            [] => Sought::all_of(self.query, &hints, self.order),
            _ => Vec::new(),
        };
        if need == Need::Nothing && in_templates.is_empty() {
            return Ok(Continue(None));
        }
        let stored = blocks::stored(self.connection, self.order)?;
        if stored.is_empty() {
            return Ok(Continue(None));
        }
        let wanted = match need {
            Need::Nothing => None,
            need => Wanted::of(self.connection, self.order, &need, &stored)?,
        };
        let narrowed = match &wanted {
            Some(wanted) => self.narrowed_by_filters(&stored, wanted)?,
            None => None,
        };
        // Of few logs, all columns are soon read.
        if narrowed.as_ref().is_some_and(|narrowed| narrowed.are_few) {
            return Ok(Continue(narrowed));
        }
        if self.order == CommitOrder::Counter {
            if soon::has_few_logs(self.connection, self.query)? {
                return Ok(Break(narrowed));
            }
            if let Some(times) = soon::first_times(self.connection, self.query)? {
                return Ok(Break(Some(Narrowed::to_times(&times))));
            }
        }
        let templates = match in_templates.is_empty() {
            true => None,
            false => InTemplates::new(self.connection, self.order, in_templates, self.query, &stored)?,
        };
        let Some(templates) = templates else {
            return Ok(Continue(narrowed));
        };
        let to_templates = self.narrowed_to_templates(&templates, &stored, wanted.as_ref())?;
        Ok(Continue(to_templates.or(narrowed)))
    }

    /// Leaves out the logs of blocks whose values lack what is sought, if few logs have a template with it.
    fn narrowed_to_templates(
        &self,
        templates: &InTemplates,
        stored: &[RangeInclusive<i64>],
        wanted: Option<&Wanted>,
    ) -> Result<Option<Narrowed>> {
        let (order, query) = (self.order, self.query);
        let left_out = LeftOut::new(self.connection, order, stored, |place| match wanted {
            _ if templates.are_in(place) => 0,
            Some(wanted) => wanted.stretches(place),
            None => Stretches::MAX,
        })?;
        let found = match self.purpose {
            Purpose::Counting => MANY,
            Purpose::Reading => templates.count(self.connection, table_of(order), query, MANY)?,
        };
        Ok((found <= MANY).then(|| Narrowed::to_templates(order, query, templates, &left_out, found)))
    }

    /// Leaves out logs without a word that is sought, if many blocks hold it.
    fn without_a_word(&self, narrowed: Option<Narrowed>) -> Result<Option<Narrowed>> {
        let logs = match &narrowed {
            // It would read the files of a lake twice.
            _ if self.order == CommitOrder::Snapshots => None,
            Some(narrowed) if narrowed.unknown.span < frequent::MANY_LOGS => None,
            Some(narrowed) => Some(narrowed.unknown.of_blocks.as_str()),
            None => Some(schema::LOG_TEXTS),
        };
        let condition = match logs {
            Some(logs) => frequent::condition(self.connection, logs, self.query)?,
            None => None,
        };
        if condition.is_none() {
            return Ok(narrowed);
        }
        let mut narrowed = narrowed.unwrap_or_else(|| Narrowed::whole_store(None));
        narrowed.unknown.condition = condition;
        Ok(Some(narrowed))
    }

    fn narrowed_by_filters(
        &self,
        stored: &[RangeInclusive<i64>],
        wanted: &Wanted,
    ) -> Result<Option<Narrowed>> {
        let (connection, order) = (self.connection, self.order);
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
                let addresses = match self.sought {
                    [] => sought_address(self.query).into_iter().collect(),
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
    pub(crate) fn log_texts(&self, query: &LogQuery) -> String {
        union_of([&self.of_templates, &*self.unknown.to_look_at(query)])
    }

    /// Names logs of the whole store again. In a query over a short time, many ranges of rows take longer to plan than to
    /// read.
    pub(crate) fn of_whole_store(&self) -> Self {
        // The condition does not tell of logs whose templates may have what is sought.
        let condition = self.unknown.condition.clone();
        Self::whole_store(condition.filter(|_| self.of_templates.is_empty()))
    }

    fn whole_store(condition: Option<String>) -> Self {
        Self {
            of_templates: String::new(),
            unknown: Unknown {
                logs: schema::LOG_TEXTS.to_owned(),
                condition,
                of_blocks: schema::LOG_TEXTS.to_owned(),
                span: i64::MAX,
            },
            span: i64::MAX,
            are_few: false,
            have_address: false,
            decided: None,
        }
    }

    /// Leaves out all logs but those of some times, which may be few.
    fn to_times(times: &str) -> Self {
        let rows = format!("SELECT * FROM log_rows WHERE {times}");
        let mut narrowed = Self::whole_store(None);
        narrowed.unknown.logs = logs_of(CommitOrder::Counter, &[rows]);
        narrowed
    }

    /// Returns whether it names no logs at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.of_templates.is_empty() && self.unknown.logs.is_empty()
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
        let logs = logs_of(order, &rows.collect::<Vec<_>>());
        Self {
            of_templates: String::new(),
            unknown: Unknown {
                of_blocks: logs.clone(),
                logs,
                condition: None,
                span: if have_address { 0 } else { left_out.span },
            },
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
        let of_templates = |condition: &str| format!("SELECT * FROM {table} WHERE {times} AND ({condition})");
        // A condition of one column is asked of each of its texts once.
        let known = match templates.decided() {
            Some(decided) if decided.are_all => &decided.condition,
            _ => condition,
        };
        let has_not = format!("({known}) IS NOT TRUE");
        let of_blocks = left_out.rows(order);
        let others: Vec<String> = of_blocks.iter().map(|rows| rows_with(rows, &has_not)).collect();
        let logs_with = |condition: Option<&str>| {
            let rows = condition.map(|condition| asked_first(&of_templates(condition)));
            logs_of(order, &rows.into_iter().collect::<Vec<_>>())
        };
        let decided = templates.decided().map(|decided| {
            let decides = &decided.condition;
            let undecided = format!("({condition}) AND ({decides}) IS NOT TRUE");
            Decided {
                logs: logs_of(order, &[of_templates(decides)]),
                undecided: logs_with((!decided.are_all).then_some(&undecided)),
                filter: decided.filter,
            }
        });
        let span = left_out.span.saturating_add(found);
        Self {
            of_templates: logs_with((found > 0).then_some(condition)),
            unknown: Unknown {
                logs: logs_of(order, &others),
                condition: None,
                of_blocks: logs_of(order, &of_blocks),
                span: left_out.span,
            },
            span,
            are_few: are_few(order, span, left_out),
            have_address: false,
            decided,
        }
    }

    /// Returns SQL that names the logs that pass a query after `FROM`.
    pub(crate) fn passing(&self, query: &LogQuery) -> Sql {
        let Some(decided) = &self.decided else {
            return passing(&self.log_texts(query), query);
        };
        let mut rest = query.clone();
        rest.filters.remove(decided.filter);
        let mut sql = Sql::new("(SELECT * FROM ");
        sql.append(passing(&decided.logs, &rest));
        let others = union_of([&decided.undecided, &*self.unknown.to_look_at(query)]);
        if !others.is_empty() {
            sql.push(" UNION ALL SELECT * FROM ");
            sql.append(passing(&others, query));
        }
        sql.push(")");
        sql
    }
}

impl Unknown {
    /// Leaves out logs of a query for which the condition is not true.
    fn to_look_at(&self, query: &LogQuery) -> Cow<'_, str> {
        let Some(condition) = self.condition.as_ref().filter(|_| !self.logs.is_empty()) else {
            return Cow::Borrowed(&self.logs);
        };
        let times = predicate::times(query);
        let selected = format!("SELECT * FROM {} WHERE {times} AND ({condition})", self.logs);
        Cow::Owned(format!("({})", asked_first(&selected)))
    }
}

/// Returns SQL that names all of some logs like a table; nothing without any.
fn union_of(logs: [&str; 2]) -> String {
    let all: Vec<&str> = logs.into_iter().filter(|logs| !logs.is_empty()).collect();
    match all.as_slice() {
        [first, second] => format!("(SELECT * FROM {first} UNION ALL SELECT * FROM {second})"),
        all => all.concat(),
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
