//! What does it cost to find that there is nothing new?

use duckdb::Connection;
use logstore::LogStore as _;

use crate::report::{Report, timed_each};
use crate::stores::exclusive;
use crate::{Scale, engine};

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    let path = scale.store(scale.large);
    let store = exclusive(&path);
    let end = store.end_cursor().expect("a cursor");
    let other = Connection::open_in_memory().expect("an engine");
    report.compare(
        "poll with nothing new",
        "SELECT 1",
        3.0,
        || {
            timed_each(200, || {
                1 + store.read_after(end, 10_000).expect("a page").logs.len() as u64
            })
        },
        || timed_each(200, || engine::number(&other, "SELECT 1")),
    );
}
