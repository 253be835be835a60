//! What the tests share: logs in one line, stores in temporary folders, the binary.

use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use chrono::{DateTime, TimeDelta, Utc};
use logstore::{Alert, DuckDbStore, Error, LogEntry, Severity};

/// How long to wait for other processes where they let nobody wait for long, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// A time in 2024, so many seconds after noon of the first day.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    let noon: DateTime<Utc> = "2024-01-01T12:00:00Z".parse().unwrap();
    noon + TimeDelta::seconds(seconds)
}

/// A log of a program, so many seconds after noon.
pub(crate) fn log(seconds: i64, appname: &str, message: &str) -> LogEntry {
    LogEntry::new(at(seconds))
        .with_appname(appname)
        .with_message(message)
}

/// An alert, so many seconds after noon.
pub(crate) fn alert(id: &str, severity: Severity, seconds: i64) -> Alert {
    Alert::new("brute_force", "heuristic", severity)
        .with_id(id)
        .with_created_at(at(seconds))
}

pub(crate) fn messages(logs: &[LogEntry]) -> Vec<&str> {
    logs.iter()
        .map(|log| log.message.as_deref().unwrap_or_default())
        .collect()
}

/// Compares what a query of the caller's own reads as `logs` with the view of that name, which is for any program.
///
/// Both have a row for each log.
pub(crate) fn assert_views_agree(store: &DuckDbStore) {
    let sql = "SELECT * FROM logs EXCEPT ALL SELECT * FROM main.logs";
    let others = store.execute_query(sql, &[]).unwrap().rows;
    assert!(others.is_empty(), "the view does not have {others:?}");
}

/// Makes a store with so many logs, a millisecond apart, from noon of the first day on.
pub(crate) fn make_large_store(path: &Path, logs: i64) {
    drop(DuckDbStore::open(path).unwrap());
    let connection = duckdb::Connection::open(path).unwrap();
    let sql = format!(
        "INSERT INTO log_rows (seq, event_time, id, raw, appname, message, procid, ingestion_time, source_ip)
        SELECT n, TIMESTAMP '2024-01-01 12:00:00' + to_milliseconds(n), CAST(uuid() AS VARCHAR), line, 'sshd', line, n,
            TIMESTAMP '2024-01-01 12:00:00', '10.0.0.' || n % 250
        FROM (SELECT n, 'Failed password for root from 10.0.0.' || n % 250 || ' port ' || n % 60000 || ' ssh2' AS line
            FROM range(1, {logs} + 1) AS t(n));
        UPDATE logstore SET last_seq = {logs};"
    );
    connection.execute_batch(&sql).unwrap();
    connection.close().unwrap();
}

/// The binary, in a folder of its own, with no settings from outside.
pub(crate) struct Cli {
    pub(crate) folder: tempfile::TempDir,
}

impl Cli {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        Command::from_std(self.program(arguments))
    }

    /// The same to be started and left running.
    pub(crate) fn program(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.other_program(assert_cmd::cargo::cargo_bin!("logstore"));
        command.args(arguments);
        command
    }

    /// Another program in the same surroundings, such as a shell that starts the binary.
    pub(crate) fn other_program(&self, program: impl AsRef<std::ffi::OsStr>) -> std::process::Command {
        let mut command = std::process::Command::new(program);
        command.current_dir(&self.folder).env_clear();
        for name in ["PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("HOME", self.folder.path());
        command
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Standard output of a command that succeeds.
    pub(crate) fn output(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success(),
            "{arguments:?}: {:?} {errors}",
            output.status
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Exit code and standard error of a command that fails.
    pub(crate) fn failure(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command(arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let code = output
            .status
            .code()
            .unwrap_or_else(|| panic!("{arguments:?}: {:?}", output.status));
        assert_ne!(code, 0, "{arguments:?} succeeded");
        (code, errors)
    }

    /// Asserts that a command says that nothing matched, and prints nothing.
    pub(crate) fn finds_nothing(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains("matched"), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }

    /// The JSON lines that a command prints; there may be none, where nothing matched.
    pub(crate) fn rows(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let output = self.command(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let is_nothing = output.status.code() == Some(1) && errors.contains("matched");
        assert!(output.status.success() || is_nothing, "{arguments:?}: {errors}");
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// Real logs that are not part of the project; `None`, with a line that says so, where they are absent.
pub(crate) fn shared_data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared")
        .join(folder);
    if path.exists() {
        return path.canonicalize().ok();
    }
    eprintln!("skipped: there is no ../shared/{folder}");
    None
}

/// Tries again for as long as the network or others are in the way, as a collector would.
pub(crate) fn patiently<T>(mut operation: impl FnMut() -> Result<T, Error>) -> T {
    loop {
        match operation() {
            Ok(outcome) => return outcome,
            Err(
                error @ (Error::Disconnected { .. }
                | Error::Locked { .. }
                | Error::TransactionConflict { .. }),
            ) => {
                println!(
                    "\ntrying_again=1 {error}: {:?}",
                    std::error::Error::source(&error)
                );
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}
