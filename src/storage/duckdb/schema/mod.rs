//! Creates the tables, recognises them, and brings them up to date.
//!
//! A store records the version of its schema in its table `logstore`. A database with a table `logs` but without
//! `logstore` is another program's, with the well-known columns. It is taken over in one transaction that keeps its
//! rows.

pub(crate) mod compression;
mod migration;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ::duckdb::Connection;

use self::migration::{Dialect, Mark, Migration};
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement;
use crate::storage::{Error, Result};

/// Holds the version that all of [`MIGRATIONS`] lead to.
#[expect(clippy::cast_possible_wrap, reason = "there are few")]
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Lists the migrations, each of which makes a version from the one before.
///
/// A released migration is never changed, but for its marks.
const MIGRATIONS: [Migration; 12] = [
    Migration {
        name: "001_tables.sql",
        sql: include_str!("migrations/001_tables.sql"),
        marks: &[(Mark::Key, 4)],
    },
    Migration {
        name: "002_file_positions.sql",
        sql: include_str!("migrations/002_file_positions.sql"),
        marks: &[(Mark::Key, 1)],
    },
    Migration {
        name: "003_log_rows.sql",
        sql: include_str!("migrations/003_log_rows.sql"),
        marks: &[(Mark::Compression, 3)],
    },
    Migration {
        name: "004_logs_view.sql",
        sql: include_str!("migrations/004_logs_view.sql"),
        marks: &[(Mark::Seq, 1), (Mark::Place, 1)],
    },
    Migration {
        name: "005_stored_texts.sql",
        sql: include_str!("migrations/005_stored_texts.sql"),
        marks: &[(Mark::Seq, 1), (Mark::Place, 1)],
    },
    Migration {
        name: "006_ports_and_process.sql",
        sql: include_str!("migrations/006_ports_and_process.sql"),
        marks: &[(Mark::Seq, 1), (Mark::Place, 1)],
    },
    Migration {
        name: "007_detection.sql",
        sql: include_str!("migrations/007_detection.sql"),
        marks: &[(Mark::Key, 2)],
    },
    Migration {
        name: "008_lookback.sql",
        sql: include_str!("migrations/008_lookback.sql"),
        marks: &[(Mark::Key, 1)],
    },
    Migration {
        name: "009_words.sql",
        sql: include_str!("migrations/009_words.sql"),
        marks: &[(Mark::Compression, 1)],
    },
    Migration {
        name: "010_uuids.sql",
        sql: include_str!("migrations/010_uuids.sql"),
        marks: &[(Mark::Seq, 1), (Mark::Place, 1)],
    },
    Migration {
        name: "011_templates.sql",
        sql: include_str!("migrations/011_templates.sql"),
        marks: &[(Mark::Compression, 1), (Mark::Seq, 2), (Mark::Place, 1)],
    },
    Migration {
        name: "012_column_order.sql",
        sql: include_str!("migrations/012_column_order.sql"),
        marks: &[],
    },
];

/// Partitions the logs of a lake by day. Old logs go by dropping files, and a time range reads only its own files.
const FILES_BY_DAY: &str = "
ALTER TABLE log_rows SET PARTITIONED BY (year(event_time), month(event_time), day(event_time));
ALTER TABLE log_rows SET SORTED BY (event_time, seq);";

/// Says whose tables a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SchemaState {
    /// Means a store of this version.
    Current,
    /// Means a store of an earlier version.
    Older,
    /// Means the tables of another program.
    Foreign,
    /// Means that there is no table called `logs`.
    Nothing,
}

pub(crate) fn find(connection: &Connection) -> Result<SchemaState> {
    Ok(match version(connection)? {
        Some(version) if version < VERSION => SchemaState::Older,
        Some(_) => SchemaState::Current,
        None if columns_of(connection, "logs")?.is_empty() => SchemaState::Nothing,
        None => SchemaState::Foreign,
    })
}

