//! `alerts ack`, `alerts assign`, `alerts note`, `alerts close`: the work of an analyst.

use logstore::alerts::{AlertAction, AlertEvent};
use logstore::{Alert, AlertStatus, AlertStore as _, DuckDbStore, StoreExt as _, Verdict};

use crate::context::Context;
use crate::printable::printable;
use crate::{Failure, Result};

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

#[derive(Debug, clap::Args)]
pub(super) struct AssignArgs {
    /// The id of the alert, or the beginning of its id
    id: String,

    /// The person who is responsible; an empty name takes the last one away
    #[arg(value_name = "WHO")]
    person: String,
}

pub(super) fn ack(args: &AckArgs, context: &Context) -> Result {
    let store = context.existing_store()?;
    let alerts = alerts(&args.ids, &store)?;
    if let Some(closed) = alerts.iter().find(|alert| alert.status == AlertStatus::Resolved) {
        let verdict = closed
            .verdict
            .map(|verdict| format!(" ({verdict})"))
            .unwrap_or_default();
        return Err(Failure::Failed(format!(
            "the alert {} is closed{verdict}, and stays so: a further match raises another alert",
            closed.id
        )));
    }
    let action = AlertAction::Status(AlertStatus::InProgress);
    update(&alerts, action, None, &store, "is in progress")
}

pub(super) fn note(args: &NoteArgs, context: &Context) -> Result {
    let store = context.existing_store()?;
    let alerts = alerts(std::slice::from_ref(&args.id), &store)?;
    update(
        &alerts,
        AlertAction::Note,
        Some(&args.text),
        &store,
        "has a new note",
    )
}

pub(super) fn close(args: &CloseArgs, context: &Context) -> Result {
    let store = context.existing_store()?;
    let alerts = alerts(&args.ids, &store)?;
    let done = format!("is closed ({})", args.verdict);
    update(&alerts, AlertAction::Close(args.verdict), None, &store, &done)
}

pub(super) fn assign(args: &AssignArgs, context: &Context) -> Result {
    let store = context.existing_store()?;
    let alerts = alerts(std::slice::from_ref(&args.id), &store)?;
    let person = args.person.trim();
    let done = match person {
        "" => "is assigned to no person".to_owned(),
        person => format!("is assigned to {person}"),
    };
    update(
        &alerts,
        AlertAction::Assign(person.to_owned()),
        None,
        &store,
        &done,
    )
}

/// Changes alerts, and says of each what was done.
fn update(
    alerts: &[Alert],
    action: AlertAction,
    note: Option<&str>,
    store: &DuckDbStore,
    done: &str,
) -> Result {
    let mut event = AlertEvent::new(action);
    event.actor = person();
    event.note = note.map(str::to_owned);
    let ids: Vec<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
    store.update_alerts(&ids, &event)?;
    for alert in alerts {
        eprintln!(
            "{}",
            printable(&format!("The alert {} {done}: {}", alert.id, alert.description))
        );
    }
    Ok(())
}

/// Returns the alerts that a person names by ids or beginnings of ids.
fn alerts(typed: &[String], store: &DuckDbStore) -> Result<Vec<Alert>> {
    let alerts = typed.iter().map(|typed| Ok(store.find_alert(typed)?));
    alerts.collect()
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
