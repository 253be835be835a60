//! What a user names, as things to read: files, folders, patterns, standard input; compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use walkdir::WalkDir;

use super::{IngestError, IngestOptions, LogReader};

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

    /// How many bytes there are to read; `None` where that is not known.
    pub fn bytes(&self) -> Option<u64> {
        let metadata = self.path.as_ref()?.metadata().ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// Starts reading. Gzip and zstd are recognised by their content.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn open(&self, options: &IngestOptions) -> Result<LogReader, IngestError> {
        let failed = |error: io::Error| IngestError::new(self.name(), error);
        let progress = Arc::new(AtomicU64::new(0));
        let (input, modified): (Box<dyn Read + Send>, _) = match &self.path {
            None => (Box::new(io::stdin()), None),
            Some(path) => {
                let file = File::open(path).map_err(failed)?;
                let modified = file.metadata().and_then(|metadata| metadata.modified());
                (Box::new(file), modified.ok().map(DateTime::<Utc>::from))
            }
        };
        let counted = Counted {
            inner: input,
            bytes: Arc::clone(&progress),
        };
        let input = decompressed(BufReader::with_capacity(BUFFER, counted)).map_err(failed)?;
        Ok(LogReader::of_source(input, options, self, modified, progress))
    }
}

const BUFFER: usize = 1 << 18;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

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

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
