//! One store copied into another.

use std::time::Duration;

use logstore::alerts::{Detections, Hit, Match, Suppression};
use logstore::ingest::{FilePosition, FileProgress, ResumePoint};
use logstore::storage::{CopyOptions, copy_store};
use logstore::{
    AlertQuery, ConsumerStore as _, Cursor, DetectionRule, DuckDbStore, Indicator, IndicatorType, IntelQuery,
    LogEntry, LogKey, LogQuery, LogStore as _, MemoryStore, Order, RuleQuery, Severity, Store, StoreExt as _,
    ThreatIntel,
};

use crate::processes::Process;
use crate::support::{Cli, alert, at, log, make_large_store};
use crate::test_lake::{EXTENSIONS, TestLake, given};

/// What a store can hold: three logs at each of many times, two of which nothing tells apart but their ids.
fn fill(store: &dyn Store) {
    for commit in 0..30_u8 {
        let time = i64::from(commit) * 7_200;
        let logs = [
            log(time, "sshd", "same"),
            log(time, "sshd", "same"),
            log(time, "web", "other")
                .with_raw([0xff, b'\n', commit])
                .with_field("deep", serde_json::json!({"list": [1, 2.5, null], "n": commit})),
        ];
        store.append_logs(&logs).unwrap();
    }
    let alerts: Vec<_> = (0..40)
        .map(|n| alert(&n.to_string(), Severity::High, n / 10))
        .collect();
    store.store_alerts(&alerts).unwrap();
    store.acknowledge_alerts(&["3"]).unwrap();
    let found = |second: i64| {
        let log = log(second, "sudo", "x").with_id(format!("found-{second}"));
        Match::new("sudo", Severity::High, &log)
    };
    let hit = |second: i64| Hit {
        correlation_id: "c".into(),
        group_key: "g".into(),
        log: LogKey::new(at(second), format!("found-{second}")),
        rule_id: "sudo".into(),
        rule_version: "1".into(),
        value: None,
    };
    let detections = Detections {
        matches: (0..150).map(found).collect(),
        hits: vec![hit(0), hit(0), hit(9)],
        ..Detections::default()
    };
    store.store_detections(&detections).unwrap();
    let quiet = Suppression::new("a test", "host = web1".parse().unwrap());
    store.add_suppression(&quiet).unwrap();
    let indicator = Indicator::new(IndicatorType::Ip, "203.0.113.9").unwrap();
    store
        .upsert_intel(&[ThreatIntel::new(indicator, "scanner", "feed").with_id("i")])
        .unwrap();
    let rule = DetectionRule::new("many", "threshold", serde_json::json!({"count": 5})).with_id("r");
    store.upsert_rules(&[rule]).unwrap();
    let file = FilePosition {
        id: "f".into(),
        path: "/var/log/auth.log".into(),
        bytes: 10,
        head_fingerprint: "00".into(),
        tail_fingerprint: "00".into(),
        resume: ResumePoint::LongLine(2),
        last_time: Some(at(0)),
    };
    store
        .append_logs_from_files(&[], &[FileProgress { from: None, to: file }])
        .unwrap();
    for (name, read) in [("none", 0), ("one", 1), ("some", 31), ("all", 90)] {
        let position = match read {
            0 => Cursor::BEGINNING,
            read => store.read_after(Cursor::BEGINNING, read).unwrap().next,
        };
        store.commit(name, None, position, &[]).unwrap();
    }
}

/// What a consumer has not read, in the order in which it will.
fn unread(store: &dyn Store, consumer: &str) -> Vec<LogEntry> {
    let position = store.position(consumer).unwrap().unwrap();
    store.read_after(position, 1_000).unwrap().logs
}

fn logs(store: &dyn Store) -> Vec<LogEntry> {
    store
        .fetch_logs(&LogQuery::new().order(Order::OldestFirst))
        .unwrap()
}

