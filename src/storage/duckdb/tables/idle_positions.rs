//! Forgets the reading positions of files that are long gone from a lake.
//!
//! A position does not say when it was last needed. So maintenance notes when it first saw each position where it is, in
//! a table of the catalog's database. A position that has not moved since is idle.

use std::collections::{HashMap, HashSet};

use ::duckdb::{Connection, params};
use chrono::{DateTime, Utc};

use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::lake::CATALOG;
use crate::storage::duckdb::sql::statement::{self, time_value};
use crate::storage::duckdb::store::DuckDbStore;

const TABLE: &str = "logstore_idle_positions";

const ACTION: &str = "forget the positions of files";

/// Names a position by the file's id and how far it was read.
type Position = (String, i64);

/// Selects positions. A position of a copy of a store is not one of a file.
const POSITIONS: &str = "SELECT id, bytes FROM {positions} WHERE NOT starts_with(id, 'copy of ')";

impl DuckDbStore {
    /// Notes which positions are new since the last maintenance, and which have moved or gone.
    pub(crate) fn note_idle_positions(&self, connection: &Connection, now: DateTime<Utc>) -> Result<()> {
        let failed = |error| error::engine(ACTION, error);
        let make = format!(
            "CREATE TABLE IF NOT EXISTS {CATALOG}.{TABLE} (id VARCHAR, bytes BIGINT, since TIMESTAMP)"
        );
        connection.execute_batch(&make).map_err(failed)?;
        let positions = self.positions_of_files(connection, "true")?;
        let noted: HashSet<Position> = noted(connection)?.into_keys().collect();
        for (id, bytes) in noted.difference(&positions) {
            let sql = format!("DELETE FROM {CATALOG}.{TABLE} WHERE id = ? AND bytes = ?");
            connection.execute(&sql, params![id, bytes]).map_err(failed)?;
        }
        let sql = format!("INSERT INTO {CATALOG}.{TABLE} (id, bytes, since) VALUES (?, ?, ?)");
        for (id, bytes) in positions.difference(&noted) {
            connection
                .execute(&sql, params![id, bytes, time_value(now)])
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Deletes the positions that have not moved since a time and whose last log is older, and returns their number.
    ///
    /// The logs of such a file are gone too, so that none of them is stored twice if the file is read again.
    pub(crate) fn forget_idle_positions(
        &self,
        connection: &Connection,
        idle_since: DateTime<Utc>,
        deleted_before: DateTime<Utc>,
    ) -> Result<u64> {
        let idle: HashSet<Position> = noted(connection)?
            .into_iter()
            .filter(|(_, since)| *since <= idle_since.timestamp_micros())
            .map(|(position, _)| position)
            .collect();
        let old = format!(
            "coalesce(epoch_us(last_time) < {}, true)",
            deleted_before.timestamp_micros()
        );
        let positions = self.positions_of_files(connection, &old)?;
        let ids: Vec<&str> = positions.intersection(&idle).map(|(id, _)| id.as_str()).collect();
        if !ids.is_empty() {
            let sql =
                r#"DELETE FROM file_positions WHERE id IN (SELECT unnest(from_json(?, '["VARCHAR"]')))"#;
            connection
                .execute(sql, [statement::json_array(&ids)])
                .map_err(|error| error::engine(ACTION, error))?;
        }
        Ok(ids.len() as u64)
    }

    fn positions_of_files(&self, connection: &Connection, condition: &str) -> Result<HashSet<Position>> {
        let sql = POSITIONS.replace("{positions}", self.positions_that_count());
        let positions = statement::query_all(connection, &format!("{sql} AND {condition}"), [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        let positions = positions.map_err(|error| error::engine(ACTION, error))?;
        Ok(positions.into_iter().collect())
    }
}

/// Returns the positions that were noted, each with the time in microseconds since which it is known.
fn noted(connection: &Connection) -> Result<HashMap<Position, i64>> {
    let sql = format!("SELECT id, bytes, epoch_us(since) FROM {CATALOG}.{TABLE}");
    let noted = statement::query_all(connection, &sql, [], |row| {
        Ok(((row.get(0)?, row.get(1)?), row.get(2)?))
    });
    let noted = noted.map_err(|error| error::engine(ACTION, error))?;
    Ok(noted.into_iter().collect())
}
