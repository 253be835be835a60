//! Lakes to test with: the engine's extensions, a PostgreSQL server and one that speaks S3, from outside.
//!
//! Where they are absent, what needs them says so and does nothing.

use std::sync::atomic::{AtomicU32, Ordering};

use duckdb::Connection;
use logstore::duckdb::S3Options;
use logstore::{DuckDbStore, OpenOptions};
use tempfile::TempDir;

/// The folder of the engine's extensions.
pub(crate) const EXTENSIONS: &str = "LOGSTORE_TEST_EXTENSIONS";

/// How libpq connects to a server on which databases can be made, such as `host=127.0.0.1 user=postgres`.
const POSTGRES: &str = "LOGSTORE_TEST_POSTGRES";

/// A server that speaks S3, with a bucket `logs`: its address, the name of a key and the key, with spaces between.
pub(crate) const S3: &str = "LOGSTORE_TEST_S3";

/// The folder that is the bucket `logs` of that server, for what cannot be done over S3.
pub(crate) const S3_FOLDER: &str = "LOGSTORE_TEST_S3_FOLDER";

/// A lake of its own for a test, gone when it is dropped.
pub(crate) struct TestLake {
    pub(crate) location: String,
    /// Kept for as long as the lake is used.
    _folder: Option<TempDir>,
    database: Option<(String, String)>,
}

/// A variable that is needed; `None`, with a line that says so, where it is not set.
pub(crate) fn given(variable: &str) -> Option<String> {
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

/// How to reach the server that speaks S3.
pub(crate) fn s3_options() -> Option<S3Options> {
    let server = given(S3)?;
    let [endpoint, name, key] = server.split(' ').collect::<Vec<_>>().try_into().unwrap();
    Some(S3Options {
        endpoint: Some(endpoint.to_owned()),
        access_key_id: Some(name.to_owned()),
        secret_access_key: Some(key.into()),
        ..S3Options::default()
    })
}

impl TestLake {
    /// A lake whose catalog is a file.
    pub(crate) fn in_file() -> Option<Self> {
        given(EXTENSIONS)?;
        let folder = tempfile::tempdir().unwrap();
        let location = format!("ducklake:{}", folder.path().join("catalog.ducklake").display());
        Some(Self {
            location,
            _folder: Some(folder),
            database: None,
        })
    }

    /// A lake whose catalog is a new database.
    pub(crate) fn in_postgres() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let data_path = folder.path().join("data");
        Self::with_data_in(Some(folder), &data_path.display().to_string())
    }

    /// The same with its data in S3, and what is needed to open it.
    pub(crate) fn in_s3() -> Option<(Self, OpenOptions)> {
        let s3 = s3_options()?;
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().file_name().unwrap().to_str().unwrap().to_owned();
        let lake = Self::with_data_in(Some(folder), &format!("s3://logs/{prefix}"))?;
        Some((lake, options().s3(s3)))
    }

    /// A lake whose catalog is a new database, and what is kept for as long as it is used.
    pub(crate) fn with_data_in(folder: Option<TempDir>, data_path: &str) -> Option<Self> {
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

    /// Copies the catalog's database. No process may be connected to it.
    pub(crate) fn back_up_catalog(&self) -> CatalogBackup {
        let (server, name) = self.database.clone().unwrap();
        let backup = format!("{name}_backup");
        on_server(&server, &format!("CREATE DATABASE {backup} TEMPLATE {name}"));
        CatalogBackup { server, name, backup }
    }

    /// Runs a statement in the database that is the catalog.
    pub(crate) fn on_database(&self, sql: &str) {
        let (server, name) = self.database.as_ref().unwrap();
        run_on(&format!("{server} dbname={name}"), sql);
    }

    pub(crate) fn open(&self) -> DuckDbStore {
        options().open(&self.location).unwrap()
    }
}

/// A copy of a catalog's database, gone when it is dropped.
pub(crate) struct CatalogBackup {
    server: String,
    name: String,
    backup: String,
}

impl CatalogBackup {
    /// Puts the copy in the place of the catalog, and ends all connections to it.
    pub(crate) fn restore(&self) {
        let (name, backup) = (&self.name, &self.backup);
        on_server(&self.server, &format!("DROP DATABASE {name} WITH (FORCE)"));
        on_server(&self.server, &format!("CREATE DATABASE {name} TEMPLATE {backup}"));
    }
}

impl Drop for CatalogBackup {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.backup);
        on_server(&self.server, &sql);
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
pub(crate) fn engine() -> Connection {
    let config = duckdb::Config::default()
        .with("extension_directory", std::env::var(EXTENSIONS).unwrap())
        .unwrap();
    let connection = Connection::open_in_memory_with_flags(config).unwrap();
    connection
        .execute_batch("LOAD ducklake; LOAD postgres_scanner")
        .unwrap();
    connection
}

/// Removes all data files of a folder in S3. To an engine with another lake, they are orphans.
pub(crate) fn remove_objects(folder: &str) {
    let server = given(S3).unwrap();
    let [endpoint, name, key] = server.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let host = endpoint.strip_prefix("http://").unwrap();
    let catalog = tempfile::tempdir().unwrap();
    let sql = format!(
        "LOAD httpfs;
        CREATE SECRET s3 (TYPE s3, ENDPOINT '{host}', USE_SSL false, URL_STYLE 'path', KEY_ID '{name}', SECRET '{key}');
        ATTACH 'ducklake:{}' AS other (DATA_PATH '{folder}');
        CALL ducklake_delete_orphaned_files('other', cleanup_all => true)",
        catalog.path().join("catalog").display()
    );
    engine().execute_batch(&sql).unwrap();
}

/// Runs a statement outside of a transaction, as one that makes a database must be.
fn on_server(server: &str, sql: &str) {
    run_on(&format!("{server} dbname=postgres"), sql);
}

fn run_on(database: &str, sql: &str) {
    let quoted = |text: &str| text.replace('\'', "''");
    let attach = format!("ATTACH '{}' AS server (TYPE postgres)", quoted(database));
    let execute = format!(
        "CALL postgres_execute('server', '{}', use_transaction = false)",
        quoted(sql)
    );
    engine().execute_batch(&format!("{attach}; {execute}")).unwrap();
}
