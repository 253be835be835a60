//! How far named consumers have read.

use ::duckdb::{Connection, OptionalExt, params};

use super::{DuckDbStore, alerts, error};
use crate::models::Alert;
use crate::storage::{ConsumerStore, Cursor, Result, conflict};

impl ConsumerStore for DuckDbStore {
    fn position(&self, consumer: &str) -> Result<Option<Cursor>> {
        self.read(|connection| position(connection, consumer))
    }

    fn commit(&self, consumer: &str, from: Option<Cursor>, to: Cursor, alerts: &[Alert]) -> Result<()> {
        const MOVE: &str = "INSERT INTO consumers (name, position)
            VALUES (?, ?)
            ON CONFLICT (name) DO UPDATE SET position = excluded.position";
        self.write("commit a consumer's position", |connection| {
            let actual = position(connection, consumer)?;
            if actual != from {
                return Err(conflict(consumer, from, actual));
            }
            alerts::insert(connection, alerts)?;
            let moved = connection.execute(MOVE, params![consumer, to.seq()]);
            moved
                .map_err(|error| error::engine("commit a consumer's position", error))
                .map(drop)
        })
    }
}

fn position(connection: &Connection, consumer: &str) -> Result<Option<Cursor>> {
    let sql = "SELECT position FROM consumers WHERE name = ?";
    let read = connection.query_row(sql, [consumer], |row| row.get(0)).optional();
    let position: Option<i64> = read.map_err(|error| error::engine("read a consumer's position", error))?;
    Ok(position.map(Cursor::after))
}
