//! Alerts.

use std::sync::Arc;

use ::duckdb::arrow::array::{
    Array as _, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use ::duckdb::arrow::datatypes::{Field, Schema};
use ::duckdb::arrow::error::ArrowError;
use ::duckdb::{Connection, Row, params};

use crate::models::{Alert, AlertQuery, Severity, to_micros};
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::staged::{self, CHUNK_ROWS, StagedRows};
use crate::storage::duckdb::sql::statement::{self, Sql, time_value};
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::{AlertStore, Error, Result};

/// Lists the columns that are written, from parameters or from staged rows.
const COLUMNS: &str = r#"id, log_id, alert_type, detection_method, severity, description, metadata, created_at,
    acknowledged, priority_score, source_ip, dest_ip, "user", host"#;

const SELECT: &str = r#"
SELECT id, log_id, alert_type, detection_method, severity, description, CAST(metadata AS VARCHAR),
    epoch_us(created_at), acknowledged, priority_score, source_ip, dest_ip, "user", host
FROM alerts
WHERE true"#;

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
        let mut sql = Sql::new(SELECT);
        sql.and_equals("id", Some(id.to_owned()));
        Ok(self.alerts(&sql)?.into_iter().next())
    }

    fn fetch_alerts(&self, query: &AlertQuery) -> Result<Vec<Alert>> {
        self.alerts(&select(query))
    }

    fn acknowledge_alerts(&self, ids: &[&str]) -> Result<()> {
        self.write("acknowledge alerts", |connection| {
            let failed = |error| error::engine("acknowledge alerts", error);
            let sql = "UPDATE alerts SET acknowledged = true WHERE id = ?";
            let mut statement = connection.prepare(sql).map_err(failed)?;
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

impl DuckDbStore {
    fn alerts(&self, sql: &Sql) -> Result<Vec<Alert>> {
        self.read(|connection| statement::fetch_all(connection, sql, "fetch alerts", alert))
    }
}

/// Stores alerts in the open transaction, and returns how many are new.
pub(crate) fn insert(connection: &Connection, alerts: &[Alert]) -> Result<u64> {
    alerts.iter().try_for_each(Alert::validate)?;
    if alerts.is_empty() {
        return Ok(0);
    }
    let mut seen = std::collections::HashSet::new();
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
    let sql = format!("INSERT INTO alerts ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    // This plan may be kept for the next alert, as it does not depend on data.
    connection.prepare_cached(&sql)?.execute(params![
        alert.id,
        alert.log_id,
        alert.alert_type,
        alert.detection_method,
        alert.severity.as_str(),
        alert.description,
        statement::json_text(&alert.metadata),
        time_value(to_micros(alert.created_at)),
        alert.acknowledged,
        alert.priority_score,
        alert.source_ip,
        alert.dest_ip,
        alert.user,
        alert.host,
    ])
}

fn insert_staged(connection: &Connection, alerts: &[&Alert]) -> Result<::duckdb::Result<usize>> {
    let chunks = alerts.chunks(CHUNK_ROWS).map(chunk);
    let chunks = chunks
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| Error::Backend {
            action: "store alerts",
            source: error.into(),
        })?;
    let staged = StagedRows::new(chunks);
    let sql = format!(
        "INSERT INTO alerts ({COLUMNS}) SELECT {COLUMNS} FROM {} WHERE id NOT IN (SELECT id FROM alerts)",
        staged.sql()
    );
    Ok(connection.execute(&sql, []))
}

fn chunk(alerts: &[&Alert]) -> std::result::Result<RecordBatch, ArrowError> {
    let texts = |text: fn(&Alert) -> Option<&str>| -> ArrayRef {
        Arc::new(alerts.iter().map(|alert| text(alert)).collect::<StringArray>())
    };
    let metadata: StringArray = alerts
        .iter()
        .map(|alert| statement::json_text(&alert.metadata))
        .collect();
    let created = alerts
        .iter()
        .map(|alert| to_micros(alert.created_at).timestamp_micros());
    let acknowledged: BooleanArray = alerts.iter().map(|alert| Some(alert.acknowledged)).collect();
    let scores = alerts.iter().map(|alert| alert.priority_score);
    let columns: [(&str, ArrayRef); 14] = [
        ("id", texts(|alert| Some(&alert.id))),
        ("log_id", texts(|alert| alert.log_id.as_deref())),
        ("alert_type", texts(|alert| Some(&alert.alert_type))),
        ("detection_method", texts(|alert| Some(&alert.detection_method))),
        ("severity", texts(|alert| Some(alert.severity.as_str()))),
        ("description", texts(|alert| Some(&alert.description))),
        ("metadata", Arc::new(metadata)),
        (
            "created_at",
            Arc::new(TimestampMicrosecondArray::from_iter_values(created)),
        ),
        ("acknowledged", Arc::new(acknowledged)),
        ("priority_score", Arc::new(Float64Array::from_iter_values(scores))),
        ("source_ip", texts(|alert| alert.source_ip.as_deref())),
        ("dest_ip", texts(|alert| alert.dest_ip.as_deref())),
        ("user", texts(|alert| alert.user.as_deref())),
        ("host", texts(|alert| alert.host.as_deref())),
    ];
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns
        .into_iter()
        .map(|(name, column)| {
            let field = Field::new(name, column.data_type().clone(), true);
            let is_json = name == "metadata";
            (if is_json { staged::as_json(field) } else { field }, column)
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn select(query: &AlertQuery) -> Sql {
    let mut sql = Sql::new(SELECT);
    sql.and_equals(
        "severity",
        query.severity.map(|severity| severity.as_str().to_owned()),
    );
    if let Some(least) = query.min_severity {
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
    alert.metadata = statement::json_object(text(6)?.as_deref(), "an alert's metadata")?;
    alert.created_at = statement::time(row.get(7).map_err(failed)?)?;
    alert.acknowledged = row.get(8).map_err(failed)?;
    alert.priority_score = row.get(9).map_err(failed)?;
    alert.source_ip = text(10)?;
    alert.dest_ip = text(11)?;
    alert.user = text(12)?;
    alert.host = text(13)?;
    Ok(alert)
}
