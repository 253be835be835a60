//! Folders for data that the engine spills because it does not fit into memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::private_folder::{PrivateFolder, is_own_folder};

/// Holds the folder that one gate's engines spill to. It is created when the first of them is opened.
pub(crate) struct SpillSpace {
    /// Names the store to create the folder next to; `None` for another place.
    store: Option<PathBuf>,
    made: OnceLock<Option<SpillFolder>>,
}

impl SpillSpace {
    /// Spills to a folder next to a store, or elsewhere if that cannot be created.
    pub(crate) fn beside(store: &Path) -> Self {
        Self {
            store: Some(store.to_owned()),
            made: OnceLock::new(),
        }
    }

    /// Spills to the system's folder for temporary files.
    pub(crate) fn elsewhere() -> Self {
        Self {
            store: None,
            made: OnceLock::new(),
        }
    }

    /// Returns the folder; `None` if none can be created.
    pub(crate) fn path(&self) -> Option<&Path> {
        let made = self.made.get_or_init(|| self.make());
        made.as_ref().and_then(SpillFolder::path)
    }

    fn make(&self) -> Option<SpillFolder> {
        let made = match &self.store {
            Some(store) => SpillFolder::make_for(store).or_else(|error| {
                log::debug!("spilling to the folder for temporary files: {error}");
                SpillFolder::make_in_memory()
            }),
            None => SpillFolder::make_in_memory(),
        };
        made.inspect_err(|error| log::debug!("the engine cannot spill to disk: {error}"))
            .ok()
    }
}

/// Holds a folder in `STORE.tmp`, which exists while a process uses it.
struct SpillFolder {
    /// Names `STORE.tmp`; `None` if the store has no file.
    parent: Option<PathBuf>,
    /// Holds the folder; `None` only while this is dropped.
    folder: Option<PrivateFolder>,
}

impl SpillFolder {
    /// Creates a folder for a store in a file.
    fn make_for(store: &Path) -> io::Result<Self> {
        let mut name = store.as_os_str().to_owned();
        name.push(".tmp");
        let parent = PathBuf::from(name);
        loop {
            make_private_folder(&parent)?;
            match PrivateFolder::make_in(&parent) {
                Ok(folder) => {
                    return Ok(Self {
                        parent: Some(parent),
                        folder: Some(folder),
                    });
                }
                // Another process removed the parent when it was done.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Creates a folder for an engine that has no file.
    fn make_in_memory() -> io::Result<Self> {
        Ok(Self {
            parent: None,
            folder: Some(PrivateFolder::make_in(&std::env::temp_dir())?),
        })
    }

    fn path(&self) -> Option<&Path> {
        self.folder.as_ref().map(PrivateFolder::path)
    }
}

impl Drop for SpillFolder {
    fn drop(&mut self) {
        drop(self.folder.take());
        if let Some(parent) = &self.parent {
            // Others may still use it.
            fs::remove_dir(parent).ok();
        }
    }
}

fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_own(path),
        made => made,
    }
}

/// Refuses a folder that is a link or another user's. A user who can change it can read what the engine spills.
#[cfg(unix)]
fn check_own(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let checked = fs::symlink_metadata(path).and_then(|metadata| match is_own_folder(&metadata) {
        // The engine creates such folders readable for all users.
        true => fs::set_permissions(path, fs::Permissions::from_mode(0o700)),
        false => Err(io::Error::other(format!(
            "{} is not a folder of this user",
            path.display()
        ))),
    });
    match checked {
        // Another process removed it when it was done, which the next step notices.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        checked => checked,
    }
}

#[cfg(not(unix))]
fn check_own(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spill_folders_come_and_go_side_by_side() {
        let parent = tempfile::tempdir().unwrap();
        let store = parent.path().join("soc.duckdb");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let spill = SpillFolder::make_for(&store).unwrap();
                        fs::write(spill.path().unwrap().join("block"), "logs").unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
