//! A source as an iterator of logs.

use std::collections::VecDeque;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use super::json::{self, Depth, Piece};
use super::known_files::digest;
use super::lines::{LONGEST_LINE, Line, Lines};
use super::parser::{Parser, Take};
use super::source::Opened;
use super::tracked::{Sample, Tracked};
use super::{IngestError, IngestOptions, Source};
use crate::models::{BorrowedLog, FilePosition, FileProgress, Inside, LogEntry};

/// The logs of one source, in its order.
///
/// An error ends it; what could be read before the error has been given by then.
pub struct LogReader {
    name: PathBuf,
    lines: Lines<Tracked<Box<dyn BufRead + Send>>>,
    parser: Parser,
    ready: VecDeque<LogEntry>,
    /// Lines that were read ahead as JSON and are not; each is now taken for itself.
    again: VecDeque<Line>,
    /// What opened an array, until its first element has turned out to be one.
    opening: Vec<u8>,
    place: Place,
    progress: Arc<AtomicU64>,
    /// What the file is called in a position; `None` for what has no position.
    file: Option<KnownFile>,
    /// Leaves what is not complete yet to be read later.
    is_growing: bool,
    /// What was read last broke off at the end of the input.
    is_cut: bool,
    /// Where what is being read begins.
    begin: Option<Mark>,
}

struct KnownFile {
    id: String,
    path: String,
    /// The bytes that were read by the last progress that was taken, or in an earlier run.
    taken: Option<u64>,
}

/// A place to go on from.
#[derive(Debug, Clone)]
struct Mark {
    sample: Sample,
    inside: Inside,
    last_time: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Lines,
    Array,
    End,
}

impl LogReader {
    /// Reads logs from any input, such as a connection.
    pub fn new(input: impl BufRead + Send + 'static, options: &IngestOptions) -> Self {
        let opened = Opened {
            input: Box::new(input),
            modified: None,
            progress: Arc::default(),
            read: Sample::default(),
        };
        Self::build(opened, options, Path::new("-"), None)
    }

    pub(super) fn of_source(opened: Opened, options: &IngestOptions, source: &Source) -> Self {
        let name = source.name();
        let file = (name != Path::new("-")).then(|| name.to_string_lossy().into_owned());
        Self::build(opened, options, name, file)
    }

