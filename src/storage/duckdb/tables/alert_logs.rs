//! The logs of alerts.
//!
//! A log that is counted has a row, so that a repeated delivery is told. A loud alert has as many rows as it has counted,
//! until it is settled: then only the logs that it keeps stay. So the table holds the matches of the time that
//! deliveries may be late by, a fraction of what their logs take. Rows come nearly in the order of event times, by
//! which a search skips row groups.

use std::collections::{BTreeSet, HashSet};

use ::duckdb::{Connection, Row, params};
use chrono::{DateTime, Utc};

use crate::models::{Alert, AlertLog, LogKey, LogRole, Match};
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::staged::{StagedRows, flags, texts, times};
use crate::storage::duckdb::sql::statement::{self, Sql, joined_column, time_value};

const READ: &str = "read the logs of an alert";
const STORE: &str = "store the logs of an alert";

/// Keeps the 100 earliest logs of each alert and the latest: see `kept_logs`.
const KEPT: &str = "row_number() OVER (PARTITION BY alert_id ORDER BY event_time, log_id) <= 100
    OR row_number() OVER (PARTITION BY alert_id ORDER BY event_time DESC, log_id DESC) = 1";

/// Returns the logs that some alerts keep, each with the id of its alert.
pub(super) fn kept(connection: &Connection, ids: &[&str]) -> Result<Vec<(String, LogKey)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let staged = StagedRows::of_texts(READ, "id", ids.iter().copied())?;
    let sql = Sql::new(format!(
        "SELECT alert_id, epoch_us(event_time), log_id, true
        FROM (
            SELECT DISTINCT alert_id, event_time, log_id
            FROM alert_logs
            WHERE alert_id IN (SELECT id FROM {})
        )
        QUALIFY {KEPT}
        ORDER BY alert_id, event_time, log_id",
        staged.sql()
    ));
    let logs = statement::fetch_all(connection, &sql, READ, alert_log)?;
    Ok(logs.into_iter().map(|log| (log.alert_id, log.log)).collect())
}

/// Returns which logs of some matches are logs of some alerts already.
pub(super) fn known(connection: &Connection, alerts: &[Alert], matches: &[Match]) -> Result<Vec<AlertLog>> {
    let keys: Vec<&LogKey> = matches
        .iter()
        .flat_map(|found| std::iter::once(&found.log).chain(&found.related))
        .collect();
    let times = || keys.iter().map(|key| key.event_time);
    let (Some(first), Some(last), false) = (times().min(), times().max(), alerts.is_empty()) else {
        return Ok(Vec::new());
    };
    let log_ids = || keys.iter().map(|key| key.id.as_str());
    let staged_keys = StagedRows::of_texts(READ, "log_id", log_ids())?;
    let alert_ids = alerts.iter().map(|alert| alert.id.as_str());
    let staged_alerts = StagedRows::of_texts(READ, "alert_id", alert_ids)?;
    let mut sql = Sql::new(format!(
        "SELECT alert_id, epoch_us(event_time), log_id, is_counted
        FROM alert_logs
        WHERE alert_id IN (SELECT alert_id FROM {})
            AND {} IN (SELECT log_id FROM {})",
        staged_alerts.sql(),
        joined_column("log_id", log_ids()),
        staged_keys.sql()
    ));
    sql.and("event_time", ">=", Some(time_value(first)));
    sql.and("event_time", "<=", Some(time_value(last)));
    statement::fetch_all(connection, &sql, READ, alert_log)
}

/// Returns all logs of some alerts.
pub(super) fn of_alerts(connection: &Connection, ids: &[&str]) -> Result<Vec<AlertLog>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let staged = StagedRows::of_texts(READ, "id", ids.iter().copied())?;
    let sql = Sql::new(format!(
        "SELECT alert_id, epoch_us(event_time), log_id, is_counted
        FROM alert_logs
        WHERE alert_id IN (SELECT id FROM {})",
        staged.sql()
    ));
    statement::fetch_all(connection, &sql, READ, alert_log)
}

/// Adds logs of alerts in the open transaction, each unless it is stored already.
pub(super) fn insert_new(connection: &Connection, logs: &[AlertLog]) -> Result<()> {
    let ids: BTreeSet<&str> = logs.iter().map(|log| log.alert_id.as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let mut known: HashSet<AlertLog> = of_alerts(connection, &ids)?.into_iter().collect();
    let new = logs.iter().filter(|log| known.insert((*log).clone()));
    insert(connection, &new.cloned().collect::<Vec<_>>())
}

/// Adds logs of alerts in the open transaction.
pub(super) fn insert(connection: &Connection, logs: &[AlertLog]) -> Result<()> {
    const COLUMNS: &str = "alert_id, event_time, log_id, is_counted";
    if logs.is_empty() {
        return Ok(());
    }
    let staged = StagedRows::of(STORE, logs, |logs| {
        let is_counted = |log: &AlertLog| log.role == LogRole::Counted;
        vec![
            (
                "alert_id",
                texts(logs.iter().map(|log| Some(log.alert_id.as_str()))),
            ),
            (
                "event_time",
                times(logs.iter().map(|log| Some(log.log.event_time))),
            ),
            ("log_id", texts(logs.iter().map(|log| Some(log.log.id.as_str())))),
            ("is_counted", flags(logs.iter().map(is_counted))),
        ]
    })?;
    staged.insert_into(connection, STORE, "alert_logs", COLUMNS)
}

/// Settles the alerts whose windows end by a time: forgets their logs but for those that they keep.
pub(super) fn settle_before(connection: &Connection, time: DateTime<Utc>) -> Result<()> {
    const ACTION: &str = "forget the logs of alerts";
    const SETTLE: &str = "UPDATE alerts SET is_settled = true WHERE window_end <= ? AND NOT is_settled";
    // A log may have two rows, one for each role.
    let forget = format!(
        "DELETE FROM alert_logs
        WHERE alert_id IN (SELECT id FROM alerts WHERE window_end <= ? AND NOT is_settled)
            AND (alert_id, event_time, log_id) NOT IN (
                SELECT (alert_id, event_time, log_id)
                FROM (
                    SELECT DISTINCT alert_id, event_time, log_id
                    FROM alert_logs
                    WHERE alert_id IN (SELECT id FROM alerts WHERE window_end <= ? AND NOT is_settled)
                )
                QUALIFY {KEPT})"
    );
    let failed = |error| error::engine(ACTION, error);
    connection
        .execute(&forget, params![time_value(time), time_value(time)])
        .map_err(failed)?;
    connection.execute(SETTLE, [time_value(time)]).map_err(failed)?;
    Ok(())
}

fn alert_log(row: &Row<'_>) -> Result<AlertLog> {
    let failed = |error| error::engine(READ, error);
    let log_id: String = row.get(2).map_err(failed)?;
    let is_counted: bool = row.get(3).map_err(failed)?;
    Ok(AlertLog {
        alert_id: row.get(0).map_err(failed)?,
        log: LogKey::new(statement::time(row.get(1).map_err(failed)?)?, log_id),
        role: match is_counted {
            true => LogRole::Counted,
            false => LogRole::Related,
        },
    })
}
