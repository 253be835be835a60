//! Logs: appended in bulk, scanned as a stream.

pub(super) mod append;
pub(super) mod blocks;
pub(super) mod commits;
pub(super) mod cover;
pub(super) mod end_of_file;
mod frequent;
mod in_templates;
mod listed;
pub(super) mod long_texts;
mod narrow;
mod observables;
mod page;
mod part;
mod plain;
mod plan;
mod ranges;
mod repeated;
pub(super) mod repeated_texts;
pub(super) mod rewrite;
pub(super) mod scan;
mod slices;
mod soon;
mod spill;
mod stats;
mod trigrams;

use ::duckdb::{Connection, params_from_iter};
use chrono::{DateTime, TimeDelta, Utc};

use self::narrow::{Narrowed, Purpose};
use self::scan::{Keep, Query, Scan};
use crate::models::{Field, Filter, LogEntry, LogKey, LogQuery};
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::lake::data;
use crate::storage::duckdb::rows::decode;
use crate::storage::duckdb::rows::words::Words;
use crate::storage::duckdb::sql::predicate;
use crate::storage::duckdb::sql::sought::Sought;
use crate::storage::duckdb::sql::statement::{self, Sql, for_each_chunk};
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::duckdb::tables::consumers;
use crate::storage::duckdb::transaction::read_transaction;
use crate::storage::duckdb::{error, schema};
use crate::storage::{
    AppendResult, Cursor, GroupCount, LogPage, LogStore, LogStream, Result, SoughtObservables, Stats,
    TimeBucket, width_micros,
};

impl LogStore for DuckDbStore {
    fn append_logs(&self, logs: &[LogEntry]) -> Result<AppendResult> {
        if logs.is_empty() {
            return Ok(AppendResult::default());
        }
        let appended = self.append_rows_from_files(&append::rows_of(logs)?, &[])?;
        log::debug!(
            "appended {} logs, {} were there",
            appended.stored,
            appended.duplicates
        );
        Ok(appended)
    }

    fn scan_logs(&self, query: &LogQuery) -> Result<LogStream> {
        self.scan(query, None, None)
    }

    fn scan_logs_with_words(&self, query: &LogQuery, words: &[String]) -> Result<LogStream> {
        let words = Words::new(words)?;
        self.scan(query, Some(Box::new(move |chunk| words.keep(&chunk))), None)
    }

    fn scan_logs_with_observables(&self, query: &LogQuery, sought: &SoughtObservables) -> Result<LogStream> {
        // A store of an earlier version that is read only has other columns.
        let has_parts = self.log_texts == schema::LOG_TEXTS;
        let sought = has_parts.then(|| Sought::new(sought.clone()));
        self.scan(query, None, sought)
    }

    fn log(&self, key: &LogKey) -> Result<Option<LogEntry>> {
        let mut sql = plan::select_logs(self.log_texts);
        sql.push("\nWHERE true");
        sql.append(predicate::same_key(key));
        self.read_in_time(|connection| {
            let mut found = None;
            for_each_chunk(connection, &sql, |chunk| {
                found = decode::logs(&chunk)?.into_iter().next().map(|(_, log)| log);
                Ok(found.is_none())
            })?;
            Ok(found)
        })
    }

    fn count_logs(&self, query: &LogQuery) -> Result<u64> {
        self.read_narrowed("count logs", query, |connection, passing| {
            let mut sql = Sql::new("SELECT count(*) FROM ");
            sql.append(passing.clone());
            let counted = connection.query_row(&sql.text, params_from_iter(&sql.values), |row| row.get(0));
            counted.map_err(|error| error::engine("count logs", error))
        })
    }

    fn count_logs_by(&self, query: &LogQuery, fields: &[Field]) -> Result<Vec<GroupCount>> {
        fields.iter().try_for_each(Field::check_single)?;
        self.read_narrowed("count logs by field", query, |connection, passing| {
            let sql = plan::count_by(fields, passing);
            let read = statement::query_all(connection, &sql.text, params_from_iter(&sql.values), |row| {
                let values = (0..fields.len()).map(|index| row.get(index + 1));
                let values = values.collect::<::duckdb::Result<_>>()?;
                Ok(GroupCount {
                    count: row.get(0)?,
                    values,
                })
            });
            read.map_err(|error| error::engine("count logs by field", error))
        })
    }

    fn histogram(&self, query: &LogQuery, width: TimeDelta) -> Result<Vec<TimeBucket>> {
        let width = width_micros(width)?;
        let counts: Vec<(i64, u64)> =
            self.read_narrowed("count logs over time", query, |connection, passing| {
                let sql = plan::histogram(width, passing);
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
                Ok(TimeBucket { start, count })
            })
            .collect()
    }

    fn read_after(&self, cursor: Cursor, limit: usize) -> Result<LogPage> {
        let location = self.gate.location();
        self.read(|connection| page::after(location, connection, self.log_texts, cursor, limit))
    }

