//! Leaves out logs without an observable that is sought, before anything else of them is read.
//!
//! An observable is in a log's text only if its template, a variable or a column has it: see
//! [`is_plain`](crate::models::observables::is_plain) for the texts of which that is not known.

use std::collections::HashSet;

use ::duckdb::Connection;
use ::duckdb::arrow::array::AsArray as _;
use ::duckdb::arrow::datatypes::UInt64Type;

use crate::models::LogQuery;
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::rows::decode;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::sought::Sought;
use crate::storage::duckdb::sql::statement::{Sql, for_each_chunk};

/// Names the columns of templates, each of which many logs have.
const TEMPLATES: [&str; 4] = [
    "template",
    "normalized_template",
    "message_template",
    "timestamp_template",
];

/// Names the columns that a template is filled from, of which logs have few values.
const FEW_VALUES: [&str; 8] = [
    "host",
    "hostname",
    "appname",
    "file",
    "source_type",
    "source_ip",
    "dest_ip",
    "\"user\"",
];

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
    // A log that is stored without a template is looked at as a whole.
    let mut conditions = vec!["variables IS NULL".to_owned()];
    let mut hashes = HashSet::new();
    for column in TEMPLATES.into_iter().chain(FEW_VALUES) {
        let of_column = hashes_of(connection, query, log_texts, column, sought)?;
        if !of_column.is_empty() {
            conditions.push(sought.condition(&format!("hash({column})")));
        }
        hashes.extend(of_column);
    }
    sought.set_hashes(hashes);
    let of_own = OWN.map(|part| sought.condition(&format!("coalesce({part}, '')")));
    conditions.extend(of_own);
    Ok(conditions.join(" OR "))
}

/// Returns the hashes of the values of a column that may hold what is sought.
fn hashes_of(
    connection: &Connection,
    query: &LogQuery,
    log_texts: &str,
    column: &str,
    sought: &Sought,
) -> Result<HashSet<u64>> {
    let times = LogQuery {
        filters: Vec::new(),
        ..query.clone()
    };
    let mut sql = Sql::new(format!(
        "SELECT DISTINCT {column}, hash({column}) FROM {log_texts}"
    ));
    sql.append(predicate::where_clause(&times));
    let may_hold = |text: &str| match TEMPLATES.contains(&column) {
        true => sought.may_be_in(text),
        false => sought.may_be_in_value(text),
    };
    let mut found = HashSet::new();
    for_each_chunk(connection, &sql, |chunk| {
        let hashes = chunk.column(1).as_primitive_opt::<UInt64Type>();
        let hashes = hashes.ok_or_else(|| error::corrupt("a hash is no number"))?;
        for (text, hash) in decode::texts(&chunk, 0)?.into_iter().zip(hashes) {
            if text.is_some_and(may_hold) {
                found.extend(hash);
            }
        }
        Ok(true)
    })?;
    Ok(found)
}
