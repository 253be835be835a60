//! Logs with long texts.
//!
//! DuckDB 1.5.5 reads, compresses and sorts 2,048 rows at a time, however long they are. So rows that follow one
//! another must not be too long together. A batch ends before they are, and becomes a row group of its own. Row groups
//! with long texts must not be merged, and a sort is cut into parts by the length of its rows.

use std::ops::RangeInclusive;

use ::duckdb::arrow::array::{Array as _, AsArray as _, StructArray};
use ::duckdb::arrow::datatypes::Int64Type;
use ::duckdb::{Connection, params_from_iter};

use crate::models::LogQuery;
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::rows::encode::LogRows;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::statement::Sql;
use crate::storage::duckdb::{error, schema};

/// Limits the length of texts whose row groups may be merged: 2,048 of them are 64 MiB.
const MERGED: usize = 32 << 10;

/// Limits the longest text of a store whose texts need not be measured before a sort.
const UNMEASURED: usize = 4 << 10;

/// Holds SQL for the stored length of a log, over `log_texts`.
const LENGTH: &str =
    "CAST(coalesce(strlen(stored_message), 0) + coalesce(strlen(layout), 0) + coalesce(strlen(stored_raw), 0)
    + coalesce(strlen(stored_normalized), 0) + coalesce(strlen(metadata), 0) + 2 * coalesce(strlen(template), 0)
    + coalesce(strlen(variables), 0) + coalesce(strlen(identifiers), 0) AS BIGINT)";

/// Keeps the engine from merging row groups if that would put long texts together.
///
/// The caller calls this before the engine writes anything.
pub(crate) fn keep_apart(connection: &Connection, longest: usize) {
    if longest <= MERGED {
        return;
    }
    // The engine refuses this if it has run a caller's own SQL, which locks the settings.
    if let Err(error) = connection.execute_batch("SET max_vacuum_tasks = 0") {
        log::debug!("row groups with long texts may be merged: {error}");
    }
}

/// Returns the length of the longest text, by the engine's statistics; 0 if there is none.
///
/// This applies to the logs of a file or in memory.
pub(crate) fn longest(connection: &Connection) -> usize {
    // The join finds no log, so that no text is read and decompressed: to read those of one log takes a millisecond.
    const SQL: &str =
        "SELECT stats(message) || stats(layout) || stats(raw) || stats(normalized) || stats(metadata)
        FROM (VALUES (CAST(-1 AS BIGINT))) AS no_log(seq)
        LEFT JOIN log_rows USING (seq)";
    let statistics = connection.query_row(SQL, [], |row| row.get::<_, String>(0));
    longest_of(&statistics.unwrap_or_default())
}

/// Returns the greatest number in `[Min: a, Max: b, Has Unicode: false, Max String Length: 31]...`.
fn longest_of(statistics: &str) -> usize {
    // The engine writes an unknown value as a question mark.
    let number = |rest: &str| {
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
        digits
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(usize::MAX)
    };
    let said = statistics.split("Max String Length: ").skip(1);
    said.map(number).max().unwrap_or_default()
}

/// Returns whether a store has texts that must be measured before they are sorted.
///
/// The tables of earlier versions do not tell where their texts are. The files of a lake have no such statistics, and
/// a query for them would open a file.
pub(crate) fn need_measuring(order: CommitOrder, connection: &Connection, log_texts: &str) -> bool {
    order == CommitOrder::Counter && schema::are_of_log_rows(log_texts) && longest(connection) > UNMEASURED
}

/// Describes logs that follow one another in the order of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Holds the least event time, with its sequence number. `last` holds the greatest one.
    first: (i64, i64),
    last: (i64, i64),
    least_seq: i64,
    greatest_seq: i64,
    length: usize,
    count: usize,
}

impl Run {
    fn new(key: (i64, i64)) -> Self {
        Self {
            first: key,
            last: key,
            least_seq: key.1,
            greatest_seq: key.1,
            length: 0,
            count: 0,
        }
    }

    fn add(&mut self, key: (i64, i64), length: usize) {
        self.first = self.first.min(key);
        self.last = self.last.max(key);
        self.least_seq = self.least_seq.min(key.1);
        self.greatest_seq = self.greatest_seq.max(key.1);
        self.length += length;
        self.count += 1;
    }

    fn is_full(&self) -> bool {
        self.length >= LogRows::ENOUGH_TEXT || self.count >= LogRows::ROW_GROUP
    }

