//! `logstore alerts`: the alerts of detectors.

use std::borrow::Cow;
use std::net::IpAddr;

use chrono::SecondsFormat;
use clap::Subcommand;
use logstore::time::Zone;
use logstore::{Alert, AlertQuery, AlertStore as _, RiskFactor, Severity};
use serde::Serialize;

use crate::context::{Context, objects_on_stdin};
use crate::filters::matched;
use crate::flags::Limit;
use crate::output::{Columns, Emphasis, Row};
use crate::table::Column;
use crate::typed_time::typed_time;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print alerts, the newest first
    List(ListArgs),
    /// Store one alert from flags, or alerts as JSON lines from standard input
    Add(Box<AddArgs>),
    /// Mark alerts as taken note of
    Ack(AckArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Of this severity: informational, low, medium, high or critical
    #[arg(long)]
    severity: Option<Severity>,

    /// Of this severity or a higher one
    #[arg(long, value_name = "SEVERITY", conflicts_with = "severity")]
    min_severity: Option<Severity>,

    /// Of this type, such as brute_force
    #[arg(long = "type", value_name = "TYPE")]
    alert_type: Option<String>,

    /// Raised from this time on: 1m or "2 hours ago", today, 10:00, or a time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,

    /// Raised before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,

    /// With this source address
    #[arg(long, value_name = "ADDRESS")]
    source_ip: Option<String>,

    /// With this destination address
    #[arg(long, value_name = "ADDRESS")]
    dest_ip: Option<String>,

    /// About this user
    #[arg(long)]
    user: Option<String>,

    /// About this host
    #[arg(long)]
    host: Option<String>,

    /// Only acknowledged alerts
    #[arg(long, conflicts_with = "open")]
    acknowledged: bool,

    /// Only unacknowledged alerts
    #[arg(long)]
    open: bool,

    #[command(flatten)]
    limit: Limit,
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

#[derive(Debug, clap::Args)]
struct AckArgs {
    /// The ids of the alerts
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct AlertRow(pub(crate) Alert);

impl Row for AlertRow {
    const TIMES: &'static [&'static str] = &["created_at"];

    fn cells(&self, zone: Zone) -> Vec<String> {
        let alert = &self.0;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            zone.format(alert.created_at, SecondsFormat::Secs),
            alert.severity.to_string(),
            alert.alert_type.clone(),
            text(&alert.source_ip),
            text(&alert.user),
            text(&alert.host),
            format!("{:.0}", alert.priority_score),
            if alert.acknowledged { "yes" } else { "no" }.to_owned(),
            alert.id.clone(),
            alert.description.clone(),
        ]
    }

    fn emphasis(&self) -> Emphasis {
        match self.0.severity {
            _ if self.0.acknowledged => Emphasis::None,
            Severity::High | Severity::Critical => Emphasis::Urgent,
            Severity::Medium => Emphasis::Notable,
            _ => Emphasis::None,
        }
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("raised"),
        Column::whole("severity"),
        Column::cut_to(11, "type"),
        Column::cut_to(15, "source"),
        Column::cut_to(8, "user").spare(),
        Column::cut_to(8, "host").spare(),
        Column::whole("score").spare(),
        Column::whole("ack").spare(),
        Column::whole("id").spare(),
        Column::cut_to(11, "description"),
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
    ],
};

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    match &args.command {
        Command::List(args) => list(args, context),
        Command::Add(args) => add(args, context),
        Command::Ack(args) => {
            let ids: Vec<&str> = args.ids.iter().map(String::as_str).collect();
            Ok(context.existing_store()?.acknowledge_alerts(&ids)?)
        }
    }
}

fn list(args: &ListArgs, context: &mut Context) -> Result {
    let zone = context.output.zone();
    let time = |text: &Option<String>| text.as_ref().map(|text| typed_time(text, zone)).transpose();
    let mut query = AlertQuery::new();
    query.severity = args.severity;
    query.min_severity = args.min_severity;
    query.alert_type.clone_from(&args.alert_type);
    query.since = time(&args.since)?;
    query.until = time(&args.until)?;
    query.source_ip.clone_from(&args.source_ip);
    query.dest_ip.clone_from(&args.dest_ip);
    query.user.clone_from(&args.user);
    query.host.clone_from(&args.host);
    query.acknowledged = match (args.acknowledged, args.open) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    query.limit = context.output.limit(args.limit.limit);
    let alerts = context.existing_store()?.fetch_alerts(&query)?;
    let rows = alerts.into_iter().map(|alert| Ok(AlertRow(alert)));
    let printed = context.output.rows(&COLUMNS, rows)?;
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
        .rows(&COLUMNS, alerts.into_iter().map(|alert| Ok(AlertRow(alert))))
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
    let canonical = |address: IpAddr| address.to_canonical().to_string();
    alert.source_ip = args.source_ip.map(canonical);
    alert.dest_ip = args.dest_ip.map(canonical);
    alert.user.clone_from(&args.user);
    alert.host.clone_from(&args.host);
    alert.log_id.clone_from(&args.log_id);
    Ok(alert)
}
