//! New alerts, handed to a command: `detect --exec`.
//!
//! The store keeps which alerts wait, in the transaction that raises them. So each is delivered at least once, however
//! the program ends.

use std::collections::HashSet;
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use logstore::alerts::{AlertAction, AlertEvent};
use logstore::{AlertStore as _, DuckDbStore, StopHandle};

use super::bounded;
use crate::Failure;
use crate::commands::alerts::show::AlertRecord;

/// Limits the time of one command.
const LIMIT: Duration = Duration::from_secs(30);

/// Limits how many commands run at a time.
const AT_A_TIME: usize = 4;

/// Limits how many failures in a row end a round: the receiver is likely to be gone.
const MOST_FAILURES: usize = 5;

/// Holds the waits after a round with failures: the first one, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(3_600)];

/// Delivers alerts next to the detector.
#[derive(Clone)]
pub(super) struct Deliveries<'a> {
    store: &'a DuckDbStore,
    receiver: &'a str,
    command: &'a str,
    stop: StopHandle,
    /// Holds the alerts that were tried in vain since the last pause.
    tried: HashSet<String>,
}

impl<'a> Deliveries<'a> {
    pub(super) fn new(
        store: &'a DuckDbStore,
        receiver: &'a str,
        command: &'a str,
        stop: &StopHandle,
    ) -> Self {
        Self {
            store,
            receiver,
            command,
            stop: stop.clone(),
            tried: HashSet::new(),
        }
    }

    /// Starts a thread that delivers what waits, each time that it is woken. When the sender is gone, it delivers the
    /// rest and ends.
    pub(super) fn start<'scope>(mut self, scope: &'scope Scope<'scope, '_>) -> Sender<()>
    where
        'a: 'scope,
    {
        let (wake, woken) = bounded(1);
        scope.spawn(move || self.run(&woken));
        wake
    }

    fn run(&mut self, woken: &Receiver<()>) {
        let [first, longest] = PAUSES;
        let mut pause = first;
        loop {
            let is_open = match self.round() {
                true => {
                    pause = first;
                    woken.recv().is_ok()
                }
                false => {
                    let is_open = sleep(woken, pause);
                    pause = (pause * 2).min(longest);
                    is_open
                }
            };
            if !is_open {
                // The last alerts may have come after the round. Those that failed wait for the next run.
                self.round();
                return;
            }
            self.tried.clear();
        }
    }

    /// Delivers what waits. Returns false if some of it failed.
    fn round(&mut self) -> bool {
        match self.deliver() {
            Ok(is_whole) => is_whole,
            Err(failure) => {
                log::warn!("cannot deliver alerts, trying again: {}", text_of(&failure));
                false
            }
        }
    }

    fn deliver(&mut self) -> crate::Result<bool> {
        let waiting = self.store.undelivered_alerts(self.receiver)?;
        let waiting: Vec<String> = waiting
            .into_iter()
            .filter(|id| !self.tried.contains(id))
            .collect();
        let (mut failed, mut in_a_row) = (0, 0);
        for ids in waiting.chunks(AT_A_TIME) {
            if self.stop.is_stopped() || in_a_row >= MOST_FAILURES {
                return Ok(false);
            }
            for (id, outcome) in self.deliver_each(ids) {
                let event = match outcome {
                    Ok(()) => {
                        in_a_row = 0;
                        AlertEvent::new(AlertAction::Deliver)
                    }
                    Err(reason) => {
                        failed += 1;
                        in_a_row += 1;
                        log::warn!("cannot deliver the alert {id}: {reason}");
                        self.tried.insert(id.clone());
                        AlertEvent::new(AlertAction::FailToDeliver).with_note(reason)
                    }
                };
                self.store.update_alerts(&[&id], &event.by(self.receiver))?;
            }
        }
        Ok(failed == 0)
    }

    /// Runs the command for some alerts at the same time.
    fn deliver_each(&self, ids: &[String]) -> Vec<(String, Result<(), String>)> {
        thread::scope(|scope| {
            let running: Vec<_> = ids
                .iter()
                .map(|id| (id, scope.spawn(|| self.deliver_one(id))))
                .collect();
            let ended = running.into_iter().map(|(id, thread)| {
                let outcome = thread.join();
                (
                    id.clone(),
                    outcome.unwrap_or_else(|_| Err("the thread panicked".to_owned())),
                )
            });
            ended.collect()
        })
    }

    fn deliver_one(&self, id: &str) -> Result<(), String> {
        let record = AlertRecord::read(id, self.store).map_err(|failure| text_of(&failure))?;
        let mut json = serde_json::to_vec(&record).map_err(|error| error.to_string())?;
        json.push(b'\n');
        bounded::run(self.command, json, LIMIT)
    }
}

fn text_of(failure: &Failure) -> String {
    failure.text().unwrap_or("the alert is not there").to_owned()
}

/// Waits for a time, whatever wakes it. Returns false as soon as the sender is gone.
fn sleep(woken: &Receiver<()>, time: Duration) -> bool {
    let end = Instant::now() + time;
    loop {
        match woken.recv_deadline(end) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}
