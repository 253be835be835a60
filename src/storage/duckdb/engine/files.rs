//! The files of a store: created whole or not at all, and private.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::private_folder::PrivateFolder;
use crate::storage::duckdb::error;
use crate::storage::{Error, Result};

/// Holds a private file that is created next to its place, and moved there when it is complete.
pub(crate) struct NewFile {
    place: PathBuf,
    folder: PrivateFolder,
}

impl NewFile {
    pub(crate) fn beside(place: &Path) -> Result<Self> {
        let parent = folder_of(place);
        let folder = PrivateFolder::make_in(parent).map_err(|io| {
            let folder = parent.display();
            let reason = match io.kind() {
                io::ErrorKind::NotFound => format!("there is no folder {folder}: create it first"),
                kind => format!("cannot write to its folder {folder}: {kind}"),
            };
            error::not_written(place, reason)
        })?;
        Ok(Self {
            place: place.to_owned(),
            folder,
        })
    }

    /// Returns the path to create the file at.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("new")
    }

    /// Moves the file to its place; returns false if another file is there already.
    pub(crate) fn persist(self) -> Result<bool> {
        let failed = |io: io::Error| error::not_written(&self.place, format!("cannot put it in place: {io}"));
        let path = self.path();
        make_private(&path).map_err(failed)?;
        fs::File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(failed)?;
        match tempfile::TempPath::try_from_path(&path)
            .map_err(failed)?
            .persist_noclobber(&self.place)
        {
            Ok(()) => {
                sync_folder(&self.place).map_err(failed)?;
                Ok(true)
            }
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(refused) => Err(failed(refused.error)),
        }
    }
}

/// Returns the folder that a file is in.
pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Refuses files that cannot be a store: pipes, which the engine would wait for, and files with several names.
///
/// The engine finds the WAL by the name of the store. Under another name, it would miss what the WAL holds.
pub(crate) fn check_store_file(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    if metadata.is_dir() {
        return Err(error::not_a_store(path, "it is a folder: name a file"));
    }
    if !metadata.is_file() {
        return Err(error::not_a_store(path, "it is a pipe or a device: name a file"));
    }
    match names_of(metadata) {
        0 | 1 => Ok(()),
        names => Err(error::not_a_store(
            path,
            format!(
                "the file has {names} names (hard links), and commits made under one may be out of sight under \
                 another: keep one, or copy the file"
            ),
        )),
    }
}

/// Refuses a WAL that is a link, or of another user than the store: the engine would follow it.
#[cfg(unix)]
pub(crate) fn check_write_ahead_log(store: &Path, metadata: &fs::Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let name = write_ahead_log(store);
    let Ok(log) = fs::symlink_metadata(&name) else {
        return Ok(());
    };
    let reason = if !log.is_file() {
        "it is not a file"
    } else if log.nlink() > 1 {
        "it has another name (a hard link)"
    } else if log.uid() != metadata.uid() {
        "it is another user's than the store"
    } else {
        return Ok(());
    };
    Err(error::not_a_store(
        store,
        format!(
            "its write-ahead log {} cannot be trusted, as {reason}: remove it",
            name.display()
        ),
    ))
}

#[cfg(not(unix))]
pub(crate) fn check_write_ahead_log(_: &Path, _: &fs::Metadata) -> Result<()> {
    Ok(())
}

#[cfg(unix)]
fn names_of(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
fn names_of(_: &fs::Metadata) -> u64 {
    1
}

#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Syncs the name of a file to disk: without it, the file is gone after a power failure.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(folder_of(path))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Returns the path of a store's WAL.
pub(crate) fn write_ahead_log(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".wal");
    name.into()
}

/// Returns whether there is a WAL that is not empty.
pub(crate) fn has_write_ahead_log(store: &Path) -> bool {
    fs::metadata(write_ahead_log(store)).is_ok_and(|log| log.len() > 0)
}

/// Creates the WAL of a store, with the permissions of the store.
///
/// The engine would make it readable for every user. A process that may write calls this before each commit.
#[cfg(unix)]
pub(crate) fn prepare_write_ahead_log(store: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let name = write_ahead_log(store);
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&name)
        .and_then(|file| file.set_permissions(fs::metadata(store)?.permissions()));
    match made {
        Err(io) if io.kind() != io::ErrorKind::AlreadyExists => {
            Err(error::not_written(name, io.kind().to_string()))
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
pub(crate) fn prepare_write_ahead_log(_: &Path) -> Result<()> {
    Ok(())
}

/// Returns the canonical path of a file that may not exist yet, which is UTF-8.
pub(crate) fn canonical(path: &Path) -> Result<PathBuf> {
    let canonical = canonical_as_far_as_it_exists(path)?;
    if canonical.to_str().is_none() {
        let reason = "the engine takes paths in UTF-8 only: rename it or its folder";
        return Err(error::not_a_store(path, reason));
    }
    if canonical.as_os_str().as_encoded_bytes().contains(&b'?') {
        let reason = "the engine takes what follows a question mark for parameters: rename it or its folder";
        return Err(error::not_a_store(path, reason));
    }
    Ok(canonical)
}

fn canonical_as_far_as_it_exists(path: &Path) -> Result<PathBuf> {
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    let name = path
        .file_name()
        .ok_or_else(|| error::not_a_store(path, "it is not the name of a file"))?;
    let parent = folder_of(path);
    let parent = parent.canonicalize().map_err(|io| {
        let problem = format!(
            "cannot use its folder {}: {io}; create it first",
            parent.display()
        );
        error::no_store(path, problem)
    })?;
    Ok(parent.join(name))
}

/// Refuses a file that the engine would create anew, wait for, or read without its WAL. The path is a canonical one.
pub(crate) fn check_file(path: &Path) -> Result<()> {
    let metadata = path.symlink_metadata().map_err(|io| match io.kind() {
        io::ErrorKind::NotFound => {
            error::no_store(path, "there is no such file any more: it was moved or deleted")
        }
        io::ErrorKind::PermissionDenied => Error::AccessDenied { path: path.into() },
        _ => error::not_a_store(path, io.to_string()),
    })?;
    if metadata.is_symlink() {
        // The engine would write its WAL beside the file that the link names.
        let reason = "a link has taken its place: start again, or mend the link if it leads nowhere";
        return Err(error::no_store(path, reason));
    }
    check_store_file(path, &metadata)?;
    check_write_ahead_log(path, &metadata)
}
