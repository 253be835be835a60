//! `logstore hunt`: rules over the logs that are stored.

use std::borrow::Cow;
use std::io::IsTerminal as _;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use logstore::alerts::{Detections, Match};
use logstore::detect::Detector;
use logstore::time::Zone;
use logstore::{DetectionStore as _, LogKey, LogQuery, Order, Severity};
use serde::Serialize;

use super::rules::{new_detector, rules_named, set_routes};
use crate::Result;
use crate::context::{Context, processors};
use crate::filters::{Filters, matched, note_cut};
use crate::flags::Limit;
use crate::logging::Drawn;
use crate::output::{Columns, Row, note};
use crate::table::Column;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Apply these rules: files, folders, archives, or ids of the store; repeatable [default: the enabled rules of the store]
    #[arg(long, value_name = "PATH|ID")]
    rules: Vec<String>,

    #[command(flatten)]
    filters: Filters,

    /// Store what is found as alerts, marked as found later
    #[arg(long)]
    alerts: bool,

    /// The least level of rules that are reported
    #[arg(long, value_name = "LEVEL", default_value = "informational")]
    min_level: Severity,

    #[command(flatten)]
    limit: Limit,
}

/// Holds a match as it is printed.
#[derive(Debug, Serialize)]
struct MatchRow {
    event_time: DateTime<Utc>,
    severity: Severity,
    rule_id: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_ip: Option<String>,
    tags: Vec<String>,
    log: LogKey,
}

impl From<Match> for MatchRow {
    fn from(found: Match) -> Self {
        Self {
            event_time: found.log.event_time,
            severity: found.severity,
            rule_id: found.rule_id,
            title: found.title,
            host: found.host,
            user: found.user,
            process: found.process,
            source_ip: found.source_ip,
            dest_ip: found.dest_ip,
            tags: found.tags,
            log: found.log,
        }
    }
}

impl Row for MatchRow {
    const TIMES: &'static [&'static str] = &["event_time"];

    fn cells(&self, zone: Zone) -> Vec<String> {
        vec![
            zone.format(self.event_time, SecondsFormat::Secs),
            self.severity.to_string(),
            self.host.clone().unwrap_or_default(),
            self.user.clone().unwrap_or_default(),
            self.title.clone(),
        ]
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("time"),
        Column::whole("severity"),
        Column::cut_to(8, "host").spare(),
        Column::cut_to(8, "user").spare(),
        Column::cut_to(24, "rule"),
    ]),
    csv: &[
        "event_time",
        "severity",
        "rule_id",
        "title",
        "host",
        "user",
        "process",
        "source_ip",
        "dest_ip",
        "tags",
        "log",
    ],
};

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let query = args
        .filters
        .query(context.output.zone())?
        .order(Order::OldestFirst);
    set_routes(context)?;
    let store = context.existing_store()?;
    let rules = rules_named(&args.rules, &store, context)?;
    if rules.is_empty() {
        log::warn!(
            "there is no rule to apply: name some with --rules, or store them with logstore rules import"
        );
    }
    let detector = new_detector(&rules, context).min_level(args.min_level);
    report(&detector, &query, args.alerts, &args.limit, context)
}

/// Applies a detector to the logs that a query wants, stores what it finds as alerts if asked to, and prints it.
pub(super) fn report(
    detector: &Detector,
    query: &LogQuery,
    stores_alerts: bool,
    limit: &Limit,
    context: &mut Context,
) -> Result {
    let store = context.existing_store()?;
    let bar = progress_bar();
    let drawn = Drawn::new(bar.clone());
    let found = detector.hunt(&store, query, processors(), |logs| bar.set_position(logs))?;
    drop(drawn);
    if stores_alerts {
        let stored = store.store_detections(&found)?;
        if !found.matches.is_empty() {
            note(format_args!(
                "Matches counted in alerts: {}, counted before: {}, new alerts: {}",
                stored.counted, stored.repeated, stored.stored
            ));
        }
    }
    let printed = print(found, limit, context)?;
    matched(printed, "logs", (query.since, query.until), context.output.zone())
}

/// Returns a bar that is drawn if standard error is a terminal. It counts the logs, as no store knows how many of them may
/// match.
pub(super) fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    // The template is valid; a bar without it only spins.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} logs {per_sec} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn print(found: Detections, limit: &Limit, context: &mut Context) -> Result<u64> {
    let limit = context
        .output
        .limit(limit.limit)
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let count = found.matches.len();
    let rows = found
        .matches
        .into_iter()
        .take(limit)
        .map(|found| Ok(MatchRow::from(found)));
    let printed = context.output.rows(&COLUMNS, rows)?;
    note_cut(printed, count as u64, "matches");
    Ok(printed)
}
