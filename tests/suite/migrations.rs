//! Stores of every earlier version are brought up to date, with all that is in them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use duckdb::Connection;
use logstore::alerts::HitRange;
use logstore::duckdb::MaintenanceOptions;
use logstore::{
    AlertQuery, AlertStatus, AlertStore as _, ConsumerStore as _, DetectionStore as _, DuckDbStore, Filter,
    IngestStore as _, IntelStore as _, LogQuery, LogStore as _, Order, Severity, StoreExt as _, ThreatIntel,
};

use crate::support::log;

/// The tables of version 1, and one row in each.
const VERSION_1: &str = concat!(
    include_str!("../../src/storage/duckdb/schema/migrations/001_tables.sql"),
    r#"
INSERT INTO logs (seq, event_time, id, message, ingestion_time)
    VALUES (1, '2024-01-01 12:00:00', 'first', 'hello', '2024-01-01 12:00:00');
INSERT INTO alerts (id, alert_type, detection_method, severity, created_at, acknowledged, priority_score)
    VALUES ('1', 'brute_force', 'heuristic', 'high', '2024-01-01 12:00:00', false, 50);
INSERT INTO consumers (name, position) VALUES ('brute-force', 1);
INSERT INTO logstore (schema_version, last_seq) VALUES (1, 1);
"#
);

pub(crate) fn make_version_1(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(VERSION_1).unwrap();
    connection.close().unwrap();
}

fn assert_rows(store: &DuckDbStore) {
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 1);
    assert_eq!(store.fetch_alerts(&AlertQuery::new()).unwrap()[0].id, "1");
    assert_eq!(
        store.position("brute-force").unwrap(),
        Some(store.end_cursor().unwrap())
    );
}

#[test]
fn version_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    make_version_1(&path);
    let read_only = DuckDbStore::options().read_only(true).open(&path).unwrap();
    assert_rows(&read_only);
    drop(read_only);
    let store = DuckDbStore::open(&path).unwrap();
    assert_rows(&store);
    assert_eq!(store.file_positions().unwrap(), []);
    let end = store.end_cursor().unwrap();
    store.append_logs(&[log(0, "a", "x")]).unwrap();
    assert_eq!(store.delete_logs_before(crate::support::at(1)).unwrap(), 2);
    assert_eq!(
        store.commit("brute-force", Some(end), end, &[]).unwrap().missed,
        1
    );
    let version = store.stats().unwrap().schema_version;
    drop(store);
    let again = DuckDbStore::open(&path).unwrap();
    assert_eq!(again.stats().unwrap().schema_version, version);
}

/// Version 4 has layouts, but no view of the texts as they are stored.
const VIEW_OF_VERSION_4: (&str, &str, &str) = (
    "4",
    include_str!("../../src/storage/duckdb/schema/migrations/004_logs_view.sql"),
    "CREATE VIEW log_texts",
);

/// Version 5 has no columns for ports and the process.
const VIEW_OF_VERSION_5: (&str, &str, &str) = (
    "5",
    include_str!("../../src/storage/duckdb/schema/migrations/005_stored_texts.sql"),
    "CREATE OR REPLACE VIEW log_texts",
);

/// Takes back what version 11 has changed, but for the views: logs have layouts again.
const WITHOUT_TEMPLATES: &str = "CREATE TABLE texts AS
        SELECT seq, raw, coalesce(CAST(normalized AS VARCHAR), '') AS normalized, message, \"timestamp\" FROM logs;
    UPDATE log_rows SET message = texts.message, \"timestamp\" = texts.\"timestamp\",
        layout = replace(replace(texts.normalized || chr(10) || texts.raw, '{', '{{'), '}', '}}')
        FROM texts WHERE texts.seq = log_rows.seq AND variables IS NOT NULL;
    DROP TABLE texts; ALTER TABLE log_rows DROP COLUMN template; ALTER TABLE log_rows DROP COLUMN variables;
    ALTER TABLE log_rows DROP COLUMN identifiers; ALTER TABLE log_rows DROP COLUMN normalized_template;
    ALTER TABLE log_rows DROP COLUMN message_template; ALTER TABLE log_rows DROP COLUMN timestamp_template;";

