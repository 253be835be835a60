//! `alerts suppress`: matches that need no analyst.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::Subcommand;
use logstore::alerts::Suppression;
use logstore::time::Zone;
use logstore::{DetectionStore as _, Filter};
use serde::Serialize;

use super::change::person;
use crate::context::Context;
use crate::filters::matched;
use crate::flags::span;
use crate::output::{Columns, Row};
use crate::table::Column;
use crate::typed_time::typed_time;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Suppress matches of a rule, of some logs, or of both
    Add(AddArgs),
    /// Print suppressions
    List,
    /// Remove suppressions; alerts keep their status
    Remove(RemoveArgs),
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// Only matches of the rule with this id
    #[arg(long, value_name = "ID", required_unless_present = "filters")]
    rule: Option<String>,

    /// Only logs that pass this filter, such as "host = scanner1"; repeatable, see fetch --help
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<String>,

    /// The reason, for those who come later
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Do not suppress logs after this time: 30d from now, or a time [default: never ends]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// The ids of the suppressions
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct SuppressionRow(Suppression);

impl Row for SuppressionRow {
    const TIMES: &'static [&'static str] = &["created_at", "expires_at"];

    fn cells(&self, zone: Zone) -> Vec<String> {
        let suppression = &self.0;
        let expires = suppression.expires_at;
        vec![
            suppression.id.clone(),
            suppression.rule_id.clone().unwrap_or_default(),
            suppression.filter.to_string(),
            expires.map_or("never".to_owned(), |time| zone.format(time, SecondsFormat::Secs)),
            suppression.owner.clone().unwrap_or_default(),
            suppression.reason.clone(),
        ]
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("id"),
        Column::cut_to(8, "rule").spare(),
        Column::cut_to(8, "filter").spare(),
        Column::whole("expires"),
        Column::cut_to(8, "owner").spare(),
        Column::cut_to(10, "reason"),
    ]),
    csv: &[
        "id",
        "rule_id",
        "filter",
        "reason",
        "owner",
        "created_at",
        "expires_at",
    ],
};

pub(super) fn run(args: &Args, context: &mut Context) -> Result {
    match &args.command {
        Command::Add(args) => add(args, context),
        Command::List => list(context),
        Command::Remove(args) => {
            let ids: Vec<&str> = args.ids.iter().map(String::as_str).collect();
            Ok(context.existing_store()?.remove_suppressions(&ids)?)
        }
    }
}

fn add(args: &AddArgs, context: &mut Context) -> Result {
    let filters = args.filters.iter().map(|text| text.parse::<Filter>());
    let filter = Filter::all(filters.collect::<Result<Vec<_>, _>>()?)?;
    let mut suppression = Suppression::new(&args.reason, filter);
    suppression.rule_id.clone_from(&args.rule);
    suppression.owner = person();
    if let Some(text) = &args.expires {
        suppression = suppression.until(end(text, context.output.zone())?);
    }
    context.store()?.add_suppression(&suppression)?;
    context
        .output
        .rows(&COLUMNS, [Ok(SuppressionRow(suppression))])
        .map(drop)
}

/// Reads an end: how long from now on, or a time.
fn end(text: &str, zone: Zone) -> Result<DateTime<Utc>> {
    let Ok(length) = span(text) else {
        return Ok(typed_time(text, zone)?);
    };
    let length = TimeDelta::from_std(length).ok();
    let end = length.and_then(|length| Utc::now().checked_add_signed(length));
    end.ok_or_else(|| Failure::Usage(format!("--expires {text} is too far away: leave it out")))
}

fn list(context: &mut Context) -> Result {
    let zone = context.output.zone();
    let suppressions = context.existing_store()?.suppressions()?.into_iter();
    let rows = suppressions.map(|suppression| Ok(SuppressionRow(suppression)));
    let printed = context.output.rows(&COLUMNS, rows)?;
    matched(printed, "suppressions", (None, None), zone)
}
