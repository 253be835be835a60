//! Logs: appended in bulk, scanned as a stream.

pub(super) mod long_texts;
pub(super) mod scan;

use std::collections::HashSet;
use std::ops::RangeInclusive;

use ::duckdb::{Connection, params_from_iter};
use chrono::{DateTime, TimeDelta, Utc};

use self::scan::{Query, Scan};
use crate::models::{Field, Filter, InvalidValue, LogEntry, LogKey, LogQuery, Order, TIME_SOURCE};
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::lake::attach;
use crate::storage::duckdb::rows::encode::{self, LogRows};
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::statement::{self, Sql, for_each_chunk};
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::duckdb::tables::consumers;
use crate::storage::duckdb::transaction::read_transaction;
use crate::storage::duckdb::{error, schema, seq};
use crate::storage::{
    Appended, Bucket, Cursor, FileLogs, Group, LogStore, LogStream, Page, Result, Stats, width_micros,
};

impl LogStore for DuckDbStore {
    fn append_logs(&self, logs: &[LogEntry]) -> Result<Appended> {
        if logs.is_empty() {
            return Ok(Appended::default());
        }
        let appended = self.append_rows_of_files(&LogRows::new(logs)?, &[])?;
        log::debug!(
            "appended {} logs, {} were there",
            appended.stored,
            appended.duplicates
        );
        Ok(appended)
    }

    fn scan_logs(&self, query: &LogQuery) -> Result<LogStream> {
        let limit = query.limit;
        let (query, log_texts, is_lake) = (query.clone(), self.log_texts, self.is_lake());
        let plan = move |connection: &Connection| {
            if is_lake && is_for_few(&query) {
                let query = within_its_times(connection, &query)?;
                return Ok(query
                    .iter()
                    .map(|query| select_at_once(query, log_texts))
                    .collect());
            }
            // The files of a lake have no statistics of that kind, and asking opens one of them.
            if !is_lake && long_texts::need_measuring(connection, log_texts) {
                return long_texts::cut(connection, &query, encode::LOG_COLUMNS, log_texts);
            }
            let slices = slices(connection, &query, log_texts)?;
            Ok(slices.iter().map(|slice| select(slice, log_texts)).collect())
        };
        let lease = self.lease(Mode::Read)?.for_one_use();
        let wanted = Query {
            plan,
            limit,
            time: self.query_timeout,
            error: |_, error| error::engine("read logs", error),
            subject: String::new(),
        };
        let scan: Scan<LogEntry> = Scan::start(lease, wanted, self.patience_with_readers())?;
        Ok(LogStream::new(scan))
    }

    fn log(&self, key: &LogKey) -> Result<Option<LogEntry>> {
        let mut sql = select_logs(self.log_texts);
        sql.push("\nWHERE true");
        sql.append(predicate::same_key(key));
        self.read_in_time(|connection| {
            let mut found = None;
            for_each_chunk(connection, &sql, |chunk| {
                found = encode::logs(&chunk)?.into_iter().next().map(|(_, log)| log);
                Ok(found.is_none())
            })?;
            Ok(found)
        })
    }

    fn count_logs(&self, query: &LogQuery) -> Result<u64> {
        let mut sql = Sql::new(format!("SELECT count(*) FROM {}", self.log_texts));
        sql.append(predicate::where_clause(query));
        self.read_in_time(|connection| {
            let counted = connection.query_row(&sql.text, params_from_iter(sql.values), |row| row.get(0));
            counted.map_err(|error| error::engine("count logs", error))
        })
    }

    fn count_logs_by(&self, query: &LogQuery, fields: &[Field]) -> Result<Vec<Group>> {
        let sql = count_by(query, fields, self.log_texts);
        self.read_in_time(|connection| {
            let read = statement::query_all(connection, &sql.text, params_from_iter(&sql.values), |row| {
                let values = (0..fields.len()).map(|index| row.get(index + 1));
                let values = values.collect::<::duckdb::Result<_>>()?;
                Ok(Group {
                    count: row.get(0)?,
                    values,
                })
            });
            read.map_err(|error| error::engine("count logs by field", error))
        })
    }

