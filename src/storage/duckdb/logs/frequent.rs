//! Leaves out logs without a word that many blocks hold, before each of the others is looked at as a whole.

use ::duckdb::{Connection, params_from_iter};

use super::repeated::{FEW_VALUES, TEMPLATES, hashes_of};
use crate::models::{LogQuery, Needle, NeedleFinder, Node, Place, Test, longest_word};
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::{self, Sql};
use crate::storage::duckdb::sql::tokens::may_be_in_time;
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
    let Some((needle, word)) = sought_word(query) else {
        return Ok(None);
    };
    let mut logs = Sql::new(log_texts);
    logs.append(predicate::where_clause(&query.within_page().times()));
    if count(connection, &logs)? < MANY_LOGS {
        return Ok(None);
    }
    let finder = NeedleFinder::new(needle);
    // A log that is stored without a template is looked at as a whole.
    let mut conditions = vec!["variables IS NULL".to_owned()];
    for column in TEMPLATES.into_iter().chain(FEW_VALUES).chain(["metadata"]) {
        let hashes = hashes_of(connection, &logs, column, |text| finder.may_be_in(text))?;
        if hashes.len() > MOST_TEXTS {
            return Ok(None);
        }
        if !hashes.is_empty() {
            let hashes: Vec<String> = hashes.iter().map(u64::to_string).collect();
            conditions.push(format!("hash({column}) IN ({})", hashes.join(", ")));
        }
    }
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    let is_hexadecimal = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let texts = OWN
        .into_iter()
        .chain(is_hexadecimal.then_some("identifiers"))
        .chain(is_number.then_some(has::NUMBERS).into_iter().flatten());
    conditions.extend(texts.map(|text| may_be_in(text, &word)));
    Ok(Some(conditions.join(" OR ")))
}

fn count(connection: &Connection, logs: &Sql) -> Result<i64> {
    let sql = format!("SELECT count(*) FROM {}", logs.text);
    let counted = connection.query_row(&sql, params_from_iter(&logs.values), |row| row.get(0));
    counted.map_err(|error| error::engine("count logs", error))
}

/// Returns a value that all logs of a query have as a whole, and its longest word of ASCII letters and digits.
fn sought_word(query: &LogQuery) -> Option<(Needle, String)> {
    query.filters().iter().find_map(|filter| {
        let Node::Condition(condition) = filter.node() else {
            return None;
        };
        let (Place::Any, Test::Has(needle @ Needle::Words { text, .. })) =
            (&condition.field().0, condition.test())
        else {
            return None;
        };
        let word = longest_word(text).filter(|word| !may_be_in_time(word))?;
        Some((needle.clone(), word.to_ascii_lowercase()))
    })
}

/// Returns SQL that is true of a text that may have a word: see [`NeedleFinder::may_be_in`].
fn may_be_in(text: &str, word: &str) -> String {
    let mut condition = format!(
        "contains(lower({text}), {}) OR contains({text}, '%')",
        statement::literal(word)
    );
    for (letter, folded) in [('s', '\u{17f}'), ('k', '\u{212a}')] {
        if word.contains(letter) {
            condition.push_str(&format!(" OR contains({text}, '{folded}')"));
        }
    }
    condition
}
