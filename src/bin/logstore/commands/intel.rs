//! `logstore intel`: indicators of known threats.

mod lookup;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::Subcommand;
use logstore::detect::{Detector, HalfLives, IndicatorSet, IndicatorSetBuilder};
use logstore::feeds::{self, Feed, FeedFormat, FeedOptions};
use logstore::time::Zone;
use logstore::{DuckDbStore, Indicator, IndicatorType, IntelQuery, IntelStore as _, Order, ThreatIntel};
use serde::Serialize;
use serde_json::json;

use super::hunt;
use crate::context::Context;
use crate::filters::{Filters, matched, note_limit};
use crate::flags::Limit;
use crate::output::{Columns, Row, counted};
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
    /// Store the indicators of a feed: a list, a table, STIX, MISP, OTX or JSON lines
    Import(ImportArgs),
    /// Find indicators in the logs that are stored
    Match(MatchArgs),
    /// Print what is known of values, and when logs had them
    Lookup(lookup::Args),
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// An address, network, domain, URL, e-mail address or file hash; it may be defanged
    #[arg(value_parser = feeds::indicator)]
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
    /// The feed, or - for standard input
    file: PathBuf,

    #[command(flatten)]
    about: About,

    /// Format, if the feed does not tell it: list, csv, json, stix, misp, warning-list or otx
    #[arg(long, value_name = "FORMAT")]
    input_format: Option<FeedFormat>,

    /// Names of the columns of a table without names, such as id,ip,name
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,

    /// Let what the source said before and does not say now expire
    #[arg(long)]
    replace: bool,

    /// Keep values that cannot be signs of a threat, such as private addresses
    #[arg(long)]
    keep_all: bool,

    /// The feed names what is harmless, as MISP's warning lists do
    #[arg(long)]
    allow: bool,
}

#[derive(Debug, clap::Args)]
struct MatchArgs {
    #[command(flatten)]
    filters: Filters,

    /// Store what is found as alerts, marked as found later
    #[arg(long)]
    alerts: bool,

    #[command(flatten)]
    limit: Limit,
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
            if let Some(reason) = feeds::reason_against(&args.indicator) {
                log::warn!("{} is stored all the same: {reason}", args.indicator);
            }
            let intel = args.about.intel(args.indicator.clone(), "user", context)?;
            warn_of_expired(std::slice::from_ref(&intel));
            context.store()?.upsert_intel(std::slice::from_ref(&intel))?;
            context.output.rows(&COLUMNS, [Ok(IntelRow(intel))]).map(drop)
        }
        Command::List(args) => list(args, context),
        Command::Import(args) => import(args, context),
        Command::Match(args) => match_logs(args, context),
        Command::Lookup(args) => lookup::run(args, context),
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
    query.indicators.extend(args.indicator.clone());
    query.source.clone_from(&args.source);
    query.min_confidence = args.min_confidence;
    query.valid_at = args.valid.then(Utc::now);
    query.limit = context.output.limit(args.limit.limit);
    let intel = context.existing_store()?.fetch_intel(&query)?;
    let rows = intel.into_iter().map(|intel| Ok(IntelRow(intel)));
    let printed = context.output.rows(&COLUMNS, rows)?;
    note_limit(printed, args.limit, query.limit, "indicators");
    matched(printed, "indicators", (None, None), context.output.zone())
}

/// Returns the indicators of a store, to look for all of them at the same time.
pub(super) fn indicators(store: &DuckDbStore, half_lives: HalfLives) -> logstore::Result<Arc<IndicatorSet>> {
    let mut builder = IndicatorSetBuilder::default();
    store.read_intel(0, &mut |intel| builder.push(&intel))?;
    Ok(Arc::new(builder.finish().with_half_lives(half_lives)))
}

/// Finds the indicators of the store in its logs.
fn match_logs(args: &MatchArgs, context: &mut Context) -> Result {
    let query = args.filters.query(context.output.zone())?;
    let query = query.order(Order::OldestFirst);
    let (mut detector, _) = Detector::new(&[], &|_| None);
    let half_lives = context.settings().intel.half_lives();
    let indicators = indicators(&context.existing_store()?, half_lives)?;
    if indicators.is_empty() {
        log::warn!("the store has no indicators to look for; see logstore intel import");
    }
    detector.set_indicators(indicators);
    hunt::report(&detector, &query, args.alerts, &args.limit, context)
}

