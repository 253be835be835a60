//! Tells the engine's errors apart. The driver gives no codes, so this module reads its messages; no other module does.

use std::path::{Path, PathBuf};

use crate::storage::Error;

/// Says why the engine did not open a file.
pub(super) enum OpenFailure {
    /// Means that another process has the file; the text names it.
    Locked(String),
    /// Means that the database is there but has no lake in it.
    NoLake(Error),
    Other(Error),
}

impl From<Error> for OpenFailure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl OpenFailure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Locked(holder) => engine_unavailable(holder, "it is locked"),
            Self::NoLake(error) | Self::Other(error) => error,
        }
    }
}

/// Returns the failure to open `location`, which is shown as given.
pub(super) fn open_failure(location: &str, error: ::duckdb::Error) -> OpenFailure {
    let text = error.to_string();
    if text.contains("Could not set lock on file") {
        return OpenFailure::Locked(holder(&text));
    }
    OpenFailure::Other(
        if text.contains("creating a new DuckLake is explicitly disabled") {
            let reason = "there is no lake in it: name another, or make one by ingesting logs";
            return OpenFailure::NoLake(no_store(location, reason));
        } else if text.contains("Permission denied") || text.contains("Read-only file system") {
            Error::AccessDenied {
                path: location.into(),
            }
        } else if text.contains("does not match existing data path in the catalog") {
            let reason = "its data is elsewhere: leave ?data_path= out, the catalog knows it";
            not_a_store(location, reason)
        } else if text.contains("not a valid DuckDB database file") {
            not_a_store(location, "it is not a DuckDB file: name another, or move it away")
        } else if text.contains("Is a directory") {
            not_a_store(location, "it is a folder: name a file")
        } else if text.contains("No such file or directory") {
            no_store(location, "its folder does not exist: create it first")
        } else if text.contains("file with version number") || text.contains("newer DuckDB version") {
            engine_unavailable(location, "another DuckDB version wrote it: use a newer logstore")
        } else if has_wal_of_another_file(&text) {
            let reason = format!(
                "the write-ahead log {location}.wal is of another state of this store: if a backup was put in its \
             place, move that log away; else put both back together"
            );
            not_a_store(location, reason)
        } else if is_damage(&text) {
            Error::Corrupt {
                reason: format!("{location}: {}", first_line(&text)),
            }
        } else if is_disk_full(&text) {
            engine("open the store", error)
        } else if is_disconnection(&text) {
            Error::Disconnected {
                action: "open the store",
                source: format!("{location}: {}", reason_of_catalog(&text)).into(),
            }
        } else {
            engine_unavailable(location, first_line(&text))
        },
    )
}

/// Returns whether a store file was replaced while the WAL of the previous file is still there.
fn has_wal_of_another_file(text: &str) -> bool {
    text.contains("WAL does not match database file")
        || text.contains("the WAL checkpoint iteration does not match")
}

/// Returns the reason from `... Unable to connect to Postgres at "...": reason`, as the database gave it.
fn reason_of_catalog(text: &str) -> &str {
    let text = first_line(text);
    let said = text
        .split_once("Unable to connect to Postgres at ")
        .and_then(|(_, said)| said.split_once("\": "));
    said.map_or_else(|| without_statement(text), |(_, reason)| reason)
}

/// Returns the reason from `...: ERROR:  reason`, as the database of a catalog gave it. The rest holds the statement,
/// with the values of rows.
fn reason_of_server(text: &str) -> Option<&str> {
    let (_, reason) = text.rsplit_once("\": ERROR:  ")?;
    Some(first_line(reason))
}

/// Leaves out the statement, which holds the values of rows, from `Failed to execute query "...": reason`.
fn without_statement(line: &str) -> &str {
    const SIGNS: [&str; 3] = [
        "Failed to execute query \"",
        "Failed to prepare COPY \"",
        "Failed to prepare query \"",
    ];
    match (
        SIGNS.iter().find_map(|sign| line.find(sign)),
        line.rsplit_once("\": "),
    ) {
        (Some(_), Some((_, reason))) => reason,
        // The statement has several lines, and the reason is after the last one.
        (Some(start), None) => line[..start].trim_end_matches([' ', ':']),
        (None, _) => line,
    }
}

