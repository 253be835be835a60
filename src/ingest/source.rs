//! What a user names, as things to read: files, folders, patterns, standard input; compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use walkdir::WalkDir;

use super::tracked::{SAMPLE, Sample, Tracked};
use super::{IngestError, IngestOptions, KnownFiles, LogReader};

/// One file to read, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `None` for standard input.
    path: Option<PathBuf>,
}

/// The sources that names stand for, each name's in the order of its paths.
///
/// A name is a file, a folder (with everything in it), a pattern such as `logs/*.gz`, or `-` for standard
/// input.
///
/// # Errors
///
/// If a name stands for nothing, or a folder cannot be read.
pub fn find_sources<P: AsRef<Path>>(names: &[P]) -> Result<Vec<Source>, IngestError> {
    let mut sources = Vec::new();
    for name in names.iter().map(AsRef::as_ref) {
        if name == Path::new("-") {
            sources.push(Source { path: None });
        } else if name.exists() {
            find_files(name, &mut sources)?;
        } else {
            find_matches(name, &mut sources)?;
        }
    }
    Ok(sources)
}

fn find_files(path: &Path, sources: &mut Vec<Source>) -> Result<(), IngestError> {
    if !path.is_dir() {
        sources.push(Source::file(path));
        return Ok(());
    }
    for entry in WalkDir::new(path).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| IngestError::new(path, error))?;
        if entry.file_type().is_file() {
            sources.push(Source::file(entry.path()));
        }
    }
    Ok(())
}

fn find_matches(pattern: &Path, sources: &mut Vec<Source>) -> Result<(), IngestError> {
    let before = sources.len();
    let text = pattern
        .to_str()
        .ok_or_else(|| IngestError::new(pattern, "no such file, and not a pattern: it is not UTF-8"))?;
    let paths = glob::glob(text).map_err(|error| IngestError::new(pattern, error))?;
    for path in paths {
        find_files(&path.map_err(|error| IngestError::new(pattern, error))?, sources)?;
    }
    if sources.len() == before {
        return Err(IngestError::new(pattern, "no such file or folder"));
    }
    Ok(())
}

impl Source {
    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: Some(path.into()),
        }
    }

    /// The path, or `-` for standard input.
    pub fn name(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new("-"))
    }

    /// Whether it is a file with one of these canonical paths.
    pub fn is_one_of(&self, paths: &[PathBuf]) -> bool {
        let path = self.path.as_ref().and_then(|path| path.canonicalize().ok());
        path.is_some_and(|path| paths.contains(&path))
    }

    /// How many bytes there are to read; `None` where that is not known.
    pub fn bytes(&self) -> Option<u64> {
        let metadata = self.path.as_ref()?.metadata().ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// Starts reading at the beginning. Gzip and zstd are recognised by their content.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn open(&self, options: &IngestOptions) -> Result<LogReader, IngestError> {
        let failed = |error: io::Error| IngestError::new(self.name(), error);
        let Some(path) = &self.path else {
            let opened = Opened::stream(io::stdin(), None).map_err(failed)?;
            return Ok(LogReader::of_source(opened, options, self));
        };
        let file = File::open(path).map_err(failed)?;
        let ends = Ends::of(&file).map_err(failed)?;
        let opened = Opened::whole(file).map_err(failed)?;
        Ok(LogReader::of_source(opened, options, self).between(&ends))
    }

    /// Goes on reading where it was stopped if the file is known, else starts at its beginning; then
    /// [`LogReader::take_progress`] says how far it was read. Standard input and pipes are never known.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn open_known(&self, options: &IngestOptions, known: &KnownFiles) -> Result<LogReader, IngestError> {
        let failed = |error: io::Error| IngestError::new(self.name(), error);
        let path = match &self.path {
            Some(path) if path.is_file() => path,
            _ => return self.open(options),
        };
        let file = File::open(path).map_err(failed)?;
        self.open_known_file(&file, path, options, known).map_err(failed)
    }

    pub(super) fn open_known_file(
        &self,
        file: &File,
        path: &Path,
        options: &IngestOptions,
        known: &KnownFiles,
    ) -> io::Result<LogReader> {
        let open_at = |bytes| Opened::file(file.try_clone()?, bytes);
        let absolute = std::path::absolute(path)?.to_string_lossy().into_owned();
        let ends = Ends::of(file)?;
        let sample = &ends.head[..ends.head.len().min(SAMPLE)];
        let (position, opened) = match known.find(&absolute, sample, open_at)? {
            Some((position, opened)) => (Some(position), opened),
            None => (None, Opened::whole(file.try_clone()?)?),
        };
        let id = position
            .as_ref()
            .map_or_else(|| known.new_id(&absolute), |position| position.id.clone());
        let reader = LogReader::of_source(opened, options, self);
        Ok(reader.with_position(id, absolute, position).between(&ends))
    }
}

