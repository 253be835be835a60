//! SQL of the caller's own, and files for other programs.

use std::path::Path;

use ::duckdb::arrow::datatypes::DataType;
use ::duckdb::types::Value as SqlValue;
use ::duckdb::{Connection, params_from_iter};
use serde_json::Value;

use super::files::NewFile;
use super::predicate;
use super::{DuckDbStore, error, read_transaction, rows};
use crate::models::{InvalidValue, LogQuery};
use crate::storage::{Error, Result};

/// The rows that [`DuckDbStore::execute_query`] gives.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QueryRows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The values of each row, in the order of the columns; times, numbers that JSON cannot hold, and other
    /// types without a JSON form are text.
    pub rows: Vec<Vec<Value>>,
}

/// A format of files that [`DuckDbStore::export_logs`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Apache Parquet, compressed with zstd.
    Parquet,
    /// CSV with a header. Text that a spreadsheet would take for a formula has a quote in front, as OWASP
    /// advises against [CSV injection]; the other formats hold it as it is.
    ///
    /// [CSV injection]: https://owasp.org/www-community/attacks/CSV_Injection
    Csv,
    /// A JSON object a line.
    JsonLines,
}

impl ExportFormat {
    /// The first characters of what a spreadsheet takes for a formula.
    pub const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

    /// SQL for a text column as this format holds it.
    fn text(self, column: &str) -> String {
        if self != Self::Csv {
            return column.to_owned();
        }
        let starts = Self::FORMULA_STARTS.map(|start| format!("chr({})", u32::from(start)));
        let is_formula = format!("left({column}, 1) IN ({})", starts.join(", "));
        format!("CASE WHEN {is_formula} THEN chr(39) || {column} ELSE {column} END AS {column}")
    }
}

impl DuckDbStore {
    /// Runs one SELECT of the caller's own and gives its rows, all of which are held in memory. Parameters stand
    /// as `?` in the SQL.
    ///
    /// The SQL is text of the caller's: it cannot write, and reads other files only if the store was opened
    /// with [`external_access`](super::OpenOptions::external_access). The tables are described in the README.
    ///
    /// ```
    /// use logstore::DuckDbStore;
    /// use serde_json::json;
    ///
    /// let store = DuckDbStore::open(":memory:")?;
    /// let answer = store.execute_query("SELECT ? + 1 AS n", &[json!(41)])?;
    /// assert_eq!((answer.columns, answer.rows), (vec!["n".into()], vec![vec![json!(42)]]));
    /// # Ok::<(), logstore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if it is not one SELECT, or the engine does not understand it.
    pub fn execute_query(&self, sql: &str, parameters: &[Value]) -> Result<QueryRows> {
        self.read(|connection| {
            let parsed = refuse_all_but_select(connection, sql)?;
            if self.is_lake() {
                refuse_upkeep(sql, &parsed)?;
            }
            read_transaction(connection, "run a query", |connection| {
                run(connection, sql, parameters)
            })
        })
    }

    /// Writes the logs that a query wants to a file, in its order, and says how many. The file is for its owner alone,
    /// and there only when it is complete. Needs a store opened with
    /// [`external_access`](super::OpenOptions::external_access).
    ///
    /// # Errors
    ///
    /// [`Error::NotWritten`] if the file exists already: nothing is overwritten.
    pub fn export_logs(&self, query: &LogQuery, file: &Path, format: ExportFormat) -> Result<u64> {
        let exists = || error::not_written(file, "the file exists already: remove it or name another");
        if file.exists() {
            return Err(exists());
        }
        let new = NewFile::beside(file)?;
        let path = new.path();
        let name = path
            .to_str()
            .ok_or_else(|| error::not_written(file, "its name is not UTF-8"))?;
        let columns = rows::LOGS_COLUMNS.iter().filter(|(name, _)| *name != "seq");
        let columns: Vec<String> = columns
            .map(|(name, data_type)| (format!("\"{name}\""), data_type))
            .map(|(column, data_type)| match data_type {
                DataType::Utf8 => format.text(&column),
                _ => column,
            })
            .collect();
        let columns = columns.join(", ");
        let mut sql = predicate::Sql::new(format!("COPY (SELECT {columns} FROM {}", self.log_texts));
        sql.append(predicate::where_clause(query));
        sql.append(predicate::order_and_limit(query));
        // COPY takes no parameter for its file.
        let options = match format {
            ExportFormat::Parquet => "FORMAT parquet, COMPRESSION zstd",
            ExportFormat::Csv => "FORMAT csv, HEADER",
            ExportFormat::JsonLines => "FORMAT json",
        };
        sql.push(&format!(") TO {} ({options})", predicate::literal(name)));
        let copied = self.read(|connection| {
            let copied = connection.execute(&sql.text, params_from_iter(sql.values));
            copied.map_err(|error| error::export_failure(file, error))
        })?;
        match new.persist()? {
            true => Ok(copied as u64),
            false => Err(exists()),
        }
    }
}

