//! How much memory do a large ingest and a scan of everything take?

use std::path::Path;

use crate::Scale;
use crate::data::Form;
use crate::report::Report;
use crate::stores::program;

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    const MIB: f64 = 1_024.0;
    let file = scale.lines(0..scale.rows, Form::Json);
    let store = scale.new_file("memory.duckdb");
    for (work, mark, arguments) in [
        (
            "peak memory of ingest, MiB",
            1.2 * MIB,
            vec!["ingest".as_ref(), file.as_os_str()],
        ),
        (
            "peak memory of fetching everything, MiB",
            1.4 * MIB,
            vec!["fetch".as_ref(), "--order".as_ref(), "oldest".as_ref()],
        ),
    ] {
        let Some(peak) = peak_mib(&store, &arguments) else {
            eprintln!("skipped: {work}, there is no /usr/bin/time");
            continue;
        };
        report.line(
            work,
            "the bound",
            mark,
            &format!("{peak:.0}"),
            &format!("{mark:.0}"),
            peak / mark,
        );
    }
}

/// The largest resident set, as GNU time tells it.
pub(crate) fn peak_mib(store: &Path, arguments: &[&std::ffi::OsStr]) -> Option<f64> {
    let program = program(store);
    let mut command = std::process::Command::new("/usr/bin/time");
    command
        .args(["-f", "%M"])
        .arg(program.get_program())
        .args(program.get_args())
        .args(arguments);
    let output = command.stdout(std::process::Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    Some(text.lines().last()?.trim().parse::<f64>().ok()? / 1_024.0)
}
