//! Bytes cut into lines, none longer than memory can hold.

use std::io::{self, BufRead};
use std::ops::Range;

/// Limits the bytes of a line. A longer line is cut into parts of this length.
///
/// The stored part has to fit into the store's memory several times.
pub(crate) const LONGEST_LINE: usize = 8 << 20;

/// Marks a line, or a part of one that is too long, in the text that it was added to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Marks the bytes without the line end.
    pub(crate) bytes: Range<usize>,
    /// Says which part of a long line it is, from 1; `None` for a whole line.
    pub(crate) part: Option<u64>,
    /// Counts the NULs before it. They are left where a file was emptied under its writer, or lost in a crash.
    pub(crate) nuls: u64,
}

/// Reads lines that end in `\n` or `\r\n`; the last one need not end.
pub(crate) struct Lines<R> {
    input: R,
    longest: usize,
    /// Counts the parts of the current line that were given.
    parts: u64,
    /// Says whether the last line was given without its end, because the input ends there.
    is_open: bool,
    /// Holds the error that ended the input. It comes after the bytes before it.
    error: Option<io::Error>,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R, longest: usize) -> Self {
        Self {
            input,
            longest,
            parts: 0,
            is_open: false,
            error: None,
        }
    }

    /// Goes on after this many parts of a line.
    pub(crate) fn resume(&mut self, parts: u64) {
        self.parts = parts;
    }

    pub(crate) fn parts(&self) -> u64 {
        self.parts
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(crate) fn input_ref(&self) -> &R {
        &self.input
    }

    pub(crate) fn input(&mut self) -> &mut R {
        &mut self.input
    }

    /// Adds the next line to a text, empty ones included; `None` at the end.
    pub(crate) fn next(&mut self, text: &mut Vec<u8>) -> io::Result<Option<Line>> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let start = text.len();
        let nuls = match self.parts {
            0 => skip_nuls(&mut self.input, text)?,
            _ => 0,
        };
        let read = read_line(&mut self.input, self.longest + 1, text);
        let length = text.len() - start;
        if length == 0 {
            self.is_open = nuls > 0;
            return read.map(|()| None);
        }
        self.error = read.err();
        let has_end = text.ends_with(b"\n");
        let is_cut = !has_end && length > self.longest;
        self.is_open = !has_end && !is_cut;
        if is_cut || self.parts > 0 {
            self.parts += 1;
        }
        let part = (self.parts > 0).then_some(self.parts);
        if !is_cut {
            self.parts = 0;
        }
        if has_end {
            text.pop();
            if text.len() > start && text.ends_with(b"\r") {
                text.pop();
            }
        }
        Ok(Some(Line {
            bytes: start..text.len(),
            part,
            nuls,
        }))
    }

    /// Lets the next line fail, after the bytes that were read before it.
    pub(crate) fn fail_next(&mut self, error: io::Error) {
        self.error = Some(error);
    }
}

/// Skips the NULs before a line, and counts them. A few belong to the line.
fn skip_nuls(input: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<u64> {
    const FEW: u64 = 8;
    let mut skipped = 0;
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        let nuls = buffer.iter().take_while(|byte| **byte == 0).count();
        if nuls == 0 && skipped >= FEW {
            return Ok(skipped);
        } else if nuls == 0 {
            text.extend((0..skipped).map(|_| 0));
            return Ok(0);
        }
        skipped += nuls as u64;
        input.consume(nuls);
    }
}

/// Reads up to a line end, but at most this many bytes.
///
/// It works as `read_until`, whose search for the end is several times slower.
fn read_line(input: &mut impl BufRead, longest: usize, text: &mut Vec<u8>) -> io::Result<()> {
    let longest_text = text.len() + longest;
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        let buffer = &buffer[..buffer.len().min(longest_text - text.len())];
        let end = memchr::memchr(b'\n', buffer);
        let taken = end.map_or(buffer.len(), |end| end + 1);
        text.extend_from_slice(&buffer[..taken]);
        input.consume(taken);
        if end.is_some() || taken == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], longest: usize) -> Vec<(Vec<u8>, Option<u64>)> {
        let mut lines = Lines::new(input, longest);
        let (mut text, mut all) = (b"before".to_vec(), Vec::new());
        while let Some(line) = lines.next(&mut text).unwrap() {
            all.push((text[line.bytes].to_vec(), line.part));
        }
        all
    }

    #[test]
    fn line_ends_are_not_part_of_lines() {
        let read = lines(b"a\r\n\nb\rc\n\xff\0", 100);
        let expected: [&[u8]; 4] = [b"a", b"", b"b\rc", b"\xff\0"];
        assert_eq!(read, expected.map(|bytes| (bytes.to_vec(), None)));
    }

    #[test]
    fn nuls_before_a_line_are_counted() {
        let text = [&[0; 8][..], b"one\0\n\0\ntwo\n", &[0; 9]].concat();
        let mut lines = Lines::new(text.as_slice(), 100);
        let (mut text, mut all) = (Vec::new(), Vec::new());
        while let Some(line) = lines.next(&mut text).unwrap() {
            all.push((text[line.bytes].to_vec(), line.nuls));
        }
        let expected = [(b"one\0".to_vec(), 8), (b"\0".to_vec(), 0), (b"two".to_vec(), 0)];
        assert_eq!(all, expected);
        assert!(lines.is_open());
    }

    #[test]
    fn long_lines_come_in_parts() {
        let read = lines(b"abcdefgh\nabc\nabcd", 3);
        let parts: Vec<_> = read
            .iter()
            .map(|(bytes, part)| (std::str::from_utf8(bytes).unwrap(), *part))
            .collect();
        assert_eq!(
            parts,
            [
                ("abcd", Some(1)),
                ("efgh", Some(2)),
                ("", Some(3)),
                ("abc", None),
                ("abcd", Some(1))
            ]
        );
    }
}