    fn histogram(&self, query: &LogQuery, width: TimeDelta) -> Result<Vec<Bucket>> {
        let width = width_micros(width)?;
        // Division of integers truncates towards zero; a stretch starts at or before its times.
        let mut sql = Sql::new(
            "SELECT t - ((t % w) + w) % w AS start, count(*) FROM (SELECT epoch_us(event_time) AS t, CAST(",
        );
        sql.bind(width);
        sql.push(&format!(" AS BIGINT) AS w FROM {}", self.log_texts));
        sql.append(predicate::where_clause(query));
        sql.push(")\nGROUP BY start\nORDER BY start");
        let counts: Vec<(i64, u64)> = self.read_in_time(|connection| {
            let parameters = params_from_iter(&sql.values);
            let read = statement::query_all(connection, &sql.text, parameters, |row| {
                Ok((row.get(0)?, row.get(1)?))
            });
            read.map_err(|error| error::engine("count logs over time", error))
        })?;
        counts
            .into_iter()
            .map(|(start, count)| {
                let start = statement::time(start)?;
                Ok(Bucket { start, count })
            })
            .collect()
    }

    fn read_after(&self, cursor: Cursor, limit: usize) -> Result<Page> {
        self.read(|connection| match self.is_lake() {
            true => read_transaction(connection, "read logs", |connection| {
                page_of_lake(connection, cursor, limit)
            }),
            false => page_of_file(connection, self.log_texts, cursor, limit),
        })
    }

    fn end_cursor(&self) -> Result<Cursor> {
        self.read(|connection| {
            let end = match self.is_lake() {
                true => seq::end_of_snapshot(attach::snapshot(connection)?),
                false => last_seq(connection)?,
            };
            Ok(Cursor::after(end))
        })
    }

    fn delete_logs_before(&self, time: DateTime<Utc>) -> Result<u64> {
        self.delete_matching_logs_before(time, &Filter::default())
    }

    fn delete_matching_logs_before(&self, time: DateTime<Utc>, filter: &Filter) -> Result<u64> {
        let query = LogQuery::new().until(time).filter(filter.clone());
        let sql = delete(&query);
        let deleted = self.write("delete logs", |connection| {
            consumers::count_missed(connection, &query, self.is_lake())?;
            let deleted = connection.execute(&sql.text, params_from_iter(&sql.values));
            deleted.map_err(|error| error::engine("delete logs", error))
        })?;
        Ok(deleted as u64)
    }

    fn stats(&self) -> Result<Stats> {
        const SQL: &str = "SELECT
                (SELECT count(*) FROM logs),
                (SELECT epoch_us(min(event_time)) FROM logs),
                (SELECT epoch_us(max(event_time)) FROM logs),
                (SELECT count(*) FROM alerts),
                (SELECT count(*) FROM alerts WHERE NOT acknowledged),
                (SELECT count(*) FROM threat_intel),
                (SELECT count(*) FROM detection_rules),
                (SELECT count(*) FROM consumers),
                version()";
        let failed = |error| error::engine("read statistics", error);
        let (mut stats, oldest, newest) = self.read(|connection| {
            let read = connection.query_row(SQL, [], |row| {
                let stats = Stats {
                    logs: row.get(0)?,
                    alerts: row.get(3)?,
                    unacknowledged_alerts: row.get(4)?,
                    threat_intel: row.get(5)?,
                    detection_rules: row.get(6)?,
                    consumers: row.get(7)?,
                    engine: format!("DuckDB {}", row.get::<_, String>(8)?),
                    ..Stats::default()
                };
                Ok((
                    stats,
                    row.get::<_, Option<i64>>(1)?,
                    row.get::<_, Option<i64>>(2)?,
                ))
            });
            let (mut stats, oldest, newest) = read.map_err(failed)?;
            (stats.logs_without_time, stats.files_without_time) = without_time(connection).map_err(failed)?;
            if self.is_lake() {
                stats.data_path = Some(attach::data_path(connection)?);
                stats.bytes_on_disk = Some(attach::data_bytes(connection)?);
                stats.engine += match self.gate.location().has_many_writers() {
                    true => ", DuckLake with its catalog in PostgreSQL",
                    false => ", DuckLake with its catalog in a file",
                };
            }
            Ok((stats, oldest, newest))
        })?;
        stats.oldest_log = oldest.map(statement::time).transpose()?;
        stats.newest_log = newest.map(statement::time).transpose()?;
        stats.schema_version = schema::VERSION;
        self.location().clone_into(&mut stats.location);
        if !self.is_lake() {
            let file = self.gate.locked_file();
            stats.bytes_on_disk = file.and_then(|path| Some(path.metadata().ok()?.len()));
        }
        Ok(stats)
    }
}

