//! Statements: SQL with its values, the rows it yields, and the values that Rust and the engine write differently.

use ::duckdb::arrow::array::StructArray;
use ::duckdb::types::{TimeUnit, Value};
use ::duckdb::{Connection, Params, Row, params_from_iter};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Map;

use crate::storage::duckdb::error;
use crate::storage::{Error, Result};

/// Holds SQL with its values: as literals, or with a `?` for those that can be none.
///
/// The engine plans a statement with parameters twice: when it is prepared, and once more when their values are known.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
}

impl Sql {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            values: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(crate) fn bind(&mut self, value: impl Into<Value>) {
        let value = value.into();
        match value_literal(&value) {
            Some(literal) => self.push(&literal),
            None => {
                self.push("?");
                self.values.push(value);
            }
        }
    }

    /// Binds values with commas between them.
    pub(crate) fn bind_all(&mut self, values: impl IntoIterator<Item = impl Into<Value>>) {
        for (index, value) in values.into_iter().enumerate() {
            self.push(if index == 0 { "" } else { ", " });
            self.bind(value);
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.values.extend(other.values);
    }

    /// Adds `AND column = value` if there is a value.
    pub(crate) fn and_equals(&mut self, column: &str, value: Option<impl Into<Value>>) {
        self.and(column, "=", value);
    }

    /// Adds `AND column operator value` if there is a value.
    pub(crate) fn and(&mut self, column: &str, operator: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value.map(Into::into) {
            let mut subject = Self::new(column);
            keep_from_catalog(&mut subject, &value);
            self.push(&format!("\nAND {} {operator} ", subject.text));
            self.bind(value);
        }
    }

    pub(crate) fn limit(&mut self, limit: Option<u64>) {
        if let Some(limit) = limit {
            self.push("\nLIMIT ");
            self.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        }
    }
}

/// Returns a value as SQL of the same type, if SQL can have it.
fn value_literal(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) if !holds_nul(value) => Some(format!("CAST({} AS VARCHAR)", literal(text))),
        Value::BigInt(number) => Some(format!("CAST({number} AS BIGINT)")),
        Value::Timestamp(TimeUnit::Microsecond, micros) => {
            Some(format!("make_timestamp(CAST({micros} AS BIGINT))"))
        }
        _ => None,
    }
}

/// Returns a text as an SQL literal, which must not hold NUL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns a name as a quoted SQL identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Keeps a comparison with a text that holds NUL from a lake's catalog, so that the engine alone makes it.
///
/// The engine asks the catalog which files may hold a value. A catalog cannot take a NUL.
pub(crate) fn keep_from_catalog(subject: &mut Sql, value: &Value) {
    if holds_nul(value) {
        subject.push(" || ''");
    }
}

/// Returns SQL for a column that is joined with texts: see [`keep_from_catalog`]. A join tells the catalog its texts.
pub(crate) fn joined_column<'a>(column: &str, mut texts: impl Iterator<Item = &'a str>) -> String {
    match texts.any(|text| text.contains('\0')) {
        true => format!("({column} || '')"),
        false => column.to_owned(),
    }
}

pub(crate) fn holds_nul(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.contains('\0'))
}

/// Returns a time as the engine stores it.
pub(crate) fn time_value(time: DateTime<Utc>) -> Value {
    Value::Timestamp(TimeUnit::Microsecond, time.timestamp_micros())
}

/// Runs a query and reads all of its rows.
pub(crate) fn query_all<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    read: impl FnMut(&Row<'_>) -> ::duckdb::Result<T>,
) -> ::duckdb::Result<Vec<T>> {
    connection.prepare(sql)?.query_map(parameters, read)?.collect()
}

/// Runs a statement, and reads each of its rows in a way that may fail for what the row holds.
pub(crate) fn fetch_all<T>(
    connection: &Connection,
    sql: &Sql,
    action: &'static str,
    read: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let failed = |error| error::engine(action, error);
    let mut statement = connection.prepare(&sql.text).map_err(failed)?;
    let mut rows = statement.query(params_from_iter(&sql.values)).map_err(failed)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// Returns a time from the engine's microseconds.
pub(crate) fn time(micros: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| error::corrupt(format!("{micros} microseconds since 1970 are no time")))
}

/// Returns an object as JSON text; nothing for an empty one.
pub(crate) fn json_text(map: &Map<String, serde_json::Value>) -> Option<String> {
    (!map.is_empty()).then(|| serde_json::to_string(map).expect("an object with text keys is JSON"))
}

/// Returns records as the JSON text that the engine's `from_json` reads.
pub(crate) fn json_array(records: &[impl Serialize]) -> String {
    serde_json::to_string(records).expect("texts, flags and numbers are JSON")
}

/// Returns an object from JSON text; an empty one for nothing.
pub(crate) fn json_object(text: Option<&str>, what: &str) -> Result<Map<String, serde_json::Value>> {
    text.map_or(Ok(Map::new()), |text| {
        serde_json::from_str(text)
            .map_err(|error| error::corrupt(format!("{what} is not a JSON object: {error}")))
    })
}

/// Runs a query of logs and passes on each chunk, until `take` fails or has enough.
pub(crate) fn for_each_chunk(
    connection: &Connection,
    sql: &Sql,
    take: impl FnMut(StructArray) -> Result<bool>,
) -> Result<()> {
    for_each_chunk_or(connection, sql, |error| error::engine("read logs", error), take)
}

/// Does the same as [`for_each_chunk`] for a query whose errors are reported in another way.
pub(crate) fn for_each_chunk_or(
    connection: &Connection,
    sql: &Sql,
    failed: impl Fn(::duckdb::Error) -> Error,
    mut take: impl FnMut(StructArray) -> Result<bool>,
) -> Result<()> {
    let mut statement = connection.prepare(&sql.text).map_err(&failed)?;
    drop(
        statement
            .stream_arrow(params_from_iter(&sql.values))
            .map_err(&failed)?,
    );
    while let Some(chunk) = statement.step().map_err(&failed)? {
        if !take(chunk)? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let texts = prop_oneof![".*", "['\"\\\\?;${}\0-]{0,9}", "'.*'.*--"];
        prop_oneof![
            texts.prop_map(Value::Text),
            any::<i64>().prop_map(Value::BigInt),
            // Years that the engine and `chrono` have.
            (-62_135_596_800_000_000_i64..253_402_300_800_000_000)
                .prop_map(|micros| Value::Timestamp(TimeUnit::Microsecond, micros)),
        ]
    }

    proptest! {
        #[test]
        fn a_value_is_the_same_as_sql(values in prop::collection::vec(values(), 1..4)) {
            let mut sql = Sql::new("SELECT ");
            sql.bind_all(values.clone());
            let connection = Connection::open_in_memory().unwrap();
            let read = connection.query_row(&sql.text, params_from_iter(&sql.values), |row| {
                (0..values.len()).map(|place| row.get::<_, Value>(place)).collect::<::duckdb::Result<Vec<_>>>()
            });
            prop_assert_eq!(read.unwrap(), values);
        }
    }
}