/// Takes back what versions 9 and 10 have changed, but for the views.
const WITHOUT_WORDS_AND_UUIDS: &str = "DROP TABLE log_blocks; DROP TABLE block_words; UPDATE log_rows SET id = coalesce(CAST(uuid AS VARCHAR), id);
    ALTER TABLE log_rows DROP COLUMN uuid; ALTER TABLE log_rows ALTER COLUMN id SET NOT NULL;";

/// The views of versions 6 to 8.
const VIEWS_OF_VERSION_6: &str =
    include_str!("../../src/storage/duckdb/schema/migrations/006_ports_and_process.sql");

/// Makes the logs of a store those of version 8.
fn make_version_8(connection: &Connection) {
    let views = VIEWS_OF_VERSION_6.find("CREATE OR REPLACE VIEW").unwrap();
    connection.execute_batch(WITHOUT_TEMPLATES).unwrap();
    connection.execute_batch(WITHOUT_WORDS_AND_UUIDS).unwrap();
    connection.execute_batch(&VIEWS_OF_VERSION_6[views..]).unwrap();
}

/// Makes the logs of a store those of version 10.
pub(crate) fn turn_back_to_10(path: &Path) {
    let migration = include_str!("../../src/storage/duckdb/schema/migrations/010_uuids.sql");
    let views = migration.find("CREATE OR REPLACE VIEW").unwrap();
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(WITHOUT_TEMPLATES).unwrap();
    connection.execute_batch(&migration[views..]).unwrap();
    connection
        .execute_batch("UPDATE logstore SET schema_version = 10")
        .unwrap();
    connection.close().unwrap();
}

/// Takes back what version 8 has changed.
const WITHOUT_LOOKBACK: &str = "DROP TABLE lookbacks; ALTER TABLE threat_intel DROP COLUMN import_number;";

/// Takes back what version 7 has changed, and versions after it.
fn without_detection() -> String {
    let first = include_str!("../../src/storage/duckdb/schema/migrations/001_tables.sql");
    let create = &first[first.find("CREATE TABLE alerts (").unwrap()..];
    let create = create.split_inclusive(';').next().unwrap();
    let columns =
        "id, log_id, alert_type, detection_method, severity, description, metadata, created_at, acknowledged,
        priority_score, source_ip, dest_ip, \"user\", host";
    format!(
        "CREATE TABLE newer AS SELECT * FROM alerts; DROP TABLE alerts; {create}
        INSERT INTO alerts SELECT {columns} FROM newer; DROP TABLE newer;
        DROP TABLE alert_logs; DROP TABLE alert_events; DROP TABLE suppressions; DROP TABLE hits;
        {WITHOUT_LOOKBACK}"
    )
}

/// Makes a store of today one of an earlier version.
fn turn_back(path: &Path, (version, migration, view): (&str, &str, &str)) {
    let view = &migration[migration.find(view).unwrap()..];
    let view = view.split_inclusive(';').next().unwrap();
    let view = view.replacen("CREATE VIEW", "CREATE OR REPLACE VIEW", 1);
    let logs = "CREATE OR REPLACE VIEW logs AS SELECT * EXCLUDE layout FROM log_texts";
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(WITHOUT_TEMPLATES).unwrap();
    connection.execute_batch(WITHOUT_WORDS_AND_UUIDS).unwrap();
    let columns = ["source_port", "dest_port", "process"];
    let columns = columns.map(|column| format!("ALTER TABLE log_rows DROP COLUMN {column};"));
    connection.execute_batch(&columns.concat()).unwrap();
    connection.execute_batch(&without_detection()).unwrap();
    connection.execute_batch(&view).unwrap();
    connection.execute_batch(logs).unwrap();
    let version = format!("UPDATE logstore SET schema_version = {version}");
    connection.execute_batch(&version).unwrap();
    connection.close().unwrap();
}

