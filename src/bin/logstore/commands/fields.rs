//! `logstore fields`: which fields logs have.

use logstore::storage::{FieldReport, FieldSummary};
use logstore::{LogStore as _, Order};
use serde_json::Value;

use crate::Result;
use crate::context::Context;
use crate::filters::{Filters, matched_logs};
use crate::flags::TimeLimit;
use crate::output::{Columns, NamedRow, note};

/// Says how many logs are looked at unless a flag says otherwise.
const MOST: u64 = 10_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    filters: Filters,

    #[command(flatten)]
    time: TimeLimit,

    /// Look at the newest N logs; 0 looks at all
    #[arg(short = 'n', long, value_name = "N", default_value_t = MOST)]
    limit: u64,
}

const NAMES: [&str; 5] = ["field", "logs", "percent", "types", "examples"];

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let mut query = args
        .filters
        .query(context.output.zone())?
        .order(Order::NewestFirst);
    query.limit = (args.limit > 0).then_some(args.limit);
    let store = context.existing_store_within(&args.time)?;
    let report = FieldReport::of(store.scan_logs(&query)?)?;
    let logs = report.logs;
    let is_table = context.output.is_table();
    let rows = report
        .fields
        .into_iter()
        .map(|field| Ok(row(field, logs, is_table)));
    context.output.rows(&Columns::named(&NAMES), rows)?;
    if report.is_cut {
        log::warn!(
            "there are more than {} fields, and the others are left out",
            FieldReport::MOST
        );
    }
    if query.limit == Some(logs) {
        note(format_args!(
            "Only the newest logs were looked at: {logs}; --limit 0 looks at all."
        ));
    }
    matched_logs(logs, &query, &store, context.output.zone())
}

fn row(field: FieldSummary, logs: u64, is_table: bool) -> NamedRow {
    let list = |texts: Vec<String>| match is_table {
        true => Value::from(texts.join(", ")),
        false => Value::from(texts),
    };
    let percent = field.logs * 100 / logs.max(1);
    let types = field.types.into_iter().map(str::to_owned).collect();
    let values = vec![
        field.name.into(),
        field.logs.into(),
        percent.into(),
        list(types),
        list(field.examples),
    ];
    NamedRow::new(&NAMES, values)
}
