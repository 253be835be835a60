//! The errors of sources that could not be read.

use std::fmt;
use std::path::PathBuf;

/// Says why a source could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[error("cannot read logs from {name:?}: {reason}")]
#[non_exhaustive]
pub struct IngestError {
    /// Names the source as it was named or found.
    pub name: PathBuf,
    /// Says why it could not be read, and names a remedy where there is one.
    pub reason: String,
    /// Says which kind of reason it is.
    pub kind: IngestErrorKind,
}

/// Tells apart the reasons of an [`IngestError`] that a caller may want to treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IngestErrorKind {
    /// Means that nothing has the name, or matches the pattern, yet.
    Missing,
    /// Means that the file holds no text.
    NotText,
    /// Means that a symbolic link leads back to a folder that it is in, which is read anyway.
    Loop,
    /// Means that no file has the name, and that it is no valid pattern.
    Pattern,
    /// Means that the system or the decompression failed.
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
