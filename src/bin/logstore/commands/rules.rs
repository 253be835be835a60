//! `logstore rules`: the rules of detectors.

mod coverage;
mod files;
mod selection;
mod stats;
mod trial;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;

use chrono::{SecondsFormat, TimeDelta};
use clap::Subcommand;
use logstore::detect::{Detector, RouteOptions, SIGMA, Verdict, import_note};
use logstore::time::Zone;
use logstore::{DetectionRule, DuckDbStore, Error, RuleQuery, RuleStore as _, StoreExt as _};
use serde::Serialize;
use serde_json::Value;

use crate::context::{Context, objects_on_stdin};
use crate::filters::{matched, note_cut};
use crate::flags::Limit;
use crate::ids::{shortened, telling_length};
use crate::output::{Columns, Row, counted, note};
use crate::table::Column;
use crate::{Failure, Result};
use selection::{Selection, level_of};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print rules
    List(ListArgs),
    /// Store rules of Sigma from files, folders and archives, and say which of them work
    Import(files::FilesArgs),
    /// Say which rules of Sigma in files, folders and archives work; fail if one is refused
    Check(files::FilesArgs),
    /// Store one rule from flags, or rules as JSON lines from standard input
    Add(AddArgs),
    /// Print rules with everything that is known about them
    Show(ShowArgs),
    /// Print the logs of files that a rule matches
    Test(trial::TestArgs),
    /// Say which questions of a rule hold for a log, and which do not
    Explain(trial::ExplainArgs),
    /// Print what rules found by rule and day, rules that found nothing, and logs that no rule is for
    Stats(stats::StatsArgs),
    /// Print which rules can fire, by product, and why the others cannot
    Coverage(coverage::CoverageArgs),
    /// Enable rules: detectors apply them
    Enable(ChosenArgs),
    /// Keep detectors from applying rules
    Disable(ChosenArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Of this type, such as sigma
    #[arg(long = "type", value_name = "TYPE")]
    rule_type: Option<String>,

    /// Only those that are enabled
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,

    /// Only those that are disabled
    #[arg(long)]
    disabled: bool,

    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    limit: Limit,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// The name for people
    #[arg(long, requires = "rule_type", requires = "definition")]
    name: Option<String>,

    /// The kind of rule, such as sigma
    #[arg(long = "type", value_name = "TYPE", requires = "name")]
    rule_type: Option<String>,

    /// Definition of the rule, as JSON, or @FILE with the JSON in it
    #[arg(long, value_name = "JSON", requires = "name")]
    definition: Option<String>,

    /// The id; a rule with the same id is replaced [default: a new one]
    #[arg(long, requires = "name")]
    id: Option<String>,

    /// Store it without letting detectors apply it
    #[arg(long, requires = "name")]
    disabled: bool,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// The ids of the rules, or the beginnings of their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct ChosenArgs {
    /// The ids of the rules, or the beginnings of their ids
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    #[command(flatten)]
    selection: Selection,
}

#[derive(Serialize)]
#[serde(transparent)]
struct RuleRow(DetectionRule, #[serde(skip)] String);

impl RuleRow {
    /// Shows a rule with its whole id.
    fn new(rule: DetectionRule) -> Self {
        let id = rule.id.clone();
        Self(rule, id)
    }
}

impl Row for RuleRow {
    const TIMES: &'static [&'static str] = &["created_at", "updated_at"];

    fn cells(&self, zone: Zone) -> Vec<String> {
        let rule = &self.0;
        let level = level_of(rule).map(|level| level.to_string());
        vec![
            self.1.clone(),
            if rule.enabled { "yes" } else { "no" }.to_owned(),
            level.unwrap_or_default(),
            import_note(rule, "verdict").unwrap_or_default().to_owned(),
            rule.rule_type.clone(),
            zone.format(rule.updated_at, SecondsFormat::Secs),
            rule.rule_name.clone(),
        ]
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("id"),
        Column::whole("enabled"),
        Column::whole("level").spare(),
        Column::whole("verdict").spare(),
        Column::cut_to(8, "type").spare(),
        Column::whole("updated").spare(),
        Column::cut_to(12, "name"),
    ]),
    csv: &[
        "id",
        "rule_name",
        "rule_type",
        "rule_definition",
        "enabled",
        "created_at",
        "updated_at",
    ],
};

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    set_routes(context)?;
    match &args.command {
        Command::List(args) => list(args, context),
        Command::Import(args) => files::import(args, context),
        Command::Check(args) => files::check(args, context),
        Command::Add(args) => add(args, context),
        Command::Show(args) => show(args, context),
        Command::Test(args) => trial::test(args, context),
        Command::Explain(args) => trial::explain(args, context),
        Command::Stats(args) => stats::stats(args, context),
        Command::Coverage(args) => coverage::coverage(args, context),
        Command::Enable(args) => switch(args, context, DuckDbStore::enable_rules, "enabled"),
        Command::Disable(args) => switch(args, context, DuckDbStore::disable_rules, "disabled"),
    }
}

