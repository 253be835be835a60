//! How long does the last minute take in a large store?

use chrono::TimeDelta;
use duckdb::Connection;
use logstore::{LogQuery, StoreExt as _};

use crate::report::{Report, ratio, timed, timed_each};
use crate::stores::{exclusive, program};
use crate::{Scale, data, engine};

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    let (small, large) = (scale.store(scale.rows / 10), scale.store(scale.large));
    let last_minute = |rows: usize| LogQuery::new().since(data::time(rows) - TimeDelta::minutes(1));
    let fetch = |path, rows| {
        let store = exclusive(path);
        let query = last_minute(rows);
        let times: Vec<_> = (0..scale.runs)
            .map(|_| timed_each(3, || store.fetch_logs(&query).expect("logs").len()).0)
            .collect();
        crate::report::median(times)
    };
    let (of_large, of_small) = (fetch(&large, scale.large), fetch(&small, scale.rows / 10));
    let texts = [of_large, of_small].map(|time| format!("{time:.2?}"));
    report.line(
        "last minute of the large store",
        "of a small one",
        1.5,
        &texts[0],
        &texts[1],
        ratio(of_large, of_small),
    );
    let since = data::time(scale.large) - TimeDelta::minutes(1);
    let sql = format!(
        "SELECT * FROM logs WHERE event_time >= '{}' ORDER BY event_time, seq",
        since.naive_utc()
    );
    report.compare(
        "last minute of the large store",
        "the same SQL, Arrow",
        1.5,
        || {
            let store = exclusive(&large);
            let query = last_minute(scale.large);
            timed_each(3, || store.fetch_logs(&query).expect("logs").len())
        },
        || {
            let engine = Connection::open(&large).expect("an engine");
            timed_each(3, || engine::arrow_rows(&engine, &sql))
        },
    );
    // The command line of the engine, where it is.
    let Some(duckdb) = std::env::var_os("DUCKDB_CLI") else {
        eprintln!("skipped: fetch --since as a whole process, DUCKDB_CLI names no duckdb program");
        return;
    };
    let sql = sql.replace(" ORDER BY event_time, seq", " ORDER BY event_time DESC, seq DESC");
    report.compare(
        "logstore fetch --since, whole process",
        "duckdb -jsonlines with the same SQL",
        1.0,
        || {
            timed(|| {
                let mut fetch = program(&large);
                let fetch = fetch
                    .args(["fetch", "--order", "newest", "--since"])
                    .arg(since.to_rfc3339());
                lines(&fetch.output().expect("the program runs").stdout)
            })
        },
        || {
            timed(|| {
                let mut command = std::process::Command::new(&duckdb);
                let command = command.arg("-readonly").arg("-jsonlines").arg(&large).arg(&sql);
                lines(&command.output().expect("the program runs").stdout)
            })
        },
    );
}

fn lines(output: &[u8]) -> usize {
    std::io::BufRead::lines(output).count()
}
