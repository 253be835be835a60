//! `logstore prune`: old logs, or old alerts that are closed, deleted.

use chrono::{DateTime, SecondsFormat, Utc};
use logstore::{AlertQuery, AlertStatus, AlertStore as _, Filter, InvalidValue, LogQuery, LogStore as _};
use serde_json::json;

use crate::Result;
use crate::confirm::confirm;
use crate::context::Context;
use crate::filters::note_unknown_fields;
use crate::output::{counted, note};
use crate::typed_time::typed_time;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Delete what is from before this time: 90d or "90 days ago", yesterday, or a time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    before: String,

    /// Only logs that pass this filter, such as "level = debug and host != web1"; repeatable, see fetch --help
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<String>,

    /// Only logs that have this as a whole word or value, as fetch finds them; repeatable
    #[arg(long, value_name = "VALUE")]
    has: Vec<String>,

    /// Only logs whose line holds this text; repeatable
    #[arg(short, long, value_name = "TEXT")]
    contains: Vec<String>,

    /// Delete resolved alerts that were last changed before the time, and no logs
    #[arg(long, conflicts_with_all = ["filters", "has", "contains"])]
    alerts: bool,

    /// Only say how many would be deleted
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Args {
    /// Returns the filter that the flags describe.
    fn filter(&self) -> Result<Filter, InvalidValue> {
        let mut query = LogQuery::new();
        for text in &self.filters {
            query = query.filter(text.parse()?);
        }
        for value in &self.has {
            query = query.has(value)?;
        }
        for text in &self.contains {
            query = query.contains(text);
        }
        Filter::all(query.filters().to_vec())
    }
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let zone = context.output.zone();
    let before = typed_time(&args.before, zone)?;
    let shown = zone.format(before, SecondsFormat::Millis);
    let store = context.existing_store()?;
    if args.alerts {
        return prune_alerts(args, before, context);
    }
    let filter = args.filter()?;
    let matched = store.count_logs(&LogQuery::new().until(before).filter(filter.clone()))?;
    // Logs without the field pass `!=` and `not`.
    note_unknown_fields(filter.fields(), &store);
    let mut deleted = 0;
    if !args.dry_run && matched > 0 {
        if !args.yes {
            let which = match filter == Filter::default() {
                true => String::new(),
                false => format!(" that pass {filter}"),
            };
            confirm(&format!(
                "Delete {} from before {shown}{which}?",
                counted(matched, "log")
            ))?;
        }
        deleted = store.delete_matching_logs_before(before, &filter)?;
        note("The file keeps its size; the space is used again for new logs.");
    }
    let names = ["before", "matched", "deleted"];
    let values = vec![json!(shown), matched.into(), deleted.into()];
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
            let alerts = counted(matched, "resolved alert");
            confirm(&format!("Delete {alerts}, last changed before {shown}?"))?;
        }
        deleted = store.delete_resolved_alerts_before(before)?;
    }
    let names = ["before", "matched", "deleted"];
    let values = vec![json!(shown), matched.into(), deleted.into()];
    context.output.row(&names, values)
}
