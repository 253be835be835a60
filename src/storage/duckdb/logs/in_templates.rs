//! Finds the blocks of which no value has some parts of what is sought, so that only their templates may have them.

use std::collections::{HashMap, HashSet};
use std::ops::{Range, RangeInclusive};

use ::duckdb::Connection;

use super::part::{Part, words_of};
use super::ranges::{column_of, table_of};
use super::repeated::{TEMPLATES, counted, for_each_text, is_one_of};
use super::trigrams;
use crate::models::{Condition, LogQuery, Node, Pattern};
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::sql::predicate::{self, Hint};
use crate::storage::duckdb::sql::statement::{self, Sql};
use crate::storage::duckdb::sql::tokens::{ascii_pieces, is_in_value};
use crate::storage::duckdb::words::trigrams::of_part;

/// Names the column of the templates of lines.
const OF_LINES: &str = "template";

/// Says which blocks have what a filter of a query seeks in templates alone, and which templates have it.
#[derive(Debug)]
pub(super) struct InTemplates {
    /// Says of each block whether its values lack what is sought.
    are_in: Vec<bool>,
    /// Holds SQL that is true of the logs whose templates may have it.
    condition: String,
    decided: Option<Decided>,
}

/// Says which templates have what is sought for certain.
#[derive(Debug)]
pub(super) struct Decided {
    /// Holds the place of the filter in the query.
    pub(super) filter: usize,
    /// Holds SQL that is true of the logs that pass it.
    pub(super) condition: String,
    /// Says that these are all logs whose templates may have it.
    pub(super) are_all: bool,
}

impl InTemplates {
    /// Takes the filter of a query whose text may be in the values of the fewest blocks. Returns `None` if each may be in
    /// those of all blocks.
    pub(super) fn new(
        connection: &Connection,
        order: CommitOrder,
        sought: Vec<Sought<'_>>,
        query: &LogQuery,
        blocks: &[RangeInclusive<i64>],
    ) -> Result<Option<Self>> {
        let numbers = sought
            .iter()
            .flat_map(|sought| &sought.pieces)
            .map(|piece| of_part(piece.text));
        let lacking = trigrams::lacking(connection, order, &numbers.collect::<Vec<_>>())?;
        let mut place = 0;
        let mut found: Vec<(Sought<'_>, Vec<bool>)> = Vec::new();
        for sought in sought {
            let pieces = place..place + sought.pieces.len();
            place = pieces.end;
            found.extend(sought.in_most(pieces.map(|piece| are_lacking(&lacking, piece, blocks)).collect()));
        }
        match found.into_iter().max_by_key(|(_, are_in)| count(are_in)) {
            Some((sought, are_in)) => {
                log::debug!(
                    "{} of {} blocks have what is sought in templates alone",
                    count(&are_in),
                    are_in.len()
                );
                sought.in_blocks(connection, order, query, are_in)
            }
            None => Ok(None),
        }
    }

    /// Says whether the values of the block at this place lack what is sought.
    pub(super) fn are_in(&self, place: usize) -> bool {
        self.are_in.get(place) == Some(&true)
    }

    /// Returns SQL that is true of the logs whose templates may have what is sought.
    pub(super) fn condition(&self) -> &str {
        &self.condition
    }

    /// Returns the filter that templates decide, if they do.
    pub(super) fn decided(&self) -> Option<&Decided> {
        self.decided.as_ref()
    }

    /// Counts the logs of a query's times whose templates may have what is sought, up to one more than `most`. `table` names
    /// all logs.
    pub(super) fn count(
        &self,
        connection: &Connection,
        table: &str,
        query: &LogQuery,
        most: i64,
    ) -> Result<i64> {
        count_with(connection, table, query, &self.condition, most)
    }
}

/// Counts the logs of a query's times for which a condition is true, up to one more than `most`.
fn count_with(
    connection: &Connection,
    table: &str,
    query: &LogQuery,
    condition: &str,
    most: i64,
) -> Result<i64> {
    let mut logs = Sql::new(table);
    logs.append(predicate::where_clause(&query.within_page().times()));
    logs.push(&format!(" AND ({condition})"));
    counted(connection, logs, most.saturating_add(1))
}

/// Names what a filter seeks, which all logs of a query have.
#[derive(Debug)]
pub(super) struct Sought<'q> {
    /// Holds the place of the filter in the query.
    filter: usize,
    /// Holds parts of it that no template cuts, and of which trigrams tell.
    pieces: Vec<Piece<'q>>,
    kind: Kind<'q>,
}