fn import(args: &ImportArgs, context: &mut Context) -> Result {
    let feed = read(args, &feed_options(args, context)?)?;
    warn_of(&feed.refused, |refused| &refused.reason);
    warn_of(&feed.warnings, |warning| &warning.reason);
    if feed.intel.is_empty() && !feed.refused.is_empty() {
        return Err(Failure::Failed(format!(
            "{:?} has no indicators: every entry was refused, {} in all",
            args.file, feed.entries
        )));
    }
    if args.replace && feed.intel.is_empty() {
        return Err(Failure::Failed(format!(
            "{:?} has no indicators: --replace would let all that its source said before expire",
            args.file
        )));
    }
    if feed.entries == 0 {
        log::warn!("{:?} has no indicators", args.file);
    }
    warn_of_expired(&feed.intel);
    let store = context.store()?;
    let expired = match args.replace {
        true => store.replace_intel(&source_of(args), &feed.intel, Utc::now())?,
        false => store.upsert_intel(&feed.intel).map(|()| 0)?,
    };
    let names = ["format", "entries", "stored", "refused", "expired"];
    let counts = [
        feed.entries,
        feed.intel.len() as u64,
        feed.refused.len() as u64,
        expired,
    ];
    let values = std::iter::once(json!(feed.format.as_str())).chain(counts.map(|count| json!(count)));
    context.output.row(&names, values.collect())
}

/// Returns the source of a feed: the one that is given, or the name of its file.
fn source_of(args: &ImportArgs) -> String {
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    args.about.source.clone().unwrap_or_else(|| name.into_owned())
}

fn feed_options(args: &ImportArgs, context: &Context) -> Result<FeedOptions> {
    let mut options = FeedOptions::new(source_of(args)).with_confidence(args.about.confidence)?;
    options.format = args.input_format;
    options.columns.clone_from(&args.columns);
    options.threat_type.clone_from(&args.about.threat_type);
    options.expires_at = args
        .about
        .expires
        .as_deref()
        .map(|text| expiry(text, context))
        .transpose()?;
    options.keep_all = args.keep_all;
    options.allow = args.allow;
    Ok(options)
}

/// Warns of indicators that have expired, and so count only for logs from before.
fn warn_of_expired(intel: &[ThreatIntel]) {
    let now = Utc::now();
    let is_expired = |intel: &&ThreatIntel| intel.expires_at.is_some_and(|expiry| expiry <= now);
    let count = intel.iter().filter(is_expired).count();
    if count > 0 {
        log::warn!(
            "{count} of {} expired: what has expired counts only for logs from before",
            counted(intel.len() as u64, "indicator")
        );
    }
}

/// Warns of the first of some entries, and counts the others by their reasons.
fn warn_of<E: Display>(entries: &[E], reason: impl Fn(&E) -> &str) {
    const SHOWN: usize = 10;
    for entry in entries.iter().take(SHOWN) {
        log::warn!("{entry}");
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries.iter().skip(SHOWN) {
        *counts.entry(reason(entry)).or_default() += 1;
    }
    for (reason, count) in counts {
        log::warn!("and {count} more: {reason}");
    }
}

/// Reads a feed. It may be UTF-16, if it says so by its mark. Otherwise its indicators are ASCII, whatever the encoding of
/// its comments.
fn read(args: &ImportArgs, options: &FeedOptions) -> Result<Feed> {
    let file = &args.file;
    let failed =
        |error: &dyn Display| Failure::Failed(format!("cannot read indicators from {file:?}: {error}"));
    let mut bytes = Vec::new();
    let read = match file == Path::new("-") {
        true => std::io::stdin().read_to_end(&mut bytes).map(drop),
        false => std::fs::read(file).map(|read| bytes = read),
    };
    read.map_err(|error| failed(&error))?;
    let (text, ..) = encoding_rs::UTF_8.decode(&bytes);
    feeds::read(&text, options).map_err(|error| failed(&error))
}
