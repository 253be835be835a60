//! `rules stats`: what rules found, and the logs that no rule is for.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use logstore::alerts::RuleDay;
use logstore::detect::{SIGMA, SourceCoverage, Verdict};
use logstore::time::Zone;
use logstore::{DetectionRule, DetectionStore as _, DuckDbStore, LogQuery, RuleQuery, RuleStore as _};
use serde::Serialize;
use serde_json::json;

use super::coverage::verdicts_on;
use super::new_detector;
use super::selection::level_of;
use crate::Result;
use crate::commands::hunt;
use crate::context::{Context, processors};
use crate::flags::Limit;
use crate::logging::Drawn;
use crate::output::{Columns, Row, note};
use crate::table::Column;
use crate::typed_time::typed_time;

#[derive(Debug, clap::Args)]
pub(super) struct StatsArgs {
    /// Count logs and alerts from this time on: 7d or "2 hours ago", today, or a time [default: all]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,

    #[command(flatten)]
    limit: Limit,
}

/// Counts what a rule found in all.
#[derive(Debug, Default, Serialize)]
struct RuleRow {
    rule_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    alerts: u64,
    matches: u64,
    hits: u64,
    first_day: NaiveDate,
    last_day: NaiveDate,
}

impl Row for RuleRow {
    fn cells(&self, _: Zone) -> Vec<String> {
        vec![
            self.matches.to_string(),
            self.alerts.to_string(),
            self.hits.to_string(),
            self.level.clone().unwrap_or_default(),
            self.last_day.to_string(),
            self.rule_id.clone(),
            self.title.clone().unwrap_or_default(),
        ]
    }
}

const RULES: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("matches"),
        Column::whole("alerts"),
        Column::whole("hits"),
        Column::whole("level").spare(),
        Column::whole("last day").spare(),
        Column::cut_to(8, "rule").spare(),
        Column::cut_to(16, "title"),
    ]),
    csv: &[
        "rule_id",
        "title",
        "level",
        "alerts",
        "matches",
        "hits",
        "first_day",
        "last_day",
    ],
};

/// Names a rule that found nothing.
#[derive(Debug, Serialize)]
struct SilentRule {
    rule_id: String,
    title: String,
}

#[derive(Serialize)]
#[serde(transparent)]
struct SourceRow(SourceCoverage);

impl Row for SourceRow {
    fn cells(&self, _: Zone) -> Vec<String> {
        let row = &self.0;
        vec![
            row.logs.to_string(),
            row.logs_without_rules.to_string(),
            row.rules.to_string(),
            row.source.to_string(),
            row.channel.clone().unwrap_or_default(),
        ]
    }
}

const SOURCES: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("logs"),
        Column::whole("without rules"),
        Column::whole("rules"),
        Column::cut_to(16, "log source"),
        Column::cut_to(16, "channel").spare(),
    ]),
    csv: &[],
};

/// Holds all that `rules stats` says.
#[derive(Serialize)]
struct Report {
    /// Holds the loudest rules first.
    rules: Vec<RuleRow>,
    days: Vec<RuleDay>,
    never_fired: Vec<SilentRule>,
    sources: Vec<SourceCoverage>,
    logs: u64,
    logs_without_rules: u64,
}

pub(super) fn stats(args: &StatsArgs, context: &mut Context) -> Result {
    let zone = context.output.zone();
    let since = args
        .since
        .as_ref()
        .map(|text| typed_time(text, zone))
        .transpose()?;
    let store = context.existing_store()?;
    let rules = store.fetch_rules(&RuleQuery::new().rule_type(SIGMA))?;
    let days = store.rule_days(since)?;
    let mut query = LogQuery::new();
    query.since = since;
    let sources = coverage(&rules, &store, &query, context)?;
    let report = Report {
        never_fired: never_fired(&rules, &days, context)?,
        rules: loudest(&rules, &days),
        days,
        logs: sources.iter().map(|row| row.logs).sum(),
        logs_without_rules: sources.iter().map(|row| row.logs_without_rules).sum(),
        sources,
    };
    match context.output.is_table() {
        true => report.print(args, context),
        false => print_for_programs(report, context),
    }
}

