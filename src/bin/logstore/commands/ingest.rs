//! `logstore ingest`: text in, logs stored.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use logstore::{
    DuckDbStore, IngestError, IngestOptions, InputFormat, LogEntry, LogStore as _, PARSE_ERROR, Source,
    StopHandle, Zone, find_sources,
};
use serde::Serialize;

use super::{Context, stop_on_signal};
use crate::output::{Columns, Row};
use crate::{Failure, Result, filters};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, folders, patterns such as 'logs/*.gz', or - for standard input
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

    /// Read times without a year as the last ones before this [default: when the file was modified]
    #[arg(long, value_name = "TIME")]
    reference_time: Option<String>,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Summary {
    sources: u64,
    logs: u64,
    stored: u64,
    duplicates: u64,
    parse_errors: u64,
    bytes: u64,
    failed_sources: u64,
    seconds: f64,
}

impl Row for Summary {
    fn cells(&self) -> Vec<String> {
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
            self.sources.to_string(),
            HumanBytes(self.bytes).to_string(),
            format!("{:.2} s", self.seconds),
            HumanCount(per_second(self.logs)).to_string(),
            format!("{}/s", HumanBytes(per_second(self.bytes))),
        ]
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: &[
        "stored",
        "duplicates",
        "parse errors",
        "sources",
        "read",
        "time",
        "logs/s",
        "rate",
    ],
    csv: &[
        "sources",
        "logs",
        "stored",
        "duplicates",
        "parse_errors",
        "bytes",
        "failed_sources",
        "seconds",
    ],
};

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let sources = find_sources(&args.sources)?;
    let zone = args.zone.unwrap_or(context.settings().ingest.zone);
    let mut options = IngestOptions::new().with_zone(zone);
    options.format = args.input_format;
    options.source_type.clone_from(&args.source_type);
    if let Some(time) = &args.reference_time {
        options = options.with_reference(filters::time(time, zone)?);
    }
    let store = context.store()?;
    let stop = StopHandle::default();
    stop_on_signal(&stop)?;

    let started = Instant::now();
    let batch_size = context.settings().ingest.batch_size;
    let mut summary = ingest(&sources, &options, &store, batch_size, &stop)?;
    summary.seconds = started.elapsed().as_secs_f64();
    context.output.rows(&COLUMNS, [Ok(&summary)])?;
    if stop.is_stopped() {
        return Err(Failure::Interrupted);
    }
    match summary.failed_sources {
        0 => Ok(()),
        failed => Err(Failure::Failed(format!(
            "{failed} of {} sources were not read to their end",
            summary.sources
        ))),
    }
}

impl Row for &Summary {
    fn cells(&self) -> Vec<String> {
        (**self).cells()
    }
}

/// What the reader hands to the writer.
enum Message {
    Logs(Vec<LogEntry>),
    /// A source is done, with so many bytes read, and with an error if not to its end.
    Done(u64, Option<IngestError>),
}

/// Reads in one thread and stores in this one.
fn ingest(
    sources: &[Source],
    options: &IngestOptions,
    store: &DuckDbStore,
    batch_size: usize,
    stop: &StopHandle,
) -> Result<Summary> {
    /// Batches that are read ahead of the one that is being stored.
    const AHEAD: usize = 1;
    let progress = progress_bar(sources);
    let (sender, messages) = sync_channel(AHEAD);
    let outcome = std::thread::scope(|scope| {
        let bar = &progress;
        scope.spawn(move || read(sources, options, batch_size, stop, &sender, bar));
        // Gives up the receiver when it fails, so that the reader stops as well.
        write(messages, store, bar)
    });
    progress.finish_and_clear();
    outcome
}

/// Reads every source; ends early when nobody takes the logs any more.
fn read(
    sources: &[Source],
    options: &IngestOptions,
    batch_size: usize,
    stop: &StopHandle,
    sender: &SyncSender<Message>,
    progress: &ProgressBar,
) {
    // A batch may hold the end of one source and all of the next: many small files are few transactions.
    let mut batch = Batch::new(batch_size);
    for source in sources {
        let mut read_before = 0;
        let mut error = None;
        match source.open(options) {
            Ok(mut logs) => {
                while let Some(log) = logs.next() {
                    match log {
                        Ok(log) => batch.push(log),
                        Err(failed) => error = Some(failed),
                    }
                    if batch.is_full() {
                        progress.inc(logs.bytes_read() - read_before);
                        read_before = logs.bytes_read();
                        if stop.is_stopped() || sender.send(Message::Logs(batch.take())).is_err() {
                            return;
                        }
                    }
                }
                progress.inc(logs.bytes_read() - read_before);
                read_before = logs.bytes_read();
            }
            Err(failed) => error = Some(failed),
        }
        if sender.send(Message::Done(read_before, error)).is_err() {
            return;
        }
    }
    // Without a receiver there is nobody left to tell.
    sender.send(Message::Logs(batch.take())).ok();
}

/// Logs on their way to one transaction: so many of them, or so many bytes.
struct Batch {
    logs: Vec<LogEntry>,
    bytes: usize,
    size: usize,
}

impl Batch {
    const BYTES: usize = 64 << 20;

    fn new(size: usize) -> Self {
        Self {
            logs: Vec::new(),
            bytes: 0,
            size,
        }
    }

    fn push(&mut self, log: LogEntry) {
        self.bytes += log.raw.as_ref().map_or(0, String::len);
        self.logs.push(log);
    }

    fn is_full(&self) -> bool {
        self.logs.len() >= self.size || self.bytes >= Self::BYTES
    }

    fn take(&mut self) -> Vec<LogEntry> {
        self.bytes = 0;
        std::mem::take(&mut self.logs)
    }
}

fn write(messages: Receiver<Message>, store: &DuckDbStore, progress: &ProgressBar) -> Result<Summary> {
    let mut summary = Summary::default();
    for message in messages {
        match message {
            Message::Logs(logs) => {
                let failed = |log: &&LogEntry| log.metadata.contains_key(PARSE_ERROR);
                summary.parse_errors += logs.iter().filter(failed).count() as u64;
                summary.logs += logs.len() as u64;
                let appended = store.append_logs(&logs).inspect_err(|_| progress.abandon())?;
                summary.stored += appended.stored;
                summary.duplicates += appended.duplicates;
            }
            Message::Done(bytes, error) => {
                summary.sources += 1;
                summary.bytes += bytes;
                if let Some(error) = error {
                    summary.failed_sources += 1;
                    progress.suspend(|| log::error!("{error}"));
                }
            }
        }
    }
    Ok(summary)
}

fn progress_bar(sources: &[Source]) -> ProgressBar {
    let total: Option<u64> = sources.iter().map(Source::bytes).sum();
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
