//! The tables: made, recognised, and brought up to date.
//!
//! A store says which schema it has in its table `logstore`. A database with a table `logs` but without
//! that one was made by another program with the well-known columns; it is taken over in one transaction,
//! its rows kept.

use std::collections::BTreeMap;

use ::duckdb::{Connection, params};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::models::{LogEntry, TimeContext, parse_time, to_micros};
use crate::storage::duckdb::rows::encode::LogRows;
use crate::storage::duckdb::sql::statement;
use crate::storage::duckdb::{error, seq};
use crate::storage::{Error, Result};

/// The version that all of [`MIGRATIONS`] make.
#[expect(clippy::cast_possible_wrap, reason = "there are few")]
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// What makes each version from the one before. One that was released is never changed.
const MIGRATIONS: [&str; 5] = [
    include_str!("migrations/001_tables.sql"),
    include_str!("migrations/002_file_positions.sql"),
    include_str!("migrations/003_log_rows.sql"),
    include_str!("migrations/004_logs_view.sql"),
    include_str!("migrations/005_stored_texts.sql"),
];

/// How a lake keeps logs: old ones go by dropping files, and a range of time reads its own files only.
const FILES_BY_DAY: &str = "
ALTER TABLE log_rows SET PARTITIONED BY (year(event_time), month(event_time), day(event_time));
ALTER TABLE log_rows SET SORTED BY (event_time, seq);";

/// Runs a migration as the database takes it. A file that an engine before 1.2 made keeps its format, which has no zstd.
fn run_migration(connection: &Connection, migration: &str, action: &'static str) -> Result<()> {
    const SQL: &str = "SELECT type, tags['storage_version']
        FROM duckdb_databases()
        WHERE database_name = current_database()";
    let failed = |error| error::engine(action, error);
    let (kind, format): (String, Option<String>) = connection
        .query_row(SQL, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(failed)?;
    let ran = match (kind.as_str(), format.as_deref()) {
        ("ducklake", _) => connection.execute_batch(&in_lake(migration)),
        (_, Some("v1.0.0+")) => connection.execute_batch(&migration.replace(ZSTD, "")),
        _ => connection.execute_batch(migration),
    };
    ran.map_err(failed)
}

const ZSTD: &str = " USING COMPRESSION zstd";

/// A migration for a lake, which knows no keys and no compression of single columns, and in which the order of
/// commits is that of snapshots.
fn in_lake(migration: &str) -> String {
    let seq = format!(
        "\n    snapshot_id * {} + log_rows.seq AS seq,\n",
        seq::LOGS_OF_SNAPSHOT
    );
    migration
        .replace(" PRIMARY KEY", " NOT NULL")
        .replace(ZSTD, "")
        .replacen("\n    seq,\n", &seq, 1)
        .replacen(
            "\nFROM log_rows;",
            ",\n    log_rows.seq AS place,\n    snapshot_id\nFROM log_rows;",
            1,
        )
}

/// What a database file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A store of this version.
    Current,
    /// A store of an earlier version.
    Older,
    /// The tables of another program.
    Foreign,
    /// No table called `logs`.
    Nothing,
}

pub(crate) fn find(connection: &Connection) -> Result<Found> {
    Ok(match version(connection)? {
        Some(version) if version < VERSION => Found::Older,
        Some(_) => Found::Current,
        None if columns_of(connection, "logs")?.is_empty() => Found::Nothing,
        None => Found::Foreign,
    })
}

/// Where logs are read from, with their layouts and with their texts as they are stored.
pub(crate) const LOG_TEXTS: &str = "log_texts";

/// The same of a store of an earlier version, which may only be read.
pub(crate) fn log_texts_of_older(connection: &Connection) -> Result<&'static str> {
    const WITHOUT_LAYOUTS: &str = "(SELECT *, CAST(NULL AS VARCHAR) AS layout, raw AS stored_raw,
        normalized AS stored_normalized FROM logs)";
    const WITH_LAYOUTS: &str = "(SELECT *, CASE WHEN layout IS NULL THEN raw END AS stored_raw,
        CASE WHEN layout IS NULL THEN normalized END AS stored_normalized FROM log_texts)";
    Ok(match version(connection)? {
        Some(4) => WITH_LAYOUTS,
        _ => WITHOUT_LAYOUTS,
    })
}