#[derive(Debug)]
struct Piece<'q> {
    text: &'q str,
    /// Holds its place in the value that is sought.
    place: Range<usize>,
}

#[derive(Debug)]
enum Kind<'q> {
    /// Is sought in lines, or in messages, as it is.
    Text {
        /// Names the column of its templates.
        column: &'static str,
        /// Holds the text if logs pass the filter whose template has it.
        decides: Option<&'q str>,
    },
    /// Is sought in all texts, in any letter case and between the bounds of words.
    Words {
        value: &'q str,
        /// Finds it in templates of lines, and says that logs pass the filter.
        decides: Option<Pattern>,
    },
}

impl<'q> Sought<'q> {
    /// Returns what the filters of a query seek that may be in templates alone.
    pub(super) fn all_of(query: &'q LogQuery, hints: &'q [Option<Hint>], order: CommitOrder) -> Vec<Self> {
        // To look at each text of a column takes longer in the files of a lake than to read a few logs.
        let looks_at_words = order == CommitOrder::Counter || query.limit.is_none();
        let filters = query.filters().iter().zip(hints).enumerate();
        let all = filters.filter_map(|(filter, (of_filter, hint))| {
            let Node::Condition(condition) = of_filter.node() else {
                return None;
            };
            match hint {
                Some(hint) => Some(Self::text(filter, hint)),
                None if looks_at_words => Self::words(filter, condition),
                None => None,
            }
        });
        all.filter(|sought| !sought.pieces.is_empty()).collect()
    }

    fn text(filter: usize, hint: &'q Hint) -> Self {
        let pieces = hint.pieces_of_values().map(|text| Piece { text, place: 0..0 });
        Self {
            filter,
            pieces: pieces.filter(Piece::is_known).collect(),
            kind: Kind::Text {
                column: hint.template(),
                // SQL cannot have a NUL.
                decides: hint.decides().filter(|text| !text.contains('\0')),
            },
        }
    }

    fn words(filter: usize, condition: &'q Condition) -> Option<Self> {
        let text = words_of(condition)?;
        let pieces = ascii_pieces(text).filter_map(|place| {
            let of_place = text.get(place.clone())?;
            Some(Piece {
                text: of_place,
                place,
            })
        });
        Some(Self {
            filter,
            pieces: pieces
                .filter(|piece| is_in_value(piece.text) && piece.is_known())
                .collect(),
            kind: Kind::Words {
                value: text,
                decides: predicate::pattern_of_words(condition),
            },
        })
    }

