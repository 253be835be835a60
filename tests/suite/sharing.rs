//! Many handles on one file.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use logstore::{
    Alert, AlertQuery, AlertStore, DuckDbStore, Error, LogEntry, LogQuery, LogStore, OpenOptions, Order,
    Severity,
};

use crate::processes::{Process, given_store, number_after};
use crate::support::{Cli, PATIENCE, log, make_large_store};

/// Its query may have just ended, and its connection be closing.
#[test]
fn a_scan_may_be_dropped_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let store = DuckDbStore::open(folder.path().join("soc.duckdb")).unwrap();
    let logs: Vec<_> = (0..5_000).map(|second| log(second, "sshd", "x")).collect();
    store.append_logs(&logs).unwrap();
    for taken in (0..100).map(|n| n * 51) {
        let scan = store.scan_logs(&LogQuery::new()).unwrap();
        assert_eq!(scan.take(taken).count(), taken.min(5_000));
    }
}

/// Someone who looks at the first page of everything, and leaves it open.
#[test]
fn a_reader_that_stops_reading_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let store = DuckDbStore::options()
        .lock_timeout(PATIENCE)
        .open(folder.path().join("soc.duckdb"))
        .unwrap();
    let logs: Vec<_> = (0..30_000)
        .map(|n| log(n, "sshd", "x").with_field("n", n).with_raw([0xff, b'\n']))
        .collect();
    store.append_logs(&logs).unwrap();
    let mut scan = store
        .scan_logs(&LogQuery::new().order(Order::OldestFirst))
        .unwrap();
    let mut read = vec![scan.next().unwrap().unwrap()];
    store.append_logs(&[log(99_999, "sshd", "later")]).unwrap();
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 30_001);
    read.extend(scan.map(Result::unwrap));
    assert_eq!(read, logs);
}

#[test]
fn readers_without_pause_let_writers_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = DuckDbStore::options()
        .lock_timeout(PATIENCE)
        .open(folder.path().join("soc.duckdb"))
        .unwrap();
    let is_over = AtomicBool::new(false);
    let appended = std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    store.count_logs(&LogQuery::new()).unwrap();
                }
            });
        }
        let appended: Result<Vec<_>, _> = (0..20)
            .map(|second| store.append_logs(&[log(second, "sshd", "x")]))
            .collect();
        is_over.store(true, Ordering::Relaxed);
        appended
    });
    appended.unwrap();
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 20);
}

#[test]
#[ignore = "run in a process of its own"]
fn keeper() {
    let store = patient().open(given_store()).unwrap();
    let (mut kept, mut stored) = (None, 0);
    while store.fetch_alerts(&AlertQuery::new()).unwrap().is_empty() {
        if kept.is_none() {
            kept = Some(store.hold_open().unwrap());
        }
        store.append_logs(&[log(stored, "sshd", "x")]).unwrap();
        stored += 1;
        println!("\nstored={stored}");
        kept = kept.filter(|kept| !kept.has_waiters());
    }
}

#[test]
fn a_store_that_is_kept_open_goes_to_those_who_wait() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    DuckDbStore::open(&path).unwrap();
    let keeper = Process::start::<&str>("sharing::keeper", &path, &[]);
    keeper.wait_for("stored").unwrap();
    let impatient = patient().lock_timeout(Duration::ZERO);
    for _ in 0..100 {
        let refused = impatient.open(&path).unwrap_err();
        assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    }
    let store = patient().open(&path).unwrap();
    store
        .store_alerts(&[Alert::new("brute_force", "rule", Severity::High)])
        .unwrap();
    let said = keeper.finish();
    let stored = said.iter().rev().find_map(|line| number_after(line, "stored"));
    assert_eq!(Some(store.count_logs(&LogQuery::new()).unwrap()), stored);
}

