//! Why a source could not be read.

use std::fmt;
use std::path::PathBuf;

/// Why a source could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[error("cannot read logs from {name:?}: {reason}")]
#[non_exhaustive]
pub struct IngestError {
    /// The source, as it was named.
    pub name: PathBuf,
    /// Why it could not be read, and where it helps, the remedy.
    pub reason: String,
    /// The kind of the reason.
    pub kind: IngestErrorKind,
}

/// Tells apart the reasons of an [`IngestError`] that a caller may want to treat in a way of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IngestErrorKind {
    /// Nothing has the name, or matches the pattern, yet.
    Missing,
    /// The file holds no text.
    NotText,
    /// The symbolic link leads back to a folder that it is in, which is read anyway.
    Loop,
    /// The pattern is none.
    Pattern,
    /// The system or the decompression failed.
    Unreadable,
}

impl IngestError {
    pub(crate) fn new(name: impl Into<PathBuf>, reason: impl fmt::Display) -> Self {
        Self {
            name: name.into(),
            reason: reason.to_string(),
            kind: IngestErrorKind::Unreadable,
        }
    }

    pub(super) fn of_kind(self, kind: IngestErrorKind) -> Self {
        Self { kind, ..self }
    }
}
