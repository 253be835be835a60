//! Looks at the texts that many logs have once for all of them: those of columns that the engine stores as dictionaries.

use std::collections::HashSet;

use ::duckdb::Connection;
use ::duckdb::arrow::array::AsArray as _;
use ::duckdb::arrow::datatypes::UInt64Type;

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

/// Returns the engine's hashes of the texts of a column that pass a test. `logs` names logs after `FROM`.
pub(crate) fn hashes_of(
    connection: &Connection,
    logs: &Sql,
    column: &str,
    passes: impl Fn(&str) -> bool,
) -> Result<HashSet<u64>> {
    // The engine looks at each text of a dictionary once if the rows are grouped by nothing else.
    let mut sql = Sql::new(format!(
        "SELECT text, hash(text) FROM (SELECT DISTINCT {column} AS text FROM "
    ));
    sql.append(logs.clone());
    sql.push(")");
    let mut found = HashSet::new();
    for_each_chunk(connection, &sql, |chunk| {
        let hashes = chunk.column(1).as_primitive_opt::<UInt64Type>();
        let hashes = hashes.ok_or_else(|| error::corrupt("a hash is no number"))?;
        for (text, hash) in decode::texts(&chunk, 0)?.into_iter().zip(hashes) {
            if text.is_some_and(&passes) {
                found.extend(hash);
            }
        }
        Ok(true)
    })?;
    Ok(found)
}
