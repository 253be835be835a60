//! How long does it take to have logs as typed values?

use duckdb::Connection;
use logstore::{LogQuery, LogStore as _, Order};

use crate::report::{Report, timed};
use crate::stores::exclusive;
use crate::{Scale, engine};

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    let path = scale.store(scale.rows / 2);
    let columns = "event_time, id, \"timestamp\", raw, appname, file, host, hostname, message, procid, source_type, \
                   normalized, metadata, ingestion_time";
    for (order, name) in [
        (" ORDER BY event_time, seq", "ordered Arrow scan"),
        ("", "Arrow scan"),
    ] {
        report.compare(
            "fetch half as many logs as LogEntry",
            name,
            1.6,
            || {
                let store = exclusive(&path);
                let query = LogQuery::new().order(Order::OldestFirst);
                timed(|| {
                    store
                        .scan_logs(&query)
                        .expect("logs")
                        .inspect(|log| assert!(log.is_ok()))
                        .count()
                })
            },
            || {
                let engine = Connection::open(&path).expect("an engine");
                let sql = format!("SELECT {columns} FROM logs{order}");
                timed(|| engine::arrow_rows(&engine, &sql))
            },
        );
    }
}
