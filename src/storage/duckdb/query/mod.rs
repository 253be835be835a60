//! SQL of the caller's own, and files for other programs.

pub(super) mod allowed;
mod typed_rows;

use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use ::duckdb::arrow::array::{RecordBatch, StructArray};
use ::duckdb::arrow::datatypes::DataType;
use ::duckdb::types::Value as SqlValue;
use ::duckdb::{Connection, params_from_iter};
use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::allowed::Allowed;
use crate::models::{InvalidValue, LogQuery};
use crate::storage::duckdb::engine::deadline::Deadline;
use crate::storage::duckdb::engine::files::NewFile;
use crate::storage::duckdb::engine::gate::Lease;
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::error;
use crate::storage::duckdb::logs::long_texts;
use crate::storage::duckdb::logs::scan::{OfRows, Query, Scan};
use crate::storage::duckdb::rows::encode;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::statement::{self, Sql, for_each_chunk};
use crate::storage::duckdb::sql::streamed::StreamedRows;
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::duckdb::transaction::read_transaction;
use crate::storage::{Error, Result};

/// The rows that [`DuckDbStore::execute_query`] gives.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QueryRows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The values of each row, in the order of the columns. A time is text as in RFC 3339, in UTC: `2024-05-01T12:00:00Z`.
    /// Numbers that JSON cannot hold are text, as are values of other types without a JSON form. In lists and structs,
    /// times are text as the engine writes them.
    pub rows: Vec<Vec<Value>>,
}

/// The rows that [`DuckDbStore::stream_query`] gives, each as the values of its columns: see [`QueryRows::rows`].
///
/// An error ends it; what could be read before the error has been given by then.
pub struct QueryStream {
    /// The names of the columns.
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

/// A row as a JSON array.
#[derive(Serialize, Deserialize)]
struct RowText(String);

impl OfRows for RowText {
    fn of_rows(chunk: &StructArray) -> Result<Vec<Self>> {
        let texts = encode::texts(chunk, 0)?;
        let text = |text: Option<&str>| text.map(|text| Self(text.to_owned()));
        let row = |row| text(row).ok_or_else(|| error::corrupt("a row of a query is no JSON"));
        texts.into_iter().map(row).collect()
    }
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

    /// The options of COPY.
    fn options(self) -> &'static str {
        match self {
            // Rows are kept in memory until they are so many bytes.
            Self::Parquet => "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE_BYTES '64MB'",
            Self::Csv => "FORMAT csv, HEADER",
            Self::JsonLines => "FORMAT json",
        }
    }

    /// SQL for a text column as this format holds it.
    fn text(self, column: &str) -> String {
        if self != Self::Csv {
            return column.to_owned();
        }
        // Of IN, the engine (1.5.5) makes a join for each column, and each join collects rows, however long they are.
        let starts = statement::literal(&String::from_iter(Self::FORMULA_STARTS));
        let first = format!("left({column}, 1)");
        let is_formula = format!("{first} <> '' AND contains({starts}, {first})");
        format!("CASE WHEN {is_formula} THEN chr(39) || {column} ELSE {column} END AS {column}")
    }
}

impl DuckDbStore {
    /// Runs one SELECT of the caller's own and gives its rows, all of which are held in memory: see
    /// [`stream_query`](Self::stream_query) for more of them than that. Parameters stand as `?` in the SQL.
    ///
    /// The SQL is text of the caller's: it cannot write, and reads other files only if the store was opened
    /// with [`external_access`](crate::OpenOptions::external_access). Of table functions, it may use those that generate
    /// rows (`range`, `unnest`, ...), take JSON apart, or say which tables and columns there are. The tables are described
    /// in the README.
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
    /// [`Error::InvalidInput`] if it is not one SELECT, the engine does not understand it, or it may not be used;
    /// [`Error::TimedOut`] if it takes longer than it may.
    pub fn execute_query(&self, sql: &str, parameters: &[Value]) -> Result<QueryRows> {
        let mut stream = self.stream_query(sql, parameters)?;
        let rows = stream.by_ref().collect::<Result<_>>()?;
        let columns = stream.columns;
        Ok(QueryRows { columns, rows })
    }

