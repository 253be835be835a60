//! Hits: the logs that match rules of correlations.
//!
//! The table has no index. Hits come nearly in the order of event times, by which a search skips row groups.

use ::duckdb::{Connection, Row, params};
use chrono::{DateTime, Utc};

use crate::models::{Hit, HitRange, LogKey};
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::staged::{StagedRows, texts, times};
use crate::storage::duckdb::sql::statement::{self, Sql, joined_column, time_value};

const COLUMNS: &str = "correlation_id, group_key, event_time, log_id, rule_id, rule_version, value";

/// Stores hits in the open transaction, each unless it is stored already.
pub(super) fn insert(connection: &Connection, hits: &[Hit]) -> Result<()> {
    const ACTION: &str = "store hits";
    let times_of = || hits.iter().map(|hit| hit.log.event_time);
    let (Some(first), Some(last)) = (times_of().min(), times_of().max()) else {
        return Ok(());
    };
    let staged = StagedRows::of(ACTION, hits, |hits| {
        let text = |text: fn(&Hit) -> Option<&str>| texts(hits.iter().map(|hit| text(hit)));
        vec![
            ("correlation_id", text(|hit| Some(&hit.correlation_id))),
            ("group_key", text(|hit| Some(&hit.group_key))),
            (
                "event_time",
                times(hits.iter().map(|hit| Some(hit.log.event_time))),
            ),
            ("log_id", text(|hit| Some(&hit.log.id))),
            ("rule_id", text(|hit| Some(&hit.rule_id))),
            ("rule_version", text(|hit| Some(&hit.rule_version))),
            ("value", text(|hit| hit.value.as_deref())),
        ]
    })?;
    let column = |name: &str, text: fn(&Hit) -> &str| {
        let column = joined_column(&format!("known.{name}"), hits.iter().map(text));
        format!("{column} = new.{name}")
    };
    let same = [
        column("log_id", |hit| &hit.log.id),
        column("correlation_id", |hit| &hit.correlation_id),
        column("group_key", |hit| &hit.group_key),
        column("rule_id", |hit| &hit.rule_id),
        column("rule_version", |hit| &hit.rule_version),
    ];
    // The engine builds a table of the new rows and passes the stored ones by; EXCEPT would build one of the stored.
    // DuckLake fails on times that are joined: it tells its catalog of them without quotes. Texts without a value are
    // compared as expressions for the same reason as those with a NUL.
    let sql = format!(
        "INSERT INTO hits ({COLUMNS})
        SELECT DISTINCT {COLUMNS}
        FROM {} AS new
        WHERE NOT EXISTS (
            SELECT 1
            FROM hits AS known
            WHERE known.event_time >= ? AND known.event_time <= ?
                AND epoch_us(known.event_time) = epoch_us(new.event_time) AND {}
                AND (known.value || '') IS NOT DISTINCT FROM new.value)",
        staged.sql(),
        same.join(" AND ")
    );
    let inserted = connection.execute(&sql, params![time_value(first), time_value(last)]);
    inserted.map_err(|error| error::engine(ACTION, error)).map(drop)
}

/// Returns the hits in some ranges, each once, in their order.
pub(super) fn in_ranges(connection: &Connection, ranges: &[HitRange]) -> Result<Vec<Hit>> {
    const ACTION: &str = "read hits";
    let ranges = HitRange::merged(ranges);
    let first = ranges.iter().map(|range| range.since).min();
    let last = ranges.iter().map(|range| range.until).max();
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(Vec::new());
    };
    let staged = StagedRows::of(ACTION, &ranges, |ranges| {
        let text = |text: fn(&HitRange) -> &str| texts(ranges.iter().map(|range| Some(text(range))));
        vec![
            ("correlation_id", text(|range| &range.correlation_id)),
            ("group_key", text(|range| &range.group_key)),
            ("since", times(ranges.iter().map(|range| Some(range.since)))),
            ("until", times(ranges.iter().map(|range| Some(range.until)))),
        ]
    })?;
    let column = |name: &str, text: fn(&HitRange) -> &str| {
        let column = joined_column(&format!("h.{name}"), ranges.iter().map(text));
        format!("wanted.{name} = {column}")
    };
    let mut sql = Sql::new(format!(
        "SELECT h.correlation_id, h.group_key, epoch_us(h.event_time), h.log_id, h.rule_id, h.rule_version, h.value
        FROM hits AS h
        JOIN {} AS wanted
        ON {} AND {}
            AND wanted.since <= h.event_time AND wanted.until > h.event_time
        WHERE true",
        staged.sql(),
        column("correlation_id", |range| &range.correlation_id),
        column("group_key", |range| &range.group_key)
    ));
    sql.and("h.event_time", ">=", Some(time_value(first)));
    sql.and("h.event_time", "<", Some(time_value(last)));
    let mut hits = statement::fetch_all(connection, &sql, ACTION, |row| hit(row, ACTION))?;
    hits.sort();
    Ok(hits)
}

/// Returns hits from a time on, in the order of event time.
pub(super) fn since(connection: &Connection, since: Option<DateTime<Utc>>, limit: u64) -> Result<Vec<Hit>> {
    const ACTION: &str = "read hits";
    let mut sql = Sql::new(
        "SELECT correlation_id, group_key, epoch_us(event_time), log_id, rule_id, rule_version, value
        FROM hits
        WHERE true",
    );
    sql.and("event_time", ">=", since.map(time_value));
    sql.push("\nORDER BY event_time, log_id, correlation_id, group_key, rule_id, rule_version, value");
    sql.limit(Some(limit));
    statement::fetch_all(connection, &sql, ACTION, |row| hit(row, ACTION))
}

/// Deletes the hits from before a time in the open transaction, and returns their number.
pub(super) fn delete_before(connection: &Connection, time: DateTime<Utc>) -> Result<u64> {
    let deleted = connection.execute("DELETE FROM hits WHERE event_time < ?", [time_value(time)]);
    let deleted = deleted.map_err(|error| error::engine("delete hits", error))?;
    Ok(deleted as u64)
}

fn hit(row: &Row<'_>, action: &'static str) -> Result<Hit> {
    let failed = |error| error::engine(action, error);
    let log_id: String = row.get(3).map_err(failed)?;
    Ok(Hit {
        correlation_id: row.get(0).map_err(failed)?,
        group_key: row.get(1).map_err(failed)?,
        log: LogKey::new(statement::time(row.get(2).map_err(failed)?)?, log_id),
        rule_id: row.get(4).map_err(failed)?,
        rule_version: row.get(5).map_err(failed)?,
        value: row.get(6).map_err(failed)?,
    })
}
