//! Waiters: operations that wait for a store's file.

use std::path::Path;
use std::time::{Duration, Instant};

use super::mode::Mode;
use super::queue::{Number, Passed, Place};
use crate::backoff::Proportional;

/// Limits how long a predecessor in the queue may take until others try to overtake it.
///
/// Its process may have been stopped, or may use the file. `DuckDB`'s lock tells which.
const PATIENCE: Duration = Duration::from_secs(1);

/// Represents an operation that waits for the engine.
pub(crate) struct Waiter {
    started: Instant,
    timeout: Duration,
    place: Option<Place>,
    predecessor: Option<Number>,
    /// Holds the time since when this waits for its present predecessor, or when the last predecessor left.
    since: Instant,
    /// Holds the time to try to open the file, unless the predecessor leaves before.
    next_try: Instant,
}

impl Waiter {
    pub(crate) fn new(timeout: Duration) -> Self {
        let started = Instant::now();
        Self {
            started,
            timeout,
            place: None,
            predecessor: None,
            since: started,
            next_try: started,
        }
    }

    pub(crate) fn waited(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn is_out_of_time(&self) -> bool {
        self.waited() >= self.timeout
    }

    /// Takes a place in a store's queue. It takes none if it has one, if there can be none, or if the operation does
    /// not wait.
    pub(crate) fn queue_up(&mut self, store: &Path, mode: Mode, passed: &mut Option<Passed>) {
        // An operation that does not wait must not be seen. A process that holds the file open would close it in vain.
        if self.place.is_none() && !self.timeout.is_zero() {
            self.place = Place::take(store, mode, passed);
        }
    }

    /// Returns whether to try to open the file now.
    ///
    /// That is so if no operation is before this one, if its predecessor takes long, and for a last time.
    pub(crate) fn is_its_turn(&mut self) -> bool {
        let predecessor = self.place.as_ref().and_then(Place::predecessor);
        let now = Instant::now();
        if predecessor != self.predecessor {
            self.predecessor = predecessor;
            self.since = now;
            self.next_try = predecessor.map_or(now, |_| now + PATIENCE);
        }
        now >= self.next_try || self.is_out_of_time()
    }

    /// Waits longer before the next try to open the file.
    pub(crate) fn note_refusal(&mut self) {
        self.next_try = Instant::now() + retry_after(self.since.elapsed());
    }

    /// Returns how long to wait for an engine that other operations of this process use.
    pub(crate) fn pause_for_this_process(&self) -> Duration {
        retry_after(self.waited()).min(self.time_left())
    }

    /// Returns how long to wait for other processes before looking again.
    pub(crate) fn pause_for_others(&self) -> Duration {
        let until_next_try = self.next_try.saturating_duration_since(Instant::now());
        let pause = match (&self.place, self.predecessor) {
            (Some(place), Some(predecessor)) => {
                let distance = u64::try_from(place.number() - predecessor).unwrap_or(u64::MAX);
                look_after(distance, self.since.elapsed()).min(until_next_try)
            }
            _ => until_next_try,
        };
        pause.min(self.time_left())
    }

    fn time_left(&self) -> Duration {
        self.timeout.saturating_sub(self.waited())
    }

    /// Hands the place to the engine that this operation has opened.
    ///
    /// If the operation overtook a process that does not use its place, later operations need not wait for that one.
    pub(crate) fn give_place(
        &mut self,
        store: &Path,
        mode: Mode,
        passed: &mut Option<Passed>,
    ) -> Option<Place> {
        if let Some(number) = self.predecessor.filter(|_| self.since.elapsed() >= PATIENCE) {
            *passed = Some(Passed::now(number));
        }
        self.place.take().or_else(|| Place::take(store, mode, passed))
    }
}

/// Returns how long to wait before the next look at the queue. A waiter near its head looks often, others more seldom.
fn look_after(distance: u64, waited: Duration) -> Duration {
    const LONGEST: Duration = Duration::from_millis(10);
    Duration::from_millis(distance)
        .max(waited / 50)
        .clamp(Duration::from_millis(1), LONGEST)
}

/// Retries quickly at first, then about ten times a second.
const BACKOFF: Proportional = Proportional {
    first: Duration::from_millis(2),
    longest: Duration::from_millis(100),
    part: 4,
};

/// Returns how long to wait before the next try.
pub(crate) fn retry_after(waited: Duration) -> Duration {
    BACKOFF.next(waited, fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_near_the_head_look_often() {
        let long_ago = Duration::from_secs(60);
        assert_eq!(look_after(1, Duration::ZERO), Duration::from_millis(1));
        assert_eq!(look_after(4, Duration::ZERO), Duration::from_millis(4));
        assert_eq!(look_after(1_000, Duration::ZERO), Duration::from_millis(10));
        assert_eq!(look_after(1, long_ago), Duration::from_millis(10));
    }
}
