//! Runs the caller's own SQL.

pub(super) mod allowed;
mod typed_rows;

use ::duckdb::arrow::array::StructArray;
use ::duckdb::types::Value as SqlValue;
use ::duckdb::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::allowed::Allowed;
use crate::models::InvalidValue;
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::error;
use crate::storage::duckdb::logs::scan::{FromRows, Query, Scan};
use crate::storage::duckdb::rows::decode;
use crate::storage::duckdb::schema;
use crate::storage::duckdb::sql::sought::Sought;
use crate::storage::duckdb::sql::statement::{self, Sql};
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::duckdb::transaction::read_transaction;
use crate::storage::{Error, Result};

/// Holds the rows that [`DuckDbStore::execute_query`] returns.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QueryRows {
    /// Names the columns.
    pub columns: Vec<String>,
    /// Holds the values of each row, in the order of the columns.
    ///
    /// A time is text as in RFC 3339, in UTC: `2024-05-01T12:00:00Z`. Numbers that JSON cannot hold are text, as are
    /// values of other types without a JSON form. In lists and structs, times are text as the engine writes them.
    pub rows: Vec<Vec<Value>>,
}

/// Yields the rows that [`DuckDbStore::stream_query`] finds, each as the values of its columns.
///
/// See [`QueryRows::rows`] for the values. An error ends the stream; it comes after all rows that could be read.
pub struct QueryStream {
    /// Names the columns.
    pub columns: Vec<String>,
    rows: Scan<RowText>,
    sql: String,
}

impl Iterator for QueryStream {
    type Item = Result<Vec<Value>>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = match self.rows.next()? {
            Ok(RowText(text)) => text,
            Err(error) => return Some(Err(error)),
        };
        let row = serde_json::from_str(&text).map_err(|_| {
            let reason = "a row has a value that JSON cannot hold, such as NaN in a list: cast it to VARCHAR";
            InvalidValue::new("query", &self.sql, reason).into()
        });
        Some(row)
    }
}

impl std::fmt::Debug for QueryStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryStream")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

/// Holds a row as a JSON array.
#[derive(Serialize, Deserialize)]
struct RowText(String);

impl FromRows for RowText {
    fn from_rows(chunk: &StructArray) -> Result<Vec<Self>> {
        let texts = decode::texts(chunk, 0)?;
        let text = |text: Option<&str>| text.map(|text| Self(text.to_owned()));
        let row = |row| text(row).ok_or_else(|| error::corrupt("a row of a query is no JSON"));
        texts.into_iter().map(row).collect()
    }
}

impl DuckDbStore {
    /// Runs one SELECT of the caller's own and returns its rows, all of them in memory.
    ///
    /// Use [`stream_query`](Self::stream_query) for more rows than fit into memory. The SQL marks parameters with `?`.
    ///
    /// The SQL cannot write. It reads other files only if the store was opened with
    /// [`external_access`](crate::OpenOptions::external_access). It may use table functions that generate rows
    /// (`range`, `unnest`, ...), take JSON apart, or list tables and columns. The README describes the tables.
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
    /// [`Error::InvalidInput`] if the SQL is not one SELECT, or if the engine does not understand it. The same if the
    /// SQL uses something that is not allowed. [`Error::TimedOut`] if the query takes longer than it may.
    pub fn execute_query(&self, sql: &str, parameters: &[Value]) -> Result<QueryRows> {
        let mut stream = self.stream_query(sql, parameters)?;
        let rows = stream.by_ref().collect::<Result<_>>()?;
        let columns = stream.columns;
        Ok(QueryRows { columns, rows })
    }

