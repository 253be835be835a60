//! Plans a query of logs: the statements that the engine runs for it.

use ::duckdb::{Connection, params_from_iter};
use chrono::TimeDelta;

use super::long_texts;
use super::narrow::Narrowed;
use super::observables;
use crate::models::{Field, LogQuery, Order};
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::rows::columns;
use crate::storage::duckdb::rows::encode::LogRows;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::sought::Sought;
use crate::storage::duckdb::sql::statement::{self, Sql};
use crate::storage::duckdb::{error, schema};

/// Returns `DELETE ...` for the logs that a query wants.
///
/// The table stores only times in the form of a query. Other filters need the view, which has no row numbers, so that
/// its logs are named by time and id.
pub(crate) fn delete(query: &LogQuery) -> Sql {
    let mut sql = Sql::new("DELETE FROM log_rows");
    sql.append(predicate::where_clause(&query.times()));
    if !query.filters.is_empty() {
        sql.push("\nAND (event_time, coalesce(CAST(uuid AS VARCHAR), id)) IN (SELECT (event_time, id) FROM log_texts");
        sql.append(predicate::where_clause(query));
        sql.push(")");
    }
    sql
}

/// Returns the statements that yield the logs of a query, one after another. `narrowed` names those that it need be asked
/// of, if these are not all. Logs without what is sought may be left out.
pub(crate) fn statements(
    order: CommitOrder,
    connection: &Connection,
    query: &LogQuery,
    log_texts: &str,
    narrowed: Option<&Narrowed>,
    sought: Option<&Sought>,
) -> Result<Vec<Sql>> {
    if let Some(narrowed) = narrowed {
        return narrowed_statements(order, connection, query, narrowed, sought);
    }
    if order == CommitOrder::Snapshots && is_for_few(query) {
        let query = within_its_times(connection, query)?;
        let statements = query.iter().map(|query| select_at_once(query, log_texts));
        return Ok(statements.collect());
    }
    if long_texts::need_measuring(order, connection, log_texts) {
        return long_texts::cut(connection, query, &columns::READ_SQL, log_texts);
    }
    if is_for_all(query) {
        return Ok(vec![select_all(connection, query, log_texts, sought)?]);
    }
    if is_for_few(query) || !schema::are_of_log_rows(log_texts) {
        return Ok(vec![select(query, log_texts)]);
    }
    let slices = slices(connection, query, "log_rows", "rowid", MOST_OF_ALL)?;
    Ok(slices.iter().map(|slice| select(slice, log_texts)).collect())
}

/// Returns the statements for a query that few blocks of logs may answer.
fn narrowed_statements(
    order: CommitOrder,
    connection: &Connection,
    query: &LogQuery,
    narrowed: &Narrowed,
    sought: Option<&Sought>,
) -> Result<Vec<Sql>> {
    if narrowed.is_empty() {
        return Ok(Vec::new());
    }
    let log_texts = &narrowed.log_texts(&query.within_page());
    if long_texts::need_measuring(order, connection, schema::LOG_TEXTS) {
        return long_texts::cut(connection, query, &columns::READ_SQL, log_texts);
    }
    if sought.is_some() && is_for_all(query) {
        let sought = sought.filter(|_| !narrowed.have_address);
        return Ok(vec![select_all(connection, query, log_texts, sought)?]);
    }
    if is_for_few(query) || narrowed.span <= SORTED_TOGETHER {
        return Ok(vec![select_at_once(query, log_texts)]);
    }
    let (narrowed, slices) = match narrowed.are_few || narrowed.have_address {
        true => {
            let slices = slices(connection, query, log_texts, "seq", SORTED_TOGETHER)?;
            (narrowed.clone(), slices)
        }
        // To find them takes longer than to count all.
        false => {
            let slices = slices(connection, query, "log_rows", "rowid", MOST_OF_ALL)?;
            (narrowed.of_whole_store(), slices)
        }
    };
    Ok(slices
        .iter()
        .map(|slice| select_at_once(slice, &narrowed.log_texts(slice)))
        .collect())
}

/// Returns whether a query wants all of its logs, in any order.
fn is_for_all(query: &LogQuery) -> bool {
    query.order == Order::Any && query.limit.is_none() && query.after.is_none()
}

/// Returns the statement for all logs of a query. Logs without what is sought may be left out.
fn select_all(
    connection: &Connection,
    query: &LogQuery,
    log_texts: &str,
    sought: Option<&Sought>,
) -> Result<Sql> {
    let mut sql = select_logs(log_texts);
    sql.append(predicate::where_clause(query));
    if let Some(sought) = sought {
        let condition = observables::condition(connection, query, log_texts, sought)?;
        sql.push(&format!("\nAND ({condition})"));
    }
    Ok(sql)
}

/// Limits the logs of blocks that are searched in one statement, and of which those that are found are sorted together.
const SORTED_TOGETHER: i64 = 500_000;

pub(crate) fn select_logs(log_texts: &str) -> Sql {
    Sql::new(format!("SELECT {}\nFROM {log_texts}", *columns::READ_SQL))
}

/// Limits the logs whose sequence numbers the engine finds first, without reading anything else of the others.
const FEW: u64 = 10_000;

