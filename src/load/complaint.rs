//! Warnings of an error that comes again and again: the first one, then one in a while.

use std::mem::{Discriminant, discriminant};
use std::time::{Duration, Instant};

use crate::storage::Error;

/// Limits how often the same error is logged.
const INTERVAL: Duration = Duration::from_secs(60);

/// Holds what was said last about a retry.
#[derive(Default)]
pub(super) struct Complaint {
    last: Option<(Discriminant<Error>, String, Instant)>,
}

impl Complaint {
    /// Logs an error after which the caller tries again, unless it was logged within the last minute.
    pub(super) fn warn(&mut self, error: &Error) {
        if self.is_new(error, Instant::now()) {
            log::warn!("{}; trying again", error.with_causes());
        }
    }

    fn is_new(&mut self, error: &Error, now: Instant) -> bool {
        // The message itself may differ each time, in the time that was waited.
        let cause = std::error::Error::source(error);
        let cause = cause.map(ToString::to_string).unwrap_or_default();
        let kind = discriminant(error);
        let is_known = self.last.as_ref().is_some_and(|(last, said, since)| {
            *last == kind && *said == cause && now.duration_since(*since) < INTERVAL
        });
        if !is_known {
            self.last = Some((kind, cause, now));
        }
        !is_known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_logged_once_and_then_at_intervals() {
        let lost = |reason: &str| Error::Disconnected {
            action: "append logs",
            source: reason.into(),
        };
        let (mut complaint, start) = (Complaint::default(), Instant::now());
        let cases = [
            (0, "wrong password", true),
            (1, "wrong password", false),
            (2, "too many clients", true),
            (3, "too many clients", false),
            (62, "too many clients", true),
            (63, "too many clients", false),
        ];
        for (seconds, reason, expected) in cases {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(
                complaint.is_new(&lost(reason), now),
                expected,
                "{seconds} {reason}"
            );
        }
    }
}
