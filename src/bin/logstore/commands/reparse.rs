//! `logstore reparse`: stored lines read again with the formats of today.

use logstore::load::{LoadOptions, Reparse};

use super::formats;
use crate::Result;
use crate::context::Context;
use crate::filters::Filters;
use crate::signals::Signals;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only logs that this format read, such as cef
    #[arg(long, value_name = "NAME")]
    of_format: Option<String>,

    /// Only say how many logs would change
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    filters: Filters,
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let mut query = args.filters.query(context.output.zone())?;
    if let Some(name) = &args.of_format {
        query = query.equals("source_type", name)?;
    }
    let options = LoadOptions::from(&context.settings().ingest).ingest;
    let options = options.with_formats(formats::library(context)?);
    let store = context.existing_store()?;
    let reparse = Reparse::new(&store)
        .query(query)
        .options(options)
        .dry_run(args.dry_run);
    let signals = Signals::stopping(&reparse.stop_handle(), || {})?;
    let report = reparse.run()?;
    let changed = if args.dry_run { "would_change" } else { "changed" };
    context.output.row(
        &["read", changed, "unreadable"],
        vec![
            report.read.into(),
            report.changed.into(),
            report.unreadable.into(),
        ],
    )?;
    signals.check()
}
