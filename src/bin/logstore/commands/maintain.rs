//! `logstore maintain`: the upkeep of a store.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use logstore::duckdb::{DataFileState, MaintenanceOptions, MaintenanceStep};
use logstore::time::Zone;
use logstore::{DetectionStore as _, DuckDbStore, LogStore as _};
use serde_json::json;

use crate::confirm::confirm;
use crate::context::Context;
use crate::flags::span;
use crate::output::{Columns, Row, note};
use crate::table::Column;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Delete logs that are older than this, by whole days (UTC), such as 90d [default: none]
    #[arg(long, value_name = "TIME", value_parser = span)]
    retention: Option<Duration>,

    /// Forget snapshots of a lake that are older than this
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "1d")]
    keep_snapshots: Duration,

    /// Delete files of a lake that no snapshot has needed for this long
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "1d")]
    keep_unused_files: Duration,

    /// Delete files under the data path that the lake does not know, unless another lake has its data there
    #[arg(long)]
    orphaned_files: bool,

    /// Only drop this data file, which is missing or damaged, with its rows; `logstore check` names such files
    #[arg(long, value_name = "FILE", conflicts_with_all = ["retention", "orphaned_files"])]
    drop_lost: Option<String>,

    /// Do not ask before a lost file is dropped
    #[arg(short, long, requires = "drop_lost")]
    yes: bool,
}

impl Row for MaintenanceStep {
    fn cells(&self, _: Zone) -> Vec<String> {
        vec![self.name.to_owned(), self.count.to_string(), self.unit.to_owned()]
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::cut_to(12, "step"),
        Column::whole("count"),
        Column::cut_to(8, "of"),
    ]),
    csv: &["name", "count", "unit"],
};

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    if let Some(file) = &args.drop_lost {
        return drop_lost(file, args.yes, context);
    }
    let plan = MaintenanceOptions {
        retention: args.retention.map(length).transpose()?,
        snapshot_retention: length(args.keep_snapshots)?,
        unused_file_retention: length(args.keep_unused_files)?,
        delete_orphaned_files: args.orphaned_files,
    };
    let store = context.existing_store()?;
    let mut failures = Vec::new();
    let steps = store.maintain(&plan)?.filter_map(|step| match step {
        // The steps after a failed one go on, unless they would fail for the same reason.
        Err(error) if !error.is_retryable() => {
            failures.push(Failure::from(error));
            None
        }
        step => Some(step.map_err(Failure::from)),
    });
    context.output.rows(&COLUMNS, steps)?;
    delete_old_hits(&store, context)?;
    match failures.pop() {
        Some(last) => {
            let texts = failures.iter().filter_map(Failure::text);
            texts.for_each(|text| log::error!("{text}"));
            Err(last)
        }
        None => Ok(()),
    }
}

/// Deletes the hits of rules that no late log can belong to any more.
fn delete_old_hits(store: &DuckDbStore, context: &Context) -> Result {
    let Some(newest) = store.stats()?.newest_log else {
        return Ok(());
    };
    // A log may claim any time.
    let newest = newest.min(Utc::now());
    let lateness = length(context.settings().detect.lateness)?;
    let deleted = match newest.checked_sub_signed(lateness) {
        Some(time) => store.delete_hits_before(time)?,
        None => 0,
    };
    if deleted > 0 {
        log::info!("deleted {deleted} hits of rules from before the time of detect.lateness");
    }
    Ok(())
}

/// Shows what is lost with a data file, asks, and drops it.
fn drop_lost(file: &str, is_sure: bool, context: &mut Context) -> Result {
    let store = context.existing_store()?;
    let lost = store.lost_file(file)?;
    let state = match lost.state {
        DataFileState::Missing => "is missing",
        _ => "is damaged",
    };
    note(format_args!(
        "{} {state}. It holds {}.",
        lost.file,
        lost.content()
    ));
    if !is_sure {
        confirm("Drop it? These rows are then gone for good.")?;
    }
    let dropped = store.drop_lost_file(file)?;
    let days = [lost.first_day, lost.last_day].map(|day| json!(day));
    let [first_day, last_day] = days;
    let names = ["file", "table", "rows", "first_day", "last_day"];
    let values = vec![
        json!(lost.file),
        json!(lost.table),
        json!(dropped),
        first_day,
        last_day,
    ];
    context.output.row(&names, values)
}

fn length(span: Duration) -> Result<TimeDelta> {
    TimeDelta::from_std(span).map_err(|_| Failure::Usage("that is too long a time".to_owned()))
}
