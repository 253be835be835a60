//! One rule on single logs: `rules test` and `rules explain`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use logstore::detect::{Answer, Document, Event, RuleSet, SigmaFilter, SigmaRule};
use logstore::ingest::{IngestOptions, Source};
use logstore::time::Zone;
use logstore::{DetectionRule, LogEntry, StoreExt as _};
use serde::Serialize;

use super::{rules_named, rules_of_files};
use crate::commands::fetch::{COLUMNS as LOG_COLUMNS, LogRow};
use crate::context::Context;
use crate::output::{Columns, Row, note};
use crate::table::Column;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(super) struct TestArgs {
    /// A file with rules
    #[arg(value_name = "RULE")]
    rule: PathBuf,

    /// Files with logs
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// A file with a rule, or the id of one of the store
    #[arg(value_name = "RULE")]
    rule: String,

    /// The key or the id of a log of the store
    #[arg(value_name = "LOG")]
    log: String,
}

/// Holds a log with the titles of the rules that match it.
#[derive(Serialize)]
struct MatchedLog {
    rules: Vec<String>,
    #[serde(flatten)]
    log: LogRow,
}

impl Row for MatchedLog {
    const TIMES: &'static [&'static str] = LogRow::TIMES;

    fn cells(&self, zone: Zone) -> Vec<String> {
        let mut cells = vec![self.rules.join(", ")];
        cells.extend(self.log.cells(zone));
        cells
    }
}

/// Prints the logs of files that rules match, and which rules do.
pub(super) fn test(args: &TestArgs, context: &mut Context) -> Result {
    let rules = rules_of_files(std::slice::from_ref(&args.rule), context)?;
    let filters: Vec<SigmaFilter> = rules.iter().filter_map(|rule| filter(rule, context)).collect();
    let singles = rules.iter().filter_map(|rule| single(rule, context));
    let rules = RuleSet::with_filters(singles, &filters);
    let mut matched = Vec::new();
    let mut read = 0_u64;
    for file in &args.logs {
        for log in logs_of(file)? {
            read += 1;
            let titles: Vec<String> = rules
                .matches(&Event::from_log(&log))
                .map(|rule| rule.about.title.clone())
                .collect();
            if !titles.is_empty() {
                matched.push(Ok(MatchedLog {
                    rules: titles,
                    log: LogRow(log),
                }));
            }
        }
    }
    let table = [Column::cut_to(16, "rules")]
        .into_iter()
        .chain(LOG_COLUMNS.table.iter().copied());
    let csv: Vec<&str> = ["rules"]
        .into_iter()
        .chain(LOG_COLUMNS.csv.iter().copied())
        .collect();
    let columns = Columns {
        table: table.collect(),
        csv: &csv,
    };
    let count = context.output.rows(&columns, matched)?;
    match count {
        0 => Err(Failure::Nothing(Some(format!("no log of {read} matches")))),
        _ => Ok(()),
    }
}

fn single(rule: &DetectionRule, context: &Context) -> Option<SigmaRule> {
    match document(rule, context) {
        Some(Document::Rule(rule)) => Some(rule),
        _ => None,
    }
}

fn filter(rule: &DetectionRule, context: &Context) -> Option<SigmaFilter> {
    match document(rule, context) {
        Some(Document::Filter(filter)) => Some(filter),
        _ => None,
    }
}

fn document(rule: &DetectionRule, context: &Context) -> Option<Document> {
    let settings = &context.settings().detect;
    Document::from_json(&rule.rule_definition, &|name| settings.placeholder(name)).ok()
}

fn logs_of(file: &Path) -> Result<Vec<LogEntry>> {
    let mut logs = Vec::new();
    for source in Source::file(file).into_parts()? {
        for log in source?.open(&IngestOptions::new())? {
            logs.push(log?);
        }
    }
    Ok(logs)
}

#[derive(Serialize)]
#[serde(transparent)]
struct AnswerRow(Answer);

impl Row for AnswerRow {
    fn cells(&self, _: Zone) -> Vec<String> {
        let answer = &self.0;
        vec![
            if answer.holds { "yes" } else { "no" }.to_owned(),
            format!("{}{}", "  ".repeat(answer.depth), answer.question),
            answer.values.join(", "),
        ]
    }
}

const ANSWERS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("holds"),
        Column::cut_to(32, "question"),
        Column::cut_to(16, "values"),
    ]),
    csv: &["depth", "holds", "question", "values"],
};

/// Prints each question of a rule with its answer for a log.
pub(super) fn explain(args: &ExplainArgs, context: &mut Context) -> Result {
    let store = context.existing_store()?;
    let rules = rules_named(std::slice::from_ref(&args.rule), &store, context)?;
    let Some(rule) = rules.iter().find_map(|rule| single(rule, context)) else {
        let text = format!("{:?} is no rule on single logs that works", args.rule);
        return Err(Failure::Failed(text));
    };
    let Some(log) = store.find_logs(&args.log)?.into_iter().next() else {
        return Err(Failure::Nothing(Some(format!("no log {:?}", args.log))));
    };
    let event = Event::from_log(&log);
    let is_routed = RuleSet::new([rule.clone()]).has_rules_for(&event);
    if !is_routed {
        note(format_args!(
            "The rule is for logs of {}, and this log is of {}: it is not applied.",
            rule.log_source,
            log.log_source()
        ));
    }
    let rows = rule
        .explain(&event)
        .into_iter()
        .map(|answer| Ok(AnswerRow(answer)));
    context.output.rows(&ANSWERS, rows).map(drop)
}
