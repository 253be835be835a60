//! How fast and how small are a million indicators, and how many logs a second does a core compare with them?

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use logstore::detect::{Event, IndicatorSet, IndicatorSetBuilder};
use logstore::ingest::{IngestOptions, Source};
use logstore::{DuckDbStore, Indicator, IntelStore as _, LogEntry, ThreatIntel};

use crate::Scale;
use crate::detect::{logs, on_processor, processor_time_of_process, resident_mb};
use crate::report::{Report, median, ratio};

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    let count = scale.rows.min(1_000_000);
    let file = scale.folder.join("intel.duckdb");
    store_apart(&file, count);
    let set = load(&file, count, report);
    look_ups(scale, &set, count, report);
    extraction(scale, &set, report);
}

/// Names the work of the process that stores the indicators.
pub(crate) const STORE: &str = "store-intel";

/// Stores indicators in a process of its own: what that takes is memory that this one would have already.
fn store_apart(file: &Path, count: usize) {
    let program = std::env::current_exe().expect("the path of this program");
    let stored = Command::new(program)
        .arg(STORE)
        .arg(file)
        .arg(count.to_string())
        .status();
    assert!(stored.expect("another process").success());
}

/// Stores indicators of all types: those with even numbers of a million and a million others.
pub(crate) fn store(file: &Path, count: usize) {
    let store = DuckDbStore::open(file).expect("a store");
    let numbers: Vec<usize> = (0..count).collect();
    for numbers in numbers.chunks(100_000) {
        let intel: Vec<ThreatIntel> = numbers.iter().map(|number| intel(2 * number)).collect();
        store.upsert_intel(&intel).expect("intelligence");
    }
}

/// Makes a piece of intelligence of one of five sources. One in ten has an expiry of its own.
fn intel(number: usize) -> ThreatIntel {
    let source = format!("feed {}", number / 2 % 5);
    let percent = u32::try_from(number % 50).expect("a percent");
    let intel = ThreatIntel::new(indicator(number), "botnet_cc", source);
    let intel = intel.with_created_at(DateTime::<Utc>::UNIX_EPOCH);
    let intel = intel
        .with_confidence(0.5 + f64::from(percent) / 100.0)
        .expect("a share");
    let seconds = i64::try_from(number).expect("a number of seconds");
    match number / 2 % 10 {
        0 => intel.valid_until(DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(2_000_000_000 + seconds)),
        _ => intel,
    }
}

/// Makes an indicator: of twenty, eight addresses, two networks, five domains, three URLs and two digests.
fn indicator(number: usize) -> Indicator {
    // A step that shares no factor with 2^32 leaves no two numbers the same.
    let mixed = u32::try_from(number)
        .expect("a number")
        .wrapping_mul(2_654_435_761);
    let [a, b, c, d] = mixed.to_be_bytes();
    let text = match number / 2 % 20 {
        0..7 => format!("{a}.{b}.{c}.{d}"),
        7 => format!(
            "2001:db8:{:x}:{:x}::{:x}",
            mixed >> 16,
            mixed & 0xffff,
            number & 0xffff
        ),
        8..10 => format!("{a}.{b}.{c}.0/{}", 20 + d % 8),
        10..15 => format!("host-{mixed:x}.sub{}.bad{}.example", d, number % 1_000),
        15..18 => format!("http://host-{mixed:x}.example/path/{c}/payload-{number}.bin"),
        18 => format!("{mixed:08x}").repeat(4),
        _ => format!("{mixed:08x}").repeat(8),
    };
    text.parse().expect("an indicator")
}

fn load(file: &Path, count: usize, report: &mut Report) -> IndicatorSet {
    let store = DuckDbStore::open(file).expect("a store");
    let before = (processor_time_of_process(), resident_mb());
    let mut builder = IndicatorSetBuilder::default();
    store
        .read_intel(0, &mut |intel| builder.push(&intel))
        .expect("intelligence");
    let set = builder.finish();
    drop(store);
    let time = processor_time_of_process().saturating_sub(before.0).as_secs_f64();
    let memory = resident_mb() - before.1;
    assert_eq!(set.len(), count);
    let name = format!("{count} indicators, loaded from the store: seconds of processor");
    report.line(&name, "", 1.5, &format!("{time:.2}"), "", time / 1.5);
    let name = format!("memory for {count} indicators, MB");
    report.line(&name, "", 64.0, &format!("{memory:.0}"), "", memory / 64.0);
    set
}

fn look_ups(scale: &Scale, set: &IndicatorSet, count: usize, report: &mut Report) {
    // One in two is there.
    let wanted: Vec<Indicator> = (0..count)
        .map(|number| indicator(number * 7 % (2 * count)))
        .collect();
    let mut times = Vec::new();
    for _ in 0..scale.runs {
        let (time, found) =
            on_processor(|| wanted.iter().filter(|indicator| set.contains(indicator)).count());
        assert!(found > 0);
        times.push(time);
    }
    let rate = rate(count, median(times));
    report.line(
        "look-ups a second and core",
        "",
        5_000_000.0,
        &format!("{rate:.0}"),
        "",
        5_000_000.0 / rate,
    );
}

fn extraction(scale: &Scale, set: &IndicatorSet, report: &mut Report) {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let auth = shared.join("logs/loghub/OpenSSH/OpenSSH_2k.log");
    if !auth.exists() {
        println!("skipped: there are no logs in ../shared/data");
        return;
    }
    let windows = logs(&shared.join("sigma/regression_data"));
    for (name, logs, mark) in [
        ("logs of sshd", lines(&auth), 2_000_000.0),
        ("Windows events as JSON", windows, 500_000.0),
    ] {
        let logs: Vec<&LogEntry> = logs.iter().cycle().take(scale.rows.min(200_000)).collect();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..scale.runs {
            ours.push(on_processor(|| logs.iter().map(|log| set.matches(log).len()).sum::<usize>()).0);
            theirs.push(on_processor(|| logs.iter().for_each(|log| drop(black_box(Event::from_log(log))))).0);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        report.line(
            &format!("{name} compared with all indicators, a second and core"),
            "naming their fields alone",
            mark,
            &format!("{:.0}", rate(logs.len(), ours)),
            &format!("{:.0}", rate(logs.len(), theirs)),
            ratio(ours, theirs),
        );
    }
}

/// Returns the logs of a file of lines.
fn lines(file: &Path) -> Vec<LogEntry> {
    let reader = Source::file(file).open(&IngestOptions::new()).expect("a file");
    reader.filter_map(Result::ok).collect()
}

fn rate(count: usize, time: std::time::Duration) -> f64 {
    f64::from(u32::try_from(count).expect("fewer")) / time.as_secs_f64()
}
