//! Rules over a store: new logs until their alerts are committed, and hunts over all that is stored.

use std::path::Path;
use std::time::Duration;

use logstore::alerts::HitRange;
use logstore::detect::{Detector, Event, Scratch, read_rules};
use logstore::{DetectionRule, DuckDbStore, Fetcher, LogEntry, LogQuery, LogStore as _};

use super::{files_in, on_processor, processor_time_of_process};
use crate::Scale;
use crate::report::{Report, median, ratio};
use crate::stores::{as_detect_opens_it, exclusive};

/// Limits the length of the logs: together they have about a kilobyte each.
const LONGEST: usize = 1_200;

/// Names a rule with one rare word, for a hunt of one rule.
const ONE_RULE: &str = "HackTool - SafetyKatz Execution";

pub(super) fn measure(scale: &Scale, report: &mut Report, rules: &[&Path], logs: Vec<LogEntry>) {
    let rules: Vec<DetectionRule> = rules.iter().flat_map(|folder| stored_rules(folder)).collect();
    let length = |log: &LogEntry| log.normalized.to_text().map_or(0, |text| text.len());
    let samples: Vec<LogEntry> = logs.into_iter().filter(|log| length(log) <= LONGEST).collect();
    let bytes = samples.iter().map(length).sum::<usize>() / samples.len();
    let count = scale.rows.min(1_000_000);
    let file = scale.new_file("detect.duckdb");
    fill(&exclusive(&file), &samples, count);
    let (all, _) = Detector::new(&rules, &|_| None);
    let one: Vec<DetectionRule> = rules
        .into_iter()
        .filter(|rule| rule.rule_name == ONE_RULE)
        .collect();
    let (one, _) = Detector::new(&one, &|_| None);
    let number = f64::from(u32::try_from(count).expect("fewer logs"));

    let store = as_detect_opens_it(&file);
    let time = of_runs(scale, |run| poll(&store, &all, &format!("run {run}")));
    let rate = number / time.as_secs_f64();
    report.line(
        &format!("poll to committed alerts, all rules, logs of {bytes} bytes: logs a second and core"),
        "",
        80_000.0,
        &format!("{rate:.0}"),
        "",
        80_000.0 / rate,
    );
    parts(report, &store, &all, (number, time));
    drop(store);
    let store = exclusive(&file);
    for (name, detector, mark) in [("all rules", &all, 15.0), ("one rule", &one, 2.5)] {
        let time = of_runs(scale, |_| hunt(&store, detector));
        let seconds = time.as_secs_f64() * 1e6 / number;
        report.line(
            &format!("hunt, {name}, logs of {bytes} bytes: processor seconds for 1,000,000"),
            "",
            mark,
            &format!("{seconds:.2}"),
            "",
            seconds / mark,
        );
    }
}

fn stored_rules(folder: &Path) -> Vec<DetectionRule> {
    let files = files_in(folder, "yml").into_iter();
    let rules = files.flat_map(|file| {
        let text = std::fs::read_to_string(&file).expect("a file of rules");
        read_rules(
            &file.to_string_lossy(),
            &text,
            &std::collections::BTreeSet::new(),
            &|_| None,
        )
    });
    rules.filter_map(|read| read.rule).collect()
}

/// Appends as many logs, each with an id of its own.
fn fill(store: &DuckDbStore, samples: &[LogEntry], count: usize) {
    let mut logs = samples.iter().cycle().zip(0..count).map(|(log, number)| {
        let mut log = log.clone();
        log.id = format!("{number:032}");
        log
    });
    loop {
        let batch: Vec<LogEntry> = logs.by_ref().take(50_000).collect();
        if batch.is_empty() {
            return;
        }
        store.append_logs(&batch).expect("logs are stored");
    }
}

fn poll(store: &DuckDbStore, detector: &Detector, consumer: &str) {
    for batch in Fetcher::new(store).consumer(consumer).once() {
        detector
            .commit(store, &batch.expect("a batch"))
            .expect("a commit");
    }
}

/// Measures the parts of a poll, which takes `whole` for a number of logs. Each contains the one before.
fn parts(report: &mut Report, store: &DuckDbStore, detector: &Detector, (number, whole): (f64, Duration)) {
    let started = processor_time_of_process();
    let batches = || Fetcher::new(store).once().map(|batch| batch.expect("a batch"));
    assert!(batches().map(|batch| batch.logs().len()).sum::<usize>() > 0);
    let read = processor_time_of_process().saturating_sub(started);
    let (mut apart, mut evaluated, mut detected) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut scratch = Scratch::default();
    for batch in batches() {
        let logs = batch.logs();
        let events = || logs.iter().map(Event::from_log);
        let evaluate = |event: Event<'_>| detector.rules().matches_with(&event, &mut scratch).len();
        apart += on_processor(|| events().map(std::hint::black_box).for_each(drop)).0;
        evaluated += on_processor(|| events().map(evaluate).sum::<usize>()).0;
        let stored = |_: &[HitRange]| Ok::<_, std::convert::Infallible>(Vec::new());
        detected += on_processor(|| detector.detect(logs, stored)).0;
    }
    for (name, time) in [
        ("reading the logs", read),
        ("and making events of them", read + apart),
        ("and applying the rules", read + evaluated),
        ("and describing the matches", read + detected),
        ("and committing alerts", whole),
    ] {
        let micros = format!("{:.1} µs", time.as_secs_f64() * 1e6 / number);
        report.unmarked(
            &format!("poll, a log: {name}"),
            "",
            &micros,
            "",
            ratio(time, whole),
        );
    }
}

fn hunt(store: &DuckDbStore, detector: &Detector) {
    let found = detector.hunt(store, &LogQuery::new(), 2, |_| {}).expect("a hunt");
    std::hint::black_box(found.matches.len());
}

/// Returns the median of the processor time of some work in all threads.
fn of_runs(scale: &Scale, work: impl Fn(usize)) -> Duration {
    let times = (0..scale.runs).map(|run| {
        let started = processor_time_of_process();
        work(run);
        processor_time_of_process().saturating_sub(started)
    });
    median(times.collect())
}