#[test]
fn version_4_is_read_and_brought_up_to_date() {
    is_read_and_brought_up_to_date(VIEW_OF_VERSION_4);
}

#[test]
fn version_5_is_read_and_brought_up_to_date() {
    is_read_and_brought_up_to_date(VIEW_OF_VERSION_5);
}

fn is_read_and_brought_up_to_date(version: (&str, &str, &str)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let logs = [
        log(0, "a", "hello {0}").with_raw("web1 sshd: hello {0}"),
        log(1, "b", "no line").with_field("dst_port", 22),
    ];
    let store = DuckDbStore::open(&path).unwrap();
    store.append_logs(&logs).unwrap();
    drop(store);
    turn_back(&path, version);
    let query = LogQuery::new().order(Order::OldestFirst);
    let options = DuckDbStore::options();
    for read_only in [true, false] {
        let store = options.clone().read_only(read_only).open(&path).unwrap();
        assert_eq!(store.fetch_logs(&query).unwrap(), logs);
        assert_eq!(
            store
                .count_logs(&LogQuery::new().contains("sshd: hello"))
                .unwrap(),
            1
        );
        let of_port = LogQuery::new().filter("dest_port = 22".parse().unwrap());
        assert_eq!(store.count_logs(&of_port).unwrap(), 0, "old rows have no port");
    }
    let store = DuckDbStore::open(&path).unwrap();
    store
        .append_logs(&[log(2, "c", "x").with_field("dst_port", 22)])
        .unwrap();
    let of_port = LogQuery::new().filter("dest_port = 22".parse().unwrap());
    assert_eq!(store.count_logs(&of_port).unwrap(), 1);
}

#[test]
fn alerts_of_version_6_have_a_status() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let store = DuckDbStore::open(&path).unwrap();
    let alerts = ["1", "2"].map(|id| crate::support::alert(id, Severity::High, 0));
    store.store_alerts(&alerts).unwrap();
    store.acknowledge_alerts(&["2"]).unwrap();
    drop(store);
    let connection = Connection::open(&path).unwrap();
    make_version_8(&connection);
    connection.execute_batch(&without_detection()).unwrap();
    connection
        .execute_batch("UPDATE logstore SET schema_version = 6")
        .unwrap();
    connection.close().unwrap();
    for read_only in [true, false] {
        let store = DuckDbStore::options().read_only(read_only).open(&path).unwrap();
        let of = |status| store.fetch_alerts(&AlertQuery::new().statuses([status])).unwrap();
        assert_eq!(of(AlertStatus::New), alerts[..1]);
        let acknowledged = of(AlertStatus::InProgress);
        assert_eq!((acknowledged.len(), acknowledged[0].id.as_str()), (1, "2"));
        assert!(acknowledged[0].acknowledged);
        assert_eq!(acknowledged[0].updated_at, acknowledged[0].created_at);
        assert!(store.alert_events(&["2"]).unwrap().is_empty());
        assert!(store.alert_logs(&["2"]).unwrap().is_empty());
        assert!(store.suppressions().unwrap().is_empty());
        let all = HitRange {
            correlation_id: "c".to_owned(),
            group_key: "g".to_owned(),
            since: crate::support::at(0),
            until: crate::support::at(9),
        };
        assert!(store.hits(&[all]).unwrap().is_empty());
    }
    let store = DuckDbStore::open(&path).unwrap();
    store.acknowledge_alerts(&["1"]).unwrap();
    assert_eq!(store.alert_events(&["1"]).unwrap().len(), 1);
    let problems = store
        .check()
        .unwrap()
        .into_iter()
        .flat_map(|check| check.problems);
    assert_eq!(problems.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn version_7_is_read_and_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let store = DuckDbStore::open(&path).unwrap();
    let alerts = ["1", "2"].map(|id| crate::support::alert(id, Severity::High, 0));
    store.store_alerts(&alerts).unwrap();
    let intel = |address: &str| ThreatIntel::new(address.parse().unwrap(), "scanner", "list");
    store.upsert_intel(&[intel("192.0.2.1")]).unwrap();
    drop(store);
    let connection = Connection::open(&path).unwrap();
    make_version_8(&connection);
    connection.execute_batch(WITHOUT_LOOKBACK).unwrap();
    connection
        .execute_batch("UPDATE logstore SET schema_version = 7")
        .unwrap();
    connection.close().unwrap();
    for read_only in [true, false] {
        let store = DuckDbStore::options().read_only(read_only).open(&path).unwrap();
        assert_eq!(store.fetch_alerts(&AlertQuery::new()).unwrap().len(), 2);
        let mut count = 0;
        store.read_intel(0, &mut |_| count += 1).unwrap();
        assert_eq!(count, 1);
    }
    let store = DuckDbStore::open(&path).unwrap();
    assert_eq!(
        store.last_import().unwrap(),
        0,
        "what was there is not looked back for"
    );
    store
        .upsert_intel(&[intel("192.0.2.1"), intel("192.0.2.2")])
        .unwrap();
    assert_eq!(store.last_import().unwrap(), 1);
    store
        .upsert_intel(&[intel("192.0.2.1"), intel("192.0.2.3")])
        .unwrap();
    let mut added = Vec::new();
    let read = store.read_intel(1, &mut |intel| added.push(intel.indicator.to_string()));
    read.unwrap();
    assert_eq!(added, ["192.0.2.3"]);
}

