//! Positions in files: the part of a file that was read.

use chrono::{DateTime, Utc};

/// Says how far a file was read, and identifies the file under any later name.
///
/// A file is known by its content: by the first and by the last bytes that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePosition {
    /// Names the file while its content goes on from the bytes that were read.
    pub id: String,
    /// Holds the absolute path under which the file was read last.
    pub path: String,
    /// Counts the bytes that were read, after decompression.
    pub bytes: u64,
    /// Holds the SHA-256 of the first 1,024 of these bytes, or of all if there are fewer, in hexadecimal. Short hashes
    /// of the first 64 bytes, the first 128, and so on follow it. Each is the first 8 digits of a SHA-256. They
    /// identify a file that was cut.
    pub head_fingerprint: String,
    /// Holds the SHA-256 of the last 1,024 of these bytes, or of all if there are fewer, in hexadecimal.
    pub tail_fingerprint: String,
    /// Says where reading goes on: at a line's start, or inside an item that was not read to its end.
    pub resume: ResumePoint,
    /// Holds the time of the last line that has one, for the lines after it that have none.
    pub last_time: Option<DateTime<Utc>>,
}

impl FilePosition {
    /// Returns the id of a position that is no file's: it says how far [`copy`](crate::storage::copy_store) has read a store.
    pub(crate) fn id_of_copy(source: &str) -> String {
        format!("{COPY}{source}")
    }

    /// Returns the position of a copy that has read nothing yet.
    pub(crate) fn of_copy(source: &str) -> Self {
        Self {
            id: Self::id_of_copy(source),
            path: source.to_owned(),
            bytes: 0,
            head_fingerprint: String::new(),
            tail_fingerprint: String::new(),
            resume: ResumePoint::LineStart,
            last_time: None,
        }
    }

    /// Returns whether this is the position of a copy. Such a position has no content to know a file by.
    pub(crate) fn is_of_copy(&self) -> bool {
        self.id.starts_with(COPY) && self.head_fingerprint.is_empty() && self.tail_fingerprint.is_empty()
    }
}

const COPY: &str = "copy of ";

/// Says where reading goes on after a [`FilePosition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResumePoint {
    /// Resumes at the start of a line.
    #[default]
    LineStart,
    /// Resumes in a JSON array, between two elements.
    Array,
    /// Resumes in a line that is too long to be one log, after this many parts of it.
    LongLine(u64),
}

/// Describes the reading of a file from one position to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProgress {
    /// Counts the bytes of the file that had been read before; `None` if that is not known.
    pub from: Option<u64>,
    /// Holds the position up to which the file is read now.
    pub to: FilePosition,
}
