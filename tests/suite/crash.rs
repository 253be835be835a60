//! Processes killed at any moment: what was acknowledged is there, once, and everything fits together.
//!
//! Each test kills 100 times, or as often as `LOGSTORE_TEST_KILLS` says.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use logstore::duckdb::Access;
use logstore::{
    Alert, AlertStore as _, ConsumerStore as _, DuckDbStore, Fetcher, IngestStore as _, LogEntry,
    LogStore as _, Severity,
};

use crate::processes::{Process, given, given_store};
use crate::support::{Cli, log};

pub(crate) fn kills() -> u64 {
    std::env::var("LOGSTORE_TEST_KILLS").map_or(100, |times| times.parse().unwrap())
}

/// A pause of up to so many milliseconds.
fn pause(most: u64) {
    std::thread::sleep(Duration::from_micros(fastrand::u64(0..most * 1_000)));
}

fn numbered(numbers: std::ops::Range<i64>) -> Vec<LogEntry> {
    numbers
        .map(|n| log(n, "app", "x").with_procid(n).with_id(n.to_string()))
        .collect()
}

/// How many logs there are; they must be those from 0 on, each once, in the order of their numbers.
pub(crate) fn assert_logs_are_whole(store: &DuckDbStore) -> u64 {
    let sql = "SELECT count(*), count(DISTINCT procid), coalesce(max(procid) + 1, 0), count(DISTINCT seq),
            coalesce(max(seq), 0), (SELECT last_seq FROM logstore), count(*) FILTER (WHERE seq <> procid + 1)
        FROM logs";
    let row = store.execute_query(sql, &[]).unwrap().rows.remove(0);
    let numbers: Vec<u64> = row.iter().map(|value| value.as_u64().unwrap()).collect();
    let count = numbers[0];
    assert_eq!(numbers, [count, count, count, count, count, count, 0]);
    count
}

const BATCH: i64 = 20;

#[test]
#[ignore = "run in a process of its own"]
fn writer() {
    let access = if given("LOGSTORE_TEST_EXCLUSIVE") == 1 {
        Access::Exclusive
    } else {
        Access::Shared
    };
    let store = DuckDbStore::options().access(access).open(given_store()).unwrap();
    let start = given("LOGSTORE_TEST_START");
    for first in (0..).map(|batch| start + batch * BATCH) {
        store.append_logs(&numbered(first..first + BATCH)).unwrap();
        println!("\nacknowledged={}", first + BATCH);
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let mut count = 0;
    for round in 0..kills() {
        let variables = [
            ("LOGSTORE_TEST_START", count.to_string()),
            ("LOGSTORE_TEST_EXCLUSIVE", (round % 2).to_string()),
        ];
        let process = Process::start("crash::writer", &path, &variables);
        let acknowledged = process.wait_for("acknowledged").unwrap();
        pause(60);
        let later = process.kill("acknowledged");
        let acknowledged = later.last().copied().unwrap_or(acknowledged);
        let store = DuckDbStore::open(&path).unwrap();
        count = assert_logs_are_whole(&store);
        assert!(count >= acknowledged, "{count} logs, {acknowledged} acknowledged");
        assert_eq!(
            count % u64::try_from(BATCH).unwrap(),
            0,
            "a batch is stored as a whole"
        );
    }
}

#[test]
#[ignore = "run in a process of its own"]
fn creator() {
    let store = DuckDbStore::open(given_store()).unwrap();
    store.append_logs(&numbered(0..BATCH)).unwrap();
}

#[test]
fn a_process_killed_while_it_makes_a_store_leaves_none_or_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..kills() {
        let path = folder.path().join(format!("{round}.duckdb"));
        let process = Process::start::<&str>("crash::creator", &path, &[]);
        pause(120);
        process.kill("");
        let count = assert_logs_are_whole(&DuckDbStore::open(&path).unwrap());
        assert!(count == 0 || count == u64::try_from(BATCH).unwrap(), "{count}");
    }
}

