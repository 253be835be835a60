//! How far a file was read.

use chrono::{DateTime, Utc};

/// How far a file was read, and how to know the file again, whatever it is called by then.
///
/// A file is known by its content: by the first and by the last bytes that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePosition {
    /// Names the file for as long as it goes on from what was read.
    pub id: String,
    /// The absolute path under which it was read last.
    pub path: String,
    /// How many bytes were read, after decompression.
    pub bytes: u64,
    /// The SHA-256 of the first 1,024 of these bytes, or of all if there are fewer, in hexadecimal. Behind it come the
    /// first 8 digits of that of the first 64 bytes, the first 128, and so on: a file that was cut is known by them.
    pub head_fingerprint: String,
    /// The SHA-256 of the last 1,024 of these bytes, or of all if there are fewer, in hexadecimal.
    pub tail_fingerprint: String,
    /// Where reading goes on: at the start of a line, or inside of something that was not read to its end.
    pub resume: ResumePoint,
    /// The time of the last line that has one, for those after it that have none.
    pub last_time: Option<DateTime<Utc>>,
}

impl FilePosition {
    /// The id of a position that is no file's: it says how far [`copy`](crate::copy) has read a store.
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

    /// Whether this is the position of a copy, and not of a file: it has no content to know a file by.
    pub(crate) fn is_of_copy(&self) -> bool {
        self.id.starts_with(COPY) && self.head_fingerprint.is_empty() && self.tail_fingerprint.is_empty()
    }
}

const COPY: &str = "copy of ";

/// Where reading goes on after a [`FilePosition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResumePoint {
    /// At the start of a line.
    #[default]
    LineStart,
    /// In a JSON array, between two elements.
    Array,
    /// In a line that is too long to be one log, of which this many parts were read.
    LongLine(u64),
}

/// A file that was read on, from one position to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProgress {
    /// How many of its bytes had been read before; `None` if it was not known.
    pub from: Option<u64>,
    /// How far it is read now.
    pub to: FilePosition,
}