/// Enables or disables the rules that are named or chosen.
fn switch(
    args: &ChosenArgs,
    context: &mut Context,
    switch: fn(&DuckDbStore, &[&str]) -> logstore::Result<()>,
    done: &str,
) -> Result {
    let store = context.existing_store()?;
    let named = args
        .ids
        .iter()
        .map(|typed| store.find_rule(typed).map(|rule| rule.id));
    let mut ids: BTreeSet<String> = named.collect::<logstore::Result<_>>()?;
    if !args.selection.is_empty() {
        let rules = store.fetch_rules(&RuleQuery::new())?;
        let chosen = rules.into_iter().filter(|rule| args.selection.chooses(rule));
        ids.extend(chosen.map(|rule| rule.id));
    } else if ids.is_empty() {
        return Err(Failure::Usage(
            "name rules by their ids, or choose them by flags: see --help".to_owned(),
        ));
    }
    if ids.is_empty() {
        return Err(Failure::Nothing(Some("no rules matched".to_owned())));
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    switch(&store, &ids)?;
    note(format_args!("{} {done}", counted(ids.len() as u64, "rule")));
    Ok(())
}

fn show(args: &ShowArgs, context: &mut Context) -> Result {
    let store = context.existing_store()?;
    let rules = args.ids.iter().map(|typed| store.find_rule(typed));
    let rows: Vec<RuleRow> = rules
        .map(|rule| rule.map(RuleRow::new))
        .collect::<logstore::Result<_>>()?;
    context.output.records(rows)
}

fn list(args: &ListArgs, context: &mut Context) -> Result {
    let mut query = RuleQuery::new();
    query.rule_type.clone_from(&args.rule_type);
    query.enabled = match (args.enabled, args.disabled) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let rules = context.existing_store()?.fetch_rules(&RuleQuery::new())?;
    let length = telling_length(rules.iter().map(|rule| rule.id.as_str()));
    let rules = rules.into_iter().filter(|rule| query.matches(rule));
    let chosen = rules.filter(|rule| args.selection.chooses(rule));
    let chosen: Vec<DetectionRule> = chosen.collect();
    let count = chosen.len() as u64;
    let limit = context.output.limit(args.limit.limit).unwrap_or(u64::MAX);
    let rows = chosen
        .into_iter()
        .take(usize::try_from(limit).unwrap_or(usize::MAX));
    let rows = rows.map(|rule| {
        let id = shortened(&rule.id, length);
        Ok(RuleRow(rule, id))
    });
    let printed = context.output.rows(&COLUMNS, rows)?;
    note_cut(printed, count, "rules");
    matched(printed, "rules", (None, None), context.output.zone())
}

fn add(args: &AddArgs, context: &mut Context) -> Result {
    let rules = match (&args.name, &args.rule_type, &args.definition) {
        (Some(name), Some(rule_type), Some(definition)) => {
            let mut rule = DetectionRule::new(name, rule_type, read_definition(definition)?);
            rule.id = args.id.clone().unwrap_or(rule.id);
            rule.enabled = !args.disabled;
            vec![rule]
        }
        (None, None, None) => objects_on_stdin::<DetectionRule>("rules")?,
        _ => {
            let text = "a rule needs --name, --type and --definition";
            return Err(Failure::Usage(text.to_owned()));
        }
    };
    context.store()?.upsert_rules(&rules)?;
    context
        .output
        .rows(&COLUMNS, rules.into_iter().map(|rule| Ok(RuleRow::new(rule))))
        .map(drop)
}

fn read_definition(text: &str) -> Result<serde_json::Value> {
    let json = match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| Failure::Failed(format!("cannot read the definition from {file:?}: {error}")))?,
        None => text.to_owned(),
    };
    serde_json::from_str(&json)
        .map_err(|error| Failure::Usage(format!("the definition is not JSON: {error}")))
}