fn is_copied_whole(from: &dyn Store, to: &dyn Store) {
    fill(from);
    let copied = copy_store(from, to, &CopyOptions::new("there")).unwrap();
    assert_eq!(
        (copied.logs, copied.verified, copied.missing, copied.others),
        (90, 90, 0, 0)
    );
    assert_eq!(
        (copied.alerts, copied.threat_intel, copied.detection_rules),
        (41, 1, 1)
    );
    assert_eq!((copied.consumers, copied.files), (4, 1));
    assert_eq!(copied.source_checksum, copied.target_checksum);

    assert_eq!(logs(to), logs(from));
    let alerts = |store: &dyn Store| store.fetch_alerts(&AlertQuery::new()).unwrap();
    assert_eq!(alerts(to), alerts(from));
    let ids: Vec<String> = alerts(from).into_iter().map(|alert| alert.id).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let detected = |store: &dyn Store| {
        let mut logs = store.detected_logs(&ids).unwrap();
        logs.sort();
        (
            logs,
            store.hits_since(None, 10).unwrap(),
            store.suppressions().unwrap(),
        )
    };
    let (logs_of_alerts, hits, suppressions) = detected(from);
    assert_eq!(
        (logs_of_alerts.len(), hits.len(), suppressions.len()),
        (150, 2, 1)
    );
    assert_eq!(detected(to), detected(from));
    assert_eq!(to.alert_events(&ids).unwrap(), from.alert_events(&ids).unwrap());
    assert_eq!(
        to.fetch_intel(&IntelQuery::new()).unwrap(),
        from.fetch_intel(&IntelQuery::new()).unwrap()
    );
    assert_eq!(
        to.fetch_rules(&RuleQuery::new()).unwrap(),
        from.fetch_rules(&RuleQuery::new()).unwrap()
    );
    assert!(
        to.file_positions()
            .unwrap()
            .contains(&from.file_positions().unwrap()[0])
    );
    for (consumer, left) in [("none", 90), ("one", 89), ("some", 59), ("all", 0)] {
        let rest = unread(to, consumer);
        assert_eq!(rest.len(), left, "{consumer}");
        assert_eq!(rest, unread(from, consumer));
    }

    // Again: only what is new.
    let done = to.position("one").unwrap();
    from.append_logs(&[log(-5, "late", "x")]).unwrap();
    from.acknowledge_alerts(&["4"]).unwrap();
    to.append_logs(&[log(-6, "of another", "x")]).unwrap();
    let again = copy_store(from, to, &CopyOptions::new("there")).unwrap();
    assert_eq!(
        (again.logs, again.verified, again.missing, again.others),
        (1, 91, 0, 1)
    );
    assert_eq!((again.alerts, again.consumers, again.files), (0, 0, 0));
    assert_ne!(again.source_checksum, copied.source_checksum);
    assert_eq!(alerts(to), alerts(from));
    assert_eq!(detected(to), detected(from));
    assert_eq!(to.position("one").unwrap(), done);
}

#[test]
fn memory_to_file_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = DuckDbStore::open(folder.path().join("a.duckdb")).unwrap();
    is_copied_whole(&MemoryStore::new(), &file);
    let other = DuckDbStore::open(folder.path().join("b.duckdb")).unwrap();
    is_copied_whole(&other, &MemoryStore::new());
}

#[test]
fn file_to_lake_in_a_file() {
    let Some(lake) = TestLake::in_file() else { return };
    is_copied_whole(&DuckDbStore::open(":memory:").unwrap(), &lake.open());
}

#[test]
fn file_to_lake_in_postgres() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    is_copied_whole(&DuckDbStore::open(":memory:").unwrap(), &lake.open());
}

#[test]
fn lake_in_postgres_to_file() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    is_copied_whole(&lake.open(), &DuckDbStore::open(":memory:").unwrap());
}

#[test]
fn what_the_target_lost_is_found() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    fill(&from);
    copy_store(&from, &to, &CopyOptions::new("there")).unwrap();
    to.delete_logs_before(at(1)).unwrap();
    let again = copy_store(&from, &to, &CopyOptions::new("there")).unwrap();
    assert_eq!((again.logs, again.verified, again.missing), (0, 87, 3));
    assert_ne!(again.source_checksum, again.target_checksum);
}

