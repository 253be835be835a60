//! `logstore intel`: indicators of known threats.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::Subcommand;
use logstore::time::Zone;
use logstore::{Indicator, IndicatorType, IntelQuery, IntelStore as _, ThreatIntel};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Context;
use crate::filters::matched;
use crate::flags::Limit;
use crate::output::{Columns, Row};
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
    /// Store one indicator
    Add(AddArgs),
    /// Print threat intelligence
    List(ListArgs),
    /// Store the indicators of a list: a text file with one a line, a MISP warning list, or JSON lines
    Import(ImportArgs),
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// An address, network, domain, URL, e-mail address or file hash
    indicator: Indicator,

    #[command(flatten)]
    about: About,
}

/// The flags that describe an indicator.
#[derive(Debug, clap::Args)]
struct About {
    /// Kind of threat, such as scanner
    #[arg(long, value_name = "TYPE", default_value = "unknown")]
    threat_type: String,

    /// Source of the indicator [default: user, of an import the file's name]
    #[arg(long)]
    source: Option<String>,

    /// Confidence of the source, from 0 to 1
    #[arg(long, value_name = "NUMBER", default_value_t = 0.5)]
    confidence: f64,

    /// When to stop believing it: in 90s, 2h, 30d, or at a time
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Of this type: ip, cidr, domain, url, email or file_hash
    #[arg(long = "type", value_name = "TYPE")]
    indicator_type: Option<IndicatorType>,

    /// Exactly this indicator
    #[arg(long)]
    indicator: Option<Indicator>,

    /// Only indicators of this source
    #[arg(long)]
    source: Option<String>,

    /// Only indicators with at least this confidence
    #[arg(long, value_name = "NUMBER")]
    min_confidence: Option<f64>,

    /// Only what has not expired
    #[arg(long)]
    valid: bool,

    #[command(flatten)]
    limit: Limit,
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// The list, or - for standard input
    file: PathBuf,

    #[command(flatten)]
    about: About,
}

#[derive(Serialize)]
#[serde(transparent)]
struct IntelRow(ThreatIntel);

impl Row for IntelRow {
    const TIMES: &'static [&'static str] = &["created_at", "expires_at"];

    fn cells(&self, zone: Zone) -> Vec<String> {
        let intel = &self.0;
        let expiry = intel
            .expires_at
            .map(|time| zone.format(time, SecondsFormat::Secs));
        vec![
            intel.indicator.indicator_type().to_string(),
            intel.indicator.to_string(),
            intel.threat_type.clone(),
            format!("{:.2}", intel.confidence),
            expiry.unwrap_or_else(|| "never".to_owned()),
            intel.source.clone(),
        ]
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("type"),
        Column::cut_to(16, "indicator"),
        Column::cut_to(8, "threat"),
        Column::whole("confidence"),
        Column::whole("expires"),
        Column::cut_to(8, "source"),
    ]),
    csv: &[
        "id",
        "indicator_type",
        "indicator_value",
        "threat_type",
        "confidence",
        "source",
        "metadata",
        "created_at",
        "expires_at",
    ],
};

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    match &args.command {
        Command::Add(args) => {
            let intel = args.about.intel(args.indicator.clone(), "user", context)?;
            context.store()?.upsert_intel(std::slice::from_ref(&intel))?;
            context.output.rows(&COLUMNS, [Ok(IntelRow(intel))]).map(drop)
        }
        Command::List(args) => list(args, context),
        Command::Import(args) => import(args, context),
    }
}

impl About {
    fn intel(&self, indicator: Indicator, source: &str, context: &Context) -> Result<ThreatIntel> {
        let source = self.source.as_deref().unwrap_or(source);
        let intel =
            ThreatIntel::new(indicator, &self.threat_type, source).with_confidence(self.confidence)?;
        Ok(match &self.expires {
            Some(text) => intel.valid_until(expiry(text, context)?),
            None => intel,
        })
    }
}

/// Reads a time as with `--since`, but a length of time means from now on.
fn expiry(text: &str, context: &Context) -> Result<DateTime<Utc>> {
    let ahead = humantime::parse_duration(text)
        .ok()
        .and_then(|span| TimeDelta::from_std(span).ok());
    match ahead.and_then(|ahead| Utc::now().checked_add_signed(ahead)) {
        Some(time) => Ok(time),
        None => Ok(typed_time(text, context.output.zone())?),
    }
}

fn list(args: &ListArgs, context: &mut Context) -> Result {
    let mut query = IntelQuery::new();
    query.indicator_type = args.indicator_type;
    query.indicator.clone_from(&args.indicator);
    query.source.clone_from(&args.source);
    query.min_confidence = args.min_confidence;
    query.valid_at = args.valid.then(Utc::now);
    query.limit = context.output.limit(args.limit.limit);
    let intel = context.existing_store()?.fetch_intel(&query)?;
    let rows = intel.into_iter().map(|intel| Ok(IntelRow(intel)));
    let printed = context.output.rows(&COLUMNS, rows)?;
    matched(printed, "indicators", (None, None), context.output.zone())
}

fn import(args: &ImportArgs, context: &mut Context) -> Result {
    let text = read(&args.file)?;
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let entries = entries(&text);
    let total = entries.len();
    let mut intel = Vec::with_capacity(total);
    let mut first_problem = None;
    for entry in entries {
        let found = match entry {
            Entry::Intel(found) => *found,
            Entry::Indicator(text) => text
                .parse()
                .map_err(Failure::from)
                .and_then(|indicator| args.about.intel(indicator, &name, context)),
        };
        match found {
            Ok(piece) => intel.push(piece),
            Err(failure) => first_problem = first_problem.or_else(|| failure.text().map(str::to_owned)),
        }
    }
    let rejected = total - intel.len();
    context.store()?.upsert_intel(&intel)?;
    let names = ["entries", "stored", "rejected"];
    let counts = vec![json!(total), json!(intel.len()), json!(rejected)];
    context.output.row(&names, counts)?;
    match first_problem {
        None => Ok(()),
        Some(problem) => Err(Failure::Failed(format!(
            "{rejected} of {total} entries are no indicators; the first: {problem}"
        ))),
    }
}

fn read(file: &Path) -> Result<String> {
    let read = match file == Path::new("-") {
        true => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        }
        false => std::fs::read_to_string(file),
    };
    read.map_err(|error| Failure::Failed(format!("cannot read indicators from {file:?}: {error}")))
}

enum Entry<'a> {
    Indicator(&'a str),
    Intel(Box<Result<ThreatIntel>>),
}

/// Holds a list of MISP's warning lists.
#[derive(Deserialize)]
struct WarningList<'a> {
    #[serde(borrow)]
    list: Vec<&'a str>,
}

fn entries(text: &str) -> Vec<Entry<'_>> {
    if let Ok(WarningList { list }) = serde_json::from_str(text) {
        // A dot in front means that subdomains are meant as well.
        let names = list.into_iter().map(|name| name.trim_start_matches('.'));
        return names.map(Entry::Indicator).collect();
    }
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &'_ str| {
        let object: Result<ThreatIntel> =
            serde_json::from_str(line).map_err(|error| Failure::Usage(error.to_string()));
        Entry::Intel(Box::new(object))
    };
    lines
        .map(|line| match line.starts_with('{') {
            true => entry(line),
            // Counts and comments follow the indicator.
            false => Entry::Indicator(line.split([' ', '\t', ',', ';']).next().unwrap_or(line)),
        })
        .collect()
}
