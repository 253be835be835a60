//! Reading positions of files.

use std::collections::HashMap;

use ::duckdb::{Connection, Row};
use serde::Serialize;

use crate::models::{FilePosition, FileProgress, ResumePoint};
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::{self, Sql};
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::{Result, file_conflict};

/// Holds a position as [`NEW`] reads it.
#[derive(Serialize)]
struct PositionRow<'a> {
    id: &'a str,
    path: &'a str,
    bytes: u64,
    head: &'a str,
    tail: &'a str,
    in_array: bool,
    line_parts: u64,
    last_time: Option<i64>,
}

const COLUMNS: &str = "id, path, bytes, head, tail, in_array, line_parts, last_time";

const NEW: &str = r#"
(SELECT p.id, p.path, p.bytes, p.head, p.tail, p.in_array, p.line_parts, make_timestamp(p.last_time) AS last_time
FROM (
    SELECT unnest(from_json(?, '[{"id": "VARCHAR", "path": "VARCHAR", "bytes": "BIGINT", "head": "VARCHAR",
        "tail": "VARCHAR", "in_array": "BOOLEAN", "line_parts": "BIGINT", "last_time": "BIGINT"}]')) AS p
)) AS new"#;

const UPSERT: &str = "
ON known.id = new.id
WHEN MATCHED THEN UPDATE SET path = new.path, bytes = new.bytes, head = new.head, tail = new.tail,
    in_array = new.in_array, line_parts = new.line_parts, last_time = new.last_time
WHEN NOT MATCHED THEN INSERT (id, path, bytes, head, tail, in_array, line_parts, last_time)
    VALUES (new.id, new.path, new.bytes, new.head, new.tail, new.in_array, new.line_parts, new.last_time)";

/// Selects the latest position of each file in a lake.
///
/// Processes that update the same table of a lake conflict, and all but one retry. So a lake only adds positions, and
/// the latest one counts; maintenance deletes the others. A commit that is not done yet has no snapshot.
const LATEST_IN_LAKE: &str = "
(SELECT id, path, bytes, head, tail, in_array, line_parts, last_time
FROM file_positions
QUALIFY row_number() OVER (PARTITION BY id ORDER BY snapshot_id DESC NULLS FIRST, bytes DESC) = 1)";

/// Deletes the superseded positions of a lake.
pub(crate) const DELETE_SUPERSEDED: &str = "
DELETE FROM file_positions
WHERE rowid NOT IN (
    SELECT rowid
    FROM file_positions
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY snapshot_id DESC, bytes DESC) = 1)";

impl DuckDbStore {
    /// Reads the positions of all files, in the order of their ids.
    pub(crate) fn all_positions(&self, connection: &Connection) -> Result<Vec<FilePosition>> {
        let sql = Sql::new(format!(
            "SELECT id, path, bytes, head, tail, in_array, line_parts, epoch_us(last_time)
                FROM {}
                ORDER BY id",
            self.positions_that_count()
        ));
        statement::fetch_all(connection, &sql, "read the positions of files", position)
    }

    /// Returns SQL for the table or query that positions are read from.
    pub(crate) fn positions_that_count(&self) -> &'static str {
        match self.commit_order() {
            CommitOrder::Counter => "file_positions",
            CommitOrder::Snapshots => LATEST_IN_LAKE,
        }
    }

    /// Checks that the stored positions of files are those that their progress starts from.
    pub(crate) fn check_positions(&self, connection: &Connection, files: &[FileProgress]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let mut bytes = self.bytes_of(connection, files)?;
        for progress in files {
            // A file that comes twice goes on from its previous move.
            let actual = bytes.insert(progress.to.id.clone(), progress.to.bytes);
            if actual != progress.from {
                return Err(file_conflict(progress, actual));
            }
        }
        Ok(())
    }

    /// Returns up to which byte each file is read, by the ids of the files that are known.
    pub(crate) fn bytes_of(
        &self,
        connection: &Connection,
        files: &[FileProgress],
    ) -> Result<HashMap<String, u64>> {
        let ids: Vec<&str> = files.iter().map(|progress| progress.to.id.as_str()).collect();
        let sql = format!(
            r#"SELECT id, bytes FROM {} WHERE id IN (SELECT unnest(from_json(?, '["VARCHAR"]')))"#,
            self.positions_that_count()
        );
        let known = statement::query_all(connection, &sql, [statement::json_array(&ids)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        let known: Vec<(String, u64)> =
            known.map_err(|error| error::engine("read the positions of files", error))?;
        Ok(known.into_iter().collect())
    }

    /// Moves the positions of files on, all of them in one statement, as a batch can have thousands.
    pub(crate) fn move_on(&self, connection: &Connection, files: &[FileProgress]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        self.check_positions(connection, files)?;
        let last: HashMap<&str, &FilePosition> = files
            .iter()
            .map(|progress| (progress.to.id.as_str(), &progress.to))
            .collect();
        let records: Vec<PositionRow<'_>> = last.into_values().map(row_of).collect();
        let sql = match self.commit_order() {
            CommitOrder::Snapshots => {
                format!("INSERT INTO file_positions ({COLUMNS}) SELECT {COLUMNS} FROM {NEW}")
            }
            CommitOrder::Counter => format!("MERGE INTO file_positions AS known USING {NEW} {UPSERT}"),
        };
        let moved = connection.execute(&sql, [statement::json_array(&records)]);
        moved
            .map_err(|error| error::engine("move on the positions of files", error))
            .map(drop)
    }
}

fn row_of(position: &FilePosition) -> PositionRow<'_> {
    let (in_array, line_parts) = match position.resume {
        ResumePoint::LineStart => (false, 0),
        ResumePoint::Array => (true, 0),
        ResumePoint::LongLine(parts) => (false, parts),
    };
    PositionRow {
        id: &position.id,
        path: &position.path,
        bytes: position.bytes,
        head: &position.head_fingerprint,
        tail: &position.tail_fingerprint,
        in_array,
        line_parts,
        last_time: position.last_time.map(|time| time.timestamp_micros()),
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
        head_fingerprint: row.get(3).map_err(failed)?,
        tail_fingerprint: row.get(4).map_err(failed)?,
        resume: match (in_array, line_parts) {
            (true, _) => ResumePoint::Array,
            (false, 0) => ResumePoint::LineStart,
            (false, parts) => ResumePoint::LongLine(parts),
        },
        last_time: last_micros.map(statement::time).transpose()?,
    })
}
