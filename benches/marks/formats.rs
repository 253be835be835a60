//! How fast is a file with lines of every format taken in, and how much memory does that take?

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Scale;
use crate::memory::peak_mib;
use crate::report::{Report, median, timed};
use crate::stores::ingest;

/// Counts the bytes of the file for each row of the other questions: 1 GB for 2,000,000 rows.
const BYTES: usize = 512;

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    const MARK: f64 = 150_000.0;
    let samples = samples();
    let (file, lines) = mixed(scale, &samples);
    let time = || timed(|| ingest(&scale.new_file("formats.duckdb"), &file)).0;
    let times: Vec<Duration> = (0..scale.runs).map(|_| time()).collect();
    let speed = f64::from(lines) / median(times).as_secs_f64();
    report.line(
        &format!(
            "ingest {} samples of formats in turn, lines a second",
            samples.len()
        ),
        "the bound",
        1.0,
        &format!("{speed:.0}"),
        &format!("{MARK:.0}"),
        MARK / speed,
    );
    let store = scale.new_file("formats.duckdb");
    let Some(peak) = peak_mib(&store, &["ingest".as_ref(), file.as_os_str()]) else {
        eprintln!("skipped: the peak memory of formats, there is no /usr/bin/time");
        return;
    };
    report.unmarked(
        "peak memory of that, MiB",
        "none",
        &format!("{peak:.0}"),
        "",
        f64::NAN,
    );
}

/// Returns the lines that the definitions of the library have for samples.
fn samples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ingest/formats/library");
    let entries = std::fs::read_dir(folder).expect("the definitions");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let samples = paths.iter().flat_map(|path| {
        let text = std::fs::read_to_string(path).expect("a definition");
        let definition: toml::Table = text.parse().expect("TOML");
        let samples = definition.get("sample").and_then(toml::Value::as_array).cloned();
        samples.unwrap_or_default()
    });
    let line = |sample: toml::Value| Some(sample.get("line")?.as_str()?.to_owned());
    samples.filter_map(line).collect()
}

/// Writes the samples in turn until the file is large. Returns it, and the number of its lines.
fn mixed(scale: &Scale, samples: &[String]) -> (PathBuf, u32) {
    let path = scale.new_file("formats.log");
    let mut file = BufWriter::new(File::create(&path).expect("a file"));
    let (mut written, mut lines) = (0, 0);
    for sample in samples.iter().cycle() {
        writeln!(file, "{sample}").expect("room for the data");
        written += sample.len() + 1;
        lines += u32::try_from(sample.lines().count()).expect("few lines");
        if written >= scale.rows * BYTES {
            break;
        }
    }
    file.flush().expect("room for the data");
    (path, lines)
}
