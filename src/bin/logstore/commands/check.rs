//! `logstore check`: finds damage in the store.

use std::borrow::Cow;
use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use logstore::DuckDbStore;
use logstore::duckdb::TableCheck;
use logstore::time::Zone;

use crate::context::Context;
use crate::logging::Drawn;
use crate::output::{Columns, Emphasis, Row};
use crate::table::Column;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Verify only the data files of a lake, not what is in its tables
    #[arg(long)]
    data: bool,
}

impl Row for TableCheck {
    fn cells(&self, _: Zone) -> Vec<String> {
        let problems = match self.problems.is_empty() {
            true => "none".to_owned(),
            false => self.problems.join("; "),
        };
        let rows = self.rows.map_or("unknown".to_owned(), |rows| rows.to_string());
        vec![self.table.to_owned(), rows, problems]
    }

    fn emphasis(&self) -> Emphasis {
        match self.problems.is_empty() {
            true => Emphasis::None,
            false => Emphasis::Urgent,
        }
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("table"),
        Column::whole("rows"),
        Column::cut_to(20, "problems"),
    ]),
    csv: &["table", "rows", "problems"],
};

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let store = context.existing_store()?;
    let checks = match args.data {
        true => vec![check_data(&store)?],
        false => store.check()?,
    };
    let is_whole = |check: &TableCheck| check.problems.is_empty();
    let (is_data_whole, are_tables_whole) = (
        checks
            .iter()
            .filter(|check| check.table == DATA_FILES)
            .all(is_whole),
        checks
            .iter()
            .filter(|check| check.table != DATA_FILES)
            .all(is_whole),
    );
    context.output.rows(&COLUMNS, checks.into_iter().map(Ok))?;
    let advice = match (is_data_whole, are_tables_whole) {
        (true, true) => return Ok(()),
        (false, _) => "data files of the lake are lost: each problem says what to do",
        (true, false) => "the store has problems: restore it from a backup, or export what can be read",
    };
    Err(Failure::Failed(advice.to_owned()))
}

/// Names the check of a lake's data files.
const DATA_FILES: &str = "data files";

/// Verifies the data files of a lake, with a bar on a terminal.
pub(crate) fn check_data(store: &DuckDbStore) -> Result<TableCheck> {
    let bar = ProgressBar::no_length();
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    // The template is valid; a bar without it shows less.
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    {
        bar.set_style(style);
    }
    let drawn = Drawn::new(bar.clone());
    let check = store.check_data(|progress| {
        bar.set_length(progress.total_bytes);
        bar.set_position(progress.bytes);
    })?;
    drop(drawn);
    Ok(check)
}
