//! How long does it take to learn whether something was ever seen?

use std::path::Path;

use duckdb::Connection;
use logstore::{DuckDbStore, LogQuery, LogStore as _, StoreExt as _};

use crate::report::{Report, timed};
use crate::stores::{LINES_ALONE, exclusive, program};
use crate::{Scale, engine};

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    for (rows, size) in [(scale.rows, "the store"), (scale.large, "the large store")] {
        let path = scale.store(rows);
        in_process(&path, &scale.lines_alone(rows), size, report);
        whole_process(&path, size, report);
    }
}

fn in_process(path: &Path, lines: &Path, size: &str, report: &mut Report) {
    let address = rare_address(path);
    let exact = format!("(^|[^0-9.]){}($|[^0-9.])", address.replace('.', "[.]"));
    let of_address = format!("regexp_matches(raw, '{exact}')");
    let has = |value: &str| LogQuery::new().has(value).expect("a value");
    let questions = [
        (
            "a word that is nowhere",
            has("nowhere7"),
            "contains(raw, 'nowhere7')",
        ),
        (
            "an address that is nowhere",
            has("203.0.113.77"),
            "contains(raw, '203.0.113.77')",
        ),
        (
            "a phrase that is nowhere",
            LogQuery::new().contains(" nowhere7 and "),
            "contains(raw, ' nowhere7 and ')",
        ),
        (
            "a part of a word that is nowhere",
            LogQuery::new().contains("owhere7"),
            "contains(raw, 'owhere7')",
        ),
        (
            "a text in many lines",
            LogQuery::new().contains("Failed password"),
            "contains(raw, 'Failed password')",
        ),
        ("an address in 20 logs", has(&address), &of_address),
    ];
    for (work, query, condition) in questions {
        let sql = format!("SELECT count(*) FROM lines WHERE {condition}");
        let ours = |store: &DuckDbStore| store.count_logs(&query).expect("a count");
        report.compare(
            &format!("count in {size}: {work}"),
            LINES_ALONE,
            0.1,
            || {
                let store = exclusive(path);
                ours(&store);
                timed(|| ours(&store))
            },
            || {
                let engine = Connection::open(lines).expect("an engine");
                timed(|| engine::answer(&engine, &sql))
            },
        );
    }
    let sql = format!("SELECT raw FROM lines WHERE {of_address}");
    report.compare(
        &format!("fetch from {size}: an address in 20 logs"),
        LINES_ALONE,
        0.1,
        || {
            let store = exclusive(path);
            timed(|| store.fetch_logs(&has(&address)).expect("logs").len())
        },
        || {
            let engine = Connection::open(lines).expect("an engine");
            timed(|| engine::arrow_rows(&engine, &sql))
        },
    );
}

/// Beside a count of all logs, which reads no text.
fn whole_process(path: &Path, size: &str, report: &mut Report) {
    let count = |arguments: &[&str]| {
        let output = program(path)
            .arg("count")
            .args(arguments)
            .output()
            .expect("the program runs");
        output.stdout.len() > 1
    };
    report.compare(
        &format!("logstore count --has in {size}: a word that is nowhere"),
        "logstore count",
        2.0,
        || timed(|| count(&["--has", "nowhere7"])),
        || timed(|| count(&[])),
    );
}

/// Returns an address of 20 logs, or of nearly as many.
fn rare_address(path: &Path) -> String {
    let engine = Connection::open(path).expect("an engine");
    let sql = "SELECT source_ip FROM logs WHERE source_ip IS NOT NULL GROUP BY source_ip
        ORDER BY abs(count(*) - 20), source_ip LIMIT 1";
    engine.query_row(sql, [], |row| row.get(0)).expect("an address")
}
