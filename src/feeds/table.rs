//! Reads tables of values separated by commas, whose columns have names.

use super::entry::Collector;
use super::row::{self, Row};
use super::{FeedError, FeedFormat, FeedOptions, list};

/// Returns whether a text is a table with names of columns that are known.
pub(super) fn may_be(text: &str, options: &FeedOptions) -> bool {
    !options.columns.is_empty() || header(text).is_some()
}

pub(super) fn read(text: &str, collector: &mut Collector<'_>) -> Result<FeedFormat, FeedError> {
    let given = &collector.options.columns;
    let (columns, header_line) = match header(text) {
        _ if !given.is_empty() => (given.clone(), 0),
        Some(found) => found,
        None => {
            return Err(FeedError::Format {
                format: FeedFormat::Csv,
                reason: "no line names a column with indicators: name the columns (--columns)".to_owned(),
            });
        }
    };
    for (number, line, cells) in records(text) {
        if number == header_line || list::is_comment(line) {
            continue;
        }
        match cells {
            Some(cells) => {
                let mut row = Row::default();
                for (column, cell) in columns.iter().zip(&cells) {
                    row.add(column, cell);
                }
                row.take(Some(number), line, collector);
            }
            None => collector.refuse(Some(number), line, "its quotes are not balanced"),
        }
    }
    Ok(FeedFormat::Csv)
}

/// Limits the lines of a record, so that a quote that is never closed hides no more of them.
const MOST_LINES: u64 = 100;

/// Returns the records of a text with their cells, each with the number of its first line. A cell in quotes may have
/// line breaks.
///
/// A line whose quotes are not closed within [`MOST_LINES`] is a record of its own, without cells.
fn records(text: &str) -> impl Iterator<Item = (u64, &str, Option<Vec<String>>)> {
    let mut rest = text;
    let mut number = 1;
    std::iter::from_fn(move || {
        let first = rest.lines().next()?.trim();
        let mut ends = rest.match_indices('\n').map(|(end, _)| end).chain([rest.len()]);
        let mut end = ends.next()?;
        let (mut record, mut cells, mut lines) = (first, cells(first), 1);
        if cells.is_none() && !list::is_comment(first) {
            let longer = ends.zip(2..=MOST_LINES).find_map(|(end, lines)| {
                let record = rest.get(..end)?.trim();
                Some((end, record, self::cells(record)?, lines))
            });
            if let Some((to, longer, found, count)) = longer {
                (end, record, cells, lines) = (to, longer, Some(found), count);
            }
        }
        let start = number;
        number += lines;
        rest = rest.get(end + 1..).unwrap_or_default();
        Some((start, record, cells))
    })
}

/// Returns the names of the columns, and the number of the line that holds them.
///
/// The first line without a mark of comments is one, or the last comment before it.
fn header(text: &str) -> Option<(Vec<String>, u64)> {
    let mut last_comment = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            last_comment = names(comment.trim())
                .map(|names| (names, number))
                .or(last_comment);
        } else if !line.is_empty() {
            return names(line).map(|names| (names, number)).or(last_comment);
        }
    }
    None
}

/// Returns the cells of a line that are names of columns, if one of them is for indicators.
fn names(line: &str) -> Option<Vec<String>> {
    if !line.contains(',') {
        return None;
    }
    let cells = cells(line)?;
    let is_name = |cell: &String| cell.chars().all(|c| c.is_alphanumeric() || "_- /()".contains(c));
    let has_indicator = cells.iter().any(|cell| row::is_for_indicators(cell));
    (has_indicator && cells.iter().all(is_name)).then_some(cells)
}

/// Splits a line of [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180). Blanks may follow a comma, as in the tables of
/// abuse.ch.
fn cells(line: &str) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let (cell, after) = match rest.strip_prefix('"') {
            Some(quoted) => split_quoted(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim_end().to_owned(), &rest[end..])
            }
        };
        cells.push(cell);
        let after = after.trim_start_matches([' ', '\t']);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return after.is_empty().then_some(cells),
        }
    }
}

/// Splits a cell off a text that follows its opening quote. Two quotes stand for one.
fn split_quoted(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        cell.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                cell.push('"');
                rest = next;
            }
            None => return Some((cell, after)),
        }
    }
}