#[test]
fn version_8_is_read_and_brought_up_to_date() {
    const UUID: &str = "01a22561-5a93-735a-964e-a8d130be1da5";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let ids = [UUID, &UUID.to_uppercase(), "a"];
    let logs = ids.map(|id| log(0, "a", "x").with_id(id));
    let store = DuckDbStore::open(&path).unwrap();
    store.append_logs(&logs).unwrap();
    drop(store);
    let connection = Connection::open(&path).unwrap();
    make_version_8(&connection);
    connection
        .execute_batch("UPDATE logstore SET schema_version = 8")
        .unwrap();
    connection.close().unwrap();
    for read_only in [true, false] {
        let store = DuckDbStore::options().read_only(read_only).open(&path).unwrap();
        let all = LogQuery::new().order(Order::OldestFirst);
        assert_eq!(store.fetch_logs(&all).unwrap(), logs);
        for log in &logs {
            let by_id = LogQuery::new().equals("id", &log.id).unwrap();
            assert_eq!(
                store.fetch_logs(&by_id).unwrap(),
                std::slice::from_ref(log),
                "{read_only}"
            );
        }
    }
    let store = DuckDbStore::open(&path).unwrap();
    let more = log(0, "a", "y").with_id(UUID.replace('a', "b"));
    let mut again = logs.to_vec();
    again.push(more.clone());
    assert_eq!(store.append_logs(&again).unwrap().stored, 1);
    assert_eq!(store.append_logs(&again).unwrap().stored, 0);
    let problems = store
        .check()
        .unwrap()
        .into_iter()
        .flat_map(|check| check.problems);
    assert_eq!(problems.collect::<Vec<_>>(), Vec::<String>::new());
    let copy = folder.path().join("copy.duckdb");
    assert_eq!(store.backup(&copy).unwrap(), 4);
    drop(store);
    for path in [&path, &copy] {
        let connection = Connection::open(path).unwrap();
        let mut statement = connection.prepare("SELECT id FROM logs ORDER BY seq").unwrap();
        let read = statement.query_map([], |row| row.get(0)).unwrap();
        let read: Vec<String> = read.collect::<Result<_, _>>().unwrap();
        assert_eq!(read, again.iter().map(|log| log.id.clone()).collect::<Vec<_>>());
    }
    let both: Filter = format!("id = \"{UUID}\" OR id = \"{}\"", more.id)
        .parse()
        .unwrap();
    let store = DuckDbStore::open(&path).unwrap();
    assert_eq!(
        store
            .delete_matching_logs_before(crate::support::at(1), &both)
            .unwrap(),
        2
    );
    assert_eq!(
        store
            .fetch_logs(&LogQuery::new().order(Order::OldestFirst))
            .unwrap(),
        logs[1..]
    );
}

