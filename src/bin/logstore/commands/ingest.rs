//! `logstore ingest`: text in, logs stored.

#[path = "../../../load/pipeline.rs"]
mod pipeline;

use std::borrow::Cow;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use logstore::{
    DateOrder, Follower, IngestError, IngestErrorKind, IngestOptions, IngestStore as _, InputFormat,
    KnownFiles, Source, StopHandle, Zone, find_sources,
};
use serde::Serialize;

use crate::context::Context;
use crate::flags::span;
use crate::output::{Columns, Row};
use crate::signals::Signals;
use crate::table::Column;
use crate::typed_time::typed_time;
use crate::{Failure, Result};
use pipeline::Pipeline;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, folders, patterns such as 'logs/*.gz', or - for standard input
    ///
    /// Files may be compressed with gzip, zstd, xz or bzip2, or be zip archives. A file in a folder that is no text is
    /// left out, and said so.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,

    /// The format of every line: json, rfc5424, rfc3164, access_log, error_log or text [default: detected]
    #[arg(long, value_name = "FORMAT")]
    input_format: Option<InputFormat>,

    /// What to call the source in the field source_type [default: the format]
    #[arg(long, value_name = "NAME")]
    source_type: Option<String>,

    /// The zone of times that name none [default: the setting ingest.zone]
    #[arg(long, value_name = "ZONE")]
    zone: Option<Zone>,

    /// Whether 11/06/2013 starts with its day or its month: day_first, month_first or auto [default: the setting
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

    /// How long to wait between looks at the files, with --follow [default: the setting fetch.interval]
    #[arg(long, value_name = "TIME", value_parser = span, requires = "follow")]
    interval: Option<Duration>,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Summary {
    sources: u64,
    /// Those that were read before: only what is new in them was read.
    known_sources: u64,
    logs: u64,
    stored: u64,
    duplicates: u64,
    parse_errors: u64,
    /// Those that have no time of their own.
    without_time: u64,
    bytes: u64,
    /// Those that are no text, or lead back to a folder that is read anyway.
    skipped_sources: u64,
    failed_sources: u64,
    seconds: f64,
    /// How many files were not read to their end, or not at all, when the user or the system stopped it.
    #[serde(skip)]
    unfinished: usize,
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
    let zone = args.zone.unwrap_or(context.settings().ingest.zone);
    let mut options = IngestOptions::new().with_zone(zone);
    let proxies = &context.settings().ingest.trusted_proxies;
    options.trusted_proxies.clone_from(proxies);
    options.date_order = args.date_order.unwrap_or(context.settings().ingest.date_order);
    options.format = args.input_format;
    options.source_type.clone_from(&args.source_type);
    if let Some(time) = &args.reference_time {
        options = options.with_reference(typed_time(time, context.output.zone())?);
    }
    let has_pipe = args.sources.iter().any(|name| name.as_os_str() == "-");
    if args.follow && has_pipe {
        let text = "cannot follow standard input: without --follow it is read as it comes";
        return Err(Failure::Usage(text.to_owned()));
    }
    let mut sources = match args.follow {
        true => Vec::new(),
        false => find_sources(&args.sources),
    };
    check_found(&sources)?;
    let store = context.store_to_load()?;
    // Its folder may be among the sources, but it is no log; and closing its file would free its lock.
    let own_files = store.files();
    sources.retain(|source| !source.as_ref().is_ok_and(|source| source.is_one_of(&own_files)));
    let known = KnownFiles::new(store.file_positions()?);
    let stop = StopHandle::default();
    let progress = match args.follow {
        true => ProgressBar::hidden(),
        false => progress_bar(&sources),
    };
    let drawn = progress.clone();
    let signals = Signals::stopping(&stop, move || drawn.finish_and_clear())?;
    let pipeline = Pipeline {
        store: &store,
        options: options.with_stop(stop.clone()),
        batch_size: context.settings().ingest.batch_size,
        stop,
        // What was taken from a pipe cannot be taken again.
        keeps_trying: args.follow || has_pipe,
        progress,
    };
    let started = Instant::now();
    let mut summary = if args.follow {
        let interval = args.interval.unwrap_or(context.settings().fetch.interval);
        pipeline.follow(Follower::new(&args.sources).skipping(own_files), known, interval)?
    } else {
        pipeline.read_to_ends(sources, known)?
    };
    summary.seconds = started.elapsed().as_secs_f64();
    let (all, failed, unfinished) = (summary.sources, summary.failed_sources, summary.unfinished);
    context.output.rows(&COLUMNS, [Ok(summary)])?;
    if unfinished > 0 {
        log::warn!(
            "stopped before the end of {unfinished} sources; the same command goes on where this one stopped"
        );
    }
    match args.follow {
        true => signals.check_followed()?,
        false => signals.check()?,
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::Failed(format!(
            "{failed} of {all} sources were not read to their end"
        ))),
    }
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

fn progress_bar(sources: &[Result<Source, IngestError>]) -> ProgressBar {
    let total: Option<u64> = sources.iter().flatten().map(Source::bytes).sum();
    let bar = match total {
        Some(bytes) => ProgressBar::new(bytes),
        None => ProgressBar::new_spinner(),
    };
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let template = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    if let (Some(_), Ok(style)) = (total, ProgressStyle::with_template(template)) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
