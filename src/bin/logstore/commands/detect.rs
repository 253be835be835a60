//! `logstore detect`: rules over new logs.

mod bounded;
mod deliveries;
mod indicators;
mod later;
mod raised;

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use crossbeam_channel::Sender;
use logstore::alerts::Detections;
use logstore::detect::{Detector, LookingBack};
use logstore::storage::CommitResult;
use logstore::{DetectionRule, DuckDbStore, Error, Fetcher, LogBatch, LogEntry, Severity, StartPosition};
use serde_json::json;

use self::deliveries::Deliveries;
use self::indicators::Indicators;
use self::raised::Raised;
use super::rules::{enabled_rules, new_detector, set_routes};
use crate::context::Context;
use crate::flags::span;
use crate::signals::Signals;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on with logs as they are stored, and print each new alert
    #[arg(short, long)]
    follow: bool,

    /// Print no new alerts, with --follow
    #[arg(short, long, requires = "follow")]
    quiet: bool,

    /// The name of the position in the store: under each name, every log is looked at once
    #[arg(long, value_name = "NAME", default_value = "sigma")]
    consumer: String,

    /// Where a new consumer begins: at the first log of the store (earliest), or after the last one (now)
    #[arg(long, value_name = "PLACE", default_value = "earliest", value_parser = place)]
    from: From,

    /// Apply the rules of these files, folders and archives instead of those of the store; repeatable
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,

    /// The least level of rules that raise alerts; others leave hits
    #[arg(long, value_name = "LEVEL", default_value = "low")]
    min_level: Severity,

    /// Run this shell command for each new alert, with the alert as JSON on its standard input. It is ended after 30
    /// seconds, at most 4 run at a time, and what was not delivered is tried again later and by the next run
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,

    /// Time between polls, with --follow [default: the setting fetch.interval]
    #[arg(long, value_name = "TIME", value_parser = span, requires = "follow")]
    interval: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Earliest,
    Now,
}

/// Reads a place. It is one in the order of commits, and no time of logs, which people type here all the same.
fn place(text: &str) -> Result<From, String> {
    match text {
        "earliest" => Ok(From::Earliest),
        "now" => Ok(From::Now),
        _ => Err(format!(
            "use earliest or now: the logs of a time are searched with logstore hunt --since '{text}' --alerts"
        )),
    }
}

/// Counts what a run did.
#[derive(Debug, Default)]
struct Totals {
    logs: u64,
    matches: u64,
    suppressed: u64,
    alerts: u64,
    hits: u64,
    late: u64,
}

impl Totals {
    fn add(&mut self, logs: usize, found: &Detections, stored: &CommitResult) {
        self.logs += logs as u64;
        self.matches += stored.counted;
        self.suppressed += stored.suppressed;
        self.alerts += stored.stored;
        self.hits += found.hits.len() as u64;
        self.late += stored.late;
    }

    fn add_all(&mut self, other: &Self) {
        self.logs += other.logs;
        self.matches += other.matches;
        self.suppressed += other.suppressed;
        self.alerts += other.alerts;
        self.hits += other.hits;
        self.late += other.late;
    }

    /// Adds what was found later.
    fn add_later(&mut self, stored: &CommitResult) {
        self.add(0, &Detections::default(), stored);
    }
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    set_routes(context)?;
    let store = context.store_to_detect()?;
    let indicators = Indicators::new(&store, context.settings().intel.half_lives())?;
    let mut looking = looking_back(args, &store, context);
    looking.begin().map_err(failure_of)?;
    let mut rules = Rules::new(args, &store, &indicators, context)?;
    let interval = args.interval.unwrap_or(context.settings().fetch.interval);
    let mut fetcher = Fetcher::new(&store)
        .consumer(&args.consumer)
        .start(match args.from {
            From::Earliest => StartPosition::Earliest,
            From::Now => StartPosition::Latest,
        })
        .every(interval);
    if !args.follow {
        fetcher = fetcher.once();
    }
    let stop = fetcher.stop_handle();
    let signals = Signals::stopping(&stop, || {})?;
    let mut totals = Totals::default();
    let output = (args.follow && !args.quiet).then(|| context.output.another());
    let raised = Raised::new(output, &stop)?;
    thread::scope(|scope| {
        let deliveries = args.exec.as_ref().map(|command| {
            let deliveries = Deliveries::new(&store, &args.consumer, command, &stop);
            deliveries.start(scope)
        });
        let outlets = Outlets {
            deliveries,
            raised: &raised,
        };
        let later = args.follow.then(|| {
            let looking = looking_back(args, &store, context);
            let (indicators, stop, outlets) = (&indicators, stop.clone(), outlets.clone());
            scope.spawn(move || later::follow(looking, indicators, interval, &stop, &outlets))
        });
        let detected = rules.detect_new(fetcher, &mut totals, &outlets);
        if detected.is_err() {
            stop.stop();
        }
        detected?;
        match later {
            Some(later) => totals.add_all(&later.join().expect("no thread panics").map_err(failure_of)?),
            None => later::catch_up(&mut looking, &indicators, &stop, |committed| {
                totals.add_later(&committed);
                outlets.pass_on(committed);
            })
            .map_err(failure_of)?,
        }
        Ok::<(), Failure>(())
    })?;
    raised.end()?;
    print(&totals, context)?;
    match args.follow {
        true => signals.check_followed(),
        false => signals.check(),
    }
}

fn looking_back<'s>(args: &Args, store: &'s DuckDbStore, context: &Context) -> LookingBack<&'s DuckDbStore> {
    let length = TimeDelta::from_std(context.settings().intel.lookback).unwrap_or(TimeDelta::MAX);
    let looking = LookingBack::new(store, &args.consumer, length);
    match args.exec {
        Some(_) => looking.deliver_to(&args.consumer),
        None => looking,
    }
}

