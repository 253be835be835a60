//! A file that is read as it grows.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::ingest::input::checkpoints::Checkpoints;
use crate::ingest::input::file_id::FileId;
use crate::ingest::source::Source;

/// Says how long a file that is gone from its path is read on after it was last written to.
pub(crate) const READ_ON: Duration = Duration::from_secs(5);

/// Holds a file that is read as it grows.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) path: PathBuf,
    pub(crate) id: FileId,
    pub(crate) is_named: bool,
    /// Holds the file, if it is kept open.
    pub(crate) file: Option<File>,
    /// Holds the id of its position.
    pub(crate) position: Option<String>,
    /// Names the position before it, up to which something was read.
    previous: Option<String>,
    /// Holds the size and time of modification at the last poll.
    pub(crate) seen: Option<(u64, SystemTime)>,
    /// Holds the size that it had before it became smaller.
    pub(crate) had: u64,
    /// Says when it was last written to, if it was empty at the last poll.
    pub(crate) empty_since: Option<SystemTime>,
    /// Says when it was last seen to have changed.
    pub(crate) changed: Instant,
    /// Says when to leave a file that is gone from its path.
    pub(crate) until: Option<Instant>,
    pub(crate) is_left: bool,
    /// Says whether its last event waits for more lines.
    pub(crate) holds: Arc<AtomicBool>,
    /// Says whether the file is left out because it holds no text.
    pub(crate) is_left_out: bool,
    pub(crate) emptied: Emptied,
}

/// Says whether a file was emptied since it was read.
///
/// Its content is then new, even if it begins like the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emptied {
    No,
    Seen,
    /// Means that its old content is searched for.
    Noted,
}

/// Describes a file that has changed.
#[derive(Debug)]
pub struct ChangedFile {
    source: Source,
    pub(crate) id: FileId,
    pub(crate) is_left: bool,
    /// Says whether its last event has waited for more lines long enough.
    pub(crate) is_settled: bool,
}

impl ChangedFile {
    /// Returns the file as a source.
    pub fn source(&self) -> &Source {
        &self.source
    }
}

impl Followed {
    pub(crate) fn new(path: PathBuf, id: FileId, is_named: bool, now: Instant) -> Self {
        Self {
            path,
            id,
            is_named,
            file: None,
            position: None,
            previous: None,
            seen: None,
            had: 0,
            empty_since: None,
            changed: now,
            until: None,
            is_left: false,
            holds: Arc::default(),
            is_left_out: false,
            emptied: Emptied::No,
        }
    }

    /// Sets the id of the position at which the file is read.
    pub(crate) fn set_position(&mut self, position: Option<String>, checkpoints: &Checkpoints) {
        if position == self.position {
            return;
        }
        let before = std::mem::replace(&mut self.position, position);
        // New content may be written over before it is read. Its copy is then found next to that of the content before.
        if before
            .as_deref()
            .is_some_and(|id| checkpoints.bytes_of(id).is_some())
        {
            self.previous = before;
        }
    }

    /// Returns the id of the position up to which something was read, and how many bytes; `None` if nothing was.
    pub(crate) fn last_read(&self, checkpoints: &Checkpoints) -> Option<(String, u64)> {
        let ids = [&self.position, &self.previous];
        let mut read = ids.into_iter().flatten();
        read.find_map(|id| Some((id.clone(), checkpoints.bytes_of(id)?)))
    }

    /// Returns whether it is still under its path.
    pub(crate) fn is_there(&self) -> bool {
        self.until.is_none()
    }

    /// Returns the file if it has changed since the last poll, if its last event has waited for more lines for this
    /// long, or if the file is left now.
    pub(crate) fn change(&mut self, now: Instant, wait: Duration) -> Option<ChangedFile> {
        if self.file.is_none() && !self.is_there() {
            self.is_left = true;
            return None;
        }
        let metadata = self.metadata()?;
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let before = self.seen.replace((metadata.len(), modified));
        let has_changed = self.seen != before;
        if has_changed {
            self.changed = now;
            self.until = self.until.map(|_| now + READ_ON);
            self.note_size(before.map_or(0, |(size, _)| size), metadata.len());
        }
        if metadata.len() == 0 {
            self.empty_since = Some(modified);
        }
        self.is_left = self.until.is_some_and(|until| until <= now);
        let is_settled = !has_changed && self.holds.load(Ordering::Relaxed) && now >= self.changed + wait;
        if self.is_left_out || !(has_changed || is_settled || self.is_left) {
            return None;
        }
        self.holds.store(false, Ordering::Relaxed);
        let source = match self.is_named {
            true => Source::file(&self.path),
            false => Source::found(&self.path),
        };
        Some(ChangedFile {
            source,
            id: self.id.clone(),
            is_left: self.is_left,
            is_settled,
        })
    }

    fn note_size(&mut self, before: u64, now: u64) {
        if now < before {
            self.had = before;
            if now == 0 {
                self.emptied = Emptied::Seen;
            }
            // Its new content may be text.
            self.is_left_out = false;
        }
    }

    /// Returns the metadata of the file; `None` if another one has taken its path, or if it cannot be read.
    fn metadata(&mut self) -> Option<Metadata> {
        match &self.file {
            Some(file) => file.metadata().ok(),
            None => {
                let metadata = self.path.metadata().ok()?;
                (FileId::of(&metadata, &self.path) == self.id).then_some(metadata)
            }
        }
    }

    /// Returns the open file; `None` if another file, or none, has its path by now.
    pub(crate) fn open(&self) -> io::Result<Option<File>> {
        match &self.file {
            Some(file) => file.try_clone().map(Some),
            None => open_as(&self.path, &self.id),
        }
    }
}

/// Opens the file at a path, if it is this one.
pub(crate) fn open_as(path: &Path, id: &FileId) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok((FileId::of(&file.metadata()?, path) == *id).then_some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
