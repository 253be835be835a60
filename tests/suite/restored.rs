//! A lake whose catalog is restored from a backup while its readers run: they do not skip what is stored since.

use std::time::Duration;

use logstore::{Cursor, DuckDbStore, Error, Fetcher, LogBatch, LogEntry, LogStore as _, StartPosition};

use crate::support::{log, patiently};
use crate::test_lake::{CatalogBackup, TestLake};

/// Stores logs, one commit for each.
fn append(store: &DuckDbStore, seconds: impl IntoIterator<Item = i64>) {
    for second in seconds {
        let log = log(second, "sshd", "Failed password").with_id(second.to_string());
        patiently(|| store.append_logs(std::slice::from_ref(&log)));
    }
}

/// Makes a lake whose catalog was backed up after three commits, and that has had three more since.
fn lake() -> Option<(TestLake, CatalogBackup, DuckDbStore)> {
    let lake = TestLake::in_postgres()?;
    append(&lake.open(), 0..3);
    let backup = lake.back_up_catalog();
    let store = lake.open();
    append(&store, 3..6);
    Some((lake, backup, store))
}

/// Returns the next batch or the next error, but for those of connections that the restore has ended.
fn next(fetcher: &mut Fetcher<&DuckDbStore>) -> Result<Vec<String>, Error> {
    let next = fetcher.find(|item| !matches!(item, Err(Error::Disconnected { .. })));
    let batch: LogBatch<_> = next.unwrap()?;
    batch.commit(&[])?;
    Ok(batch
        .into_logs()
        .into_iter()
        .map(|log: LogEntry| log.id)
        .collect())
}

fn ids(seconds: impl IntoIterator<Item = i64>) -> Vec<String> {
    seconds.into_iter().map(|second| second.to_string()).collect()
}

#[test]
fn a_reader_says_that_the_catalog_was_restored() {
    let Some((_lake, backup, store)) = lake() else {
        return;
    };
    let mut fetcher = Fetcher::new(&store).every(Duration::from_millis(10));
    assert_eq!(next(&mut fetcher).unwrap(), ids(0..6));
    backup.restore();
    // As many commits as were lost, and one more: the last snapshot that was seen has its number again.
    append(&store, 10..14);
    for _ in 0..2 {
        let restored = next(&mut fetcher).unwrap_err();
        assert!(matches!(restored, Error::Restored { .. }), "{restored:?}");
    }
}

fn consumer(store: &DuckDbStore) -> Fetcher<&DuckDbStore> {
    Fetcher::new(store)
        .consumer("detector")
        .every(Duration::from_millis(10))
}

#[test]
fn a_consumer_goes_on_from_its_position_in_the_restored_catalog() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    let store = lake.open();
    append(&store, 0..3);
    assert_eq!(next(&mut consumer(&store)).unwrap(), ids(0..3));
    drop(store);
    let backup = lake.back_up_catalog();
    let store = lake.open();
    append(&store, 3..6);
    let mut fetcher = consumer(&store);
    assert_eq!(next(&mut fetcher).unwrap(), ids(3..6));
    backup.restore();
    append(&store, 10..20);
    let restored = next(&mut fetcher).unwrap_err();
    assert!(matches!(restored, Error::Restored { .. }), "{restored:?}");
    assert_eq!(next(&mut fetcher).unwrap(), ids(10..20));
}

#[test]
fn a_cursor_beyond_the_restored_catalog_is_refused() {
    let Some((_lake, backup, store)) = lake() else {
        return;
    };
    // As text, it names no snapshot that its reader has seen.
    let end: Cursor = store.end_cursor().unwrap().to_string().parse().unwrap();
    assert!(store.read_after(end, 10).unwrap().logs.is_empty());
    backup.restore();
    let mut fetcher = Fetcher::new(&store).start(StartPosition::After(end));
    let restored = next(&mut fetcher).unwrap_err();
    assert!(matches!(restored, Error::Restored { .. }), "{restored:?}");
}
