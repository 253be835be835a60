//! Many processes on one lake, each killed again and again: every log once, every alert once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use logstore::duckdb::MaintenanceOptions;
use logstore::{Alert, ConsumerStore as _, Cursor, DuckDbStore, Error, LogEntry, LogStore as _, Severity};

use crate::processes::{Process, given, given_store};
use crate::support::{PATIENCE, at};
use crate::test_lake::{TestLake, options};

const SECONDS: u64 = 30;
const WRITERS: i64 = 4;

/// Twice one name, and once another.
const CONSUMERS: [&str; 3] = ["brute-force", "brute-force", "scan"];

fn open() -> DuckDbStore {
    let options = options().lock_timeout(PATIENCE).threads(1);
    options.open(given_store()).unwrap()
}

/// How many logs a batch has: most stay in the catalog, some are files.
pub(crate) fn size(batch: i64) -> i64 {
    if batch % 20 == 7 { 1_200 } else { 1 + batch % 30 }
}

/// A batch that is the same whoever makes it again.
pub(crate) fn batch(writer: i64, batch: i64) -> Vec<LogEntry> {
    (0..size(batch))
        .map(|n| {
            LogEntry::new(at(batch * 60))
                .with_id(format!("{writer}/{batch}/{n}"))
                .with_appname(writer.to_string())
                .with_procid(batch)
        })
        .collect()
}

#[test]
#[ignore = "run in a process of its own"]
fn writer() {
    let (store, writer) = (open(), given("LOGSTORE_TEST_WRITER"));
    for number in given("LOGSTORE_TEST_BATCH").. {
        store.append_logs(&batch(writer, number)).unwrap();
        println!("\nstored={number}");
    }
}

#[test]
#[ignore = "run in a process of its own"]
fn newcomer() {
    let writer = given("LOGSTORE_TEST_WRITER");
    open().append_logs(&batch(writer, 0)).unwrap();
}

#[test]
fn all_may_come_first() {
    for _ in 0..3 {
        let Some(lake) = TestLake::in_postgres() else {
            return;
        };
        let newcomers: Vec<Process> = (0..6)
            .map(|writer| {
                let variables = [("LOGSTORE_TEST_WRITER", writer.to_string())];
                Process::start("scale_out::newcomer", Path::new(&lake.location), &variables)
            })
            .collect();
        for newcomer in newcomers {
            newcomer.finish();
        }
        let expected: Vec<_> = (0..6).map(|writer| ((writer, 0), size(0))).collect();
        assert_eq!(batches(&lake.open()).into_iter().collect::<Vec<_>>(), expected);
    }
}

/// Reads on from where its name stands, and stores an alert for each log: with an id of its own, so that whatever is
/// done twice shows.
pub(crate) fn consume(store: &DuckDbStore, name: &str) -> Result<usize, Error> {
    let position = store.position(name)?;
    let page = store.read_after(position.unwrap_or(Cursor::BEGINNING), 500)?;
    let alerts: Vec<Alert> = page
        .logs
        .iter()
        .map(|log| Alert::new(name, "heuristic", Severity::Low).with_log_id(&log.id))
        .collect();
    if !alerts.is_empty() {
        store.commit(name, position, page.next, &alerts)?;
    }
    Ok(alerts.len())
}

