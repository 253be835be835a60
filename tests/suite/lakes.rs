//! What only lakes do. Where what they need is absent, the tests say so and do nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use chrono::{TimeDelta, Utc};
use logstore::duckdb::{MaintenanceOptions, S3Options};
use logstore::{
    Alert, AlertQuery, AlertStore as _, ConsumerStore as _, Cursor, DuckDbStore, Error, LogEntry, LogQuery,
    LogStore as _, Severity, StoreExt as _,
};

use crate::support::{Cli, alert, at, log, messages};
use crate::test_lake::{self, EXTENSIONS, S3, TestLake, given, options};

#[test]
fn data_can_be_in_s3() {
    let Some((lake, options)) = TestLake::in_s3() else {
        return;
    };
    let store = options.open(&lake.location).unwrap();
    // Too many to be kept in the catalog.
    let logs: Vec<LogEntry> = (0..3000)
        .map(|second| log(second, "sshd", "Failed password"))
        .collect();
    store.append_logs(&logs).unwrap();
    assert_eq!(store.append_logs(&logs[..2000]).unwrap().duplicates, 2000);
    let last = store.fetch_logs(&LogQuery::new().since(at(2998))).unwrap();
    assert_eq!(messages(&last), ["Failed password"; 2]);

    let stats = store.stats().unwrap();
    assert!(stats.data_path.unwrap().starts_with("s3://logs/"));
    assert!(stats.engine.ends_with("PostgreSQL"), "{}", stats.engine);
    assert!(!stats.location.contains("password"), "{}", stats.location);
    assert!(stats.bytes_on_disk.unwrap() > 0);
    drop(store);
    let (location, _) = lake.location.split_once('?').unwrap();
    let store = options.open(location).unwrap();
    assert_eq!(store.delete_logs_before(at(1000)).unwrap(), 1000);
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 2000);
}

#[test]
fn a_wrong_key_is_not_shown() {
    let Some((lake, _)) = TestLake::in_s3() else {
        return;
    };
    let server = given(S3).unwrap();
    let s3 = S3Options {
        endpoint: server.split(' ').next().map(str::to_owned),
        access_key_id: Some("logstore".to_owned()),
        secret_access_key: Some("not the key".into()),
        ..S3Options::default()
    };
    // A lake is not made where it cannot be seen whether the place is taken.
    let error = options().s3(s3).open(&lake.location).unwrap_err();
    let text = format!("{error}: {:?}", std::error::Error::source(&error));
    assert!(text.contains("s3://logs/"), "{text}");
    assert!(!text.contains("not the key"), "{text}");
}

/// Upkeep is written as a table function, which a SELECT can call.
#[test]
fn queries_of_a_lake_only_read() {
    let Some(lake) = TestLake::in_file() else {
        return;
    };
    let store = lake.open();
    for sql in [
        "FROM merge_adjacent_files()",
        "SELECT * FROM lake.expire_snapshots()",
        "SELECT 1 IN (SELECT 1 FROM ducklake_flush_inlined_data('lake'))",
        "FROM query('FROM ducklake_cleanup_old_files(''lake'')')",
        "SELECT * FROM __ducklake_metadata_lake.ducklake_snapshot",
        "SELECT * FROM read_text('/etc/passwd')",
    ] {
        let refused = store.execute_query(sql, &[]);
        assert!(matches!(refused, Err(Error::InvalidInput(_))), "{sql}");
    }
    assert_eq!(
        store
            .execute_query("SELECT count(*) FROM logs, range(3)", &[])
            .unwrap()
            .rows
            .len(),
        1
    );
}

