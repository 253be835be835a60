//! How many events does a core apply all rules to? Beside reading the same JSON alone.

mod correlations;
mod stored;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use logstore::LogEntry;
use logstore::detect::{Document, Event, RuleSet, Scratch, SigmaRule, read_yaml};
use logstore::ingest::{IngestOptions, Source};

use crate::Scale;
use crate::report::{Report, median, ratio};

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !shared.join("sigma/rules").exists() {
        println!("skipped: there are no rules of Sigma in ../shared/data");
        return;
    }
    let folders = ["rules", "rules-emerging-threats", "rules-threat-hunting"];
    let folders = folders.map(|folder| shared.join("sigma").join(folder));
    let samples = logs(&shared.join("sigma/regression_data"));
    let attacks = logs(&shared.join("json/otrf"));
    evaluate(scale, report, &folders, [texts(&samples), texts(&attacks)]);
    let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
    stored::measure(scale, report, &folders, attacks);
    correlations::measure(scale, report);
}

fn evaluate(scale: &Scale, report: &mut Report, folders: &[PathBuf], [samples, attacks]: [Vec<String>; 2]) {
    let before = resident_mb();
    let (reading, rules) = on_processor(|| {
        folders
            .iter()
            .flat_map(|folder| rules_in(folder))
            .collect::<Vec<_>>()
    });
    let (time, rules) = on_processor(|| RuleSet::new(rules));
    let first: Vec<String> = samples.iter().chain(&attacks).cloned().collect();
    let (classes, _) = on_processor(|| matched(&rules, &first));
    let (load, memory) = ((reading + time + classes).as_secs_f64(), resident_mb() - before);
    report.line(
        "read all rules, prepare their classes: seconds",
        "",
        1.0,
        &format!("{load:.2}"),
        "",
        load,
    );
    report.line(
        "memory for all rules, MB",
        "",
        80.0,
        &format!("{memory:.0}"),
        "",
        memory / 80.0,
    );
    for (name, events, mark) in [("0.9 kB", &samples, 150_000.0), ("2.5 kB", &attacks, 100_000.0)] {
        let events: Vec<String> = events
            .iter()
            .cycle()
            .take(scale.rows.min(200_000))
            .cloned()
            .collect();
        let count = u32::try_from(events.len()).expect("fewer events");
        let bytes: usize = events.iter().map(String::len).sum();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..scale.runs {
            ours.push(on_processor(|| matched(&rules, &events)).0);
            theirs.push(on_processor(|| read_only(&events)).0);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let rate = |time: Duration| f64::from(count) / time.as_secs_f64();
        report.line(
            &format!(
                "all rules, events of {name} ({} bytes): events a second and core",
                bytes / events.len()
            ),
            "reading the JSON alone",
            mark,
            &format!("{:.0}", rate(ours)),
            &format!("{:.0}", rate(theirs)),
            ratio(ours, theirs),
        );
        let scaling = scaling(scale, &rules, &events);
        report.line(
            &format!("all rules, events of {name}: two threads, times one"),
            "",
            1.8,
            &format!("{scaling:.2}"),
            "",
            1.8 / scaling,
        );
    }
}

/// Returns how many times as many events two threads apply rules to as one does in the same processor time of each.
fn scaling(scale: &Scale, rules: &RuleSet, events: &[String]) -> f64 {
    let (left, right) = events.split_at(events.len() / 2);
    let (mut ones, mut halves) = (Vec::new(), Vec::new());
    for _ in 0..scale.runs {
        ones.push(on_processor(|| matched(rules, events)).0);
        let (left, right) = std::thread::scope(|scope| {
            let left = scope.spawn(|| on_processor(|| matched(rules, left)).0);
            let right = on_processor(|| matched(rules, right)).0;
            (left.join().expect("a thread"), right)
        });
        halves.push(left.max(right));
    }
    ratio(median(ones), median(halves))
}

fn rules_in(folder: &Path) -> Vec<SigmaRule> {
    let files = files_in(folder, "yml");
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("a file of rules"));
    let documents = texts.flat_map(|text| read_yaml(&text));
    let read = documents.filter_map(|document| Document::from_json(&document.ok()?.value, &|_| None).ok());
    read.filter_map(|document| match document {
        Document::Rule(rule) => Some(rule),
        _ => None,
    })
    .collect()
}

fn files_in(folder: &Path, end: &str) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter();
    let files = entries.map(|entry| entry.expect("a folder").into_path());
    files
        .filter(|path| path.extension().is_some_and(|found| found == end))
        .collect()
}

/// Returns the logs of all files.
pub(crate) fn logs(folder: &Path) -> Vec<LogEntry> {
    let files = files_in(folder, "json")
        .into_iter()
        .chain(files_in(folder, "zip"));
    let logs = files
        .filter(|file| !file.ends_with("key_sigma.json"))
        .flat_map(|file| {
            let parts = Source::file(&file).into_parts().expect("a file");
            let readers = parts
                .into_iter()
                .filter_map(|source| source.ok()?.open(&IngestOptions::new()).ok());
            readers
                .flat_map(|reader| reader.filter_map(Result::ok))
                .collect::<Vec<LogEntry>>()
        });
    logs.collect()
}

/// Returns the events of logs as JSON on one line.
pub(crate) fn texts(logs: &[LogEntry]) -> Vec<String> {
    logs.iter()
        .filter_map(|log| log.normalized.to_text().map(Cow::into_owned))
        .collect()
}

fn matched(rules: &RuleSet, events: &[String]) -> usize {
    let mut scratch = Scratch::default();
    let parsed = events.iter().map(|text| Event::from_json(text).expect("JSON"));
    parsed
        .map(|event| rules.matches_with(&event, &mut scratch).len())
        .sum()
}

fn read_only(events: &[String]) -> usize {
    let parsed = events
        .iter()
        .map(|text| serde_json::from_str::<serde_json::Value>(text).expect("JSON"));
    parsed
        .map(|value| value.as_object().map_or(0, serde_json::Map::len))
        .sum()
}

/// Returns the time that this thread had a processor for.
pub(crate) fn on_processor<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = processor_time();
    let value = work();
    (processor_time().saturating_sub(started), value)
}

fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text
        .split_whitespace()
        .next()
        .and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// Returns the time that all threads of this process had a processor for.
pub(crate) fn processor_time_of_process() -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the process may hold blanks.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<u32> = fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    TICK * ticks.iter().sum::<u32>()
}

/// Returns the memory of this process that is resident, in MB.
pub(crate) fn resident_mb() -> f64 {
    const PAGE_MB: f64 = 0.004_096;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok());
    PAGE_MB * pages.unwrap_or(0.0)
}
