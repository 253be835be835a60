//! New intelligence over old logs, next to the detector of new logs.

use std::time::Duration;

use logstore::detect::LookingBack;
use logstore::storage::CommitResult;
use logstore::{DuckDbStore, Result, StopHandle};

use super::indicators::Indicators;
use super::is_passing;

/// Holds the least time between two looks at whether intelligence was imported.
const LEAST_INTERVAL: Duration = Duration::from_secs(5);

/// Compares imported intelligence with stored logs until nothing is left, or until it is stopped. `note` is told of each
/// piece.
pub(super) fn catch_up(
    looking: &mut LookingBack<&DuckDbStore>,
    indicators: &Indicators<'_>,
    stop: &StopHandle,
    mut note: impl FnMut(&CommitResult),
) -> Result<()> {
    while !stop.is_stopped()
        && let Some(committed) = looking.next(|| indicators.refresh())?
    {
        note(&committed);
    }
    Ok(())
}

/// Does the same again and again until it is stopped.
pub(super) fn follow(
    looking: &mut LookingBack<&DuckDbStore>,
    indicators: &Indicators<'_>,
    interval: Duration,
    stop: &StopHandle,
    mut note: impl FnMut(&CommitResult),
) -> Result<()> {
    loop {
        match catch_up(looking, indicators, stop, &mut note) {
            Err(error) if is_passing(&error) => {
                log::warn!(
                    "cannot look back for intelligence, trying again: {}",
                    error.with_causes()
                );
            }
            outcome => outcome?,
        }
        if stop.wait(interval.max(LEAST_INTERVAL)) {
            return Ok(());
        }
    }
}
