//! `logstore config`: settings and where they come from.

use std::borrow::Cow;

use clap::Subcommand;
use logstore::config::Setting;
use logstore::time::Zone;
use serde_json::Value;

use crate::context::Context;
use crate::output::{Columns, Row};
use crate::table::Column;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every setting and where it comes from
    Show,
    /// Print one setting
    Get {
        /// Its dotted path, such as store.lock_timeout
        key: String,
    },
}

impl Row for Setting {
    fn cells(&self, _: Zone) -> Vec<String> {
        vec![self.key.clone(), plain(&self.value), self.origin.clone()]
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("setting"),
        Column::cut_to(10, "value"),
        Column::cut_to(10, "from"),
    ]),
    csv: &["key", "value", "origin"],
};

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    match &args.command {
        Command::Show => {
            let settings = context.loaded.entries().into_iter().map(Ok);
            context.output.rows(&COLUMNS, settings).map(drop)
        }
        Command::Get { key } => match context.loaded.get(key) {
            Some(value) => context.output.text(&format!("{}\n", plain(&value))),
            None => Err(Failure::Usage(format!(
                "no setting {key:?}: see logstore config show"
            ))),
        },
    }
}