/// Returns whether the next poll may succeed. After a conflict, it goes on from the position of the other process.
fn is_passing(error: &Error) -> bool {
    error.is_retryable() || matches!(error, Error::Conflict { .. } | Error::Restored { .. })
}

/// Returns the failure that an error of the store is. One position cannot have two readers.
fn failure_of(error: Error) -> Failure {
    match error {
        Error::Conflict { ref name, .. } => Failure::Locked(format!(
            "another process detects under the name {name:?} ({error}): wait for it, or give this one a name of its own \
             (--consumer)"
        )),
        error => error.into(),
    }
}

/// Passes on what was committed: to the thread that delivers alerts, if there is one, and to the output.
#[derive(Clone)]
struct Outlets<'a> {
    deliveries: Option<Sender<()>>,
    raised: &'a Raised,
}

impl Outlets<'_> {
    fn pass_on(&self, committed: CommitResult) {
        self.raised.print(committed.raised);
        self.wake();
    }

    fn wake(&self) {
        if let Some(wake) = &self.deliveries {
            // A full channel wakes it as well.
            wake.try_send(()).ok();
        }
    }
}

/// Holds the detector, and takes changed rules and intelligence in.
struct Rules<'a> {
    args: &'a Args,
    store: &'a DuckDbStore,
    indicators: &'a Indicators<'a>,
    context: &'a Context,
    detector: Detector,
    version: Vec<(String, DateTime<Utc>)>,
    read: DateTime<Utc>,
}

impl<'a> Rules<'a> {
    fn new(
        args: &'a Args,
        store: &'a DuckDbStore,
        indicators: &'a Indicators<'a>,
        context: &'a Context,
    ) -> Result<Self> {
        let read = Utc::now();
        let rules = enabled_rules(&args.rules, store, context)?;
        let mut detector = detector(&rules, args, context);
        detector.set_indicators(indicators.current());
        if rules.is_empty() && indicators.current().is_empty() {
            log::warn!(
                "there is nothing to detect: the store has no enabled rules and no indicators; see logstore rules import \
                 and logstore intel import"
            );
        }
        Ok(Self {
            args,
            store,
            indicators,
            context,
            detector,
            version: version_of(&rules),
            read,
        })
    }

    /// Applies the rules to new logs until there are no more, or until it is stopped.
    fn detect_new(
        &mut self,
        fetcher: Fetcher<&DuckDbStore>,
        totals: &mut Totals,
        outlets: &Outlets<'_>,
    ) -> Result {
        for batch in fetcher {
            let outcome = match batch {
                Ok(batch) => {
                    self.reload(batch.logs())?;
                    self.apply(&batch, totals)
                        .map(|committed| outlets.pass_on(committed))
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => {}
                Err(error) if self.args.follow && is_passing(&error) => {
                    log::warn!("cannot detect, trying again: {}", error.with_causes());
                }
                Err(error) => return Err(failure_of(error)),
            }
            outlets.wake();
        }
        Ok(())
    }

    fn apply(&self, batch: &LogBatch<&DuckDbStore>, totals: &mut Totals) -> logstore::Result<CommitResult> {
        let (found, stored) = self.detector.commit(self.store, batch)?;
        totals.add(batch.logs().len(), &found, &stored);
        log::info!(
            "looked at {} logs: {} matches, {} new alerts",
            batch.logs().len(),
            stored.counted,
            stored.stored
        );
        Ok(stored)
    }

    /// Takes rules and intelligence in anew if they have changed, and if a log came after they were read last. Rules of
    /// files are read once.
    fn reload(&mut self, logs: &[LogEntry]) -> Result {
        let is_newer = |log: &LogEntry| log.ingestion_time >= self.read;
        if logs.iter().any(is_newer) {
            self.read = Utc::now();
            self.indicators.refresh()?;
            self.reload_rules()?;
        }
        // The thread that looks back may have read them. It looks at no log that comes after.
        self.detector.set_indicators(self.indicators.current());
        Ok(())
    }

    fn reload_rules(&mut self) -> Result {
        if self.args.rules.is_empty() {
            let rules = enabled_rules(&[], self.store, self.context)?;
            let version = version_of(&rules);
            if version != self.version {
                log::info!("the rules have changed: {} are enabled", rules.len());
                self.detector = detector(&rules, self.args, self.context);
                self.version = version;
            }
        }
        Ok(())
    }
}

fn detector(rules: &[DetectionRule], args: &Args, context: &Context) -> Detector {
    let detector = new_detector(rules, context).min_level(args.min_level);
    match args.exec {
        Some(_) => detector.deliver_to(&args.consumer),
        None => detector,
    }
}

fn version_of(rules: &[DetectionRule]) -> Vec<(String, DateTime<Utc>)> {
    let version = rules.iter().map(|rule| (rule.id.clone(), rule.updated_at));
    version.collect()
}

fn print(totals: &Totals, context: &mut Context) -> Result {
    let names = ["logs", "matches", "suppressed", "alerts", "hits", "late"];
    let counts = [
        totals.logs,
        totals.matches,
        totals.suppressed,
        totals.alerts,
        totals.hits,
        totals.late,
    ];
    context
        .output
        .row(&names, counts.map(|count| json!(count)).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_detector_of_one_name_is_told_what_to_do() {
        let failure = failure_of(Error::Conflict {
            what: "consumer",
            name: "night".to_owned(),
            expected: "7".to_owned(),
            actual: "9".to_owned(),
        });
        let text = failure.text().unwrap();
        assert!(
            text.contains("another process detects under the name \"night\""),
            "{text}"
        );
        assert!(text.contains("--consumer"), "{text}");
        assert_eq!(failure.code(), 4);
    }
}
