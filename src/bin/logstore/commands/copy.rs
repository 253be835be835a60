//! `logstore copy`: everything that a store holds, into another one.

use logstore::DuckDbStore;
use logstore::storage::{CopyOptions, CopyReport, copy_store};
use serde_json::json;

use super::check::check_data;
use crate::context::Context;
use crate::output::counted;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store to copy: a file, or ducklake:CATALOG
    from: String,

    /// The store to copy into, made if it is not there: a file, or ducklake:CATALOG?data_path=PATH
    to: String,
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let from = context.options().create(false).open(&args.from)?;
    let to = context.options().open(&args.to)?;
    let source = name(&from);
    if source == name(&to) {
        return Err(Failure::Usage("a store cannot be copied into itself".to_owned()));
    }
    // A damaged file can yield wrong logs without an error, and the copy of a wrong log would be verified.
    if let Some(problem) = check_data(&from)?.problems.into_iter().next() {
        return Err(Failure::Failed(format!("nothing was copied: {problem}")));
    }
    let copied = copy_store(&from, &to, &CopyOptions::new(source))?;
    print(&copied, context)?;
    match copied.missing {
        0 => Ok(()),
        missing => Err(Failure::Failed(format!(
            "not in {2}, or different there: {0} of {1}: were they deleted meanwhile?",
            counted(missing, "log"),
            from.location(),
            to.location()
        ))),
    }
}

/// Returns a name that is the same for every spelling of the location.
fn name(store: &DuckDbStore) -> String {
    let file = store.files().into_iter().next();
    file.map_or_else(|| store.location().to_owned(), |path| path.display().to_string())
}

fn print(copied: &CopyReport, context: &mut Context) -> Result {
    let fields = [
        ("logs", json!(copied.logs)),
        ("alerts", json!(copied.alerts)),
        ("threat_intel", json!(copied.threat_intel)),
        ("detection_rules", json!(copied.detection_rules)),
        ("consumers", json!(copied.consumers)),
        ("files", json!(copied.files)),
        ("verified", json!(copied.verified)),
        ("missing", json!(copied.missing)),
        ("others", json!(copied.others)),
        ("source_checksum", json!(copied.source_checksum)),
        ("target_checksum", json!(copied.target_checksum)),
    ];
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    context.output.row(&names, values)
}
