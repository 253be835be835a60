//! `alerts ack`, `alerts note`, `alerts close`: the work of an analyst.

use logstore::alerts::{AlertAction, AlertEvent};
use logstore::{AlertStatus, AlertStore as _, DuckDbStore, StoreExt as _, Verdict};

use crate::Result;
use crate::context::Context;

#[derive(Debug, clap::Args)]
pub(super) struct AckArgs {
    /// The ids of the alerts, or the beginnings of their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct NoteArgs {
    /// The id of the alert, or the beginning of its id
    id: String,

    /// The text
    text: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct CloseArgs {
    /// The ids of the alerts, or the beginnings of their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,

    /// Verdict: true_positive, false_positive or benign
    #[arg(long)]
    verdict: Verdict,
}

pub(super) fn ack(args: &AckArgs, context: &Context) -> Result {
    update(
        &args.ids,
        AlertAction::Status(AlertStatus::InProgress),
        None,
        context,
    )
}

pub(super) fn note(args: &NoteArgs, context: &Context) -> Result {
    let ids = std::slice::from_ref(&args.id);
    update(ids, AlertAction::Note, Some(&args.text), context)
}

pub(super) fn close(args: &CloseArgs, context: &Context) -> Result {
    update(&args.ids, AlertAction::Close(args.verdict), None, context)
}

fn update(typed: &[String], action: AlertAction, note: Option<&str>, context: &Context) -> Result {
    let store = context.existing_store()?;
    let ids = ids(typed, &store)?;
    let mut event = AlertEvent::new(action);
    event.actor = person();
    event.note = note.map(str::to_owned);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    Ok(store.update_alerts(&ids, &event)?)
}

/// Returns the ids of alerts that a person names.
fn ids(typed: &[String], store: &DuckDbStore) -> Result<Vec<String>> {
    let ids = typed.iter().map(|typed| Ok(store.find_alert(typed)?.id));
    ids.collect()
}

/// Returns the name of the person who runs the program, as far as the system tells.
pub(super) fn person() -> Option<String> {
    let names = ["SUDO_USER", "USER", "LOGNAME", "USERNAME"];
    let names = names.iter().filter_map(|name| std::env::var(name).ok());
    let name = names.into_iter().find(|name| !name.is_empty());
    // Services and containers may have no name in their environment.
    #[cfg(unix)]
    let name = name.or_else(|| Some(format!("uid {}", rustix::process::getuid().as_raw())));
    name
}