#[test]
fn the_files_of_a_store_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let options = DuckDbStore::options().access(logstore::duckdb::Access::Exclusive);
    let store = options.open(&path).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    store.append_logs(&[log(0, "a", "x")]).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&folder.path().join("soc.duckdb.wal")), 0o600);
    drop(store);
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        1,
        "nothing else is left"
    );
    // Who lets others read the store lets them read its log.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let store = options.open(&path).unwrap();
    store.append_logs(&[log(1, "a", "x")]).unwrap();
    assert_eq!(mode(&folder.path().join("soc.duckdb.wal")), 0o640);
}

/// Puts the columns of a store of today in the order of version 11.
fn turn_back_to_11(path: &Path) {
    const COLUMNS: &str = "seq, event_time, id, \"timestamp\", raw, appname, file, host, hostname, message, procid,
        source_type, normalized, metadata, ingestion_time, source_ip, dest_ip, \"user\", action, outcome, level, layout,
        source_port, dest_port, process, uuid, template, variables, identifiers, normalized_template, message_template,
        timestamp_template";
    let connection = Connection::open(path).unwrap();
    let sql = format!(
        "CREATE TABLE older AS SELECT {COLUMNS} FROM log_rows; DROP TABLE log_rows;
        ALTER TABLE older RENAME TO log_rows; UPDATE logstore SET schema_version = 11"
    );
    connection.execute_batch(&sql).unwrap();
    connection.close().unwrap();
}

#[test]
fn columns_of_version_11_are_compressed_again_by_maintenance() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let mut logs = vec![
        log(0, "a", "hello {0}").with_raw("web1 sshd: hello {0}"),
        log(1, "b", "x\0y"),
        log(2, "c", &"long ".repeat(3_000)),
    ];
    let store = DuckDbStore::open(&path).unwrap();
    store.append_logs(&logs).unwrap();
    drop(store);
    turn_back_to_11(&path);
    let query = LogQuery::new().order(Order::OldestFirst);
    let read_only = DuckDbStore::options().read_only(true).open(&path).unwrap();
    assert_eq!(read_only.fetch_logs(&query).unwrap(), logs);
    assert_eq!(read_only.stats().unwrap().schema_version, 11);
    drop(read_only);
    let store = DuckDbStore::open(&path).unwrap();
    assert_eq!(store.stats().unwrap().schema_version, 12);
    logs.push(log(3, "d", "y\0z"));
    store.append_logs(&logs[3..]).unwrap();
    assert_eq!(store.fetch_logs(&query).unwrap(), logs);
    let columns = || {
        let steps = store.maintain(&MaintenanceOptions::default()).unwrap();
        let mut steps = steps.map(Result::unwrap);
        steps
            .find(|step| step.name == "compress columns")
            .map(|step| step.count)
    };
    assert_eq!(columns(), Some(3));
    assert_eq!(store.fetch_logs(&query).unwrap(), logs);
    assert_eq!(columns(), None);
    assert!(
        store
            .check()
            .unwrap()
            .iter()
            .all(|table| table.problems.is_empty())
    );
    drop(store);
    let store = DuckDbStore::open(&path).unwrap();
    assert_eq!(store.fetch_logs(&query).unwrap(), logs);
}
