//! `logstore alerts`: the alerts of detectors.

mod change;
mod conditions;
pub(crate) mod show;
mod suppress;

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use chrono::SecondsFormat;
use clap::Subcommand;
use logstore::alerts::AlertOrder;
use logstore::time::Zone;
use logstore::{Alert, AlertStatus, AlertStore as _, LogKey, RiskFactor, Severity};
use serde::Serialize;

use self::conditions::{Conditions, canonical_text};

use crate::context::{Context, objects_on_stdin};
use crate::filters::{matched, note_limit};
use crate::flags::Limit;
use crate::ids::{shortened, telling_length, whole_rule_id};
use crate::output::{Columns, Emphasis, Row};
use crate::table::Column;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print open alerts, the riskiest first
    List(Box<ListArgs>),
    /// Print alerts with their logs, rules and histories
    Show(show::Args),
    /// Store one alert from flags, or alerts as JSON lines from standard input
    Add(Box<AddArgs>),
    /// Begin work on alerts: their status is in_progress
    Ack(change::AckArgs),
    /// Make a person responsible for an alert
    Assign(change::AssignArgs),
    /// Add a note to the history of an alert
    Note(change::NoteArgs),
    /// Close alerts with a verdict: their status is resolved
    Close(change::CloseArgs),
    /// Suppress matches that need no analyst
    Suppress(suppress::Args),
    /// Print alerts of any status in a schema of other programs, one JSON object a line
    Export(Box<ExportArgs>),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    conditions: Conditions,

    #[command(flatten)]
    limit: Limit,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    /// Schema of the objects: ocsf, for Detection Findings (class 2004)
    #[arg(long)]
    schema: Schema,

    #[command(flatten)]
    conditions: Conditions,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Schema {
    Ocsf,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// Kind of finding, such as brute_force
    #[arg(
        long = "type",
        value_name = "TYPE",
        requires = "method",
        requires = "severity"
    )]
    alert_type: Option<String>,

    /// Method of detection, such as heuristic
    #[arg(long, requires = "alert_type")]
    method: Option<String>,

    /// Severity: informational, low, medium, high or critical
    #[arg(long, requires = "alert_type")]
    severity: Option<Severity>,

    /// The text for people
    #[arg(long, requires = "alert_type", value_name = "TEXT")]
    description: Option<String>,

    /// Confidence of the detector, from 0 to 1
    #[arg(long, requires = "alert_type", value_name = "NUMBER")]
    confidence: Option<f64>,

    /// Circumstance that makes it more urgent; repeatable
    #[arg(long, requires = "alert_type", value_name = "FACTOR")]
    risk_factor: Vec<RiskFactorArg>,

    /// The address that acted
    #[arg(long, requires = "alert_type", value_name = "ADDRESS")]
    source_ip: Option<IpAddr>,

    /// The address that was acted on
    #[arg(long, requires = "alert_type", value_name = "ADDRESS")]
    dest_ip: Option<IpAddr>,

    /// The user involved
    #[arg(long, requires = "alert_type")]
    user: Option<String>,

    /// The host involved
    #[arg(long, requires = "alert_type")]
    host: Option<String>,

    /// The id of the log that gave rise to it
    #[arg(long, requires = "alert_type", value_name = "ID")]
    log_id: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum RiskFactorArg {
    KnownIndicator,
    PrivilegedUser,
    CriticalAsset,
    Repeated,
}

impl From<RiskFactorArg> for RiskFactor {
    fn from(factor: RiskFactorArg) -> Self {
        match factor {
            RiskFactorArg::KnownIndicator => Self::KnownIndicator,
            RiskFactorArg::PrivilegedUser => Self::PrivilegedUser,
            RiskFactorArg::CriticalAsset => Self::CriticalAsset,
            RiskFactorArg::Repeated => Self::Repeated,
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct AlertRow(Alert, #[serde(skip)] String);

impl AlertRow {
    /// Shows an alert with its whole id.
    pub(crate) fn new(alert: Alert) -> Self {
        let id = alert.id.clone();
        Self(alert, id)
    }

    /// Shows alerts with as much of their ids as tells them apart.
    fn all(alerts: Vec<Alert>) -> impl Iterator<Item = Self> {
        let length = telling_length(alerts.iter().map(|alert| alert.id.as_str()));
        alerts.into_iter().map(move |alert| {
            let id = shortened(&alert.id, length);
            Self(alert, id)
        })
    }
}

impl Row for AlertRow {
    const TIMES: &'static [&'static str] = &["created_at", "updated_at", "first_seen", "last_seen"];

    fn cells(&self, zone: Zone) -> Vec<String> {
        let alert = &self.0;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            self.1.clone(),
            zone.format(alert.last_seen.unwrap_or(alert.created_at), SecondsFormat::Secs),
            alert.severity.to_string(),
            alert.count.to_string(),
            title(alert).to_owned(),
            text(&alert.host),
            text(&alert.user),
            text(&alert.source_ip),
            alert.status.to_string(),
            format!("{:.0}", alert.priority_score),
            alert.techniques().join(" "),
            alert.alert_type.clone(),
        ]
    }

    fn emphasis(&self) -> Emphasis {
        emphasis(&self.0)
    }
}

/// Returns the text for people, else the type.
pub(super) fn title(alert: &Alert) -> &str {
    match alert.description.is_empty() {
        true => &alert.alert_type,
        false => &alert.description,
    }
}

pub(super) fn emphasis(alert: &Alert) -> Emphasis {
    match alert.severity {
        _ if alert.acknowledged => Emphasis::None,
        Severity::High | Severity::Critical => Emphasis::Urgent,
        Severity::Medium => Emphasis::Notable,
        _ => Emphasis::None,
    }
}

pub(super) const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("id"),
        Column::whole("last seen"),
        Column::whole("severity"),
        Column::whole("count").spare(),
        Column::cut_to(11, "alert"),
        Column::cut_to(8, "host").spare(),
        Column::cut_to(8, "user").spare(),
        Column::cut_to(15, "source").spare(),
        Column::whole("status").spare(),
        Column::whole("score").spare(),
        Column::cut_to(9, "att&ck").spare(),
        Column::cut_to(8, "type").spare(),
    ]),
    csv: &[
        "id",
        "log_id",
        "alert_type",
        "detection_method",
        "severity",
        "description",
        "metadata",
        "created_at",
        "acknowledged",
        "priority_score",
        "source_ip",
        "dest_ip",
        "user",
        "host",
        "process",
        "rule_id",
        "tags",
        "status",
        "verdict",
        "assignee",
        "count",
        "first_seen",
        "last_seen",
        "updated_at",
    ],
};

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    match &args.command {
        Command::List(args) => list(args, context),
        Command::Show(args) => show::run(args, context),
        Command::Add(args) => add(args, context),
        Command::Ack(args) => change::ack(args, context),
        Command::Assign(args) => change::assign(args, context),
        Command::Note(args) => change::note(args, context),
        Command::Close(args) => change::close(args, context),
        Command::Suppress(args) => suppress::run(args, context),
        Command::Export(args) => export(args, context),
    }
}

