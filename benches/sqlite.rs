//! What `peers.py` asks of everyone, asked of SQLite: `sqlite LOGS STORE SINCE NEEDLE` takes a file of NDJSON in and
//! prints seconds and answers as JSON.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::time::Instant;

use rusqlite::{Connection, params_from_iter};
use serde_json::{Map, Value, json};

const NAMES: [&str; 13] = [
    "id",
    "timestamp",
    "raw",
    "appname",
    "file",
    "host",
    "hostname",
    "message",
    "procid",
    "source_type",
    "normalized",
    "metadata",
    "source_ip",
];

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let [logs, store, since, needle] = &arguments[..] else {
        println!("skipped: name a file of logs, a store, a time and a text");
        return;
    };
    let mut engine = Connection::open(store).expect("a store");
    let ingest = timed(|| ingest(&mut engine, logs)).0;
    let recent = median(|| {
        count_rows(
            &engine,
            "SELECT * FROM logs WHERE timestamp >= ? ORDER BY timestamp DESC",
            &[since],
        )
    });
    let found = median(|| {
        let sql = "SELECT count(*) FROM logs WHERE instr(raw, ?)";
        engine
            .query_row(sql, [needle], |row| row.get(0))
            .expect("a count")
    });
    let groups = median(|| {
        count_rows(
            &engine,
            "SELECT source_ip, count(*) FROM logs GROUP BY source_ip",
            &[],
        )
    });
    println!(
        "{}",
        json!({"ingest": ingest, "recent": recent, "found": found, "groups": groups})
    );
}

/// Write-ahead logging and one transaction, as SQLite's own documentation advises for bulk.
fn ingest(engine: &mut Connection, logs: &str) -> i64 {
    engine
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE logs ({})",
            NAMES.join(", ")
        ))
        .expect("a table");
    let transaction = engine.transaction().expect("a transaction");
    {
        let places = ["?"; NAMES.len()].join(", ");
        let mut statement = transaction
            .prepare(&format!("INSERT INTO logs VALUES ({places})"))
            .expect("SQL");
        for line in BufReader::new(File::open(logs).expect("logs")).lines() {
            let mut log: Map<String, Value> = serde_json::from_str(&line.expect("a line")).expect("JSON");
            let address = log["normalized"].get("src_ip").cloned().unwrap_or_default();
            log.insert("source_ip".to_owned(), address);
            let values = NAMES.map(|name| match &log[name] {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            });
            statement.execute(params_from_iter(values)).expect("a row");
        }
    }
    transaction
        .execute_batch("CREATE INDEX by_time ON logs (timestamp)")
        .expect("an index");
    transaction.commit().expect("a commit");
    engine
        .query_row("SELECT count(*) FROM logs", [], |row| row.get(0))
        .expect("a count")
}

/// Reads all of every row.
fn count_rows(engine: &Connection, sql: &str, values: &[&str]) -> i64 {
    let mut statement = engine.prepare(sql).expect("SQL");
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(values)).expect("rows");
    let mut count = 0;
    while let Some(row) = rows.next().expect("a row") {
        for column in 0..columns {
            std::hint::black_box(row.get_ref(column).expect("a value"));
        }
        count += 1;
    }
    count
}

fn timed(work: impl FnOnce() -> i64) -> (f64, i64) {
    let started = Instant::now();
    let answer = work();
    (started.elapsed().as_secs_f64(), answer)
}

fn median(mut work: impl FnMut() -> i64) -> (f64, i64) {
    let mut taken = [0; 3].map(|_| timed(&mut work));
    taken.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    taken[1]
}
