//! Lakes to test with: the engine's extensions, and a PostgreSQL server, from outside of the tests.
//!
//! Where they are absent, the tests that need them say so and do nothing.

use std::sync::atomic::{AtomicU32, Ordering};

use duckdb::Connection;
use logstore::{
    DuckDbStore, Error, LogEntry, LogQuery, LogStore as _, OpenOptions, S3Options, StoreExt as _,
};
use tempfile::TempDir;

use crate::support::{at, log, messages};

/// The folder of the engine's extensions.
const EXTENSIONS: &str = "LOGSTORE_TEST_EXTENSIONS";

/// How libpq connects to a server on which databases can be made, such as `host=127.0.0.1 user=postgres`.
const POSTGRES: &str = "LOGSTORE_TEST_POSTGRES";

/// A server that speaks S3, with a bucket `logs`: its address, the name of a key and the key, with spaces between.
const S3: &str = "LOGSTORE_TEST_S3";

/// A lake of its own for a test, gone when it is dropped.
pub(crate) struct TestLake {
    pub(crate) location: String,
    /// Kept for as long as the lake is used.
    _folder: TempDir,
    database: Option<(String, String)>,
}

/// A variable that is needed; `None`, with a line that says so, where it is not set.
fn given(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        eprintln!("skipped: {variable} is not set");
    }
    value
}

pub(crate) fn options() -> OpenOptions {
    let folder = std::env::var_os(EXTENSIONS).unwrap_or_default();
    DuckDbStore::options().extension_directory(folder)
}

impl TestLake {
    /// A lake whose catalog is a file.
    pub(crate) fn in_file() -> Option<Self> {
        given(EXTENSIONS)?;
        let folder = tempfile::tempdir().unwrap();
        let location = format!("ducklake:{}", folder.path().join("catalog.ducklake").display());
        Some(Self {
            location,
            _folder: folder,
            database: None,
        })
    }

    /// A lake whose catalog is a new database.
    pub(crate) fn in_postgres() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let data_path = folder.path().join("data").display().to_string();
        Self::with_data_in(folder, &data_path)
    }

    /// The same with its data in S3, and what is needed to open it.
    fn in_s3() -> Option<(Self, OpenOptions)> {
        let server = given(S3)?;
        let [endpoint, name, key] = server.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let s3 = S3Options {
            endpoint: Some(endpoint.to_owned()),
            access_key_id: Some(name.to_owned()),
            secret_access_key: Some(key.into()),
            ..S3Options::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().file_name().unwrap().to_str().unwrap().to_owned();
        let lake = Self::with_data_in(folder, &format!("s3://logs/{prefix}"))?;
        Some((lake, options().s3(s3)))
    }

    fn with_data_in(folder: TempDir, data_path: &str) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        given(EXTENSIONS)?;
        let server = given(POSTGRES)?;
        let name = format!(
            "logstore_{}_{}",
            std::process::id(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        on_server(&server, &format!("CREATE DATABASE {name}"));
        let location = format!("ducklake:postgres:{server} dbname={name}?data_path={data_path}");
        Some(Self {
            location,
            _folder: folder,
            database: Some((server, name)),
        })
    }

    pub(crate) fn open(&self) -> DuckDbStore {
        options().open(&self.location).unwrap()
    }
}

impl Drop for TestLake {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.database {
            on_server(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// An engine with the extensions.
fn engine() -> Connection {
    let config = duckdb::Config::default()
        .with("extension_directory", std::env::var(EXTENSIONS).unwrap())
        .unwrap();
    let connection = Connection::open_in_memory_with_flags(config).unwrap();
    connection
        .execute_batch("LOAD ducklake; LOAD postgres_scanner")
        .unwrap();
    connection
}

/// Runs a statement outside of a transaction, as one that makes a database must be.
fn on_server(server: &str, sql: &str) {
    let attach = format!(
        "ATTACH '{} dbname=postgres' AS server (TYPE postgres)",
        server.replace('\'', "''")
    );
    let execute = format!("CALL postgres_execute('server', '{sql}', use_transaction = false)");
    engine().execute_batch(&format!("{attach}; {execute}")).unwrap();
}

#[test]
fn data_can_be_in_s3() {
    let Some((lake, options)) = TestLake::in_s3() else {
        return;
    };
    let store = options.open(&lake.location).unwrap();
    // Too many to be kept in the catalog.
    let logs: Vec<LogEntry> = (0..3000)
        .map(|second| log(second, "sshd", "Failed password"))
        .collect();
    store.append_logs(&logs).unwrap();
    assert_eq!(store.append_logs(&logs[..2000]).unwrap().duplicates, 2000);
    let last = store.fetch_logs(&LogQuery::new().since(at(2998))).unwrap();
    assert_eq!(messages(&last), ["Failed password"; 2]);

    let stats = store.stats().unwrap();
    assert!(stats.data_path.unwrap().starts_with("s3://logs/"));
    assert!(stats.bytes_on_disk.unwrap() > 0);
    drop(store);
    let (location, _) = lake.location.split_once('?').unwrap();
    let store = options.open(location).unwrap();
    assert_eq!(store.delete_logs_before(at(1000)).unwrap(), 1000);
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 2000);
}

#[test]
fn a_wrong_key_is_not_shown() {
    let Some((lake, _)) = TestLake::in_s3() else {
        return;
    };
    let server = given(S3).unwrap();
    let s3 = S3Options {
        endpoint: server.split(' ').next().map(str::to_owned),
        access_key_id: Some("logstore".to_owned()),
        secret_access_key: Some("not the key".into()),
        ..S3Options::default()
    };
    let store = options().s3(s3).open(&lake.location).unwrap();
    let logs: Vec<LogEntry> = (0..3000).map(|second| log(second, "sshd", "no")).collect();
    let error = store.append_logs(&logs).unwrap_err();
    let text = format!("{error}: {:?}", std::error::Error::source(&error));
    assert!(text.contains("s3://logs/"), "{text}");
    assert!(!text.contains("not the key"), "{text}");
}

/// Upkeep is written as a table function, which a SELECT can call.
#[test]
fn queries_of_a_lake_only_read() {
    let Some(lake) = TestLake::in_file() else {
        return;
    };
    let store = lake.open();
    for sql in [
        "FROM merge_adjacent_files()",
        "SELECT * FROM lake.expire_snapshots()",
        "SELECT 1 IN (SELECT 1 FROM ducklake_flush_inlined_data('lake'))",
        "FROM query('FROM ducklake_cleanup_old_files(''lake'')')",
        "SELECT * FROM __ducklake_metadata_lake.ducklake_snapshot",
        "SELECT * FROM read_text('/etc/passwd')",
    ] {
        let refused = store.execute_query(sql, &[]);
        assert!(matches!(refused, Err(Error::InvalidInput(_))), "{sql}");
    }
    assert_eq!(
        store
            .execute_query("SELECT count(*) FROM logs, range(3)", &[])
            .unwrap()
            .rows
            .len(),
        1
    );
}

#[test]
fn a_missing_extension_says_which_and_where_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("ducklake:{}", folder.path().join("catalog.ducklake").display());
    let opened = DuckDbStore::options()
        .extension_directory(folder.path())
        .open(location);
    let text = opened.unwrap_err().to_string();
    for part in [
        folder.path().to_str().unwrap(),
        "ducklake.duckdb_extension",
        "copy it there",
        "store.install_extensions",
    ] {
        assert!(text.contains(part), "{text}");
    }
}
