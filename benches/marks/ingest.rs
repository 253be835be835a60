//! How long does it take to take in a file, and how large does it become?

use std::time::Duration;

use crate::data::Form;
use crate::report::{Report, ratio, timed};
use crate::stores::ingest;
use crate::{Scale, engine};

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    let json = scale.lines(0..scale.rows, Form::Json);
    report.compare(
        "ingest NDJSON",
        "INSERT ... FROM read_json",
        1.0,
        || timed(|| ingest(&scale.new_file("ours.duckdb"), &json)),
        || timed(|| engine::insert_json(&scale.new_file("theirs.duckdb"), &json)),
    );
    let bytes = |path: &std::path::Path| path.metadata().expect("a file").len();
    let (store, lines) = (bytes(&scale.folder.join("ours.duckdb")), bytes(&json));
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let share = store as f64 / lines as f64;
    report.line(
        "bytes on disk",
        "the NDJSON",
        0.18,
        &store.to_string(),
        &lines.to_string(),
        share,
    );
    let syslog = scale.lines(0..scale.rows, Form::Syslog);
    report.compare(
        "ingest syslog text",
        "INSERT ... regexp_extract FROM read_csv",
        0.6,
        || timed(|| ingest(&scale.new_file("ours.duckdb"), &syslog)),
        || timed(|| engine::insert_lines(&scale.new_file("theirs.duckdb"), &syslog)),
    );
    grow(scale, report);
}

/// Ten files into one store.
fn grow(scale: &Scale, report: &mut Report) {
    let store = scale.new_file("growing.duckdb");
    let mut times: Vec<Duration> = Vec::new();
    for part in 0..10 {
        let rows = part * scale.rows..(part + 1) * scale.rows;
        let file = scale.lines(rows, Form::Json);
        times.push(timed(|| ingest(&store, &file)).0);
        if part > 0 {
            std::fs::remove_file(file).expect("a file is removed");
        }
    }
    let (first, tenth) = (times[0], times[9]);
    let texts = [tenth, first].map(|time| format!("{time:.2?}"));
    report.line(
        "the tenth file into one store",
        "the first",
        1.3,
        &texts[0],
        &texts[1],
        ratio(tenth, first),
    );
}