fn is_for_few(query: &LogQuery) -> bool {
    query.limit.is_some_and(|limit| limit <= FEW)
}

fn select_at_once(query: &LogQuery, log_texts: &str) -> Sql {
    let mut sql = select_logs(log_texts);
    sql.append(predicate::page_clause(query));
    sql.append(predicate::order_and_limit(query));
    sql
}

/// Returns a query of a lake for few logs, limited to the times of the logs that it finds.
///
/// Only files of those times are then read in full. Returns `None` if the query finds no logs.
fn within_its_times(connection: &Connection, query: &LogQuery) -> Result<Option<LogQuery>> {
    let mut sql = Sql::new(
        "SELECT epoch_us(min(event_time)), epoch_us(max(event_time))\nFROM (SELECT event_time FROM ",
    );
    sql.push(schema::LOG_TEXTS);
    sql.append(predicate::page_clause(query));
    sql.append(predicate::order_and_limit(query));
    sql.push(")");
    let found = connection.query_row(&sql.text, params_from_iter(&sql.values), |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let (Some(first), Some(last)) = found.map_err(|error| error::engine("read logs", error))? else {
        return Ok(None);
    };
    let (since, last) = (statement::time(first)?, statement::time(last)?);
    // The last possible microsecond has none after it.
    let until = last
        .checked_add_signed(TimeDelta::microseconds(1))
        .or(query.until);
    Ok(Some(LogQuery {
        since: Some(since),
        until,
        ..query.clone()
    }))
}

fn select(query: &LogQuery, log_texts: &str) -> Sql {
    if !is_for_few(query) {
        return select_at_once(query, log_texts);
    }
    let mut sql = select_logs(log_texts);
    sql.push(&format!("\nWHERE seq IN (SELECT seq FROM {log_texts}"));
    sql.append(predicate::page_clause(query));
    sql.append(predicate::order_and_limit(query));
    sql.push(")");
    sql.append(predicate::order(query));
    sql
}

/// Limits the logs of a slice of all logs.
#[expect(clippy::cast_possible_wrap, reason = "it is small")]
const MOST_OF_ALL: i64 = LogRows::ROW_GROUP as i64;

/// Cuts a query of some logs into queries over shorter times, in its order, each for about `most` logs. `place` names the
/// column of their order in the store.
///
/// To sort all logs together would take memory for all of them. The reader would wait for the last one.
fn slices(
    connection: &Connection,
    query: &LogQuery,
    logs: &str,
    place: &str,
    most: i64,
) -> Result<Vec<LogQuery>> {
    let mut sql = Sql::new(format!("SELECT epoch_us(min(event_time)), count(*)\nFROM {logs}"));
    sql.append(predicate::where_clause(&query.within_page().times()));
    sql.push(&format!("\nGROUP BY {place} // {}", LogRows::ROW_GROUP));
    let parameters = params_from_iter(&sql.values);
    let read = statement::query_all(connection, &sql.text, parameters, |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let mut groups: Vec<(i64, i64)> = read.map_err(|error| error::engine("read logs", error))?;
    groups.sort_unstable();
    let mut slices = vec![query.clone()];
    let mut logs = 0;
    for (start, count) in groups {
        if logs >= most {
            let start = Some(statement::time(start)?);
            let slice = LogQuery {
                since: start,
                ..query.clone()
            };
            slices.last_mut().expect("there is one from the start").until = start;
            slices.push(slice);
            logs = 0;
        }
        logs += count;
    }
    if query.order != Order::OldestFirst {
        slices.reverse();
    }
    Ok(slices)
}

/// Returns the query for the number of logs with each value of some fields. `passing` names the logs after `FROM`.
pub(crate) fn count_by(fields: &[Field], passing: &Sql) -> Sql {
    let mut sql = Sql::new("SELECT count(*) AS n");
    for (index, field) in fields.iter().enumerate() {
        sql.push(", ");
        sql.append(predicate::text(field));
        sql.push(&format!(" AS value_{index}"));
    }
    sql.push("\nFROM ");
    sql.append(passing.clone());
    let ordinals: Vec<String> = (0..fields.len()).map(|index| format!("value_{index}")).collect();
    if ordinals.is_empty() {
        // Without fields there is one group, and no group if there are no logs.
        sql.push("\nHAVING count(*) > 0");
    } else {
        sql.push(&format!("\nGROUP BY {}", ordinals.join(", ")));
    }
    sql.push("\nORDER BY n DESC");
    for ordinal in ordinals {
        sql.push(&format!(", {ordinal} NULLS FIRST"));
    }
    sql
}

/// Returns the query for the number of logs in each stretch of `width` microseconds. `passing` names the logs after `FROM`.
pub(crate) fn histogram(width: i64, passing: &Sql) -> Sql {
    // Integer division truncates towards zero, but a stretch starts at or before its times.
    let mut sql = Sql::new(
        "SELECT t - ((t % w) + w) % w AS start, count(*) FROM (SELECT epoch_us(event_time) AS t, CAST(",
    );
    sql.bind(width);
    sql.push(" AS BIGINT) AS w FROM ");
    sql.append(passing.clone());
    sql.push(")\nGROUP BY start\nORDER BY start");
    sql
}