    /// Runs one SELECT of the caller's own, as [`execute_query`](Self::execute_query) does, and gives its rows as they
    /// are asked for. Other processes are kept out for as long as the engine needs, not the reader.
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
    /// See [`execute_query`](Self::execute_query). What goes wrong later is the last thing that the stream gives.
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
        let prepared = read_transaction(connection, "run the query", |connection| {
            as_json(connection, sql, &parameters)
        });
        let (columns, rows) = self.note_disconnection(prepared)?;
        let wanted = Query {
            plan: move |_: &Connection| Ok(vec![rows]),
            limit: None,
            time: self.query_timeout,
            error: rejected,
            subject: sql.to_owned(),
        };
        let scan = Scan::start(lease, wanted, self.patience_with_readers());
        Ok(QueryStream {
            columns,
            rows: self.note_disconnection(scan)?,
            sql: sql.to_owned(),
        })
    }

    /// Writes the logs that a query wants to a file, in its order, and says how many. The file is for its owner alone,
    /// and there only when it is complete. Needs a store opened with
    /// [`external_access`](crate::OpenOptions::external_access).
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
        let is_measured = !self.is_lake()
            && self.read(|connection| Ok(long_texts::need_measuring(connection, self.log_texts)))?;
        let columns = encode::LOGS_COLUMNS.iter().filter(|(name, _)| *name != "seq");
        let columns: Vec<String> = columns
            .map(|(name, data_type)| (format!("\"{name}\""), data_type))
            .map(|(column, data_type)| match data_type {
                DataType::Utf8 => format.text(&column),
                _ => column,
            })
            .collect();
        let columns = columns.join(", ");
        let to = format!("TO {} ({})", statement::literal(name), format.options());
        let written = match is_measured {
            true => self.export_in_parts(query, &columns, file, &to),
            false => self.export_at_once(query, &columns, file, &to),
        }?;
        match new.persist()? {
            true => Ok(written),
            false => Err(exists()),
        }
    }

    fn export_at_once(&self, query: &LogQuery, columns: &str, file: &Path, to: &str) -> Result<u64> {
        let mut sql = Sql::new(format!("COPY (SELECT {columns} FROM {}", self.log_texts));
        sql.append(predicate::page_clause(query));
        sql.append(predicate::order_and_limit(query));
        sql.push(&format!(") {to}"));
        self.read_in_time(|connection| {
            let copied = connection.execute(&sql.text, params_from_iter(sql.values));
            let copied = copied.map_err(|error| error::export_failure(file, error))?;
            Ok(copied as u64)
        })
    }

    /// Exports logs whose texts are too long to be sorted together: another connection reads them in their order.
    fn export_in_parts(&self, query: &LogQuery, columns: &str, file: &Path, to: &str) -> Result<u64> {
        let reading = self.lease(Mode::Read)?.for_one_use();
        let (sender, chunks) = bounded(1);
        let running = reading.connection().interrupt_handle();
        let deadline = Deadline::start(self.query_timeout, move || running.interrupt())?;
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let read = read_in_parts(&reading, query, columns, self.log_texts, &sender);
                let read = Deadline::judge(deadline, read);
                if read.is_err() {
                    // A writer that has failed is gone.
                    sender.send(None).ok();
                }
                read
            });
            let written = self.export_from(chunks, columns, file, to);
            let read = reader.join().unwrap_or_else(|panic| resume_unwind(panic));
            // The first error is the one that says why.
            read.and(written)
        })
    }

    fn export_from(
        &self,
        chunks: Receiver<Option<RecordBatch>>,
        columns: &str,
        file: &Path,
        to: &str,
    ) -> Result<u64> {
        let Ok(Some(first)) = chunks.recv() else {
            return self.export_at_once(&LogQuery::new().limit(0), columns, file, to);
        };
        let rows = StreamedRows::new(first, chunks);
        self.read(|connection| {
            let copied = connection.execute(&format!("COPY (FROM {}) {to}", rows.sql()), []);
            let copied = copied.map_err(|error| error::export_failure(file, error))?;
            Ok(copied as u64)
        })
    }
}

