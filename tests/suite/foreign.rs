//! Tables with the well-known columns that another program made.

use std::path::Path;

use chrono::{DateTime, Utc};
use duckdb::Connection;
use logstore::{
    AlertQuery, AlertStore as _, Cursor, DuckDbStore, Error, IntelQuery, IntelStore as _, LogEntry, LogQuery,
    LogStore as _, Order, RuleQuery, RuleStore as _, Severity, StoreExt as _,
};
use serde_json::json;

use crate::support::{Cli, log, messages};

const TABLES: &str = r#"
CREATE TABLE logs (id VARCHAR PRIMARY KEY, timestamp VARCHAR, raw VARCHAR, appname VARCHAR, file VARCHAR, host VARCHAR,
    hostname VARCHAR, message VARCHAR, procid INTEGER, source_type VARCHAR, normalized JSON, metadata JSON,
    ingestion_time TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE alerts (id VARCHAR PRIMARY KEY, log_id VARCHAR, alert_type VARCHAR, detection_method VARCHAR, severity VARCHAR,
    description VARCHAR, metadata JSON, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, acknowledged BOOLEAN DEFAULT FALSE,
    priority_score DOUBLE, source_ip VARCHAR, dest_ip VARCHAR, "user" VARCHAR, host VARCHAR);
CREATE TABLE threat_intel (id VARCHAR PRIMARY KEY, indicator_type VARCHAR, indicator_value VARCHAR, threat_type VARCHAR,
    confidence DOUBLE, source VARCHAR, metadata JSON, created_at TIMESTAMP, expires_at TIMESTAMP);
CREATE TABLE detection_rules (id VARCHAR PRIMARY KEY, rule_name VARCHAR, rule_type VARCHAR, rule_definition JSON,
    enabled BOOLEAN DEFAULT TRUE, created_at TIMESTAMP, updated_at TIMESTAMP);
CREATE INDEX idx_logs_timestamp ON logs(timestamp);
CREATE INDEX idx_logs_host ON logs(host);
CREATE INDEX idx_alerts_created ON alerts(created_at);
"#;

const ROWS: &str = r#"
INSERT INTO logs VALUES
    ('c', '2024-01-01T12:00:02+02:00', 'raw c', 'sshd', '/var/log/auth.log', 'web1', 'web1', 'offset', 42, 'syslog',
        '{"src_ip": "10.0.0.1", "user": "root", "n": {"k": 1.50}}', '{"m": true}', '2024-01-02 00:00:00.5'),
    ('b', 'Jan  1 11:00:00', NULL, NULL, NULL, NULL, NULL, 'no year', NULL, NULL, NULL, NULL, '2024-01-02 00:00:00'),
    ('a', 'yesterday', NULL, NULL, NULL, NULL, NULL, 'no time', NULL, NULL, '[1]', 'null', '2024-01-03 00:00:00');
INSERT INTO alerts VALUES
    ('1', 'c', 'brute_force', 'heuristic', 'high', 'd', '{"confidence": 0.5}', '2024-01-01 00:00:00', TRUE, 60.0, '10.0.0.1',
        NULL, 'root', 'web1'),
    ('2', NULL, 'odd', NULL, 'low', NULL, NULL, '2024-01-01 00:00:01', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO threat_intel VALUES
    ('1', 'ip', '203.0.113.9', 'scanner', 0.7, 'list', '{"a": 1}', '2024-01-01 00:00:00', '2030-01-01 00:00:00');
INSERT INTO detection_rules VALUES
    ('1', 'Failed', 'threshold', '{"count": 5}', FALSE, '2024-01-01 00:00:00', '2024-01-02 00:00:00');
"#;

pub(crate) fn make(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(TABLES).unwrap();
    connection.execute_batch(ROWS).unwrap();
    connection.close().unwrap();
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn assert_rows(store: &DuckDbStore) {
    let logs = store
        .fetch_logs(&LogQuery::new().order(Order::OldestFirst))
        .unwrap();
    assert_eq!(messages(&logs), ["offset", "no year", "no time"]);
    let times: Vec<_> = logs.iter().map(|log| log.event_time).collect();
    let expected = [
        "2024-01-01T10:00:02Z",
        "2024-01-01T11:00:00Z",
        "2024-01-03T00:00:00Z",
    ];
    assert_eq!(times, expected.map(time));
    let full = &logs[0];
    assert_eq!(
        (
            full.id.as_str(),
            full.procid,
            full.source_ip().as_deref(),
            full.user()
        ),
        ("c", Some(42), Some("10.0.0.1"), Some("root"))
    );
    assert_eq!(
        (&full.normalized["n"]["k"], &full.metadata["m"]),
        (&json!(1.5), &json!(true))
    );
    assert_eq!(full.timestamp.as_deref(), Some("2024-01-01T12:00:02+02:00"));
    assert_eq!(full.ingestion_time, time("2024-01-02T00:00:00.5Z"));
    assert_eq!(
        store
            .count_logs(&LogQuery::new().equals("source_ip", "10.0.0.1").unwrap())
            .unwrap(),
        1
    );

    let alerts = store.fetch_alerts(&AlertQuery::new()).unwrap();
    assert_eq!(
        (alerts[0].id.as_str(), alerts[0].severity, alerts[0].acknowledged),
        ("2", Severity::Low, false)
    );
    assert_eq!(
        (
            alerts[1].priority_score,
            alerts[1].confidence(),
            alerts[1].acknowledged
        ),
        (60.0, 0.5, true)
    );
    let intel = &store.fetch_intel(&IntelQuery::new()).unwrap()[0];
    assert_eq!(
        (intel.indicator.to_string(), intel.expires_at),
        ("203.0.113.9".into(), Some(time("2030-01-01T00:00:00Z")))
    );
    let rule = &store.fetch_rules(&RuleQuery::new()).unwrap()[0];
    assert_eq!((rule.enabled, &rule.rule_definition["count"]), (false, &json!(5)));
}

#[test]
fn are_taken_over_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.duckdb");
    make(&path);
    let store = DuckDbStore::open(&path).unwrap();
    assert_rows(&store);
    // In the order in which the other program stored them, and open for more.
    let page = store.read_after(Cursor::BEGINNING, 10).unwrap();
    assert_eq!(messages(&page.logs), ["offset", "no year", "no time"]);
    store.append_logs(&[log(0, "x", "new")]).unwrap();
    assert_eq!(messages(&store.read_after(page.next, 10).unwrap().logs), ["new"]);
    let again = LogEntry::new(time("2024-01-01T10:00:02Z")).with_id("c");
    assert_eq!(store.append_logs(&[again]).unwrap().duplicates, 1);
    drop(store);
    assert_eq!(DuckDbStore::open(&path).unwrap().stats().unwrap().logs, 4);
}

#[test]
fn are_read_as_they_are_where_nothing_may_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.duckdb");
    make(&path);
    let before = std::fs::read(&path).unwrap();
    let store = DuckDbStore::options().read_only(true).open(&path).unwrap();
    assert_rows(&store);
    assert!(matches!(
        store.append_logs(&[log(0, "x", "new")]),
        Err(Error::ReadOnly { .. })
    ));
    drop(store);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_failure_leaves_them_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.duckdb");
    make(&path);
    let connection = Connection::open(&path).unwrap();
    let odd = "INSERT INTO alerts (id, alert_type, severity, created_at) VALUES ('3', 'x', 'catastrophic', '2024-01-01')";
    connection.execute_batch(odd).unwrap();
    connection
        .execute_batch("ALTER TABLE logs ADD COLUMN strange INTEGER")
        .unwrap();
    connection.close().unwrap();
    let error = DuckDbStore::open(&path).unwrap_err().to_string();
    assert!(error.contains("strange"), "{error}");
    let connection = Connection::open(&path).unwrap();
    let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM logs"), 3);
    assert_eq!(count("SELECT count(*) FROM alerts"), 3);
    assert_eq!(
        count("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'logstore'"),
        0
    );
}

#[test]
fn a_failure_halfway_leaves_them_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.duckdb");
    make(&path);
    let connection = Connection::open(&path).unwrap();
    // The name that the table of logs is given meanwhile.
    let taken = "CREATE TABLE logs_of_another_program (id VARCHAR)";
    connection.execute_batch(taken).unwrap();
    connection.close().unwrap();
    let error = DuckDbStore::open(&path).unwrap_err();
    assert!(matches!(error, Error::Backend { .. }), "{error:?}");
    let connection = Connection::open(&path).unwrap();
    let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM logs"), 3);
    assert_eq!(count("SELECT count(*) FROM alerts"), 2);
    assert_eq!(count("SELECT count(*) FROM duckdb_indexes()"), 3);
}

