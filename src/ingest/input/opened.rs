//! Inputs that are opened after some of their bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use super::archive::Member;
use super::compression::{BUFFER, decompressed, is_compressed};
#[cfg(feature = "evtx")]
use super::event_log::{self, is_event_log};
use super::tracked::{SAMPLE, Sample, Tracked};

/// Holds an input that is opened after some of its bytes.
pub(crate) struct Opened {
    pub(crate) input: Box<dyn BufRead + Send>,
    pub(crate) modified: Option<DateTime<Utc>>,
    pub(crate) progress: Arc<AtomicU64>,
    /// Samples the bytes before the place where it was opened.
    pub(crate) read: Sample,
    /// Holds the file, if its bytes are read as they are.
    pub(crate) plain: Option<Plain>,
}

/// Holds a file that is read as it is stored. It may be emptied and written anew meanwhile.
#[derive(Debug)]
pub(crate) struct Plain(File);

impl Plain {
    /// Returns whether the file begins differently from what was read of it.
    ///
    /// A file that is too short for that was emptied after it was read.
    pub(crate) fn is_replaced(&self, read: &Sample) -> bool {
        let mut head = [0; SAMPLE];
        let head = &mut head[..read.head().len()];
        read_at_start(&self.0, head).is_ok() && head != read.head()
    }
}

#[cfg(unix)]
fn read_at_start(file: &File, bytes: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, 0)
}

/// Fails, so that the file is not compared: it cannot be read here without moving its reader.
#[cfg(not(unix))]
fn read_at_start(_: &File, _: &mut [u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Holds both ends of an input, which say how to read what is between them.
///
/// A stream can be read only once, and has none.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// Holds the first bytes, after decompression.
    pub(crate) head: Vec<u8>,
    /// Holds whole lines after the head; nothing of a compressed input.
    pub(crate) tail: Vec<u8>,
}

impl Ends {
    /// Limits the bytes that are read of either end.
    const LENGTH: u64 = 1 << 16;
}

/// Refers to an open file, or to a member of an archive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) file: &'a File,
    pub(crate) member: Option<&'a Member>,
}

/// Says how many bytes of a stream are read at a time: as many as the lines that are parsed together mostly have.
const STREAM_BUFFER: usize = 2 << 20;

impl Opened {
    pub(crate) fn stream(
        input: impl Read + Send + 'static,
        modified: Option<DateTime<Utc>>,
    ) -> io::Result<Self> {
        let counted = Counted::new(input);
        let progress = Arc::clone(&counted.bytes);
        Ok(Self {
            input: decompressed(BufReader::with_capacity(STREAM_BUFFER, counted))?,
            modified,
            progress,
            read: Sample::default(),
            plain: None,
        })
    }
}

