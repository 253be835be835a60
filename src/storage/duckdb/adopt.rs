//! Takes over the tables of another program.
//!
//! Another program may have made a table `logs` with the well-known columns. Its rows are moved in one transaction.

use std::collections::BTreeMap;

use ::duckdb::{Connection, params};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::rows::encode::LogRows;
use super::sql::statement::{self, identifier};
use super::{error, schema};
use crate::models::{LogEntry, TimeContext, parse_time, to_micros};
use crate::storage::Result;

const ACTION: &str = "take over the tables of another program";

/// Names the other program's table of logs while its rows are moved.
const FOREIGN_LOGS: &str = "logs_of_another_program";

/// Takes over tables in their own file. The caller has opened a transaction.
pub(super) fn in_place(connection: &Connection) -> Result<()> {
    let tables = ForeignTables::read(connection)?;
    tables.make_room(connection)?;
    tables.move_rows((connection, FOREIGN_LOGS), connection)?;
    run(connection, &format!("DROP TABLE {FOREIGN_LOGS}"))
}

/// Takes over a copy of tables into an empty database. The caller has opened a transaction.
pub(super) fn copy(source: &Connection, target: &Connection) -> Result<()> {
    let tables = ForeignTables::read(source)?;
    tables.move_rows((source, "logs"), target)
}

fn run(connection: &Connection, sql: &str) -> Result<()> {
    let ran = connection.execute_batch(sql);
    ran.map_err(|error| error::engine(ACTION, error))
}

/// Describes the tables of another program.
struct ForeignTables {
    /// Holds the types of the columns of its logs, by name.
    log_columns: BTreeMap<String, String>,
    /// Holds the rows of each small table, as JSON.
    small: Vec<(&'static SmallTable, Vec<String>)>,
}

impl ForeignTables {
    fn read(source: &Connection) -> Result<Self> {
        let known = known_log_columns();
        let log_columns = schema::columns_of(source, "logs")?;
        if let Some(unknown) = log_columns.keys().find(|name| !known.contains(&name.as_str())) {
            let reason = format!("its table logs has a column {unknown:?} that no log has");
            return Err(error::corrupt(reason));
        }
        let small = SMALL_TABLES.into_iter();
        let small = small.map(|table| Ok((table, read_small(source, table)?)));
        Ok(Self {
            log_columns,
            small: small.collect::<Result<_>>()?,
        })
    }

    /// Frees the names that the tables of this version need. The rows of the logs stay.
    fn make_room(&self, connection: &Connection) -> Result<()> {
        for (table, _) in &self.small {
            run(connection, &format!("DROP TABLE IF EXISTS {}", table.name))?;
        }
        // DuckDB 1.5.5 binds the indexes of a table by its name when rows are first looked for. That must happen
        // before the table is renamed, even for indexes that are dropped here. The test `are_taken_over_in_place` fails
        // otherwise.
        run(connection, "SELECT count(*) FROM logs WHERE rowid < 0")?;
        // The engine cannot rename a table that has indexes.
        for index in schema::indexes_of(connection, "logs")? {
            run(connection, &format!("DROP INDEX {}", identifier(&index)))?;
        }
        run(connection, &format!("ALTER TABLE logs RENAME TO {FOREIGN_LOGS}"))
    }

    /// Makes the tables of this version, and fills them.
    fn move_rows(&self, logs: (&Connection, &str), target: &Connection) -> Result<()> {
        schema::create_tables(target)?;
        let last_seq = copy_logs(logs, target, &self.log_columns)?;
        for (table, objects) in &self.small {
            insert_small(target, table, objects)?;
        }
        let sql = "INSERT INTO logstore (schema_version, last_seq) VALUES (?, ?)";
        let inserted = target.execute(sql, params![schema::VERSION, last_seq]);
        inserted.map_err(|error| error::engine(ACTION, error)).map(drop)
    }
}

const TEXT_COLUMNS: [&str; 11] = [
    "id",
    "timestamp",
    "raw",
    "appname",
    "file",
    "host",
    "hostname",
    "message",
    "source_type",
    "normalized",
    "metadata",
];

fn known_log_columns() -> Vec<&'static str> {
    let mut columns = TEXT_COLUMNS.to_vec();
    columns.extend(["procid", "ingestion_time"]);
    columns
}

/// Counts the rows that are read, turned into logs and written at a time.
const COPIED_AT_ONCE: i64 = 50_000;

