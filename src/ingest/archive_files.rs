//! Small files in archives, each read whole: rules, not logs.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};

use super::error::IngestError;
use super::input::archive::{self, member_path};
use super::input::compression::{BUFFER, decompressed};

/// Limits the length of one file, in bytes.
const LONGEST_FILE: u64 = 16 << 20;

/// Limits what an archive comes to, in bytes: a short archive can hold much.
const LARGEST_ARCHIVE: u64 = 1 << 30;

/// Limits how many files are taken from an archive.
const MOST_FILES: usize = 100_000;

/// Holds the length of the header of a file in a tar archive.
const HEADER: u64 = 512;

/// Holds the name of a file, after that of its archive, and what it holds.
type NamedContent = (PathBuf, Vec<u8>);

/// Reads the files of a zip or tar archive whose names are wanted; `None` if the file is no archive. A tar archive may
/// be compressed.
///
/// # Errors
///
/// Fails if the archive cannot be read, or comes to more than 1 GiB, 16 MiB for a file or 100,000 files.
pub fn files_in_archive(
    path: &Path,
    is_wanted: impl Fn(&Path) -> bool,
) -> Result<Option<Vec<NamedContent>>, IngestError> {
    let failed = |error: io::Error| IngestError::new(path, error);
    let file = File::open(path).map_err(failed)?;
    match archive::members(&file).map_err(failed)? {
        Some(members) => of_zip(path, &file, members, &is_wanted).map(Some),
        None => of_tar(path, &file, &is_wanted).map_err(failed),
    }
}

fn of_zip(
    path: &Path,
    file: &File,
    members: Vec<(String, io::Result<archive::Member>)>,
    is_wanted: &dyn Fn(&Path) -> bool,
) -> Result<Vec<NamedContent>, IngestError> {
    let mut files = Files::default();
    for (name, member) in members {
        let name = member_path(path, &name);
        if !is_wanted(&name) {
            continue;
        }
        let read = member.and_then(|member| files.add(&name, member.read(file.try_clone()?)?));
        read.map_err(|error| IngestError::new(&name, error))?;
    }
    Ok(files.list)
}

/// Reads a tar archive as a stream, for it may be compressed as a whole.
fn of_tar(
    path: &Path,
    file: &File,
    is_wanted: &dyn Fn(&Path) -> bool,
) -> io::Result<Option<Vec<NamedContent>>> {
    let mut file = file.try_clone()?;
    file.rewind()?;
    let input = decompressed(BufReader::with_capacity(BUFFER, file))?;
    let mut input = BufReader::with_capacity(BUFFER, input.take(LARGEST_ARCHIVE + 1));
    let mut start = Vec::new();
    input.by_ref().take(HEADER).read_to_end(&mut start)?;
    if !is_tar(&start) {
        return Ok(None);
    }
    let mut archive = tar::Archive::new(io::Cursor::new(start).chain(input));
    let files = entries(path, &mut archive, is_wanted);
    match archive.into_inner().get_ref().1.get_ref().limit() {
        0 => Err(too_large()),
        _ => files.map(|files| Some(files.list)),
    }
}

fn entries(
    path: &Path,
    archive: &mut tar::Archive<impl Read>,
    is_wanted: &dyn Fn(&Path) -> bool,
) -> io::Result<Files> {
    let mut files = Files::default();
    for entry in archive.entries()? {
        let entry = entry?;
        let name = member_path(path, &entry.path()?.to_string_lossy());
        if entry.header().entry_type().is_file() && is_wanted(&name) {
            files.add(&name, entry)?;
        }
    }
    Ok(files)
}

fn is_tar(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar")
}

/// Collects files within the limits.
#[derive(Default)]
struct Files {
    list: Vec<NamedContent>,
    bytes: u64,
}

impl Files {
    fn add(&mut self, name: &Path, input: impl Read) -> io::Result<()> {
        let mut content = Vec::new();
        let length = input.take(LONGEST_FILE + 1).read_to_end(&mut content)? as u64;
        self.bytes += length;
        if length > LONGEST_FILE {
            let text = format!("{name:?} is longer than {} MiB", LONGEST_FILE >> 20);
            return Err(io::Error::other(text));
        }
        if self.bytes > LARGEST_ARCHIVE || self.list.len() == MOST_FILES {
            return Err(too_large());
        }
        self.list.push((name.to_owned(), content));
        Ok(())
    }
}

fn too_large() -> io::Error {
    io::Error::other(format!(
        "the archive comes to more than {} MiB or {MOST_FILES} files: unpack it, and name the folder",
        LARGEST_ARCHIVE >> 20
    ))
}
