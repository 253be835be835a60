//! New alerts, printed as they come: `detect --follow`.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use chrono::SecondsFormat;
use logstore::time::Zone;
use logstore::{Alert, AlertStatus, StopHandle};
use serde::Serialize;

use crate::commands::alerts;
use crate::output::{Columns, Emphasis, Output, Row};
use crate::table::Column;
use crate::{Failure, Result};

/// Holds a new alert as it is printed.
#[derive(Serialize)]
#[serde(transparent)]
struct RaisedRow(Alert);

impl Row for RaisedRow {
    const TIMES: &'static [&'static str] = alerts::AlertRow::TIMES;

    fn cells(&self, zone: Zone) -> Vec<String> {
        /// Counts the characters of an id that are shown: enough for `alerts show`.
        const PREFIX: usize = 8;
        let alert = &self.0;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            zone.format(alert.last_seen.unwrap_or(alert.created_at), SecondsFormat::Secs),
            alert.severity.to_string(),
            text(&alert.host),
            text(&alert.user),
            text(&alert.source_ip),
            alert.id.chars().take(PREFIX).collect(),
            alerts::title(alert).to_owned(),
        ]
    }

    fn emphasis(&self) -> Emphasis {
        alerts::emphasis(&self.0)
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("time"),
        Column::whole("severity"),
        Column::cut_to(8, "host").spare(),
        Column::cut_to(8, "user").spare(),
        Column::cut_to(15, "source").spare(),
        Column::whole("id"),
        Column::cut_to(24, "alert"),
    ]),
    csv: alerts::COLUMNS.csv,
};

/// Prints alerts for all threads of a detector.
pub(super) struct Raised {
    stop: StopHandle,
    /// Holds the output, and why it has failed. There is none if nobody asked for alerts.
    printer: Option<Mutex<Printer>>,
}

struct Printer {
    output: Output,
    failure: Option<Failure>,
}

impl Raised {
    /// Prints to an output, or nothing.
    pub(super) fn new(output: Option<Output>, stop: &StopHandle) -> Result<Self> {
        let printer = match output {
            Some(mut output) => {
                // The header of CSV.
                output.rows::<RaisedRow>(&COLUMNS, [])?;
                Some(Mutex::new(Printer {
                    output,
                    failure: None,
                }))
            }
            None => None,
        };
        Ok(Self {
            stop: stop.clone(),
            printer,
        })
    }

    /// Prints alerts, but for suppressed ones. A failure stops the detector.
    pub(super) fn print(&self, raised: Vec<Alert>) {
        let is_open = |alert: &Alert| alert.status != AlertStatus::Suppressed;
        let rows: Vec<RaisedRow> = raised.into_iter().filter(is_open).map(RaisedRow).collect();
        let Some(printer) = self.printer.as_ref().filter(|_| !rows.is_empty()) else {
            return;
        };
        let mut printer = printer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(failure) = printer.output.more_rows(&COLUMNS, rows) {
            printer.failure.get_or_insert(failure);
            self.stop.stop();
        }
    }

    /// Returns the failure of the output, if it failed.
    pub(super) fn end(self) -> Result {
        let printer = self
            .printer
            .map(|printer| printer.into_inner().unwrap_or_else(PoisonError::into_inner));
        printer.and_then(|printer| printer.failure).map_or(Ok(()), Err)
    }
}
