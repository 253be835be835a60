//! `logstore copy`: everything that a store holds, into another one.

use logstore::{Copied, DuckDbStore, copy};
use serde_json::json;

use super::Context;
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
    let copied = copy(&from, &source, &to)?;
    print(&copied, context)?;
    match copied.missing {
        0 => Ok(()),
        missing => Err(Failure::Failed(format!(
            "{missing} logs of {} are missing in {}, or differ there: were they deleted meanwhile?",
            from.location(),
            to.location()
        ))),
    }
}

/// A name that is the same however the location is written.
fn name(store: &DuckDbStore) -> String {
    let file = store.files().into_iter().next();
    file.map_or_else(|| store.location().to_owned(), |path| path.display().to_string())
}

fn print(copied: &Copied, context: &mut Context) -> Result {
    let counts = [
        ("logs", copied.logs),
        ("alerts", copied.alerts),
        ("threat_intel", copied.threat_intel),
        ("detection_rules", copied.detection_rules),
        ("consumers", copied.consumers),
        ("files", copied.files),
        ("verified", copied.verified),
        ("missing", copied.missing),
        ("others", copied.others),
    ];
    let checksums = [
        ("source_checksum", &copied.source_checksum),
        ("target_checksum", &copied.target_checksum),
    ];
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (name, value) in counts {
        names.push(name);
        values.push(json!(value));
    }
    for (name, value) in checksums {
        names.push(name);
        values.push(json!(value));
    }
    context.output.row(&names, values)
}
