//! Reads text and gives logs. Nothing here knows of a store.
//!
//! [`find_sources`] turns the names that a user gives into [`Source`]s. A source opens as a [`LogReader`], an iterator
//! of logs. No line is lost: every line that is not empty becomes a log whose [`raw`](crate::LogEntry::raw) is that
//! line.

mod archive_files;
mod block;
mod error;
mod follow;
mod format_check;
mod format_library;
mod formats;
mod input;
mod input_format;
mod options;
mod parser;
mod reader;
mod source;
mod stored;

pub use crate::models::{
    ContinuationLines, Encoding, FilePosition, FileProgress, PARSE_ERROR, ResumePoint, TIME_SOURCE,
};
pub use archive_files::files_in_archive;
pub(crate) use block::LogBlock;
pub use error::{IngestError, IngestErrorKind};
pub(crate) use follow::{ChangedFile, Follower};
pub use format_library::{Format, FormatError, FormatLibrary};
pub(crate) use input::checkpoints::Checkpoints;
pub use input_format::InputFormat;
pub use options::IngestOptions;
pub(crate) use parser::LINE_PART;
pub use parser::{AMBIGUOUS, ENVELOPE, HEADER, SKIPPED_NULS};
pub use reader::{CutFile, LogReader};
pub use source::{Source, find_sources};
pub(crate) use stored::read_columns;
