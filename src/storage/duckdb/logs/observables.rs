//! Leaves out logs without an observable that is sought, before anything else of them is read.
//!
//! An observable is in a log's text only if its template, a variable or a column has it: see
//! [`is_plain`](crate::models::observables::is_plain) for the texts of which that is not known.

use std::collections::HashSet;

use ::duckdb::Connection;

use super::repeated::{FEW_VALUES, TEMPLATES, hashes_of};
use crate::models::LogQuery;
use crate::storage::Result;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::sought::Sought;
use crate::storage::duckdb::sql::statement::Sql;

/// Holds SQL for the parts of a log that repeat in few others. Templates that do not repeat are in the layout.
const OWN: [&str; 4] = [
    "CASE WHEN template IS NULL THEN layout END",
    "variables",
    "identifiers",
    "stored_id",
];

/// Returns SQL that is true of the logs of a query, over `log_texts`, that may hold what is sought.
pub(crate) fn condition(
    connection: &Connection,
    query: &LogQuery,
    log_texts: &str,
    sought: &Sought,
) -> Result<String> {
    let mut logs = Sql::new(log_texts);
    logs.append(predicate::where_clause(&query.within_page().times()));
    // A log that is stored without a template is looked at as a whole.
    let mut conditions = vec!["variables IS NULL".to_owned()];
    let mut hashes = HashSet::new();
    let mut look_at = |columns: &[&str], may_hold: &dyn Fn(&str) -> bool| -> Result<()> {
        for column in columns {
            let of_column = hashes_of(connection, &logs, column, may_hold)?;
            if !of_column.is_empty() {
                conditions.push(sought.condition(&format!("hash({column})")));
            }
            hashes.extend(of_column);
        }
        Ok(())
    };
    look_at(&TEMPLATES, &|text| sought.may_be_in(text))?;
    look_at(&FEW_VALUES, &|text| sought.may_be_in_value(text))?;
    sought.set_hashes(hashes);
    let of_own = OWN.map(|part| sought.condition(&format!("coalesce({part}, '')")));
    conditions.extend(of_own);
    Ok(conditions.join(" OR "))
}
