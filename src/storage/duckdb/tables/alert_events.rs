//! The histories of alerts.

use std::collections::HashSet;

use ::duckdb::{Connection, Row};

use crate::models::{AlertAction, AlertEvent, to_micros};
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::staged::{StagedRows, texts, times};
use crate::storage::duckdb::sql::statement::{self, Sql};

const ACTION: &str = "read the history of an alert";

/// Appends events in the open transaction, each to the history of the alert with this id.
pub(super) fn insert(connection: &Connection, events: &[(String, AlertEvent)]) -> Result<()> {
    const ACTION: &str = "store the history of an alert";
    const COLUMNS: &str = "alert_id, id, happened_at, actor, action, value, note";
    if events.is_empty() {
        return Ok(());
    }
    let staged = StagedRows::of(ACTION, events, |events| {
        let text = |text: fn(&AlertEvent) -> Option<&str>| texts(events.iter().map(|(_, event)| text(event)));
        vec![
            ("alert_id", texts(events.iter().map(|(id, _)| Some(id.as_str())))),
            ("id", text(|event| Some(&event.id))),
            (
                "happened_at",
                times(events.iter().map(|(_, event)| Some(to_micros(event.at)))),
            ),
            ("actor", text(|event| event.actor.as_deref())),
            ("action", text(|event| Some(event.action.name()))),
            ("value", text(|event| event.action.value())),
            ("note", text(|event| event.note.as_deref())),
        ]
    })?;
    staged.insert_into(connection, ACTION, "alert_events", COLUMNS)
}

/// Returns the ids of the alerts that have an event already.
pub(super) fn alerts_with(connection: &Connection, event_id: &str) -> Result<HashSet<String>> {
    let mut sql = Sql::new("SELECT alert_id FROM alert_events WHERE true");
    sql.and_equals("id", Some(event_id.to_owned()));
    let ids = statement::fetch_all(connection, &sql, ACTION, |row| text(row, 0))?;
    Ok(ids.into_iter().flatten().collect())
}

/// Returns the events of some alerts, each with the id of its alert.
pub(super) fn of_alerts(connection: &Connection, ids: &[&str]) -> Result<Vec<(String, AlertEvent)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let staged = StagedRows::of_texts(ACTION, "id", ids.iter().copied())?;
    let sql = Sql::new(format!(
        "SELECT id, epoch_us(happened_at), actor, action, value, note, alert_id
        FROM alert_events
        WHERE alert_id IN (SELECT id FROM {})
        ORDER BY alert_id, happened_at, id",
        staged.sql()
    ));
    statement::fetch_all(connection, &sql, ACTION, |row| {
        Ok((text(row, 6)?.unwrap_or_default(), event(row)?))
    })
}

/// Returns the ids of the alerts that wait for a receiver.
pub(super) fn undelivered(connection: &Connection, receiver: &str) -> Result<Vec<String>> {
    let mut sql = Sql::new("SELECT alert_id\nFROM alert_events\nWHERE true");
    sql.and_equals("actor", Some(receiver.to_owned()));
    sql.push(
        "\nGROUP BY alert_id
        HAVING bool_or(action = 'await_delivery') AND NOT bool_or(action = 'deliver')
        ORDER BY count(*) FILTER (action = 'fail_to_deliver'),
            min(happened_at) FILTER (action = 'await_delivery'),
            alert_id",
    );
    let ids = statement::fetch_all(connection, &sql, ACTION, |row| text(row, 0))?;
    Ok(ids.into_iter().flatten().collect())
}

fn text(row: &Row<'_>, index: usize) -> Result<Option<String>> {
    row.get(index).map_err(|error| error::engine(ACTION, error))
}

fn event(row: &Row<'_>) -> Result<AlertEvent> {
    let id = text(row, 0)?.unwrap_or_default();
    let micros = row.get(1).map_err(|error| error::engine(ACTION, error))?;
    let action = text(row, 3)?.unwrap_or_default();
    let action = AlertAction::from_parts(&action, text(row, 4)?.as_deref());
    let action = action.map_err(|error| error::corrupt(format!("event {id:?} of an alert: {error}")))?;
    let mut event = AlertEvent::new(action);
    event.id = id;
    event.at = statement::time(micros)?;
    event.actor = text(row, 2)?;
    event.note = text(row, 5)?;
    Ok(event)
}