/// Copies logs in the order in which they were stored, and returns their number.
fn copy_logs(
    (source, table): (&Connection, &str),
    target: &Connection,
    columns: &BTreeMap<String, String>,
) -> Result<i64> {
    let failed = |error| error::engine("take over the logs of another program", error);
    let text = |name: &str| match columns.contains_key(name) {
        true => format!("CAST(\"{name}\" AS VARCHAR)"),
        false => "NULL".to_owned(),
    };
    let mut expressions: Vec<String> = TEXT_COLUMNS.iter().map(|name| text(name)).collect();
    expressions.push(format!("TRY_CAST({} AS BIGINT)", text("procid")));
    expressions.push(format!(
        "epoch_us({})",
        time_expression(columns, "ingestion_time")
    ));
    let sql = format!(
        "SELECT {} FROM {table} WHERE rowid >= ? AND rowid < ? ORDER BY rowid",
        expressions.join(", ")
    );
    let end = format!("SELECT coalesce(max(rowid), -1) + 1 FROM {table}");
    let end: i64 = source.query_row(&end, [], |row| row.get(0)).map_err(failed)?;
    let mut statement = source.prepare(&sql).map_err(failed)?;
    let mut last_seq = 0;
    let mut from = 0;
    while from < end {
        let until = from + COPIED_AT_ONCE;
        let read: Vec<ForeignLog> = statement
            .query_map([from, until], ForeignLog::from_row)
            .and_then(Iterator::collect)
            .map_err(failed)?;
        let logs = read
            .into_iter()
            .map(ForeignLog::into_log)
            .collect::<Result<Vec<_>>>()?;
        LogRows::new(&logs)?.insert(target, last_seq + 1..)?;
        last_seq += i64::try_from(logs.len()).unwrap_or(i64::MAX);
        from = until;
    }
    Ok(last_seq)
}

/// Returns SQL for a column as TIMESTAMP in UTC. A TIMESTAMPTZ is never cast: with ICU, a cast gives local time.
fn time_expression(columns: &BTreeMap<String, String>, name: &str) -> String {
    match columns.get(name) {
        None => "CAST(NULL AS TIMESTAMP)".to_owned(),
        Some(data_type) if data_type.starts_with("TIMESTAMP") => {
            format!("make_timestamp(epoch_us(\"{name}\"))")
        }
        Some(_) => format!("TRY_CAST(\"{name}\" AS TIMESTAMP)"),
    }
}

/// Holds a row of another program's table `logs`.
struct ForeignLog {
    texts: [Option<String>; TEXT_COLUMNS.len()],
    procid: Option<i64>,
    ingestion_micros: Option<i64>,
}

impl ForeignLog {
    fn from_row(row: &::duckdb::Row<'_>) -> ::duckdb::Result<Self> {
        let mut texts = [const { None }; TEXT_COLUMNS.len()];
        for (index, text) in texts.iter_mut().enumerate() {
            *text = row.get(index)?;
        }
        Ok(Self {
            texts,
            procid: row.get(TEXT_COLUMNS.len())?,
            ingestion_micros: row.get(TEXT_COLUMNS.len() + 1)?,
        })
    }

    /// Returns a log whose time is that of its timestamp, else of its ingestion, else now.
    fn into_log(self) -> Result<LogEntry> {
        let ingestion_time = self.ingestion_micros.map(statement::time).transpose()?;
        let context = ingestion_time.map_or_else(TimeContext::default, TimeContext::new);
        let [
            id,
            timestamp,
            raw,
            appname,
            file,
            host,
            hostname,
            message,
            source_type,
            normalized,
            metadata,
        ] = self.texts;
        let written = timestamp.as_deref().and_then(|text| parse_time(text, &context));
        let event_time: DateTime<Utc> = written.unwrap_or(context.reference);
        let mut log = LogEntry::new(event_time);
        log.id = id.unwrap_or(log.id);
        log.ingestion_time = ingestion_time.unwrap_or_else(|| to_micros(event_time));
        log.normalized = object(normalized.as_deref()).into();
        log.metadata = object(metadata.as_deref()).into();
        log.procid = self.procid;
        Ok(LogEntry {
            timestamp,
            raw,
            appname,
            file,
            host,
            hostname,
            message,
            source_type,
            ..log
        })
    }
}

/// Returns an object from JSON text; any other value, or text that is no JSON, under the key `value`.
fn object(text: Option<&str>) -> Map<String, Value> {
    let Some(text) = text else { return Map::new() };
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => map,
        Ok(Value::Null) => Map::new(),
        Ok(other) => Map::from_iter([("value".to_owned(), other)]),
        Err(_) => Map::from_iter([("value".to_owned(), Value::from(text))]),
    }
}

/// Describes a table with a key, and the values of columns that another program leaves empty.
struct SmallTable {
    name: &'static str,
    /// Holds the name, the SQL type, and the SQL of the value that replaces NULL.
    columns: &'static [(&'static str, &'static str, &'static str)],
}