/// Returns whether a catalog that does not answer may do so soon. If not, the caller has to correct something first.
pub(super) fn may_answer_soon(error: &Error) -> bool {
    const LASTING: [&str; 12] = [
        "password authentication failed",
        "no password supplied",
        "authentication failed",
        "pg_hba.conf",
        "does not exist",
        "permission denied",
        "could not translate host name",
        "invalid connection option",
        "invalid port number",
        "missing \"=\"",
        "certificate",
        "server does not support SSL",
    ];
    matches!(error, Error::Disconnected { source, .. } if !says_any(&source.to_string(), &LASTING))
}

/// Returns whether the storage of a lake's data does not answer, or fails for a reason of its own.
fn is_unreachable(text: &str) -> bool {
    /// Follows the reason, from `Could not connect to server error for HTTP GET to 'URL'`.
    const NO_ANSWER: &str = " error for HTTP ";
    const LASTING: [&str; 3] = ["certificate", "CA cert", "bad/illegal format"];
    const BUSY: [&str; 6] = ["408", "429", "500", "502", "503", "504"];
    let has_status = |status: &&str| {
        let named = ["(HTTP ", "HTTP code ", "Request returned HTTP "];
        named
            .iter()
            .any(|before| text.contains(&format!("{before}{status}")))
    };
    match text.contains(NO_ANSWER) {
        true => !says_any(text, &LASTING),
        false => BUSY.iter().any(has_status),
    }
}

/// Returns the program and process that hold a file, from `Conflicting lock is held in /bin/x (PID 12) by user y.`.
fn holder(text: &str) -> String {
    let said = text
        .split_once("Conflicting lock is held in ")
        .map(|(_, rest)| rest);
    let holder = said
        .and_then(|rest| rest.split_once(')'))
        .map(|(holder, _)| format!("{holder})"));
    holder.unwrap_or_else(|| "another process".to_owned())
}

/// Returns the error of an operation on an open store.
pub(super) fn engine(action: &'static str, error: ::duckdb::Error) -> Error {
    let text = error.to_string();
    if is_lock_timeout(&error) {
        return Error::TransactionConflict {
            action,
            source: LOCK_TIMEOUT.into(),
        };
    }
    if is_conflict(&text) {
        return Error::TransactionConflict {
            action,
            source: reason_of_server(&text).unwrap_or_else(|| last_line(&text)).into(),
        };
    }
    if is_disconnection(&text) {
        return Error::Disconnected {
            action,
            source: reason_of_catalog(&text).into(),
        };
    }
    if is_unreachable(&text) {
        return Error::DataUnreachable {
            action,
            source: first_line(&text).into(),
        };
    }
    if is_disk_full(&text) {
        return Error::DiskFull {
            action,
            source: error.into(),
        };
    }
    if is_damage(&text) {
        return Error::Corrupt {
            reason: first_line(&text).to_owned(),
        };
    }
    Error::Backend {
        action,
        source: reason_of_server(&text)
            .unwrap_or_else(|| without_statement(first_line(&text)))
            .into(),
    }
}

/// Returns the error of an export to a file.
pub(super) fn export_failure(file: &Path, error: ::duckdb::Error) -> Error {
    let text = error.to_string();
    match text.contains("Cannot open file") {
        true => not_written(file, first_line(&text).rsplit(": ").next().unwrap_or(&text)),
        false => engine("export logs", error),
    }
}