    fn build(opened: Opened, options: &IngestOptions, name: &Path, file: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            lines: Lines::new(Tracked::new(opened.input, opened.read), LONGEST_LINE),
            parser: Parser::new(options, file, opened.modified, Utc::now()),
            ready: VecDeque::new(),
            again: VecDeque::new(),
            opening: Vec::new(),
            place: Place::Start,
            progress: opened.progress,
            file: None,
            is_growing: false,
            is_cut: false,
            begin: None,
        }
    }

    /// Lets the reader say how far it has come, after the position at which it was opened.
    pub(super) fn with_position(mut self, id: String, path: String, position: Option<FilePosition>) -> Self {
        if let Some(position) = &position {
            self.parser.resume(position.last_time);
            self.place = match position.inside {
                Inside::Nothing if position.bytes == 0 => Place::Start,
                Inside::Array => Place::Array,
                Inside::Nothing | Inside::Line(_) => Place::Lines,
            };
            if let Inside::Line(parts) = position.inside {
                self.lines.resume(parts);
            }
        }
        self.file = Some(KnownFile {
            id,
            path,
            taken: position.map(|position| position.bytes),
        });
        self
    }

    /// Whether the source was read before, in part or to its end.
    pub fn is_known(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.taken.is_some())
    }

    /// Whether a reader that is opened later can go on here: what was read is complete.
    pub fn is_between_logs(&self) -> bool {
        self.ready.is_empty() && self.again.is_empty() && self.opening.is_empty()
    }

    /// Whether the next log may have to be waited for, as from a pipe; never for a file that can be known.
    pub fn is_waiting(&mut self) -> bool {
        self.file.is_none() && self.is_between_logs() && !self.lines.input().has_line()
    }

    /// How far the source has been read since this was last called; `None` if nothing was read, if the source
    /// cannot be known again, or if this is not [between logs](Self::is_between_logs).
    pub fn take_progress(&mut self) -> Option<FileProgress> {
        if !self.is_between_logs() {
            return None;
        }
        let mark = match (&self.begin, self.is_cut) {
            (Some(begin), true) => begin.clone(),
            _ => self.mark(),
        };
        let file = self.file.as_mut()?;
        let bytes = mark.sample.bytes;
        if bytes == file.taken.unwrap_or_default() {
            return None;
        }
        Some(FileProgress {
            from: file.taken.replace(bytes),
            to: FilePosition {
                id: file.id.clone(),
                path: file.path.clone(),
                bytes,
                head: digest(mark.sample.head()),
                tail: digest(mark.sample.tail()),
                inside: mark.inside,
                last_time: mark.last_time,
            },
        })
    }

    fn mark(&self) -> Mark {
        let inside = match (self.place, self.lines.parts()) {
            (Place::Array, _) => Inside::Array,
            (_, 0) => Inside::Nothing,
            (_, parts) => Inside::Line(parts),
        };
        Mark {
            sample: self.lines.input_ref().sample(),
            inside,
            last_time: self.parser.last_time(),
        }
    }

    /// How many bytes of the source have been read, before decompression.
    pub fn bytes_read(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Leaves what is not complete yet, such as a line without its end, to be read later: its writer is not
    /// done with it.
    #[must_use]
    pub fn leaving_incomplete(mut self) -> Self {
        self.is_growing = true;
        self
    }

    /// Reads on, and gives the logs that were read to `take`, each while its line is at hand; these may be none, or the
    /// elements of an array on one line. `None` at the end, after which there are no more.
    ///
    /// This is for whoever only passes logs on, and does not need [`LogEntry`]s.
    ///
    /// # Errors
    ///
    /// As the iterator: an error ends it.
    ///
    /// ```
    /// use std::io::Cursor;
    /// use logstore::{IngestOptions, LogReader, LogRowsBuilder};
    ///
    /// let mut reader = LogReader::new(Cursor::new("one\ntwo\n"), &IngestOptions::new());
    /// let mut rows = LogRowsBuilder::default();
    /// while let Some(read) = reader.read_next(|log| rows.push(&log)) {
    ///     read?;
    /// }
    /// assert_eq!(rows.finish().len(), 2);
    /// # Ok::<(), logstore::IngestError>(())
    /// ```
    pub fn read_next(&mut self, mut take: impl FnMut(BorrowedLog<'_>)) -> Option<Result<(), IngestError>> {
        while let Some(log) = self.ready.pop_front() {
            take(BorrowedLog::of_entry(&log));
        }
        if self.place == Place::End {
            return None;
        }
        let read = self.advance(&mut take).map_err(|error| {
            self.place = Place::End;
            IngestError::new(&self.name, format!("{error}; the logs before that were read"))
        });
        Some(read)
    }

    /// Reads on, and takes it back if it is not complete yet.
    fn advance(&mut self, take: &mut Take<'_>) -> std::io::Result<()> {
        if self.is_growing && self.is_between_logs() {
            self.begin = Some(self.mark());
        }
        self.read_on(take)?;
        if self.is_cut {
            self.again.clear();
            self.opening.clear();
            self.place = Place::End;
        }
        Ok(())
    }

    fn read_on(&mut self, take: &mut Take<'_>) -> std::io::Result<()> {
        match self.place {
            Place::Start => {
                self.place = Place::Lines;
                if self.parser.reads_json() {
                    self.open_array()?;
                }
            }
            Place::Array => self.read_element(take)?,
            Place::Lines => match self.next_line()? {
                Some((line, read_before)) => self.read_line(line, read_before, take)?,
                None => self.place = Place::End,
            },
            Place::End => {}
        }
        Ok(())
    }

    fn open_array(&mut self) -> std::io::Result<()> {
        if let Some(opening) = json::open_array(self.lines.input())? {
            self.opening = opening;
            self.place = Place::Array;
        }
        Ok(())
    }

    /// The next line, and whether it was read before.
    fn next_line(&mut self) -> std::io::Result<Option<(Line, bool)>> {
        if let Some(line) = self.again.pop_front() {
            return Ok(Some((line, true)));
        }
        Ok(self.new_line()?.map(|line| (line, false)))
    }

    /// A line that was not read before; `None` at the end, or where one begins that is not complete yet.
    fn new_line(&mut self) -> std::io::Result<Option<Line>> {
        let line = self.lines.next();
        self.is_cut = self.is_growing && (self.lines.is_open() || !matches!(line, Ok(Some(_))));
        Ok(line?.filter(|_| !self.is_cut))
    }

    fn read_line(&mut self, line: Line, read_before: bool, take: &mut Take<'_>) -> std::io::Result<()> {
        if line.bytes.is_empty() {
            return Ok(());
        }
        let start = line.bytes.trim_ascii_start();
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let is_object = start.starts_with(b"{");
        let is_array = start.starts_with(b"[") && start[1..].trim_ascii_start().starts_with(b"{");
        if !self.parser.reads_json() || line.part.is_some() || !(is_object || is_array) {
            self.parser.line(&line, take);
        } else if let Err(error) = self.parser.json(&line.bytes, take) {
            if is_object && error.is_eof() && !read_before && goes_on(&line) {
                return self.read_object(&line, take);
            }
            self.parser.broken_json(&line, &error.to_string(), take);
        }
        self.lines.recycle(line);
        Ok(())
    }

    /// An object over several lines, of which the first is read.
    fn read_object(&mut self, first: &Line, take: &mut Take<'_>) -> std::io::Result<()> {
        let mut depth = Depth::default();
        depth.read(&first.bytes);
        let mut text = first.bytes.clone();
        let mut rest = VecDeque::new();
        let mut reason = "the object does not end".to_owned();
        while text.len() <= LONGEST_LINE {
            let line = match self.new_line() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) if self.is_cut => return Err(error),
                // After the lines before it.
                Err(error) => {
                    self.lines.fail_next(error);
                    break;
                }
            };
            text.push(b'\n');
            text.extend_from_slice(&line.bytes);
            let is_closed = depth.read(&line.bytes).is_some();
            rest.push_back(line);
            if is_closed {
                match self.parser.json(&text, take) {
                    Ok(()) => return Ok(()),
                    Err(error) => reason = error.to_string(),
                }
                break;
            }
        }
        if !self.is_cut {
            self.parser.broken_json(first, &reason, take);
            self.again = rest;
        }
        Ok(())
    }

    fn read_element(&mut self, take: &mut Take<'_>) -> std::io::Result<()> {
        let mut broken = std::mem::take(&mut self.opening);
        let (bytes, reason) = match json::next_piece(self.lines.input(), LONGEST_LINE)? {
            Piece::End => {
                self.place = Place::Lines;
                return Ok(());
            }
            Piece::Element(bytes) => match self.parser.json(&bytes, take) {
                Ok(()) => return Ok(()),
                Err(error) => (bytes, error.to_string()),
            },
            Piece::Broken(_) if self.is_growing && self.lines.input().fill_buf()?.is_empty() => {
                self.is_cut = true;
                return Ok(());
            }
            Piece::Broken(bytes) => (bytes, "the array breaks off".to_owned()),
        };
        // Whole lines again, up to the end of this one.
        self.place = Place::Lines;
        broken.extend_from_slice(&bytes);
        if let Some(rest) = self.new_line()? {
            broken.extend_from_slice(&rest.bytes);
        }
        if self.is_cut {
            return Ok(());
        }
        let mut lines = Lines::new(broken.as_slice(), LONGEST_LINE);
        while let Some(line) = lines.next()? {
            if !line.bytes.is_empty() {
                self.parser.broken_json(&line, &reason, take);
            }
        }
        Ok(())
    }
}

fn goes_on(line: &Line) -> bool {
    json::goes_on(&String::from_utf8_lossy(&line.bytes))
}

impl Iterator for LogReader {
    type Item = Result<LogEntry, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(log) = self.ready.pop_front() {
                return Some(Ok(log));
            }
            let mut ready = VecDeque::new();
            let read = self.read_next(|log| ready.push_back(log.into_entry()))?;
            self.ready = ready;
            if let Err(error) = read {
                return Some(Err(error));
            }
        }
    }
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
