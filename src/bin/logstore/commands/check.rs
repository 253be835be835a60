//! `logstore check`: finds damage in the store.

use std::borrow::Cow;

use logstore::duckdb::TableCheck;
use logstore::time::Zone;

use crate::context::Context;
use crate::output::{Columns, Emphasis, Row};
use crate::table::Column;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

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

pub(crate) fn run(_: &Args, context: &mut Context) -> Result {
    let checks = context.existing_store()?.check()?;
    let is_whole = checks.iter().all(|check| check.problems.is_empty());
    context.output.rows(&COLUMNS, checks.into_iter().map(Ok))?;
    match is_whole {
        true => Ok(()),
        false => Err(Failure::Failed(
            "the store has problems: restore it from a backup, or export what can be read".to_owned(),
        )),
    }
}