/// Refuses a store that a later version has written; says whether this version has.
pub(crate) fn refuse_newer(connection: &Connection, location: &str) -> Result<bool> {
    match version(connection)? {
        Some(found) if found > VERSION => Err(Error::NewerSchema {
            path: location.into(),
            found,
            known: VERSION,
        }),
        found => Ok(found == Some(VERSION)),
    }
}

fn version(connection: &Connection) -> Result<Option<i64>> {
    // Asking for the table's columns first takes 9 ms, as much as opening the file.
    let version = connection.query_row("SELECT max(schema_version) FROM main.logstore", [], |row| {
        row.get(0)
    });
    match version {
        Ok(version) => Ok(version),
        Err(error) if error::is_missing_table(&error) => Ok(None),
        Err(error) => Err(error::engine("read the schema version", error)),
    }
}

/// The tables that [`MIGRATIONS`] make.
pub(crate) const TABLES: [&str; 7] = [
    "log_rows",
    "alerts",
    "threat_intel",
    "detection_rules",
    "consumers",
    "file_positions",
    "logstore",
];

/// Makes tables without any rows.
pub(crate) fn create_tables(connection: &Connection) -> Result<()> {
    let mut migrations = MIGRATIONS.iter();
    migrations.try_for_each(|migration| run_migration(connection, migration, "create the tables"))
}

/// Makes the tables of an empty store.
pub(crate) fn create(connection: &Connection) -> Result<()> {
    const KIND: &str = "SELECT type FROM duckdb_databases() WHERE database_name = current_database()";
    create_tables(connection)?;
    let failed = |error| error::engine("create the tables", error);
    let kind: String = connection.query_row(KIND, [], |row| row.get(0)).map_err(failed)?;
    if kind == "ducklake" {
        connection.execute_batch(FILES_BY_DAY).map_err(failed)?;
    }
    let sql = "INSERT INTO logstore (schema_version, last_seq) VALUES (?, 0)";
    connection.execute(sql, [VERSION]).map_err(failed).map(drop)
}

/// Brings the tables of an earlier version up to date. To be called in a transaction.
pub(crate) fn migrate(connection: &Connection) -> Result<()> {
    let failed = |error| error::engine("bring the tables up to date", error);
    let found = version(connection)?.unwrap_or(VERSION);
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        run_migration(connection, migration, "bring the tables up to date")?;
    }
    let sql = "UPDATE logstore SET schema_version = ?";
    connection.execute(sql, [VERSION]).map_err(failed).map(drop)
}

/// Makes the tables unless another process has made them since.
pub(crate) fn create_missing(connection: &Connection) -> Result<()> {
    match find(connection)? {
        Found::Nothing => create(connection),
        Found::Current | Found::Older | Found::Foreign => Ok(()),
    }
}

/// Names and types of a table's columns by name; none if there is no such table.
fn columns_of(connection: &Connection, table: &str) -> Result<BTreeMap<String, String>> {
    Ok(columns(connection, table)?.into_iter().collect())
}

/// The names of a table's columns as SQL, in their order.
pub(crate) fn column_list(connection: &Connection, table: &str) -> Result<String> {
    let columns = columns(connection, table)?;
    let names: Vec<String> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    Ok(names.join(", "))
}

/// Names and types of a table's columns, in their order.
pub(crate) fn columns(connection: &Connection, table: &str) -> Result<Vec<(String, String)>> {
    const SQL: &str = "SELECT column_name, data_type
        FROM duckdb_columns()
        WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?
        ORDER BY column_index";
    let columns = statement::query_all(connection, SQL, [table], |row| Ok((row.get(0)?, row.get(1)?)));
    columns.map_err(|error| error::engine("read the tables", error))
}

