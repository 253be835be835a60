//! For how long an operation keeps other processes from a shared store, by when the write-ahead log is written
//! back into the file, and by the size of a commit.
//!
//! `cargo bench --bench lock` measures a store of 1,000,000 logs; `-- --rows 200000` another number; `-- --quick`
//! only shows that everything works.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use duckdb::{AccessMode, Config, Connection};
use logstore::{Cursor, DuckDbStore, LogEntry, LogQuery, LogStore as _, StoreExt as _};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let given = arguments.iter().position(|argument| argument == "--rows");
    let rows = given
        .and_then(|at| arguments.get(at + 1)?.parse().ok())
        .unwrap_or(if is_quick { 1_000 } else { 1_000_000 });
    let runs = if is_quick { 2 } else { 30 };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("logstore.duckdb");
    let mut numbers = fill(&path, rows);
    println!("a store of {rows} logs, {runs} runs\n\n| work | median | longest |\n|---|---|---|");
    for policy in [Policy::AtClose, Policy::AtSize] {
        by_policy(folder.path(), &path, policy, runs);
    }
    let store = DuckDbStore::open(&path).expect("a store");
    for size in [1, 100, 1_000, 10_000, 50_000] {
        report(&format!("append {size} logs"), runs, || {
            store
                .append_logs(&next_logs(&mut numbers, size))
                .expect("logs are appended");
        });
    }
    report("poll 1,000 logs", runs, || {
        store.read_after(Cursor::BEGINNING, 1_000).expect("a page");
    });
    report("fetch the newest 100 logs", runs, || {
        store.fetch_logs(&LogQuery::new().limit(100)).expect("logs");
    });
}

/// When the engine writes its write-ahead log back into the file.
#[derive(Clone, Copy)]
enum Policy {
    /// Whenever it closes the file, as it does by default.
    AtClose,
    /// When the write-ahead log has reached 16 MiB; until then, whoever opens the file reads it.
    AtSize,
}

/// A writer and a reader in turns, on a copy of a store, with nothing but the engine.
fn by_policy(folder: &Path, store: &Path, policy: Policy, runs: usize) {
    let path = folder.join("copy.duckdb");
    std::fs::copy(store, &path).expect("a copy");
    let (name, setting) = match policy {
        Policy::AtClose => ("at close", "SELECT 1"),
        Policy::AtSize => ("at 16 MiB", "PRAGMA disable_checkpoint_on_shutdown"),
    };
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        writes.push(timed(|| {
            let engine = Connection::open(&path).expect("an engine");
            let sql = format!(
                "{setting}; INSERT INTO log_rows SELECT * REPLACE (CAST(uuid() AS VARCHAR) AS id) FROM log_rows LIMIT 1000"
            );
            engine.execute_batch(&sql).expect("rows");
            engine.close().expect("the file is closed");
        }));
        reads.push(timed(|| {
            let read_only = Config::default()
                .access_mode(AccessMode::ReadOnly)
                .expect("a mode");
            let engine = Connection::open_with_flags(&path, read_only).expect("an engine");
            engine
                .execute_batch("SELECT max(event_time) FROM logs")
                .expect("a time");
            engine.close().expect("the file is closed");
        }));
    }
    line(
        &format!("engine alone, log written back {name}: write 1,000 rows"),
        writes,
    );
    line(&format!("engine alone, log written back {name}: read"), reads);
    std::fs::remove_file(&path).expect("the copy is removed");
    std::fs::remove_file(path.with_extension("duckdb.wal")).ok();
}

fn report(work: &str, runs: usize, mut operation: impl FnMut()) {
    line(work, (0..runs).map(|_| timed(&mut operation)).collect());
}

fn line(work: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let longest = times.last().expect("at least one run");
    println!("| {work} | {:.1?} | {longest:.1?} |", times[times.len() / 2]);
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// Makes a store, and gives the numbers of the logs that follow.
fn fill(path: &Path, rows: usize) -> std::ops::RangeFrom<usize> {
    const BATCH: usize = 100_000;
    let store = DuckDbStore::open(path).expect("a store");
    let mut numbers = 0..;
    for start in (0..rows).step_by(BATCH) {
        let logs = next_logs(&mut numbers, BATCH.min(rows - start));
        store.append_logs(&logs).expect("logs are appended");
    }
    numbers
}

fn next_logs(numbers: &mut std::ops::RangeFrom<usize>, count: usize) -> Vec<LogEntry> {
    let start: DateTime<Utc> = "2024-01-01T00:00:00Z".parse().expect("a time");
    let log = |number: usize| {
        let milliseconds = i64::try_from(number).expect("a number of logs");
        let text = format!(
            "Failed password for user{} from 10.0.0.{} port {number} ssh2",
            number % 97,
            number % 251
        );
        LogEntry::new(start + TimeDelta::milliseconds(milliseconds))
            .with_appname("sshd")
            .with_raw(&text)
            .with_message(text)
            .with_field("source_ip", format!("10.0.0.{}", number % 251))
    };
    numbers.by_ref().take(count).map(log).collect()
}
