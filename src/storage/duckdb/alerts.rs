//! Alerts.

use ::duckdb::{Connection, Row, params_from_iter};
use serde::Serialize;
use serde_json::{Map, Value};

use super::predicate::{Sql, time_value};
use super::{DuckDbStore, error, rows};
use crate::models::{Alert, AlertQuery, Severity, to_micros};
use crate::storage::{AlertStore, Error, Result};

/// An alert as [`INSERT`] reads it: times in microseconds, the metadata as JSON.
#[derive(Serialize)]
struct Record<'a> {
    id: &'a str,
    log_id: Option<&'a str>,
    alert_type: &'a str,
    detection_method: &'a str,
    severity: Severity,
    description: &'a str,
    metadata: Option<&'a Map<String, Value>>,
    created_at: i64,
    acknowledged: bool,
    priority_score: f64,
    source_ip: Option<&'a str>,
    dest_ip: Option<&'a str>,
    user: Option<&'a str>,
    host: Option<&'a str>,
}

const INSERT: &str = r#"
INSERT INTO alerts (id, log_id, alert_type, detection_method, severity, description, metadata, created_at,
    acknowledged, priority_score, source_ip, dest_ip, "user", host)
SELECT a.id, a.log_id, a.alert_type, a.detection_method, a.severity, a.description, a.metadata,
    make_timestamp(a.created_at), a.acknowledged, a.priority_score, a.source_ip, a.dest_ip, a."user", a.host
FROM (
    SELECT unnest(from_json(?, '[{"id": "VARCHAR", "log_id": "VARCHAR", "alert_type": "VARCHAR",
        "detection_method": "VARCHAR", "severity": "VARCHAR", "description": "VARCHAR", "metadata": "JSON",
        "created_at": "BIGINT", "acknowledged": "BOOLEAN", "priority_score": "DOUBLE", "source_ip": "VARCHAR",
        "dest_ip": "VARCHAR", "user": "VARCHAR", "host": "VARCHAR"}]')) AS a
)
ON CONFLICT DO NOTHING"#;

const SELECT: &str = r#"
SELECT id, log_id, alert_type, detection_method, severity, description, CAST(metadata AS VARCHAR),
    epoch_us(created_at), acknowledged, priority_score, source_ip, dest_ip, "user", host
FROM alerts
WHERE true"#;

impl AlertStore for DuckDbStore {
    fn store_alerts(&self, alerts: &[Alert]) -> Result<u64> {
        self.write("store alerts", |connection| insert(connection, alerts))
    }

    fn fetch_alerts(&self, query: &AlertQuery) -> Result<Vec<Alert>> {
        let sql = select(query);
        self.read(|connection| {
            let failed = |error| error::engine("fetch alerts", error);
            let mut statement = connection.prepare_cached(&sql.text).map_err(failed)?;
            let mut rows = statement.query(params_from_iter(&sql.values)).map_err(failed)?;
            let mut alerts = Vec::new();
            while let Some(row) = rows.next().map_err(failed)? {
                alerts.push(alert(row)?);
            }
            Ok(alerts)
        })
    }

    fn acknowledge_alerts(&self, ids: &[&str]) -> Result<()> {
        self.write("acknowledge alerts", |connection| {
            let failed = |error| error::engine("acknowledge alerts", error);
            let sql = "UPDATE alerts SET acknowledged = true WHERE id = ?";
            let mut statement = connection.prepare_cached(sql).map_err(failed)?;
            let mut done = std::collections::HashSet::new();
            for id in ids.iter().filter(|id| done.insert(**id)) {
                if statement.execute([id]).map_err(failed)? == 0 {
                    return Err(Error::NotFound {
                        what: "alert",
                        name: (*id).to_owned(),
                    });
                }
            }
            Ok(())
        })
    }
}

/// Stores alerts in the transaction that is open, and says how many are new.
pub(super) fn insert(connection: &Connection, alerts: &[Alert]) -> Result<u64> {
    alerts.iter().try_for_each(Alert::validate)?;
    if alerts.is_empty() {
        return Ok(0);
    }
    let mut seen = std::collections::HashSet::new();
    let distinct = alerts.iter().filter(|alert| seen.insert(alert.id.as_str()));
    let records: Vec<Record<'_>> = distinct.map(record).collect();
    let json = serde_json::to_string(&records).map_err(|error| Error::Backend {
        action: "store alerts",
        source: error.into(),
    })?;
    let inserted = connection
        .prepare_cached(INSERT)
        .and_then(|mut statement| statement.execute([json]));
    let inserted = inserted.map_err(|error| error::engine("store alerts", error))?;
    Ok(inserted as u64)
}

fn record(alert: &Alert) -> Record<'_> {
    Record {
        id: &alert.id,
        log_id: alert.log_id.as_deref(),
        alert_type: &alert.alert_type,
        detection_method: &alert.detection_method,
        severity: alert.severity,
        description: &alert.description,
        metadata: (!alert.metadata.is_empty()).then_some(&alert.metadata),
        created_at: to_micros(alert.created_at).timestamp_micros(),
        acknowledged: alert.acknowledged,
        priority_score: alert.priority_score,
        source_ip: alert.source_ip.as_deref(),
        dest_ip: alert.dest_ip.as_deref(),
        user: alert.user.as_deref(),
        host: alert.host.as_deref(),
    }
}

fn select(query: &AlertQuery) -> Sql {
    let mut sql = Sql::new(SELECT);
    sql.and_equals(
        "severity",
        query.severity.map(|severity| severity.as_str().to_owned()),
    );
    if let Some(least) = query.at_least {
        sql.push("\nAND severity IN (");
        for (index, severity) in Severity::ALL
            .into_iter()
            .filter(|severity| *severity >= least)
            .enumerate()
        {
            sql.push(if index == 0 { "" } else { ", " });
            sql.bind(severity.as_str().to_owned());
        }
        sql.push(")");
    }
    sql.and_equals("alert_type", query.alert_type.clone());
    sql.and("created_at", ">=", query.since.map(time_value));
    sql.and("created_at", "<", query.until.map(time_value));
    sql.and_equals("source_ip", query.source_ip.clone());
    sql.and_equals("dest_ip", query.dest_ip.clone());
    sql.and_equals("\"user\"", query.user.clone());
    sql.and_equals("host", query.host.clone());
    sql.and_equals("acknowledged", query.acknowledged);
    sql.push("\nORDER BY created_at DESC, id");
    sql.limit(query.limit);
    sql
}

fn alert(row: &Row<'_>) -> Result<Alert> {
    let failed = |error| error::engine("fetch alerts", error);
    let text = |index: usize| row.get::<_, Option<String>>(index).map_err(failed);
    let id = text(0)?.unwrap_or_default();
    let severity = text(4)?.unwrap_or_default();
    let severity = severity
        .parse()
        .map_err(|error| error::corrupt(format!("alert {id:?}: {error}")))?;
    let mut alert = Alert::new(
        text(2)?.unwrap_or_default(),
        text(3)?.unwrap_or_default(),
        severity,
    );
    alert.id = id;
    alert.log_id = text(1)?;
    alert.description = text(5)?.unwrap_or_default();
    alert.metadata = rows::json_object(text(6)?.as_deref(), "an alert's metadata")?;
    alert.created_at = rows::time(row.get(7).map_err(failed)?)?;
    alert.acknowledged = row.get(8).map_err(failed)?;
    alert.priority_score = row.get(9).map_err(failed)?;
    alert.source_ip = text(10)?;
    alert.dest_ip = text(11)?;
    alert.user = text(12)?;
    alert.host = text(13)?;
    Ok(alert)
}
