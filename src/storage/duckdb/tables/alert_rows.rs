//! Alerts as rows, and back.

use std::sync::Arc;

use ::duckdb::arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use ::duckdb::types::{FromSql, Value};
use ::duckdb::{Connection, Row};
use chrono::{DateTime, Utc};

use crate::models::{Alert, InvalidValue, Verdict, to_micros};
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::staged::{StagedRows, texts, times};
use crate::storage::duckdb::sql::statement::{self, time_value};

/// Lists the columns that are written, from parameters or from staged rows.
pub(super) const COLUMNS: &str = r#"id, log_id, alert_type, detection_method, severity, description, metadata, created_at,
    acknowledged, priority_score, source_ip, dest_ip, "user", host, process, rule_id, tags, status, verdict, assignee,
    count, first_seen, last_seen, updated_at, fingerprint, window_start, window_end, generation, previous_id, found_later,
    is_settled"#;

/// Lists the columns that are read.
pub(super) const READ: &str = r#"id, log_id, alert_type, detection_method, severity, description,
    CAST(metadata AS VARCHAR), epoch_us(created_at), acknowledged, priority_score, source_ip, dest_ip, "user", host,
    process, rule_id, CAST(tags AS VARCHAR), status, verdict, assignee, count, epoch_us(first_seen), epoch_us(last_seen),
    epoch_us(coalesce(updated_at, created_at)), fingerprint, epoch_us(window_start), epoch_us(window_end), generation,
    previous_id, found_later, is_settled"#;

/// Writes the columns that change in the life of an alert.
const UPDATE: &str = r#"
UPDATE alerts SET log_id = new.log_id, alert_type = new.alert_type, detection_method = new.detection_method,
    severity = new.severity, description = new.description, acknowledged = new.acknowledged,
    priority_score = new.priority_score, source_ip = new.source_ip, dest_ip = new.dest_ip, "user" = new."user",
    host = new.host, process = new.process, tags = new.tags, status = new.status, verdict = new.verdict,
    assignee = new.assignee, count = new.count, first_seen = new.first_seen, last_seen = new.last_seen,
    updated_at = new.updated_at, found_later = new.found_later
FROM "#;

/// Returns the values of an alert, in the order of [`COLUMNS`].
pub(super) fn values(alert: &Alert) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let optional = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
    let time = |time: Option<DateTime<Utc>>| time.map_or(Value::Null, |time| time_value(to_micros(time)));
    vec![
        text(&alert.id),
        optional(&alert.log_id),
        text(&alert.alert_type),
        text(&alert.detection_method),
        text(alert.severity.as_str()),
        text(&alert.description),
        optional(&statement::json_text(&alert.metadata)),
        time(Some(alert.created_at)),
        Value::Boolean(alert.acknowledged),
        Value::Double(alert.priority_score),
        optional(&alert.source_ip),
        optional(&alert.dest_ip),
        optional(&alert.user),
        optional(&alert.host),
        optional(&alert.process),
        optional(&alert.rule_id),
        optional(&tags_text(alert)),
        text(alert.status.as_str()),
        optional(&alert.verdict.map(|verdict| verdict.as_str().to_owned())),
        optional(&alert.assignee),
        Value::BigInt(signed(alert.count)),
        time(alert.first_seen),
        time(alert.last_seen),
        time(Some(alert.updated_at)),
        optional(&alert.fingerprint),
        time(alert.window_start),
        time(alert.window_end),
        Value::BigInt(alert.generation.into()),
        optional(&alert.previous_id),
        Value::Boolean(alert.found_later),
        Value::Boolean(alert.is_settled),
    ]
}

fn tags_text(alert: &Alert) -> Option<String> {
    (!alert.tags.is_empty()).then(|| statement::json_array(&alert.tags))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Stages alerts, with the names of [`COLUMNS`]. There is at least one.
pub(super) fn stage(action: &'static str, alerts: &[&Alert]) -> Result<StagedRows> {
    StagedRows::of(action, alerts, |alerts| {
        let text = |text: fn(&Alert) -> Option<&str>| texts(alerts.iter().map(|alert| text(alert)));
        let time = |time: fn(&Alert) -> Option<DateTime<Utc>>| times(alerts.iter().map(|alert| time(alert)));
        let flag = |flag: fn(&Alert) -> bool| -> ArrayRef {
            Arc::new(
                alerts
                    .iter()
                    .map(|alert| Some(flag(alert)))
                    .collect::<BooleanArray>(),
            )
        };
        let number = |number: fn(&Alert) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(
                alerts.iter().map(|alert| number(alert)),
            ))
        };
        let json = |json: fn(&Alert) -> Option<String>| -> ArrayRef {
            Arc::new(alerts.iter().map(|alert| json(alert)).collect::<StringArray>())
        };
        let scores = Float64Array::from_iter_values(alerts.iter().map(|alert| alert.priority_score));
        vec![
            ("id", text(|alert| Some(&alert.id))),
            ("log_id", text(|alert| alert.log_id.as_deref())),
            ("alert_type", text(|alert| Some(&alert.alert_type))),
            ("detection_method", text(|alert| Some(&alert.detection_method))),
            ("severity", text(|alert| Some(alert.severity.as_str()))),
            ("description", text(|alert| Some(&alert.description))),
            ("metadata", json(|alert| statement::json_text(&alert.metadata))),
            ("created_at", time(|alert| Some(alert.created_at))),
            ("acknowledged", flag(|alert| alert.acknowledged)),
            ("priority_score", Arc::new(scores)),
            ("source_ip", text(|alert| alert.source_ip.as_deref())),
            ("dest_ip", text(|alert| alert.dest_ip.as_deref())),
            ("user", text(|alert| alert.user.as_deref())),
            ("host", text(|alert| alert.host.as_deref())),
            ("process", text(|alert| alert.process.as_deref())),
            ("rule_id", text(|alert| alert.rule_id.as_deref())),
            ("tags", json(tags_text)),
            ("status", text(|alert| Some(alert.status.as_str()))),
            ("verdict", text(|alert| alert.verdict.map(Verdict::as_str))),
            ("assignee", text(|alert| alert.assignee.as_deref())),
            ("count", number(|alert| signed(alert.count))),
            ("first_seen", time(|alert| alert.first_seen)),
            ("last_seen", time(|alert| alert.last_seen)),
            ("updated_at", time(|alert| Some(alert.updated_at))),
            ("fingerprint", text(|alert| alert.fingerprint.as_deref())),
            ("window_start", time(|alert| alert.window_start)),
            ("window_end", time(|alert| alert.window_end)),
            ("generation", number(|alert| alert.generation.into())),
            ("previous_id", text(|alert| alert.previous_id.as_deref())),
            ("found_later", flag(|alert| alert.found_later)),
            ("is_settled", flag(|alert| alert.is_settled)),
        ]
    })
}

