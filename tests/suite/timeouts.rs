//! Processes that stop in the middle of a transaction in a lake's catalog: others wait for them for a bounded time.

use std::time::Duration;

use logstore::duckdb::MaintenanceOptions;
use logstore::{DuckDbStore, Error, LogEntry, LogQuery, LogStore as _};

use crate::fencing::{Catalog, LOCK_HOLDERS};
use crate::support::{PATIENCE, log};
use crate::test_lake::{TestLake, options};

fn logs(process: &str, count: i64) -> Vec<LogEntry> {
    let line = |n| log(n, "sshd", "Failed password").with_id(format!("{process}/{n}"));
    (0..count).map(line).collect()
}

#[test]
fn a_process_that_stops_in_its_commit_is_passed() {
    const COMMIT: &str = "INSERT INTO public.ducklake_snapshot
            (snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id)
        SELECT max(snapshot_id) + 1, now(), max(schema_version), max(next_catalog_id), max(next_file_id)
        FROM public.ducklake_snapshot;
        INSERT INTO public.ducklake_snapshot_changes (snapshot_id, changes_made)
        SELECT max(snapshot_id), '' FROM public.ducklake_snapshot";
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    let store = options().lock_timeout(PATIENCE).open(&lake.location).unwrap();
    // The server ends its connection. To close that would end this process.
    let stopped = std::mem::ManuallyDrop::new(Catalog::of(&lake));
    stopped.begin();
    stopped.execute(COMMIT);
    for (count, name) in [(1, "a"), (500, "b")] {
        assert_eq!(
            store.append_logs(&logs(name, count)).unwrap().stored,
            count.unsigned_abs()
        );
    }
}

/// A step may take longer than PostgreSQL waits for a process that sends nothing.
#[test]
fn a_process_that_works_for_long_keeps_its_turn() {
    const WAITING: &str = "SELECT count(*) FROM pg_locks
        WHERE relation = 'public.ducklake_snapshot'::regclass AND NOT granted";
    const SPOKE_AGAIN: &str = "SELECT count(*) FROM pg_stat_activity
        WHERE pid IN ({holders}) AND state_change > xact_start + INTERVAL '5 seconds'";
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    let store = &options().lock_timeout(PATIENCE).open(&lake.location).unwrap();
    let (catalog, slow) = (Catalog::of(&lake), Catalog::of(&lake));
    slow.begin();
    slow.execute("LOCK TABLE public.ducklake_snapshot IN EXCLUSIVE MODE");
    let holders = format!("SELECT count(*) FROM ({LOCK_HOLDERS}) AS holders");
    let spoke_again = SPOKE_AGAIN.replace("{holders}", LOCK_HOLDERS);
    std::thread::scope(|scope| {
        let append = scope.spawn(|| store.append_logs(&logs("a", 1)));
        catalog.wait_until(WAITING, 1);
        while catalog.number(&spoke_again) == 0 {
            assert_eq!(catalog.number(&holders), 1, "it lost its turn");
            std::thread::sleep(Duration::from_millis(100));
        }
        drop(slow);
        assert_eq!(append.join().unwrap().unwrap().stored, 1);
    });
}

#[test]
fn every_command_keeps_its_lock_timeout() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    drop(lake.open());
    let store: DuckDbStore = options()
        .lock_timeout(Duration::from_millis(200))
        .open(&lake.location)
        .unwrap();
    store.append_logs(&logs("a", 1)).unwrap();
    let stopped = Catalog::of(&lake);
    stopped.begin();
    stopped.execute("LOCK TABLE public.ducklake_snapshot IN EXCLUSIVE MODE");
    for count in [10, 500] {
        let refused = store.append_logs(&logs("b", count)).unwrap_err();
        assert!(matches!(refused, Error::Locked { .. }), "{refused:?}");
    }
    let refused = store
        .maintain(&MaintenanceOptions::default())
        .unwrap()
        .find_map(Result::err);
    assert!(matches!(refused, Some(Error::Locked { .. })), "{refused:?}");
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 1);
}
