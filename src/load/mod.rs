//! Loads files into a store: everything that `logstore ingest` does, for a program of one's own.
//!
//! A [`Loader`] reads sources, parses them on all processors and stores their logs in large batches. One transaction
//! stores a batch and the positions of its files. A load that was stopped, or that failed, goes on where it ended. It
//! stores nothing twice.

mod batch;
mod budget;
mod complaint;
mod options;
mod pipeline;
mod progress;
mod reader;
mod reparse;
mod report;
mod writer;

use std::path::Path;
use std::time::Instant;

use crate::ingest::{Checkpoints, Follower, IngestError, LogReader, Source, find_sources};
use crate::models::InvalidValue;
use crate::stop::StopHandle;
use crate::storage::duckdb::DuckDbStore;
use crate::storage::{IngestStore as _, Result};
use pipeline::Pipeline;
use progress::OnProgress;
use reader::{SourceReader, WriterGone};
use writer::Retries;

pub use crate::ingest::CutFile;
pub use options::{DEFAULT_BATCH_SIZE, LoadOptions};
pub use progress::LoadProgress;
pub use reparse::{Reparse, ReparseReport};
pub use report::{LoadReport, SourceReport};

/// Loads files into a store, once or as they grow.
///
/// - **Exactly once.** The position in a file is stored with its logs. A file is known again by its content, even under
///   another name.
/// - **Fair.** Processes that wait for the store get it between two batches.
/// - **Goes on.** A source that cannot be read is logged and [reported](LoadReport::failed), and the others are read.
///   An error of the store ends the load. A load that follows files or reads a stream logs and retries
///   [retryable](crate::Error::is_retryable) errors until it is [stopped](Self::stop_handle). A stream cannot be read
///   again.
///
/// The threads of a load use all processors. The load is faster if the engine leaves one of them to reading and
/// parsing: see [`OpenOptions::threads`](crate::OpenOptions::threads).
///
/// ```
/// use logstore::{DuckDbStore, Loader, LogStore};
///
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("auth.log");
/// std::fs::write(&file, "<38>Oct 11 22:14:15 web1 sshd[42]: Failed password for root from 203.0.113.9 port 4 ssh2\n")?;
/// let store = DuckDbStore::open(":memory:")?;
/// let report = Loader::new(&store).run(&[&file])?;
/// assert_eq!((report.stored, report.known_sources), (1, 0));
///
/// let report = Loader::new(&store).run(&[&file])?; // nothing new
/// assert_eq!((report.stored, report.known_sources), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Loader<'a> {
    store: &'a DuckDbStore,
    options: LoadOptions,
    stop: StopHandle,
    on_progress: Option<OnProgress<'a>>,
}

impl<'a> Loader<'a> {
    /// Loads into a store, with the default [`LoadOptions`].
    pub fn new(store: &'a DuckDbStore) -> Self {
        Self {
            store,
            options: LoadOptions::default(),
            stop: StopHandle::default(),
            on_progress: None,
        }
    }

    /// Reads and stores as these options say.
    #[must_use]
    pub fn options(self, options: LoadOptions) -> Self {
        Self { options, ..self }
    }

    /// Calls `on_progress` while sources are read: at the beginning, and after each 2,048 lines.
    ///
    /// The thread that reads makes the call, and waits for it to return.
    #[must_use]
    pub fn on_progress(self, on_progress: impl FnMut(LoadProgress) + Send + 'a) -> Self {
        Self {
            on_progress: Some(Box::new(on_progress)),
            ..self
        }
    }

    /// Lets an existing handle stop this load, such as the handle of another load.
    #[must_use]
    pub fn with_stop(self, stop: StopHandle) -> Self {
        Self { stop, ..self }
    }

    /// Returns the handle that stops this load, from any thread.
    ///
    /// The logs that were read by then are stored, and the next load goes on there.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Loads the sources that [`find_sources`] finds under these names.
    ///
    /// A name is a file, a folder, a pattern, or `-` for standard input. The files of the store itself are left out.
    ///
    /// # Errors
    ///
    /// Fails as [`append_logs_from_files`](crate::IngestStore::append_logs_from_files) does. Logs that were stored
    /// before the error stay stored.
    pub fn run<P: AsRef<Path>>(self, names: &[P]) -> Result<LoadReport> {
        self.run_sources(find_sources(names))
    }

