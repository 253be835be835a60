//! Looks at the texts that many logs have once for all of them: those of columns that the engine stores as dictionaries.

use std::collections::HashSet;

use ::duckdb::arrow::array::AsArray as _;
use ::duckdb::arrow::datatypes::UInt64Type;
use ::duckdb::{Connection, params_from_iter};

use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::rows::decode;
use crate::storage::duckdb::sql::statement::{Sql, for_each_chunk};

/// Names the columns of templates, each of which many logs have.
pub(crate) const TEMPLATES: [&str; 4] = [
    "template",
    "normalized_template",
    "message_template",
    "timestamp_template",
];

/// Names the columns that a template is filled from, of which logs have few values.
pub(crate) const FEW_VALUES: [&str; 8] = [
    "host",
    "hostname",
    "appname",
    "file",
    "source_type",
    "source_ip",
    "dest_ip",
    "\"user\"",
];

/// Counts logs, up to `most`. `logs` names them after `FROM`.
pub(crate) fn counted(connection: &Connection, logs: Sql, most: i64) -> Result<i64> {
    let mut sql = Sql::new("SELECT count(*) FROM (SELECT 1 FROM ");
    sql.append(logs);
    sql.push(&format!(" LIMIT {most})"));
    let counted = connection.query_row(&sql.text, params_from_iter(&sql.values), |row| row.get(0));
    counted.map_err(|error| error::engine("count logs", error))
}

/// Returns the engine's hashes of the texts of a column that pass a test. `logs` names logs after `FROM`.
pub(crate) fn hashes_of(
    connection: &Connection,
    logs: &Sql,
    column: &str,
    passes: impl Fn(&str) -> bool,
) -> Result<HashSet<u64>> {
    let mut found = HashSet::new();
    for_each_text(connection, logs, column, |text, hash| {
        if passes(text) {
            found.insert(hash);
        }
    })?;
    Ok(found)
}

/// Gives each text of a column to `take` once, with the engine's hash of it. `logs` names logs after `FROM`.
pub(crate) fn for_each_text(
    connection: &Connection,
    logs: &Sql,
    column: &str,
    mut take: impl FnMut(&str, u64),
) -> Result<()> {
    // The engine looks at each text of a dictionary once if the rows are grouped by nothing else.
    let mut sql = Sql::new(format!(
        "SELECT text, hash(text) FROM (SELECT DISTINCT {column} AS text FROM "
    ));
    sql.append(logs.clone());
    sql.push(")");
    for_each_chunk(connection, &sql, |chunk| {
        let hashes = chunk.column(1).as_primitive_opt::<UInt64Type>();
        let hashes = hashes.ok_or_else(|| error::corrupt("a hash is no number"))?;
        for (text, hash) in decode::texts(&chunk, 0)?.into_iter().zip(hashes) {
            if let Some((text, hash)) = text.zip(hash) {
                take(text, hash);
            }
        }
        Ok(true)
    })
}

/// Limits the texts of a column that are named in a query.
const MOST_TEXTS: usize = 1_000;

/// Returns SQL that is true of the logs of which a column has a text with one of these hashes: one condition, or none for
/// no hashes; `None` if there are too many.
pub(crate) fn is_one_of(column: &str, hashes: &HashSet<u64>) -> Option<Vec<String>> {
    let named: Vec<String> = hashes.iter().map(u64::to_string).collect();
    match named.len() {
        0 => Some(Vec::new()),
        1..=MOST_TEXTS => Some(vec![format!("hash({column}) IN ({})", named.join(", "))]),
        _ => None,
    }
}
