//! How long do counts over all logs take?

use duckdb::Connection;
use logstore::{LogQuery, LogStore as _, Pattern};

use crate::report::{Report, timed};
use crate::stores::exclusive;
use crate::{Scale, engine};

/// What a store is asked.
type Ours<'a> = &'a dyn Fn(&logstore::DuckDbStore) -> u64;

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    let path = scale.store(scale.rows);
    let by_address =
        "SELECT source_ip, count(*) AS n FROM logs GROUP BY source_ip ORDER BY n DESC, source_ip";
    let substring = "SELECT count(*) FROM logs WHERE contains(raw, 'port 4242 ')";
    let pattern = "SELECT count(*) FROM logs WHERE regexp_matches(raw, 'port 42[0-9]+ ssh2')";
    let count = |store: &logstore::DuckDbStore, query: &LogQuery| store.count_logs(query).expect("a count");
    let questions: [(&str, &str, Ours<'_>); 3] = [
        ("count --by source_ip", by_address, &|store| {
            let fields = ["source_ip".parse().expect("a field")];
            store
                .count_logs_by(&LogQuery::new(), &fields)
                .expect("groups")
                .len() as u64
        }),
        ("count lines that hold a text", substring, &|store| {
            count(store, &LogQuery::new().contains("port 4242 "))
        }),
        ("count lines that match a pattern", pattern, &|store| {
            let pattern: Pattern = "port 42[0-9]+ ssh2".parse().expect("a pattern");
            count(store, &LogQuery::new().pattern(pattern))
        }),
    ];
    for (work, sql, ours) in questions {
        report.compare(
            work,
            "the same SQL",
            1.1,
            || {
                let store = exclusive(&path);
                timed(|| ours(&store))
            },
            || {
                let engine = Connection::open(&path).expect("an engine");
                timed(|| engine::answer(&engine, sql))
            },
        );
    }
}
