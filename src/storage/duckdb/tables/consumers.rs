//! Positions of named consumers.

use ::duckdb::{Connection, OptionalExt, params, params_from_iter};

use super::alerts;
use crate::models::{Alert, LogQuery};
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::statement::{self, Sql};
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::{CommitResult, ConsumerStore, Cursor, Result, consumer_conflict};

impl ConsumerStore for DuckDbStore {
    fn position(&self, consumer: &str) -> Result<Option<Cursor>> {
        const SQL: &str = "SELECT position FROM consumers WHERE name = ?";
        self.read(|connection| {
            let read = connection.query_row(SQL, [consumer], |row| row.get(0)).optional();
            let position: Option<i64> = read.map_err(|error| error::engine("read a position", error))?;
            Ok(position.map(Cursor::after))
        })
    }

    fn positions(&self) -> Result<Vec<(String, Cursor)>> {
        const SQL: &str = "SELECT name, position FROM consumers ORDER BY name";
        self.read(|connection| {
            let read = statement::query_all(connection, SQL, [], |row| {
                Ok((row.get(0)?, Cursor::after(row.get(1)?)))
            });
            read.map_err(|error| error::engine("read the positions of consumers", error))
        })
    }

    fn commit(
        &self,
        consumer: &str,
        from: Option<Cursor>,
        to: Cursor,
        alerts: &[Alert],
    ) -> Result<CommitResult> {
        self.write("commit a position", |connection| {
            let missed = move_on(connection, consumer, from, to)?;
            let stored = alerts::insert(connection, alerts)?;
            Ok(CommitResult::of_alerts(stored, missed))
        })
    }
}

/// Moves a consumer in the open transaction, and returns how many logs it has missed.
pub(super) fn move_on(
    connection: &Connection,
    consumer: &str,
    from: Option<Cursor>,
    to: Cursor,
) -> Result<u64> {
    const READ: &str = "SELECT position, missed FROM consumers WHERE name = ?";
    const MOVE: &str = "MERGE INTO consumers AS known
        USING (SELECT CAST(? AS VARCHAR) AS name, CAST(? AS BIGINT) AS position) AS new
        ON known.name = new.name
        WHEN MATCHED THEN UPDATE SET position = new.position, missed = 0
        WHEN NOT MATCHED THEN INSERT (name, position, missed) VALUES (new.name, new.position, 0)";
    let failed = |error| error::engine("commit a position", error);
    let held = connection
        .query_row(READ, [consumer], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional();
    let (actual, missed) = held.map_err(failed)?.map_or((None, 0), |(position, missed)| {
        (Some(Cursor::after(position)), missed)
    });
    if actual != from {
        return Err(consumer_conflict(consumer, from, actual));
    }
    connection
        .execute(MOVE, params![consumer, to.seq()])
        .map_err(failed)?;
    Ok(missed)
}

/// Adds the unread logs of a query to each consumer's count of missed logs. The query's logs are about to be deleted.
pub(crate) fn count_missed(connection: &Connection, deleted: &LogQuery, order: CommitOrder) -> Result<()> {
    const ADD: &str = "UPDATE consumers SET missed = missed + ? WHERE name = ?";
    let failed = |error| error::engine("look for consumers that have not read the logs to delete", error);
    let first = connection.query_row("SELECT min(position) FROM consumers", [], |row| row.get(0));
    let Some(first): Option<i64> = first.map_err(failed)? else {
        return Ok(());
    };
    // Logs that all consumers have read need not be looked at.
    let is_new = order.is_after_sql(first);
    let mut sql = Sql::new(
        "SELECT c.name, count(*)
        FROM consumers AS c
        JOIN (SELECT seq FROM log_texts",
    );
    sql.append(predicate::where_clause(deleted));
    sql.push(&format!(
        " AND {is_new}) AS l ON l.seq > c.position
        GROUP BY c.name
        ORDER BY c.name"
    ));
    let unread = statement::query_all(connection, &sql.text, params_from_iter(&sql.values), |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let unread: Vec<(String, u64)> = unread.map_err(failed)?;
    for (consumer, missed) in unread {
        connection
            .execute(ADD, params![missed, consumer])
            .map_err(failed)?;
        log::warn!("deleting {missed} logs that consumer {consumer:?} has not read");
    }
    Ok(())
}

/// Adds a number of logs to the count of missed logs of each consumer that has not read up to a sequence number.
pub(crate) fn add_missed(connection: &Connection, last: i64, logs: u64) -> Result<()> {
    const ADD: &str = "UPDATE consumers SET missed = missed + ? WHERE position < ?";
    let added = connection.execute(ADD, params![logs, last]);
    let added = added.map_err(|error| error::engine("count missed logs", error))?;
    if added > 0 {
        log::warn!("{added} consumers have not read all of {logs} logs that are gone");
    }
    Ok(())
}
