//! `logstore maintain`: the upkeep of a store.

use std::borrow::Cow;
use std::time::Duration;

use chrono::TimeDelta;
use logstore::duckdb::{MaintenanceOptions, MaintenanceStep};
use logstore::time::Zone;

use crate::context::Context;
use crate::flags::span;
use crate::output::{Columns, Row};
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

    /// Delete files under the data path that are not the lake's: only if no other lake has its data there
    #[arg(long)]
    orphaned_files: bool,
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
    let plan = MaintenanceOptions {
        retention: args.retention.map(length).transpose()?,
        snapshot_retention: length(args.keep_snapshots)?,
        unused_file_retention: length(args.keep_unused_files)?,
        delete_orphaned_files: args.orphaned_files,
    };
    let store = context.existing_store()?;
    let steps = store.maintain(&plan)?;
    let steps = steps.map(|step| step.map_err(Failure::from));
    if context.output.rows(&COLUMNS, steps)? == 0 {
        eprintln!("Nothing to do: a store in a file needs no upkeep, and there is no --retention.");
    }
    Ok(())
}

fn length(span: Duration) -> Result<TimeDelta> {
    TimeDelta::from_std(span).map_err(|_| Failure::Usage("that is too long a time".to_owned()))
}
