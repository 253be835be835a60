//! `logstore fetch`: logs, now or as they come.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::{Duration, Instant};

use chrono::SecondsFormat;
use logstore::time::Zone;
use logstore::{
    CoreFields, Error, Fetcher, LogEntry, LogQuery, LogStore as _, Order, StartPosition, StoreExt as _,
};
use serde::{Serialize, Serializer};

use crate::Result;
use crate::context::Context;
use crate::filters::{Filters, matched_logs, note_limit};
use crate::flags::{Limit, TimeLimit, span};
use crate::output::{Columns, Row};
use crate::signals::Signals;
use crate::table::Column;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    filters: Filters,

    #[command(flatten)]
    limit: Limit,

    /// Which logs come first [default: the newest logs, the oldest of them first]
    #[arg(long, value_name = "ORDER", conflicts_with = "follow")]
    order: Option<OrderArg>,

    /// Go on with logs as they are stored; without --since, after the last 10
    #[arg(short, long)]
    follow: bool,

    #[command(flatten)]
    time: TimeLimit,

    /// Time between polls, with --follow [default: the setting fetch.interval]
    #[arg(long, value_name = "TIME", value_parser = span, requires = "follow")]
    interval: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OrderArg {
    Newest,
    Oldest,
}

pub(crate) const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("time"),
        Column::cut_to(8, "host"),
        Column::cut_to(8, "program"),
        Column::whole("pid"),
        Column::cut_to(16, "message"),
    ]),
    csv: &[
        "id",
        "event_time",
        "timestamp",
        "host",
        "hostname",
        "appname",
        "procid",
        "message",
        "source_type",
        "file",
        "raw",
        "normalized",
        "metadata",
        "ingestion_time",
        "source_ip",
        "dest_ip",
        "source_port",
        "dest_port",
        "user",
        "process",
        "action",
        "outcome",
        "level",
    ],
};

/// Holds a log as it is printed: its stored fields and its core fields.
pub(crate) struct LogRow(pub(crate) LogEntry);

impl Serialize for LogRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct WithSummary<'a> {
            #[serde(flatten)]
            log: &'a LogEntry,
            #[serde(flatten)]
            summary: CoreFields<'a>,
        }
        let summary = self.0.core_fields();
        WithSummary {
            log: &self.0,
            summary,
        }
        .serialize(serializer)
    }
}

impl Row for LogRow {
    const TIMES: &'static [&'static str] = &["event_time", "ingestion_time"];

    fn cells(&self, zone: Zone) -> Vec<String> {
        let log = &self.0;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            zone.format(log.event_time, SecondsFormat::AutoSi),
            text(&log.host),
            text(&log.appname),
            log.procid.map(|process| process.to_string()).unwrap_or_default(),
            log.message
                .clone()
                .or_else(|| log.raw.clone())
                .unwrap_or_default(),
        ]
    }
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let query = args.filters.query(context.output.zone())?;
    if args.follow {
        return follow(args, query, context);
    }
    let limit = context.output.limit(args.limit.limit);
    let mut query = query.order(match (args.order, limit) {
        (Some(OrderArg::Newest), _) | (None, Some(_)) => Order::NewestFirst,
        (Some(OrderArg::Oldest), _) | (None, None) => Order::OldestFirst,
    });
    query.limit = limit;
    let store = context.existing_store_within(&args.time)?;
    let printed = if args.order.is_none() && limit.is_some() {
        let newest = store.fetch_logs(&query)?;
        let rows = newest.into_iter().rev().map(|log| Ok(LogRow(log)));
        context.output.rows(&COLUMNS, rows)?
    } else {
        let rows = store.scan_logs(&query)?.map(|log| Ok(LogRow(log?)));
        context.output.rows(&COLUMNS, rows)?
    };
    if args.limit.limit.is_none() {
        note_limit(printed, query.limit, "logs");
    }
    matched_logs(printed, &query, &store, context.output.zone())
}

fn follow(args: &Args, query: LogQuery, context: &mut Context) -> Result {
    const LAST: u64 = 10;
    let store = context.existing_store_within(&args.time)?;
    let cursor = store.end_cursor()?;
    let mut first = query.clone();
    first.limit = match (args.limit.limit, &args.filters.since) {
        (Some(0), _) | (None, Some(_)) => None,
        (Some(limit), _) => Some(limit),
        (None, None) => Some(LAST),
    };
    let mut logs = store.fetch_logs(&first)?;
    logs.reverse();
    // Logs that were stored between the two reads are in both.
    let mut shown: HashSet<String> = logs.iter().map(|log| log.id.clone()).collect();
    context
        .output
        .rows(&COLUMNS, logs.into_iter().map(|log| Ok(LogRow(log))))?;
    let interval = args.interval.unwrap_or(context.settings().fetch.interval);
    let fetcher = Fetcher::new(&store)
        .start(StartPosition::After(cursor))
        .every(interval)
        .matching(query);
    let signals = Signals::stopping(&fetcher.stop_handle(), || {})?;
    let mut warned = None;
    for batch in fetcher {
        match batch {
            Ok(batch) => {
                let new = batch.into_logs().into_iter().filter(|log| !shown.remove(&log.id));
                context.output.more_rows(&COLUMNS, new.map(LogRow).collect())?;
            }
            Err(error @ Error::Restored { .. }) => return Err(error.into()),
            Err(error) => warn_in_a_while(&mut warned, error.with_causes()),
        }
    }
    signals.check_followed()
}

/// Warns of a poll that failed, unless the same warning was given within the last minute.
fn warn_in_a_while(warned: &mut Option<(String, Instant)>, problem: String) {
    const INTERVAL: Duration = Duration::from_secs(60);
    let is_known = warned
        .as_ref()
        .is_some_and(|(last, since)| *last == problem && since.elapsed() < INTERVAL);
    if !is_known {
        log::warn!("cannot poll, trying again: {problem}");
        *warned = Some((problem, Instant::now()));
    }
}