/// Writes what has changed of stored alerts in the open transaction.
pub(super) fn update(connection: &Connection, alerts: &[&Alert]) -> Result<()> {
    const ACTION: &str = "change alerts";
    if alerts.is_empty() {
        return Ok(());
    }
    let staged = stage(ACTION, alerts)?;
    let sql = format!("{UPDATE}{} AS new\nWHERE alerts.id = new.id", staged.sql());
    let updated = connection.execute(&sql, []);
    updated.map_err(|error| error::engine(ACTION, error)).map(drop)
}

/// Reads the columns of a row one after another.
struct Reader<'a> {
    row: &'a Row<'a>,
    index: usize,
}

impl Reader<'_> {
    fn next<T: FromSql>(&mut self) -> Result<T> {
        let value = self.row.get(self.index);
        self.index += 1;
        value.map_err(|error| error::engine("fetch alerts", error))
    }

    fn text(&mut self) -> Result<String> {
        Ok(self.next::<Option<String>>()?.unwrap_or_default())
    }

    fn time(&mut self) -> Result<Option<DateTime<Utc>>> {
        self.next::<Option<i64>>()?.map(statement::time).transpose()
    }
}

/// Reads an alert from a row with the columns of [`READ`].
pub(super) fn alert(row: &Row<'_>) -> Result<Alert> {
    let mut reader = Reader { row, index: 0 };
    let id = reader.text()?;
    let wrong = |error: InvalidValue| error::corrupt(format!("alert {id:?}: {error}"));
    let log_id = reader.next()?;
    let (alert_type, detection_method) = (reader.text()?, reader.text()?);
    let severity = reader.text()?.parse().map_err(&wrong)?;
    let mut alert = Alert::new(alert_type, detection_method, severity).with_id(&id);
    alert.log_id = log_id;
    alert.description = reader.text()?;
    let metadata: Option<String> = reader.next()?;
    alert.metadata = statement::json_object(metadata.as_deref(), "an alert's metadata")?;
    alert.created_at = statement::time(reader.next()?)?;
    alert.acknowledged = reader.next()?;
    alert.priority_score = reader.next()?;
    alert.source_ip = reader.next()?;
    alert.dest_ip = reader.next()?;
    alert.user = reader.next()?;
    alert.host = reader.next()?;
    alert.process = reader.next()?;
    alert.rule_id = reader.next()?;
    alert.tags = tags(&id, reader.next()?)?;
    let status: Option<String> = reader.next()?;
    alert.status = status.map_or(Ok(alert.status), |status| status.parse().map_err(&wrong))?;
    let verdict: Option<String> = reader.next()?;
    alert.verdict = verdict
        .map(|verdict| verdict.parse().map_err(&wrong))
        .transpose()?;
    alert.assignee = reader.next()?;
    alert.count = reader.next::<Option<u64>>()?.unwrap_or(1);
    (alert.first_seen, alert.last_seen) = (reader.time()?, reader.time()?);
    alert.updated_at = reader.time()?.unwrap_or(alert.created_at);
    alert.fingerprint = reader.next()?;
    (alert.window_start, alert.window_end) = (reader.time()?, reader.time()?);
    alert.generation = reader.next::<Option<u32>>()?.unwrap_or(1);
    alert.previous_id = reader.next()?;
    alert.found_later = reader.next::<Option<bool>>()?.unwrap_or_default();
    alert.is_settled = reader.next::<Option<bool>>()?.unwrap_or_default();
    alert.settle_status();
    Ok(alert)
}

fn tags(id: &str, text: Option<String>) -> Result<Vec<String>> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let read = serde_json::from_str(&text);
    read.map_err(|error| error::corrupt(format!("alert {id:?}: its tags are no list of texts: {error}")))
}
