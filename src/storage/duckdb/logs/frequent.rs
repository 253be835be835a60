//! Leaves out logs without a part of what is sought that many blocks hold, before each of the others is looked at as a
//! whole.

use ::duckdb::{Connection, params_from_iter};

use super::repeated::{FEW_VALUES, TEMPLATES, hashes_of};
use crate::models::{LogQuery, Needle, Node, PartFinder, Place, Test};
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::rows::template::COLUMNS;
use crate::storage::duckdb::sql::statement::{self, Sql};
use crate::storage::duckdb::sql::tokens::{ascii_pieces, formats_with};
use crate::storage::duckdb::sql::{has, predicate};

/// Counts the logs of which a look at the texts that they share is worthwhile.
pub(crate) const MANY_LOGS: i64 = 65_536;

/// Limits the texts of a column that are named in a query.
const MOST_TEXTS: usize = 1_000;

/// Holds SQL for the texts of logs that hardly repeat. Templates that do not are in the layout.
const OWN: [&str; 3] = [
    "CASE WHEN template IS NULL THEN layout END",
    "variables",
    "stored_id",
];

/// Returns SQL that is true of the logs that may have the words that a query seeks as a whole; `None` if it seeks none, or
/// if too many texts have them.
///
/// `log_texts` names the logs, with the columns of the view of this name.
pub(crate) fn condition(
    connection: &Connection,
    log_texts: &str,
    query: &LogQuery,
) -> Result<Option<String>> {
    let Some(part) = sought_part(query) else {
        return Ok(None);
    };
    let Some(finder) = PartFinder::new(&part) else {
        return Ok(None);
    };
    let mut logs = Sql::new(log_texts);
    logs.append(predicate::where_clause(&query.within_page().times()));
    if count(connection, &logs)? < MANY_LOGS {
        return Ok(None);
    }
    // A log that is stored without a template is looked at as a whole.
    let mut conditions = vec!["variables IS NULL".to_owned()];
    for column in TEMPLATES.into_iter().chain(FEW_VALUES).chain(["metadata"]) {
        match has_one_of(connection, &logs, column, |text| finder.may_be_in(text))? {
            Texts::None => {}
            Texts::Few(condition) => conditions.push(condition),
            Texts::Many => return Ok(None),
        }
    }
    let is_of = |others: &[u8], is_common: fn(&u8) -> bool| {
        let mut bytes = part.bytes();
        bytes.all(|byte| is_common(&byte) || others.contains(&byte))
    };
    let texts = OWN
        .into_iter()
        .chain(is_of(b"-", u8::is_ascii_hexdigit).then_some("identifiers"))
        .chain(
            is_of(b"-", u8::is_ascii_digit)
                .then_some(has::NUMBERS)
                .into_iter()
                .flatten(),
        );
    conditions.extend(texts.map(|text| may_be_in(text, &part)));
    match in_time(connection, &logs, &part)? {
        Texts::None => {}
        Texts::Few(condition) => conditions.push(condition),
        Texts::Many => return Ok(None),
    }
    Ok(Some(conditions.join(" OR ")))
}

/// Says how many texts of a column have what is sought, with SQL that is true of their logs.
enum Texts {
    None,
    Few(String),
    Many,
}

/// Looks at each text of a column once.
fn has_one_of(
    connection: &Connection,
    logs: &Sql,
    column: &str,
    has: impl Fn(&str) -> bool,
) -> Result<Texts> {
    let hashes = hashes_of(connection, logs, column, has)?;
    Ok(match hashes.len() {
        0 => Texts::None,
        1..=MOST_TEXTS => {
            let hashes: Vec<String> = hashes.iter().map(u64::to_string).collect();
            Texts::Few(format!("hash({column}) IN ({})", hashes.join(", ")))
        }
        _ => Texts::Many,
    })
}

/// Looks for the logs whose templates write a time of which a part may be this one.
///
/// A number of four digits can only be the year, and one of three the milliseconds. Nearly all logs have any other part
/// of a time if one has it.
fn in_time(connection: &Connection, logs: &Sql, part: &str) -> Result<Texts> {
    let placeholders: Vec<String> = formats_with(part)
        .map(|format| format!("{{{}}}", COLUMNS + format))
        .collect();
    if placeholders.is_empty() {
        return Ok(Texts::None);
    }
    let writes_time = |template: &str| {
        placeholders
            .iter()
            .any(|placeholder| template.contains(placeholder))
    };
    let mut conditions: Vec<String> = placeholders
        .iter()
        .map(|placeholder| format!("template IS NULL AND contains(layout, '{placeholder}')"))
        .collect();
    for column in TEMPLATES {
        match has_one_of(connection, logs, column, writes_time)? {
            Texts::None => {}
            Texts::Few(condition) => conditions.push(condition),
            Texts::Many => return Ok(Texts::Many),
        }
    }
    let has_templates = conditions.len() > placeholders.len();
    let conditions = conditions.join(" OR ");
    let number = part.parse::<u16>().ok();
    Ok(match (part.len(), number) {
        (4, Some(year)) => Texts::Few(format!("year(event_time) = {year} AND ({conditions})")),
        (3, Some(milliseconds)) => Texts::Few(format!(
            "millisecond(event_time) % 1000 = {milliseconds} AND ({conditions})"
        )),
        _ if has_templates => Texts::Many,
        _ => Texts::Few(conditions),
    })
}

fn count(connection: &Connection, logs: &Sql) -> Result<i64> {
    let sql = format!("SELECT count(*) FROM {}", logs.text);
    let counted = connection.query_row(&sql, params_from_iter(&logs.values), |row| row.get(0));
    counted.map_err(|error| error::engine("count logs", error))
}

/// Returns a part of a value that all logs of a query have as a whole, in lower case.
///
/// Few logs have the longest part, unless it may be in a time.
fn sought_part(query: &LogQuery) -> Option<String> {
    let values = query.filters().iter().filter_map(|filter| {
        let Node::Condition(condition) = filter.node() else {
            return None;
        };
        match (&condition.field().0, condition.test()) {
            (Place::Any, Test::Has(Needle::Words { text, .. })) => Some(text.as_str()),
            _ => None,
        }
    });
    let parts = values.flat_map(ascii_pieces);
    let part = parts.max_by_key(|part| (formats_with(part).next().is_none(), part.len()));
    part.map(str::to_ascii_lowercase)
}

/// Returns SQL that is true of a text that may have a part: see [`PartFinder::may_be_in`].
fn may_be_in(text: &str, part: &str) -> String {
    let folded = match part.bytes().any(|byte| byte.is_ascii_lowercase()) {
        true => format!("lower({text})"),
        false => text.to_owned(),
    };
    let mut condition = format!(
        "contains({folded}, {}) OR contains({text}, '%')",
        statement::literal(part)
    );
    for (letter, folded) in [('s', '\u{17f}'), ('k', '\u{212a}')] {
        if part.contains(letter) {
            condition.push_str(&format!(" OR contains({text}, '{folded}')"));
        }
    }
    condition
}
