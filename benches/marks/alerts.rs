//! How long does it take to store alerts, many at once and one by one?

use duckdb::types::{TimeUnit, Value};
use duckdb::{Connection, appender_params_from_iter, params_from_iter};
use logstore::{Alert, AlertStore as _, Severity, StoreExt as _};

use crate::Scale;
use crate::report::{Report, timed, timed_each};
use crate::stores::exclusive;

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    let many = scale.rows / 20;
    let store = exclusive(&scale.new_file("alerts.duckdb"));
    let other = scale.new_file("alerts-engine.duckdb");
    drop(exclusive(&other));
    let engine = Connection::open(other).expect("an engine");
    let make = |count: usize| -> Vec<Alert> { (0..count).map(alert).collect() };
    report.compare(
        &format!("store {many} alerts"),
        "appender into the same table",
        1.5,
        || {
            let alerts = make(many);
            timed(|| store.store_alerts(&alerts).expect("alerts are stored"))
        },
        || {
            let alerts = make(many);
            timed(|| {
                engine.execute_batch("BEGIN").expect("a transaction");
                let mut appender = engine.appender("alerts").expect("an appender");
                for alert in &alerts {
                    appender
                        .append_row(appender_params_from_iter(row(alert)))
                        .expect("a row");
                }
                appender.flush().expect("rows are written");
                drop(appender);
                engine.execute_batch("COMMIT").expect("a commit");
                alerts.len() as u64
            })
        },
    );
    report.compare(
        "store one alert",
        "INSERT and commit",
        1.2,
        || timed_each(50, || store.store_alert(&alert(0)).is_ok()),
        || timed_each(50, || insert(&engine, &alert(0))),
    );
}

fn alert(number: usize) -> Alert {
    let mut alert = Alert::new("brute_force", "bench", Severity::High);
    alert.description = format!("{number} failed logins");
    alert.source_ip = Some(format!("10.0.{}.{}", number % 250, number % 199));
    alert
}

fn row(alert: &Alert) -> [Value; 31] {
    let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
    [
        Value::Text(alert.id.clone()),
        text(&alert.log_id),
        Value::Text(alert.alert_type.clone()),
        Value::Text(alert.detection_method.clone()),
        Value::Text(alert.severity.as_str().to_owned()),
        Value::Text(alert.description.clone()),
        Value::Null,
        Value::Timestamp(TimeUnit::Microsecond, alert.created_at.timestamp_micros()),
        Value::Boolean(alert.acknowledged),
        Value::Double(alert.priority_score),
        text(&alert.source_ip),
        text(&alert.dest_ip),
        text(&alert.user),
        text(&alert.host),
        text(&alert.process),
        text(&alert.rule_id),
        Value::Null,
        Value::Text(alert.status.as_str().to_owned()),
        Value::Null,
        text(&alert.assignee),
        Value::BigInt(1),
        Value::Null,
        Value::Null,
        Value::Timestamp(TimeUnit::Microsecond, alert.updated_at.timestamp_micros()),
        text(&alert.fingerprint),
        Value::Null,
        Value::Null,
        Value::BigInt(1),
        text(&alert.previous_id),
        Value::Boolean(alert.found_later),
        Value::Boolean(alert.is_settled),
    ]
}

fn insert(engine: &Connection, alert: &Alert) -> bool {
    let row = row(alert);
    let sql = format!("INSERT INTO alerts VALUES ({})", vec!["?"; row.len()].join(", "));
    let mut statement = engine.prepare_cached(&sql).expect("SQL");
    statement.execute(params_from_iter(row)).is_ok()
}