fn list(args: &ListArgs, context: &mut Context) -> Result {
    const OPEN: [AlertStatus; 2] = [AlertStatus::New, AlertStatus::InProgress];
    let zone = context.output.zone();
    let mut query = args
        .conditions
        .query(zone, &OPEN)?
        .order(AlertOrder::RiskiestFirst);
    query.limit = context.output.limit(args.limit.limit);
    let store = context.existing_store()?;
    query.rule_id = whole_rule_id(query.rule_id, &store)?;
    let alerts = store.fetch_alerts(&query)?;
    let differ = |pair: &[Alert]| matches!(pair, [a, b] if a.status != b.status);
    let columns = match query.statuses.is_empty() || alerts.windows(2).any(differ) {
        true => COLUMNS.keeping("status"),
        false => COLUMNS,
    };
    let printed = context.output.rows(&columns, AlertRow::all(alerts).map(Ok))?;
    note_limit(printed, args.limit, query.limit, "alerts");
    matched(printed, "alerts", (query.since, query.until), zone)
}

fn export(args: &ExportArgs, context: &mut Context) -> Result {
    let Schema::Ocsf = args.schema;
    let zone = context.output.zone();
    let mut query = args.conditions.query(zone, &[])?;
    let store = context.existing_store()?;
    query.rule_id = whole_rule_id(query.rule_id, &store)?;
    let alerts = store.fetch_alerts(&query)?;
    let ids: Vec<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
    let mut logs: HashMap<String, Vec<LogKey>> = HashMap::new();
    for (id, log) in store.alert_logs(&ids)? {
        logs.entry(id).or_default().push(log);
    }
    let findings = alerts.iter().map(|alert| {
        let logs = logs.remove(&alert.id).unwrap_or_default();
        alert.to_ocsf(&logs)
    });
    let printed = context.output.json_lines(findings)?;
    matched(printed, "alerts", (query.since, query.until), zone)
}

fn add(args: &AddArgs, context: &mut Context) -> Result {
    let alerts = match (&args.alert_type, &args.method, args.severity) {
        (Some(alert_type), Some(method), Some(severity)) => vec![alert(args, alert_type, method, severity)?],
        (None, None, None) => objects_on_stdin::<Alert>("alerts")?,
        _ => {
            let text = "an alert needs --type, --method and --severity";
            return Err(Failure::Usage(text.to_owned()));
        }
    };
    let stored = context.store()?.store_alerts(&alerts)?;
    log::info!("stored {stored} new alerts of {}", alerts.len());
    context
        .output
        .rows(&COLUMNS, alerts.into_iter().map(|alert| Ok(AlertRow::new(alert))))
        .map(drop)
}

fn alert(args: &AddArgs, alert_type: &str, method: &str, severity: Severity) -> Result<Alert> {
    let mut alert = Alert::new(alert_type, method, severity);
    if let Some(confidence) = args.confidence {
        alert = alert.with_confidence(confidence)?;
    }
    for factor in &args.risk_factor {
        alert = alert.with_risk_factor((*factor).into());
    }
    alert.description = args.description.clone().unwrap_or_default();
    alert.source_ip = args.source_ip.map(canonical_text);
    alert.dest_ip = args.dest_ip.map(canonical_text);
    alert.user.clone_from(&args.user);
    alert.host.clone_from(&args.host);
    alert.log_id.clone_from(&args.log_id);
    Ok(alert)
}
