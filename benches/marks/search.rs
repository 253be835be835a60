//! How long does it take to learn whether something was ever seen?

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use duckdb::Connection;
use logstore::duckdb::Access;
use logstore::{Cursor, DuckDbStore, LogQuery, LogStore as _, StoreExt as _};

use crate::report::{Report, timed, timed_each};
use crate::stores::{LINES_ALONE, exclusive, program};
use crate::{Scale, engine};

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    for (rows, size) in [(scale.rows, "the store"), (scale.large, "the large store")] {
        let path = scale.store(rows);
        let lines = scale.lines_alone(rows);
        in_process(&path, &lines, size, report);
        pages(&path, &lines, size, report);
        shared(&path, size, report);
        whole_process(&path, size, report);
        many_values(scale, &path, size, report);
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

/// The pages that a consumer reads, from the first log on.
fn pages(path: &Path, lines: &Path, size: &str, report: &mut Report) {
    const LOGS: usize = 10_000;
    report.compare(
        &format!("a page of {size}: the next 10,000 logs, or all"),
        LINES_ALONE,
        1.0,
        || {
            let store = exclusive(path);
            let mut cursor = Cursor::BEGINNING;
            timed_each(10, || {
                let page = store.read_after(cursor, LOGS).expect("a page");
                cursor = page.next;
                page.logs.len().min(1)
            })
        },
        || {
            let engine = Connection::open(lines).expect("an engine");
            let mut at = 0;
            timed_each(10, || {
                let sql = format!("SELECT raw FROM lines WHERE rowid >= {at} AND rowid < {at} + {LOGS}");
                at += LOGS;
                engine::arrow_rows(&engine, &sql).min(1)
            })
        },
    );
}

/// What it costs that other processes may use the store in between.
fn shared(path: &Path, size: &str, report: &mut Report) {
    let query = LogQuery::new().has("nowhere7").expect("a value");
    let count = |access: Access| {
        let store = DuckDbStore::options().access(access).open(path).expect("a store");
        let ours = || store.count_logs(&query).expect("a count");
        ours();
        timed_each(10, ours)
    };
    report.compare(
        &format!("count in {size}, shared: a word that is nowhere"),
        "the same, exclusive",
        2.0,
        || count(Access::Shared),
        || count(Access::Exclusive),
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

/// Were these 10,000 addresses ever seen? Beside a count of all logs, which reads no text.
fn many_values(scale: &Scale, path: &Path, size: &str, report: &mut Report) {
    const VALUES: usize = 10_000;
    let rare = rare_addresses(path, 20);
    for present in [0, 5, rare.len()] {
        let mut values = rare[..present].join("\n");
        for number in present..VALUES {
            // No log has an address of this network.
            write!(values, "\n240.0.{}.{}", number / 250, number % 250).expect("memory");
        }
        let file = scale.new_file("values.txt");
        std::fs::write(&file, values).expect("a file is written");
        let run = |arguments: &[&str]| {
            let mut command = program(path);
            command.args(arguments).stdin(File::open(&file).expect("values"));
            command.output().expect("the program runs").stdout.len() > 1
        };
        report.compare(
            &format!("logstore intel lookup in {size}: 10,000 addresses, {present} of them in 20 logs each"),
            "logstore count",
            2.0,
            || timed(|| run(&["intel", "lookup", "-"])),
            || timed(|| run(&["count"])),
        );
    }
}

/// Returns an address of 20 logs, or of nearly as many.
fn rare_address(path: &Path) -> String {
    rare_addresses(path, 1).pop().expect("an address")
}

/// Returns addresses of 20 logs each, or of nearly as many.
fn rare_addresses(path: &Path, count: usize) -> Vec<String> {
    let engine = Connection::open(path).expect("an engine");
    let sql = format!(
        "SELECT source_ip FROM logs WHERE source_ip IS NOT NULL GROUP BY source_ip
        ORDER BY abs(count(*) - 20), source_ip LIMIT {count}"
    );
    let mut statement = engine.prepare(&sql).expect("SQL");
    let addresses = statement.query_map([], |row| row.get(0)).expect("addresses");
    addresses.collect::<Result<_, _>>().expect("addresses")
}
