//! Sequence numbers of a lake: each combines the snapshot that committed a log and the log's place in that commit.

/// Limits the logs that a snapshot can add. A log's sequence number is the number of its snapshot times this, plus the
/// log's place in its commit.
pub(super) const LOGS_OF_SNAPSHOT: i64 = 1 << 26;

/// Returns the sequence number that no log up to a snapshot exceeds.
pub(super) fn end_of_snapshot(snapshot: i64) -> i64 {
    snapshot
        .saturating_mul(LOGS_OF_SNAPSHOT)
        .saturating_add(LOGS_OF_SNAPSHOT - 1)
}

/// Returns the snapshot that a sequence number belongs to.
pub(super) fn snapshot_of(seq: i64) -> i64 {
    seq / LOGS_OF_SNAPSHOT
}

/// Returns the place of a log in its commit.
pub(super) fn place_of(seq: i64) -> i64 {
    seq % LOGS_OF_SNAPSHOT
}

/// Returns the sequence number of a log at a place in a snapshot's commit.
pub(super) fn of_place(snapshot: i64, place: i64) -> i64 {
    snapshot.saturating_mul(LOGS_OF_SNAPSHOT).saturating_add(place)
}
