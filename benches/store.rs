//! How long the store takes for what its users do most, each time beside the engine doing the same with plain
//! SQL, in the same run, on data made here.
//!
//! `cargo bench --bench store` measures 200,000 logs; `-- --rows 2000000` another number; `-- --quick` only shows
//! that everything works.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use duckdb::Connection;
use logstore::{
    Access, Alert, AlertStore as _, DuckDbStore, IngestOptions, LogEntry, LogQuery, LogStore as _, Order,
    Severity, Source, StoreExt as _,
};

const RUNS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let rows = arguments
        .iter()
        .position(|argument| argument == "--rows")
        .and_then(|at| arguments.get(at + 1)?.parse().ok())
        .unwrap_or(if has("--quick") { 2_000 } else { 200_000 });
    let runs = if has("--quick") { 1 } else { RUNS };
    let bench = Bench::new(rows, runs);
    println!("{rows} logs, median of {runs} runs\n\n| work | logstore | engine | ratio |\n|---|---|---|---|");
    bench.append();
    bench.ingest();
    let store = bench.filled();
    bench.recent(&store);
    bench.typed(&store);
    bench.count(&store);
    bench.poll(&store);
    bench.alerts(&store);
}

struct Bench {
    folder: tempfile::TempDir,
    logs: Vec<LogEntry>,
    runs: usize,
    start: DateTime<Utc>,
}

struct Filled {
    store: DuckDbStore,
    engine: Connection,
}