/// Names the view that logs are read from, with their row layouts and with their texts as they are stored.
pub(crate) const LOG_TEXTS: &str = "log_texts";

/// Returns SQL that names some logs of a file like a table, with the columns of [`LOG_TEXTS`]. `rows` selects all columns
/// of their rows.
///
/// The engine takes milliseconds to bind the view, and does so for each query that names it in a union.
pub(crate) fn log_texts_of(rows: &str) -> String {
    let columns = LOG_TEXTS_COLUMNS.as_str();
    format!("(SELECT {columns} FROM ({rows}) AS log_rows)")
}

/// Holds the columns of [`LOG_TEXTS`] as the migration of this version has them.
static LOG_TEXTS_COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let views = MIGRATIONS.iter().rev().filter_map(|migration| {
        let (_, view) = migration.sql.split_once("VIEW log_texts AS\nSELECT")?;
        view.split_once("FROM log_rows;")
    });
    views
        .map(|(columns, _)| columns.to_owned())
        .next()
        .unwrap_or_default()
});

/// Holds SQL that replaces [`LOG_TEXTS`] in stores of versions 6 to 9.
const WITHOUT_UUIDS: &str = "(SELECT *, CAST(NULL AS UUID) AS stored_uuid, id AS stored_id,
    CAST(NULL AS VARCHAR) AS template, CAST(NULL AS VARCHAR) AS variables, CAST(NULL AS VARCHAR) AS identifiers, CAST(NULL AS VARCHAR) AS normalized_template,
    CAST(NULL AS VARCHAR) AS message_template, CAST(NULL AS VARCHAR) AS timestamp_template, message AS stored_message,
    \"timestamp\" AS stored_timestamp FROM log_texts)";

/// Holds SQL that replaces [`LOG_TEXTS`] in stores of version 10.
const WITHOUT_TEMPLATES: &str =
    "(SELECT *, CAST(NULL AS VARCHAR) AS template, CAST(NULL AS VARCHAR) AS variables,
    message AS stored_message, \"timestamp\" AS stored_timestamp FROM log_texts)";

/// Returns whether the rows of [`LOG_TEXTS`], or of what replaces it, are those of `log_rows` as it is today.
pub(crate) fn are_of_log_rows(log_texts: &str) -> bool {
    [LOG_TEXTS, WITHOUT_TEMPLATES, WITHOUT_UUIDS].contains(&log_texts)
}

/// Returns SQL that replaces [`LOG_TEXTS`] in a store of an earlier version that is read only.
pub(crate) fn log_texts_of_older(connection: &Connection) -> Result<&'static str> {
    const WITHOUT_LAYOUTS: &str = "(SELECT *, CAST(NULL AS BIGINT) AS source_port,
        CAST(NULL AS BIGINT) AS dest_port, CAST(NULL AS VARCHAR) AS process,
        CAST(NULL AS VARCHAR) AS layout, raw AS stored_raw, normalized AS stored_normalized,
        CAST(NULL AS UUID) AS stored_uuid, id AS stored_id, CAST(NULL AS VARCHAR) AS template,
        CAST(NULL AS VARCHAR) AS variables, CAST(NULL AS VARCHAR) AS identifiers, CAST(NULL AS VARCHAR) AS normalized_template,
    CAST(NULL AS VARCHAR) AS message_template, CAST(NULL AS VARCHAR) AS timestamp_template, message AS stored_message, \"timestamp\" AS stored_timestamp
        FROM logs)";
    const WITH_LAYOUTS: &str = "(SELECT *, CAST(NULL AS BIGINT) AS source_port,
        CAST(NULL AS BIGINT) AS dest_port, CAST(NULL AS VARCHAR) AS process,
        CASE WHEN layout IS NULL THEN raw END AS stored_raw,
        CASE WHEN layout IS NULL THEN normalized END AS stored_normalized,
        CAST(NULL AS UUID) AS stored_uuid, id AS stored_id, CAST(NULL AS VARCHAR) AS template,
        CAST(NULL AS VARCHAR) AS variables, CAST(NULL AS VARCHAR) AS identifiers, CAST(NULL AS VARCHAR) AS normalized_template,
    CAST(NULL AS VARCHAR) AS message_template, CAST(NULL AS VARCHAR) AS timestamp_template, message AS stored_message, \"timestamp\" AS stored_timestamp
        FROM log_texts)";
    const WITH_STORED_TEXTS: &str = "(SELECT *, CAST(NULL AS BIGINT) AS source_port,
        CAST(NULL AS BIGINT) AS dest_port, CAST(NULL AS VARCHAR) AS process,
        CAST(NULL AS UUID) AS stored_uuid, id AS stored_id, CAST(NULL AS VARCHAR) AS template,
        CAST(NULL AS VARCHAR) AS variables, CAST(NULL AS VARCHAR) AS identifiers, CAST(NULL AS VARCHAR) AS normalized_template,
    CAST(NULL AS VARCHAR) AS message_template, CAST(NULL AS VARCHAR) AS timestamp_template, message AS stored_message, \"timestamp\" AS stored_timestamp
        FROM log_texts)";
    Ok(match version(connection)? {
        Some(4) => WITH_LAYOUTS,
        Some(5) => WITH_STORED_TEXTS,
        Some(6..=9) => WITHOUT_UUIDS,
        Some(10) => WITHOUT_TEMPLATES,
        Some(11) => LOG_TEXTS,
        _ => WITHOUT_LAYOUTS,
    })
}

