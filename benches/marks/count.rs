//! How long do counts over all logs take?

use std::path::PathBuf;

use duckdb::Connection;
use logstore::{LogQuery, LogStore as _, Pattern};

use crate::report::{Report, timed};
use crate::stores::exclusive;
use crate::{Scale, engine, stores};

/// What a store is asked.
type Ours<'a> = &'a dyn Fn(&logstore::DuckDbStore) -> u64;

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    let (path, lines) = (scale.store(scale.rows), scale.lines_alone(scale.rows));
    let by_address =
        "SELECT source_ip, count(*) AS n FROM logs GROUP BY source_ip ORDER BY n DESC, source_ip";
    let substring = "SELECT count(*) FROM lines WHERE contains(raw, 'port 4242 ')";
    let pattern = "SELECT count(*) FROM lines WHERE regexp_matches(raw, 'port 42[0-9]+ ssh2')";
    let count = |store: &logstore::DuckDbStore, query: &LogQuery| store.count_logs(query).expect("a count");
    let (same_sql, of_lines) = (("the same SQL", &path), (stores::LINES_ALONE, &lines));
    let questions: [(&str, (&str, &PathBuf), &str, Ours<'_>); 3] = [
        ("count --by source_ip", same_sql, by_address, &|store| {
            let fields = ["source_ip".parse().expect("a field")];
            store
                .count_logs_by(&LogQuery::new(), &fields)
                .expect("groups")
                .len() as u64
        }),
        ("count lines that hold a text", of_lines, substring, &|store| {
            count(store, &LogQuery::new().contains("port 4242 "))
        }),
        ("count lines that match a pattern", of_lines, pattern, &|store| {
            let pattern: Pattern = "port 42[0-9]+ ssh2".parse().expect("a pattern");
            count(store, &LogQuery::new().pattern(pattern))
        }),
    ];
    for (work, (yardstick, database), sql, ours) in questions {
        report.compare(
            work,
            yardstick,
            1.1,
            || {
                let store = exclusive(&path);
                timed(|| ours(&store))
            },
            || {
                let engine = Connection::open(database).expect("an engine");
                timed(|| engine::answer(&engine, sql))
            },
        );
    }
}
