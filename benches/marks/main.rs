//! What users ask of the store, each beside the engine alone doing the same on the same data in the same run.
//!
//! `scripts/bench` runs all of it; `-- --rows 200000` measures less, `-- --quick` only shows that everything works,
//! `-- fetch count` asks some of the questions, `--plots DIR` says where the plots go.

mod alerts;
mod append;
mod count;
mod data;
mod detect;
mod engine;
mod fetch;
mod formats;
mod ingest;
mod intel;
mod memory;
mod plot;
mod poll;
mod recent;
mod report;
mod search;
mod stores;

use std::path::{Path, PathBuf};

use report::Report;

/// How much to measure.
struct Scale {
    rows: usize,
    /// The rows of the large store, of which little is read.
    large: usize,
    runs: usize,
    /// For data.
    folder: PathBuf,
    /// For plots.
    plots: PathBuf,
}

type Measure = fn(&Scale, &mut Report);

const QUESTIONS: [(&str, Measure); 13] = [
    ("ingest", ingest::measure),
    ("formats", formats::measure),
    ("append", append::measure),
    ("fetch", fetch::measure),
    ("recent", recent::measure),
    ("poll", poll::measure),
    ("count", count::measure),
    ("search", search::measure),
    ("alerts", alerts::measure),
    ("detect", detect::measure),
    ("intel", intel::measure),
    ("memory", memory::measure),
    ("plot", plot::measure),
];

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if let [work, file, count] = &arguments[..]
        && work == intel::STORE
    {
        return intel::store(Path::new(file), count.parse().expect("a number of indicators"));
    }
    if let Some(unknown) = unknown(&arguments) {
        let names = QUESTIONS.map(|(name, _)| name).join(", ");
        eprintln!("{unknown} is no flag and no question: the questions are {names}");
        std::process::exit(2);
    }
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse().ok()
    };
    let at = arguments.iter().position(|argument| argument == "--plots");
    let plots = at.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let (rows, runs) = if has("--quick") {
        (4_000, 1)
    } else {
        (2_000_000, 5)
    };
    let rows = value("--rows").unwrap_or(rows);
    let folder = tempfile::tempdir_in(folder_for_data()).expect("a temporary folder");
    let scale = Scale {
        rows,
        large: value("--large").unwrap_or(10 * rows),
        runs: value("--runs").unwrap_or(runs),
        folder: folder.path().to_owned(),
        plots: plots.unwrap_or_else(|| folder.path().to_owned()),
    };
    let chosen = |name: &&str| arguments.iter().any(|argument| argument == *name);
    let all = !QUESTIONS.iter().any(|(name, _)| chosen(name));
    let mut report = Report::new(&scale);
    for (name, measure) in QUESTIONS {
        if all || chosen(&name) {
            measure(&scale, &mut report);
        }
    }
    assert!(report.lines() > 0, "no question was asked");
}

/// The first argument that is none, so that a typo does not measure everything.
fn unknown(arguments: &[String]) -> Option<&String> {
    const WITH_VALUE: [&str; 4] = ["--rows", "--large", "--runs", "--plots"];
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if WITH_VALUE.contains(&argument.as_str()) {
            arguments.next();
        } else if argument != "--quick" && QUESTIONS.iter().all(|(name, _)| name != argument) {
            return Some(argument);
        }
    }
    None
}

/// Where there is room for the data: the folder of the build, not one that may be in memory.
fn folder_for_data() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}
