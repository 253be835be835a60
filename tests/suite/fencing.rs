//! A writer that loses its turn to commit without notice: its commit is refused, and nothing is there twice.

use duckdb::Connection;
use logstore::ingest::{FilePosition, FileProgress, ResumePoint};
use logstore::{
    Alert, AlertQuery, AlertStore as _, ConsumerStore as _, DuckDbStore, Error, IngestStore as _, LogEntry,
    LogQuery, LogStore as _, Severity,
};

use crate::support::{PATIENCE, at, log};
use crate::test_lake::{TestLake, options};

/// Holds a connection to the database of a lake's catalog that is not logstore's.
pub(crate) struct Catalog(Connection);

/// Selects the backends that hold the lock of a writer.
pub(crate) const LOCK_HOLDERS: &str = "SELECT pid FROM pg_locks JOIN pg_database AS d ON d.oid = database
    WHERE locktype = 'advisory' AND objid = 7108646 AND granted AND datname = current_database()";

impl Catalog {
    pub(crate) fn of(lake: &TestLake) -> Self {
        let location = lake.location.strip_prefix("ducklake:postgres:").unwrap();
        let (connection, _) = location.split_once("?data_path=").unwrap();
        let engine = crate::test_lake::engine();
        let attach = format!("ATTACH '{connection}' AS catalog (TYPE postgres)");
        engine.execute_batch(&attach).unwrap();
        Self(engine)
    }

    /// Begins a transaction, which stays open.
    pub(crate) fn begin(&self) {
        self.0.execute_batch("BEGIN").unwrap();
    }

    pub(crate) fn execute(&self, sql: &str) {
        let call = format!("CALL postgres_execute('catalog', '{}')", sql.replace('\'', "''"));
        self.0.execute_batch(&call).unwrap();
    }

    /// Returns the number that a query selects.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        let sql = format!(
            "SELECT * FROM postgres_query('catalog', '{}')",
            sql.replace('\'', "''")
        );
        self.0.query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    /// Ends the backends that a query selects, and returns how many there were.
    pub(crate) fn end_backends(&self, selected: &str) -> i64 {
        self.number(&format!(
            "SELECT count(pg_terminate_backend(pid)) FROM ({selected}) AS ended"
        ))
    }

    pub(crate) fn wait_until(&self, sql: &str, expected: i64) {
        while self.number(sql) != expected {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// Lets a first writer lose its turn in the middle of its commit, and a second one take it. Returns both outcomes.
fn race<T: Send>(
    lake: &TestLake,
    first: impl FnOnce(&DuckDbStore) -> Result<T, Error> + Send,
    second: impl FnOnce(&DuckDbStore) -> Result<T, Error> + Send,
) -> [Result<T, Error>; 2] {
    const WAITING: &str = "SELECT count(*) FROM pg_locks
        WHERE relation = 'public.ducklake_snapshot'::regclass AND NOT granted";
    let store = &options().lock_timeout(PATIENCE).open(&lake.location).unwrap();
    let (catalog, holder) = (Catalog::of(lake), Catalog::of(lake));
    holder.begin();
    holder.execute("LOCK TABLE public.ducklake_snapshot IN EXCLUSIVE MODE");
    std::thread::scope(|scope| {
        let first = scope.spawn(move || first(store));
        catalog.wait_until(WAITING, 1);
        assert_eq!(catalog.end_backends(LOCK_HOLDERS), 1);
        let second = scope.spawn(move || second(store));
        catalog.wait_until(WAITING, 2);
        holder.0.execute_batch("COMMIT").unwrap();
        [first.join().unwrap(), second.join().unwrap()]
    })
}

/// The first logs of a file, with ids of the process that reads them.
fn logs(process: &str, count: i64) -> Vec<LogEntry> {
    let line = |n| log(n, "sshd", "Failed password").with_id(format!("{process}/{n}"));
    (0..count).map(line).collect()
}

fn progress(count: i64) -> FileProgress {
    let to = FilePosition {
        id: "auth".into(),
        path: "/var/log/auth.log".into(),
        bytes: count.unsigned_abs(),
        head_fingerprint: "00".into(),
        tail_fingerprint: "00".into(),
        resume: ResumePoint::LineStart,
        last_time: None,
    };
    FileProgress { from: None, to }
}

fn one_of_two_stores_a_file(count: i64) {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    drop(lake.open());
    let append = |process: &'static str| {
        move |store: &DuckDbStore| store.append_logs_from_files(&logs(process, count), &[progress(count)])
    };
    let [first, second] = race(&lake, append("first"), append("second"));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    let refused = first.and(second).unwrap_err();
    assert!(
        matches!(refused, Error::Conflict { what: "file", .. }),
        "{refused:?}"
    );
    let stored = lake.open().count_logs(&LogQuery::new()).unwrap();
    assert_eq!(stored, count.unsigned_abs());
}

#[test]
fn one_of_two_writers_stores_a_small_file() {
    one_of_two_stores_a_file(20);
}

#[test]
fn one_of_two_writers_stores_a_large_file() {
    one_of_two_stores_a_file(2_000);
}

#[test]
fn a_writer_that_lost_its_turn_looks_for_its_logs_again() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    drop(lake.open());
    let logs = logs("same", 500);
    let append = |store: &DuckDbStore| store.append_logs(&logs);
    let outcomes = race(&lake, append, append).map(Result::unwrap);
    let stored: u64 = outcomes.iter().map(|appended| appended.stored).sum();
    let duplicates: u64 = outcomes.iter().map(|appended| appended.duplicates).sum();
    assert_eq!((stored, duplicates), (500, 500));
    assert_eq!(lake.open().count_logs(&LogQuery::new()).unwrap(), 500);
}

#[test]
fn one_of_two_processes_moves_a_consumer() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    let store = lake.open();
    store.append_logs(&logs("a", 20)).unwrap();
    let end = store.end_cursor().unwrap();
    let commit = |process: &'static str| {
        let alert = Alert::new("scan", "heuristic", Severity::Low)
            .with_id(process)
            .with_created_at(at(0));
        move |store: &DuckDbStore| store.commit("scan", None, end, &[alert])
    };
    let [first, second] = race(&lake, commit("first"), commit("second"));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert!(matches!(
        first.and(second),
        Err(Error::Conflict { what: "consumer", .. })
    ));
    assert_eq!(store.fetch_alerts(&AlertQuery::new()).unwrap().len(), 1);
    assert_eq!(store.positions().unwrap(), [("scan".to_owned(), end)]);
}

#[test]
fn a_writer_creates_a_fence_that_is_gone() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    drop(lake.open());
    let catalog = Catalog::of(&lake);
    catalog.execute("DROP FUNCTION public.logstore_fence CASCADE; DROP TABLE public.logstore_fence");
    lake.open().append_logs(&logs("a", 1)).unwrap();
    let fences = "SELECT count(*) FROM pg_trigger WHERE tgname = 'logstore_fence'";
    assert_eq!(catalog.number(fences), 1);
}
