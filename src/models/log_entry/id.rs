//! Ids of logs: UUIDs of version 7 (RFC 9562, section 5.7), made so that they compress.

use std::cell::RefCell;

use chrono::{DateTime, Utc};
use uuid::{Builder, Uuid};

use crate::models::time::{now, to_micros};

/// Masks the bits after the time in an id. They are random at first, and count up by one for each id. So ids ascend and
/// are alike (section 6.2, method 2).
const COUNTED_BITS: u128 = (1 << 74) - 1;

/// Gives ids, each greater than the one before.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    now: DateTime<Utc>,
    /// Holds the time that the ids say, in milliseconds since 1970. It is a whole second, so that the ids of a batch
    /// differ in few bits (section 6.1 lets a time be rounded).
    millis: u64,
    counted: u128,
    /// Counts the ids that are reserved.
    left: u64,
}

impl Ids {
    /// Reserves a block of ids above every id that this thread has given before.
    ///
    /// Another block follows where these are not enough.
    pub(crate) fn many() -> Self {
        /// Is more than the lines of a block of a file, and few, so that ids of neighbouring blocks are alike.
        const MANY: u64 = 1 << 20;
        with_own(|ids| {
            let many = Self {
                left: MANY,
                ..ids.clone()
            };
            ids.counted = (ids.counted + u128::from(MANY)) & COUNTED_BITS;
            many
        })
    }

    /// Sets the time that the next ids say, unless an earlier id says a later one.
    pub(crate) fn advance(&mut self, now: DateTime<Utc>) {
        self.now = to_micros(now);
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        self.millis = self.millis.max(millis - millis % 1_000);
    }

    /// Returns the time of the last [`advance`](Self::advance).
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    pub(super) fn next(&mut self) -> String {
        if self.left == 0 {
            let more = Self::many();
            self.millis = self.millis.max(more.millis);
            (self.counted, self.left) = (more.counted, more.left);
        }
        self.left -= 1;
        self.counted = (self.counted + 1) & COUNTED_BITS;
        let mut random = [0; 10];
        // The version is before the highest 12 bits, and the variant between them and the others.
        let high = u16::try_from(self.counted >> 62).unwrap_or_default();
        let low = u64::try_from(self.counted & ((1 << 62) - 1)).unwrap_or_default();
        random[..2].copy_from_slice(&high.to_be_bytes());
        random[2..].copy_from_slice(&low.to_be_bytes());
        let id = Builder::from_unix_timestamp_millis(self.millis, &random).into_uuid();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        id.hyphenated().encode_lower(&mut text).to_owned()
    }
}

/// Lends the ids of this thread, which say the current time.
pub(super) fn with_own<T>(take: impl FnOnce(&mut Ids) -> T) -> T {
    thread_local! {
        static OWN: RefCell<Ids> = RefCell::new(Ids {
            now: DateTime::UNIX_EPOCH,
            millis: 0,
            counted: Uuid::new_v4().as_u128() & (COUNTED_BITS >> 1),
            left: u64::MAX,
        });
    }
    OWN.with_borrow_mut(|ids| {
        ids.advance(now());
        take(ids)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_are_uuids_of_version_7() {
        let ids: Vec<String> = (0..10_000).map(|_| with_own(Ids::next)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        let id: Uuid = ids[0].parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
    }

    #[test]
    fn ids_that_are_more_than_were_reserved_are_others() {
        let mut ids = Ids::many();
        let before = [ids.next(), Ids::many().next()];
        ids.left = 0;
        let after = ids.next();
        assert!(
            !before.contains(&after) && after > before[1],
            "{before:?}, {after}"
        );
    }

    #[test]
    fn threads_do_not_share_ids() {
        let other = std::thread::spawn(|| with_own(Ids::next)).join().unwrap();
        assert_ne!(other[24..], with_own(Ids::next)[24..]);
    }

    #[test]
    fn ids_that_are_given_at_once_ascend_in_the_order_in_which_they_were_taken() {
        let before = with_own(Ids::next);
        let (mut first, mut second) = (Ids::many(), Ids::many());
        let of_second = [second.next(), second.next()];
        let of_first = [first.next(), first.next()];
        let ids = [&[before], &of_first[..], &of_second, &[with_own(Ids::next)]].concat();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }
}