/// Moves the rows of another program's tables in `source` into tables of this version in `target`, which may
/// be the same database. To be called in a transaction.
pub(crate) fn take_over(source: &Connection, target: &Connection, same_database: bool) -> Result<()> {
    let failed = |error| error::engine("take over the tables of another program", error);
    let known = known_log_columns();
    let found = columns_of(source, "logs")?;
    if let Some(unknown) = found.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(error::corrupt(format!(
            "its table logs has a column {unknown:?} that no log has"
        )));
    }
    let mut small = Vec::new();
    for table in SMALL_TABLES {
        small.push((table.name, read_small(source, table)?));
        if same_database {
            target
                .execute_batch(&format!("DROP TABLE IF EXISTS {}", table.name))
                .map_err(failed)?;
        }
    }
    // The other program's table has the name until its rows are copied.
    let new_logs = if same_database { "logs_taken_over" } else { "logs" };
    let run = |migration: &str| run_migration(target, migration, "take over the tables of another program");
    let [tables, positions, log_rows, logs_view, stored_texts] = MIGRATIONS;
    run(&tables.replacen("CREATE TABLE logs ", &format!("CREATE TABLE {new_logs} "), 1))?;
    run(positions)?;
    run(log_rows)?;
    let last_seq = copy_logs(source, target, &found)?;
    if same_database {
        let swap = format!("DROP TABLE logs; ALTER TABLE {new_logs} RENAME TO logs");
        target.execute_batch(&swap).map_err(failed)?;
    }
    run(logs_view)?;
    run(stored_texts)?;
    for (name, objects) in small {
        insert_small(target, name, &objects)?;
    }
    let sql = "INSERT INTO logstore (schema_version, last_seq) VALUES (?, ?)";
    target
        .execute(sql, params![VERSION, last_seq])
        .map_err(failed)
        .map(drop)
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

/// Rows that are read, turned into logs and written at a time.
const COPIED_AT_ONCE: i64 = 50_000;

/// Copies logs in the order in which they were stored, and says how many.
fn copy_logs(source: &Connection, target: &Connection, columns: &BTreeMap<String, String>) -> Result<i64> {
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
        "SELECT {} FROM logs WHERE rowid >= ? AND rowid < ? ORDER BY rowid",
        expressions.join(", ")
    );
    let end: i64 = source
        .query_row("SELECT coalesce(max(rowid), -1) + 1 FROM logs", [], |row| {
            row.get(0)
        })
        .map_err(failed)?;
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
        LogRows::new(&logs)?.insert(target, last_seq + 1)?;
        last_seq += i64::try_from(logs.len()).unwrap_or(i64::MAX);
        from = until;
    }
    Ok(last_seq)
}

/// SQL for a column as TIMESTAMP in UTC. A TIMESTAMPTZ is never cast: with ICU that gives local time.
fn time_expression(columns: &BTreeMap<String, String>, name: &str) -> String {
    match columns.get(name) {
        None => "CAST(NULL AS TIMESTAMP)".to_owned(),
        Some(data_type) if data_type.starts_with("TIMESTAMP") => {
            format!("make_timestamp(epoch_us(\"{name}\"))")
        }
        Some(_) => format!("TRY_CAST(\"{name}\" AS TIMESTAMP)"),
    }
}

/// A row of another program's table `logs`.
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

    /// A log whose time is that of its timestamp, else of its ingestion, else now.
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

/// An object from JSON text; any other value, or text that is no JSON, under the key `value`.
fn object(text: Option<&str>) -> Map<String, Value> {
    let Some(text) = text else { return Map::new() };
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => map,
        Ok(Value::Null) => Map::new(),
        Ok(other) => Map::from_iter([("value".to_owned(), other)]),
        Err(_) => Map::from_iter([("value".to_owned(), Value::from(text))]),
    }
}

/// A table with a key, and what its columns are where another program leaves them empty.
struct SmallTable {
    name: &'static str,
    /// Name, SQL type, and the SQL of the value for NULL.
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

/// The rows of a small table, each as a JSON text whose keys are the columns' names.
fn read_small(source: &Connection, table: &SmallTable) -> Result<Vec<String>> {
    let found = columns_of(source, table.name)?;
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
    read.map_err(|error| error::engine("take over the tables of another program", error))
}

fn insert_small(target: &Connection, table: &str, objects: &[String]) -> Result<()> {
    let columns = SMALL_TABLES
        .iter()
        .find(|small| small.name == table)
        .map_or(&[][..], |small| small.columns);
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
    inserted
        .map_err(|error| error::engine("take over the tables of another program", error))
        .map(drop)
}
