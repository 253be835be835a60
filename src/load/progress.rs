//! How far a load has come, for the caller to show.

/// How far a load has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LoadProgress {
    /// How many bytes were read, before decompression.
    pub bytes: u64,
    /// How many bytes the sources have; `None` where one of them does not say, as a pipe does not, and for files that are
    /// followed. Of files that were read before, only the rest is read.
    pub total_bytes: Option<u64>,
}

/// A callback that the reader calls while it reads.
pub(super) type OnProgress<'a> = Box<dyn FnMut(LoadProgress) + Send + 'a>;
