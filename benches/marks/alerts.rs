//! How long does it take to store alerts, many at once and one by one?

use duckdb::types::{TimeUnit, Value};
use duckdb::{Connection, params};
use logstore::{Alert, AlertStore as _, Severity, StoreExt as _};

use crate::Scale;
use crate::report::{Report, timed, timed_each};
use crate::stores::exclusive;

const TABLE: &str = r#"CREATE TABLE alerts (id VARCHAR PRIMARY KEY, log_id VARCHAR, alert_type VARCHAR NOT NULL,
    detection_method VARCHAR NOT NULL, severity VARCHAR NOT NULL, description VARCHAR, metadata JSON,
    created_at TIMESTAMP NOT NULL, acknowledged BOOLEAN NOT NULL, priority_score DOUBLE NOT NULL, source_ip VARCHAR,
    dest_ip VARCHAR, "user" VARCHAR, host VARCHAR)"#;

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    let many = scale.rows / 20;
    let store = exclusive(&scale.new_file("alerts.duckdb"));
    let engine = Connection::open(scale.new_file("alerts-engine.duckdb")).expect("an engine");
    engine.execute_batch(TABLE).expect("a table");
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
                    append(&mut appender, alert);
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

fn append(appender: &mut duckdb::Appender<'_>, alert: &Alert) {
    let row = params![
        alert.id,
        alert.log_id,
        alert.alert_type,
        alert.detection_method,
        alert.severity.as_str(),
        alert.description,
        Option::<String>::None,
        Value::Timestamp(TimeUnit::Microsecond, alert.created_at.timestamp_micros()),
        alert.acknowledged,
        alert.priority_score,
        alert.source_ip,
        alert.dest_ip,
        alert.user,
        alert.host
    ];
    appender.append_row(row).expect("a row");
}

fn insert(engine: &Connection, alert: &Alert) -> bool {
    let sql = "INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let row = params![
        alert.id,
        alert.log_id,
        alert.alert_type,
        alert.detection_method,
        alert.severity.as_str(),
        alert.description,
        Option::<String>::None,
        Value::Timestamp(TimeUnit::Microsecond, alert.created_at.timestamp_micros()),
        alert.acknowledged,
        alert.priority_score,
        alert.source_ip,
        alert.dest_ip,
        alert.user,
        alert.host
    ];
    engine.prepare_cached(sql).expect("SQL").execute(row).is_ok()
}
