//! Logs that were read and are not parsed yet.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use chrono::{DateTime, Utc};

use super::lines::Line;
use super::parser::{Parser, RawLine, Take};
use crate::models::{BorrowedLog, FileProgress, LogEntry};

/// Logs that were read and are not parsed yet, to be parsed by whichever thread has time for it: see
/// [`LogReader::next_block`](crate::LogReader::next_block).
pub struct LogBlock {
    /// What is parsed already, and comes first.
    pub(super) ready: Vec<LogEntry>,
    pub(super) pieces: Pieces,
    pub(super) parser: Parser,
    /// For whoever parses what comes next.
    pub(super) last_time: SyncSender<Option<DateTime<Utc>>>,
    pub(super) progress: Option<FileProgress>,
}

impl LogBlock {
    /// How long the text is that is not parsed yet.
    pub fn bytes(&self) -> usize {
        self.pieces.text.len()
    }

    /// Gives the logs to `take`, each while its line is at hand. Says how far the source is read with them, if that was
    /// not said before and the source can be known again: see [`LogReader::take_progress`](crate::LogReader::take_progress).
    ///
    /// Lines without a time wait for the blocks before this one, which give them theirs.
    pub fn parse(mut self, mut take: impl FnMut(BorrowedLog<'_>)) -> Option<FileProgress> {
        for log in &self.ready {
            take(BorrowedLog::of_entry(log));
        }
        self.pieces.parse(&mut self.parser, &mut take);
        let last_time = self.parser.last_time();
        // After the last block nobody waits for it.
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

/// A text, and what stands where in it.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub(super) text: Vec<u8>,
    list: Vec<Piece>,
    /// Those that are not lines of another one.
    count: usize,
}

/// How far some [`Pieces`] go.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    bytes: usize,
    pieces: usize,
    count: usize,
}

#[derive(Debug)]
struct Piece {
    line: Line,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Line,
    /// The first line of a JSON object over several lines: so many of the next ones are the others. An object that does
    /// not end is none.
    Object {
        others: usize,
        has_end: bool,
    },
    /// What should have been JSON, and why it is none.
    Broken(Arc<str>),
}

impl Pieces {
    /// Nothing yet, with memory for a text of this length.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            text: Vec::with_capacity(bytes),
            ..Self::default()
        }
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
        self.count = 0;
    }

    /// How many there are; an object over several lines is one.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Where what is added next begins.
    pub(super) fn end(&self) -> End {
        End {
            bytes: self.text.len(),
            pieces: self.list.len(),
            count: self.count,
        }
    }

    /// Takes back what was added since.
    pub(super) fn truncate(&mut self, end: End) {
        self.text.truncate(end.bytes);
        self.list.truncate(end.pieces);
        self.count = end.count;
    }

    pub(super) fn push_line(&mut self, line: Line) {
        self.push(line, Kind::Line);
    }

    pub(super) fn push_broken(&mut self, line: Line, reason: &Arc<str>) {
        self.push(line, Kind::Broken(Arc::clone(reason)));
    }

    fn push(&mut self, line: Line, kind: Kind) {
        self.list.push(Piece { line, kind });
        self.count += 1;
    }

    /// Adds the lines of an object, of which there is a first one; they stand one after another, each with a line end.
    pub(super) fn push_object(&mut self, lines: Vec<Line>, has_end: bool) {
        let others = lines.len().saturating_sub(1);
        for (place, line) in lines.into_iter().enumerate() {
            let kind = match place {
                0 => Kind::Object { others, has_end },
                _ => Kind::Line,
            };
            self.list.push(Piece { line, kind });
        }
        self.count += 1;
    }

    pub(super) fn parse(&self, parser: &mut Parser, take: &mut Take<'_>) {
        let mut pieces = self.list.iter();
        while let Some(piece) = pieces.next() {
            let line = RawLine {
                bytes: &self.text[piece.line.bytes.clone()],
                part: piece.line.part,
            };
            match &piece.kind {
                _ if line.bytes.is_empty() => {}
                Kind::Line => parser.line(&line, take),
                Kind::Broken(reason) => parser.broken_json(&line, reason, take),
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