    fn end_cursor(&self) -> Result<Cursor> {
        let location = self.gate.location();
        self.read(|connection| page::end(location, connection))
    }

    fn delete_logs_before(&self, time: DateTime<Utc>) -> Result<u64> {
        self.delete_matching_logs_before(time, &Filter::default())
    }

    fn delete_matching_logs_before(&self, time: DateTime<Utc>, filter: &Filter) -> Result<u64> {
        self.delete_logs(&LogQuery::new().until(time).filter(filter.clone()))
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
            // The tables of another program have none.
            stats.schema_version = schema::version(connection)?.unwrap_or_default();
            (stats.logs_without_time, stats.files_without_time) =
                stats::without_time(connection).map_err(failed)?;
            if self.is_lake() {
                stats.data_path = Some(data::data_path(connection)?);
                stats.bytes_on_disk = Some(data::data_bytes(connection)?);
                stats.engine += match self.gate.location().has_many_writers() {
                    true => ", DuckLake with its catalog in PostgreSQL",
                    false => ", DuckLake with its catalog in a file",
                };
            }
            Ok((stats, oldest, newest))
        })?;
        stats.oldest_log = oldest.map(statement::time).transpose()?;
        stats.newest_log = newest.map(statement::time).transpose()?;
        self.location().clone_into(&mut stats.location);
        if !self.is_lake() {
            let file = self.gate.locked_file();
            stats.bytes_on_disk = file.and_then(|path| Some(path.metadata().ok()?.len()));
        }
        Ok(stats)
    }
}

impl DuckDbStore {
    /// Reads the logs of a query, in time, from the blocks that may hold them. `read` is given SQL that names these
    /// logs after `FROM`. Without such a block, the default is returned: what is read of no logs.
    fn read_narrowed<T: Default>(
        &self,
        action: &'static str,
        query: &LogQuery,
        read: impl Fn(&Connection, &Sql) -> Result<T>,
    ) -> Result<T> {
        let order = self.commit_order();
        let read = |connection: &Connection| {
            let narrowed =
                narrow::narrowed(connection, order, self.log_texts, query, &[], Purpose::Counting)?;
            if narrowed.as_ref().is_some_and(Narrowed::is_empty) {
                return Ok(T::default());
            }
            let passing = match narrowed {
                Some(narrowed) => narrowed.passing(query),
                None => narrow::passing(self.log_texts, query),
            };
            read(connection, &passing)
        };
        self.read_in_time(|connection| match order {
            // Filters and logs are those of one moment.
            CommitOrder::Counter => read_transaction(connection, action, read),
            CommitOrder::Snapshots => read(connection),
        })
    }

    /// Starts a scan of the logs of a query. `keep` may leave out some of them, and so may the engine: those without what
    /// is sought.
    fn scan(&self, query: &LogQuery, keep: Option<Keep>, sought: Option<Sought>) -> Result<LogStream> {
        let limit = query.limit;
        let (query, log_texts, order) = (query.clone(), self.log_texts, self.commit_order());
        let narrowed = move |connection: &Connection, query: &LogQuery, sought: Option<&Sought>| {
            let names = sought.map_or(&[][..], Sought::names);
            narrow::narrowed(connection, order, log_texts, query, names, Purpose::Reading)
        };
        let before = match order {
            CommitOrder::Counter => None,
            CommitOrder::Snapshots => {
                self.read(|connection| narrowed(connection, &query, sought.as_ref()))?
            }
        };
        let plan = move |connection: &Connection, sought: Option<&Sought>| {
            let narrowed = match order {
                CommitOrder::Counter => narrowed(connection, &query, sought)?,
                CommitOrder::Snapshots => before.clone(),
            };
            plan::statements(order, connection, &query, log_texts, narrowed.as_ref(), sought)
        };
        let lease = self.lease(Mode::Read)?.for_one_use();
        let wanted = Query {
            plan,
            limit,
            time: self.query_timeout,
            error: |_, error| error::engine("read logs", error),
            subject: String::new(),
            sought,
            keep,
        };
        let scan: Scan<LogEntry> = Scan::start(lease, wanted, self.patience_with_readers())?;
        Ok(LogStream::new(scan))
    }

    /// Deletes the logs of a query, and returns their number.
    pub(crate) fn delete_logs(&self, query: &LogQuery) -> Result<u64> {
        let sql = plan::delete(query);
        let deleted = self.write("delete logs", |connection| {
            consumers::count_missed(connection, query, self.commit_order())?;
            let deleted = connection.execute(&sql.text, params_from_iter(&sql.values));
            let deleted = deleted.map_err(|error| error::engine("delete logs", error))?;
            // In a lake, maintenance does so: it would be another reason for a deletion to fail.
            if deleted > 0 && self.commit_order() == CommitOrder::Counter {
                cover::forget_deleted(connection)?;
            }
            Ok(deleted)
        })?;
        Ok(deleted as u64)
    }
}
