//! `logstore show`: logs and alerts by their keys.

use logstore::{AlertStore as _, Error, StoreExt as _};
use serde::Serialize;

use super::alerts::AlertRow;
use super::fetch::LogRow;
use crate::context::Context;
use crate::output::Row;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id of a log, the id of an alert or the beginning of it, or the key of a log: its time, an underscore and its
    /// id
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

/// Holds a log or an alert that a key names.
#[derive(Serialize)]
#[serde(untagged)]
enum Record {
    Log(Box<LogRow>),
    Alert(Box<AlertRow>),
}

impl Row for Record {
    const TIMES: &'static [&'static str] = &["event_time", "ingestion_time", "created_at"];

    fn cells(&self, zone: logstore::time::Zone) -> Vec<String> {
        match self {
            Self::Log(row) => row.cells(zone),
            Self::Alert(row) => row.cells(zone),
        }
    }
}

/// Says why a key names nothing; other failures are returned.
fn why_missing(key: &str, error: Error) -> Result<String> {
    match error {
        Error::NotFound { .. } => Ok(format!("no log or alert {key:?}")),
        Error::InvalidInput(_) => Ok(error.to_string()),
        error => Err(error.into()),
    }
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let store = context.existing_store()?;
    let mut records = Vec::new();
    let mut missing = Vec::new();
    for key in &args.keys {
        let logs = store.find_logs(key)?;
        let alert = match logs.is_empty() {
            false => store.alert(key)?,
            true => match store.find_alert(key) {
                Ok(alert) => Some(alert),
                Err(error) => {
                    missing.push(why_missing(key, error)?);
                    None
                }
            },
        };
        records.extend(logs.into_iter().map(|log| Record::Log(Box::new(LogRow(log)))));
        records.extend(alert.map(|alert| Record::Alert(Box::new(AlertRow::new(alert)))));
    }
    context.output.records(records)?;
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Failure::Nothing(Some(missing.join("\n")))),
    }
}