#[test]
fn a_missing_extension_says_which_and_where_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("ducklake:{}", folder.path().join("catalog.ducklake").display());
    let opened = DuckDbStore::options()
        .extension_directory(folder.path())
        .open(location);
    let text = opened.unwrap_err().to_string();
    for part in [
        folder.path().to_str().unwrap(),
        "ducklake.duckdb_extension",
        "extensions install",
        "store.install_extensions",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn the_tables_of_another_program_are_left_alone() {
    let Some(lake) = TestLake::in_file() else {
        return;
    };
    let engine = test_lake::engine();
    let sql = format!(
        "ATTACH '{}' AS other; CREATE TABLE other.logs (id VARCHAR)",
        lake.location
    );
    engine.execute_batch(&sql).unwrap();
    drop(engine);
    let text = options().open(&lake.location).unwrap_err().to_string();
    assert!(text.contains("of another program"), "{text}");
}

fn installed(rows: &[serde_json::Value]) -> Vec<bool> {
    rows.iter()
        .map(|row| row["installed"].as_bool().unwrap())
        .collect()
}

#[test]
fn extensions_are_installed_from_files() {
    let Some(folder) = given(EXTENSIONS) else {
        return;
    };
    let cli = Cli::new();
    let location = format!("ducklake:{}", cli.path("catalog").display());
    assert_eq!(installed(&cli.rows(&["extensions", "list"])), [false; 3]);
    let (code, problem) = cli.failure(&["--database", &location, "ingest", "-"]);
    assert_eq!(
        (code, problem.contains("extensions install")),
        (3, true),
        "{problem}"
    );

    // What the engine does not take is not left behind.
    cli.write("bad/ducklake.duckdb_extension", "no extension");
    let (code, problem) = cli.failure(&["extensions", "install", "bad"]);
    assert_eq!((code, problem.contains("bad/ducklake")), (3, true), "{problem}");
    let (code, problem) = cli.failure(&["extensions", "install", "logstore.toml"]);
    assert_eq!(
        (code, problem.contains("ducklake.duckdb_extension")),
        (3, true),
        "{problem}"
    );
    assert_eq!(installed(&cli.rows(&["extensions", "list"])), [false; 3]);

    let found = walkdir::WalkDir::new(&folder)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .find(|path| path.ends_with("ducklake.duckdb_extension"))
        .unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&std::fs::read(found).unwrap()).unwrap();
    cli.write("ducklake.duckdb_extension.gz", gzip.finish().unwrap());
    let rows = cli.rows(&["extensions", "install", "bad", "ducklake.duckdb_extension.gz"]);
    assert_eq!(installed(&rows), [true, false, false]);
    let mut ingest = cli.command(&["--database", &location, "ingest", "-"]);
    ingest
        .write_stdin("{\"message\": \"hello\"}\n")
        .assert()
        .success();
    assert_eq!(cli.rows(&["--database", &location, "count"])[0]["count"], 1);
    let stats = cli.output(&["--database", &location, "--format", "table", "stats"]);
    assert!(stats.contains("catalog.files"), "{stats}");

    assert_eq!(
        installed(&cli.rows(&["extensions", "install", &folder])),
        [true; 3]
    );
}

/// The ids of all logs after a cursor, in the order of their commits.
fn ids_after(store: &DuckDbStore, mut cursor: Cursor) -> Vec<String> {
    let pages = std::iter::from_fn(|| {
        let page = store.read_after(cursor, 700).unwrap();
        cursor = page.next;
        (!page.logs.is_empty()).then_some(page.logs)
    });
    pages.flatten().map(|log| log.id).collect()
}

/// Upkeep that keeps nothing which is not needed.
const STRICT: MaintenanceOptions = MaintenanceOptions {
    retention: None,
    snapshot_retention: TimeDelta::zero(),
    unused_file_retention: TimeDelta::zero(),
    delete_orphaned_files: true,
};

fn maintain(store: &DuckDbStore, plan: &MaintenanceOptions) -> Vec<(&'static str, u64)> {
    let steps = store.maintain(plan).unwrap().map(Result::unwrap);
    steps.map(|step| (step.name, step.count)).collect()
}

fn done(steps: &[(&str, u64)], name: &str) -> u64 {
    steps.iter().find(|(step, _)| *step == name).unwrap().1
}

/// The data files of logs of a day in January 2024.
fn files_of_day(store: &DuckDbStore, day: u32) -> Vec<PathBuf> {
    let folder = PathBuf::from(store.stats().unwrap().data_path.unwrap());
    let day = format!("log_rows/year=2024/month=1/day={day}/");
    let files = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap().into_path());
    files
        .filter(|path| path.is_file() && path.display().to_string().contains(&day))
        .collect()
}