#[test]
fn an_ingest_lets_others_in_before_its_end() {
    let cli = Cli::new();
    cli.write("logstore.toml", "[ingest]\nbatch_size = 1000\n");
    let store = patient().open(cli.path("logstore.duckdb")).unwrap();
    let mut ingest = cli
        .program(&["ingest", "-", "--lock-timeout", "10m"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = ingest.stdin.take().unwrap();
    // It always has more to store, and comes to no end.
    let feeder = std::thread::spawn(move || {
        let lines: String = (0..10_000)
            .map(|n| format!("Jan 15 00:00:00 web1 sshd[{n}]: x\n"))
            .collect();
        while input.write_all(lines.as_bytes()).is_ok() {}
    });
    let mut counts = vec![0];
    while counts.len() < 5 {
        let count = store.count_logs(&LogQuery::new()).unwrap();
        if !counts.contains(&count) {
            counts.push(count);
        }
    }
    ingest.kill().unwrap();
    ingest.wait().unwrap();
    feeder.join().unwrap();
}

fn patient() -> OpenOptions {
    DuckDbStore::options().lock_timeout(PATIENCE)
}

const SECONDS: u64 = 20;
const STORED_BEFORE: i64 = 1_000_000;
const BATCH: i64 = 1_000;

/// Runs an operation and keeps the longest time that one took, which is mostly waiting for others.
fn timed<T>(longest: &mut Duration, operation: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let outcome = operation();
    *longest = started.elapsed().max(*longest);
    outcome
}

#[test]
#[ignore = "run in a process of its own"]
fn writer() {
    let store = patient().open(given_store()).unwrap();
    let (started, mut longest, mut written) = (Instant::now(), Duration::ZERO, 0);
    while started.elapsed() < Duration::from_secs(SECONDS) {
        let logs: Vec<_> = (written..written + BATCH)
            .map(|n| LogEntry::new(Utc::now()).with_appname("new").with_procid(n))
            .collect();
        timed(&mut longest, || store.append_logs(&logs)).unwrap();
        written += BATCH;
        std::thread::sleep(Duration::from_millis(50));
    }
    let last = LogEntry::new(Utc::now())
        .with_appname("last")
        .with_procid(written);
    store.append_logs(&[last]).unwrap();
    println!("\nwritten={} longest={}", written + 1, longest.as_millis());
}

#[test]
#[ignore = "run in a process of its own"]
fn poller() {
    let store = patient().open(given_store()).unwrap();
    let mut cursor = store.end_cursor().unwrap();
    println!("\nready=1");
    let (mut is_over, mut longest, mut read) = (false, Duration::ZERO, 0);
    while !is_over {
        let page = timed(&mut longest, || store.read_after(cursor, 10_000)).unwrap();
        cursor = page.next;
        for log in page.logs {
            assert_eq!(log.procid, Some(read), "each log once, in the order of commits");
            read += 1;
            is_over = log.appname.as_deref() == Some("last");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("\nread={read} longest={}", longest.as_millis());
}

/// A writer, two pollers and an analyst, in four processes, on one file.
#[test]
fn four_processes_share_a_large_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logstore.duckdb");
    make_large_store(&path, STORED_BEFORE);
    let pollers = [(); 2].map(|()| Process::start::<&str>("sharing::poller", &path, &[]));
    for poller in &pollers {
        poller.wait_for("ready").unwrap();
    }
    let writer = Process::start::<&str>("sharing::writer", &path, &[]);
    let (started, mut longest, mut looks) = (Instant::now(), Duration::ZERO, 0);
    while started.elapsed() < Duration::from_secs(SECONDS) {
        // Something matches, however slow the writer is.
        let arguments = [
            "fetch",
            "--since",
            "2024-01-01",
            "--limit",
            "10",
            "--lock-timeout",
            "10m",
        ];
        timed(&mut longest, || {
            Process::program(folder.path(), &arguments).finish()
        });
        looks += 1;
    }
    let said = |process: Process, word| {
        let lines = process.finish();
        let number = |word| lines.iter().find_map(|line| number_after(line, word)).unwrap();
        (number(word), number("longest"))
    };
    let (written, longest_write) = said(writer, "written");
    let [first, second] = pollers.map(|poller| said(poller, "read"));
    assert_eq!((first.0, second.0), (written, written));
    let store = DuckDbStore::open(&path).unwrap();
    let count = store.count_logs(&LogQuery::new()).unwrap();
    assert_eq!(count, u64::try_from(STORED_BEFORE).unwrap() + written);
    eprintln!(
        "{SECONDS} s, {written} logs written and read twice, {looks} runs of fetch; longest append {longest_write} ms, \
         longest poll {} ms, longest fetch {} ms",
        first.1.max(second.1),
        longest.as_millis()
    );
}