    /// Runs one SELECT of the caller's own and returns its rows as a stream.
    ///
    /// The SQL is checked as by [`execute_query`](Self::execute_query). The engine keeps other processes out while it
    /// works; the reader does not.
    ///
    /// ```
    /// use logstore::DuckDbStore;
    ///
    /// let store = DuckDbStore::open(":memory:")?;
    /// let rows = store.stream_query("SELECT n FROM range(1_000_000) AS t(n)", &[])?;
    /// assert_eq!(rows.columns, ["n"]);
    /// let first = rows.take(2).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(first, [[0], [1]]);
    /// # Ok::<(), logstore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`execute_query`](Self::execute_query). A later error is the last item of the stream.
    pub fn stream_query(&self, sql: &str, parameters: &[Value]) -> Result<QueryStream> {
        let lease = self.lease(Mode::Read)?.for_one_use();
        let connection = lease.connection();
        lock_settings(connection).map_err(|error| error::engine("run the query", error))?;
        let parsed = refuse_all_but_select(connection, sql)?;
        let allowed = Allowed {
            is_lake: self.is_lake(),
            reads_files: self.gate.settings().external_access,
        };
        allowed.check(connection, self.gate.macros(), sql, &parsed)?;
        let parameters: Vec<SqlValue> = parameters.iter().map(sql_value).collect();
        let logs = match self.log_texts {
            schema::LOG_TEXTS => LOGS,
            _ => "",
        };
        let prepared = read_transaction(connection, "run the query", |connection| {
            as_json(connection, logs, sql, &parameters)
        });
        let (columns, rows) = self.after_failure(prepared)?;
        let wanted = Query {
            plan: move |_: &Connection, _: Option<&Sought>| Ok(vec![rows]),
            limit: None,
            time: self.query_timeout,
            error: rejected,
            subject: sql.to_owned(),
            sought: None,
            keep: None,
        };
        let scan = Scan::start(lease, wanted, self.patience_with_readers());
        Ok(QueryStream {
            columns,
            rows: self.after_failure(scan)?,
            sql: sql.to_owned(),
        })
    }
}

/// Returns the parsed text, and refuses all but exactly one SELECT.
fn refuse_all_but_select(connection: &Connection, sql: &str) -> Result<Value> {
    let parsed = allowed::parse(connection, sql).map_err(|error| rejected(sql, error))?;
    if parsed["error"] != Value::Bool(false) {
        let message = match parsed["error_type"].as_str() {
            // The parser answers so to any statement but a SELECT.
            Some("not implemented") => "give one SELECT",
            _ => parsed["error_message"].as_str().unwrap_or("it is not SQL"),
        };
        let place = parsed["position"].as_str().and_then(|place| place.parse().ok());
        let shown = place.map(|place| caret(sql, place)).unwrap_or_default();
        return Err(InvalidValue::new("query", sql, format!("{message}{shown}")).into());
    }
    match parsed["statements"].as_array().map(Vec::len) {
        Some(1) => Ok(parsed),
        _ => Err(InvalidValue::new("query", sql, "give one SELECT").into()),
    }
}

/// Returns the line of a text with a place, and a mark below it, as the engine shows them.
fn caret(sql: &str, place: usize) -> String {
    let Some((before, after)) = sql.split_at_checked(place) else {
        return String::new();
    };
    let number = before.matches('\n').count() + 1;
    let start = before.rsplit('\n').next().unwrap_or_default();
    let rest = after.split('\n').next().unwrap_or_default();
    let label = format!("LINE {number}: ");
    let indent = " ".repeat(label.len() + start.chars().count());
    format!("\n\n{label}{start}{rest}\n{indent}^")
}

/// Holds SQL that makes the SELECT after it read `logs` from [`schema::LOG_TEXTS`], with the columns of the view `logs`.
///
/// The view is for any program, and slow: it puts texts together without functions of logstore. The SQL is one line, so
/// that errors count the lines of the caller's own.
const LOGS: &str = "WITH logs AS NOT MATERIALIZED (SELECT seq, event_time, id, \"timestamp\", raw, appname, file, \
    host, hostname, message, procid, source_type, CAST(normalized AS JSON) AS normalized, metadata, ingestion_time, \
    source_ip, dest_ip, source_port, dest_port, \"user\", process, action, outcome, level FROM main.log_texts) ";

const AS_JSON: &str = "SELECT CAST(json_array(";

