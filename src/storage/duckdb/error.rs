//! The engine's errors told apart. The driver gives no codes, so this reads its messages; nothing else does.

use std::path::{Path, PathBuf};

use crate::storage::Error;

/// Why the engine did not open a file.
pub(super) enum OpenFailure {
    /// Another process has it; the text says which.
    Locked(String),
    /// It may be read, but not written.
    NotWritable(Error),
    Other(Error),
}

pub(super) fn open_failure(path: &Path, error: ::duckdb::Error) -> OpenFailure {
    let text = error.to_string();
    if text.contains("Could not set lock on file") {
        return OpenFailure::Locked(holder(&text));
    }
    let unavailable = |reason: String| Error::Unavailable {
        path: path.to_owned(),
        reason,
    };
    if text.contains("Permission denied") || text.contains("Read-only file system") {
        return OpenFailure::NotWritable(unavailable(
            "permission denied: check who may write it and its folder".into(),
        ));
    }
    let known = if text.contains("not a valid DuckDB database file") {
        "it is not a DuckDB file: name another, or move it away"
    } else if text.contains("Is a directory") {
        "it is a folder: name a file"
    } else if text.contains("No such file or directory") {
        "its folder does not exist: create it first"
    } else if text.contains("file with version number") || text.contains("newer DuckDB version") {
        "another DuckDB version wrote it: use a newer logstore"
    } else if is_damage(&text) {
        return OpenFailure::Other(Error::Corrupt {
            reason: format!("{}: {}", path.display(), first_line(&text)),
        });
    } else if is_disk_full(&text) {
        return OpenFailure::Other(engine("open the store", error));
    } else {
        return OpenFailure::Other(unavailable(first_line(&text).to_owned()));
    };
    OpenFailure::Other(unavailable(known.into()))
}

/// The program and process that hold a file, from `Conflicting lock is held in /bin/x (PID 12) by user y.`.
fn holder(text: &str) -> String {
    let said = text
        .split_once("Conflicting lock is held in ")
        .map(|(_, rest)| rest);
    let holder = said
        .and_then(|rest| rest.split_once(')'))
        .map(|(holder, _)| format!("{holder})"));
    holder.unwrap_or_else(|| "another process".to_owned())
}

/// An error of an operation on an open store.
pub(super) fn engine(action: &'static str, error: ::duckdb::Error) -> Error {
    let text = error.to_string();
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
        source: first_line(&text).into(),
    }
}

/// An error of writing a file of another format.
pub(super) fn export_failure(file: &Path, error: ::duckdb::Error) -> Error {
    let text = error.to_string();
    match text.contains("Cannot open file") {
        true => not_written(file, first_line(&text).rsplit(": ").next().unwrap_or(&text)),
        false => engine("export logs", error),
    }
}

/// Where in the file the block is whose checksum does not fit, if that is what is wrong.
pub(super) fn damaged_place(error: &::duckdb::Error) -> Option<u64> {
    let text = error.to_string();
    let (_, place) = text
        .split_once("does not match stored checksum")?
        .1
        .split_once("at location ")?;
    place.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

pub(super) fn is_missing_table(error: &::duckdb::Error) -> bool {
    let text = error.to_string();
    text.contains("Table with name") && text.contains("does not exist")
}

fn is_disk_full(text: &str) -> bool {
    const SIGNS: [&str; 4] = [
        "No space left on device",
        "Disk quota exceeded",
        "File too large",
        "Could not write all bytes to file",
    ];
    SIGNS.iter().any(|sign| text.contains(sign))
}

fn is_damage(text: &str) -> bool {
    const SIGNS: [&str; 5] = [
        "Corrupt database file",
        "Could not read enough bytes from file",
        "computed checksum",
        "Failure while replaying WAL",
        "Serialization Error",
    ];
    SIGNS.iter().any(|sign| text.contains(sign))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Something in a store that a store cannot hold.
pub(super) fn corrupt(reason: impl Into<String>) -> Error {
    Error::Corrupt {
        reason: reason.into(),
    }
}

/// The error of a file that cannot be written.
pub(super) fn not_written(path: impl Into<PathBuf>, reason: impl Into<String>) -> Error {
    Error::NotWritten {
        path: path.into(),
        reason: reason.into(),
    }
}

/// The error of a path at which there can be no store.
pub(super) fn unavailable(path: impl Into<PathBuf>, reason: impl Into<String>) -> Error {
    Error::Unavailable {
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

    #[test]
    fn names_the_holder_of_a_lock() {
        let text = "IO Error: Could not set lock on file \"/x.duckdb\": Conflicting lock is held in /usr/bin/python3.11 \
                    (PID 4242) by user root. See also https://duckdb.org/docs";
        assert_eq!(holder(text), "/usr/bin/python3.11 (PID 4242)");
        assert_eq!(holder("IO Error: Could not set lock on file"), "another process");
    }
}
