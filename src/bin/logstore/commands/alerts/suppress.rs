//! `alerts suppress`: matches that need no analyst.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{ArgGroup, Subcommand};
use logstore::alerts::Suppression;
use logstore::time::Zone;
use logstore::{
    DetectionRule, DetectionStore as _, DuckDbStore, Filter, RuleQuery, RuleStore as _, StoreExt as _,
};
use serde::Serialize;

use super::change::person;
use crate::context::Context;
use crate::filters::{matched, note_cut, note_unknown_fields};
use crate::flags::{Limit, span};
use crate::ids::{shortened, telling_length, whole_rule_id};
use crate::output::{Columns, Row, note};
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
    /// Suppress matches of a rule (--rule), of some logs (--filter), or of a rule in some logs (both)
    Add(AddArgs),
    /// Print suppressions
    List(ListArgs),
    /// Remove suppressions; alerts keep their status
    Remove(RemoveArgs),
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("covered").args(["rule", "filters"]).required(true).multiple(true)))]
struct AddArgs {
    /// Only matches of the rule with this id, or whose id begins so
    #[arg(long, value_name = "ID")]
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
struct ListArgs {
    #[command(flatten)]
    limit: Limit,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// The ids of the suppressions, or the beginnings of their ids: four characters at least
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct SuppressionRow(Suppression, #[serde(skip)] String);

impl SuppressionRow {
    /// Shows suppressions with as much of their ids as tells them apart.
    fn all(suppressions: Vec<Suppression>) -> impl Iterator<Item = Self> {
        let length = telling_length(suppressions.iter().map(|suppression| suppression.id.as_str()));
        suppressions.into_iter().map(move |suppression| {
            let id = shortened(&suppression.id, length);
            Self(suppression, id)
        })
    }
}

impl Row for SuppressionRow {
    const TIMES: &'static [&'static str] = &["created_at", "expires_at"];

    fn cells(&self, zone: Zone) -> Vec<String> {
        let suppression = &self.0;
        let expires = suppression.expires_at;
        vec![
            self.1.clone(),
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
        Column::cut_to(8, "filter"),
        Column::whole("expires").spare(),
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
        Command::List(args) => list(args, context),
        Command::Remove(args) => remove(args, context),
    }
}

fn add(args: &AddArgs, context: &mut Context) -> Result {
    let filters = args.filters.iter().map(|text| text.parse::<Filter>());
    let filter = Filter::all(filters.collect::<Result<Vec<_>, _>>()?)?;
    let mut suppression = Suppression::new(&args.reason, filter);
    suppression.owner = person();
    if let Some(text) = &args.expires {
        suppression = suppression.until(end(text, context.output.zone())?);
    }
    let store = context.store()?;
    suppression.rule_id = whole_rule_id(args.rule.clone(), &store)?;
    warn_of_rule(&suppression, &store)?;
    note_unknown_fields(suppression.filter.fields(), &store);
    store.add_suppression(&suppression)?;
    let id = suppression.id.clone();
    context
        .output
        .rows(&COLUMNS, [Ok(SuppressionRow(suppression, id))])
        .map(drop)
}

/// Says where a suppression covers less than a person may think.
fn warn_of_rule(suppression: &Suppression, store: &DuckDbStore) -> Result {
    let query = match &suppression.rule_id {
        Some(id) => RuleQuery::new().id(id),
        None => RuleQuery::new().enabled(true),
    };
    let rules = store.fetch_rules(&query)?;
    if let (Some(id), true) = (&suppression.rule_id, rules.is_empty()) {
        log::warn!("the store has no rule {id:?}: the suppression covers nothing until a rule has this id");
    }
    let has_filter = suppression.filter != Filter::default();
    let is_correlation = |rule: &DetectionRule| rule.rule_definition.get("correlation").is_some();
    if has_filter && rules.iter().any(is_correlation) {
        log::warn!(
            "of the matches of correlations, the filter sees only the fields of their groups, and no log: \
             suppress the rules that they name, or suppress by --rule"
        );
    }
    Ok(())
}

fn remove(args: &RemoveArgs, context: &Context) -> Result {
    let store = context.existing_store()?;
    let mut ids = args.ids.clone();
    // Whole ids come first, so that a suppression that cannot be read can be removed.
    match store.remove_suppressions(&borrowed(&ids)) {
        Err(logstore::Error::NotFound { .. }) => {
            let named = ids.iter().map(|typed| Ok(store.find_suppression(typed)?.id));
            ids = named.collect::<logstore::Result<_>>()?;
            store.remove_suppressions(&borrowed(&ids))?;
        }
        other => other?,
    }
    for id in ids {
        note(format_args!("The suppression {id} is removed"));
    }
    Ok(())
}

fn borrowed(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
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

fn list(args: &ListArgs, context: &mut Context) -> Result {
    let zone = context.output.zone();
    let suppressions = context.existing_store()?.suppressions()?;
    let count = suppressions.len() as u64;
    let limit = context.output.limit(args.limit.limit).unwrap_or(u64::MAX);
    let rows = SuppressionRow::all(suppressions).take(usize::try_from(limit).unwrap_or(usize::MAX));
    let printed = context.output.rows(&COLUMNS, rows.map(Ok))?;
    note_cut(printed, count, "suppressions");
    matched(printed, "suppressions", (None, None), zone)
}
