//! An input that samples the bytes that are read, so that its file can be known again.

use std::io::{self, BufRead, Read};

use super::decoder::Decoder;
use crate::models::Encoding;

/// Says how many of the first and the last bytes that were read tell a file from others.
pub(crate) const SAMPLE: usize = 1024;

/// Counts and samples the bytes that are read.
///
/// It may decode them. Then it gives UTF-8, and still counts and samples the bytes of its input.
pub(crate) struct Tracked<R> {
    inner: R,
    read: Sample,
    decoder: Option<Box<Decoder>>,
    /// Holds bytes that were taken from the input to be seen together, and are not consumed.
    ahead: Vec<u8>,
    /// Counts the bytes that are buffered.
    unread: usize,
}

/// Says how much was read, with its first and its last bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) bytes: u64,
    head: Vec<u8>,
    /// Holds bytes that end with the last ones read.
    tail: Vec<u8>,
}

impl Sample {
    /// Describes a reader that goes on after `bytes` bytes, with the first and the last of these.
    pub(crate) fn resumed(bytes: u64, head: Vec<u8>, tail: Vec<u8>) -> Self {
        Self { bytes, head, tail }
    }

    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(crate) fn tail(&self) -> &[u8] {
        let start = self.tail.len().saturating_sub(SAMPLE);
        &self.tail[start..]
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let missing = SAMPLE - self.head.len();
        self.head.extend(bytes.iter().take(missing));
        let last = &bytes[bytes.len().saturating_sub(SAMPLE)..];
        // The bytes are moved seldom, not with every line.
        if self.tail.len() + last.len() > 8 * SAMPLE {
            let start = self.tail.len().saturating_sub(SAMPLE);
            self.tail.drain(..start);
        }
        self.tail.extend_from_slice(last);
    }
}

impl<R: BufRead> Tracked<R> {
    pub(crate) fn new(inner: R, read: Sample) -> Self {
        Self {
            inner,
            read,
            decoder: None,
            ahead: Vec::new(),
            unread: 0,
        }
    }

    /// Decodes what is not read yet. Nothing may have been decoded before.
    pub(crate) fn decode(&mut self, encoding: Encoding) {
        self.decoder = Decoder::new(encoding).map(Box::new);
    }

    pub(crate) fn into_parts(self) -> (R, Sample) {
        (self.inner, self.read)
    }

    /// Shows more of the input than its buffer holds. Returns `false` at the end of the input.
    pub(crate) fn show_more(&mut self) -> io::Result<bool> {
        const STEP: usize = 1 << 12;
        if let Some(decoder) = &mut self.decoder {
            return decoder.decode_more(&mut self.inner);
        }
        if self.ahead.is_empty() {
            self.ahead.extend_from_slice(self.inner.fill_buf()?);
            self.inner.consume(self.ahead.len());
            self.unread = 0;
        }
        let buffer = self.inner.fill_buf()?;
        let shown = buffer.get(..STEP).unwrap_or(buffer);
        let length = shown.len();
        self.unread = buffer.len() - length;
        self.ahead.extend_from_slice(shown);
        self.inner.consume(length);
        Ok(length > 0)
    }

    /// Returns whether there is a whole line to be read without waiting for it.
    pub(crate) fn has_line(&mut self) -> bool {
        if let Some(decoder) = &self.decoder {
            return decoder.decoded().contains(&b'\n');
        }
        if !self.ahead.is_empty() {
            return self.ahead.contains(&b'\n');
        }
        // Buffered bytes come without reading, which cannot fail.
        self.unread > 0 && self.inner.fill_buf().is_ok_and(|buffer| buffer.contains(&b'\n'))
    }

    pub(crate) fn read(&self) -> &Sample {
        &self.read
    }

    /// Returns the sample of the bytes so far.
    pub(crate) fn sample(&self) -> Sample {
        Sample {
            tail: self.read.tail().to_vec(),
            head: self.read.head.clone(),
            ..self.read
        }
    }
}

impl<R: BufRead> Read for Tracked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Tracked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(decoder) = &mut self.decoder {
            return decoder.fill(&mut self.inner);
        }
        if !self.ahead.is_empty() {
            return Ok(&self.ahead);
        }
        let buffer = self.inner.fill_buf()?;
        self.unread = buffer.len();
        Ok(buffer)
    }

    fn consume(&mut self, amount: usize) {
        if let Some(decoder) = &mut self.decoder {
            self.read.extend(decoder.consume(amount));
            return;
        }
        if !self.ahead.is_empty() {
            let consumed = self.ahead.len().min(amount);
            self.read.extend(self.ahead.get(..consumed).unwrap_or_default());
            self.ahead.drain(..consumed);
            return;
        }
        // Consumed bytes were buffered: this reads nothing and cannot fail.
        if let (Ok(buffer), true) = (self.inner.fill_buf(), amount > 0) {
            self.read.extend(&buffer[..amount.min(buffer.len())]);
        }
        self.unread = self.unread.saturating_sub(amount);
        self.inner.consume(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_ahead_is_counted_when_it_is_consumed() {
        let text: Vec<u8> = (0..5_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut input = Tracked::new(
            io::BufReader::with_capacity(7, text.as_slice()),
            Sample::default(),
        );
        assert!(input.show_more().unwrap());
        assert_eq!(input.fill_buf().unwrap(), &text[..14]);
        assert!(input.show_more().unwrap());
        assert_eq!(input.fill_buf().unwrap(), &text[..21]);
        input.consume(20);
        assert_eq!(
            (input.read().bytes, input.fill_buf().unwrap()),
            (20, &text[20..21])
        );
        let mut rest = Vec::new();
        input.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, &text[20..]);
        assert_eq!(input.sample().bytes, text.len() as u64);
        assert_eq!(input.sample().tail(), &text[text.len() - SAMPLE..]);
        assert!(!input.show_more().unwrap());
    }

    #[test]
    fn both_ends_are_remembered() {
        let text: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut input = Tracked::new(text.as_slice(), Sample::default());
        let mut read = 0;
        for step in [1, 2, 3_000, 1_000, 77, 9_000, 20_000, 1_500, 100_000] {
            io::copy(&mut (&mut input).take(step), &mut io::sink()).unwrap();
            read += usize::try_from(step).unwrap();
            assert_eq!(input.sample().bytes, read as u64);
            assert_eq!(input.sample().head(), &text[..read.min(SAMPLE)]);
            assert_eq!(input.sample().tail(), &text[read.saturating_sub(SAMPLE)..read]);
        }
    }
}
