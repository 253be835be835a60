//! The reader of one source: an iterator of logs.

use std::collections::VecDeque;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::block::{End, LastEvent, LogBlock, Pieces};
use super::error::IngestError;
use super::formats::brackets::Depth;
use super::formats::continued::{self, Joint};
use super::formats::event_xml;
use super::formats::exported;
use super::formats::header::Headers;
use super::formats::json::{self, Piece};
use super::input::checkpoints::{digest, head_digests};
use super::input::decoder::{decode, decode_tail};
use super::input::encoding::recognise;
use super::input::lines::{LONGEST_LINE, Line, Lines};
use super::input::opened::{Ends, Opened, Plain};
use super::input::tracked::{Sample, Tracked};
use super::options::IngestOptions;
use super::parser::{Parser, check_json, is_cut_json};
use crate::models::{BorrowedLog, Encoding, FilePosition, FileProgress, LogEntry, ResumePoint};

/// Iterates over the logs of one source, in its order.
///
/// An error ends the iterator. The logs before the error come before it.
pub struct LogReader {
    name: PathBuf,
    lines: Lines<Tracked<Box<dyn BufRead + Send>>>,
    parser: Parser,
    ready: VecDeque<LogEntry>,
    /// Holds lines that were read and are not parsed yet.
    pieces: Pieces,
    /// Holds the opening of an array, until its first element has been read.
    opening: Vec<u8>,
    place: Place,
    progress: Arc<AtomicU64>,
    plain: Option<Plain>,
    /// Follows the lines that name columns.
    headers: Headers,
    /// Holds the encoding of the source, once it is known.
    encoding: Option<Encoding>,
    /// Holds the names of the file in a position; `None` for a source that has no position.
    file: Option<KnownFile>,
    /// Says whether all of it was read before, as a part of another file.
    is_contained: bool,
    /// Says whether the file may grow. Then a line without its end is left to be read later.
    is_growing: bool,
    /// Is set if the last event was left to be read later, as more lines may belong to it.
    holds: Option<Arc<AtomicBool>>,
    /// Marks the beginning of the last event of the block, in the file and in the block.
    event: Option<(Mark, End)>,
    /// Says whether the last line broke off at the end of the input.
    is_cut: bool,
    /// Marks the beginning of the line or object that is being read.
    begin: Option<Mark>,
    /// Holds the error that ended the source. It comes after the block before it.
    error: Option<IngestError>,
    /// Says how the file was cut since it was last read.
    cut: Option<CutFile>,
}

/// Describes a file that has become shorter since it was last read.
///
/// Its rest was read before, so that reading goes on from its new end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutFile {
    /// Holds the absolute path of the file.
    pub path: PathBuf,
    /// Counts the bytes that it had, after decompression.
    pub was: u64,
    /// Counts the bytes that it has now, after decompression.
    pub is: u64,
}

struct KnownFile {
    id: String,
    path: String,
    /// Holds the position of the last progress that was taken, or the position that it was opened at.
    taken: Option<FilePosition>,
}

/// Marks a place to go on from.
#[derive(Debug, Clone)]
struct Mark {
    sample: Sample,
    resume: ResumePoint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Lines,
    Array,
    End,
    /// Means that the file was emptied and written anew. The source ends before the part that was read last.
    Replaced,
}

impl LogReader {
    /// Reads logs from any input, such as a connection.
    pub fn new(input: impl BufRead + Send + 'static, options: &IngestOptions) -> Self {
        let opened = Opened {
            input: Box::new(input),
            modified: None,
            progress: Arc::default(),
            read: Sample::default(),
            plain: None,
        };
        Self::build(opened, options, Path::new("-"), None)
    }

