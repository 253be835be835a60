//! `logstore extensions`: the engine's extensions, which lakes need.

use std::borrow::Cow;
use std::path::PathBuf;

use clap::Subcommand;
use logstore::duckdb::Extension;
use logstore::time::Zone;

use crate::Result;
use crate::context::Context;
use crate::output::{Columns, Row};
use crate::table::Column;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the extensions, where they are looked for and whether they are there
    List,
    /// Put them there, from files or else from the network
    Install {
        /// Files, or folders that hold them, such as ducklake.duckdb_extension
        #[arg(value_name = "PATH")]
        from: Vec<PathBuf>,
    },
}

impl Row for Extension {
    fn cells(&self, _: Zone) -> Vec<String> {
        let state = if self.installed { "installed" } else { "missing" };
        vec![
            self.name.to_owned(),
            state.to_owned(),
            self.needed_for.to_owned(),
            self.file.display().to_string(),
        ]
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("extension"),
        Column::whole("state"),
        Column::cut_to(12, "needed for"),
        Column::cut_to(12, "file"),
    ]),
    csv: &["name", "installed", "needed_for", "file"],
};

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let options = context.options();
    let extensions = match &args.command {
        Command::List => options.extensions(),
        Command::Install { from } => options.install_extensions(from),
    }?;
    context
        .output
        .rows(&COLUMNS, extensions.into_iter().map(Ok))
        .map(drop)
}
