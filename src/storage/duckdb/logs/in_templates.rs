//! Finds the blocks of which no value has some parts of what is sought, so that only their templates may have them.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use ::duckdb::{Connection, params_from_iter};

use super::trigrams;
use crate::models::{LogQuery, Node};
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::predicate::{self, Hint};
use crate::storage::duckdb::sql::statement::{self, Sql};
use crate::storage::duckdb::words::trigrams::of_part;

/// Names parts of a text that the logs of a query have, and says where they are in templates alone.
#[derive(Debug)]
pub(super) struct InTemplates {
    /// Names the column of the templates.
    column: &'static str,
    parts: Vec<String>,
    /// Holds the place of the filter that seeks the text.
    filter: usize,
    /// Holds the text if logs pass the filter whose template has it.
    decides: Option<String>,
    /// Says of each block whether its values lack all of the parts.
    are_in: Vec<bool>,
}

impl InTemplates {
    /// Says whether the logs of a query have a part that may be in templates alone.
    pub(super) fn may_have(query: &LogQuery) -> bool {
        !texts_of(query).is_empty()
    }

    /// Takes the text of a query that may be in the values of the fewest blocks. Returns `None` if each may be in those of
    /// all blocks.
    pub(super) fn new(
        connection: &Connection,
        order: CommitOrder,
        query: &LogQuery,
        blocks: &[RangeInclusive<i64>],
    ) -> Result<Option<Self>> {
        let texts = texts_of(query);
        let numbers = texts
            .iter()
            .flat_map(|text| &text.parts)
            .map(|part| of_part(part));
        let lacking = trigrams::lacking(connection, order, &numbers.collect::<Vec<_>>())?;
        let mut place = 0;
        let mut found = Vec::new();
        for text in texts {
            let parts = place..place + text.parts.len();
            place = parts.end;
            found.extend(text.in_most(parts.map(|part| are_lacking(&lacking, part, blocks)).collect()));
        }
        Ok(found.into_iter().max_by_key(|text| count(&text.are_in)))
    }

    /// Keeps the part that the most blocks lack, and those that almost as many lack with it. `are_lacking` says of each
    /// part which blocks do.
    fn in_most(self, are_lacking: Vec<Vec<bool>>) -> Option<Self> {
        let mut parts: Vec<(String, Vec<bool>)> = self.parts.into_iter().zip(are_lacking).collect();
        parts.sort_by_key(|(_, are_lacking)| std::cmp::Reverse(count(are_lacking)));
        let mut parts = parts.into_iter();
        let (first, mut are_in) = parts.next().filter(|(_, are_lacking)| count(are_lacking) > 0)?;
        let mut kept = vec![first];
        for (part, are_lacking) in parts {
            let both: Vec<bool> = are_in.iter().zip(are_lacking).map(|(a, b)| *a && b).collect();
            if 16 * count(&both) >= 15 * count(&are_in) {
                are_in = both;
                kept.push(part);
            }
        }
        Some(Self {
            parts: kept,
            are_in,
            ..self
        })
    }

    /// Says whether the values of the block at this place lack the parts.
    pub(super) fn are_in(&self, place: usize) -> bool {
        self.are_in.get(place) == Some(&true)
    }

    /// Returns SQL that is true of the logs whose template has the parts.
    pub(super) fn condition(&self) -> String {
        let parts = self.parts.iter().map(|part| contains(self.column, part));
        parts.collect::<Vec<_>>().join(" AND ")
    }

    /// Returns the place of the filter that templates decide, with SQL that is true of the logs that pass it so.
    pub(super) fn decided(&self) -> Option<(usize, String)> {
        let text = self.decides.as_ref()?;
        Some((self.filter, contains(self.column, text)))
    }

    /// Says whether all logs whose template has the parts are decided.
    pub(super) fn are_all_decided(&self) -> bool {
        self.decides.is_some() && self.decides.as_ref() == self.parts.first()
    }

    /// Counts the logs of a query's times whose template has the parts, up to one more than `most`. `table` names all logs.
    pub(super) fn count(
        &self,
        connection: &Connection,
        table: &str,
        query: &LogQuery,
        most: i64,
    ) -> Result<i64> {
        let mut sql = Sql::new(format!("SELECT count(*) FROM (SELECT 1 FROM {table}"));
        sql.append(predicate::where_clause(&query.within_page().times()));
        sql.push(&format!(
            " AND {} LIMIT {})",
            self.condition(),
            most.saturating_add(1)
        ));
        let counted = connection.query_row(&sql.text, params_from_iter(&sql.values), |row| row.get(0));
        counted.map_err(|error| error::engine("count logs", error))
    }
}

fn count(are_in: &[bool]) -> usize {
    are_in.iter().filter(|is_in| **is_in).count()
}

fn contains(column: &str, text: &str) -> String {
    format!("contains({column}, {})", statement::literal(text))
}

fn are_lacking(lacking: &HashMap<i64, Vec<bool>>, part: usize, blocks: &[RangeInclusive<i64>]) -> Vec<bool> {
    let is_lacking = |block: &RangeInclusive<i64>| lacking.get(block.start())?.get(part).copied();
    blocks
        .iter()
        .map(|block| is_lacking(block).unwrap_or_default())
        .collect()
}

/// Returns the texts that all logs of a query have, with the parts of which trigrams tell.
fn texts_of(query: &LogQuery) -> Vec<InTemplates> {
    let texts = query
        .filters()
        .iter()
        .enumerate()
        .filter_map(|(filter, of_filter)| {
            let Node::Condition(condition) = of_filter.node() else {
                return None;
            };
            let hint = Hint::of(condition)?;
            let parts = hint.pieces_of_values().filter(|part| !of_part(part).is_empty());
            Some(InTemplates {
                column: hint.template(),
                parts: parts.map(str::to_owned).collect(),
                filter,
                // SQL cannot have a NUL.
                decides: hint
                    .decides()
                    .filter(|text| !text.contains('\0'))
                    .map(str::to_owned),
                are_in: Vec::new(),
            })
        });
    texts.filter(|text| !text.parts.is_empty()).collect()
}