/// `DELETE ...` of the logs that a query wants. Only their times are stored as they are asked for: a filter is answered
/// by the view, which has no numbers of rows, and a log is named by its time and id.
fn delete(query: &LogQuery) -> Sql {
    let times = LogQuery {
        filters: Vec::new(),
        ..query.clone()
    };
    let mut sql = Sql::new("DELETE FROM log_rows");
    sql.append(predicate::where_clause(&times));
    if !query.filters.is_empty() {
        sql.push("\nAND (event_time, id) IN (SELECT (event_time, id) FROM log_texts");
        sql.append(predicate::where_clause(query));
        sql.push(")");
    }
    sql
}

/// How many logs have no time of their own, and the files that most of them are from.
fn without_time(connection: &Connection) -> ::duckdb::Result<(u64, Vec<FileLogs>)> {
    // Most metadata is NULL, and of the rest the text tells most: JSON is read only where the name is in it.
    let sql = format!(
        "SELECT file, count(*) AS logs, CAST(sum(count(*)) OVER () AS BIGINT) AS all_logs
        FROM logs
        WHERE contains(CAST(metadata AS VARCHAR), '\"{TIME_SOURCE}\"')
            AND json_extract(metadata, '$.{TIME_SOURCE}') IS NOT NULL
        GROUP BY file
        ORDER BY logs DESC, file NULLS FIRST
        LIMIT {}",
        FileLogs::MOST
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let (mut all, mut files) = (0, Vec::new());
    while let Some(row) = rows.next()? {
        all = row.get(2)?;
        files.push(FileLogs {
            file: row.get(0)?,
            logs: row.get(1)?,
        });
    }
    Ok((all, files))
}

fn select_logs(log_texts: &str) -> Sql {
    Sql::new(format!("SELECT {}\nFROM {log_texts}", encode::LOG_COLUMNS))
}

/// Up to so many logs, the engine finds their sequence numbers first, without reading anything else of the others.
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

/// A query of a lake for few logs, with the times that the logs it finds turn out to have: only files of those times
/// are then read in full. `None` if it finds none.
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
    // The last microsecond that there is has none after it.
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

/// A query cut into queries over shorter times, in its order, each of which finds a few row groups' worth of logs:
/// sorting all logs at once would take memory for all of them, and the reader would wait for the last one.
fn slices(connection: &Connection, query: &LogQuery, log_texts: &str) -> Result<Vec<LogQuery>> {
    if is_for_few(query) || log_texts != schema::LOG_TEXTS {
        return Ok(vec![query.clone()]);
    }
    let mut sql = Sql::new("SELECT epoch_us(min(event_time)), count(*)\nFROM log_rows");
    sql.append(predicate::where_clause(&LogQuery {
        filters: Vec::new(),
        ..query.within_page()
    }));
    sql.push(&format!("\nGROUP BY rowid // {}", LogRows::ROW_GROUP));
    let parameters = params_from_iter(&sql.values);
    let read = statement::query_all(connection, &sql.text, parameters, |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let mut groups: Vec<(i64, usize)> = read.map_err(|error| error::engine("read logs", error))?;
    groups.sort_unstable();
    let mut slices = vec![query.clone()];
    let mut logs = 0;
    for (start, count) in groups {
        if logs >= LogRows::ROW_GROUP {
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
    if query.order == Order::NewestFirst {
        slices.reverse();
    }
    Ok(slices)
}

fn count_by(query: &LogQuery, fields: &[Field], log_texts: &str) -> Sql {
    let mut sql = Sql::new("SELECT count(*) AS n");
    for (index, field) in fields.iter().enumerate() {
        sql.push(", ");
        sql.append(predicate::text(field));
        sql.push(&format!(" AS value_{index}"));
    }
    sql.push(&format!("\nFROM {log_texts}"));
    sql.append(predicate::where_clause(query));
    let ordinals: Vec<String> = (0..fields.len()).map(|index| format!("value_{index}")).collect();
    if ordinals.is_empty() {
        // Without fields there is one group, but none of no logs.
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

pub(crate) fn last_seq(connection: &Connection) -> Result<i64> {
    let read = connection
        .prepare("SELECT last_seq FROM logstore")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)));
    read.map_err(|error| error::engine("read the last position", error))
}

impl DuckDbStore {
    /// Appends rows in the transaction that is open.
    pub(crate) fn append(&self, connection: &Connection, rows: &LogRows) -> Result<Appended> {
        if rows.is_empty() {
            return Ok(Appended::default());
        }
        if !self.is_lake() {
            let appended = append_after(connection, rows, last_seq(connection)?)?;
            connection
                .execute("UPDATE logstore SET last_seq = last_seq + ?", [appended.stored])
                .map_err(|error| error::engine("append logs", error))?;
            return Ok(appended);
        }
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if count >= seq::LOGS_OF_SNAPSHOT {
            let reason = "a lake takes 67,108,863 logs in one commit: append them in parts";
            return Err(InvalidValue::new("number of logs", &count.to_string(), reason).into());
        }
        // The snapshot of the commit, which comes first in the order, is not known yet.
        append_after(connection, rows, 0)
    }
}

fn append_after(connection: &Connection, rows: &LogRows, last_seq: i64) -> Result<Appended> {
    let keeps = without_duplicates(connection, rows)?;
    let first_seq = last_seq + 1;
    let stored = match &keeps {
        None => {
            rows.insert(connection, first_seq)?;
            rows.len() as u64
        }
        Some(keeps) => {
            rows.filtered(keeps)?.insert(connection, first_seq)?;
            keeps.iter().filter(|keeps| **keeps).count() as u64
        }
    };
    Ok(Appended {
        stored,
        duplicates: rows.len() as u64 - stored,
    })
}

/// Which rows to store so that each log is there once; `None` for all of them.
fn without_duplicates(connection: &Connection, rows: &LogRows) -> Result<Option<Vec<bool>>> {
    let known = stored_keys(connection, rows, "log_rows")?;
    // Ids that were made one after another ascend.
    let is_unique = rows.keys().map(|(_, id)| id).is_sorted_by(|a, b| a < b);
    if known.is_empty() && is_unique {
        return Ok(None);
    }
    let mut seen: HashSet<(i64, &str)> = known.iter().map(|(time, id)| (*time, id.as_str())).collect();
    let keeps: Vec<bool> = rows.keys().map(|key| seen.insert(key)).collect();
    Ok(keeps.contains(&false).then_some(keeps))
}

/// Whether any of the rows were stored in a lake after a snapshot.
pub(crate) fn are_stored_since(connection: &Connection, rows: &LogRows, snapshot: i64) -> Result<bool> {
    let newer = format!("(SELECT event_time, id FROM log_rows WHERE snapshot_id > {snapshot})");
    Ok(!stored_keys(connection, rows, &newer)?.is_empty())
}

/// Which of the rows' keys are stored already, by a table of keys. The time span prunes the search to the row groups
/// and files that overlap it.
fn stored_keys(connection: &Connection, rows: &LogRows, stored: &str) -> Result<Vec<(i64, String)>> {
    let failed = |error| error::engine("look for logs that are stored already", error);
    let Some((first, last)) = rows.span().map(RangeInclusive::into_inner) else {
        return Ok(Vec::new());
    };
    // What follows on what is stored shares a second with it at most: few ids are looked for.
    let shared = format!(
        "SELECT epoch_us(min(event_time)), epoch_us(max(event_time))
        FROM {stored}
        WHERE event_time BETWEEN make_timestamp(?) AND make_timestamp(?)"
    );
    let shared = connection.query_row(&shared, [first, last], |row| Ok((row.get(0)?, row.get(1)?)));
    let (Some(first), Some(last)) = shared.map_err(failed)? else {
        return Ok(Vec::new());
    };
    let Some(ids) = rows.ids(first..=last)? else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "SELECT epoch_us(event_time), id
        FROM {stored}
        WHERE event_time BETWEEN make_timestamp(?) AND make_timestamp(?)
        AND id IN (SELECT id FROM {})",
        ids.sql()
    );
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let keys = statement
        .query_map([first, last], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(failed)?;
    keys.collect::<::duckdb::Result<_>>().map_err(failed)
}

fn page_of_file(connection: &Connection, log_texts: &str, cursor: Cursor, limit: usize) -> Result<Page> {
    let last = last_seq(connection)?;
    if last <= cursor.seq() {
        return Ok(Page {
            logs: Vec::new(),
            next: cursor,
        });
    }
    let after = |until: i64| {
        let mut sql = select_logs(log_texts);
        sql.push("\nWHERE seq > ");
        sql.bind(cursor.seq());
        sql.push(" AND seq <= ");
        sql.bind(until);
        sql
    };
    let is_measured = long_texts::need_measuring(connection, log_texts);
    let page_until = |until: i64| {
        let limit = match is_measured {
            true => long_texts::first_of(connection, cursor.seq() + 1..=until, limit, log_texts)?.0,
            false => limit,
        };
        page(connection, after(until), cursor, limit)
    };
    // Numbers are missing only where logs were deleted: where there are none in the way, the engine need not look at
    // all logs for the first ones.
    let until = cursor
        .seq()
        .saturating_add(i64::try_from(limit).unwrap_or(i64::MAX));
    let first = page_until(until)?;
    let is_enough = first.logs.len() == limit || is_measured && !first.logs.is_empty();
    match is_enough || until >= last {
        true => Ok(first),
        false => page_until(last),
    }
}

/// The first logs after a cursor, by the snapshots that added them. Files know their snapshots, so that only those
/// that are new are read; logs keep theirs when files are merged and snapshots expire.
fn page_of_lake(connection: &Connection, cursor: Cursor, limit: usize) -> Result<Page> {
    let last = attach::snapshot(connection)?;
    let end = Cursor::after(seq::end_of_snapshot(last));
    if end <= cursor {
        return Ok(Page {
            logs: Vec::new(),
            next: cursor,
        });
    }
    let Some(until) = snapshot_with(connection, cursor, last, limit)? else {
        return Ok(Page {
            logs: Vec::new(),
            next: end,
        });
    };
    let mut sql = select_logs(schema::LOG_TEXTS);
    sql.append(after_in_lake(cursor, until));
    let page = page(connection, sql, cursor, limit)?;
    match page.logs.len() < limit {
        true => Ok(Page { next: end, ..page }),
        false => Ok(page),
    }
}

/// ` WHERE ...` of the logs after a cursor up to a snapshot, of a lake's `log_texts`.
fn after_in_lake(cursor: Cursor, until: i64) -> Sql {
    let first = seq::snapshot_of(cursor.seq());
    let mut sql = Sql::new("\nWHERE snapshot_id >= ");
    sql.bind(first);
    sql.push(" AND snapshot_id <= ");
    sql.bind(until);
    sql.push(" AND (snapshot_id > ");
    sql.bind(first);
    sql.push(" OR place > ");
    sql.bind(cursor.seq() - first * seq::LOGS_OF_SNAPSHOT);
    sql.push(")");
    sql
}

/// The first snapshot up to which there are as many logs as wanted after a cursor, else the last one; `None` if there
/// are none at all. To sort every log that is left for each page would take longer the more there are.
fn snapshot_with(connection: &Connection, cursor: Cursor, last: i64, wanted: usize) -> Result<Option<i64>> {
    const FIRST_LOOK: i64 = 64;
    let first = seq::snapshot_of(cursor.seq());
    let mut look = FIRST_LOOK;
    let mut has_any = false;
    loop {
        let until = last.min(first.saturating_add(look));
        let mut sql = Sql::new("SELECT snapshot_id, count(*)\nFROM log_texts");
        sql.append(after_in_lake(cursor, until));
        sql.push("\nGROUP BY snapshot_id\nORDER BY snapshot_id");
        let counted: Vec<(i64, usize)> =
            statement::query_all(connection, &sql.text, params_from_iter(&sql.values), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .map_err(|error| error::engine("read logs", error))?;
        has_any |= !counted.is_empty();
        let mut found = 0_usize;
        for (snapshot, count) in counted {
            found = found.saturating_add(count);
            if found >= wanted {
                return Ok(Some(snapshot));
            }
        }
        if until == last {
            return Ok(has_any.then_some(last));
        }
        look = look.saturating_mul(16);
    }
}

/// A page of logs in the order of their commits.
fn page(connection: &Connection, mut sql: Sql, cursor: Cursor, limit: usize) -> Result<Page> {
    sql.push("\nORDER BY seq");
    sql.limit(Some(limit as u64));
    let mut page = Page {
        logs: Vec::new(),
        next: cursor,
    };
    for_each_chunk(connection, &sql, |chunk| {
        for (seq, log) in encode::logs(&chunk)? {
            page.next = Cursor::after(seq);
            page.logs.push(log);
        }
        Ok(true)
    })?;
    Ok(page)
}