/// The engine writes blocks of 256 KiB into the file when it writes its log back. The kernel may end such a write
/// between any two pages of it when the process is killed, which hardly ever happens: so this puts together what
/// would be left, from the file before and after.
#[test]
fn blocks_that_were_half_written_cost_nothing() {
    const HEADERS: usize = 3 * 4096;
    const BLOCK: usize = 256 << 10;
    const PAGE: usize = 4096;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let log = folder.path().join("soc.duckdb.wal");
    let store = DuckDbStore::open(&path).unwrap();
    for first in [0, 100, 200] {
        store.append_logs(&numbered(first..first + 100)).unwrap();
    }
    let variables = [("LOGSTORE_TEST_START", "300"), ("LOGSTORE_TEST_EXCLUSIVE", "1")];
    let process = Process::start("crash::writer", &path, &variables);
    while process.wait_for("acknowledged").unwrap() < 400 {}
    process.kill("acknowledged");
    let (before, logged) = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    let count = assert_logs_are_whole(&store);
    assert_eq!(
        store
            .store_alerts(&[Alert::new("x", "y", Severity::Low)])
            .unwrap(),
        1
    );
    assert!(!log.exists(), "the log was written back");
    let after = fs::read(&path).unwrap();
    let mut cut_off = 0;
    for place in (HEADERS..before.len()).step_by(BLOCK) {
        let block = place..(place + BLOCK).min(before.len());
        if before[block.clone()] == after[block.clone()] {
            continue;
        }
        for pages in [1, 2, 3, 7, 13, 31, 62] {
            let mut torn = before.clone();
            let written = place..place + pages * PAGE;
            torn[written.clone()].copy_from_slice(&after[written]);
            fs::write(&path, torn).unwrap();
            fs::write(&log, &logged).unwrap();
            assert_eq!(assert_logs_are_whole(&store), count, "{pages} pages at {place}");
            store
                .append_logs(&numbered(count.cast_signed()..count.cast_signed() + 1))
                .unwrap();
            assert_eq!(assert_logs_are_whole(&store), count + 1);
            cut_off += 1;
        }
    }
    assert!(cut_off > 0);
}

#[test]
fn a_killed_ingest_goes_on_where_it_stopped() {
    let cli = Cli::new();
    cli.write("logstore.toml", "[ingest]\nbatch_size = 100\n");
    let path = cli.path("app.log");
    let mut ends = Vec::new();
    for _ in 0..kills() {
        append_lines(&path, 300, &mut ends);
        let process = Process::program(cli.folder.path(), &["ingest", "app.log"]);
        pause(300);
        process.kill("");
        if cli.path("logstore.duckdb").exists() {
            assert_position_fits(&cli.path("logstore.duckdb"), &ends);
        }
    }
    cli.output(&["ingest", "app.log"]);
    let count = assert_position_fits(&cli.path("logstore.duckdb"), &ends);
    assert_eq!(count, ends.len());
}

/// Appends numbered lines and notes where each one ends.
fn append_lines(path: &Path, count: usize, ends: &mut Vec<u64>) {
    let mut text = String::new();
    let before = ends.last().copied().unwrap_or_default();
    for n in ends.len()..ends.len() + count {
        text.push_str(&format!("2024-01-01T00:00:00Z web1 app[{n}]: line {n}\n"));
        ends.push(before + text.len() as u64);
    }
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The store holds the lines up to the file's position, each once; says how many.
fn assert_position_fits(path: &Path, ends: &[u64]) -> usize {
    let store = DuckDbStore::open(path).unwrap();
    let count = usize::try_from(assert_logs_are_whole(&store)).unwrap();
    let positions = store.file_positions().unwrap();
    let position = positions.first().map(|position| position.bytes);
    assert_eq!(position, count.checked_sub(1).map(|last| ends[last]));
    count
}

#[test]
#[ignore = "run in a process of its own"]
fn consumer() {
    let store = DuckDbStore::open(given_store()).unwrap();
    let fetcher = Fetcher::new(&store)
        .consumer("c")
        .batch_size(30)
        .every(Duration::from_millis(5));
    for batch in fetcher {
        let batch = batch.unwrap();
        let alerts: Vec<Alert> = batch
            .logs()
            .iter()
            .map(|log| Alert::new("seen", "heuristic", Severity::Low).with_log_id(&log.id))
            .collect();
        batch.commit(&alerts).unwrap();
        println!("\ncommitted={}", alerts.len());
    }
}

#[test]
fn a_killed_consumer_stores_the_alerts_of_each_log_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let store = DuckDbStore::open(&path).unwrap();
    let mut logs = 0;
    for _ in 0..kills() {
        store.append_logs(&numbered(logs..logs + 120)).unwrap();
        logs += 120;
        let process = Process::start::<&str>("crash::consumer", &path, &[]);
        process.wait_for("committed").unwrap();
        pause(60);
        process.kill("committed");
        assert_alerts_fit(&store);
    }
    let process = Process::start::<&str>("crash::consumer", &path, &[]);
    while store.position("c").unwrap() != Some(store.end_cursor().unwrap()) {
        pause(50);
    }
    process.kill("committed");
    assert_eq!(assert_alerts_fit(&store), u64::try_from(logs).unwrap());
}

/// There is one alert for each log up to the consumer's position; says how many.
fn assert_alerts_fit(store: &DuckDbStore) -> u64 {
    let sql = "SELECT (SELECT count(*) FROM alerts), (SELECT count(DISTINCT log_id) FROM alerts),
            (SELECT count(*) FROM logs JOIN consumers ON seq <= position),
            (SELECT count(*) FROM logs JOIN consumers ON seq <= position JOIN alerts ON log_id = logs.id)";
    let row = store.execute_query(sql, &[]).unwrap().rows.remove(0);
    let numbers: Vec<u64> = row.iter().map(|value| value.as_u64().unwrap()).collect();
    assert_eq!(numbers, [numbers[0]; 4]);
    numbers[0]
}