/// Returns the place in the file of the block whose checksum does not fit, if the error is about one.
pub(super) fn damaged_place(error: &::duckdb::Error) -> Option<u64> {
    let text = error.to_string();
    let (_, place) = text
        .split_once("does not match stored checksum")?
        .1
        .split_once("at location ")?;
    place.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Returns the error of a writer that cannot create the fence of a lake.
pub(super) fn no_fence(error: ::duckdb::Error) -> Error {
    const ACTION: &str = "create the fence of the lake";
    let text = error.to_string();
    match text.contains("must be owner of") || text.contains("permission denied") {
        true => Error::Backend {
            action: ACTION,
            source: "the catalog has none, and this role may not create it: write to the lake once as the role that \
                     created it"
                .into(),
        },
        false => engine(ACTION, error),
    }
}

/// Says that a statement waited in vain for a lock of the catalog.
const LOCK_TIMEOUT: &str = "another process holds a lock in the catalog";

/// Returns whether a statement waited in vain for a lock of the catalog.
pub(super) fn is_lock_timeout(error: &::duckdb::Error) -> bool {
    error.to_string().contains("due to lock timeout")
}

/// Returns whether an operation failed because one of its statements waited in vain for a lock of the catalog.
pub(super) fn has_waited_for_lock(error: &Error) -> bool {
    matches!(error, Error::TransactionConflict { source, .. } if source.to_string() == LOCK_TIMEOUT)
}

pub(super) fn is_missing_table(error: &::duckdb::Error) -> bool {
    let text = error.to_string();
    text.contains("Table with name") && text.contains("does not exist")
}

/// Returns whether a file or an object that was to be read does not exist.
pub(super) fn is_missing_file(error: &::duckdb::Error) -> bool {
    let text = error.to_string();
    says_any(&text, &["No files found that match the pattern", "HTTP 404"])
}

/// Returns whether only the extension httpfs can reach the data of a lake.
pub(super) fn needs_httpfs(error: &::duckdb::Error) -> bool {
    error.to_string().contains("requires the extension httpfs")
}

fn says_any(text: &str, signs: &[&str]) -> bool {
    signs.iter().any(|sign| text.contains(sign))
}

pub(super) fn says_that_settings_are_locked(error: &::duckdb::Error) -> bool {
    error.to_string().contains("the configuration has been locked")
}

/// Returns whether an error is the query's, and not the store's or the machine's.
pub(super) fn is_of_the_query(error: &::duckdb::Error) -> bool {
    let text = error.to_string();
    let is_of_the_machine = says_any(&text, &["Out of Memory Error", "Interrupted!"]);
    !(is_of_the_machine
        || is_unreachable(&text)
        || is_disconnection(&text)
        || is_disk_full(&text)
        || is_damage(&text))
}

/// Returns whether an error is a conflict: other processes changed the same rows of a lake meanwhile.
fn is_conflict(text: &str) -> bool {
    says_any(
        text,
        &[
            "Transaction conflict",
            "Exceeded the maximum retry count",
            "could not serialize access",
            "deadlock detected",
            // The text of the fence of a lake.
            "another writer committed since this one looked",
        ],
    )
}

/// Holds the answer of an engine to every statement after a fatal error.
const INVALIDATED: &str = "database has been invalidated because of a previous fatal error";

pub(super) fn is_fatal(error: &::duckdb::Error) -> bool {
    error.to_string().contains(INVALIDATED)
}

/// Returns whether the database that is a lake's catalog does not answer.
fn is_disconnection(text: &str) -> bool {
    // The extensions of DuckDB 1.5.5 read the first row of an answer that broke off.
    let is_answer_missing = text.contains("Attempted to access index 0 within vector of size 0")
        && says_any(text, &["ducklake", "postgres_scanner"]);
    is_answer_missing
        || says_any(
            text,
            &[
                INVALIDATED,
                // An earlier error caused this one, but was not reported.
                "Current transaction is aborted",
                "Unable to connect to Postgres",
                "server closed the connection",
                "terminating connection",
                "no connection to the server",
                "(no result returned)",
                "lost synchronization with server",
                "could not receive data from server",
                "could not send data to server",
                "SSL connection has been closed",
                "connection has been closed",
                // The message gives no reason, but only a lost connection refuses a ROLLBACK.
                "Failed to execute query \"ROLLBACK\"",
            ],
        )
}

fn is_disk_full(text: &str) -> bool {
    says_any(
        text,
        &[
            "No space left on device",
            "Disk quota exceeded",
            "File too large",
            "Could not write all bytes to file",
        ],
    )
}

/// Returns the file that a write failed on, from `Could not write file "/x/y.parquet": No space left on device`.
pub(super) fn file_of_failed_write(text: &str) -> Option<&str> {
    let (_, rest) = text
        .split_once("Could not write file \"")
        .or_else(|| text.split_once("Could not write all bytes to file \""))?;
    rest.split_once('"').map(|(file, _)| file)
}

fn is_damage(text: &str) -> bool {
    says_any(
        text,
        &[
            "Corrupt database file",
            "Could not read enough bytes from file",
            "computed checksum",
            "Failure while replaying WAL",
            "Serialization Error",
        ],
    )
}

pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

/// Returns the error of stored data that is damaged.
pub(super) fn corrupt(reason: impl Into<String>) -> Error {
    Error::Corrupt {
        reason: reason.into(),
    }
}

/// Returns the error of a file that cannot be written.
pub(super) fn not_written(path: impl Into<PathBuf>, reason: impl Into<String>) -> Error {
    Error::WriteFailed {
        path: path.into(),
        reason: reason.into(),
    }
}

/// Returns the error of a place without a store.
pub(super) fn no_store(path: impl Into<PathBuf>, reason: impl Into<String>) -> Error {
    Error::NoStore {
        path: path.into(),
        reason: reason.into(),
    }
}

/// Returns the error of a place that no store can be at.
pub(super) fn not_a_store(path: impl Into<PathBuf>, reason: impl Into<String>) -> Error {
    Error::NotAStore {
        path: path.into(),
        reason: reason.into(),
    }
}

/// Returns the error of an engine, or of an extension, that cannot be used.
pub(super) fn engine_unavailable(path: impl Into<PathBuf>, reason: impl Into<String>) -> Error {
    Error::EngineUnavailable {
        path: path.into(),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_damaged_place() {
        let text = "IO Error: Corrupt database file: computed checksum 1 does not match stored checksum 2 in block at \
                    location 12288";
        let error = ::duckdb::Error::DuckDBFailure(::duckdb::ffi::Error::new(1), Some(text.into()));
        assert_eq!(damaged_place(&error), Some(12_288));
    }

    fn failure(text: &str) -> ::duckdb::Error {
        ::duckdb::Error::DuckDBFailure(::duckdb::ffi::Error::new(1), Some(text.into()))
    }

    #[test]
    fn tells_conflicts_and_lost_connections_of_a_lake_apart() {
        let conflict = "TransactionContext Error: Failed to commit: Failed to commit DuckLake transaction.\nTransaction \
                        conflict - attempting to insert into table with index \"4\" - but another transaction has \
                        deleted inlined data from it";
        assert!(matches!(
            engine("commit", failure(conflict)),
            Error::TransactionConflict { .. }
        ));
        let lost = "IO Error: Failed to prepare COPY \"x\": server closed the connection unexpectedly";
        assert!(matches!(
            engine("commit", failure(lost)),
            Error::Disconnected { .. }
        ));
        let broken_off = "INTERNAL Error: Attempted to access index 0 within vector of size 0\n\nStack Trace:\n\n\
                          /x/libduckdb.so(+0x1) [0x1]\n/x/ducklake.duckdb_extension(+0x1) [0x1]";
        assert!(matches!(
            engine("commit", failure(broken_off)),
            Error::Disconnected { .. }
        ));
        let of_a_file = broken_off.replace("ducklake", "parquet");
        assert!(matches!(
            engine("commit", failure(&of_a_file)),
            Error::Backend { .. }
        ));
        let timeout =
            "IO Error: Failed to fetch header for COPY: ERROR:  canceling statement due to lock timeout";
        assert!(is_lock_timeout(&failure(timeout)));
        assert!(!is_lock_timeout(&failure(lost)));
    }

    #[test]
    fn values_of_rows_are_not_shown() {
        let refused = "TransactionContext Error: Failed to commit: Failed to commit DuckLake transaction.\nFailed to \
                       flush changes into DuckLake: Failed to execute query \"INSERT INTO x VALUES ('secret\nof two \
                       lines')\": ERROR:  value too long\nDETAIL:  Failing row contains (secret).";
        assert_eq!(
            source_of(&engine("append logs", failure(refused))),
            "value too long"
        );
        let lost = "IO Error: Failed to execute query \"INSERT INTO x VALUES ('secret')\": server closed the connection";
        assert_eq!(
            source_of(&engine("append logs", failure(lost))),
            "server closed the connection"
        );
        let of_lines = "IO Error: Failed to execute query \"INSERT INTO x VALUES ('secret\nof two lines";
        assert_eq!(source_of(&engine("append logs", failure(of_lines))), "IO Error");
    }

    fn source_of(error: &Error) -> String {
        std::error::Error::source(error).unwrap().to_string()
    }

    #[test]
    fn storage_that_does_not_answer_is_told_apart() {
        for text in [
            "IO Error: Could not connect to server error for HTTP GET to 'http://s3/logs/a.parquet'",
            "IO Error: Server returned nothing (no headers, no data) error for HTTP HEAD to 'http://s3/logs/a.parquet'",
            "HTTP Error: HTTP GET error on 'http://s3/logs/a.parquet' (HTTP 503)",
            "HTTP Error: Request returned HTTP 503 for HTTP GET to 'http://s3/logs/a.parquet'",
        ] {
            let error = engine("read logs", failure(text));
            assert!(matches!(error, Error::DataUnreachable { .. }), "{error:?}");
        }
        for lasting in [
            "HTTP Error: HTTP GET error on 'http://s3/logs/a.parquet' (HTTP 403)",
            "IO Error: SSL peer certificate or SSH remote key was not OK error for HTTP GET to 'https://s3/logs/a.parquet'",
        ] {
            let error = engine("read logs", failure(lasting));
            assert!(matches!(error, Error::Backend { .. }), "{error:?}");
        }
    }

    #[test]
    fn tells_a_restart_of_the_catalog_from_a_mistake() {
        for (reason, expected) in [
            (
                "connection to server at \"db\", port 5432 failed: Connection refused",
                true,
            ),
            ("FATAL:  the database system is starting up", true),
            ("FATAL:  sorry, too many clients already", true),
            ("FATAL:  password authentication failed for user \"soc\"", false),
            ("FATAL:  database \"soc\" does not exist", false),
            (
                "could not translate host name \"db\" to address: Name or service not known",
                false,
            ),
        ] {
            let text = format!("IO Error: Unable to connect to Postgres at \"host=db\": {reason}");
            let error = engine("read logs", failure(&text));
            assert_eq!(may_answer_soon(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn says_why_there_is_no_catalog() {
        let refused = "IO Error: Failed to attach DuckLake MetaData \"__ducklake_metadata_lake\" at path + \
                       \"postgres:host=db\"Unable to connect to Postgres at \"host=db\": connection to server at \
                       \"db\", port 5432 failed: Connection refused\n\tIs the server running?";
        let Error::Disconnected { source, .. } =
            open_failure("ducklake:postgres:host=db", failure(refused)).into_error()
        else {
            panic!("it is no disconnection")
        };
        let expected =
            "ducklake:postgres:host=db: connection to server at \"db\", port 5432 failed: Connection refused";
        assert_eq!(source.to_string(), expected);
    }

    #[test]
    fn names_the_file_of_a_failed_write() {
        let text =
            "IO Error: Could not write file \"/data/a b.parquet\": No space left on device: Error code 1";
        assert_eq!(file_of_failed_write(text), Some("/data/a b.parquet"));
        assert_eq!(file_of_failed_write("IO Error: Could not read file \"/x\""), None);
    }

    #[test]
    fn tells_a_missing_object_from_an_outage() {
        let missing =
            "HTTP Error: HTTP GET error reading 's3://b/x.parquet' in region '' (HTTP 404 Not Found)";
        assert!(is_missing_file(&failure(missing)));
        let outage =
            "IO Error: Could not connect to server error for HTTP HEAD to 'http://127.0.0.1:9/b/x.parquet'";
        assert!(!is_missing_file(&failure(outage)));
    }

    #[test]
    fn names_the_holder_of_a_lock() {
        let text = "IO Error: Could not set lock on file \"/x.duckdb\": Conflicting lock is held in /usr/bin/python3.11 \
                    (PID 4242) by user root. See also https://duckdb.org/docs";
        assert_eq!(holder(text), "/usr/bin/python3.11 (PID 4242)");
        assert_eq!(holder("IO Error: Could not set lock on file"), "another process");
    }
}