    /// Loads sources that were found before.
    ///
    /// # Errors
    ///
    /// See [`run`](Self::run).
    pub fn run_sources(self, mut sources: Vec<Result<Source, IngestError>>) -> Result<LoadReport> {
        // The store's folder may be among the sources, but its file is no log. Closing that file would also free its
        // lock.
        let own_files = self.store.files();
        sources.retain(|source| !source.as_ref().is_ok_and(|source| source.is_one_of(&own_files)));
        let has_stream = sources.iter().flatten().any(Source::is_stream);
        let retries = match has_stream {
            true => Retries::UntilStopped,
            false => Retries::None,
        };
        self.start(retries, |reader| reader.read_all(sources))
    }

    /// Loads an input that is open already, such as a connection, to its end.
    ///
    /// A load that is stopped ends when the input gives something next. Give the input a timeout if it may be silent.
    ///
    /// ```
    /// use std::io::Cursor;
    /// use logstore::{DuckDbStore, Loader};
    /// use logstore::ingest::{IngestOptions, LogReader};
    ///
    /// let store = DuckDbStore::open(":memory:")?;
    /// let reader = LogReader::new(Cursor::new("one\ntwo\n"), &IngestOptions::new());
    /// assert_eq!(Loader::new(&store).run_reader(reader)?.stored, 2);
    /// # Ok::<(), logstore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`run`](Self::run).
    pub fn run_reader(self, reader: LogReader) -> Result<LoadReport> {
        self.start(Retries::UntilStopped, |source_reader| {
            source_reader.read_open(reader)
        })
    }

    /// Loads files as they grow, until it is [stopped](Self::stop_handle).
    ///
    /// It follows rotation by renaming, and by copying and emptying. Names are those of [`run`](Self::run). A file that
    /// does not exist yet is waited for.
    ///
    /// The files that changed last are kept open, up to a quarter of those that the process may have open. A file that
    /// is gone from its path is read on until nothing was written to it for five seconds. A line is read when it has
    /// its end, or when its file is left.
    ///
    /// Lines may be written before a file is emptied, or before it is renamed while it is not open. They are read from
    /// the file next to it that goes on from what was read, such as `app.log.1`. A warning is logged if there is no
    /// such file.
    ///
    /// ```no_run
    /// use logstore::{DuckDbStore, Loader};
    ///
    /// let store = DuckDbStore::open("soc.duckdb")?;
    /// let loader = Loader::new(&store);
    /// let stop = loader.stop_handle(); // for a signal handler, or another thread
    /// let report = loader.follow(&["/var/log/auth.log", "/var/log/nginx/*.log"])?;
    /// println!("{} logs", report.stored);
    /// # Ok::<(), logstore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`run`](Self::run). The error is [`Error::InvalidInput`](crate::Error::InvalidInput) if one of the names is
    /// `-`. Standard input comes to its end, and cannot be followed.
    pub fn follow<P: AsRef<Path>>(self, names: &[P]) -> Result<LoadReport> {
        if names.iter().any(|name| name.as_ref() == Path::new("-")) {
            let reason = "standard input cannot be followed: load it with run, which reads it as it comes";
            return Err(InvalidValue::new("source", "-", reason).into());
        }
        let mut follower = Follower::new(names).skipping(self.store.files());
        if let Some(wait) = self.options.ingest.multiline_timeout {
            follower = follower.waiting(wait);
        }
        let interval = self.options.interval;
        self.start(Retries::UntilStopped, |reader| reader.follow(follower, interval))
    }

    fn start(
        self,
        retries: Retries,
        read: impl FnOnce(&mut SourceReader<'_>) -> Result<(), WriterGone> + Send,
    ) -> Result<LoadReport> {
        let started = Instant::now();
        let Self {
            store,
            mut options,
            stop,
            on_progress,
        } = self;
        options.ingest.stop = Some(stop.clone());
        let checkpoints = Checkpoints::new(store.file_positions()?);
        let pipeline = Pipeline {
            store,
            options: &options,
            stop: &stop,
            retries,
        };
        let mut report = pipeline.run(checkpoints, on_progress, read)?;
        report.elapsed = started.elapsed();
        Ok(report)
    }
}

impl std::fmt::Debug for Loader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("store", &self.store.location())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
