//! The identity of a file, independent of its name.

use std::fs::Metadata;
use std::path::Path;

/// Tells a file from others while it exists, independent of its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FileId(Inner);

#[cfg(unix)]
type Inner = (u64, u64);

/// Without numbers of files in the standard library, a renamed file is another one, known by its content.
#[cfg(not(unix))]
type Inner = std::path::PathBuf;

impl FileId {
    #[cfg(unix)]
    pub(crate) fn of(metadata: &Metadata, _: &Path) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self((metadata.dev(), metadata.ino()))
    }

    #[cfg(not(unix))]
    pub(crate) fn of(_: &Metadata, path: &Path) -> Self {
        Self(path.canonicalize().unwrap_or_else(|_| path.to_owned()))
    }
}
