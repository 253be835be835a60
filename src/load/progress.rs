//! The progress of a load, for the caller to show.

/// Says how far a load has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LoadProgress {
    /// Counts the bytes that were read, before decompression.
    pub bytes: u64,
    /// Counts the bytes that the sources have; `None` if one of them does not say, or for followed files.
    ///
    /// A pipe does not say how many bytes it has. Of files that were read before, only the rest is read.
    pub total_bytes: Option<u64>,
}

/// Receives the progress while the reader reads.
pub(super) type OnProgress<'a> = Box<dyn FnMut(LoadProgress) + Send + 'a>;