    /// Reads lines that stand for those of a source with this name. The reader has no position.
    pub(crate) fn of_lines(
        input: impl BufRead + Send + 'static,
        options: &IngestOptions,
        name: &Path,
    ) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::new(input, options)
        }
    }

    /// Reads from a source with this name. The name `-` is standard input, which is no file.
    pub(super) fn of_source(opened: Opened, options: &IngestOptions, name: &Path) -> Self {
        let file = (name != Path::new("-")).then(|| name.to_string_lossy().into_owned());
        Self::build(opened, options, name, file)
    }

    /// Decides by the dates at both ends of the source whether day or month comes first in the others.
    pub(super) fn with_ends(mut self, ends: &Ends) -> Self {
        let encoding = self.decode(&ends.head);
        let (head, tail) = (decode(encoding, &ends.head), decode_tail(encoding, &ends.tail));
        self.parser.decide_order([&head, &tail]);
        self
    }

    /// Goes on below the lines of a source that may have named columns.
    pub(super) fn with_headers(mut self, headers: Headers) -> Self {
        if self.parser.reads_headers() {
            self.pieces.set_header(headers.current());
            self.headers = headers;
        }
        self
    }

    /// Decodes the source by its first bytes, unless the options name its encoding.
    fn decode(&mut self, head: &[u8]) -> Encoding {
        let encoding = self.parser.encoding().unwrap_or_else(|| recognise(head));
        self.lines.input().decode(encoding);
        self.encoding = Some(encoding);
        encoding
    }

    fn build(opened: Opened, options: &IngestOptions, name: &Path, file: Option<String>) -> Self {
        let parser = Parser::new(options, file, opened.modified, crate::models::now());
        let headers = match parser.reads_headers() {
            true => Headers::default(),
            false => Headers::none(),
        };
        Self {
            name: name.to_owned(),
            lines: Lines::new(Tracked::new(opened.input, opened.read), LONGEST_LINE),
            parser,
            ready: VecDeque::new(),
            pieces: Pieces::default(),
            opening: Vec::new(),
            place: Place::Start,
            progress: opened.progress,
            plain: opened.plain,
            headers,
            encoding: None,
            file: None,
            is_contained: false,
            is_growing: false,
            holds: None,
            event: None,
            is_cut: false,
            begin: None,
            error: None,
            cut: None,
        }
    }

    /// Makes the reader say how far it has come, after the position at which it was opened.
    pub(super) fn with_position(mut self, id: String, path: String, position: Option<FilePosition>) -> Self {
        if let Some(position) = &position {
            self.parser.resume(position.last_time);
            self.place = match position.resume {
                ResumePoint::LineStart if position.bytes == 0 => Place::Start,
                ResumePoint::Array => Place::Array,
                ResumePoint::LineStart | ResumePoint::LongLine(_) => Place::Lines,
            };
            if let ResumePoint::LongLine(parts) = position.resume {
                self.lines.resume(parts);
            }
        }
        // A file that is known again has this path now.
        let taken = position.map(|position| FilePosition {
            path: path.clone(),
            ..position
        });
        self.file = Some(KnownFile { id, path, taken });
        self
    }

    /// Returns the id of the position.
    pub(super) fn position_id(&self) -> Option<String> {
        self.file.as_ref().map(|file| file.id.clone())
    }

    /// Gives nothing more: all of the source was read before, as a part of another source.
    pub(super) fn at_known_end(mut self) -> Self {
        self.place = Place::End;
        self.is_contained = true;
        self
    }

    /// Makes the reader say that its file was cut.
    pub(super) fn with_cut(self, cut: Option<CutFile>) -> Self {
        Self { cut, ..self }
    }

    /// Returns how the file was cut since it was last read. Later calls return `None`.
    pub(crate) fn take_cut(&mut self) -> Option<CutFile> {
        self.cut.take()
    }

    /// Returns the name of the source; `-` for standard input and for an input that was open already.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Returns whether the source was read before, in part or to its end.
    pub(crate) fn is_known(&self) -> bool {
        self.is_contained || self.file.as_ref().is_some_and(|file| file.taken.is_some())
    }

    /// Returns whether a later reader can go on here: everything that was read is complete.
    fn is_between_logs(&self) -> bool {
        self.ready.is_empty() && self.opening.is_empty()
    }

    /// Returns whether the next log may have to be waited for, as from a pipe; never for a file that can be known.
    pub(crate) fn is_waiting(&mut self) -> bool {
        self.file.is_none() && self.is_between_logs() && !self.lines.input().has_line()
    }

    /// Returns how far the source has been read since this was last called, without the time of the last line.
    ///
    /// Returns `None` if nothing was read, or if the source cannot be known again. It also does if the reader is not
    /// [between logs](Self::is_between_logs).
    fn progress(&mut self) -> Option<FileProgress> {
        if !self.is_between_logs() {
            return None;
        }
        let mark = match (&self.begin, self.is_cut) {
            (Some(begin), true) => begin.clone(),
            _ => self.mark(),
        };
        let file = self.file.as_mut()?;
        let from = file.taken.as_ref().map(|position| position.bytes);
        if mark.sample.bytes == from.unwrap_or_default() {
            return None;
        }
        let to = FilePosition {
            id: file.id.clone(),
            path: file.path.clone(),
            bytes: mark.sample.bytes,
            head_fingerprint: head_digests(mark.sample.head()),
            tail_fingerprint: digest(mark.sample.tail()),
            resume: mark.resume,
            last_time: None,
        };
        file.taken = Some(to.clone());
        Some(FileProgress { from, to })
    }

    /// Returns the position after the last block, for a reader that is opened later.
    ///
    /// Returns `None` for a source that cannot be known again. Waits until all blocks are parsed.
    pub(crate) fn position(&mut self) -> Option<FilePosition> {
        let last_time = self.parser.last_time();
        let position = self.file.as_ref()?.taken.clone()?;
        Some(FilePosition {
            last_time,
            ..position
        })
    }

    fn mark(&self) -> Mark {
        let resume = match (self.place, self.lines.parts()) {
            (Place::Array, _) => ResumePoint::Array,
            (_, 0) => ResumePoint::LineStart,
            (_, parts) => ResumePoint::LongLine(parts),
        };
        Mark {
            sample: self.lines.input_ref().sample(),
            resume,
        }
    }

    /// Returns how many bytes of the source have been read, before decompression.
    pub fn bytes_read(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Leaves incomplete ends to be read later, such as a line without its line end. The writer is not done.
    #[must_use]
    pub(crate) fn leaving_incomplete(mut self) -> Self {
        self.is_growing = true;
        self
    }

    /// Leaves the last event to be read later as well, if it has several lines and more may come. Sets `holds` then.
    #[must_use]
    pub(crate) fn holding(mut self, holds: Arc<AtomicBool>) -> Self {
        holds.store(false, Ordering::Relaxed);
        self.holds = Some(holds);
        self
    }

    /// Returns whether the last event is to be left to be read later if the file ends.
    fn may_hold(&self) -> bool {
        let is_open = |event: LastEvent<'_>| event.joint.is_some() || continued::is_part(event.last);
        self.holds.is_some() && self.pieces.last().is_some_and(is_open)
    }

    /// Reads on, and gives the logs that were read to `take`, each while its line is in memory.
    ///
    /// These may be none, or the elements of an array on one line. Returns `None` at the end, after which there are no
    /// more.
    ///
    /// # Errors
    ///
    /// Fails as the iterator does: an error ends it.
    fn read_next(&mut self, mut take: impl FnMut(BorrowedLog<'_>)) -> Option<Result<(), IngestError>> {
        /// Limits the memory that is kept: lines are rarely longer.
        const USUAL: usize = 1 << 16;
        while let Some(log) = self.ready.pop_front() {
            take(BorrowedLog::of_entry(&log));
        }
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        if matches!(self.place, Place::End | Place::Replaced) {
            return None;
        }
        let mut read = self.advance();
        while read.is_ok() && !self.is_waiting() && self.goes_on() {
            read = self.advance();
        }
        self.parser.start_now();
        self.pieces.parse(&mut self.parser, &mut take);
        self.pieces.clear();
        self.pieces.text.shrink_to(USUAL);
        Some(read)
    }

    /// Reads up to about `lines` lines or objects without parsing them.
    ///
    /// Returns fewer if they are long or not available yet. Returns `None` at the end, after which there are no more.
    ///
    /// Several threads can parse the blocks: see [`LogBlock::parse`]. A call that needs the time of the last line waits
    /// until the blocks are parsed.
    ///
    /// # Errors
    ///
    /// Fails as the iterator does: an error ends it.
    pub(crate) fn next_block(&mut self, lines: usize) -> Option<Result<LogBlock, IngestError>> {
        /// Limits the bytes of a block. Only a block of a single line has many more.
        const BYTES: usize = 2 << 20;
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        if self.place == Place::Replaced {
            return None;
        }
        let mut is_waiting = false;
        while self.place != Place::End && !is_waiting {
            let is_full = self.pieces.count() >= lines || self.pieces.text.len() >= BYTES;
            if is_full && self.opening.is_empty() && !self.goes_on() && !self.may_hold() {
                break;
            }
            self.error = self.advance().err();
            is_waiting = self.is_waiting();
        }
        if self.is_replaced() {
            return self.end_replaced();
        }
        let capacity = self.pieces.text.len().min(BYTES);
        let mut next = Pieces::with_capacity(capacity + capacity / 8);
        if let Some(header) = self.headers.current() {
            next.set_header(Some(header));
        }
        let pieces = std::mem::replace(&mut self.pieces, next);
        self.event = None;
        let ready = std::mem::take(&mut self.ready);
        let progress = self.progress();
        let is_empty = pieces.count() == 0 && ready.is_empty() && progress.is_none();
        if is_empty && self.place == Place::End {
            return self.error.take().map(Err);
        }
        let (parser, last_time) = self.parser.for_next();
        Some(Ok(LogBlock {
            ready: ready.into(),
            pieces,
            parser,
            last_time,
            progress,
        }))
    }

    /// Returns whether the file was emptied and written anew since its beginning was read.
    ///
    /// The bytes that were read last may then be of another file.
    fn is_replaced(&self) -> bool {
        let read = self.lines.input_ref().read();
        self.plain.as_ref().is_some_and(|plain| plain.is_replaced(read))
    }

    /// Ends the source before the line that was read last.
    fn end_replaced(&mut self) -> Option<Result<LogBlock, IngestError>> {
        self.plain = None;
        self.pieces.clear();
        self.ready.clear();
        self.place = Place::Replaced;
        if self.is_growing {
            log::debug!(
                "{}: emptied and written anew while it was read",
                self.name.display()
            );
            return None;
        }
        let reason =
            "the file was emptied and written anew while it was read; the logs before that were read";
        Some(Err(IngestError::new(&self.name, reason)))
    }

    /// Reads on, and takes it back if it is not complete yet.
    fn advance(&mut self) -> Result<(), IngestError> {
        if self.is_growing && self.is_between_logs() {
            self.begin = Some(self.mark());
        }
        let before = self.pieces.end();
        let read = match self.read_on() {
            // The file is still being compressed.
            Err(error) if self.is_growing && error.kind() == std::io::ErrorKind::UnexpectedEof => {
                log::debug!("{}: breaks off; its rest is waited for", self.name.display());
                self.is_cut = true;
                Ok(())
            }
            read => read.map_err(|error| {
                self.place = Place::End;
                IngestError::new(&self.name, format!("{error}; the logs before that were read"))
            }),
        };
        if let (Some(begin), true) = (&self.begin, self.pieces.count() > before.count()) {
            self.event = Some((begin.clone(), before));
        }
        if self.is_cut {
            self.take_back(before);
            self.opening.clear();
            self.place = Place::End;
        }
        if self.place == Place::End {
            self.log_end();
        }
        read
    }

    /// Takes back what is not complete: an event that more lines may belong to, else what was read after this end.
    fn take_back(&mut self, before: End) {
        let event = self.event.take().filter(|_| self.may_hold());
        match (event, &self.holds) {
            (Some((begin, end)), Some(holds)) => {
                holds.store(true, Ordering::Relaxed);
                self.pieces.truncate(end);
                self.begin = Some(begin);
            }
            _ => self.pieces.truncate(before),
        }
    }

    fn log_end(&self) {
        // A file that is followed comes to its end with every line.
        let level = if self.is_growing {
            log::Level::Debug
        } else {
            log::Level::Info
        };
        let (name, bytes) = (self.name.display(), self.bytes_read());
        log::log!(level, bytes = bytes; "{name}: read to its end, {bytes} bytes");
    }

    fn read_on(&mut self) -> std::io::Result<()> {
        match self.place {
            Place::Start => {
                if self.encoding.is_none() {
                    let head = self.lines.input().fill_buf()?.to_vec();
                    self.decode(&head);
                }
                self.place = Place::Lines;
                if self.parser.reads_json() {
                    self.warn_of_export()?;
                    self.open_array()?;
                }
                if self.parser.reads_events() && self.opening.is_empty() {
                    self.open_events()?;
                }
            }
            Place::Array => self.read_element()?,
            Place::Lines => {
                if self.begins_event()? {
                    return self.read_event();
                }
                match self.new_line()? {
                    Some(line) => self.read_line(line)?,
                    None => self.place = Place::End,
                }
            }
            Place::End | Place::Replaced => {}
        }
        Ok(())
    }

    /// Warns if the logs were exported: read as logs of any program, they get new ids.
    fn warn_of_export(&mut self) -> std::io::Result<()> {
        let start = self.lines.input().fill_buf()?;
        if first_line(start).is_some_and(exported::may_begin) {
            let name = self.name.display();
            log::warn!(
                "{name} looks like a file of logstore export: if it is one, read it with --input-format export \
                 to keep ids and fields"
            );
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

    /// Reads what precedes the first of a list of events.
    fn open_events(&mut self) -> std::io::Result<()> {
        let input = self.lines.input();
        loop {
            let start = input.fill_buf()?;
            match event_xml::opening(start) {
                event_xml::Next::Event(length) => {
                    self.opening = start.get(..length).unwrap_or_default().to_vec();
                    input.consume(length);
                    return Ok(());
                }
                event_xml::Next::Unknown if input.show_more()? => {}
                _ => return Ok(()),
            }
        }
    }

    /// Returns whether a Windows event comes next, and skips what is between two of them.
    fn begins_event(&mut self) -> std::io::Result<bool> {
        if self.lines.parts() > 0 || !self.parser.reads_events() {
            return Ok(false);
        }
        let input = self.lines.input();
        loop {
            let buffer = input.fill_buf()?;
            if !matches!(buffer.first(), Some(b'<' | b' ' | b'\t' | b'\r')) {
                return Ok(false);
            }
            match event_xml::next(buffer) {
                event_xml::Next::Event(space) => {
                    // Other documents have elements of that name.
                    let is_in_document = self.parser.joins_lines()
                        && self
                            .pieces
                            .last()
                            .is_some_and(|event| continued::is_open_document(event.text, event.last));
                    if !is_in_document {
                        input.consume(space);
                    }
                    return Ok(!is_in_document);
                }
                event_xml::Next::End(length) => input.consume(length),
                event_xml::Next::Unknown if input.show_more()? => {}
                event_xml::Next::Unknown | event_xml::Next::Other => return Ok(false),
            }
        }
    }

    fn read_event(&mut self) -> std::io::Result<()> {
        let opening = std::mem::take(&mut self.opening);
        let (bytes, has_end) = event_xml::next_event(self.lines.input(), LONGEST_LINE)?;
        if has_end {
            let start = self.pieces.text.len();
            self.pieces.text.extend_from_slice(&bytes);
            self.pieces.push_event(Line {
                bytes: start..self.pieces.text.len(),
                part: None,
                nuls: 0,
            });
            return Ok(());
        }
        if self.is_growing && self.lines.input().fill_buf()?.is_empty() {
            self.is_cut = true;
            return Ok(());
        }
        self.read_broken(
            [opening, bytes].concat(),
            "not a whole Windows event: it does not end",
        )
    }

    /// Reads whole lines again, up to the end of the last one.
    fn read_broken(&mut self, mut broken: Vec<u8>, problem: &str) -> std::io::Result<()> {
        if let Some(rest) = self.new_line()? {
            let rest = rest.bytes;
            broken.extend_from_slice(&self.pieces.text[rest.clone()]);
            self.pieces.text.truncate(rest.start);
        }
        let problem = problem.into();
        let mut lines = Lines::new(broken.as_slice(), LONGEST_LINE);
        while let Some(line) = lines.next(&mut self.pieces.text)? {
            self.pieces.push_broken(line, &problem);
        }
        Ok(())
    }

    /// Returns the next line; `None` at the end, or where a line begins that is not complete yet.
    fn new_line(&mut self) -> std::io::Result<Option<Line>> {
        let line = self.lines.next(&mut self.pieces.text);
        self.is_cut = self.is_growing && (self.lines.is_open() || !matches!(line, Ok(Some(_))));
        Ok(line?.filter(|_| !self.is_cut))
    }

    fn read_line(&mut self, line: Line) -> std::io::Result<()> {
        let bytes = &self.pieces.text[line.bytes.clone()];
        if line.part.is_none() && self.headers.read(bytes) {
            self.pieces.set_header(self.headers.current());
        }
        let bytes = &self.pieces.text[line.bytes.clone()];
        if let (Some(header), None) = (self.headers.current(), line.part)
            && std::str::from_utf8(bytes).is_ok_and(|text| header.goes_on(text))
        {
            return self.read_record(line);
        }
        if let Some(joint) = self.joint(&line) {
            self.pieces.join(line, joint);
            return Ok(());
        }
        let may_go_on = self.parser.reads_json()
            && line.part.is_none()
            && json::may_be_object(bytes)
            && json::may_go_on(bytes);
        if may_go_on && is_cut_json(bytes) {
            return self.read_object(line);
        }
        self.pieces.push_line(line);
        Ok(())
    }

    /// Returns how a line continues the event before it; `None` if it begins an event.
    fn joint(&self, line: &Line) -> Option<Joint> {
        if line.part.is_some() || line.nuls > 0 || self.headers.current().is_some() {
            return None;
        }
        let bytes = self.pieces.text.get(line.bytes.clone())?;
        joint(&self.pieces, &self.parser, bytes)
    }

    /// Returns whether the next line continues the last event, or may do so. Such a line is of the same block.
    fn goes_on(&mut self) -> bool {
        /// Counts the bytes of a line that tell whether it continues the line before.
        const ENOUGH_TO_TELL: usize = 1 << 12;
        if self.place != Place::Lines || self.headers.current().is_some() || self.pieces.last().is_none() {
            return false;
        }
        let buffer = match self.lines.input().fill_buf() {
            Ok(buffer) => buffer,
            Err(error) => {
                self.lines.fail_next(error);
                return false;
            }
        };
        match first_line(buffer) {
            _ if buffer.is_empty() => false,
            Some(line) => joint(&self.pieces, &self.parser, line).is_some(),
            // The beginning of a long line tells what it continues.
            None if buffer.len() >= ENOUGH_TO_TELL => joint(&self.pieces, &self.parser, buffer).is_some(),
            None => true,
        }
    }

    /// Reads the rest of an object over several lines, after its first line.
    fn read_object(&mut self, first: Line) -> std::io::Result<()> {
        let mut depth = Depth::default();
        depth.read(&self.pieces.text[first.bytes.clone()]);
        let (lines, has_end) = self.read_group(first, |line| depth.read(line).is_some())?;
        self.pieces.push_object(lines, has_end);
        Ok(())
    }

    /// Reads the rest of a record over several lines, after its first line, up to the quote that ends a column.
    fn read_record(&mut self, first: Line) -> std::io::Result<()> {
        let ends = |line: &[u8]| memchr::memchr_iter(b'"', line).count() % 2 == 1;
        let (lines, _) = self.read_group(first, ends)?;
        self.pieces.push_record(lines);
        Ok(())
    }

    /// Reads lines after a first one, up to one that ends them. Returns whether there is such a line.
    fn read_group(
        &mut self,
        first: Line,
        mut ends: impl FnMut(&[u8]) -> bool,
    ) -> std::io::Result<(Vec<Line>, bool)> {
        let start = first.bytes.start;
        let mut lines = vec![first];
        let mut has_end = false;
        while !has_end && self.pieces.text.len() - start <= LONGEST_LINE {
            self.pieces.text.push(b'\n');
            let line = match self.new_line() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) if self.is_cut => return Err(error),
                // The error comes after the lines before it.
                Err(error) => {
                    self.lines.fail_next(error);
                    break;
                }
            };
            has_end = ends(&self.pieces.text[line.bytes.clone()]);
            lines.push(line);
        }
        Ok((lines, has_end))
    }

    fn read_element(&mut self) -> std::io::Result<()> {
        let start = self.pieces.text.len();
        let opening = std::mem::take(&mut self.opening);
        let (bytes, reason) = match json::next_piece(self.lines.input(), LONGEST_LINE)? {
            Piece::End => {
                self.place = Place::Lines;
                return Ok(());
            }
            Piece::Element(bytes) => match check_json(&bytes) {
                Ok(()) => {
                    self.pieces.text.extend_from_slice(&bytes);
                    let bytes = start..self.pieces.text.len();
                    self.pieces.push_line(Line {
                        bytes,
                        part: None,
                        nuls: 0,
                    });
                    return Ok(());
                }
                Err(error) => (bytes, error.to_string()),
            },
            Piece::Broken(_) if self.is_growing && self.lines.input().fill_buf()?.is_empty() => {
                self.is_cut = true;
                return Ok(());
            }
            Piece::Broken(bytes) => (bytes, "the array breaks off".to_owned()),
        };
        self.place = Place::Lines;
        self.read_broken([opening, bytes].concat(), &format!("not valid JSON: {reason}"))
    }
}

/// Returns the first line of a buffer, without its end; `None` if the buffer ends before.
fn first_line(buffer: &[u8]) -> Option<&[u8]> {
    let line = buffer.get(..memchr::memchr(b'\n', buffer)?)?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Returns how a line continues the last event of some pieces.
fn joint(pieces: &Pieces, parser: &Parser, line: &[u8]) -> Option<Joint> {
    if !(continued::may_be(line) || pieces.is_in_record()) || !parser.joins_lines() {
        return None;
    }
    let event = pieces.last()?;
    let joint = continued::joint(event.text, event.last, line)?;
    let is_short = event.text.len() + line.len() < LONGEST_LINE;
    let is_alike = match event.joint {
        Some(before) => before == joint,
        // Objects are whole. An event without a time may be the rest of another one.
        None if joint == Joint::Lines => {
            !json::may_be_objects(event.first) && parser.has_own_time(event.first)
        }
        None => true,
    };
    (is_short && is_alike).then_some(joint)
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::ingest::input::checkpoints::Checkpoints;
    use crate::ingest::source::Source;

    /// Opens a file of 1,000 lines as a known one, and reads ten of them.
    fn read_ten(path: &Path, is_growing: bool) -> LogReader {
        let lines: String = (0..1_000).map(|line| format!("line {line:03}\n")).collect();
        fs::write(path, lines).unwrap();
        let opened = Source::file(path).open_known(&IngestOptions::new(), &Checkpoints::default());
        let mut reader = opened.unwrap();
        reader.is_growing = is_growing;
        reader.next_block(10).unwrap().unwrap().parse(|_| {});
        reader
    }

    #[test]
    fn no_line_is_made_of_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        for is_growing in [false, true] {
            let mut reader = read_ten(&path, is_growing);
            fs::write(&path, "other lines\n".repeat(2_000)).unwrap();
            let next = reader
                .next_block(10)
                .map(|next| next.map_err(|error| error.to_string()));
            match next {
                None => assert!(is_growing),
                Some(Err(error)) => assert!(!is_growing && error.contains("written anew"), "{error}"),
                Some(Ok(_)) => panic!("read a block of two files"),
            }
            assert!(reader.next_block(10).is_none());
            assert_eq!(reader.position().unwrap().bytes, 90);
        }
    }

    #[test]
    fn a_file_that_is_emptied_was_read_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let mut reader = read_ten(&path, true);
        fs::write(&path, "").unwrap();
        reader.next_block(10).unwrap().unwrap().parse(|_| {});
        assert_eq!(reader.position().unwrap().bytes, 180);
    }
}
