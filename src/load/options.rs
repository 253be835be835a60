//! The options of a load.

use std::time::Duration;

use crate::ingest::IngestOptions;
use crate::storage::duckdb::LogRows;

/// Sets how many logs a batch holds unless the options say otherwise.
///
/// These are two row groups, which the engine compresses in two threads.
pub const DEFAULT_BATCH_SIZE: usize = 2 * LogRows::ROW_GROUP;

/// Says how a [`Loader`](super::Loader) reads and stores.
///
/// ```
/// use std::time::Duration;
/// use logstore::ingest::IngestOptions;
/// use logstore::load::LoadOptions;
///
/// let options = LoadOptions::new()
///     .with_ingest(IngestOptions::new().with_source_type("firewall"))
///     .with_batch_size(50_000)
///     .with_interval(Duration::from_secs(5));
/// assert_eq!(options.batch_size, 50_000);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Says how lines are read.
    pub ingest: IngestOptions,
    /// Says how many logs one transaction stores; 0 is taken as 1. The first transaction of a load stores half as many.
    pub batch_size: usize,
    /// Says how long to wait between two polls of followed files.
    pub interval: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            ingest: IngestOptions::default(),
            batch_size: DEFAULT_BATCH_SIZE,
            interval: Duration::from_secs(1),
        }
    }
}

impl LoadOptions {
    /// Detects the format of each line, stores [`DEFAULT_BATCH_SIZE`] logs at a time, and polls followed files once a
    /// second.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads lines as these options say.
    #[must_use]
    pub fn with_ingest(self, ingest: IngestOptions) -> Self {
        Self { ingest, ..self }
    }

    /// Stores this many logs in one transaction.
    #[must_use]
    pub fn with_batch_size(self, batch_size: usize) -> Self {
        Self { batch_size, ..self }
    }

    /// Waits this long between two polls of followed files.
    #[must_use]
    pub fn with_interval(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }
}
