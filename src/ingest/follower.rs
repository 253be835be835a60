//! Files that are read as they grow.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use same_file::Handle;

use super::{IngestError, IngestOptions, KnownFiles, LogReader, Source, find_sources};

/// Watches files and folders for what is written to them, through rotation by renaming and by truncation.
///
/// Every file is kept open. One that is gone from its path is read on until nothing was written to it for
/// five seconds. A line is read when it has its end, or when its file is left.
#[derive(Debug)]
pub struct Follower {
    names: Vec<PathBuf>,
    skipped: Vec<PathBuf>,
    files: Vec<Followed>,
    has_polled: bool,
    /// What a warning was given about.
    unreadable: HashSet<PathBuf>,
}

#[derive(Debug)]
struct Followed {
    path: PathBuf,
    handle: Handle,
    /// Size and time of modification at the last poll.
    seen: Option<(u64, SystemTime)>,
    /// When to leave a file that is gone from its path.
    until: Option<Instant>,
}

const READ_ON: Duration = Duration::from_secs(5);

/// A file that has changed.
#[derive(Debug)]
pub struct ChangedFile {
    path: PathBuf,
    file: File,
    is_left: bool,
}

impl ChangedFile {
    /// Goes on reading where it was stopped: see [`Source::open_known`].
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn open(&self, options: &IngestOptions, known: &KnownFiles) -> Result<LogReader, IngestError> {
        let source = Source::file(&self.path);
        let reader = source
            .open_known_file(&self.file, &self.path, options, known)
            .map_err(|error| IngestError::new(&self.path, error))?;
        Ok(match self.is_left {
            true => reader,
            false => reader.leaving_incomplete(),
        })
    }
}

impl Follower {
    /// Follows the files that [`find_sources`] finds under these names, now and later.
    pub fn new<P: AsRef<Path>>(names: &[P]) -> Self {
        Self {
            names: names.iter().map(|name| name.as_ref().to_owned()).collect(),
            skipped: Vec::new(),
            files: Vec::new(),
            has_polled: false,
            unreadable: HashSet::new(),
        }
    }

    /// Leaves out files with these canonical paths, and never opens them.
    #[must_use]
    pub fn skipping(self, skipped: Vec<PathBuf>) -> Self {
        Self { skipped, ..self }
    }

    /// The files that have changed since the last poll; at first, all of them. Each is to be read before the
    /// next one is opened.
    ///
    /// # Errors
    ///
    /// If a name stands for nothing at first.
    pub fn poll(&mut self) -> Result<Vec<ChangedFile>, IngestError> {
        let now = Instant::now();
        let mut found = self.find()?;
        for file in &mut self.files {
            match found.remove(&file.handle) {
                Some(path) => (file.path, file.until) = (path, None),
                None => file.until = file.until.or(Some(now + READ_ON)),
            }
        }
        let mut new: Vec<_> = found
            .into_iter()
            .map(|(handle, path)| Followed::new(path, handle))
            .collect();
        new.sort_by(|a, b| a.path.cmp(&b.path));
        self.files.extend(new);
        let mut changed = Vec::new();
        for file in &mut self.files {
            let change = file.change(now);
            changed.extend(change.map_err(|error| IngestError::new(&file.path, error))?);
        }
        self.files
            .retain(|file| file.until.is_none_or(|until| now < until));
        Ok(changed)
    }

    /// The files that are there, each once, however many names it has.
    fn find(&mut self) -> Result<HashMap<Handle, PathBuf>, IngestError> {
        let mut found = HashMap::new();
        for name in &self.names {
            let sources = match find_sources(&[name]) {
                Ok(sources) => sources,
                // While it is rotated, a file may be gone for a moment.
                Err(_) if self.has_polled => continue,
                Err(error) => return Err(error),
            };
            for source in &sources {
                let path = source.name();
                if !path.is_file() || source.is_one_of(&self.skipped) {
                    continue;
                }
                match Handle::from_path(path) {
                    Ok(handle) => {
                        found.entry(handle).or_insert_with(|| path.to_owned());
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        if self.unreadable.insert(path.to_owned()) {
                            log::warn!("cannot follow {path:?}: {error}");
                        }
                    }
                }
            }
        }
        self.has_polled = true;
        Ok(found)
    }
}

impl Followed {
    fn new(path: PathBuf, handle: Handle) -> Self {
        Self {
            path,
            handle,
            seen: None,
            until: None,
        }
    }

    fn change(&mut self, now: Instant) -> io::Result<Option<ChangedFile>> {
        let metadata = self.handle.as_file().metadata()?;
        let current = Some((metadata.len(), metadata.modified()?));
        let has_changed = std::mem::replace(&mut self.seen, current) != current;
        if has_changed {
            self.until = self.until.map(|_| now + READ_ON);
        }
        let is_left = self.until.is_some_and(|until| until <= now);
        if !has_changed && !is_left {
            return Ok(None);
        }
        Ok(Some(ChangedFile {
            path: self.path.clone(),
            file: self.handle.as_file().try_clone()?,
            is_left,
        }))
    }
}
