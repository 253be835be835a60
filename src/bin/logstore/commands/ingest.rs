//! `logstore ingest`: text in, logs stored.

mod without_time;

use std::borrow::Cow;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use logstore::Loader;
use logstore::ingest::{Encoding, IngestError, IngestErrorKind, InputFormat, Source, find_sources};
use logstore::load::{LoadOptions, LoadProgress, LoadReport};
use logstore::time::{DateOrder, Zone};
use serde::Serialize;

use super::formats;
use crate::context::Context;
use crate::flags::span;
use crate::logging::Drawn;
use crate::output::{Columns, NamedRow, Row, counted};
use crate::signals::Signals;
use crate::table::Column;
use crate::typed_time::typed_time;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, folders, patterns such as 'logs/*.gz', or - for standard input
    ///
    /// Files may be compressed with gzip, zstd, xz or bzip2, or be zip archives. A file in a folder that is no text is
    /// left out, and said so.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,

    /// The format of every line: json, rfc5424, rfc3164, access_log, error_log, text or export [default: detected]
    #[arg(long, value_name = "FORMAT")]
    input_format: Option<InputFormat>,

    /// Value of the field source_type [default: the format]
    #[arg(long, value_name = "NAME")]
    source_type: Option<String>,

    /// Character encoding, such as utf-16le or windows-1252 [default: the setting ingest.encoding]
    #[arg(long, value_name = "ENCODING")]
    encoding: Option<Encoding>,

    /// Field that identifies an event, or several between commas: one that is delivered twice is stored once [default:
    /// the setting ingest.id_field]
    #[arg(long, value_name = "FIELD")]
    id_field: Option<String>,

    /// The zone of times that name none [default: the setting ingest.zone]
    #[arg(long, value_name = "ZONE")]
    zone: Option<Zone>,

    /// Order of dates such as 11/06/2013: day_first, month_first or auto [default: the setting
    /// ingest.date_order]
    #[arg(long, value_name = "ORDER")]
    date_order: Option<DateOrder>,

    /// Read times without a year as the last ones before this [default: when the file was modified]
    #[arg(long, value_name = "TIME")]
    reference_time: Option<String>,

    /// Go on with what is written to the files, through rotation
    ///
    /// Files and folders that do not exist yet are waited for. SIGINT and SIGTERM are its normal end.
    #[arg(short, long)]
    follow: bool,

    /// Print the logs of each file: all, those without a time, those with a part that could not be read
    #[arg(long)]
    report: bool,

    /// Time between looks at the files, with --follow [default: the setting fetch.interval]
    #[arg(long, value_name = "TIME", value_parser = span, requires = "follow")]
    interval: Option<Duration>,
}

/// Holds a [`LoadReport`] as it is printed.
#[derive(Debug, Serialize)]
struct Summary {
    sources: u64,
    known_sources: u64,
    logs: u64,
    stored: u64,
    duplicates: u64,
    parse_errors: u64,
    without_time: u64,
    bytes: u64,
    skipped_sources: u64,
    failed_sources: u64,
    seconds: f64,
}

impl From<&LoadReport> for Summary {
    fn from(report: &LoadReport) -> Self {
        Self {
            sources: report.sources,
            known_sources: report.known_sources,
            logs: report.logs,
            stored: report.stored,
            duplicates: report.duplicates,
            parse_errors: report.parse_errors,
            without_time: report.without_time,
            bytes: report.bytes,
            skipped_sources: report.skipped_sources,
            failed_sources: report.failed_sources,
            seconds: report.elapsed.as_secs_f64(),
        }
    }
}

impl Row for Summary {
    fn cells(&self, _: Zone) -> Vec<String> {
        let per_second = |amount: u64| {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate for people"
            )]
            let rate = (amount as f64 / self.seconds.max(1e-9)) as u64;
            rate
        };
        vec![
            HumanCount(self.stored).to_string(),
            HumanCount(self.duplicates).to_string(),
            HumanCount(self.parse_errors).to_string(),
            HumanCount(self.without_time).to_string(),
            self.sources.to_string(),
            self.known_sources.to_string(),
            self.skipped_sources.to_string(),
            HumanBytes(self.bytes).to_string(),
            format!("{:.2} s", self.seconds),
            HumanCount(per_second(self.logs)).to_string(),
            format!("{}/s", HumanBytes(per_second(self.bytes))),
        ]
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("stored"),
        Column::whole("duplicates"),
        Column::whole("parse errors"),
        Column::whole("without time"),
        Column::whole("sources"),
        Column::whole("known"),
        Column::whole("skipped"),
        Column::whole("read"),
        Column::whole("time"),
        Column::whole("logs/s"),
        Column::whole("rate"),
    ]),
    csv: &[
        "sources",
        "known_sources",
        "logs",
        "stored",
        "duplicates",
        "parse_errors",
        "without_time",
        "bytes",
        "skipped_sources",
        "failed_sources",
        "seconds",
    ],
};

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let options = load_options(args, context)?;
    if args.follow && args.sources.iter().any(|name| name.as_os_str() == "-") {
        let text = "cannot follow standard input: without --follow it is read as it comes";
        return Err(Failure::Usage(text.to_owned()));
    }
    let (report, signals) = match args.follow {
        true => follow(args, options, context)?,
        false => read_to_ends(args, options, context)?,
    };
    match args.report {
        true => print_sources(&report, context)?,
        false => drop(context.output.rows(&COLUMNS, [Ok(Summary::from(&report))])?),
    }
    if report.unfinished_sources > 0 {
        log::warn!(
            "stopped before the end of {} sources; the same command goes on where this one stopped",
            report.unfinished_sources
        );
    }
    match args.follow {
        true => signals.check_followed()?,
        false => signals.check()?,
    }
    match report.failed_sources {
        0 => Ok(()),
        failed => Err(Failure::Failed(format!(
            "not read to their end: {failed} of {}",
            counted(report.sources, "source")
        ))),
    }
}

