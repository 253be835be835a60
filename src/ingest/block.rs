//! Logs that were read and are not parsed yet.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use chrono::{DateTime, Utc};

use super::formats::continued::Joint;
use super::formats::header::Header;
use super::input::lines::Line;
use super::parser::{Parser, RawLine, SKIPPED_NULS, Take};
use crate::models::{BorrowedLog, FileProgress, LogEntry};

/// Holds logs that were read and are not parsed yet.
///
/// Any thread can parse them: see [`LogReader::next_block`](crate::ingest::LogReader::next_block).
pub struct LogBlock {
    /// Holds logs that are parsed already. They come first.
    pub(super) ready: Vec<LogEntry>,
    pub(super) pieces: Pieces,
    pub(super) parser: Parser,
    /// Sends the last time of this block to the parser of the next one.
    pub(super) last_time: SyncSender<Option<DateTime<Utc>>>,
    pub(super) progress: Option<FileProgress>,
}

impl LogBlock {
    /// Returns the length of the text that is not parsed yet.
    pub fn bytes(&self) -> usize {
        self.pieces.text.len()
    }

    /// Gives the logs to `take`, each while its line is in memory.
    ///
    /// Returns how far the source is read with them. Returns `None` if nothing was read since the block before, or if
    /// the source cannot be known again.
    ///
    /// Lines without a time wait for the blocks before this one, which give them theirs.
    pub fn parse(mut self, mut take: impl FnMut(BorrowedLog<'_>)) -> Option<FileProgress> {
        for log in &self.ready {
            take(BorrowedLog::of_entry(log));
        }
        self.pieces.parse(&mut self.parser, &mut take);
        let last_time = self.parser.last_time();
        // No parser waits for the last block.
        self.last_time.send(last_time).ok();
        let mut progress = self.progress?;
        progress.to.last_time = last_time;
        Some(progress)
    }
}

impl fmt::Debug for LogBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogBlock").finish_non_exhaustive()
    }
}

/// Holds a text, cut into lines, objects and broken parts.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub(super) text: Vec<u8>,
    list: Vec<Piece>,
    /// Counts the pieces that are not lines of another one.
    count: usize,
    /// Holds the headers of lines, each with the number of pieces before the first line that it is valid for.
    headers: Vec<(usize, Option<Arc<Header>>)>,
    /// Holds the place of the last piece that is no line of another one, if it may be continued.
    last: Option<usize>,
}

/// Holds an event that the next line may continue.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastEvent<'a> {
    pub(super) first: &'a [u8],
    /// Holds all lines of the event.
    pub(super) text: &'a [u8],
    pub(super) last: &'a [u8],
    /// Says how its lines are joined; `None` if it has only one.
    pub(super) joint: Option<Joint>,
}

/// Marks an end of some [`Pieces`].
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    bytes: usize,
    pieces: usize,
    count: usize,
}

impl End {
    /// Counts the pieces before it.
    pub(super) fn count(self) -> usize {
        self.count
    }
}

#[derive(Debug)]
struct Piece {
    line: Line,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Line,
    /// Begins a JSON object over several lines: the next `others` lines belong to it.
    ///
    /// An object that does not end is no JSON.
    Object {
        others: usize,
        has_end: bool,
    },
    /// Begins a record over several lines, of a file whose header names columns.
    Record {
        others: usize,
    },
    /// Begins an event that the next `others` lines continue.
    Joined {
        others: usize,
        joint: Joint,
    },
    /// Begins a Windows event as XML, with all its lines.
    Event,
    /// Says what is wrong with a text that should be JSON or an event.
    Broken(Arc<str>),
}

