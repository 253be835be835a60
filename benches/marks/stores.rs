//! Stores and files for the questions, made once.

use std::path::{Path, PathBuf};
use std::process::Command;

use duckdb::Connection;
use logstore::DuckDbStore;
use logstore::duckdb::Access;

use crate::Scale;
use crate::data::{self, Form};

/// The yardstick of a search in [`Scale::lines_alone`].
pub(crate) const LINES_ALONE: &str = "DuckDB over the lines alone";

impl Scale {
    /// A file with the logs of this many rows.
    pub(crate) fn lines(&self, rows: std::ops::Range<usize>, form: Form) -> PathBuf {
        let file = self
            .folder
            .join(format!("{form:?}-{}-{}.log", rows.start, rows.end));
        if !file.exists() {
            data::write(&file, rows, form);
        }
        file
    }

    /// A store with this many logs.
    pub(crate) fn store(&self, rows: usize) -> PathBuf {
        let store = self.folder.join(format!("store-{rows}.duckdb"));
        if !store.exists() {
            for start in (0..rows).step_by(self.rows) {
                let file = self.folder.join("part.log");
                data::write(&file, start..rows.min(start + self.rows), Form::Json);
                ingest(&store, &file);
                std::fs::remove_file(file).expect("a file is removed");
            }
        }
        store
    }

    /// A database with a table `lines` of the lines of a store alone, as they were read, in the column `raw`.
    pub(crate) fn lines_alone(&self, rows: usize) -> PathBuf {
        let store = self.store(rows);
        let database = self.folder.join(format!("lines-{rows}.duckdb"));
        if !database.exists() {
            let sql = format!(
                "ATTACH '{}' AS store (READ_ONLY);
                CREATE TABLE lines AS SELECT raw FROM store.logs ORDER BY seq;
                CHECKPOINT",
                store.display()
            );
            let engine = Connection::open(&database).expect("an engine");
            engine.execute_batch(&sql).expect("the lines are copied");
        }
        database
    }

    /// A name for a new file.
    pub(crate) fn new_file(&self, name: &str) -> PathBuf {
        let file = self.folder.join(name);
        for leftover in [file.clone(), self.folder.join(format!("{name}.wal"))] {
            if leftover.exists() {
                std::fs::remove_file(leftover).expect("a file is removed");
            }
        }
        file
    }
}

/// The program, with no settings from outside.
pub(crate) fn program(store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logstore"));
    command
        .current_dir(store.parent().expect("a folder"))
        .arg("--database")
        .arg(store);
    command
}

/// Runs `logstore ingest`, and says how many logs were stored.
pub(crate) fn ingest(store: &Path, file: &Path) -> u64 {
    let output = program(store)
        .arg("ingest")
        .arg(file)
        .output()
        .expect("the program runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a summary");
    summary["stored"].as_u64().expect("a count")
}

pub(crate) fn exclusive(store: &Path) -> DuckDbStore {
    let options = DuckDbStore::options().access(Access::Exclusive);
    options.open(store).expect("a store")
}

/// Opens a store with one thread of the engine, as `logstore detect` does.
pub(crate) fn as_detect_opens_it(file: &Path) -> DuckDbStore {
    let options = DuckDbStore::options().access(Access::Exclusive).threads(1);
    options.open(file).expect("a store")
}
