//! Finds the logs that may have a part of a text, by one column after another.
//!
//! The engine asks a condition of one column while it reads: of each text of a dictionary once, and without reading the
//! other columns. Of a condition on several columns, it reads all that the query wants of each log.

use std::ops::RangeInclusive;

use ::duckdb::Connection;
use ::duckdb::arrow::array::AsArray as _;
use ::duckdb::arrow::datatypes::Int64Type;

use crate::models::LogQuery;
use crate::storage::Result;
use crate::storage::duckdb::sql::hint::ColumnCondition;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::statement::{Sql, for_each_chunk};
use crate::storage::duckdb::{error, schema};

/// Limits the logs that are found before they are looked at.
const MOST_FOUND: usize = 10_000;

/// Returns SQL that names the logs for each of some conditions, of which a log meets at most one, with the columns of
/// `log_texts`.
pub(crate) fn log_texts(conditions: &[String]) -> String {
    let rows = conditions
        .iter()
        .map(|condition| format!("SELECT * FROM log_rows WHERE {condition}"));
    schema::log_texts_of(&rows.collect::<Vec<_>>().join(" UNION ALL "))
}

/// Returns the sequence numbers of the logs of a query that meet one of some conditions, in order; `None` if these are
/// many.
pub(crate) fn found(
    connection: &Connection,
    query: &LogQuery,
    conditions: &[ColumnCondition],
) -> Result<Option<Vec<RangeInclusive<i64>>>> {
    let times = predicate::times(&query.within_page());
    let selects = conditions
        .iter()
        .map(|condition| format!("SELECT seq FROM log_rows WHERE {} AND {times}", condition.sql));
    let sql = Sql::new(selects.collect::<Vec<_>>().join(" UNION ALL "));
    let mut found = Vec::new();
    for_each_chunk(connection, &sql, |chunk| {
        let seqs = chunk.column(0).as_primitive_opt::<Int64Type>();
        let seqs = seqs.ok_or_else(|| error::corrupt("a sequence number is no number"))?;
        found.extend(seqs.values().iter().map(|seq| *seq..=*seq));
        Ok(found.len() <= MOST_FOUND)
    })?;
    if found.len() > MOST_FOUND {
        return Ok(None);
    }
    found.sort_unstable_by_key(|seq| *seq.start());
    found.dedup();
    Ok(Some(found))
}
