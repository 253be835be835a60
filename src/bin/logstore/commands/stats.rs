//! `logstore stats`: counts, times and sizes of the store.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use indicatif::{HumanBytes, HumanCount};
use logstore::LogStore as _;
use logstore::storage::{FileLogs, Stats};
use logstore::time::Zone;
use serde::Serialize;

use crate::Result;
use crate::context::Context;
use crate::output::{Columns, Row};
use crate::printable::printable;
use crate::table::Column;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

#[derive(Serialize)]
#[serde(transparent)]
struct StatsRow(Stats);

/// This row is for programs only: people get a list.
impl Row for StatsRow {
    const TIMES: &'static [&'static str] = &["oldest_log", "newest_log"];

    fn cells(&self, _: Zone) -> Vec<String> {
        Vec::new()
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[Column::whole("location")]),
    csv: &[
        "location",
        "data_path",
        "engine",
        "schema_version",
        "bytes_on_disk",
        "logs",
        "oldest_log",
        "newest_log",
        "logs_without_time",
        "files_without_time",
        "alerts",
        "unacknowledged_alerts",
        "threat_intel",
        "detection_rules",
        "consumers",
    ],
};

pub(crate) fn run(_: &Args, context: &mut Context) -> Result {
    let stats = context.existing_store()?.stats()?;
    if !context.output.is_table() {
        return context.output.rows(&COLUMNS, [Ok(StatsRow(stats))]).map(drop);
    }
    let zone = context.output.zone();
    let time = |time: Option<DateTime<Utc>>| {
        time.map_or("none".to_owned(), |time| zone.format(time, SecondsFormat::AutoSi))
    };
    let mut lines = vec![("store", stats.location)];
    lines.extend(stats.data_path.map(|path| ("data", path)));
    lines.extend([
        ("engine", stats.engine),
        ("schema version", stats.schema_version.to_string()),
        (
            "size",
            stats
                .bytes_on_disk
                .map_or("in memory".to_owned(), |bytes| HumanBytes(bytes).to_string()),
        ),
        ("logs", HumanCount(stats.logs).to_string()),
        ("oldest log", time(stats.oldest_log)),
        ("newest log", time(stats.newest_log)),
        (
            "without a time",
            without_time(stats.logs_without_time, &stats.files_without_time),
        ),
        (
            "alerts",
            format!(
                "{}, {} open",
                HumanCount(stats.alerts),
                HumanCount(stats.unacknowledged_alerts)
            ),
        ),
        ("threat intel", HumanCount(stats.threat_intel).to_string()),
        ("detection rules", HumanCount(stats.detection_rules).to_string()),
        ("consumers", HumanCount(stats.consumers).to_string()),
    ]);
    let text: String = lines
        .iter()
        .map(|(name, value)| format!("{name:<16}  {}\n", printable(value)))
        .collect();
    context.output.text(&text)
}

/// Returns a text such as `1,234 (app.log: 1,000, -: 234)`. The name `-` means logs that were not read from a file.
fn without_time(logs_without_time: u64, files: &[FileLogs]) -> String {
    let logs = HumanCount(logs_without_time);
    let counted = files
        .iter()
        .map(|file| file.logs)
        .sum::<u64>()
        .min(logs_without_time);
    let files: Vec<String> = files
        .iter()
        .map(|FileLogs { file, logs, .. }| {
            let name = file.as_deref().unwrap_or("-");
            format!("{name}: {}", HumanCount(*logs))
        })
        .collect();
    let others = logs_without_time - counted;
    match (&files[..], others) {
        ([], _) => logs.to_string(),
        (_, 0) => format!("{logs} ({})", files.join(", ")),
        _ => format!("{logs} ({}, others: {})", files.join(", "), HumanCount(others)),
    }
}