impl Content<'_> {
    /// Opens it at its beginning.
    pub(crate) fn open(self) -> io::Result<Opened> {
        self.open_after(0)?
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Opens it after this many bytes, counted after decompression. Returns `None` if it has fewer.
    pub(crate) fn open_after(self, bytes: u64) -> io::Result<Option<Opened>> {
        let opened = self.skip(bytes)?;
        Ok((opened.read.bytes == bytes).then_some(opened))
    }

    /// Opens it at its end.
    pub(crate) fn open_at_end(self) -> io::Result<Opened> {
        match self.is_stored_as_it_is()? {
            true => self.skip(self.file.metadata()?.len()),
            false => self.skip(u64::MAX),
        }
    }

    /// Returns the first bytes. Of a compressed content that is damaged, these are the bytes before the damage.
    pub(crate) fn head(self) -> io::Result<Vec<u8>> {
        self.first(SAMPLE as u64)
    }

    fn first(self, bytes: u64) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        let (input, _) = self.skip_in(self.raw()?, 0)?;
        input.take(bytes).read_to_end(&mut head).ok();
        Ok(head)
    }

    /// Returns both ends of it. A reader of the same file goes on where it is.
    pub(crate) fn ends(self) -> io::Result<Ends> {
        self.keeping_place(Self::read_ends)
    }

    /// Returns whole lines that end at a position, after decompression. A reader of the same file goes on where it is.
    pub(crate) fn lines_before(self, position: u64) -> io::Result<Vec<u8>> {
        self.keeping_place(|content| {
            let start = position.saturating_sub(Ends::LENGTH);
            let (input, _) = content.skip_in(content.raw()?, start)?;
            let mut lines = Vec::new();
            input.take(position - start).read_to_end(&mut lines)?;
            if start > 0 {
                remove_first_line(&mut lines);
            }
            Ok(lines)
        })
    }

    fn keeping_place<T>(self, read: impl FnOnce(Self) -> io::Result<T>) -> io::Result<T> {
        let mut file = self.file;
        let at = file.stream_position()?;
        let outcome = read(self);
        file.seek(SeekFrom::Start(at))?;
        outcome
    }

    fn read_ends(self) -> io::Result<Ends> {
        let head = self.first(Ends::LENGTH)?;
        let length = self.file.metadata()?.len();
        let tail = match length > Ends::LENGTH && self.is_stored_as_it_is()? {
            true => self.last_lines(length)?,
            false => Vec::new(),
        };
        Ok(Ends { head, tail })
    }

    /// Returns the last lines of a file of this length.
    fn last_lines(self, length: u64) -> io::Result<Vec<u8>> {
        let start = length.saturating_sub(Ends::LENGTH).max(Ends::LENGTH);
        let mut raw = self.raw()?;
        raw.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        raw.take(Ends::LENGTH).read_to_end(&mut tail)?;
        remove_first_line(&mut tail);
        Ok(tail)
    }

    fn is_stored_as_it_is(self) -> io::Result<bool> {
        self.is_plain(&mut self.raw()?)
    }

    /// Returns whether its bytes are read as they are, by the first of them, which stay buffered.
    fn is_plain(self, raw: &mut BufReader<Counted<File>>) -> io::Result<bool> {
        let start = raw.fill_buf()?;
        Ok(self.member.is_none() && !is_compressed(start) && !is_event_log(start))
    }

    /// Returns a reader of the file's bytes, from its beginning. A handle that was read before is at another place.
    fn raw(self) -> io::Result<BufReader<Counted<File>>> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(BufReader::with_capacity(BUFFER, Counted::new(file)))
    }

    /// Opens it after this many bytes, or at its end if it has fewer.
    ///
    /// A file that is not compressed is not read for that.
    fn skip(self, bytes: u64) -> io::Result<Opened> {
        let modified = self.file.metadata()?.modified().ok().map(DateTime::<Utc>::from);
        let mut raw = self.raw()?;
        let progress = Arc::clone(&raw.get_ref().bytes);
        let plain = match self.is_plain(&mut raw)? {
            true => Some(Plain(self.file.try_clone()?)),
            false => None,
        };
        let (input, read) = self.skip_in(raw, bytes)?;
        Ok(Opened {
            input,
            modified,
            progress,
            read,
            plain,
        })
    }

    fn skip_in(self, mut raw: BufReader<Counted<File>>, bytes: u64) -> io::Result<Skipped> {
        match self.member {
            Some(member) => read_past(decompressed(member.read(raw)?)?, bytes),
            None if self.is_plain(&mut raw)? => seek_past(raw, bytes),
            #[cfg(feature = "evtx")]
            None if is_event_log(raw.fill_buf()?) => read_past(event_log::open(raw)?, bytes),
            None => read_past(decompressed(raw)?, bytes),
        }
    }
}

/// Removes the first line, which may be only a part of a line.
fn remove_first_line(text: &mut Vec<u8>) {
    let end = text.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
    text.drain(..end.unwrap_or(text.len()));
}

/// Returns whether a file is a Windows event log that can be read: without the feature, none can.
#[cfg(not(feature = "evtx"))]
fn is_event_log(_: &[u8]) -> bool {
    false
}

type Skipped = (Box<dyn BufRead + Send>, Sample);

fn read_past(input: Box<dyn BufRead + Send>, bytes: u64) -> io::Result<Skipped> {
    let mut tracked = Tracked::new(input, Sample::default());
    io::copy(&mut (&mut tracked).take(bytes), &mut io::sink())?;
    Ok(tracked.into_parts())
}

fn seek_past(mut input: BufReader<Counted<File>>, bytes: u64) -> io::Result<Skipped> {
    if bytes == 0 {
        // A seek would read buffered bytes again, and count them twice.
        return Ok((Box::new(input), Sample::default()));
    }
    let either_end = bytes.min(SAMPLE as u64);
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    input.by_ref().take(either_end).read_to_end(&mut head)?;
    input.seek(SeekFrom::Start(bytes - either_end))?;
    input.by_ref().take(either_end).read_to_end(&mut tail)?;
    let missing = either_end - tail.len() as u64;
    Ok((Box::new(input), Sample::resumed(bytes - missing, head, tail)))
}

/// Counts bytes as they are read, for a progress bar.
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
