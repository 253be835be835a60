//! Waits between retries. They grow up to a limit, and do not keep step with other processes.
//!
//! This module reads no clock. Chance is passed as a number from 0 up to 1, so that tests can name it.

use std::time::Duration;

/// Describes waits that grow in proportion to the time already waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proportional {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    /// Divides the time already waited into the next wait: 4 means a quarter.
    pub(crate) part: u32,
}

impl Proportional {
    /// Returns the next wait after `waited`: between a half and one and a half of the exact wait.
    pub(crate) fn next(self, waited: Duration, chance: f64) -> Duration {
        let exact = (waited / self.part).clamp(self.first, self.longest);
        exact.mul_f64(0.5 + chance)
    }
}

/// Describes waits that double with each failure in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Doubling {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Doubling {
    /// Returns the wait after the `failures`th failure: between a half and the whole of the exact wait.
    pub(crate) fn after(self, failures: u32, chance: f64) -> Duration {
        const MOST_DOUBLINGS: u32 = 16;
        let doublings = failures.saturating_sub(1).min(MOST_DOUBLINGS);
        let exact = self.first.saturating_mul(1 << doublings).min(self.longest);
        exact.mul_f64(0.5 + chance / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn waits_grow_with_the_time_waited() {
        let backoff = Proportional {
            first: millis(2),
            longest: millis(100),
            part: 4,
        };
        for (waited, exact) in [(0, 2), (8, 2), (40, 10), (400, 100), (60_000, 100)] {
            assert_eq!(backoff.next(millis(waited), 0.5), millis(exact), "{waited}");
        }
        assert_eq!(backoff.next(millis(40), 0.0), millis(5));
        assert_eq!(backoff.next(millis(40), 0.9), millis(14));
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Doubling {
            first: millis(250),
            longest: millis(60_000),
        };
        for (failures, exact) in [
            (0, 250),
            (1, 250),
            (2, 500),
            (5, 4_000),
            (9, 60_000),
            (u32::MAX, 60_000),
        ] {
            assert_eq!(backoff.after(failures, 1.0), millis(exact), "{failures}");
        }
        assert_eq!(backoff.after(2, 0.0), millis(250));
    }
}
