//! Alerts.

use std::collections::HashSet;

use ::duckdb::{Connection, params_from_iter};
use chrono::{DateTime, Utc};

use super::alert_rows::{self, COLUMNS, READ};
use super::{alert_events, alert_logs};
use crate::models::{Alert, AlertAction, AlertEvent, AlertOrder, AlertQuery, AlertStatus, LogKey, Severity};
use crate::storage::duckdb::error;
use crate::storage::duckdb::schema;
use crate::storage::duckdb::sql::statement::{self, Sql, time_value};
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::{AlertStore, Error, Result};

/// Holds SQL for the status of an alert. Other programs set only the flag.
const STATUS: &str =
    "CASE WHEN status <> 'new' THEN status WHEN acknowledged THEN 'in_progress' ELSE 'new' END";

impl AlertStore for DuckDbStore {
    fn store_alerts(&self, alerts: &[Alert]) -> Result<u64> {
        let mut is_refused = false;
        if let [alert] = alerts
            && self.has_keys()
        {
            alert.validate()?;
            // Most alerts are new, so insert first and let the primary key reject duplicates. To look first takes as
            // long as to store one. Lakes have no keys and take the slow path.
            let stored = self.write_statement("store alerts", |connection| {
                let inserted = insert_new(connection, alert);
                is_refused = inserted.is_err();
                inserted.map_err(|error| error::engine("store alerts", error))
            });
            if !is_refused {
                return stored.map(|inserted| inserted as u64);
            }
        }
        self.write("store alerts", |connection| insert(connection, alerts))
    }

    fn alert(&self, id: &str) -> Result<Option<Alert>> {
        let mut sql = self.select_alerts();
        sql.and_equals("id", Some(id.to_owned()));
        Ok(self.alerts(&sql)?.into_iter().next())
    }

    fn fetch_alerts(&self, query: &AlertQuery) -> Result<Vec<Alert>> {
        let mut sql = self.select_alerts();
        restrict(&mut sql, query);
        sql.push(match query.order {
            AlertOrder::NewestFirst => "\nORDER BY created_at DESC, id",
            AlertOrder::RiskiestFirst => "\nORDER BY priority_score DESC, created_at DESC, id",
        });
        sql.limit(query.limit);
        self.alerts(&sql)
    }

    fn acknowledge_alerts(&self, ids: &[&str]) -> Result<()> {
        let event = AlertEvent::new(AlertAction::Status(AlertStatus::InProgress));
        self.write("acknowledge alerts", |connection| {
            let mut alerts = self.alerts_of_ids(connection, ids)?;
            alerts.retain(|alert| !alert.acknowledged);
            change(connection, alerts, &event)
        })
    }

    fn update_alerts(&self, ids: &[&str], event: &AlertEvent) -> Result<()> {
        event.validate()?;
        self.write("change alerts", |connection| {
            let mut alerts = self.alerts_of_ids(connection, ids)?;
            let had = alert_events::alerts_with(connection, &event.id)?;
            alerts.retain(|alert| !had.contains(&alert.id));
            change(connection, alerts, event)
        })
    }

    fn alert_events(&self, ids: &[&str]) -> Result<Vec<(String, AlertEvent)>> {
        if self.is_of_earlier_version() {
            return Ok(Vec::new());
        }
        self.read(|connection| alert_events::of_alerts(connection, ids))
    }

    fn undelivered_alerts(&self, receiver: &str) -> Result<Vec<String>> {
        if self.is_of_earlier_version() {
            return Ok(Vec::new());
        }
        self.read(|connection| alert_events::undelivered(connection, receiver))
    }

    fn alert_logs(&self, ids: &[&str]) -> Result<Vec<(String, LogKey)>> {
        if self.is_of_earlier_version() {
            return Ok(Vec::new());
        }
        self.read(|connection| alert_logs::kept(connection, ids))
    }

    fn delete_resolved_alerts_before(&self, time: DateTime<Utc>) -> Result<u64> {
        const OLD: &str = "SELECT id FROM alerts WHERE status = 'resolved' AND updated_at < ?";
        const ACTION: &str = "delete resolved alerts";
        let failed = |error| error::engine(ACTION, error);
        self.write(ACTION, |connection| {
            for table in ["alert_logs", "alert_events"] {
                let sql = format!("DELETE FROM {table} WHERE alert_id IN ({OLD})");
                connection.execute(&sql, [time_value(time)]).map_err(failed)?;
            }
            let sql = format!("DELETE FROM alerts WHERE id IN ({OLD})");
            let deleted = connection.execute(&sql, [time_value(time)]).map_err(failed)?;
            Ok(deleted as u64)
        })
    }
}

impl DuckDbStore {
    /// Returns whether the store has the tables of an earlier version, which are read only.
    pub(super) fn is_of_earlier_version(&self) -> bool {
        self.alerts != schema::ALERTS
    }

    fn select_alerts(&self) -> Sql {
        Sql::new(format!("SELECT {READ}\nFROM {}\nWHERE true", self.alerts))
    }

    fn alerts(&self, sql: &Sql) -> Result<Vec<Alert>> {
        self.read(|connection| statement::fetch_all(connection, sql, "fetch alerts", alert_rows::alert))
    }

    /// Returns alerts by their ids, each once.
    fn alerts_of_ids(&self, connection: &Connection, ids: &[&str]) -> Result<Vec<Alert>> {
        let mut seen = HashSet::new();
        let mut alerts = Vec::new();
        for id in ids.iter().filter(|id| seen.insert(**id)) {
            let mut sql = self.select_alerts();
            sql.and_equals("id", Some((*id).to_owned()));
            let found = statement::fetch_all(connection, &sql, "fetch alerts", alert_rows::alert)?;
            alerts.push(found.into_iter().next().ok_or_else(|| Error::NotFound {
                what: "alert",
                name: (*id).to_owned(),
            })?);
        }
        Ok(alerts)
    }
}