fn coverage(
    rules: &[DetectionRule],
    store: &DuckDbStore,
    query: &LogQuery,
    context: &Context,
) -> Result<Vec<SourceCoverage>> {
    let enabled: Vec<DetectionRule> = rules.iter().filter(|rule| rule.enabled).cloned().collect();
    let detector = new_detector(&enabled, context);
    let bar = hunt::progress_bar();
    let drawn = Drawn::new(bar.clone());
    let sources = detector.coverage(store, query, processors(), |logs| bar.set_position(logs))?;
    drop(drawn);
    Ok(sources)
}

/// Adds the days of each rule up, the loudest rule first.
fn loudest(rules: &[DetectionRule], days: &[RuleDay]) -> Vec<RuleRow> {
    let known: HashMap<&str, &DetectionRule> = rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
    let mut rows: BTreeMap<&str, RuleRow> = BTreeMap::new();
    for day in days {
        let row = rows.entry(&day.rule_id).or_insert_with(|| {
            let rule = known.get(day.rule_id.as_str());
            RuleRow {
                rule_id: day.rule_id.clone(),
                title: rule.map(|rule| rule.rule_name.clone()),
                level: rule
                    .and_then(|rule| level_of(rule))
                    .map(|level| level.to_string()),
                first_day: day.day,
                ..RuleRow::default()
            }
        });
        row.alerts += day.alerts;
        row.matches += day.matches;
        row.hits += day.hits;
        row.last_day = day.day;
    }
    let mut rows: Vec<RuleRow> = rows.into_values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.matches, row.hits)));
    rows
}

/// Returns the enabled rules that work and found nothing.
fn never_fired(rules: &[DetectionRule], days: &[RuleDay], context: &Context) -> Result<Vec<SilentRule>> {
    let verdicts = verdicts_on(rules, context)?;
    let fired: std::collections::HashSet<&str> = days.iter().map(|day| day.rule_id.as_str()).collect();
    let silent = rules.iter().zip(verdicts).filter(|(rule, verdict)| {
        let is_filter = rule.rule_definition.get("filter").is_some();
        rule.enabled && *verdict == Verdict::Works && !is_filter && !fired.contains(rule.id.as_str())
    });
    let silent = silent.map(|(rule, _)| SilentRule {
        rule_id: rule.id.clone(),
        title: rule.rule_name.clone(),
    });
    Ok(silent.collect())
}

impl Report {
    fn print(self, args: &StatsArgs, context: &mut Context) -> Result {
        let limit = context.output.limit(args.limit.limit);
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let rules = self.rules.len();
        context
            .output
            .rows(&RULES, self.rules.into_iter().take(limit).map(Ok))?;
        let mut lines = vec![String::new()];
        lines.push(format!(
            "rules that found something: {rules}, that work and found nothing: {}",
            self.never_fired.len()
        ));
        if let Some(day) = busiest(&self.days) {
            lines.push(day);
        }
        lines.push(format!(
            "logs without a rule: {} of {}\n\n",
            self.logs_without_rules, self.logs
        ));
        context.output.text(&lines.join("\n"))?;
        let sources = self.sources.into_iter().filter(|row| row.logs_without_rules > 0);
        let sources = sources.take(limit).map(|row| Ok(SourceRow(row)));
        context.output.rows(&SOURCES, sources)?;
        note("Every rule, day and log source: --format json");
        Ok(())
    }
}

/// Says which day had the most matches.
fn busiest(days: &[RuleDay]) -> Option<String> {
    let mut matches: BTreeMap<NaiveDate, u64> = BTreeMap::new();
    for day in days {
        *matches.entry(day.day).or_default() += day.matches;
    }
    let (day, count) = matches.into_iter().max_by_key(|(_, count)| *count)?;
    Some(format!("the day with the most matches was {day}: {count}"))
}

/// Prints one object, or the rules as CSV.
fn print_for_programs(report: Report, context: &mut Context) -> Result {
    if context.output.is_csv() {
        return context
            .output
            .rows(&RULES, report.rules.into_iter().map(Ok))
            .map(drop);
    }
    context.output.json_lines([json!(report)]).map(drop)
}
