//! How far consumers have compared imports of intelligence with stored logs.

use ::duckdb::{Connection, OptionalExt as _, params};

use crate::models::{LogKey, Lookback};
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::{self, time_value};
use crate::storage::{Result, lookback_conflict};

/// Returns how far a consumer has looked back; `None` if it never has.
pub(super) fn read(connection: &Connection, consumer: &str) -> Result<Option<Lookback>> {
    const SQL: &str = "SELECT done, target, epoch_us(event_time), log_id FROM lookbacks WHERE consumer = ?";
    let read = connection.query_row(SQL, [consumer], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    });
    let read = read.optional();
    let Some((done, target, time, id)) = read.map_err(|error| error::engine("read a lookback", error))?
    else {
        return Ok(None);
    };
    let (time, id): (Option<i64>, Option<String>) = (time, id);
    let position = match time.zip(id) {
        Some((time, id)) => Some(LogKey {
            event_time: statement::time(time)?,
            id,
        }),
        None => None,
    };
    Ok(Some(Lookback {
        done,
        target,
        position,
    }))
}

/// Moves a lookback in the open transaction.
pub(super) fn move_on(
    connection: &Connection,
    consumer: &str,
    from: Option<&Lookback>,
    to: &Lookback,
) -> Result<()> {
    const MOVE: &str = "
        MERGE INTO lookbacks AS known
        USING (
            SELECT CAST(? AS VARCHAR) AS consumer, CAST(? AS BIGINT) AS done, CAST(? AS BIGINT) AS target,
                CAST(? AS TIMESTAMP) AS event_time, CAST(? AS VARCHAR) AS log_id
        ) AS new
        ON known.consumer = new.consumer
        WHEN MATCHED THEN UPDATE SET done = new.done, target = new.target, event_time = new.event_time,
            log_id = new.log_id
        WHEN NOT MATCHED THEN INSERT (consumer, done, target, event_time, log_id)
            VALUES (new.consumer, new.done, new.target, new.event_time, new.log_id)";
    let actual = read(connection, consumer)?;
    if actual.as_ref() != from {
        return Err(lookback_conflict(consumer, from, actual.as_ref()));
    }
    let (time, id) = match &to.position {
        Some(log) => (Some(time_value(log.event_time)), Some(&log.id)),
        None => (None, None),
    };
    let moved = connection.execute(MOVE, params![consumer, to.done, to.target, time, id]);
    moved
        .map_err(|error| error::engine("move a lookback", error))
        .map(drop)
}