/// Hands on what a query finds, in its order, until nobody takes it.
fn read_in_parts(
    reading: &Lease,
    query: &LogQuery,
    columns: &str,
    log_texts: &str,
    taker: &Sender<Option<RecordBatch>>,
) -> Result<()> {
    read_transaction(reading.connection(), "export logs", |connection| {
        for part in long_texts::cut(connection, query, columns, log_texts)? {
            let mut is_wanted = true;
            for_each_chunk(connection, &part, |chunk| {
                let mut pieces = long_texts::pieces(chunk).map(RecordBatch::from);
                is_wanted = pieces.all(|piece| taker.send(Some(piece)).is_ok());
                Ok(is_wanted)
            })?;
            if !is_wanted {
                break;
            }
        }
        Ok(())
    })
}

/// Says what the text is, which must be exactly one SELECT.
fn refuse_all_but_select(connection: &Connection, sql: &str) -> Result<Value> {
    let parsed = allowed::parse(connection, sql).map_err(|error| rejected(sql, error))?;
    if parsed["error"] != Value::Bool(false) {
        let message = match parsed["error_type"].as_str() {
            // Of SQL that does something else.
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

/// The line of a text with a place, and a mark below it, as the engine shows them.
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

const AS_JSON: &str = "SELECT CAST(json_array(";

/// SQL that gives each row of a SELECT as a JSON array, with the names of its columns.
fn as_json(connection: &Connection, sql: &str, parameters: &[SqlValue]) -> Result<(Vec<String>, Sql)> {
    let failed = |error| rejected(sql, error);
    let statement = sql.trim().trim_end_matches(';');
    // An error shows the caller's own text.
    connection.prepare(statement).map_err(failed)?;
    // A comment at its end must not swallow the bracket.
    let describe = format!("DESCRIBE FROM ({statement}\n)");
    let described = statement::query_all(connection, &describe, params_from_iter(parameters), |row| {
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
    let text = format!(
        "{AS_JSON}{}) AS VARCHAR) FROM ({statement}\n) AS answer({})",
        values.join(", "),
        names.join(", ")
    );
    let values = parameters.to_vec();
    Ok((columns, Sql { text, values }))
}

/// Returns SQL for the JSON of a column. A number that JSON cannot hold is text, and so is a time that RFC 3339 cannot
/// hold.
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

/// Returns SQL for whether a time in UTC can be written as RFC 3339 has it, and for its text.
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

/// The query is the caller's, and so is what is wrong with it, unless the store or the machine is to blame.
fn rejected(sql: &str, error: ::duckdb::Error) -> Error {
    match error::is_of_the_query(&error) {
        true => {
            let text = error.to_string();
            // Where it shows our own SQL, the place says nothing to the caller.
            let said = text
                .split_once("\n\nLINE ")
                .filter(|(_, shown)| shown.contains(AS_JSON));
            let reason = said.map_or(text.as_str(), |(said, _)| said);
            InvalidValue::new("query", sql, reason).into()
        }
        false => error::engine("run the query", error),
    }
}

/// Lets no SQL change a setting from here on. To be called before SQL of the caller's own runs.
fn lock_settings(connection: &Connection) -> ::duckdb::Result<()> {
    match connection.execute_batch("SET lock_configuration = true") {
        Err(error) if error::says_that_settings_are_locked(&error) => Ok(()),
        locked => locked,
    }
}