/// Prints the logs of each source. A source without new logs is left out.
fn print_sources(report: &LoadReport, context: &mut Context) -> Result {
    const NAMES: [&str; 4] = ["source", "logs", "without_time", "parse_errors"];
    let rows = report.by_source.iter().map(|(source, read)| {
        let values = vec![
            source.to_string_lossy().into(),
            read.logs.into(),
            read.without_time.into(),
            read.parse_errors.into(),
        ];
        Ok(NamedRow::new(&NAMES, values))
    });
    context.output.rows(&Columns::named(&NAMES), rows)?;
    if report.by_source.len() == LoadReport::MOST {
        log::warn!("only the first {} sources with logs are listed", LoadReport::MOST);
    }
    Ok(())
}

/// Returns the options of the settings, overridden by those of the flags.
fn load_options(args: &Args, context: &Context) -> Result<LoadOptions> {
    let settings = context.settings();
    let mut options = LoadOptions::from(&settings.ingest);
    options.interval = args.interval.unwrap_or(settings.fetch.interval);
    let ingest = &mut options.ingest;
    ingest.encoding = args.encoding.or(ingest.encoding);
    ingest.id_field = args.id_field.clone().or(ingest.id_field.take());
    ingest.zone = args.zone.or(ingest.zone);
    ingest.date_order = args.date_order.unwrap_or(ingest.date_order);
    ingest.format = args.input_format;
    ingest.formats = formats::library(context)?;
    ingest.source_type.clone_from(&args.source_type);
    if let Some(time) = &args.reference_time {
        ingest.reference = Some(typed_time(time, context.output.zone())?);
    }
    Ok(options)
}

fn follow(args: &Args, options: LoadOptions, context: &Context) -> Result<(LoadReport, Signals)> {
    let store = context.store_to_load()?;
    let loader = Loader::new(&store).options(options);
    let signals = Signals::stopping(&loader.stop_handle(), || {})?;
    let report = loader.follow(&args.sources)?;
    without_time::warn(&report);
    Ok((report, signals))
}

fn read_to_ends(args: &Args, options: LoadOptions, context: &Context) -> Result<(LoadReport, Signals)> {
    let sources = find_sources(&args.sources);
    check_found(&sources)?;
    let store = context.store_to_load()?;
    let bar = progress_bar();
    let drawn = Drawn::new(bar.clone());
    let loader = Loader::new(&store)
        .options(options)
        .on_progress(|progress| show(progress, &bar));
    let signals = Signals::stopping(&loader.stop_handle(), Drawn::clear)?;
    let report = loader.run_sources(sources)?;
    drop(drawn);
    without_time::warn(&report);
    Ok((report, signals))
}

/// Fails if there is nothing to read: no store is made for that.
fn check_found(sources: &[Result<Source, IngestError>]) -> Result {
    let failed = |source: &Result<Source, IngestError>| {
        let error = source.as_ref().err();
        error.is_some_and(|error| error.kind != IngestErrorKind::Loop)
    };
    match sources {
        [Err(error)] if failed(&sources[0]) => Err(Failure::Failed(error.to_string())),
        [_, _, ..] if sources.iter().all(failed) => {
            let errors = sources.iter().filter_map(|source| source.as_ref().err());
            errors.for_each(|error| log::error!("{error}"));
            let count = sources.len();
            Err(Failure::Failed(format!(
                "{count} of {count} sources cannot be read"
            )))
        }
        _ => Ok(()),
    }
}

/// Returns a bar that is drawn if standard error is a terminal. It spins until it knows how much there is to read.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn show(progress: LoadProgress, bar: &ProgressBar) {
    let template = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    if let (Some(total), None) = (progress.total_bytes, bar.length()) {
        bar.set_length(total);
        // The template is valid; a bar without it spins.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
    }
    bar.set_position(progress.bytes);
}
