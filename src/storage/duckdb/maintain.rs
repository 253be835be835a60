//! Maintenance: keeps a store small and fast, in steps that can run while other processes use it.
//!
//! A step is one commit or several. A process that is killed leaves the store as it was before or after a commit.
//! Files that are no longer needed are deleted in a later step, or by the next maintenance.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use ::duckdb::Connection;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::commit_order::CommitOrder;
use super::data_files::DataFileCheck;
use super::engine::location::Location;
use super::engine::mode::Mode;
use super::error;
use super::lake::commit_lock::CommitLock;
use super::lake::{data, data_files, mark, parts, upkeep};
use super::logs::end_of_file::{self, RowGroup};
use super::logs::{blocks, commits, cover, repeated_texts};
use super::rows::encode::LogRowsBuilder;
use super::schema::compression;
use super::sql::statement;
use super::store::DuckDbStore;
use super::tables::file_positions::DELETE_SUPERSEDED;
use crate::models::{InvalidValue, LogQuery};
use crate::storage::{Error, Result};

/// Says how long [`DuckDbStore::maintain`] keeps things.
///
/// ```
/// use chrono::TimeDelta;
/// use logstore::DuckDbStore;
/// use logstore::duckdb::MaintenanceOptions;
///
/// let store = DuckDbStore::open(":memory:")?;
/// let plan = MaintenanceOptions { retention: Some(TimeDelta::days(90)), ..MaintenanceOptions::default() };
/// for step in store.maintain(&plan)? {
///     let step = step?;
///     println!("{}: {} {}", step.name, step.count, step.unit);
/// }
/// # Ok::<(), logstore::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaintenanceOptions {
    /// Limits how long logs are kept after their event time; `None`, the default, keeps them all.
    ///
    /// The time is rounded up to whole days in UTC, because a lake has separate files for each day.
    pub retention: Option<TimeDelta>,
    /// Limits how long a lake keeps its snapshots. No reading position depends on them. Default: a day.
    pub snapshot_retention: TimeDelta,
    /// Limits how long a lake keeps files that no snapshot needs any more. Default: a day.
    ///
    /// The time must be longer than any query that may be reading them.
    pub unused_file_retention: TimeDelta,
    /// Says whether files under the data path that are not the lake's are also deleted. Default: no.
    ///
    /// They are deleted after the same time. Killed writers leave such files. Nothing is deleted if another lake has
    /// marked the path, or a folder in it, as its own.
    pub delete_orphaned_files: bool,
}

impl Default for MaintenanceOptions {
    fn default() -> Self {
        Self {
            retention: None,
            snapshot_retention: TimeDelta::days(1),
            unused_file_retention: TimeDelta::days(1),
            delete_orphaned_files: false,
        }
    }
}

/// Describes the outcome of a step of [`DuckDbStore::maintain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct MaintenanceStep {
    /// Names the step, such as `flush rows`.
    pub name: &'static str,
    /// Counts the units that the step has handled.
    pub count: u64,
    /// Names the unit, such as `rows`.
    pub unit: &'static str,
}

/// Names the tables of a lake that grow, whose rows are moved from the catalog to files.
const GROWING: [&str; 9] = [
    "log_rows",
    "log_blocks",
    "block_words",
    "alerts",
    "alert_logs",
    "alert_events",
    "hits",
    "threat_intel",
    "detection_rules",
];

/// Names those of them whose rows belong to the snapshot that added them.
const OF_SNAPSHOTS: [&str; 3] = ["log_rows", "log_blocks", "block_words"];

/// Names the tables of few rows that change all the time. The catalog keeps every version of a row until it is flushed.
///
/// Each comes with its key, and with SQL that deletes superseded rows.
const CHANGING: [(&str, &str, &str); 3] = [
    ("consumers", "name", ""),
    ("lookbacks", "consumer", ""),
    ("file_positions", "id", DELETE_SUPERSEDED),
];

/// Limits how soon the position of a file is forgotten, however short the retention is.
///
/// Rotated files that are older than the logs are kept are still there, and `ingest` is told to read them.
const LEAST_IDLE_TIME: TimeDelta = TimeDelta::days(30);

