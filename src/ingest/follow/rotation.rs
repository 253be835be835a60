//! A file that was rotated away before all of it was read.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use super::followed::READ_ON;
use crate::ingest::input::file_id::FileId;
use crate::ingest::input::rotated::Sibling;
use crate::models::FilePosition;

/// Describes a file that was replaced or emptied, and may have had more than was read of it.
#[derive(Debug)]
pub(super) struct Rotation {
    pub(super) path: PathBuf,
    /// Holds its id, if nothing was read of it.
    pub(super) file: Option<FileId>,
    /// Holds the id of its position; `None` matches any position that has its path.
    pub(super) position: Option<String>,
    /// Says when to give up the search for its rest.
    pub(super) until: Instant,
    pub(super) is_searched: bool,
    /// Holds the time of modification with which the last poll found the file empty, if it did.
    pub(super) since: Option<SystemTime>,
    /// Says when the file that has its rest was written to, once that file is found.
    pub(super) rest: Option<SystemTime>,
    pub(super) loss: Loss,
}

/// Says what is lost if no file goes on from a rotated one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Means that nothing is lost: it is kept open, or not known to be rotated.
    None,
    /// Means that the lines that were written to it last are lost, unless it was deleted.
    Gone,
    /// Means that the bytes after the first `read` are lost, of the `had` bytes that it had.
    Rest { read: u64, had: u64 },
}

impl Rotation {
    /// Describes the rotation of any file that was at this path.
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

    /// Returns whether it is a rotation of the same file, and not one that came later.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let key = |rotation: &Self| (rotation.file.clone(), rotation.position.clone(), rotation.since);
        self.path == other.path && key(self) == key(other)
    }

    /// Returns whether a position is that of the rotated file.
    pub(super) fn is_of(&self, position: &FilePosition) -> bool {
        match &self.position {
            Some(id) => *id == position.id,
            None => is_path(&position.path, &self.path),
        }
    }

    /// Returns whether a file was rotated before this one.
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