/// Both ends of a file, which say how to read what is between them.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// After decompression.
    pub(super) head: Vec<u8>,
    /// Whole lines after the head; nothing of a compressed file.
    pub(super) tail: Vec<u8>,
}

impl Ends {
    /// So much of either end is read.
    const LENGTH: u64 = 1 << 16;

    /// The ends of a file; nothing of a pipe, which can be read only once.
    fn of(file: &File) -> io::Result<Self> {
        let mut ends = Self::default();
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(ends);
        }
        let opened = Opened::whole(file.try_clone()?)?;
        // Of a compressed file that is damaged, the head is what can be read.
        opened.input.take(Self::LENGTH).read_to_end(&mut ends.head).ok();
        if metadata.len() > Self::LENGTH && !is_compressed_file(file)? {
            ends.tail = tail_of(file, metadata.len())?;
        }
        Ok(ends)
    }
}

fn is_compressed_file(mut file: &File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(ZSTD.len() as u64).read_to_end(&mut start)?;
    Ok(is_compressed(&start))
}

/// The last lines of a file of this length.
fn tail_of(mut file: &File, length: u64) -> io::Result<Vec<u8>> {
    let start = length.saturating_sub(Ends::LENGTH).max(Ends::LENGTH);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(Ends::LENGTH).read_to_end(&mut tail)?;
    // The first one may be a part of a line only.
    let end = tail.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
    tail.drain(..end.unwrap_or(tail.len()));
    Ok(tail)
}

/// An input, opened after some of its bytes.
pub(super) struct Opened {
    pub(super) input: Box<dyn BufRead + Send>,
    pub(super) modified: Option<DateTime<Utc>>,
    pub(super) progress: Arc<AtomicU64>,
    /// What is before the place where it was opened.
    pub(super) read: Sample,
}

impl Opened {
    fn stream(input: impl Read + Send + 'static, modified: Option<DateTime<Utc>>) -> io::Result<Self> {
        let counted = Counted::new(input);
        let progress = Arc::clone(&counted.bytes);
        Ok(Self {
            input: decompressed(BufReader::with_capacity(BUFFER, counted))?,
            modified,
            progress,
            read: Sample::default(),
        })
    }

    /// A file from its beginning on.
    fn whole(file: File) -> io::Result<Self> {
        Self::file(file, 0)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// A file after so many of its bytes, which are counted after decompression; `None` if it has fewer.
    pub(super) fn file(mut file: File, bytes: u64) -> io::Result<Option<Self>> {
        let metadata = file.metadata()?;
        let modified = metadata.modified().ok().map(DateTime::<Utc>::from);
        if !metadata.is_file() {
            return Self::stream(file, modified).map(Some);
        }
        // A handle that was read before stands where that ended.
        file.seek(SeekFrom::Start(0))?;
        let counted = Counted::new(file);
        let progress = Arc::clone(&counted.bytes);
        let input = BufReader::with_capacity(BUFFER, counted);
        let (input, read) = skip(input, bytes)?;
        Ok((read.bytes == bytes).then_some(Self {
            input,
            modified,
            progress,
            read,
        }))
    }
}

/// Skips the first bytes of a file, and says how many they were; a file that is not compressed is not read for that.
fn skip(mut input: BufReader<Counted<File>>, bytes: u64) -> io::Result<(Box<dyn BufRead + Send>, Sample)> {
    if is_compressed(input.fill_buf()?) {
        let mut tracked = Tracked::new(decompressed(input)?, Sample::default());
        io::copy(&mut (&mut tracked).take(bytes), &mut io::sink())?;
        return Ok(tracked.into_parts());
    }
    let either_end = bytes.min(SAMPLE as u64);
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    input.by_ref().take(either_end).read_to_end(&mut head)?;
    input.seek(SeekFrom::Start(bytes - either_end))?;
    input.by_ref().take(either_end).read_to_end(&mut tail)?;
    let missing = either_end - tail.len() as u64;
    Ok((Box::new(input), Sample::resumed(bytes - missing, head, tail)))
}

const BUFFER: usize = 1 << 18;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

fn is_compressed(start: &[u8]) -> bool {
    start.starts_with(&GZIP) || start.starts_with(&ZSTD)
}

fn decompressed(mut input: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let start = input.fill_buf()?;
    Ok(if start.starts_with(&GZIP) {
        let decoder = flate2::bufread::MultiGzDecoder::new(input);
        Box::new(BufReader::with_capacity(BUFFER, decoder))
    } else if start.starts_with(&ZSTD) {
        let decoder = zstd::Decoder::with_buffer(input)?;
        Box::new(BufReader::with_capacity(BUFFER, decoder))
    } else {
        Box::new(input)
    })
}

/// Counts what is read, for a progress bar.
struct Counted<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            bytes: Arc::default(),
        }
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.inner.seek(place)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