const UNKNOWN_TIME: &str = "TIMESTAMP '1970-01-01'";

const SMALL_TABLES: [&SmallTable; 3] = [
    &SmallTable {
        name: "alerts",
        columns: &[
            ("id", "VARCHAR", "CAST(uuid() AS VARCHAR)"),
            ("log_id", "VARCHAR", "NULL"),
            ("alert_type", "VARCHAR", "'unknown'"),
            ("detection_method", "VARCHAR", "'unknown'"),
            ("severity", "VARCHAR", "'informational'"),
            ("description", "VARCHAR", "NULL"),
            ("metadata", "JSON", "NULL"),
            ("created_at", "TIMESTAMP", UNKNOWN_TIME),
            ("acknowledged", "BOOLEAN", "false"),
            ("priority_score", "DOUBLE", "0"),
            ("source_ip", "VARCHAR", "NULL"),
            ("dest_ip", "VARCHAR", "NULL"),
            ("user", "VARCHAR", "NULL"),
            ("host", "VARCHAR", "NULL"),
        ],
    },
    &SmallTable {
        name: "threat_intel",
        columns: &[
            ("id", "VARCHAR", "CAST(uuid() AS VARCHAR)"),
            ("indicator_type", "VARCHAR", "''"),
            ("indicator_value", "VARCHAR", "''"),
            ("threat_type", "VARCHAR", "''"),
            ("confidence", "DOUBLE", "0.5"),
            ("source", "VARCHAR", "''"),
            ("metadata", "JSON", "NULL"),
            ("created_at", "TIMESTAMP", UNKNOWN_TIME),
            ("expires_at", "TIMESTAMP", "NULL"),
        ],
    },
    &SmallTable {
        name: "detection_rules",
        columns: &[
            ("id", "VARCHAR", "CAST(uuid() AS VARCHAR)"),
            ("rule_name", "VARCHAR", "'unnamed'"),
            ("rule_type", "VARCHAR", "'unknown'"),
            ("rule_definition", "JSON", "'null'"),
            ("enabled", "BOOLEAN", "true"),
            ("created_at", "TIMESTAMP", UNKNOWN_TIME),
            ("updated_at", "TIMESTAMP", UNKNOWN_TIME),
        ],
    },
];

/// Returns the rows of a small table, each as a JSON text whose keys are the columns' names.
fn read_small(source: &Connection, table: &SmallTable) -> Result<Vec<String>> {
    let found = schema::columns_of(source, table.name)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let expressions = table.columns.iter().map(|(name, sql_type, default)| {
        let value = match *sql_type {
            "TIMESTAMP" => time_expression(&found, name),
            _ if found.contains_key(*name) => format!("TRY_CAST(\"{name}\" AS {sql_type})"),
            _ => "NULL".to_owned(),
        };
        let value = match *sql_type {
            "TIMESTAMP" if *default != "NULL" => format!("epoch_us(coalesce({value}, {default}))"),
            "TIMESTAMP" => format!("epoch_us({value})"),
            _ => format!("coalesce({value}, {default})"),
        };
        format!("'{name}', {value}")
    });
    let expressions: Vec<String> = expressions.collect();
    let sql = format!(
        "SELECT CAST(json_object({}) AS VARCHAR) FROM {}",
        expressions.join(", "),
        table.name
    );
    let read = statement::query_all(source, &sql, [], |row| row.get(0));
    read.map_err(|error| error::engine(ACTION, error))
}

fn insert_small(target: &Connection, table: &SmallTable, objects: &[String]) -> Result<()> {
    let SmallTable { name: table, columns } = table;
    let names: Vec<String> = columns.iter().map(|(name, ..)| format!("\"{name}\"")).collect();
    let types: Vec<String> = columns
        .iter()
        .map(|(name, sql_type, _)| {
            let json_type = if *sql_type == "TIMESTAMP" {
                "BIGINT"
            } else {
                sql_type
            };
            format!("\"{name}\": \"{json_type}\"")
        })
        .collect();
    let values: Vec<String> = columns
        .iter()
        .map(|(name, sql_type, _)| match *sql_type {
            "TIMESTAMP" => format!("make_timestamp(r.\"{name}\")"),
            _ => format!("r.\"{name}\""),
        })
        .collect();
    let sql = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM (SELECT unnest(from_json(?, '[{{{}}}]')) AS r)",
        names.join(", "),
        values.join(", "),
        types.join(", ")
    );
    let inserted = target.execute(&sql, [format!("[{}]", objects.join(","))]);
    inserted.map_err(|error| error::engine(ACTION, error)).map(drop)
}
