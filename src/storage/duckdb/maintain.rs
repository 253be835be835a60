//! Maintenance: keeps a store small and fast, in steps that can run while other processes use it.
//!
//! A step is one commit or several. A process that is killed leaves the store as it was before or after a commit.
//! Files that are no longer needed are deleted in a later step, or by the next maintenance.

use ::duckdb::Connection;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::engine::mode::Mode;
use super::error;
use super::lake::commit_lock::CommitLock;
use super::lake::upkeep;
use super::sql::statement;
use super::store::DuckDbStore;
use super::tables::file_positions::DELETE_SUPERSEDED;
use crate::models::InvalidValue;
use crate::storage::{LogStore as _, Result};

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
    /// They are deleted after the same time. Killed writers leave such files. The data of another lake under the same
    /// path would be lost.
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
const GROWING: [&str; 4] = ["log_rows", "alerts", "threat_intel", "detection_rules"];

/// Names the tables of few rows that change all the time. The catalog keeps every version of a row until it is flushed.
///
/// Each comes with its key, and with SQL that deletes superseded rows.
const CHANGING: [(&str, &str, &str); 2] = [
    ("consumers", "name", ""),
    ("file_positions", "id", DELETE_SUPERSEDED),
];

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
    /// In a store in a file, maintenance only deletes old logs. In a lake, it also moves rows from the catalog to
    /// files and merges small files. It then drops old snapshots, and deletes files that are no longer needed.
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
        Ok(steps.into_iter().map(move |step| {
            // The iterator owns the lock, and releases it when it is dropped.
            let _owned = &lock;
            step.run()
        }))
    }

    fn steps(&self, plan: &MaintenanceOptions) -> Result<Vec<Step<'_>>> {
        let now = crate::models::now();
        let retention = match plan.retention {
            Some(retention) => {
                let day = start_of_day(time_before(now, retention)?);
                Some(Step::new("delete old logs", "logs", move || {
                    self.delete_days_before(day)
                }))
            }
            None => None,
        };
        if !self.is_lake() {
            return Ok(retention.into_iter().collect());
        }
        let old_snapshots = time_before(now, plan.snapshot_retention)?;
        let unused_files = time_before(now, plan.unused_file_retention)?;
        let mut steps = vec![Step::new("flush rows", "rows", || self.flush())];
        steps.extend(retention);
        steps.push(Step::new("rewrite files", "files", || self.rewrite()));
        steps.push(Step::new("merge files", "files", || self.merge()));
        steps.push(Step::new("expire snapshots", "snapshots", move || {
            self.drop_old("ducklake_expire_snapshots", old_snapshots)
        }));
        steps.push(Step::new("delete unused files", "files", move || {
            self.drop_old("ducklake_cleanup_old_files", unused_files)
        }));
        if plan.delete_orphaned_files {
            steps.push(Step::new("delete orphaned files", "files", move || {
                self.drop_old("ducklake_delete_orphaned_files", unused_files)
            }));
        }
        Ok(steps)
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
    fn delete_days_before(&self, day: DateTime<Utc>) -> Result<u64> {
        const OLDEST: &str = "SELECT epoch_us(min(event_time)) FROM log_rows";
        let mut deleted = 0;
        loop {
            let oldest: Option<i64> = self.read(|connection| {
                let read = connection.query_row(OLDEST, [], |row| row.get(0));
                read.map_err(|error| error::engine("look for old logs", error))
            })?;
            let Some(oldest) = oldest
                .map(statement::time)
                .transpose()?
                .filter(|oldest| *oldest < day)
            else {
                return Ok(deleted);
            };
            let next_day = start_of_day(oldest).checked_add_signed(TimeDelta::days(1));
            deleted += self.delete_logs_before(next_day.map_or(day, |next_day| next_day.min(day)))?;
        }
    }

    /// Writes files without the rows that were deleted from them. Files of logs are left.
    ///
    /// Rewritten logs would belong to the snapshot that writes them, and so seem to be new.
    fn rewrite(&self) -> Result<u64> {
        let tables = GROWING.into_iter().filter(|table| *table != "log_rows");
        tables
            .map(|table| self.upkeep(|connection| upkeep::rewrite(connection, table)))
            .sum()
    }

    fn merge(&self) -> Result<u64> {
        GROWING
            .into_iter()
            .map(|table| self.upkeep(|connection| upkeep::merge(connection, table)))
            .sum()
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
