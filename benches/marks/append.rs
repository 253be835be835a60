//! How long does a small append take a collector that has the store to itself?

use duckdb::Connection;
use logstore::ingest::{IngestOptions, Source};
use logstore::{LogEntry, LogStore as _};

use crate::Scale;
use crate::data::Form;
use crate::report::{Report, timed_each};
use crate::stores::exclusive;

const LOGS: usize = 1_000;
const TIMES: u32 = 20;

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    let batches: Vec<Vec<LogEntry>> = (0..=scale.runs)
        .flat_map(|run| (0..TIMES as usize).map(move |time| (run * TIMES as usize + time) * LOGS))
        .map(|start| {
            let file = scale.lines(start..start + LOGS, Form::Json);
            let logs = Source::file(&file).open(&IngestOptions::new()).expect("a file");
            logs.map(|log| log.expect("a log")).collect()
        })
        .collect();
    let store = exclusive(&scale.new_file("append.duckdb"));
    let mut batches = batches.iter();
    let mut append = || {
        store
            .append_logs(batches.next().expect("a batch for each time"))
            .expect("logs")
            .stored
    };
    append();
    let engine = Connection::open(scale.new_file("append-engine.duckdb")).expect("an engine");
    let copy = scale.store(LOGS);
    let attach = format!("ATTACH '{}' AS s (READ_ONLY)", copy.display());
    engine.execute_batch(&attach).expect("a store");
    engine
        .execute_batch("CREATE TEMP TABLE batch AS FROM s.logs; CREATE TABLE logs AS FROM batch")
        .expect("tables");
    report.compare(
        "append 1,000 logs",
        "INSERT ... SELECT from memory",
        1.5,
        || timed_each(TIMES, &mut append),
        || {
            timed_each(TIMES, || {
                engine.execute("INSERT INTO logs FROM batch", []).expect("rows") as u64
            })
        },
    );
}
