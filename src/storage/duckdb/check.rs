//! Checks a store for damage.

use ::duckdb::Connection;
use serde::Serialize;

use super::data_files::DataFileState;
use super::engine::mode::Mode;
use super::engine::settings::EngineSettings;
use super::logs::cover;
use super::open::gates;
use super::store::DuckDbStore;
use super::{error, schema};
use crate::models::{AlertQuery, IntelQuery, RuleQuery};
use crate::storage::{AlertStore as _, Error, IntelStore as _, Result, RuleStore as _};

/// Holds the findings of [`DuckDbStore::check`] on one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TableCheck {
    /// Names the table; `data files` for the files of a lake.
    pub table: &'static str,
    /// Counts its rows, or the files; `None` if they cannot be counted.
    pub rows: Option<u64>,
    /// Describes the problems of the table.
    pub problems: Vec<String>,
}

/// Says how far [`DuckDbStore::check_data`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckProgress {
    /// Counts the bytes of the files that were verified.
    pub bytes: u64,
    /// Counts the bytes of all files.
    pub total_bytes: u64,
}

/// Holds the description of rows that should not be there, and SQL that counts them.
///
/// In the SQL, `{last_seq}` is replaced by SQL for the last sequence number that was given.
type Question = (&'static str, &'static str);

const OF_LOGS: [Question; 6] = [
    (
        "have a sequence number that was never given",
        "SELECT count(*) FROM logs WHERE seq < 1 OR seq > {last_seq}",
    ),
    (
        "share their sequence number with another",
        "SELECT count(*) - count(DISTINCT seq) FROM logs",
    ),
    (
        "are stored more than once",
        "SELECT coalesce(sum(copies - 1), 0) :: BIGINT
            FROM (SELECT count(*) AS copies FROM logs GROUP BY event_time, id HAVING count(*) > 1)",
    ),
    (
        "have fields that are not a JSON object",
        "SELECT count(*) FROM logs
            WHERE coalesce(json_type(normalized), 'OBJECT') <> 'OBJECT' OR coalesce(json_type(metadata), 'OBJECT') <> 'OBJECT'",
    ),
    (
        "have no id, or two",
        "SELECT count(*) FROM log_rows WHERE (id IS NULL) = (uuid IS NULL)",
    ),
    // Compares the engine's statistics of times and sequence numbers with the values themselves.
    (
        "times or sequence numbers are beyond the statistics",
        "SELECT count(*)
            FROM (SELECT min(event_time) AS a, max(event_time) AS b, min(seq) AS c, max(seq) AS d FROM logs)
            JOIN (SELECT min(epoch_us(event_time)) AS e, max(epoch_us(event_time)) AS f, min(seq + 0) AS g,
                max(seq + 0) AS h FROM logs)
            ON epoch_us(a) <> e OR epoch_us(b) <> f OR c <> g OR d <> h",
    ),
];

const OF_CONSUMERS: [Question; 1] = [(
    "stand where no log was ever stored",
    "SELECT count(*) FROM consumers WHERE position < 0 OR position > {last_seq}",
)];

// A copy of a store records its position here, with neither head nor tail: see `FilePosition::is_of_copy`.
const OF_FILES: [Question; 1] = [(
    "cannot be positions of files",
    "SELECT count(*) FROM file_positions
        WHERE bytes < 0 OR line_parts < 0 OR NOT (regexp_full_match(head || tail, '[0-9a-f]{128,256}')
            OR starts_with(id, 'copy of ') AND head = '' AND tail = '')",
)];

const OF_LOGSTORE: [Question; 1] = [(
    "are there beside the one that should be",
    "SELECT abs(count(*) - 1) FROM logstore",
)];

impl DuckDbStore {
    /// Reads the whole store and returns the problems of each table.
    ///
    /// Problems are damage, impossible rows, logs stored twice and positions past the last log. In a lake, the data files
    /// are verified too: see [`check_data`](Self::check_data). Others may read and write meanwhile.
    ///
    /// ```
    /// use logstore::DuckDbStore;
    ///
    /// let store = DuckDbStore::open(":memory:")?;
    /// assert!(store.check()?.iter().all(|check| check.problems.is_empty()));
    /// # Ok::<(), logstore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the store cannot be opened at all. A lock or an outage is no problem of a table, but an error too: see
    /// [`Error::is_retryable`].
    pub fn check(&self) -> Result<Vec<TableCheck>> {
        let mut checks = schema::TABLES
            .into_iter()
            .map(|table| self.check_table(table))
            .collect::<Result<Vec<_>>>()?;
        if self.is_lake() {
            checks.push(self.check_data(|_| ())?);
        }
        Ok(checks)
    }