#[test]
fn tables_that_point_at_one_another_are_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.duckdb");
    let connection = Connection::open(&path).unwrap();
    let tables = "CREATE TABLE logs (id VARCHAR PRIMARY KEY, timestamp VARCHAR, message VARCHAR UNIQUE);
        CREATE TABLE alerts (id VARCHAR PRIMARY KEY, log_id VARCHAR REFERENCES logs(id));
        CREATE UNIQUE INDEX \"odd \"\" name\" ON logs(message);
        CREATE VIEW recent AS SELECT message FROM logs;
        INSERT INTO logs VALUES ('a', '2024-01-01T12:00:02Z', 'hello');
        INSERT INTO alerts VALUES ('1', 'a')";
    connection.execute_batch(tables).unwrap();
    connection.close().unwrap();
    drop(DuckDbStore::open(&path).unwrap());
    let store = DuckDbStore::open(&path).unwrap();
    assert_eq!(messages(&store.fetch_logs(&LogQuery::new()).unwrap()), ["hello"]);
    assert_eq!(
        store.fetch_alerts(&AlertQuery::new()).unwrap()[0]
            .log_id
            .as_deref(),
        Some("a")
    );
    let recent = store.execute_query("SELECT message FROM recent", &[]).unwrap();
    assert_eq!(recent.rows, [[json!("hello")]]);
}

#[test]
fn the_command_line_reads_them() {
    let cli = Cli::new();
    make(&cli.path("logstore.duckdb"));
    assert_eq!(cli.rows(&["fetch", "--read-only"]).len(), 3);
    assert_eq!(cli.rows(&["fetch", "--where", "user=root"])[0]["id"], "c");
    assert_eq!(cli.rows(&["alerts", "list", "--severity", "high"]).len(), 1);
    assert_eq!(cli.rows(&["stats"])[0]["schema_version"], 12);
}