/// How often a log in a file is earlier than the one before.
fn steps_back(file: &Path) -> u64 {
    let sql = format!(
        "SELECT count(*)
        FROM (SELECT event_time, lag(event_time) OVER (ORDER BY file_row_number) AS before
            FROM read_parquet('{}', file_row_number = true))
        WHERE event_time < before",
        file.display()
    );
    test_lake::engine().query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_range_of_time_reads_its_own_files_and_old_days_go_as_files() {
    const DAY: i64 = 86_400;
    let Some(lake) = TestLake::in_file() else {
        return;
    };
    let store = lake.open();
    for day in 0..3 {
        // From the last to the first.
        let logs: Vec<LogEntry> = (0..500).rev().map(|n| log(day * DAY + n, "sshd", "x")).collect();
        store.append_logs(&logs).unwrap();
    }
    for day in 1..=3 {
        let files = files_of_day(&store, day);
        assert_eq!(files.len(), 1);
        assert_eq!(steps_back(&files[0]), 0);
    }
    let plan = MaintenanceOptions {
        retention: Some(Utc::now() - at(DAY)),
        ..STRICT
    };
    assert_eq!(done(&maintain(&store, &plan), "delete old logs"), 500);
    maintain(&store, &STRICT);
    assert_eq!(files_of_day(&store, 1).len(), 0);

    // Nobody looks into a file that a query does not need.
    std::fs::remove_file(&files_of_day(&store, 2)[0]).unwrap();
    let query = LogQuery::new().since(at(2 * DAY)).until(at(2 * DAY + 100));
    assert_eq!(store.count_logs(&query).unwrap(), 100);
    let times: Vec<_> = store
        .fetch_logs(&query)
        .unwrap()
        .iter()
        .map(|log| log.event_time)
        .collect();
    assert!(times.is_sorted_by(|a, b| a > b));
    assert!(store.count_logs(&LogQuery::new()).is_err() || store.fetch_logs(&LogQuery::new()).is_err());
}

fn upkeep_changes_nothing_that_is_read(store: &DuckDbStore) {
    const DAY: i64 = 86_400;
    // Small commits stay in the catalog, large ones are files, over two days.
    for commit in 0..20 {
        let logs: Vec<LogEntry> = (0..10)
            .map(|n| log(commit * DAY / 10 + n, "small", "x"))
            .collect();
        store.append_logs(&logs).unwrap();
    }
    for commit in 0..3 {
        let logs: Vec<LogEntry> = (0..1500).map(|n| log(commit * 2000 + n, "large", "x")).collect();
        store.append_logs(&logs).unwrap();
    }
    let read = store.read_after(Cursor::BEGINNING, 25).unwrap();
    let alerts: Vec<Alert> = (0..30)
        .map(|n| alert(&format!("a{n}"), Severity::High, n))
        .collect();
    store.commit("detector", None, read.next, &alerts).unwrap();
    store.acknowledge_alerts(&["a1", "a2"]).unwrap();
    store.delete_logs_before(at(5)).unwrap();
    let ids = || [Cursor::BEGINNING, read.next].map(|cursor| ids_after(store, cursor));
    let before = ids();
    let kept = store.fetch_alerts(&AlertQuery::new()).unwrap();

    let steps = maintain(store, &STRICT);
    assert!(done(&steps, "flush rows") > 20 * 10, "{steps:?}");
    for name in ["merge files", "expire snapshots"] {
        assert!(done(&steps, name) > 0, "{steps:?}");
    }
    assert!(ids() == before);
    assert_eq!(store.fetch_alerts(&AlertQuery::new()).unwrap(), kept);
    assert_eq!(store.position("detector").unwrap(), Some(read.next));

    // A second time there is nothing to do but to forget what the first has left.
    let steps = maintain(store, &STRICT);
    assert_eq!(done(&steps, "merge files"), 0, "{steps:?}");
    assert!(done(&steps, "delete unused files") > 0, "{steps:?}");
    assert!(ids() == before);

    // Two days have passed long ago.
    let plan = MaintenanceOptions {
        retention: Some(Utc::now() - at(DAY)),
        ..STRICT
    };
    let steps = maintain(store, &plan);
    let deleted = done(&steps, "delete old logs");
    assert!(deleted > 1500, "{steps:?}");
    let oldest = store.stats().unwrap().oldest_log.unwrap();
    assert_eq!(oldest, at(DAY / 2));
    let committed = store.commit("detector", Some(read.next), read.next, &[]).unwrap();
    assert!(committed.missed > 1500, "{committed:?}");
    let left = ids_after(store, Cursor::BEGINNING).len() as u64;
    assert_eq!(left, store.count_logs(&LogQuery::new()).unwrap());
}

#[test]
fn upkeep_of_a_lake_in_a_file() {
    if let Some(lake) = TestLake::in_file() {
        upkeep_changes_nothing_that_is_read(&lake.open());
    }
}

#[test]
fn upkeep_of_a_lake_in_postgres() {
    if let Some(lake) = TestLake::in_postgres() {
        upkeep_changes_nothing_that_is_read(&lake.open());
    }
}

#[test]
fn upkeep_of_a_lake_in_s3() {
    if let Some((lake, options)) = TestLake::in_s3() {
        upkeep_changes_nothing_that_is_read(&options.open(&lake.location).unwrap());
    }
}

#[test]
fn upkeep_of_a_file_deletes_old_logs() {
    let cli = Cli::new();
    let store = DuckDbStore::open(cli.path("logstore.duckdb")).unwrap();
    store
        .append_logs(&[log(0, "a", "old"), LogEntry::new(Utc::now())])
        .unwrap();
    drop(store);
    let texts = serde_json::json!({"name": "store texts once", "count": 0, "unit": "logs"});
    let filters = serde_json::json!({"name": "build filters", "count": 0, "unit": "logs"});
    assert_eq!(
        serde_json::Value::from(cli.rows(&["maintain"])),
        serde_json::json!([texts, filters])
    );
    let steps = cli.rows(&["maintain", "--retention", "30d"]);
    let expected =
        serde_json::json!([{"name": "delete old logs", "count": 1, "unit": "logs"}, texts, filters]);
    assert_eq!(serde_json::Value::from(steps), expected);
    let (code, _) = cli.failure(&["maintain", "--retention", "300000y"]);
    assert_eq!(code, 2);
    let (code, _) = cli.failure(&["maintain", "--read-only"]);
    assert_eq!(code, 3);
}