/// Names the table that alerts are read from.
pub(crate) const ALERTS: &str = "alerts";

/// Returns SQL that alerts are read from in a store of an earlier version that is read only.
pub(crate) fn alerts_of_older(connection: &Connection) -> Result<&'static str> {
    Ok(match version(connection)? {
        Some(7..=11) => ALERTS,
        _ => ALERTS_OF_OLDER,
    })
}

/// Holds SQL that replaces [`ALERTS`] in stores of versions before 7.
const ALERTS_OF_OLDER: &str = "(SELECT *, CAST(NULL AS VARCHAR) AS process,
    CAST(NULL AS VARCHAR) AS rule_id, CAST(NULL AS JSON) AS tags, 'new' AS status, CAST(NULL AS VARCHAR) AS verdict,
    CAST(NULL AS VARCHAR) AS assignee, CAST(1 AS BIGINT) AS count, CAST(NULL AS TIMESTAMP) AS first_seen,
    CAST(NULL AS TIMESTAMP) AS last_seen, created_at AS updated_at, CAST(NULL AS VARCHAR) AS fingerprint,
    CAST(NULL AS TIMESTAMP) AS window_start, CAST(NULL AS TIMESTAMP) AS window_end, CAST(1 AS BIGINT) AS generation,
    CAST(NULL AS VARCHAR) AS previous_id, false AS found_later, false AS is_settled FROM alerts)";

/// Refuses a store that a later version has written, and returns whether this version has written it.
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

/// Returns the version of a store's tables; `None` for those of another program.
pub(crate) fn version(connection: &Connection) -> Result<Option<i64>> {
    // To ask for the table's columns first would take 9 ms, as much as opening the file.
    let version = connection.query_row("SELECT max(schema_version) FROM main.logstore", [], |row| {
        row.get(0)
    });
    match version {
        Ok(version) => Ok(version),
        Err(error) if error::is_missing_table(&error) => Ok(None),
        Err(error) => Err(error::engine("read the schema version", error)),
    }
}

/// Names the tables that [`MIGRATIONS`] create.
pub(crate) const TABLES: [&str; 14] = [
    "log_rows",
    "log_blocks",
    "block_words",
    "alerts",
    "alert_logs",
    "alert_events",
    "suppressions",
    "hits",
    "threat_intel",
    "detection_rules",
    "consumers",
    "lookbacks",
    "file_positions",
    "logstore",
];