/// Sets the routes of the settings, before any rule is read.
pub(super) fn set_routes(context: &Context) -> Result {
    let settings = &context.settings().detect;
    let mut routes = RouteOptions::default();
    routes.security_4688 = settings.security_4688;
    let own = match &settings.routes {
        Some(file) => Some(std::fs::read_to_string(file).map_err(|error| {
            Failure::Failed(format!(
                "cannot read the setting detect.routes from {file:?}: {error}"
            ))
        })?),
        None => None,
    };
    routes.own = own.as_deref();
    if !settings.security_4688 && own.is_none() {
        return Ok(());
    }
    routes.set().map_err(|error| {
        let file = settings.routes.as_deref().unwrap_or(std::path::Path::new(""));
        Failure::Failed(format!(
            "cannot use the setting detect.routes ({}): {}",
            file.display(),
            error.reason
        ))
    })
}

/// Returns the rules to apply to new logs: those of files and folders, or the enabled ones of the store.
pub(super) fn enabled_rules(
    paths: &[PathBuf],
    store: &DuckDbStore,
    context: &Context,
) -> Result<Vec<DetectionRule>> {
    match paths {
        [] => Ok(store.fetch_rules(&RuleQuery::new().rule_type(SIGMA).enabled(true))?),
        paths => rules_of_files(paths, context),
    }
}

/// Returns the rules that are named: files, folders, or ids of the store. Without names, the enabled ones of the store.
pub(super) fn rules_named(
    names: &[String],
    store: &DuckDbStore,
    context: &Context,
) -> Result<Vec<DetectionRule>> {
    let mut rules = match names {
        [] => enabled_rules(&[], store, context)?,
        _ => Vec::new(),
    };
    for name in names {
        let path = PathBuf::from(name);
        if path.exists() {
            rules.extend(rules_of_files(&[path], context)?);
            continue;
        }
        match store.find_rule(name) {
            Ok(rule) => rules.push(rule),
            Err(Error::NotFound { .. }) => {
                let text = format!("no file, and no rule of the store: {name:?}");
                return Err(Failure::Failed(text));
            }
            Err(error) => return Err(error.into()),
        }
    }
    with_named_rules(rules, store)
}

/// Adds the stored rules that correlations among some rules name.
fn with_named_rules(mut rules: Vec<DetectionRule>, store: &DuckDbStore) -> Result<Vec<DetectionRule>> {
    let named = |rule: &DetectionRule| -> Vec<String> {
        let names = rule
            .rule_definition
            .pointer("/correlation/rules")
            .and_then(Value::as_array);
        names
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let mut wanted: Vec<String> = rules.iter().flat_map(named).collect();
    if wanted.is_empty() {
        return Ok(rules);
    }
    let held = store.fetch_rules(&RuleQuery::new().rule_type(SIGMA))?;
    while let Some(name) = wanted.pop() {
        let is_it = |rule: &&DetectionRule| {
            rule.id == name || rule.rule_definition.get("name").and_then(Value::as_str) == Some(&name)
        };
        if rules.iter().any(|rule| is_it(&rule)) {
            continue;
        }
        if let Some(found) = held.iter().find(is_it) {
            wanted.extend(named(found));
            rules.push(found.clone());
        }
    }
    Ok(rules)
}

/// Reads the rules of files and folders. A refused one is left out with a warning.
fn rules_of_files(paths: &[PathBuf], context: &Context) -> Result<Vec<DetectionRule>> {
    let mut rules = Vec::new();
    for (file, read) in files::read_all(paths, context)? {
        match (read.verdict, read.rule) {
            (Verdict::Refused(reason), _) => {
                let line = read.line.unwrap_or_default();
                log::warn!("{file}:{line}: the rule is not applied: {reason}");
            }
            (verdict, rule) => {
                let line = read.line.unwrap_or_default();
                for fault in verdict
                    .reason()
                    .into_iter()
                    .chain(read.warnings.iter().map(String::as_str))
                {
                    log::warn!("{file}:{line}: {verdict}: {fault}");
                }
                rules.extend(rule);
            }
        }
    }
    Ok(rules)
}

/// Returns a detector with some rules and the settings. A rule that cannot be applied gives a warning.
pub(super) fn new_detector(rules: &[DetectionRule], context: &Context) -> Detector {
    let settings = &context.settings().detect;
    let (detector, refused) = Detector::new(rules, &|name| settings.placeholder(name));
    for rule in refused {
        log::warn!("the rule {} is not applied: {}", rule.id, rule.refusal);
    }
    detector.window(TimeDelta::from_std(settings.dedup).unwrap_or(TimeDelta::MAX))
}
