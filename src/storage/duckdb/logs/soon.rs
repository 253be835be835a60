//! Says which searches of a file are soon done as they are.

use ::duckdb::{Connection, params_from_iter};

use super::frequent::MANY_LOGS;
use super::ranges::{logs_of, rows_of};
use super::repeated::counted;
use crate::models::{LogQuery, Order};
use crate::storage::Result;
use crate::storage::duckdb::commit_order::{self, CommitOrder};
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::statement::Sql;

/// Counts the logs of which a query with a limit is tried.
const TRIED: i64 = 1 << 13;

/// Says whether a query's times have so few logs that each is soon looked at.
pub(super) fn has_few_logs(connection: &Connection, query: &LogQuery) -> Result<bool> {
    if query.since.or(query.until).is_none() {
        return Ok(false);
    }
    let mut logs = Sql::new("log_rows");
    logs.append(predicate::where_clause(&query.within_page().times()));
    Ok(counted(connection, logs, MANY_LOGS)? < MANY_LOGS)
}

/// Returns SQL that is true of the first logs of a query and of few others; `None` if those that it is tried of do not tell.
///
/// No log outside these times comes before the last one that is wanted.
pub(super) fn first_times(connection: &Connection, query: &LogQuery) -> Result<Option<String>> {
    let limit = query.limit.filter(|limit| *limit <= TRIED.unsigned_abs());
    let Some(limit) = limit.filter(|_| query.after.is_none()) else {
        return Ok(None);
    };
    let (tried, last_of_first, order, bound) = match query.order {
        Order::OldestFirst => (1..=TRIED, "max", "event_time", "<="),
        Order::NewestFirst => {
            let last = commit_order::last_seq(connection)?;
            (last.saturating_sub(TRIED)..=last, "min", "event_time DESC", ">=")
        }
        Order::Any => return Ok(None),
    };
    let rows = rows_of(CommitOrder::Counter, &tried);
    let mut sql = Sql::new(format!(
        "SELECT count(*), coalesce(epoch_us({last_of_first}(event_time)), 0) FROM (SELECT event_time FROM "
    ));
    sql.push(&logs_of(CommitOrder::Counter, &[rows]));
    sql.append(predicate::where_clause(query));
    sql.push(&format!(" ORDER BY {order} LIMIT {limit})"));
    let found = connection.query_row(&sql.text, params_from_iter(&sql.values), |row| {
        Ok((row.get::<_, u64>(0)?, row.get::<_, i64>(1)?))
    });
    let (found, micros) = found.map_err(|error| error::engine("look for the first logs", error))?;
    Ok((found >= limit).then(|| format!("event_time {bound} make_timestamp({micros})")))
}