/// Creates the tables without any rows.
pub(crate) fn create_tables(connection: &Connection) -> Result<()> {
    let mut migrations = MIGRATIONS.iter();
    migrations.try_for_each(|migration| migration.run(connection, CREATE))?;
    if is_lake(connection)? {
        return Ok(());
    }
    let mut columns = compression::columns_of_zstd(connection)?.into_iter();
    columns.try_for_each(|column| compression::choose(connection, &column))
}

/// Creates the tables of an empty store.
pub(crate) fn create(connection: &Connection) -> Result<()> {
    create_tables(connection)?;
    let failed = |error| error::engine(CREATE, error);
    if is_lake(connection)? {
        connection.execute_batch(FILES_BY_DAY).map_err(failed)?;
    }
    let sql = "INSERT INTO logstore (schema_version, last_seq) VALUES (?, 0)";
    connection.execute(sql, [VERSION]).map_err(failed).map(drop)
}

const CREATE: &str = "create the tables";

fn is_lake(connection: &Connection) -> Result<bool> {
    let dialect = Dialect::of(connection).map_err(|error| error::engine(CREATE, error))?;
    Ok(dialect == Dialect::Lake)
}

/// Brings the tables of an earlier version up to date. The caller has opened a transaction.
pub(crate) fn migrate(connection: &Connection) -> Result<()> {
    let failed = |error| error::engine("bring the tables up to date", error);
    let found = version(connection)?.unwrap_or(VERSION);
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        migration.run(connection, "bring the tables up to date")?;
    }
    let sql = "UPDATE logstore SET schema_version = ?";
    connection.execute(sql, [VERSION]).map_err(failed).map(drop)
}

/// Creates the tables unless another process has created them since.
pub(crate) fn create_missing(connection: &Connection) -> Result<()> {
    match find(connection)? {
        SchemaState::Nothing => create(connection),
        SchemaState::Current | SchemaState::Older | SchemaState::Foreign => Ok(()),
    }
}

/// Returns the types of a table's columns, by name; none if there is no such table.
pub(crate) fn columns_of(connection: &Connection, table: &str) -> Result<BTreeMap<String, String>> {
    Ok(columns(connection, table)?.into_iter().collect())
}

/// Returns the names of a table's indexes, except those of its keys.
pub(crate) fn indexes_of(connection: &Connection, table: &str) -> Result<Vec<String>> {
    const SQL: &str = "SELECT index_name
        FROM duckdb_indexes()
        WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?
        ORDER BY index_name";
    let names = statement::query_all(connection, SQL, [table], |row| row.get(0));
    names.map_err(|error| error::engine("read the tables", error))
}

/// Returns the names of a table's columns as SQL, in their order.
pub(crate) fn column_list(connection: &Connection, table: &str) -> Result<String> {
    let columns = columns(connection, table)?;
    let names: Vec<String> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    Ok(names.join(", "))
}

/// Returns the names and types of a table's columns, in their order.
pub(crate) fn columns(connection: &Connection, table: &str) -> Result<Vec<(String, String)>> {
    const SQL: &str = "SELECT column_name, data_type
        FROM duckdb_columns()
        WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?
        ORDER BY column_index";
    let columns = statement::query_all(connection, SQL, [table], |row| Ok((row.get(0)?, row.get(1)?)));
    columns.map_err(|error| error::engine("read the tables", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::duckdb::functions;

    #[test]
    fn some_logs_have_the_columns_of_the_view_of_all() {
        let connection = Connection::open_in_memory().unwrap();
        functions::register(&connection).unwrap();
        create(&connection).unwrap();
        let columns = |logs: &str| -> Vec<String> {
            let sql =
                format!("SELECT concat(column_name, ' ', column_type) FROM (DESCRIBE SELECT * FROM {logs})");
            statement::query_all(&connection, &sql, [], |row| row.get(0)).unwrap()
        };
        let of_some = log_texts_of("SELECT * FROM log_rows WHERE seq < 7");
        assert_eq!(columns(&of_some), columns(LOG_TEXTS));
    }
}