impl Bench {
    fn new(rows: usize, runs: usize) -> Self {
        let start = "2024-01-01T00:00:00Z".parse().expect("a time");
        let logs = (0..rows).map(|row| log(start, row)).collect();
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            folder,
            logs,
            runs,
            start,
        }
    }

    fn line(&self, work: &str, mut ours: impl FnMut() -> u64, mut theirs: impl FnMut() -> u64) {
        let mut times = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            let (ours, theirs) = (timed(&mut ours), timed(&mut theirs));
            assert_eq!(ours.1, theirs.1, "{work}: both must do the same");
            times.0.push(ours.0);
            times.1.push(theirs.0);
        }
        let (ours, theirs) = (median(times.0), median(times.1));
        println!(
            "| {work} | {ours:.2?} | {theirs:.2?} | {:.2} |",
            ours.as_secs_f64() / theirs.as_secs_f64()
        );
    }

    /// The same rows in a store and in a table that the engine filled from it.
    fn filled(&self) -> Filled {
        let path = self.folder.path().join("filled.duckdb");
        let options = DuckDbStore::options().access(Access::Exclusive);
        let store = options.open(&path).expect("a store");
        store.append_logs(&self.logs).expect("logs are appended");
        let parquet = self.folder.path().join("logs.parquet");
        drop(store);
        let exporting = DuckDbStore::options()
            .external_access(true)
            .open(&path)
            .expect("a store");
        exporting
            .export_logs(
                &LogQuery::new().order(Order::Oldest),
                &parquet,
                logstore::ExportFormat::Parquet,
            )
            .expect("logs are exported");
        drop(exporting);
        let engine = Connection::open(self.folder.path().join("engine.duckdb")).expect("an engine");
        let create = format!("CREATE TABLE logs AS SELECT * FROM '{}'", parquet.display());
        engine.execute_batch(&create).expect("a table");
        Filled {
            store: options.open(&path).expect("a store"),
            engine,
        }
    }

    fn append(&self) {
        let file = self.write_lines("append.jsonl");
        let count = std::cell::Cell::new(0);
        let fresh = || {
            count.set(count.get() + 1);
            self.folder.path().join(format!("append{}.duckdb", count.get()))
        };
        self.line(
            "append all logs (engine: INSERT ... FROM read_json)",
            || {
                let store = DuckDbStore::open(fresh()).expect("a store");
                store.append_logs(&self.logs).expect("logs are appended").stored
            },
            || insert_json(&fresh(), &file),
        );
    }

    fn ingest(&self) {
        let file = self.write_lines("ingest.jsonl");
        let count = std::cell::Cell::new(0);
        let fresh = || {
            count.set(count.get() + 1);
            self.folder.path().join(format!("ingest{}.duckdb", count.get()))
        };
        self.line(
            "ingest NDJSON (engine: INSERT ... FROM read_json)",
            || {
                let store = DuckDbStore::open(fresh()).expect("a store");
                let reader = Source::file(&file).open(&IngestOptions::new()).expect("a file");
                let logs: Vec<_> = reader.map(|log| log.expect("a log")).collect();
                store.append_logs(&logs).expect("logs are appended").stored
            },
            || insert_json(&fresh(), &file),
        );
    }

    fn recent(&self, filled: &Filled) {
        let since = self.end() - TimeDelta::minutes(1);
        let sql = format!(
            "SELECT count(message) FROM (SELECT * FROM logs WHERE event_time >= '{}' ORDER BY event_time DESC)",
            since.naive_utc()
        );
        self.line(
            "fetch the last minute",
            || {
                filled
                    .store
                    .fetch_logs(&LogQuery::new().since(since))
                    .expect("logs")
                    .len() as u64
            },
            || number(&filled.engine, &sql),
        );
    }

    fn typed(&self, filled: &Filled) {
        self.line(
            "fetch all logs as LogEntry (engine: Arrow scan)",
            || {
                let logs = filled
                    .store
                    .scan_logs(&LogQuery::new().order(Order::Oldest))
                    .expect("logs");
                logs.inspect(|log| assert!(log.is_ok())).count() as u64
            },
            || {
                let mut statement = filled
                    .engine
                    .prepare("SELECT * FROM logs ORDER BY event_time")
                    .expect("SQL");
                statement
                    .query_arrow([])
                    .expect("rows")
                    .map(|batch| batch.num_rows() as u64)
                    .sum()
            },
        );
    }

    fn count(&self, filled: &Filled) {
        self.line(
            "count by source_ip",
            || {
                filled
                    .store
                    .count_logs_by(&LogQuery::new(), &["source_ip".parse().expect("a field")])
                    .expect("groups")
                    .len() as u64
            },
            || {
                number(
                    &filled.engine,
                    "SELECT count(*) FROM (SELECT source_ip, count(*) FROM logs GROUP BY source_ip)",
                )
            },
        );
        self.line(
            "count logs that hold a text",
            || {
                filled
                    .store
                    .count_logs(&LogQuery::new().contains("user7 "))
                    .expect("a count")
            },
            || {
                number(
                    &filled.engine,
                    "SELECT count(*) FROM logs WHERE contains(message, 'user7 ')",
                )
            },
        );
    }

    fn poll(&self, filled: &Filled) {
        let end = filled.store.end_cursor().expect("a cursor");
        self.line(
            "poll with nothing new (engine: SELECT 1)",
            || filled.store.read_after(end, 10_000).expect("a page").logs.len() as u64 + 1,
            || number(&filled.engine, "SELECT 1"),
        );
    }

    fn alerts(&self, filled: &Filled) {
        let table = "CREATE TABLE alerts (id VARCHAR PRIMARY KEY, alert_type VARCHAR, severity VARCHAR, created_at TIMESTAMP)";
        filled.engine.execute_batch(table).expect("a table");
        let size = self.logs.len().min(10_000);
        self.line(
            "store 10,000 alerts (engine: appender)",
            || {
                let alerts: Vec<_> = (0..size)
                    .map(|_| Alert::new("brute_force", "bench", Severity::High))
                    .collect();
                filled.store.store_alerts(&alerts).expect("alerts are stored")
            },
            || {
                let alerts: Vec<_> = (0..size)
                    .map(|_| Alert::new("brute_force", "bench", Severity::High))
                    .collect();
                let mut appender = filled.engine.appender("alerts").expect("an appender");
                for alert in &alerts {
                    let row = duckdb::params![
                        alert.id,
                        alert.alert_type,
                        "high",
                        alert.created_at.naive_utc().to_string()
                    ];
                    appender.append_row(row).expect("a row");
                }
                appender.flush().expect("rows");
                alerts.len() as u64
            },
        );
    }

    fn end(&self) -> DateTime<Utc> {
        self.logs.last().map_or(self.start, |log| log.event_time)
    }

    fn write_lines(&self, name: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
        for log in &self.logs {
            let source = log.source_ip().unwrap_or_default();
            let (time, message) = (log.event_time, log.message.as_deref().unwrap_or_default());
            let line = serde_json::json!({
                "@timestamp": time, "host": "web1", "program": "sshd", "pid": 42, "message": message, "src_ip": source,
            });
            writeln!(file, "{line}").expect("a line");
        }
        path
    }
}

/// Everything about a log follows from its number.
fn log(start: DateTime<Utc>, row: usize) -> LogEntry {
    let number = i64::try_from(row).expect("a number of rows");
    let address = format!("10.{}.{}.{}", row % 7, row / 7 % 251, row / 31 % 253);
    LogEntry::new(start + TimeDelta::milliseconds(10 * number))
        .with_appname("sshd")
        .with_host("web1")
        .with_procid(number % 30_000)
        .with_message(format!(
            "Failed password for user{} from {address} port {} ssh2",
            row % 100,
            row % 60_000
        ))
        .with_field("source_ip", address)
        .with_field(
            "outcome",
            if row.is_multiple_of(3) {
                "failure"
            } else {
                "success"
            },
        )
}

fn insert_json(database: &Path, file: &Path) -> u64 {
    let engine = Connection::open(database).expect("an engine");
    let sql = format!(
        "CREATE TABLE logs AS SELECT uuid() AS id, * FROM read_json('{}')",
        file.display()
    );
    engine.execute_batch(&sql).expect("rows");
    let count = number(&engine, "SELECT count(*) FROM logs");
    engine.close().expect("the file is closed");
    count
}

fn number(engine: &Connection, sql: &str) -> u64 {
    engine.query_row(sql, [], |row| row.get(0)).expect("a number")
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let value = work();
    (started.elapsed(), value)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