#[test]
fn consumers_are_not_moved_among_other_logs() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    fill(&from);
    to.append_logs(&[log(0, "of another", "x")]).unwrap();
    let copied = copy_store(&from, &to, &CopyOptions::new("there")).unwrap();
    assert_eq!((copied.logs, copied.consumers, copied.others), (90, 0, 1));
    assert_eq!(to.position("all").unwrap(), None);
}

/// From a file to a lake and back, each time killed again and again.
#[test]
fn a_killed_copy_goes_on_where_it_was() {
    const LOGS: i64 = 150_000;
    let (Some(extensions), Some(lake)) = (given(EXTENSIONS), TestLake::in_postgres()) else {
        return;
    };
    let cli = Cli::new();
    make_large_store(&cli.path("from.duckdb"), LOGS);
    let toml = format!("[store]\nextension_directory = {extensions:?}\nlock_timeout = \"60s\"\n");
    cli.write("logstore.toml", toml);
    for (from, to) in [
        ("from.duckdb", lake.location.as_str()),
        (&lake.location, "back.duckdb"),
    ] {
        let arguments = ["copy", from, to, "--log-level", "off"];
        for milliseconds in [1_500, 2_500, 4_000] {
            let process = Process::program(cli.folder.path(), &arguments);
            std::thread::sleep(Duration::from_millis(milliseconds));
            process.kill("copied");
        }
        let copied = &cli.rows(&arguments)[0];
        assert_eq!(
            (&copied["verified"], &copied["missing"], &copied["others"]),
            (&LOGS.into(), &0.into(), &0.into())
        );
        assert_eq!(copied["source_checksum"], copied["target_checksum"]);
    }
    let over_time = |store| cli.rows(&["count", "--every", "1m", "--database", store]);
    assert_eq!(over_time("back.duckdb"), over_time("from.duckdb"));
}

#[test]
fn copies_that_make_no_sense_are_refused() {
    let cli = Cli::new();
    cli.write("a.log", "hello\n");
    cli.output(&["ingest", "a.log"]);
    let (code, problem) = cli.failure(&["copy", "logstore.duckdb", "./logstore.duckdb"]);
    assert_eq!((code, problem.contains("into itself")), (2, true), "{problem}");
    let (code, problem) = cli.failure(&["copy", "missing.duckdb", "b.duckdb"]);
    assert_eq!((code, problem.contains("no such file")), (3, true), "{problem}");
    assert!(!cli.path("b.duckdb").exists());
    let copied = &cli.rows(&["copy", "logstore.duckdb", "b.duckdb"])[0];
    assert_eq!((&copied["logs"], &copied["files"]), (&1.into(), &1.into()));
    // The file that was read is known to the copy.
    assert_eq!(
        cli.rows(&["--database", "b.duckdb", "ingest", "a.log"])[0]["stored"],
        0
    );
}

#[test]
fn a_copy_is_a_whole_store() {
    let cli = Cli::new();
    cli.write("a.log", "hello\n");
    cli.output(&["ingest", "a.log"]);
    cli.output(&["copy", "logstore.duckdb", "b.duckdb"]);
    cli.output(&["copy", "logstore.duckdb", "b.duckdb"]);
    // The place of the first copy is not a file of the second one.
    let copied = &cli.rows(&["copy", "b.duckdb", "c.duckdb"])[0];
    assert_eq!((&copied["logs"], &copied["files"]), (&1.into(), &1.into()));
    for copy in ["b.duckdb", "c.duckdb"] {
        for check in cli.rows(&["check", "--database", copy]) {
            assert_eq!(check["problems"], serde_json::json!([]), "{copy}: {check}");
        }
        assert_eq!(cli.rows(&["ingest", "a.log", "--database", copy])[0]["stored"], 0);
    }
}