#[test]
#[ignore = "run in a process of its own"]
fn consumer() {
    let (store, name) = (open(), std::env::var("LOGSTORE_TEST_CONSUMER").unwrap());
    loop {
        match consume(&store, &name) {
            Ok(0) => std::thread::sleep(Duration::from_millis(20)),
            Ok(read) => println!("\nread={read}"),
            Err(Error::Conflict { .. }) => println!("\nconflict=1"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
#[ignore = "run in a process of its own"]
fn keeper() {
    let store = open();
    let plan = MaintenanceOptions {
        snapshot_retention: TimeDelta::zero(),
        unused_file_retention: TimeDelta::seconds(10),
        ..MaintenanceOptions::default()
    };
    loop {
        for step in store.maintain(&plan).unwrap() {
            step.unwrap();
        }
        println!("\nmaintained=1");
    }
}

/// A process that is started again whenever it is killed.
struct Worker<'a> {
    store: &'a Path,
    function: &'static str,
    name: String,
    process: Process,
    /// What it has said so far.
    said: Vec<u64>,
}

impl<'a> Worker<'a> {
    fn start(store: &'a Path, function: &'static str, name: &str) -> Self {
        Self {
            store,
            function,
            name: name.to_owned(),
            process: Self::process(store, function, name, 0),
            said: Vec::new(),
        }
    }

    fn process(store: &Path, function: &str, name: &str, batch: u64) -> Process {
        let batch = batch.to_string();
        let variables = [
            ("LOGSTORE_TEST_WRITER", name),
            ("LOGSTORE_TEST_CONSUMER", name),
            ("LOGSTORE_TEST_BATCH", &batch),
        ];
        Process::start(&format!("scale_out::{function}"), store, &variables)
    }

    fn word(&self) -> &'static str {
        match self.function {
            "writer" => "stored",
            "consumer" => "read",
            _ => "maintained",
        }
    }

    /// Whether it has stored more than the batch that each of its processes begins with.
    fn has_gone_on(&self) -> bool {
        self.function != "writer" || self.said.iter().any(|number| *number > 0)
    }

    /// Lets a writer store another batch, however long that takes.
    fn wait(&mut self) {
        let known = self.said.last().copied();
        while self.function == "writer" && self.said.last().copied() <= known {
            let number = self.process.expect(self.word());
            self.said.push(number);
        }
    }

    /// Kills it and starts it again; a writer repeats the last batch that it is known to have stored.
    fn kill_and_start(self) -> Self {
        let mut worker = self;
        let last = worker.said.last().copied().unwrap_or_default();
        let next = Self::process(worker.store, worker.function, &worker.name, last);
        let word = worker.word();
        worker
            .said
            .extend(std::mem::replace(&mut worker.process, next).kill(word));
        worker
    }

    fn kill(self) -> (String, Vec<u64>) {
        let (word, mut said) = (self.word(), self.said);
        said.extend(self.process.kill(word));
        (self.name, said)
    }
}

/// How many logs each batch of each writer has in the store.
pub(crate) fn batches(store: &DuckDbStore) -> BTreeMap<(i64, i64), i64> {
    let sql = "SELECT CAST(appname AS BIGINT), procid, count(*) FROM logs GROUP BY ALL";
    let rows = store.execute_query(sql, &[]).unwrap().rows;
    let number = |value: &serde_json::Value| value.as_i64().unwrap();
    rows.iter()
        .map(|row| ((number(&row[0]), number(&row[1])), number(&row[2])))
        .collect()
}

/// Each consumer has stored one alert for each log.
pub(crate) fn assert_alerts(store: &DuckDbStore, consumers: &[&str], logs: i64) {
    let sql = "SELECT alert_type, count(*), count(DISTINCT log_id) FROM alerts GROUP BY ALL ORDER BY ALL";
    let alerts = store.execute_query(sql, &[]).unwrap().rows;
    let expected: Vec<_> = consumers
        .iter()
        .map(|name| serde_json::json!([name, logs, logs]))
        .collect();
    assert_eq!(serde_json::json!(alerts), serde_json::json!(expected));
}

#[test]
fn killed_processes_lose_nothing_and_double_nothing() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    let store = lake.open();
    let location = Path::new(&lake.location);
    let mut workers: Vec<Worker<'_>> = (0..WRITERS)
        .map(|writer| Worker::start(location, "writer", &writer.to_string()))
        .collect();
    workers.extend(CONSUMERS.map(|name| Worker::start(location, "consumer", name)));
    workers.push(Worker::start(location, "keeper", "keeper"));
    let (started, mut kills) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(SECONDS) || !workers.iter().all(Worker::has_gone_on) {
        std::thread::sleep(Duration::from_millis(fastrand::u64(100..1_500)));
        let mut victim = workers.swap_remove(fastrand::usize(..workers.len()));
        // Or on a busy machine, none would get as far as that before it is killed.
        if fastrand::bool() {
            victim.wait();
        }
        workers.push(victim.kill_and_start());
        kills += 1;
    }
    let ended: Vec<(String, Vec<u64>)> = workers.into_iter().map(Worker::kill).collect();

    let stored = batches(&store);
    for ((writer, number), count) in &stored {
        assert_eq!(*count, size(*number), "batch {number} of writer {writer}");
    }
    for writer in 0..WRITERS {
        let (_, said) = ended
            .iter()
            .find(|(name, _)| *name == writer.to_string())
            .unwrap();
        for number in said {
            let batch = (writer, i64::try_from(*number).unwrap());
            assert!(stored.contains_key(&batch), "{batch:?} was stored and is gone");
        }
    }
    for name in CONSUMERS {
        while consume(&store, name).unwrap() > 0 {}
    }
    let logs = stored.values().sum::<i64>();
    assert_alerts(&store, &["brute-force", "scan"], logs);
    let upkeeps = ended.iter().find(|(name, _)| name == "keeper").unwrap().1.len();
    eprintln!(
        "{SECONDS} s, {kills} kills, {} commits of {logs} logs, {upkeeps} upkeeps",
        stored.len()
    );
}