/// The engine's own parser says whether the text is exactly one SELECT.
fn refuse_all_but_select(connection: &Connection, sql: &str) -> Result<Value> {
    let parsed: String = connection
        .query_row(
            "SELECT CAST(json_serialize_sql(CAST(? AS VARCHAR)) AS VARCHAR)",
            [sql],
            |row| row.get(0),
        )
        .map_err(|error| rejected(sql, &error))?;
    let parsed: Value = serde_json::from_str(&parsed).unwrap_or_default();
    if parsed["error"] != Value::Bool(false) {
        let message = parsed["error_message"].as_str().unwrap_or("it is not SQL");
        return Err(InvalidValue::new("query", sql, message).into());
    }
    match parsed["statements"].as_array().map(Vec::len) {
        Some(1) => Ok(parsed),
        _ => Err(InvalidValue::new("query", sql, "give one SELECT").into()),
    }
}

/// Table functions that do no more than read what they are given. In a lake, others can write from within a SELECT
/// (the upkeep of DuckLake), reach any table of the catalog's database, or run SQL that was not looked at.
const HARMLESS_FUNCTIONS: [&str; 6] = [
    "range",
    "generate_series",
    "unnest",
    "repeat",
    "json_each",
    "json_tree",
];

/// Refuses what a query of a lake must not use.
fn refuse_upkeep(sql: &str, parsed: &Value) -> Result<()> {
    let refused = |what: &str| {
        let reason = format!("a query of a lake may not use {what}");
        Err(InvalidValue::new("query", sql, reason).into())
    };
    match parsed {
        Value::Array(items) => items.iter().try_for_each(|item| refuse_upkeep(sql, item)),
        Value::Object(node) => {
            if node.get("type").and_then(Value::as_str) == Some("TABLE_FUNCTION") {
                let name = node
                    .get("function")
                    .and_then(|function| function["function_name"].as_str());
                let name = name.unwrap_or_default();
                if !HARMLESS_FUNCTIONS.contains(&name.to_ascii_lowercase().as_str()) {
                    return refused(&format!("the table function {name}"));
                }
            }
            for key in ["catalog_name", "schema_name"] {
                let name = node.get(key).and_then(Value::as_str).unwrap_or_default();
                if name.to_ascii_lowercase().starts_with("__ducklake") {
                    return refused("the catalog");
                }
            }
            node.values().try_for_each(|value| refuse_upkeep(sql, value))
        }
        _ => Ok(()),
    }
}

fn run(connection: &Connection, sql: &str, parameters: &[Value]) -> Result<QueryRows> {
    let failed = |error| rejected(sql, &error);
    let statement = sql.trim().trim_end_matches(';');
    let parameters: Vec<SqlValue> = parameters.iter().map(sql_value).collect();
    // A comment at its end must not swallow the bracket.
    let describe = format!("DESCRIBE {statement}\n");
    let described = rows::query_all(connection, &describe, params_from_iter(&parameters), |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let (columns, types): (Vec<String>, Vec<String>) = described.map_err(failed)?.into_iter().unzip();
    // The engine knows the JSON of each of its types. Positions keep columns of one name apart.
    let names: Vec<String> = (0..columns.len()).map(|index| format!("c{index}")).collect();
    let values: Vec<String> = names
        .iter()
        .zip(&types)
        .map(|(name, data_type)| json_value(name, data_type))
        .collect();
    let wrapped = format!(
        "SELECT CAST(json_array({}) AS VARCHAR) FROM ({statement}\n) AS answer({})",
        values.join(", "),
        names.join(", ")
    );
    let texts: Vec<String> = rows::query_all(connection, &wrapped, params_from_iter(&parameters), |row| {
        row.get(0)
    })
    .map_err(failed)?;
    let rows = texts.iter().map(|text| {
        serde_json::from_str(text).map_err(|_| {
            let reason = "a row has a value that JSON cannot hold, such as NaN in a list: cast it to VARCHAR";
            InvalidValue::new("query", sql, reason).into()
        })
    });
    Ok(QueryRows {
        columns,
        rows: rows.collect::<Result<_>>()?,
    })
}

/// SQL for the JSON of a column. A number that JSON cannot hold is text.
fn json_value(name: &str, data_type: &str) -> String {
    let is_number = match data_type {
        "FLOAT" | "DOUBLE" => format!("isfinite({name})"),
        "HUGEINT" | "UHUGEINT" => format!("{name} BETWEEN {} AND {}", i64::MIN, u64::MAX),
        _ => return name.to_owned(),
    };
    format!("CASE WHEN {is_number} THEN to_json({name}) ELSE to_json(CAST({name} AS VARCHAR)) END")
}

fn sql_value(value: &Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Bool(flag) => SqlValue::Boolean(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => SqlValue::BigInt(whole),
            None => SqlValue::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => SqlValue::Text(text.clone()),
        other => SqlValue::Text(other.to_string()),
    }
}

/// The query is the caller's, and so is what is wrong with it.
fn rejected(sql: &str, error: &::duckdb::Error) -> Error {
    InvalidValue::new("query", sql, error.to_string()).into()
}
