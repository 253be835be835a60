//! The history of a lake: tells whether the catalog is still the one that a cursor was read from.
//!
//! A catalog that was restored from a backup gives numbers of snapshots to other commits. A cursor from before would
//! skip their logs.

use ::duckdb::Connection;

use super::CATALOG;
use crate::storage::duckdb::engine::location::Location;
use crate::storage::duckdb::sql::statement::{self, literal};
use crate::storage::duckdb::{error, seq};
use crate::storage::{Cursor, Error, Result, SeenSnapshot};

/// Returns the last snapshot, so that a cursor keeps it; `None` if the catalog is a file.
///
/// # Errors
///
/// [`Error::Restored`] if the catalog does not hold the snapshots that the reader of the cursor has seen.
pub(crate) fn check(
    connection: &Connection,
    location: &Location,
    cursor: Cursor,
    last: i64,
) -> Result<Option<SeenSnapshot>> {
    let reached = seq::snapshot_of(cursor.seq());
    if reached > last {
        return Err(Error::Restored { snapshot: reached });
    }
    if !location.has_many_writers() {
        return Ok(None);
    }
    // Most polls find nothing new. Another commit with the same number is found out with the next one.
    let is_nothing_new =
        cursor.seq() >= seq::end_of_snapshot(last) && cursor.seen().is_some_and(|seen| seen.number == last);
    if is_nothing_new {
        return Ok(cursor.seen());
    }
    let numbers = [Some(last), cursor.seen().map(|seen| seen.number)];
    let known = snapshots(connection, numbers.into_iter().flatten())?;
    let find = |number: i64| known.iter().find(|known| known.number == number).copied();
    if let Some(seen) = cursor.seen() {
        // Snapshots expire, but never the last one.
        let is_other = find(seen.number).map_or(seen.number > last, |found| found != seen);
        if is_other {
            return Err(Error::Restored {
                snapshot: seen.number,
            });
        }
    }
    Ok(find(last))
}

/// Reads those of some snapshots that have not expired.
fn snapshots(connection: &Connection, numbers: impl Iterator<Item = i64>) -> Result<Vec<SeenSnapshot>> {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    let wanted = format!(
        "SELECT snapshot_id, CAST(extract(epoch FROM snapshot_time) * 1000000 AS bigint) AS micros
        FROM public.ducklake_snapshot
        WHERE snapshot_id IN ({})
        ORDER BY snapshot_id",
        numbers.join(", ")
    );
    let sql = format!(
        "SELECT snapshot_id, micros FROM postgres_query('{CATALOG}', {}) ORDER BY snapshot_id",
        literal(&wanted)
    );
    let read = statement::query_all(connection, &sql, [], |row| {
        Ok(SeenSnapshot {
            number: row.get(0)?,
            time: row.get(1)?,
        })
    });
    read.map_err(|error| error::engine("read the last snapshot", error))
}
