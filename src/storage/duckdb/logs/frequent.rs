//! Leaves out logs without a part of what is sought that many blocks hold, before each of the others is looked at as a
//! whole.

use ::duckdb::Connection;

use super::part::Part;
use super::repeated::{FEW_VALUES, TEMPLATES, counted, hashes_of, is_one_of};
use crate::models::LogQuery;
use crate::storage::Result;
use crate::storage::duckdb::rows::template::COLUMNS;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::statement::Sql;
use crate::storage::duckdb::sql::tokens::formats_with;

/// Counts the logs of which a look at the texts that they share is worthwhile.
pub(crate) const MANY_LOGS: i64 = 65_536;

/// Returns SQL that is true of the logs that may have the words that a query seeks as a whole; `None` if it seeks none, or
/// if too many texts have them.
///
/// `log_texts` names the logs, with the columns of the view of this name.
pub(crate) fn condition(
    connection: &Connection,
    log_texts: &str,
    query: &LogQuery,
) -> Result<Option<String>> {
    let Some(part) = Part::sought(query) else {
        return Ok(None);
    };
    let mut logs = Sql::new(log_texts);
    logs.append(predicate::where_clause(&query.within_page().times()));
    if counted(connection, logs.clone(), MANY_LOGS)? < MANY_LOGS {
        return Ok(None);
    }
    // A log that is stored without a template is looked at as a whole.
    let mut conditions = vec!["variables IS NULL".to_owned()];
    match in_time(connection, &logs, part.text())? {
        Some(of_times) => conditions.extend(of_times),
        None => return Ok(None),
    }
    let of_few_texts = FEW_VALUES.into_iter().chain(["metadata"]);
    for column in TEMPLATES.into_iter().chain(of_few_texts) {
        let may_have = |text: &str| part.may_be_in_column(column, text);
        match has_one_of(connection, &logs, column, may_have)? {
            Some(of_column) => conditions.extend(of_column),
            None => return Ok(None),
        }
    }
    conditions.extend(part.texts_of_its_kind().map(|text| part.may_be_in_sql(text)));
    Ok(Some(conditions.join(" OR ")))
}

/// Returns SQL that is true of the logs of which a column has what is sought, if any has; `None` if too many texts of the
/// column have it. Each of them is looked at once.
fn has_one_of(
    connection: &Connection,
    logs: &Sql,
    column: &str,
    has: impl Fn(&str) -> bool,
) -> Result<Option<Vec<String>>> {
    Ok(is_one_of(column, &hashes_of(connection, logs, column, has)?))
}

/// Returns SQL that is true of the logs whose templates write a time of which a part may be this one, if any has; `None`
/// if these may be too many.
///
/// Nearly all logs have a part that is no number if one has it.
fn in_time(connection: &Connection, logs: &Sql, part: &str) -> Result<Option<Vec<String>>> {
    let placeholders: Vec<String> = formats_with(part)
        .map(|format| format!("{{{}}}", COLUMNS + format))
        .collect();
    if placeholders.is_empty() {
        return Ok(Some(Vec::new()));
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
            Some(of_column) => conditions.extend(of_column),
            None => return Ok(None),
        }
    }
    let has_templates = conditions.len() > placeholders.len();
    let conditions = conditions.join(" OR ");
    Ok(match times_with_number(part) {
        Some(times) => Some(vec![format!("{times} AND ({conditions})")]),
        None if has_templates => None,
        None => Some(vec![conditions]),
    })
}

/// Returns SQL that is true of the times with a number of up to four digits as a whole, in a format of times.
fn times_with_number(number: &str) -> Option<String> {
    let value: u16 = number.parse().ok()?;
    match number.len() {
        1 => Some(format!("day(event_time) = {value}")),
        2 => {
            let parts =
                ["month", "day", "hour", "minute", "second"].map(|part| format!("{part}(event_time)"));
            Some(format!("{value} IN ({})", parts.join(", ")))
        }
        3 => Some(format!("millisecond(event_time) % 1000 = {value}")),
        4 => Some(format!("year(event_time) = {value}")),
        _ => None,
    }
}