impl Pieces {
    /// Creates an empty text, with memory for this many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            text: Vec::with_capacity(bytes),
            ..Self::default()
        }
    }

    /// Makes a header valid for the lines that come, or none.
    pub(super) fn set_header(&mut self, header: Option<&Arc<Header>>) {
        self.headers.push((self.list.len(), header.map(Arc::clone)));
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
        self.last = None;
        self.count = 0;
        // The last header is valid for the lines that come.
        if let Some((_, header)) = self.headers.pop() {
            self.headers.clear();
            self.headers.push((0, header));
        }
    }

    /// Counts the pieces. An object over several lines is one piece.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Returns where the next piece will begin.
    pub(super) fn end(&self) -> End {
        End {
            bytes: self.text.len(),
            pieces: self.list.len(),
            count: self.count,
        }
    }

    /// Removes the pieces that were added since.
    pub(super) fn truncate(&mut self, end: End) {
        self.text.truncate(end.bytes);
        self.list.truncate(end.pieces);
        self.last = None;
        self.headers.retain(|(place, _)| *place < end.pieces.max(1));
        self.count = end.count;
    }

    pub(super) fn push_line(&mut self, line: Line) {
        self.push(line, Kind::Line);
    }

    pub(super) fn push_event(&mut self, line: Line) {
        self.push(line, Kind::Event);
    }

    pub(super) fn push_broken(&mut self, line: Line, reason: &Arc<str>) {
        self.push(line, Kind::Broken(Arc::clone(reason)));
    }

    fn push(&mut self, line: Line, kind: Kind) {
        let may_be_continued = matches!(kind, Kind::Line) && line.part.is_none();
        self.last = may_be_continued.then_some(self.list.len());
        self.list.push(Piece { line, kind });
        self.count += 1;
    }

    /// Returns the last event, if a line may continue it.
    pub(super) fn last(&self) -> Option<LastEvent<'_>> {
        let first = self.list.get(self.last?)?;
        let last = self.list.last()?;
        let joint = match first.kind {
            Kind::Joined { joint, .. } => Some(joint),
            _ => None,
        };
        Some(LastEvent {
            first: self.text.get(first.line.bytes.clone())?,
            text: self.text.get(first.line.bytes.start..last.line.bytes.end)?,
            last: self.text.get(last.line.bytes.clone())?,
            joint,
        })
    }

    /// Returns whether the last event is a record whose lines may begin with any byte.
    pub(super) fn is_in_record(&self) -> bool {
        let last = self.last.and_then(|last| self.list.get(last));
        last.is_some_and(|first| {
            matches!(
                first.kind,
                Kind::Joined {
                    joint: Joint::Record,
                    ..
                }
            )
        })
    }

    /// Adds a line, which ends the text, to the last event.
    pub(super) fn join(&mut self, line: Line, joint: Joint) {
        let Some(first) = self.last.and_then(|last| self.list.get_mut(last)) else {
            return self.push_line(line);
        };
        let others = match first.kind {
            Kind::Joined { others, .. } => others + 1,
            _ => 1,
        };
        first.kind = Kind::Joined { others, joint };
        // The lines of an event follow each other with their ends.
        self.text.insert(line.bytes.start, b'\n');
        let bytes = line.bytes.start + 1..line.bytes.end + 1;
        let line = Line { bytes, ..line };
        self.list.push(Piece {
            line,
            kind: Kind::Line,
        });
    }

    /// Adds the lines of an object, at least one. They follow each other in the text, each with a line end.
    pub(super) fn push_object(&mut self, lines: Vec<Line>, has_end: bool) {
        let others = lines.len().saturating_sub(1);
        self.push_group(lines, Kind::Object { others, has_end });
    }

    /// Adds the lines of a record, at least one, as those of an object.
    pub(super) fn push_record(&mut self, lines: Vec<Line>) {
        let others = lines.len().saturating_sub(1);
        self.push_group(lines, Kind::Record { others });
    }

    fn push_group(&mut self, lines: Vec<Line>, kind: Kind) {
        self.last = None;
        let mut first = Some(kind);
        for line in lines {
            let kind = first.take().unwrap_or(Kind::Line);
            self.list.push(Piece { line, kind });
        }
        self.count += 1;
    }

    pub(super) fn parse(&self, parser: &mut Parser, take: &mut Take<'_>) {
        let mut pieces = self.list.iter();
        let take = &mut |nuls: u64, mut log: BorrowedLog<'_>| {
            if nuls > 0 {
                log.note(SKIPPED_NULS, nuls);
            }
            take(log);
        };
        let (mut headers, mut header) = (self.headers.iter().peekable(), None);
        while let Some(piece) = pieces.next() {
            let place = self.list.len() - pieces.len() - 1;
            while let Some((_, next)) = headers.next_if(|(from, _)| *from <= place) {
                header = next.as_deref();
            }
            let line = RawLine {
                bytes: &self.text[piece.line.bytes.clone()],
                part: piece.line.part,
            };
            let take = &mut |log: BorrowedLog<'_>| take(piece.line.nuls, log);
            match &piece.kind {
                _ if line.bytes.is_empty() => {}
                Kind::Line => {
                    let fits = header.is_some_and(|header| parser.columns(line.bytes, header, take));
                    if !fits {
                        parser.line(&line, take);
                    }
                }
                Kind::Record { others } => {
                    let (others, rest) = pieces.as_slice().split_at(*others);
                    let end = others.last().unwrap_or(piece).line.bytes.end;
                    let bytes = &self.text[piece.line.bytes.start..end];
                    match header.is_some_and(|header| parser.columns(bytes, header, take)) {
                        true => pieces = rest.iter(),
                        false => parser.line(&line, take),
                    }
                }
                Kind::Joined { others, joint } => {
                    let (others, rest) = pieces.as_slice().split_at(*others);
                    let end = others.last().unwrap_or(piece).line.bytes.end;
                    let bytes = &self.text[piece.line.bytes.start..end];
                    parser.joined(bytes, *joint, take);
                    pieces = rest.iter();
                }
                Kind::Event => parser.event(&line, take),
                Kind::Broken(problem) => parser.broken(&line, problem, take),
                Kind::Object { has_end: false, .. } => {
                    parser.broken_json(&line, "the object does not end", take);
                }
                Kind::Object { others, .. } => {
                    let (others, rest) = pieces.as_slice().split_at(*others);
                    let end = others.last().unwrap_or(piece).line.bytes.end;
                    match parser.json(&self.text[piece.line.bytes.start..end], take) {
                        Ok(()) => pieces = rest.iter(),
                        Err(error) => parser.broken_json(&line, &error.to_string(), take),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor, Error, Read};
    use std::thread;

    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::ingest::input::checkpoints::Checkpoints;
    use crate::ingest::{IngestOptions, LogReader, Source};
    use crate::models::{FilePosition, TIME_SOURCE};

    /// Reads a text, and parses each block of lines in a thread of its own.
    fn read_in_blocks(text: &[u8], lines: usize, options: &IngestOptions) -> Vec<LogEntry> {
        let mut reader = LogReader::new(Cursor::new(text.to_vec()), options);
        thread::scope(|scope| {
            let mut threads = Vec::new();
            while let Some(block) = reader.next_block(lines) {
                let block = block.unwrap();
                threads.push(scope.spawn(|| {
                    let mut logs = Vec::new();
                    block.parse(|log| logs.push(log.into_entry()));
                    logs
                }));
            }
            let logs = threads.into_iter().map(|thread| thread.join().unwrap());
            logs.flatten().collect()
        })
    }

    /// Clears what depends on when a log was read.
    fn without_own_times(mut log: LogEntry) -> LogEntry {
        log.id.clear();
        log.ingestion_time = DateTime::UNIX_EPOCH;
        let source = log.metadata.get(TIME_SOURCE);
        if source.is_some_and(|source| source == "ingestion") {
            log.event_time = DateTime::UNIX_EPOCH;
        }
        log
    }

    /// Lines of several formats, with and without a time, whole and broken.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let known = select(
            &[
                "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
                "[Sun Dec 04 04:47:44 2005] [error] [client 222.166.160.184] forbidden",
                "{\"ts\": 1521911720.865716, \"id.orig_h\": \"10.47.1.100\", \"id\": 5}",
                "{\"Records\": [1]}",
                "10:00:00 only a time of day",
                "2024-01-01 10:00:00 INFO main: started",
                "[",
                "[{",
                "{",
                "]",
                "},",
                "  indented",
                "\tat com.example.Main.run(Main.java:12)",
                "Caused by: java.io.IOException: no",
                "Traceback (most recent call last):",
                "ValueError: no",
                "2024-01-01T00:00:00.1Z stdout P one",
                "2024-01-01T00:00:00.1Z stdout F two",
                "{\"log\":\"one\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:00.5Z\"}",
                "<Event><System><Channel>a</Channel>",
                "</System></Event>",
            ][..],
        );
        let noise = prop::collection::vec(any::<u8>(), 0..40);
        prop_oneof![3 => known.prop_map(|line| line.as_bytes().to_vec()), 1 => noise]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn blocks_hold_the_logs_that_are_read_one_by_one(
            lines in prop::collection::vec(line(), 0..24),
            size in 1..5_usize,
        ) {
            let text = lines.join(&b'\n');
            let options = IngestOptions::new().with_reference("2024-06-01T00:00:00Z".parse().unwrap());
            let in_blocks = read_in_blocks(&text, size, &options);
            prop_assert!(in_blocks.is_sorted_by(|a, b| a.id < b.id));
            let one_by_one = LogReader::new(Cursor::new(text), &options).map(Result::unwrap);
            let one_by_one: Vec<_> = one_by_one.map(without_own_times).collect();
            let in_blocks: Vec<_> = in_blocks.into_iter().map(without_own_times).collect();
            prop_assert_eq!(in_blocks, one_by_one);
        }
    }

    /// Fails once it is read.
    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(Error::other("the cable is unplugged"))
        }
    }

    #[test]
    fn what_was_read_before_a_failure_is_in_the_block_before_it() {
        let input = BufReader::new(Cursor::new("one\ntwo\n").chain(Failing));
        let mut reader = LogReader::new(input, &IngestOptions::new());
        let mut raws = Vec::new();
        let block = reader.next_block(9).unwrap().unwrap();
        block.parse(|log| raws.push(log.raw().map(str::to_owned)));
        assert_eq!(raws, [Some("one".to_owned()), Some("two".to_owned())]);
        let failure = reader.next_block(9).unwrap().unwrap_err();
        assert!(failure.to_string().contains("unplugged"), "{failure}");
        assert!(reader.next_block(9).is_none());
    }

    /// Returns the position after a file that is read in blocks of this many lines.
    fn position_after(source: &Source, lines: usize) -> FilePosition {
        let checkpoints = Checkpoints::default();
        let mut reader = source.open_known(&IngestOptions::new(), &checkpoints).unwrap();
        let mut last = None;
        while let Some(block) = reader.next_block(lines) {
            last = block.unwrap().parse(|_| {}).or(last);
        }
        let last = last.unwrap();
        assert_eq!(reader.position().as_ref(), Some(&last.to));
        last.to
    }

    #[test]
    fn a_position_does_not_depend_on_the_size_of_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        std::fs::write(&path, "first\n2024-01-01 10:00:00 x\n\n  at some.java.Line\n").unwrap();
        let source = Source::file(&path);
        let position = position_after(&source, 9);
        let time = "2024-01-01T10:00:00Z".parse().unwrap();
        assert_eq!(position.last_time, Some(time));
        assert_eq!(position_after(&source, 1), position);
    }
}