    /// Returns ` AND ...`, which is true of these logs. The plain conditions let the engine skip row groups.
    fn condition(&self) -> Sql {
        let ((first_time, first_seq), (last_time, last_seq)) = (self.first, self.last);
        let mut sql = Sql::new("\nAND event_time BETWEEN make_timestamp(");
        sql.bind(first_time);
        sql.push(") AND make_timestamp(");
        sql.bind(last_time);
        sql.push(") AND seq BETWEEN ");
        sql.bind(self.least_seq);
        sql.push(" AND ");
        sql.bind(self.greatest_seq);
        sql.push("\nAND (event_time > make_timestamp(");
        sql.bind(first_time);
        sql.push(") OR seq >= ");
        sql.bind(first_seq);
        sql.push(") AND (event_time < make_timestamp(");
        sql.bind(last_time);
        sql.push(") OR seq <= ");
        sql.bind(last_seq);
        sql.push(")");
        sql
    }
}

/// Cuts a query for `columns` into queries for logs whose texts the engine can sort, in the query's order.
pub(crate) fn cut(
    connection: &Connection,
    query: &LogQuery,
    columns: &str,
    log_texts: &str,
) -> Result<Vec<Sql>> {
    let mut measured = Sql::new(format!(
        "SELECT epoch_us(event_time), seq, {LENGTH}\nFROM {log_texts}"
    ));
    measured.append(predicate::page_clause(query));
    measured.append(predicate::order_and_limit(query));
    let mut runs: Vec<Run> = Vec::new();
    for_each_length(connection, &measured, |time, seq, length| {
        let key = (time, seq);
        if runs.last().is_none_or(Run::is_full) {
            runs.push(Run::new(key));
        }
        if let Some(run) = runs.last_mut() {
            run.add(key, length);
        }
        true
    })?;
    let select = |run: &Run| {
        let mut sql = Sql::new(format!("SELECT {columns}\nFROM {log_texts}"));
        sql.append(predicate::where_clause(query));
        sql.append(run.condition());
        sql.append(predicate::order(query));
        sql
    };
    Ok(runs.iter().map(select).collect())
}

/// Returns how many of the first logs with these sequence numbers can be read together, up to a limit.
///
/// Also returns the sequence number of the last of them.
pub(crate) fn first_of(
    connection: &Connection,
    seqs: RangeInclusive<i64>,
    limit: usize,
    log_texts: &str,
) -> Result<(usize, i64)> {
    let mut measured = Sql::new(format!(
        "SELECT 0 :: BIGINT, seq, {LENGTH}\nFROM {log_texts}\nWHERE seq BETWEEN "
    ));
    let (first, last) = seqs.into_inner();
    measured.bind(first);
    measured.push(" AND ");
    measured.bind(last);
    measured.push("\nORDER BY seq");
    measured.limit(Some(limit as u64));
    let (mut count, mut last, mut total) = (0, first, 0);
    for_each_length(connection, &measured, |_, seq, length| {
        (count, last, total) = (count + 1, seq, total + length);
        total < LogRows::ENOUGH_TEXT
    })?;
    Ok((count, last))
}

/// Cuts a chunk into pieces of a few MiB each, or of one row. Each piece is copied several times on its way.
pub(crate) fn pieces(chunk: StructArray) -> impl Iterator<Item = StructArray> {
    const LENGTH: usize = 4 << 20;
    let rows = chunk.len();
    let count = (chunk.get_array_memory_size() / LENGTH + 1).min(rows.max(1));
    let step = rows.div_ceil(count).max(1);
    (0..rows)
        .step_by(step)
        .map(move |start| chunk.slice(start, step.min(rows - start)))
}

/// Passes the three numbers of each row to `take`, until it returns false.
fn for_each_length(
    connection: &Connection,
    sql: &Sql,
    mut take: impl FnMut(i64, i64, usize) -> bool,
) -> Result<()> {
    let failed = |error| error::engine("measure logs", error);
    let mut statement = connection.prepare(&sql.text).map_err(failed)?;
    drop(
        statement
            .stream_arrow(params_from_iter(&sql.values))
            .map_err(failed)?,
    );
    while let Some(chunk) = statement.step().map_err(failed)? {
        let (times, seqs, lengths) = (numbers(&chunk, 0)?, numbers(&chunk, 1)?, numbers(&chunk, 2)?);
        for ((time, seq), length) in times.iter().zip(seqs).zip(lengths) {
            if !take(*time, *seq, usize::try_from(*length).unwrap_or(usize::MAX)) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn numbers(chunk: &StructArray, column: usize) -> Result<&[i64]> {
    let numbers = chunk.column(column).as_primitive_opt::<Int64Type>();
    let numbers = numbers.ok_or_else(|| error::corrupt("the lengths of logs are no numbers"))?;
    Ok(numbers.values())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_statistics_of_texts() {
        let column = |length| {
            format!("[Min: a, Max: b, Has Unicode: false, Max String Length: {length}][Has Null: true]")
        };
        assert_eq!(longest_of(&[column(3), column(4_096), column(0)].concat()), 4_096);
        assert_eq!(longest_of("[Has Null: true, Has No Null: false]"), 0);
        assert_eq!(longest_of("[Max String Length: ?]"), usize::MAX);
    }
}
