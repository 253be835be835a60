//! Remembers that the engine has verified the signature of an extension.
//!
//! The engine verifies it at each LOAD, for which it reads and hashes the whole file. That takes longer than most
//! commands on a lake (DuckDB 1.5.5).
//!
//! A record next to the file says which file was verified: each change of a file changes what the record must say. It
//! counts only if no other user than root can write to the file, to the record or to their folder. Who can write there
//! can also run programs as this user. An engine that verifies nothing is used only where this holds for all that is in
//! the folder of extensions, because the engine may load more than it is told to.

use std::path::{Path, PathBuf};

use self::of_system::recorded;
use super::files::folder_of;

/// Describes a file as it was at one moment, for a user who can trust it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileState(String);

/// Returns whether no other user than root can write to anything in a folder of extensions.
pub(crate) fn is_closed_to_others(folder: &Path) -> bool {
    let mut entries = walkdir::WalkDir::new(folder).into_iter();
    entries.all(|entry| entry.is_ok_and(|entry| of_system::is_closed(entry.path())))
}

/// Returns whether the file is still the one that was verified.
pub(super) fn is_remembered(file: &Path) -> bool {
    FileState::of(file).is_some_and(|state| recorded(file).is_some_and(|recorded| recorded == state.0))
}

/// Remembers that a file was verified, which was in a state before and after that.
pub(super) fn remember(file: &Path, before: Option<FileState>) {
    let after = FileState::of(file);
    let Some(state) = before.filter(|before| after.as_ref() == Some(before)) else {
        log::debug!(
            "the signature of {} is verified each time: another user may write there",
            file.display()
        );
        return;
    };
    if let Err(io) = write(&record_of(file), &state.0) {
        log::debug!("the signature of {} is verified each time: {io}", file.display());
    }
}

fn record_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".verified");
    name.into()
}

/// Writes a record, which other users may read: they can trust it if root has written it.
fn write(record: &Path, text: &str) -> std::io::Result<()> {
    let new = tempfile::NamedTempFile::new_in(folder_of(record))?;
    std::fs::write(new.path(), text)?;
    of_system::make_readable(new.path())?;
    new.persist(record)?;
    Ok(())
}

#[cfg(unix)]
mod of_system {
    use std::fs::{Metadata, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::Path;

    use super::{FileState, record_of};
    use crate::storage::duckdb::engine::files::folder_of;

    impl FileState {
        /// Describes a file; `None` if another user than root can write to it.
        pub(crate) fn of(file: &Path) -> Option<Self> {
            let found = file.symlink_metadata().ok()?;
            let is_trusted = found.is_file() && is_safe(&found) && is_safe(&folder_of(file).metadata().ok()?);
            // The kernel sets the time of the change. The path names the version of the engine.
            is_trusted.then(|| {
                Self(format!(
                    "{} {} {} {} {}.{:09} {}.{:09}\n",
                    file.display(),
                    found.dev(),
                    found.ino(),
                    found.size(),
                    found.mtime(),
                    found.mtime_nsec(),
                    found.ctime(),
                    found.ctime_nsec()
                ))
            })
        }
    }

    /// Returns the content of a record; `None` if another user than root can write to it.
    pub(super) fn recorded(file: &Path) -> Option<String> {
        let record = record_of(file);
        let found = record.symlink_metadata().ok()?;
        let text = || std::fs::read_to_string(record).ok();
        (found.is_file() && is_safe(&found)).then(text)?
    }

    /// Returns whether no other user than root can write to a file or folder, which is no link.
    pub(super) fn is_closed(path: &Path) -> bool {
        let found = path.symlink_metadata();
        found.is_ok_and(|found| !found.is_symlink() && is_safe(&found))
    }

    fn is_safe(found: &Metadata) -> bool {
        const WRITABLE_FOR_OTHERS: u32 = 0o022;
        const ROOT: u32 = 0;
        let is_own = [ROOT, rustix::process::geteuid().as_raw()].contains(&found.uid());
        is_own && found.mode() & WRITABLE_FOR_OTHERS == 0
    }

    pub(super) fn make_readable(file: &Path) -> std::io::Result<()> {
        std::fs::set_permissions(file, Permissions::from_mode(0o644))
    }
}

#[cfg(not(unix))]
mod of_system {
    use std::path::Path;

    use super::FileState;

    impl FileState {
        /// Describes no file: who can write to it is not known.
        pub(crate) fn of(_: &Path) -> Option<Self> {
            None
        }
    }

    pub(super) fn recorded(_: &Path) -> Option<String> {
        None
    }

    pub(super) fn is_closed(_: &Path) -> bool {
        false
    }

    pub(super) fn make_readable(_: &Path) -> std::io::Result<()> {
        Ok(())
    }
}
