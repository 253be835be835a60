//! `logstore prune`: old logs, or old alerts that are closed, deleted.

use chrono::{DateTime, SecondsFormat, Utc};
use indicatif::HumanCount;
use logstore::{AlertQuery, AlertStatus, AlertStore as _, Filter, LogQuery, LogStore as _};
use serde_json::json;

use crate::Result;
use crate::confirm::confirm;
use crate::context::Context;
use crate::filters::note_unknown_fields;
use crate::typed_time::typed_time;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Delete what is from before this time: 90d or "90 days ago", yesterday, or a time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    before: String,

    /// Only logs that pass this filter, such as "level = debug and host != web1"; repeatable, see fetch --help
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<String>,

    /// Delete resolved alerts that were last changed before the time, and no logs
    #[arg(long, conflicts_with = "filters")]
    alerts: bool,

    /// Only say how many would be deleted
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let zone = context.output.zone();
    let before = typed_time(&args.before, zone)?;
    let shown = zone.format(before, SecondsFormat::Millis);
    let store = context.existing_store()?;
    if args.alerts {
        return prune_alerts(args, before, context);
    }
    let filters = args.filters.iter().map(|text| text.parse::<Filter>());
    let filter = Filter::all(filters.collect::<Result<Vec<_>, _>>()?)?;
    let counted = store.count_logs(&LogQuery::new().until(before).filter(filter.clone()))?;
    if counted == 0 {
        note_unknown_fields(filter.fields(), &store);
    }
    let mut deleted = 0;
    if !args.dry_run && counted > 0 {
        if !args.yes {
            let which = match args.filters.is_empty() {
                true => String::new(),
                false => format!(" that pass {filter}"),
            };
            confirm(&format!(
                "Delete {} logs from before {shown}{which}?",
                HumanCount(counted)
            ))?;
        }
        deleted = store.delete_matching_logs_before(before, &filter)?;
        eprintln!("The file keeps its size; the space is used again for new logs.");
    }
    let names = ["before", "matched", "deleted"];
    let values = vec![json!(shown), counted.into(), deleted.into()];
    context.output.row(&names, values)
}

fn prune_alerts(args: &Args, before: DateTime<Utc>, context: &mut Context) -> Result {
    let shown = context.output.zone().format(before, SecondsFormat::Millis);
    let store = context.existing_store()?;
    let resolved = store.fetch_alerts(&AlertQuery::new().statuses([AlertStatus::Resolved]))?;
    let matched = resolved.iter().filter(|alert| alert.updated_at < before).count() as u64;
    let mut deleted = 0;
    if !args.dry_run && matched > 0 {
        if !args.yes {
            let count = HumanCount(matched);
            confirm(&format!(
                "Delete {count} resolved alerts that were last changed before {shown}?"
            ))?;
        }
        deleted = store.delete_resolved_alerts_before(before)?;
    }
    let names = ["before", "matched", "deleted"];
    let values = vec![json!(shown), matched.into(), deleted.into()];
    context.output.row(&names, values)
}
