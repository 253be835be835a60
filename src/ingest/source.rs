//! Sources that a user names: files, folders, patterns, archives and standard input, compressed or not.

use std::fs::File;
use std::io::{self, BufRead as _, Read as _};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::error::{IngestError, IngestErrorKind};
use super::formats::header::Headers;
use super::input::archive::{self, Member, member_path};
use super::input::binary::binary_format;
use super::input::checkpoints::{Checkpoints, Found};
use super::input::decoder::{decode, decode_tail};
use super::input::encoding::recognise;
use super::input::interruptible::{self, Interruptible};
use super::input::opened::{Content, Opened};
use super::input_format::InputFormat;
use super::options::IngestOptions;
use super::reader::{CutFile, LogReader};
use crate::models::Encoding;

/// Names one file to read, a member of an archive, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Holds the path; `None` for standard input.
    path: Option<PathBuf>,
    member: Option<Member>,
    is_named: bool,
}

/// Lists the members of an archive, or says why one of them cannot be read.
type Members = Vec<Result<Source, IngestError>>;

/// Finds the sources that names refer to, each name's in the order of its paths.
///
/// A name is a file, a folder, a pattern such as `logs/*.gz`, or `-` for standard input. Of a folder, everything in it
/// is found. A path that cannot be found or looked into is an error at its position. The others are found all the same.
pub fn find_sources<P: AsRef<Path>>(names: &[P]) -> Vec<Result<Source, IngestError>> {
    let mut sources = Vec::new();
    for name in names.iter().map(AsRef::as_ref) {
        if name == Path::new("-") {
            sources.push(Ok(Source::standard_input()));
            continue;
        }
        match name.metadata() {
            Ok(metadata) if metadata.is_dir() => find_in_folder(name, &mut sources),
            Ok(_) => sources.push(Ok(Source::file(name))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !name.is_symlink() => {
                find_matches(name, &mut sources);
            }
            Err(error) => sources.push(Err(unreadable(name, &error))),
        }
    }
    sources
}

fn find_in_folder(folder: &Path, sources: &mut Vec<Result<Source, IngestError>>) {
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_file() => sources.push(Ok(Source::found(entry.path()))),
            Ok(_) => {}
            Err(error) => sources.push(Err(unreadable_entry(folder, &error))),
        }
    }
}

fn find_matches(pattern: &Path, sources: &mut Vec<Result<Source, IngestError>>) {
    let failed =
        |reason: &dyn std::fmt::Display| IngestError::new(pattern, reason).of_kind(IngestErrorKind::Pattern);
    let Some(text) = pattern.to_str() else {
        sources.push(Err(failed(&"no such file, and not a pattern: it is not UTF-8")));
        return;
    };
    let paths = match glob::glob(text) {
        Ok(paths) => paths,
        Err(error) => {
            sources.push(Err(failed(&error)));
            return;
        }
    };
    let before = sources.len();
    for path in paths {
        match path {
            Ok(path) if path.is_dir() => find_in_folder(&path, sources),
            Ok(path) => sources.push(Ok(Source::found(path))),
            Err(error) => sources.push(Err(unreadable(error.path(), error.error()))),
        }
    }
    if sources.len() == before {
        let missing = IngestError::new(pattern, "no such file or folder");
        sources.push(Err(missing.of_kind(IngestErrorKind::Missing)));
    }
}

/// Returns the headers of the lines after a position, as the lines before it name columns.
///
/// The first 64 KiB of a source say whether it has such lines, and the 64 KiB before the position hold the last ones.
fn headers_before(
    content: Content<'_>,
    position: u64,
    head: &[u8],
    encoding: Encoding,
) -> io::Result<Headers> {
    let mut headers = Headers::default();
    let read = usize::try_from(position).map_or(head.len(), |position| position.min(head.len()));
    read_headers(&mut headers, &decode(encoding, head.get(..read).unwrap_or(head)));
    if headers.may_change() && read as u64 != position {
        let lines = content.lines_before(position)?;
        read_headers(&mut headers, &decode_tail(encoding, &lines));
    }
    Ok(headers)
}

fn read_headers(headers: &mut Headers, text: &[u8]) {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    for line in lines.filter_map(|line| line.strip_suffix(b"\n")) {
        headers.read(line.strip_suffix(b"\r").unwrap_or(line));
    }
}

fn unreadable(path: &Path, error: &io::Error) -> IngestError {
    match error.kind() {
        io::ErrorKind::NotFound if path.is_symlink() => {
            IngestError::new(path, "the symbolic link leads to nothing")
        }
        _ => IngestError::new(path, error),
    }
}

fn unreadable_entry(folder: &Path, error: &walkdir::Error) -> IngestError {
    let path = error.path().unwrap_or(folder);
    if let Some(ancestor) = error.loop_ancestor() {
        let reason = format!("the symbolic link leads back to {ancestor:?}, which is read anyway");
        return IngestError::new(path, reason).of_kind(IngestErrorKind::Loop);
    }
    match error.io_error() {
        Some(error) => unreadable(path, error),
        None => IngestError::new(path, error),
    }
}