/// Limits how soon the part of a file is deleted that another process may still be writing.
const LEAST_AGE_OF_PARTS: TimeDelta = TimeDelta::hours(25);

/// Holds a step that is still to be done.
struct Step<'a> {
    name: &'static str,
    unit: &'static str,
    work: Box<dyn FnOnce() -> Result<u64> + 'a>,
}

impl<'a> Step<'a> {
    fn new(name: &'static str, unit: &'static str, work: impl FnOnce() -> Result<u64> + 'a) -> Self {
        Self {
            name,
            unit,
            work: Box::new(work),
        }
    }

    fn run(self) -> Result<MaintenanceStep> {
        let count = (self.work)()?;
        log::debug!("{}: {count} {}", self.name, self.unit);
        Ok(MaintenanceStep {
            name: self.name,
            count,
            unit: self.unit,
        })
    }
}

impl DuckDbStore {
    /// Maintains the store, one step for each item of the iterator. Others may read and write meanwhile.
    ///
    /// Maintenance deletes old logs, and gives filters for searches to logs that have none: those that came few at a time,
    /// were read anew, or are of an earlier version. In a store in a file, it stores once what the texts of logs have in
    /// common. In a lake, it also drops old snapshots and deletes files that are no longer needed. Then it moves rows from
    /// the catalog to files, merges small files, and records checksums.
    ///
    /// An item that is an error is a step that failed. The steps after it may be run.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`](crate::Error::Locked) if another process maintains the lake.
    pub fn maintain(
        &self,
        plan: &MaintenanceOptions,
    ) -> Result<impl Iterator<Item = Result<MaintenanceStep>> + use<'_>> {
        self.refuse_if_read_only("maintain the store")?;
        let steps = self.steps(plan)?;
        let lock = CommitLock::take_for_maintenance(&self.gate, self.lock_timeout)?;
        self.mark_data_path();
        Ok(steps.into_iter().map(move |step| {
            // The iterator owns the lock, and releases it when it is dropped.
            let _owned = &lock;
            step.run()
        }))
    }

    /// Returns the steps in their order. Steps that free space come first, because those after them need space.
    fn steps(&self, plan: &MaintenanceOptions) -> Result<Vec<Step<'_>>> {
        let now = crate::models::now();
        let oldest_day = match plan.retention {
            Some(retention) => Some(start_of_day(time_before(now, retention)?)),
            None => None,
        };
        let mut steps = Vec::new();
        if let Some(day) = oldest_day {
            steps.push(Step::new("delete old logs", "logs", move || {
                self.delete_days_before(day)
            }));
        }
        if matches!(self.gate.location(), Location::File(_)) {
            steps.push(Step::new("store texts once", "logs", || self.store_texts_once()));
            let columns = self.read(compression::columns_of_zstd)?;
            if !columns.is_empty() {
                steps.push(Step::new("compress columns", "columns", move || {
                    self.compress_columns(&columns)
                }));
            }
        }
        let build_filters = Step::new("build filters", "logs", || self.build_filters());
        if !self.is_lake() {
            steps.push(build_filters);
            return Ok(steps);
        }
        let old_snapshots = time_before(now, plan.snapshot_retention)?;
        let unused_for = plan.unused_file_retention;
        time_before(now, unused_for)?;
        // From when the step runs: with no time to keep them, the files go that the step before has made unused.
        let unused_files = move || time_before(crate::models::now(), unused_for);
        steps.push(Step::new("expire snapshots", "snapshots", move || {
            self.drop_old("ducklake_expire_snapshots", old_snapshots)
        }));
        steps.push(Step::new("delete unused files", "files", move || {
            self.drop_old("ducklake_cleanup_old_files", unused_files()?)
        }));
        if plan.delete_orphaned_files {
            steps.push(Step::new("delete orphaned files", "files", move || {
                self.delete_orphaned_files(unused_files()?)
            }));
        }
        steps.push(Step::new("delete parts of files", "files", move || {
            self.delete_parts(unused_files()?)
        }));
        steps.push(build_filters);
        steps.push(Step::new("flush rows", "rows", || self.flush()));
        steps.push(Step::new("rewrite files", "files", || self.rewrite()));
        steps.push(Step::new("merge files", "files", || self.merge()));
        let idle = time_before(now, plan.retention.unwrap_or_default().max(LEAST_IDLE_TIME))?;
        steps.push(Step::new("forget file positions", "files", move || {
            self.forget_positions(now, idle, oldest_day)
        }));
        // This may read the whole lake once, so that it comes last.
        steps.push(Step::new("record checksums", "files", || {
            self.record_missing_checksums()
        }));
        Ok(steps)
    }

    /// Stores logs with templates that had none, a part of them in each commit. A writer waits for such a part at most.
    fn store_texts_once(&self) -> Result<u64> {
        let mut all = 0;
        for part in self.read(repeated_texts::parts)? {
            if self.read(|connection| repeated_texts::is_worthwhile(connection, &part))? {
                all += self.store_again(&part)?;
            }
        }
        if all > 0 {
            self.empty_end_of_file()?;
        }
        Ok(all)
    }

    /// Lets the engine choose how columns are compressed, each in a commit of its own. New logs take the room.
    fn compress_columns(&self, columns: &[String]) -> Result<u64> {
        for column in columns {
            self.write(compression::ACTION, |connection| {
                compression::choose(connection, column)
            })?;
        }
        Ok(columns.len() as u64)
    }

    /// Moves rows from the end of the file into free blocks, so that the file gets smaller.
    fn empty_end_of_file(&self) -> Result<()> {
        let mut end = i64::MAX;
        while let Some(group) = self.read(end_of_file::last_row_group)?
            // A file that another handle keeps open frees its blocks later.
            && group.last_block < end
        {
            end = group.last_block;
            match group.table == "log_rows" {
                true => self.move_logs(&group)?,
                false => self.write(end_of_file::ACTION, |connection| {
                    end_of_file::insert_again(connection, &group)
                })?,
            }
        }
        self.write(end_of_file::ACTION, |connection| {
            for (table, key, _) in CHANGING {
                let updated = connection.execute(&format!("UPDATE {table} SET {key} = {key}"), []);
                updated.map_err(|error| error::engine(end_of_file::ACTION, error))?;
            }
            Ok(())
        })
    }

    fn move_logs(&self, group: &RowGroup) -> Result<()> {
        let seqs = self.read(|connection| end_of_file::seqs(connection, group))?;
        for part in seqs.into_iter().flat_map(repeated_texts::parts_of) {
            self.store_again(&part)?;
        }
        Ok(())
    }

    /// Stores logs that follow one another again, in one commit, or in several if they are long.
    fn store_again(&self, part: &RangeInclusive<i64>) -> Result<u64> {
        let builder = RefCell::new(LogRowsBuilder::default());
        let (mut all, mut next) = (0, *part.start());
        while next <= *part.end() {
            let rest = next..=*part.end();
            let stored = self.write(repeated_texts::ACTION, |connection| {
                repeated_texts::store_again(connection, &rest, &mut builder.borrow_mut())
            })?;
            all += stored.logs;
            next = stored.until + 1;
        }
        Ok(all)
    }

    /// Gives filters to logs that have none, a few blocks in each commit. A writer waits for these at most.
    fn build_filters(&self) -> Result<u64> {
        let cover_first = match self.commit_order() {
            CommitOrder::Counter => cover::cover_first,
            CommitOrder::Snapshots => {
                self.write(blocks::ACTION, commits::forget_deleted)?;
                commits::cover_first
            }
        };
        let mut all = 0;
        loop {
            match self.write(blocks::ACTION, cover_first)? {
                0 => return Ok(all),
                covered => all += covered,
            }
        }
    }

    /// Moves rows from the catalog to files, table by table. A writer waits for one table at most.
    fn flush(&self) -> Result<u64> {
        const ACTION: &str = "move rows to files";
        let mut flushed = 0;
        for table in GROWING {
            flushed += self.write(ACTION, |connection| upkeep::flush(connection, table))?;
        }
        for (table, key, prune) in CHANGING {
            flushed += self.write(ACTION, |connection| upkeep::flush(connection, table))?;
            // The rows go back to the catalog without their history: they are read faster from there.
            self.write(ACTION, |connection| {
                let updated = connection.execute_batch(&format!("{prune}; UPDATE {table} SET {key} = {key}"));
                updated.map_err(|error| error::engine(ACTION, error))
            })?;
        }
        Ok(flushed)
    }

    /// Deletes logs day by day, each in a commit of its own. A writer waits for one day's logs at most.
    ///
    /// A day that cannot be deleted, because one of its files is lost, does not keep the others.
    fn delete_days_before(&self, day: DateTime<Utc>) -> Result<u64> {
        let mut deleted = 0;
        let mut failure = None;
        let mut start = DateTime::<Utc>::MIN_UTC;
        while let Some(oldest) = self.oldest_log_since(start)?.filter(|oldest| *oldest < day) {
            let next_day = start_of_day(oldest).checked_add_signed(TimeDelta::days(1));
            let end = next_day.map_or(day, |next_day| next_day.min(day));
            match self.delete_logs(&LogQuery::new().since(oldest).until(end)) {
                Ok(count) => deleted += count,
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => {
                    log::warn!("deleting the logs of {}: {error}", oldest.date_naive());
                    failure.get_or_insert(error);
                }
            }
            start = end;
        }
        match failure {
            None => Ok(deleted),
            Some(error) => {
                log::info!("deleted {deleted} old logs of other days");
                Err(error)
            }
        }
    }

    /// Returns the time of the oldest log from a time on.
    ///
    /// The engine may read a file for this that is lost. The catalog then tells the times of files.
    fn oldest_log_since(&self, start: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        const OLDEST: &str =
            "SELECT epoch_us(min(event_time)) FROM log_rows WHERE event_time >= make_timestamp(?)";
        let start = start.timestamp_micros();
        let oldest: Result<Option<i64>> = self.read(|connection| {
            let read = connection.query_row(OLDEST, [start], |row| row.get(0));
            read.map_err(|error| error::engine("look for old logs", error))
        });
        let oldest = match oldest {
            Err(error) if self.is_lake() && !error.is_retryable() => {
                log::debug!("looking for old logs in the catalog: {error}");
                let files = self.read(data_files::current)?.into_iter();
                let times = files
                    .filter(|file| file.table == "log_rows")
                    .filter_map(|file| file.times);
                times
                    .filter(|(_, last)| *last >= start)
                    .map(|(first, _)| first.max(start))
                    .min()
            }
            oldest => oldest?,
        };
        oldest.map(statement::time).transpose()
    }

    /// Writes files without the rows that were deleted from them. Files of logs and of their blocks are left.
    ///
    /// Rewritten logs would belong to the snapshot that writes them, and so seem to be new.
    fn rewrite(&self) -> Result<u64> {
        let tables = GROWING.into_iter().filter(|table| !OF_SNAPSHOTS.contains(table));
        self.for_sound_tables(tables, upkeep::rewrite)
    }

    fn merge(&self) -> Result<u64> {
        self.for_sound_tables(GROWING, upkeep::merge)
    }

    /// Writes the files of tables anew, except those of tables with a lost file, and fails at the end for these.
    ///
    /// A damaged file would go into a new one, with a checksum of the damage.
    fn for_sound_tables(
        &self,
        tables: impl IntoIterator<Item = &'static str>,
        rewrite: impl Fn(&Connection, &str) -> Result<u64>,
    ) -> Result<u64> {
        let lost = self.lost_among_rewritten()?;
        let (mut count, mut problems) = (0, Vec::new());
        for table in tables {
            let of_table = lost.iter().filter(|file| file.table == table);
            let found: Vec<String> = of_table.filter_map(DataFileCheck::problem).collect();
            match found.is_empty() {
                true => count += self.upkeep(|connection| rewrite(connection, table))?,
                false => problems.extend(found),
            }
        }
        match problems.is_empty() {
            true => Ok(count),
            false => Err(Error::Backend {
                action: "write files anew",
                source: problems.join("; ").into(),
            }),
        }
    }

    /// Deletes files that the lake does not know, if they can only be its own.
    fn delete_orphaned_files(&self, before: DateTime<Utc>) -> Result<u64> {
        let data_path = self.data_path.as_deref().unwrap_or_default();
        if let Some(mark) = self.marks_of_others(data_path)?.into_iter().next() {
            let reason =
                format!("another lake has its data there, as {mark} shows: its files would be deleted");
            return Err(InvalidValue::new("data path for orphaned files", data_path, &reason).into());
        }
        self.drop_old("ducklake_delete_orphaned_files", before)
    }

    /// Deletes the parts of files that killed writers left.
    ///
    /// A writer of another process may stop for long and then go on with its file. In a lake with many writers, a part
    /// is old when PostgreSQL has ended the connection of such a writer, so that it cannot commit any more.
    fn delete_parts(&self, before: DateTime<Utc>) -> Result<u64> {
        const ACTION: &str = "delete parts of files";
        let data_path = self.data_path.as_deref().unwrap_or_default();
        if data::is_remote(data_path) || !self.marks_of_others(data_path)?.is_empty() {
            return Ok(0);
        }
        let is_shared = self.gate.location().has_many_writers();
        let before = match is_shared {
            true => before.min(time_before(crate::models::now(), LEAST_AGE_OF_PARTS)?),
            false => before,
        };
        let remove = |connection: &Connection| parts::remove_old(connection, data_path, before.into());
        match is_shared {
            true => self.read(remove),
            // No writer of this process is at work meanwhile.
            false => self.write_statement(ACTION, remove),
        }
    }

    fn marks_of_others(&self, data_path: &str) -> Result<Vec<String>> {
        self.read(|connection| mark::of_others(connection, data_path, &mark::id_of(connection)?))
    }

    /// Marks the data path of a lake that an earlier version has made, and warns if every user may read it.
    fn mark_data_path(&self) {
        let Some(data_path) = &self.data_path else { return };
        data::warn_if_open(data_path);
        let marked = self.read(|connection| mark::set(connection, data_path, &mark::id_of(connection)?));
        // A full disk must not keep maintenance from freeing space.
        if let Err(error) = marked {
            log::warn!("the data path is not marked as this lake's: {error}");
        }
    }

    /// Forgets the positions of files whose logs are deleted. Without a retention, no logs and no positions go.
    fn forget_positions(
        &self,
        now: DateTime<Utc>,
        idle_since: DateTime<Utc>,
        deleted_before: Option<DateTime<Utc>>,
    ) -> Result<u64> {
        const ACTION: &str = "forget the positions of files";
        self.write_in_catalog(ACTION, |connection| self.note_idle_positions(connection, now))?;
        let Some(deleted_before) = deleted_before else {
            return Ok(0);
        };
        self.write(ACTION, |connection| {
            self.forget_idle_positions(connection, idle_since, deleted_before)
        })
    }

    fn drop_old(&self, function: &str, before: DateTime<Utc>) -> Result<u64> {
        self.upkeep(|connection| upkeep::drop_old(connection, function, before))
    }

    /// Runs a statement of maintenance. In a lake with many writers it takes no commit lock, as no reader sees its
    /// change.
    fn upkeep(&self, statement: impl Fn(&Connection) -> Result<u64>) -> Result<u64> {
        const ACTION: &str = "maintain the lake";
        if !self.gate.location().has_many_writers() {
            return self.write(ACTION, statement);
        }
        self.retry(|| self.transaction_on_disk(self.lease(Mode::Write)?.connection(), ACTION, &statement))
    }
}

fn start_of_day(time: DateTime<Utc>) -> DateTime<Utc> {
    time.date_naive().and_time(NaiveTime::MIN).and_utc()
}

fn time_before(now: DateTime<Utc>, span: TimeDelta) -> Result<DateTime<Utc>> {
    now.checked_sub_signed(span).ok_or_else(|| {
        let reason = "there is no time that long ago: keep less, or do not delete at all";
        InvalidValue::new("time to keep", &span.to_string(), reason).into()
    })
}