    /// Verifies the data files of a lake, and returns the problems of all of them together.
    ///
    /// `progress` is called after each file, with the number of bytes that were verified so far and of all files.
    ///
    /// # Errors
    ///
    /// If the catalog cannot be read, or the storage of the data does not answer.
    pub fn check_data(&self, mut progress: impl FnMut(CheckProgress)) -> Result<TableCheck> {
        let files = self.check_data_files()?;
        let total_bytes = files.total_bytes();
        let (mut bytes, mut count, mut unrecorded, mut problems) = (0, 0, 0, Vec::new());
        for file in files {
            match file {
                Ok(file) => {
                    bytes += file.bytes;
                    unrecorded += u64::from(file.state == DataFileState::Unrecorded);
                    problems.extend(file.problem());
                }
                Err(error) => note(error, &mut problems)?,
            }
            count += 1;
            progress(CheckProgress { bytes, total_bytes });
        }
        if unrecorded > 0 {
            log::warn!("{unrecorded} of {count} data files have no checksum yet, which maintenance records");
        }
        Ok(TableCheck {
            table: "data files",
            rows: Some(count),
            problems,
        })
    }

    fn check_table(&self, table: &'static str) -> Result<TableCheck> {
        let mut problems = Vec::new();
        if let Some(problem) = self.read(|connection| wrong_columns(connection, table))? {
            problems.push(problem);
        }
        let rows = self.count(&format!("SELECT count(*) FROM {table}"), &mut problems)?;
        found(self.read(|connection| read_all(connection, table)), &mut problems)?;
        let last_seq = self.commit_order().end_sql();
        let questions: &[Question] = match table {
            "log_rows" => &OF_LOGS,
            "consumers" => &OF_CONSUMERS,
            "file_positions" => &OF_FILES,
            "logstore" => &OF_LOGSTORE,
            _ => &[],
        };
        for (what, sql) in questions {
            match self.count(&sql.replace("{last_seq}", &last_seq), &mut problems)? {
                Some(0) | None => {}
                Some(count) => problems.push(format!("{count} {what}")),
            }
        }
        let read = match table {
            "alerts" => self.fetch_alerts(&AlertQuery::new()).map(drop),
            "threat_intel" => self.fetch_intel(&IntelQuery::new()).map(drop),
            "detection_rules" => self.fetch_rules(&RuleQuery::new()).map(drop),
            _ => Ok(()),
        };
        found(read, &mut problems)?;
        if table == "block_words"
            && let Some(wrong @ 1..) = found(
                self.read(|connection| cover::count_wrong(connection, self.commit_order())),
                &mut problems,
            )?
        {
            problems.push(format!(
                "the filters of {wrong} blocks of logs lack words of their logs, which searches may miss: restore the store from \
                 a backup"
            ));
        }
        problems.dedup();
        Ok(TableCheck {
            table,
            rows,
            problems,
        })
    }

    /// Returns the result of a counting query; `None` if the query fails, which is a problem.
    fn count(&self, sql: &str, problems: &mut Vec<String>) -> Result<Option<u64>> {
        let counted = self.read(|connection| {
            let counted = connection.query_row(sql, [], |row| row.get(0));
            counted.map_err(|error| error::engine("read the table", error))
        });
        found(counted, problems)
    }
}

/// Returns what was read; `None` if it cannot be read, which is a problem.
fn found<T>(read: Result<T>, problems: &mut Vec<String>) -> Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) => note(error, problems).map(|()| None),
    }
}

/// Notes an error as a problem. A lock or an outage says nothing about what is stored, and is returned.
fn note(error: Error, problems: &mut Vec<String>) -> Result<()> {
    if error.is_retryable() {
        return Err(error);
    }
    problems.push(error.with_causes());
    Ok(())
}

/// Reads every value, so that the checksums of all blocks are verified.
fn read_all(connection: &Connection, table: &str) -> Result<()> {
    let columns = schema::column_list(connection, table)?;
    let sql = format!("SELECT CAST(bit_xor(hash({columns})) AS VARCHAR) FROM {table}");
    let read = connection.query_row(&sql, [], |row| row.get::<_, Option<String>>(0));
    read.map_err(|error| error::engine("read the table", error))
        .map(drop)
}

/// Compares a table's columns with those of a new store, in whatever order, and describes a difference.
fn wrong_columns(connection: &Connection, table: &str) -> Result<Option<String>> {
    let model = gates::in_memory(&EngineSettings::default());
    let model = model.lease(Mode::Write, std::time::Duration::ZERO)?;
    schema::create_tables(model.connection())?;
    let found = schema::columns_of(connection, table)?;
    let expected = schema::columns_of(model.connection(), table)?;
    Ok((found != expected).then(|| format!("its columns are {found:?}, not {expected:?}")))
}
