//! A file that was rotated away before all of it was read.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use super::followed::READ_ON;
use crate::ingest::input::file_id::FileId;
use crate::ingest::input::rotated::Sibling;
use crate::models::FilePosition;

/// A file that was replaced or emptied, and may have had more than was read of it.
#[derive(Debug)]
pub(super) struct Rotation {
    pub(super) path: PathBuf,
    /// Its id, if nothing was read of it.
    pub(super) file: Option<FileId>,
    /// The id of its position; `None` for any that has its path.
    pub(super) position: Option<String>,
    /// When to give up the search for its rest.
    pub(super) until: Instant,
    pub(super) is_searched: bool,
    /// Since when no look has seen the file, if it was empty then.
    pub(super) since: Option<SystemTime>,
    /// When the file was written to that has its rest, once that is found.
    pub(super) rest: Option<SystemTime>,
    pub(super) loss: Loss,
}

/// The loss if no file goes on from a rotated one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing: it is kept open, or not known to be rotated.
    None,
    /// The lines that were written to it last, unless it was deleted.
    Gone,
    /// The bytes after the first `read`, of the `had` bytes that it had.
    Rest { read: u64, had: u64 },
}

impl Rotation {
    /// The rotation of any file that was at this path.
    pub(super) fn new(path: PathBuf, loss: Loss) -> Self {
        Self {
            path,
            file: None,
            position: None,
            until: Instant::now() + READ_ON,
            is_searched: false,
            since: None,
            rest: None,
            loss,
        }
    }

    /// Whether it is a rotation of the same file, and not one that came later.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let key = |rotation: &Self| (rotation.file.clone(), rotation.position.clone(), rotation.since);
        self.path == other.path && key(self) == key(other)
    }

    /// Whether a position is that of the rotated file.
    pub(super) fn is_of(&self, position: &FilePosition) -> bool {
        match &self.position {
            Some(id) => *id == position.id,
            None => is_path(&position.path, &self.path),
        }
    }

    /// Whether a file was rotated before this one.
    pub(super) fn is_older(&self, sibling: &Sibling) -> bool {
        match self.since {
            Some(since) => sibling.modified <= since,
            None => self.rest.is_some_and(|rest| sibling.modified < rest),
        }
    }

    pub(super) fn give_up(&self) {
        if self.rest.is_some() {
            return;
        }
        let path = self.path.display();
        let (read, had) = match self.loss {
            Loss::Rest { read, had } => (read, had),
            Loss::Gone => {
                log::info!("{path}: gone, and no file next to it goes on from what was read of it");
                return;
            }
            Loss::None => return,
        };
        let missed = had.saturating_sub(read);
        if missed > 0 {
            log::warn!(
                path = self.path.to_string_lossy().as_ref(), bytes = missed;
                "{path}: rotated or emptied, and no file next to it goes on from what was read of it: \
                at least {missed} bytes were missed"
            );
        } else {
            log::warn!(
                path = self.path.to_string_lossy().as_ref(), bytes = missed;
                "{path}: rotated or emptied, and no file next to it goes on from what was read of it: \
                0 bytes are known to be missed, and what was written to it after the last look was not read"
            );
        }
    }
}

fn is_path(position: &str, path: &Path) -> bool {
    std::path::absolute(path).is_ok_and(|path| path.to_string_lossy() == position)
}
