//! Ids of logs: UUIDs of version 7 (RFC 9562, section 5.7), made so that they compress.

use std::cell::Cell;

use chrono::{DateTime, Utc};
use uuid::{Builder, Uuid};

/// What follows the time in the ids of one thread: random where it starts, and one more for each id, so that ids of
/// one thread ascend and are alike (section 6.2, method 2).
const COUNTED_BITS: u128 = (1 << 74) - 1;

thread_local! {
    static LAST: Cell<(u64, u128)> = Cell::new((0, Uuid::new_v4().as_u128() & (COUNTED_BITS >> 1)));
}

/// A new id, greater than every other one of this thread.
pub(super) fn new_id(now: DateTime<Utc>) -> String {
    let now = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    let (millis, counted) = LAST.with(|last| {
        let (millis, counted) = last.get();
        let next = (now.max(millis), (counted + 1) & COUNTED_BITS);
        last.set(next);
        next
    });
    let mut random = [0; 10];
    // Version and variant stand between the highest 12 bits and the others.
    let high = u16::try_from(counted >> 62).unwrap_or_default();
    let low = u64::try_from(counted & ((1 << 62) - 1)).unwrap_or_default();
    random[..2].copy_from_slice(&high.to_be_bytes());
    random[2..].copy_from_slice(&low.to_be_bytes());
    let id = Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    id.hyphenated().encode_lower(&mut text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_are_uuids_of_version_7() {
        let ids: Vec<String> = (0..10_000).map(|_| new_id(Utc::now())).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        let id: Uuid = ids[0].parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
    }

    #[test]
    fn threads_do_not_share_ids() {
        let other = std::thread::spawn(|| new_id(Utc::now())).join().unwrap();
        assert_ne!(other[24..], new_id(Utc::now())[24..]);
    }
}
