//! `alerts ack`, `alerts assign`, `alerts note`, `alerts close`: the work of an analyst.

use logstore::alerts::{AlertAction, AlertEvent};
use logstore::{Alert, AlertStatus, AlertStore as _, DuckDbStore, StoreExt as _, Verdict};

use crate::context::Context;
use crate::output;
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

    /// Verdict
    #[arg(long, value_name = "true_positive|false_positive|benign")]
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
    let is_begun = |alert: &Alert| alert.status == AlertStatus::InProgress;
    let alerts = without(alerts, is_begun, "is already in progress");
    let action = AlertAction::Status(AlertStatus::InProgress);
    update(&alerts, &AlertEvent::new(action), &store, |_| {
        "is in progress".to_owned()
    })
}

pub(super) fn note(args: &NoteArgs, context: &Context) -> Result {
    let store = context.existing_store()?;
    let alerts = alerts(std::slice::from_ref(&args.id), &store)?;
    let note = AlertEvent::new(AlertAction::Note).with_note(&args.text);
    update(&alerts, &note, &store, |_| "has a new note".to_owned())
}

pub(super) fn close(args: &CloseArgs, context: &Context) -> Result {
    let store = context.existing_store()?;
    let verdict = args.verdict;
    let former = |alert: &Alert| alert.verdict.filter(|_| alert.status == AlertStatus::Resolved);
    let is_closed = |alert: &Alert| former(alert) == Some(verdict);
    let alerts = without(
        alerts(&args.ids, &store)?,
        is_closed,
        &format!("is already closed ({verdict})"),
    );
    let close = AlertEvent::new(AlertAction::Close(verdict));
    update(&alerts, &close, &store, |alert| match former(alert) {
        Some(former) => format!("was closed ({former}), and is closed ({verdict}) now"),
        None => format!("is closed ({verdict})"),
    })
}

pub(super) fn assign(args: &AssignArgs, context: &Context) -> Result {
    let store = context.existing_store()?;
    let alerts = alerts(std::slice::from_ref(&args.id), &store)?;
    let person = args.person.trim();
    let to = match person {
        "" => "no person",
        person => person,
    };
    let is_assigned = |alert: &Alert| alert.assignee.as_deref().unwrap_or_default() == person;
    let alerts = without(alerts, is_assigned, &format!("is already assigned to {to}"));
    let assign = AlertEvent::new(AlertAction::Assign(person.to_owned()));
    update(&alerts, &assign, &store, |_| format!("is assigned to {to}"))
}

/// Leaves out alerts that a change would leave as they are, and says so: their histories are to hold changes only.
fn without(alerts: Vec<Alert>, is_so: impl Fn(&Alert) -> bool, state: &str) -> Vec<Alert> {
    let (unchanged, others): (Vec<Alert>, Vec<Alert>) = alerts.into_iter().partition(is_so);
    for alert in unchanged {
        say(&alert, state);
    }
    others
}

/// Changes alerts, and says of each what was done.
fn update(
    alerts: &[Alert],
    event: &AlertEvent,
    store: &DuckDbStore,
    done: impl Fn(&Alert) -> String,
) -> Result {
    if alerts.is_empty() {
        return Ok(());
    }
    let mut event = event.clone();
    event.actor = person();
    let ids: Vec<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
    store.update_alerts(&ids, &event)?;
    for alert in alerts {
        say(alert, &done(alert));
    }
    Ok(())
}

fn say(alert: &Alert, text: &str) {
    let text = format!("The alert {} {text}: {}", alert.id, alert.description);
    output::note(printable(&text));
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