/// Changes alerts as an event says, and appends it to their histories, in the open transaction.
fn change(connection: &Connection, mut alerts: Vec<Alert>, event: &AlertEvent) -> Result<()> {
    for alert in &mut alerts {
        alert.apply(event);
    }
    alert_rows::update(connection, &alerts.iter().collect::<Vec<_>>())?;
    let events = alerts.into_iter().map(|alert| (alert.id, event.clone()));
    alert_events::insert(connection, &events.collect::<Vec<_>>())
}

/// Stores alerts in the open transaction, and returns how many are new.
pub(crate) fn insert(connection: &Connection, alerts: &[Alert]) -> Result<u64> {
    alerts.iter().try_for_each(Alert::validate)?;
    if alerts.is_empty() {
        return Ok(0);
    }
    let mut seen = HashSet::new();
    let distinct: Vec<&Alert> = alerts
        .iter()
        .filter(|alert| seen.insert(alert.id.as_str()))
        .collect();
    let inserted = match distinct.len() {
        ..=FEW => insert_one_by_one(connection, &distinct),
        _ => insert_staged(connection, &distinct)?,
    };
    let inserted = inserted.map_err(|error| error::engine("store alerts", error))?;
    Ok(inserted as u64)
}

/// Limits the alerts for which a prepared statement each is faster than to plan one statement for all.
const FEW: usize = 8;

fn insert_one_by_one(connection: &Connection, alerts: &[&Alert]) -> ::duckdb::Result<usize> {
    // To look first takes a third of the time of ON CONFLICT.
    let mut known = connection.prepare("SELECT 1 FROM alerts WHERE id = ?")?;
    let mut inserted = 0;
    for alert in alerts {
        if !known.exists([&alert.id])? {
            inserted += insert_new(connection, alert)?;
        }
    }
    Ok(inserted)
}

/// Inserts an alert. Fails if there is one with its id.
fn insert_new(connection: &Connection, alert: &Alert) -> ::duckdb::Result<usize> {
    let alert = settled(alert);
    let values = alert_rows::values(&alert);
    let places = vec!["?"; values.len()].join(", ");
    let sql = format!("INSERT INTO alerts ({COLUMNS}) VALUES ({places})");
    // This plan may be kept for the next alert, as it does not depend on data.
    connection.prepare_cached(&sql)?.execute(params_from_iter(values))
}

/// Returns an alert whose status and flag say the same.
fn settled(alert: &Alert) -> Alert {
    let mut alert = alert.clone();
    alert.settle_status();
    alert
}

fn insert_staged(connection: &Connection, alerts: &[&Alert]) -> Result<::duckdb::Result<usize>> {
    let alerts: Vec<Alert> = alerts.iter().map(|alert| settled(alert)).collect();
    let staged = alert_rows::stage("store alerts", &alerts.iter().collect::<Vec<_>>())?;
    let sql = format!(
        "INSERT INTO alerts ({COLUMNS}) SELECT {COLUMNS} FROM {} WHERE id NOT IN (SELECT id FROM alerts)",
        staged.sql()
    );
    Ok(connection.execute(&sql, []))
}

/// Stores alerts that are known to be new in the open transaction.
///
/// To look whether they are there would read the ids of all alerts.
pub(super) fn insert_raised(connection: &Connection, alerts: &[Alert]) -> Result<()> {
    const ACTION: &str = "store alerts";
    if alerts.is_empty() {
        return Ok(());
    }
    let staged = alert_rows::stage(ACTION, &alerts.iter().collect::<Vec<_>>())?;
    staged.insert_into(connection, ACTION, "alerts", COLUMNS)
}

/// Adds the conditions of a query.
fn restrict(sql: &mut Sql, query: &AlertQuery) {
    sql.and_equals(
        "severity",
        query.severity.map(|severity| severity.as_str().to_owned()),
    );
    if let Some(least) = query.min_severity {
        let severities = Severity::ALL.into_iter().filter(|severity| *severity >= least);
        and_one_of(sql, "severity", severities.map(Severity::as_str));
    }
    sql.and_equals("alert_type", query.alert_type.clone());
    sql.and("created_at", ">=", query.since.map(time_value));
    sql.and("created_at", "<", query.until.map(time_value));
    sql.and_equals("source_ip", query.source_ip.clone());
    sql.and_equals("dest_ip", query.dest_ip.clone());
    sql.and_equals("\"user\"", query.user.clone());
    sql.and_equals("lower(host)", query.host.as_ref().map(|host| host.to_lowercase()));
    sql.and_equals("acknowledged", query.acknowledged);
    if !query.statuses.is_empty() {
        and_one_of(sql, STATUS, query.statuses.iter().map(|status| status.as_str()));
    }
    sql.and_equals("rule_id", query.rule_id.clone());
    sql.and_equals("assignee", query.assignee.clone());
    if let Some(tag) = &query.tag {
        sql.push("\nAND list_contains(from_json(tags, '[\"VARCHAR\"]'), ");
        sql.bind(tag.clone());
        sql.push(")");
    }
    if let Some(prefix) = &query.id_prefix {
        sql.push("\nAND starts_with(id, ");
        sql.bind(prefix.clone());
        sql.push(")");
    }
}

fn and_one_of(sql: &mut Sql, subject: &str, values: impl Iterator<Item = &'static str>) {
    sql.push(&format!("\nAND {subject} IN ("));
    sql.bind_all(values.map(str::to_owned));
    sql.push(")");
}