impl Source {
    /// Names a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            is_named: true,
            ..Self::found(path)
        }
    }

    /// Names a file that the user did not name itself.
    pub(super) fn found(path: impl Into<PathBuf>) -> Self {
        Self {
            path: Some(path.into()),
            member: None,
            is_named: false,
        }
    }

    fn standard_input() -> Self {
        Self {
            path: None,
            member: None,
            is_named: true,
        }
    }

    /// Returns the path, or `-` for standard input.
    ///
    /// A member of an archive has the path of the archive before its own.
    pub fn name(&self) -> PathBuf {
        match (&self.path, &self.member) {
            (None, _) => "-".into(),
            (Some(path), None) => path.clone(),
            (Some(path), Some(member)) => member.path_in(path),
        }
    }

    /// Returns whether it was named itself, rather than found in a folder, by a pattern, or in an archive.
    pub fn is_named(&self) -> bool {
        self.is_named
    }

    /// Returns whether it is standard input, a named pipe or another file that can be read only once.
    pub fn is_stream(&self) -> bool {
        // A path without a file is no pipe.
        let metadata = self.path.as_ref().map(|path| path.metadata());
        metadata.is_none_or(|metadata| metadata.is_ok_and(|metadata| !metadata.is_file()))
    }

    /// Returns whether it is a file with one of these canonical paths.
    pub(crate) fn is_one_of(&self, paths: &[PathBuf]) -> bool {
        let path = self.path.as_ref().and_then(|path| path.canonicalize().ok());
        path.is_some_and(|path| paths.contains(&path))
    }

    /// Returns how many bytes there are to read; `None` if that is not known.
    pub fn bytes(&self) -> Option<u64> {
        let metadata = self.path.as_ref()?.metadata().ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// Returns the path of a Parquet file that is read as an export; `None` if it is none.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read.
    pub(crate) fn exported_parquet(&self, options: &IngestOptions) -> Result<Option<&Path>, IngestError> {
        const MAGIC: &[u8] = b"PAR1";
        let (Some(path), None) = (&self.path, &self.member) else {
            return Ok(None);
        };
        if options.format != Some(InputFormat::Export) || self.is_stream() {
            return Ok(None);
        }
        let mut start = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start));
        read.map_err(|error| IngestError::new(path, error))?;
        Ok((start == MAGIC).then_some(path))
    }

    /// Returns the files of a zip archive, in their order; `None` if it is no such archive.
    ///
    /// A member that cannot be read is an error at its position.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read.
    pub fn members(&self) -> Result<Option<Members>, IngestError> {
        let (Some(path), false) = (&self.path, self.is_stream()) else {
            return Ok(None);
        };
        let file = File::open(path).map_err(|error| IngestError::new(path, error))?;
        self.members_of(&file)
    }

    /// Returns what is to be read: the files of a zip archive as [`members`](Self::members) does, else the source itself.
    ///
    /// ```
    /// use logstore::ingest::Source;
    ///
    /// let parts = Source::file("README.md").into_parts()?;
    /// assert_eq!(parts.len(), 1);
    /// # Ok::<(), logstore::ingest::IngestError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read.
    pub fn into_parts(self) -> Result<Members, IngestError> {
        Ok(self.members()?.unwrap_or_else(|| vec![Ok(self)]))
    }

    /// Returns the files in an open file of this source.
    pub(super) fn members_of(&self, file: &File) -> Result<Option<Members>, IngestError> {
        let path = &self.name();
        let members = archive::members(file).map_err(|error| IngestError::new(path, error))?;
        let Some(members) = members else {
            return Ok(None);
        };
        let sources = members.into_iter().map(|(name, member)| match member {
            Ok(member) => Ok(Self {
                member: Some(member),
                ..Self::found(path)
            }),
            Err(error) => Err(IngestError::new(member_path(path, &name), error)),
        });
        Ok(Some(sources.collect()))
    }

    /// Starts reading at the beginning.
    ///
    /// The content tells which compression it has: gzip, zstd, xz or bzip2. A zip archive has
    /// [`members`](Self::members).
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be opened. Fails with [`IngestErrorKind::NotText`] if it holds no text. That is not
    /// checked for standard input and pipes, nor for files that are read as [`InputFormat::Text`].
    pub fn open(&self, options: &IngestOptions) -> Result<LogReader, IngestError> {
        let failed = |error: io::Error| IngestError::new(self.name(), error);
        let Some(path) = self.path.as_ref().filter(|_| !self.is_stream()) else {
            let opened = self.open_stream(options).map_err(failed)?;
            return Ok(LogReader::of_source(opened, options, &self.name()));
        };
        let file = File::open(path).map_err(failed)?;
        let opened = self.content(&file).open().map_err(failed)?;
        self.read_text(&file, opened, options)
    }

    fn open_stream(&self, options: &IngestOptions) -> io::Result<Opened> {
        let Some(path) = &self.path else {
            let input = Interruptible::new(interruptible::stdin()?, options.stop.clone());
            return Opened::stream(input, None);
        };
        let file = interruptible::open(path)?;
        let modified = file.metadata()?.modified().ok().map(Into::into);
        Opened::stream(Interruptible::new(file, options.stop.clone()), modified)
    }

    /// Goes on reading where it was stopped if the file is known, else starts at its beginning.
    ///
    /// [`LogReader::position`] says how far it was read. Standard input and pipes are never known.
    ///
    /// A file may have been cut, so that what is left of it was read before. It is read on from its new end. A file
    /// that another known one begins with is not read again.
    ///
    /// # Errors
    ///
    /// Fails as [`open`](Self::open) does.
    pub(crate) fn open_known(
        &self,
        options: &IngestOptions,
        checkpoints: &Checkpoints,
    ) -> Result<LogReader, IngestError> {
        let path = match &self.path {
            Some(path) if !self.is_stream() => path,
            _ => return self.open(options),
        };
        let file = File::open(path).map_err(|error| IngestError::new(self.name(), error))?;
        let found = self.find_known(&file, checkpoints);
        let found = found.map_err(|error| IngestError::new(self.name(), error))?;
        self.read_found(&file, found, options, checkpoints)
    }

    /// Returns whether an open file of this source is known, and its position.
    pub(super) fn find_known(&self, file: &File, checkpoints: &Checkpoints) -> io::Result<Found> {
        checkpoints.find(&self.absolute()?, self.content(file))
    }

    pub(super) fn read_found(
        &self,
        file: &File,
        found: Found,
        options: &IngestOptions,
        checkpoints: &Checkpoints,
    ) -> Result<LogReader, IngestError> {
        let failed = |error: io::Error| IngestError::new(self.name(), error);
        let absolute = self.absolute().map_err(failed)?;
        let mut cut = None;
        let (position, opened) = match found {
            Found::Known(position, opened) => {
                log::debug!(path = absolute.as_str(), bytes = position.bytes; "{absolute}: known, read on from byte {}", position.bytes);
                (position, opened)
            }
            Found::Cut(position, opened) => {
                let (was, is) = (position.bytes, opened.read.bytes);
                log::warn!(
                    path = absolute.as_str(), bytes = was - is;
                    "{absolute}: the file was cut from {was} bytes to {is}; reading goes on from its new end"
                );
                let path = PathBuf::from(&absolute);
                cut = Some(CutFile { path, was, is });
                (position, opened)
            }
            Found::Contained(opened) => {
                log::debug!(path = absolute.as_str(); "{absolute}: another known file begins with all of it");
                return Ok(LogReader::of_source(opened, options, &self.name()).at_known_end());
            }
            Found::New => {
                let opened = self.content(file).open().map_err(failed)?;
                let reader = self.read_text(file, opened, options)?;
                log::info!(path = absolute.as_str(); "{absolute}: new, read from its beginning");
                return Ok(reader.with_position(checkpoints.new_id(&absolute), absolute, None));
            }
        };
        let reader = self.reader(file, opened, options)?.with_cut(cut);
        Ok(reader.with_position(position.id.clone(), absolute, Some(position)))
    }

    /// Reads a file on from where it was opened.
    fn reader(&self, file: &File, opened: Opened, options: &IngestOptions) -> Result<LogReader, IngestError> {
        let failed = |error: io::Error| IngestError::new(self.name(), error);
        let content = self.content(file);
        let ends = content.ends().map_err(failed)?;
        let encoding = options.encoding.unwrap_or_else(|| recognise(&ends.head));
        let headers = headers_before(content, opened.read.bytes, &ends.head, encoding);
        let reader = LogReader::of_source(opened, options, &self.name()).with_ends(&ends);
        Ok(reader.with_headers(headers.map_err(failed)?))
    }

    fn content<'a>(&'a self, file: &'a File) -> Content<'a> {
        let member = self.member.as_ref();
        Content { file, member }
    }

    fn absolute(&self) -> io::Result<String> {
        Ok(std::path::absolute(self.name())?.to_string_lossy().into_owned())
    }

    /// Reads a file from its beginning, if it is text or was said to be.
    fn read_text(
        &self,
        file: &File,
        mut opened: Opened,
        options: &IngestOptions,
    ) -> Result<LogReader, IngestError> {
        // Some decoders report an error only once, and then the end of the input.
        let failed = |error: io::Error| IngestError::new(self.name(), error);
        let start = opened.input.fill_buf().map_err(failed)?;
        let is_named = options
            .encoding
            .is_some_and(|encoding| encoding != Encoding::UTF_8);
        let is_said_to_be = is_named || options.format == Some(InputFormat::Text);
        match binary_format(start).filter(|_| !is_said_to_be) {
            None => self.reader(file, opened, options),
            Some(format) => {
                let reason =
                    format!("no text, but {format} (read it all the same with the input format text)");
                Err(IngestError::new(self.name(), reason).of_kind(IngestErrorKind::NotText))
            }
        }
    }
}