    /// Keeps the piece that the most blocks lack, and those that almost as many lack with it. `are_lacking` says of each
    /// piece which blocks do.
    fn in_most(self, are_lacking: Vec<Vec<bool>>) -> Option<(Self, Vec<bool>)> {
        let mut pieces: Vec<(Piece<'q>, Vec<bool>)> = self.pieces.into_iter().zip(are_lacking).collect();
        pieces.sort_by_key(|(_, are_lacking)| std::cmp::Reverse(count(are_lacking)));
        let mut pieces = pieces.into_iter();
        let (first, mut are_in) = pieces.next().filter(|(_, are_lacking)| count(are_lacking) > 0)?;
        let mut kept = vec![first];
        for (piece, are_lacking) in pieces {
            let both: Vec<bool> = are_in.iter().zip(are_lacking).map(|(a, b)| *a && b).collect();
            if 16 * count(&both) >= 15 * count(&are_in) {
                are_in = both;
                kept.push(piece);
            }
        }
        let kept = Self { pieces: kept, ..self };
        Some((kept, are_in))
    }

    /// Says which templates have what is sought, where its pieces are in no values; `None` if they are too many.
    fn in_blocks(
        self,
        connection: &Connection,
        order: CommitOrder,
        query: &LogQuery,
        are_in: Vec<bool>,
    ) -> Result<Option<InTemplates>> {
        let filter = self.filter;
        let (condition, decides) = match self.kind {
            Kind::Text { column, decides } => {
                let pieces = self.pieces.iter().map(|piece| contains(column, piece.text));
                let is_all = decides == self.pieces.first().map(|piece| piece.text);
                let decides = decides.map(|text| (contains(column, text), is_all));
                (pieces.collect::<Vec<_>>().join(" AND "), decides)
            }
            Kind::Words { value, decides } => {
                let parts = parts_of(value, self.pieces);
                let Some((condition, decided)) =
                    templates_with(connection, order, query, &parts, decides.as_ref())?
                else {
                    return Ok(None);
                };
                let decided = match decided {
                    Some(decided) => {
                        let undecided = format!("({condition}) AND ({decided}) IS NOT TRUE");
                        let are_all = count_with(connection, table_of(order), query, &undecided, 0)? == 0;
                        Some((decided, are_all))
                    }
                    None => None,
                };
                (condition, decided)
            }
        };
        let decided = decides.map(|(condition, are_all)| Decided {
            filter,
            condition,
            are_all,
        });
        Ok(Some(InTemplates {
            are_in,
            condition,
            decided,
        }))
    }
}

impl Piece<'_> {
    /// Says whether trigrams tell of it.
    fn is_known(&self) -> bool {
        !of_part(self.text).is_empty()
    }
}

/// Returns the parts of a value that a template has if none of these pieces of it is in a value: neighbours together.
fn parts_of(value: &str, mut pieces: Vec<Piece<'_>>) -> Vec<Part> {
    // Neither does a template have another sign for one of these, nor do fields as JSON.
    let is_kept = |byte: u8| b" .:,;=()[]".contains(&byte);
    pieces.sort_by_key(|piece| piece.place.start);
    let mut runs: Vec<Range<usize>> = Vec::new();
    for Piece { place, .. } in pieces {
        match runs.last_mut() {
            Some(run)
                if value
                    .get(run.end..place.start)
                    .is_some_and(|between| between.bytes().all(is_kept)) =>
            {
                run.end = place.end;
            }
            _ => runs.push(place),
        }
    }
    runs.into_iter().filter_map(|run| Part::new(value, run)).collect()
}

/// Returns SQL that is true of the logs whose templates may have all of these parts, and SQL for those of which a pattern
/// says that they pass; `None` if these templates are too many.
fn templates_with(
    connection: &Connection,
    order: CommitOrder,
    query: &LogQuery,
    parts: &[Part],
    decides: Option<&Pattern>,
) -> Result<Option<(String, Option<String>)>> {
    let mut logs = Sql::new(table_of(order));
    logs.append(predicate::where_clause(&query.within_page().times()));
    // What is stored as it is may have anything.
    let as_it_is = column_of(order, "stored_normalized");
    let mut conditions = vec![format!("{as_it_is} IS NOT NULL")];
    let (mut passing, mut others) = (HashSet::new(), HashSet::new());
    for column in TEMPLATES.into_iter().chain(["metadata"]) {
        let mut found = HashSet::new();
        for_each_text(connection, &logs, column, |text, hash| {
            let may_have = parts.iter().all(|part| part.may_be_in_column(column, text));
            if may_have {
                found.insert(hash);
            }
            let passes = may_have && decides.is_some_and(|pattern| pattern.is_match(text));
            if column == OF_LINES {
                let texts = if passes { &mut passing } else { &mut others };
                texts.insert(hash);
            }
        })?;
        match is_one_of(column, &found) {
            Some(of_column) => conditions.extend(of_column),
            None => return Ok(None),
        }
    }
    // Somebody may write logs so that two templates have the same hash.
    passing.retain(|hash| !others.contains(hash));
    let decided = is_one_of(OF_LINES, &passing).and_then(|mut conditions| conditions.pop());
    Ok(Some((conditions.join(" OR "), decided)))
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
