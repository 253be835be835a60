//! The history of an alert: who did something to it, and when.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Alert, AlertStatus, Verdict, new_id, now};
use crate::models::InvalidValue;

/// Describes something that was done to an alert. A store only appends events, and never changes them.
///
/// ```
/// use logstore::Verdict;
/// use logstore::alerts::{AlertAction, AlertEvent};
///
/// let event = AlertEvent::new(AlertAction::Close(Verdict::Benign)).by("ann").with_note("the backup of Monday");
/// assert_eq!(event.actor.as_deref(), Some("ann"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AlertEvent {
    /// Names the event; storing it again for the same alert changes nothing.
    #[serde(default = "new_id")]
    pub id: String,
    /// Holds the time of the event, in UTC, to the microsecond.
    #[serde(default = "now")]
    pub at: DateTime<Utc>,
    /// Names the person or program that acted; `None` if it did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Says what was done.
    #[serde(flatten)]
    pub action: AlertAction,
    /// Holds the text that the actor left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Says what was done to an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AlertAction {
    /// Sets the status. A status other than resolved takes the verdict away.
    Status(AlertStatus),
    /// Resolves the alert with a verdict.
    Close(Verdict),
    /// Makes a person responsible. An empty name takes the last one away.
    Assign(String),
    /// Leaves a note.
    Note,
    /// Makes the alert wait for its delivery to a receiver: the actor.
    AwaitDelivery,
    /// Hands the alert to a receiver: the actor.
    Deliver,
    /// Fails to hand the alert to a receiver: the actor.
    FailToDeliver,
}

impl AlertAction {
    /// Returns the name of the action, as it is stored.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Close(_) => "close",
            Self::Assign(_) => "assign",
            Self::Note => "note",
            Self::AwaitDelivery => "await_delivery",
            Self::Deliver => "deliver",
            Self::FailToDeliver => "fail_to_deliver",
        }
    }

    /// Returns the new status, the verdict, or the name of the responsible person.
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Status(status) => Some(status.as_str()),
            Self::Close(verdict) => Some(verdict.as_str()),
            Self::Assign(person) => Some(person),
            Self::Note | Self::AwaitDelivery | Self::Deliver | Self::FailToDeliver => None,
        }
    }

    /// Reads an action from its name and its value.
    pub(crate) fn from_parts(name: &str, value: Option<&str>) -> Result<Self, InvalidValue> {
        let text = value.unwrap_or_default();
        Ok(match name {
            "status" => Self::Status(text.parse()?),
            "close" => Self::Close(text.parse()?),
            "assign" => Self::Assign(text.to_owned()),
            "note" => Self::Note,
            "await_delivery" => Self::AwaitDelivery,
            "deliver" => Self::Deliver,
            "fail_to_deliver" => Self::FailToDeliver,
            _ => {
                return Err(InvalidValue::new("action", name, "no event of an alert has it"));
            }
        })
    }
}

impl AlertEvent {
    /// Makes an event of now, with a new id.
    pub fn new(action: AlertAction) -> Self {
        Self {
            id: new_id(),
            at: now(),
            actor: None,
            action,
            note: None,
        }
    }

    /// Names the person or program that acted.
    #[must_use]
    pub fn by(self, actor: impl Into<String>) -> Self {
        Self {
            actor: Some(actor.into()),
            ..self
        }
    }

    /// Adds a text.
    #[must_use]
    pub fn with_note(self, note: impl Into<String>) -> Self {
        Self {
            note: Some(note.into()),
            ..self
        }
    }

    /// Checks that the event can be stored.
    ///
    /// # Errors
    ///
    /// If it is a note without a text.
    pub fn validate(&self) -> Result<(), InvalidValue> {
        let note = self.note.as_deref().unwrap_or_default();
        match self.action == AlertAction::Note && note.trim().is_empty() {
            true => Err(InvalidValue::new("note", note, "write a text")),
            false => Ok(()),
        }
    }
}

impl Alert {
    /// Changes the alert as an event says.
    pub(crate) fn apply(&mut self, event: &AlertEvent) {
        match &event.action {
            AlertAction::Status(status) => self.set_status(*status),
            AlertAction::Close(verdict) => {
                self.set_status(AlertStatus::Resolved);
                self.verdict = Some(*verdict);
            }
            AlertAction::Assign(person) => {
                self.assignee = Some(person.clone()).filter(|person| !person.is_empty());
            }
            AlertAction::Note
            | AlertAction::AwaitDelivery
            | AlertAction::Deliver
            | AlertAction::FailToDeliver => {}
        }
        self.updated_at = self.updated_at.max(event.at);
    }

    /// Sets the status, and what follows from it.
    pub(crate) fn set_status(&mut self, status: AlertStatus) {
        self.status = status;
        self.acknowledged = status != AlertStatus::New;
        if status != AlertStatus::Resolved {
            self.verdict = None;
        }
    }
}
