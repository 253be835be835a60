//! Folders for temporary files, and for files that are not yet a part of the store.
//!
//! Only their owner may enter them, from the first byte on. If their process is killed, the next one removes them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::TempDir;

/// Holds a folder that only its owner can enter. The folder is removed with its handle.
///
/// Its process holds a lock on it. A folder that is not locked was left by a killed process.
pub(crate) struct PrivateFolder {
    folder: TempDir,
    /// Holds the lock while the folder is in use.
    _lock: Option<File>,
}

const PREFIX: &str = ".logstore-";

impl PrivateFolder {
    /// Creates a folder in another one, and removes those that killed processes left there.
    pub(crate) fn make_in(parent: &Path) -> io::Result<Self> {
        remove_leftovers(parent);
        loop {
            let mut builder = tempfile::Builder::new();
            builder.prefix(PREFIX);
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
            let folder = builder.tempdir_in(parent)?;
            match lock(folder.path()) {
                Lock::Held(lock) => return Ok(Self { folder, _lock: lock }),
                // Another process took it for a leftover before it was locked.
                Lock::Lost => {}
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

enum Lock {
    /// Holds the lock; `None` if folders cannot be locked, in which case none is ever taken for a leftover.
    Held(Option<File>),
    Lost,
}

fn lock(folder: &Path) -> Lock {
    let opened = match File::open(folder) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Lock::Lost,
        Err(_) => return Lock::Held(None),
    };
    match opened.try_lock() {
        Ok(()) if folder.exists() => Lock::Held(Some(opened)),
        Ok(()) | Err(fs::TryLockError::WouldBlock) => Lock::Lost,
        Err(fs::TryLockError::Error(_)) => Lock::Held(None),
    }
}

/// Removes the folders of killed processes, as far as that is possible.
fn remove_leftovers(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    let is_ours = |entry: &fs::DirEntry| {
        entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
            && entry.metadata().is_ok_and(|metadata| is_own_folder(&metadata))
    };
    for entry in entries.filter_map(Result::ok).filter(is_ours) {
        let path = entry.path();
        let Ok(folder) = File::open(&path) else { continue };
        if folder.try_lock().is_err() {
            continue;
        }
        // The lock is held meanwhile: a process that makes this very folder now must notice that it is lost.
        match fs::remove_dir_all(&path) {
            Ok(()) => log::info!("removed {path:?}, which a killed process left"),
            Err(error) => log::debug!("cannot remove {path:?}, which a killed process left: {error}"),
        }
    }
}

/// Returns whether the path is a folder, not a link to one, and belongs to the user of this process.
#[cfg(unix)]
pub(crate) fn is_own_folder(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
pub(crate) fn is_own_folder(metadata: &fs::Metadata) -> bool {
    metadata.is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let used = PrivateFolder::make_in(parent.path()).unwrap();
        fs::create_dir(parent.path().join(".logstore-killed")).unwrap();
        fs::write(parent.path().join(".logstore-killed/store.duckdb"), "logs").unwrap();
        fs::create_dir(parent.path().join("other")).unwrap();
        let next = PrivateFolder::make_in(parent.path()).unwrap();
        assert!(used.path().exists() && next.path().exists());
        drop((used, next));
        assert_eq!(names(parent.path()), ["other"]);
    }
}
