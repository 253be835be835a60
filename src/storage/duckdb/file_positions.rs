//! How far files were read.

use std::collections::HashSet;

use ::duckdb::{Connection, OptionalExt, Row, params};

use super::rows::LogRows;
use super::{DuckDbStore, error, lake, logs, rows};
use crate::models::{FilePosition, FileProgress, Inside, LogEntry};
use crate::storage::{Appended, IngestStore, Result, file_conflict};

const COLUMNS: &str = "id, path, bytes, head, tail, in_array, line_parts, last_time";

const NEW: &str = "
(SELECT CAST(? AS VARCHAR) AS id, CAST(? AS VARCHAR) AS path, CAST(? AS BIGINT) AS bytes,
    CAST(? AS VARCHAR) AS head, CAST(? AS VARCHAR) AS tail, CAST(? AS BOOLEAN) AS in_array,
    CAST(? AS BIGINT) AS line_parts, make_timestamp(CAST(? AS BIGINT)) AS last_time) AS new";

const UPSERT: &str = "
ON known.id = new.id
WHEN MATCHED THEN UPDATE SET path = new.path, bytes = new.bytes, head = new.head, tail = new.tail,
    in_array = new.in_array, line_parts = new.line_parts, last_time = new.last_time
WHEN NOT MATCHED THEN INSERT (id, path, bytes, head, tail, in_array, line_parts, last_time)
    VALUES (new.id, new.path, new.bytes, new.head, new.tail, new.in_array, new.line_parts, new.last_time)";

/// In a lake, those who read files at once would change the same table, and all but one would have to begin again. A
/// position is added there, and counts until the next one is; upkeep deletes those that do not count. Of a commit that
/// is not done yet, the snapshot is not known.
const LATEST_IN_LAKE: &str = "
(SELECT id, path, bytes, head, tail, in_array, line_parts, last_time
FROM file_positions
QUALIFY row_number() OVER (PARTITION BY id ORDER BY snapshot_id DESC NULLS FIRST, bytes DESC) = 1)";

/// Deletes the positions of a lake that do not count any more.
pub(super) const DELETE_SUPERSEDED: &str = "
DELETE FROM file_positions
WHERE rowid NOT IN (
    SELECT rowid
    FROM file_positions
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY snapshot_id DESC, bytes DESC) = 1)";

impl IngestStore for DuckDbStore {
    fn file_positions(&self) -> Result<Vec<FilePosition>> {
        self.read(|connection| {
            let failed = |error| error::engine("read the positions of files", error);
            let sql = format!(
                "SELECT id, path, bytes, head, tail, in_array, line_parts, epoch_us(last_time)
                FROM {}
                ORDER BY id",
                self.positions_that_count()
            );
            let mut statement = connection.prepare(&sql).map_err(failed)?;
            let mut rows = statement.query([]).map_err(failed)?;
            let mut positions = Vec::new();
            while let Some(row) = rows.next().map_err(failed)? {
                positions.push(position(row)?);
            }
            Ok(positions)
        })
    }

    fn append_logs_of_files(&self, logs: &[LogEntry], files: &[FileProgress]) -> Result<Appended> {
        self.append_rows_of_files(&LogRows::new(logs)?, files)
    }
}

impl DuckDbStore {
    /// As [`append_logs_of_files`](IngestStore::append_logs_of_files), of logs that were made ready before.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn append_rows_of_files(&self, rows: &LogRows, files: &[FileProgress]) -> Result<Appended> {
        const ACTION: &str = "append logs";
        let append = |connection: &Connection| {
            files
                .iter()
                .try_for_each(|progress| self.move_on(connection, progress))?;
            self.append(connection, rows)
        };
        // So few are looked for and written sooner than it is found out whether others were faster.
        if rows.len() <= lake::INLINED_ROWS {
            return self.write(ACTION, append);
        }
        self.write_ahead(ACTION, append, |connection, snapshot| {
            // A file that comes twice in a batch goes on from where the batch itself has moved it.
            let mut seen = HashSet::new();
            files
                .iter()
                .filter(|progress| seen.insert(progress.to.id.as_str()))
                .try_for_each(|progress| self.check_position(connection, progress))?;
            logs::are_stored_since(connection, rows, snapshot)
        })
    }

    /// SQL for where positions are read from.
    fn positions_that_count(&self) -> &'static str {
        if self.is_lake() {
            LATEST_IN_LAKE
        } else {
            "file_positions"
        }
    }

    /// Whether a file was read as far as its progress takes it to be.
    fn check_position(&self, connection: &Connection, progress: &FileProgress) -> Result<()> {
        let sql = format!("SELECT bytes FROM {} WHERE id = ?", self.positions_that_count());
        let actual: Option<u64> = connection
            .query_row(&sql, [&progress.to.id], |row| row.get(0))
            .optional()
            .map_err(|error| error::engine("read the positions of files", error))?;
        match actual == progress.from {
            true => Ok(()),
            false => Err(file_conflict(progress, actual)),
        }
    }

    fn move_on(&self, connection: &Connection, progress: &FileProgress) -> Result<()> {
        self.check_position(connection, progress)?;
        let to = &progress.to;
        let (in_array, line_parts) = match to.inside {
            Inside::Nothing => (false, 0),
            Inside::Array => (true, 0),
            Inside::Line(parts) => (false, parts),
        };
        let last_micros = to.last_time.map(|time| time.timestamp_micros());
        let parameters = params![
            to.id,
            to.path,
            to.bytes,
            to.head,
            to.tail,
            in_array,
            line_parts,
            last_micros
        ];
        let sql = match self.is_lake() {
            true => format!("INSERT INTO file_positions ({COLUMNS}) SELECT {COLUMNS} FROM {NEW}"),
            false => format!("MERGE INTO file_positions AS known USING {NEW} {UPSERT}"),
        };
        let moved = connection.execute(&sql, parameters);
        moved
            .map_err(|error| error::engine("move on the position of a file", error))
            .map(drop)
    }
}

fn position(row: &Row<'_>) -> Result<FilePosition> {
    let failed = |error| error::engine("read the positions of files", error);
    let in_array: bool = row.get(5).map_err(failed)?;
    let line_parts: u64 = row.get(6).map_err(failed)?;
    let last_micros: Option<i64> = row.get(7).map_err(failed)?;
    Ok(FilePosition {
        id: row.get(0).map_err(failed)?,
        path: row.get(1).map_err(failed)?,
        bytes: row.get(2).map_err(failed)?,
        head: row.get(3).map_err(failed)?,
        tail: row.get(4).map_err(failed)?,
        inside: match (in_array, line_parts) {
            (true, _) => Inside::Array,
            (false, 0) => Inside::Nothing,
            (false, parts) => Inside::Line(parts),
        },
        last_time: last_micros.map(rows::time).transpose()?,
    })
}
