//! New intelligence over old logs, next to the detector of new logs.

use std::time::Duration;

use logstore::detect::LookingBack;
use logstore::storage::CommitResult;
use logstore::{DuckDbStore, Result, StopHandle};

use super::indicators::Indicators;
use super::{Outlets, Totals, is_passing};

/// Holds the least time between two looks at whether intelligence was imported.
const LEAST_INTERVAL: Duration = Duration::from_secs(5);

/// Compares imported intelligence with stored logs until nothing is left, or until it is stopped. `note` is told of each
/// piece.
pub(super) fn catch_up(
    looking: &mut LookingBack<&DuckDbStore>,
    indicators: &Indicators<'_>,
    stop: &StopHandle,
    mut note: impl FnMut(CommitResult),
) -> Result<()> {
    while !stop.is_stopped()
        && let Some(committed) = looking.next(|| indicators.refresh())?
    {
        note(committed);
    }
    Ok(())
}

/// Does the same again and again until it is stopped, and returns what was found. An error that is not passing stops the
/// other threads.
pub(super) fn follow(
    mut looking: LookingBack<&DuckDbStore>,
    indicators: &Indicators<'_>,
    interval: Duration,
    stop: &StopHandle,
    outlets: &Outlets<'_>,
) -> Result<Totals> {
    let mut totals = Totals::default();
    loop {
        let caught_up = catch_up(&mut looking, indicators, stop, |committed| {
            totals.add_later(&committed);
            outlets.pass_on(committed);
        });
        match caught_up {
            Err(error) if is_passing(&error) => {
                log::warn!(
                    "cannot look back for intelligence, trying again: {}",
                    error.with_causes()
                );
            }
            Err(error) => {
                stop.stop();
                return Err(error);
            }
            Ok(()) => {}
        }
        if stop.wait(interval.max(LEAST_INTERVAL)) {
            return Ok(totals);
        }
    }
}