/// Returns SQL that yields each row of a SELECT as a JSON array, and the names of the SELECT's columns.
fn as_json(
    connection: &Connection,
    logs: &'static str,
    sql: &str,
    parameters: &[SqlValue],
) -> Result<(Vec<String>, Sql)> {
    let statement = sql.trim().trim_end_matches(';');
    let describe = |logs: &'static str| {
        // The line end keeps a comment at the end of the SQL from swallowing the bracket.
        let describe = format!("DESCRIBE {logs}FROM ({statement}\n)");
        let described = statement::query_all(connection, &describe, params_from_iter(parameters), |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        described.map(|columns| (logs, columns))
    };
    // A query that names a column as `main.logs.raw` means the view.
    let described = describe(logs).or_else(|_| {
        // Preparing the caller's own text makes errors show that text.
        connection.prepare(statement)?;
        describe("")
    });
    let (logs, columns): (_, Vec<(String, String)>) = described.map_err(|error| rejected(sql, error))?;
    let (columns, types): (Vec<String>, Vec<String>) = columns.into_iter().unzip();
    // The engine knows the JSON of each of its types. Positions keep columns of one name apart.
    let names: Vec<String> = (0..columns.len()).map(|index| format!("c{index}")).collect();
    let values: Vec<String> = names
        .iter()
        .zip(&types)
        .map(|(name, data_type)| json_value(name, data_type))
        .collect();
    let text = format!(
        "{logs}{AS_JSON}{}) AS VARCHAR) FROM ({statement}\n) AS answer({})",
        values.join(", "),
        names.join(", ")
    );
    let values = parameters.to_vec();
    Ok((columns, Sql { text, values }))
}

/// Returns SQL for the JSON of a column. A number that JSON cannot hold becomes text, as does a time that RFC 3339
/// cannot hold.
fn json_value(name: &str, data_type: &str) -> String {
    let (is_held, held) = match data_type {
        "FLOAT" | "DOUBLE" => (format!("isfinite({name})"), name.to_owned()),
        "HUGEINT" | "UHUGEINT" => (
            format!("{name} BETWEEN {} AND {}", i64::MIN, u64::MAX),
            name.to_owned(),
        ),
        "TIMESTAMP" | "TIMESTAMP_S" | "TIMESTAMP_MS" | "TIMESTAMP_NS" => rfc3339(name),
        // A time with a zone is an instant. Its text depends on an extension of the engine.
        "TIMESTAMP WITH TIME ZONE" => rfc3339(&format!("make_timestamp(epoch_us({name}))")),
        _ => return name.to_owned(),
    };
    format!("CASE WHEN {is_held} THEN to_json({held}) ELSE to_json(CAST({name} AS VARCHAR)) END")
}

/// Returns SQL that tests whether RFC 3339 can hold a time in UTC, and SQL for its text.
fn rfc3339(time: &str) -> (String, String) {
    let is_held = format!("isfinite({time}) AND year({time}) BETWEEN 1 AND 9999");
    (
        is_held,
        format!("replace(CAST({time} AS VARCHAR), ' ', 'T') || 'Z'"),
    )
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

/// Returns the error of a query of the caller's own: invalid input, unless the store or the machine failed.
fn rejected(sql: &str, error: ::duckdb::Error) -> Error {
    match error::is_of_the_query(&error) {
        true => {
            let text = error.to_string();
            // If the message shows our own SQL, its place means nothing to the caller.
            let said = text
                .split_once("\n\nLINE ")
                .filter(|(_, shown)| shown.contains(AS_JSON));
            let reason = said.map_or(text.as_str(), |(said, _)| said);
            InvalidValue::new("query", sql, reason).into()
        }
        false => error::engine("run the query", error),
    }
}

/// Locks the settings, so that the SQL that runs next cannot change one.
fn lock_settings(connection: &Connection) -> ::duckdb::Result<()> {
    match connection.execute_batch("SET lock_configuration = true") {
        Err(error) if error::says_that_settings_are_locked(&error) => Ok(()),
        locked => locked,
    }
}
