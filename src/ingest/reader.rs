//! A source as an iterator of logs.

use std::collections::VecDeque;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use super::json::{self, Depth, Piece};
use super::lines::{LONGEST_LINE, Line, Lines};
use super::parser::Parser;
use super::{IngestError, IngestOptions, Source};
use crate::models::LogEntry;

/// The logs of one source, in its order.
///
/// An error ends it; what could be read before the error has been given by then.
pub struct LogReader {
    name: PathBuf,
    lines: Lines<Box<dyn BufRead + Send>>,
    parser: Parser,
    ready: VecDeque<LogEntry>,
    /// Lines that were read ahead as JSON and are not; each is now taken for itself.
    again: VecDeque<Line>,
    /// What opened an array, until its first element has turned out to be one.
    opening: Vec<u8>,
    place: Place,
    progress: Arc<AtomicU64>,
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
        let source = Path::new("-");
        Self::build(Box::new(input), options, source, None, None, Arc::default())
    }

    pub(super) fn of_source(
        input: Box<dyn BufRead + Send>,
        options: &IngestOptions,
        source: &Source,
        modified: Option<DateTime<Utc>>,
        progress: Arc<AtomicU64>,
    ) -> Self {
        let name = source.name();
        let file = (name != Path::new("-")).then(|| name.to_string_lossy().into_owned());
        Self::build(input, options, name, file, modified, progress)
    }

    fn build(
        input: Box<dyn BufRead + Send>,
        options: &IngestOptions,
        name: &Path,
        file: Option<String>,
        modified: Option<DateTime<Utc>>,
        progress: Arc<AtomicU64>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            lines: Lines::new(input, LONGEST_LINE),
            parser: Parser::new(options, file, modified, Utc::now()),
            ready: VecDeque::new(),
            again: VecDeque::new(),
            opening: Vec::new(),
            place: Place::Start,
            progress,
        }
    }

    /// How many bytes of the source have been read, before decompression.
    pub fn bytes_read(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Reads until a log is ready or the source ends.
    fn advance(&mut self) -> std::io::Result<()> {
        match self.place {
            Place::Start => {
                self.place = Place::Lines;
                if self.parser.reads_json() {
                    self.open_array()?;
                }
            }
            Place::Array => self.read_element()?,
            Place::Lines => match self.next_line()? {
                Some((line, _)) if line.bytes.is_empty() => {}
                Some((line, read_before)) => self.read_line(line, read_before)?,
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
        Ok(self.lines.next()?.map(|line| (line, false)))
    }

    fn read_line(&mut self, line: Line, read_before: bool) -> std::io::Result<()> {
        let start = line.bytes.trim_ascii_start();
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let is_object = start.starts_with(b"{");
        let is_array = start.starts_with(b"[") && start[1..].trim_ascii_start().starts_with(b"{");
        if !self.parser.reads_json() || line.part.is_some() || !(is_object || is_array) {
            self.ready.push_back(self.parser.line(&line));
            return Ok(());
        }
        match self.parser.json(&line.bytes) {
            Ok(logs) => self.ready.extend(logs),
            Err(error) if is_object && error.is_eof() && !read_before && goes_on(&line) => {
                self.read_object(&line)?;
            }
            Err(error) => {
                let log = self.parser.broken_json(&line, &error.to_string());
                self.ready.push_back(log);
            }
        }
        Ok(())
    }

    /// An object over several lines, of which the first is read.
    fn read_object(&mut self, first: &Line) -> std::io::Result<()> {
        let mut depth = Depth::default();
        depth.read(&first.bytes);
        let mut text = first.bytes.clone();
        let mut rest = VecDeque::new();
        let mut reason = "the object does not end".to_owned();
        while text.len() <= LONGEST_LINE {
            let Some(line) = self.lines.next()? else { break };
            text.push(b'\n');
            text.extend_from_slice(&line.bytes);
            let is_closed = depth.read(&line.bytes).is_some();
            rest.push_back(line);
            if is_closed {
                match self.parser.json(&text) {
                    Ok(logs) => {
                        self.ready.extend(logs);
                        return Ok(());
                    }
                    Err(error) => reason = error.to_string(),
                }
                break;
            }
        }
        self.ready.push_back(self.parser.broken_json(first, &reason));
        self.again = rest;
        Ok(())
    }

    fn read_element(&mut self) -> std::io::Result<()> {
        let mut broken = std::mem::take(&mut self.opening);
        let (bytes, reason) = match json::next_piece(self.lines.input(), LONGEST_LINE)? {
            Piece::End => {
                self.place = Place::Lines;
                return Ok(());
            }
            Piece::Element(bytes) => match self.parser.json(&bytes) {
                Ok(logs) => {
                    self.ready.extend(logs);
                    return Ok(());
                }
                Err(error) => (bytes, error.to_string()),
            },
            Piece::Broken(bytes) => (bytes, "the array breaks off".to_owned()),
        };
        // Whole lines again, up to the end of this one.
        self.place = Place::Lines;
        broken.extend_from_slice(&bytes);
        if let Some(rest) = self.lines.next()? {
            broken.extend_from_slice(&rest.bytes);
        }
        let mut lines = Lines::new(broken.as_slice(), LONGEST_LINE);
        while let Some(line) = lines.next()? {
            if !line.bytes.is_empty() {
                let log = self.parser.broken_json(&line, &reason);
                self.ready.push_back(log);
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
            if self.place == Place::End {
                return None;
            }
            if let Err(error) = self.advance() {
                self.place = Place::End;
                let reason = format!("{error}; the logs before that were read");
                return Some(Err(IngestError::new(&self.name, reason)));
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
