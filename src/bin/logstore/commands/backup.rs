//! `logstore backup`: a copy of the store.

use std::path::PathBuf;

use crate::Result;
use crate::context::Context;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file to make; it must not exist
    file: PathBuf,
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let logs = context.existing_store()?.backup(&args.file)?;
    let file = args.file.display().to_string();
    context
        .output
        .row(&["file", "logs"], vec![file.into(), logs.into()])
}
