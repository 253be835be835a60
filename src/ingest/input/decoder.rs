//! Decodes a text of another encoding to UTF-8, and tells how many of its bytes were read.
//!
//! Positions in a file are bytes of the file. So each decoded character is traced back to its bytes. That needs no
//! memory: the length of a character in UTF-8 tells how many bytes it had.
//!
//! Bytes that cannot be decoded become bytes that are not UTF-8. The log of such a line keeps them, as it does for a
//! file in UTF-8. A lone half of a surrogate pair is encoded like a character. Any other byte follows the byte 255.

use std::io::{self, BufRead};

use crate::models::{Encoding, EncodingKind as Kind};

/// Limits the bytes that are decoded at a time.
const STEP: usize = 1 << 16;

/// Marks a byte that could not be decoded, which follows it.
const UNDECODED: u8 = 0xff;

/// Decodes the bytes of an input.
pub(crate) struct Decoder {
    characters: Characters,
    /// Holds bytes of the input. Those before `read` are consumed.
    raw: Vec<u8>,
    read: usize,
    /// Holds decoded text. What is before `given` is consumed.
    text: Vec<u8>,
    given: usize,
    /// Counts the bytes of the last character that are not consumed yet.
    rest: usize,
    /// Counts the bytes of `raw` that are decoded.
    decoded: usize,
}

enum Characters {
    Utf16(fn([u8; 2]) -> u16),
    /// Holds the character of each byte; `None` if it has none.
    Single(Box<[Option<char>]>),
}

impl Decoder {
    /// Makes a decoder; `None` if the encoding needs none.
    pub(crate) fn new(encoding: Encoding) -> Option<Self> {
        let characters = match encoding.kind() {
            Kind::Utf8 => return None,
            Kind::Utf16Le => Characters::Utf16(u16::from_le_bytes),
            Kind::Utf16Be => Characters::Utf16(u16::from_be_bytes),
            Kind::Single(single) => {
                Characters::Single((0..=u8::MAX).map(|byte| character(single, byte)).collect())
            }
        };
        Some(Self {
            characters,
            raw: Vec::new(),
            read: 0,
            text: Vec::new(),
            given: 0,
            rest: 0,
            decoded: 0,
        })
    }

    /// Returns text that is decoded and not consumed; nothing only at the end of the input.
    pub(crate) fn fill(&mut self, input: &mut impl BufRead) -> io::Result<&[u8]> {
        while self.is_empty() && self.decode_more(input)? {}
        Ok(self.decoded())
    }

    /// Decodes more of the input. Returns `false` at its end.
    pub(crate) fn decode_more(&mut self, input: &mut impl BufRead) -> io::Result<bool> {
        let buffer = input.fill_buf()?;
        let buffer = buffer.get(..STEP).unwrap_or(buffer);
        let (length, is_end) = (buffer.len(), buffer.is_empty());
        self.raw.drain(..self.read);
        self.decoded = self.decoded.saturating_sub(self.read);
        self.text.drain(..self.given);
        (self.read, self.given) = (0, 0);
        self.raw.extend_from_slice(buffer);
        input.consume(length);
        self.decode(is_end);
        Ok(!is_end)
    }

    /// Returns whether the text that was decoded is consumed.
    fn is_empty(&self) -> bool {
        self.given == self.text.len()
    }

    /// Returns the text that is decoded and not consumed.
    pub(crate) fn decoded(&self) -> &[u8] {
        self.text.get(self.given..).unwrap_or_default()
    }

    /// Consumes decoded text, and returns the bytes that it was decoded from.
    ///
    /// The bytes of a character are consumed with its first byte in UTF-8.
    pub(crate) fn consume(&mut self, amount: usize) -> &[u8] {
        let end = self.text.len().min(self.given + amount);
        let start = self.read;
        for byte in self.text.get(self.given..end).unwrap_or_default() {
            if self.rest > 0 {
                self.rest -= 1;
                continue;
            }
            let (decoded, raw) = self.lengths(*byte);
            self.rest = decoded - 1;
            self.read += raw;
        }
        self.given = end;
        self.raw.get(start..self.read).unwrap_or_default()
    }

    /// Returns how many bytes a character has in UTF-8, given the first of them, and in the input.
    fn lengths(&self, first: u8) -> (usize, usize) {
        let decoded = match first {
            0..=0x7f => 1,
            0x80..=0xdf | UNDECODED => 2,
            0xe0..=0xef => 3,
            0xf0.. => 4,
        };
        let raw = match &self.characters {
            Characters::Single(_) => 1,
            Characters::Utf16(_) if first == UNDECODED => 1,
            Characters::Utf16(_) if decoded == 4 => 4,
            Characters::Utf16(_) => 2,
        };
        (decoded, raw)
    }

    fn decode(&mut self, is_end: bool) {
        let raw = self.raw.get(self.decoded..).unwrap_or_default();
        self.decoded += match &self.characters {
            Characters::Single(table) => decode_single(table, raw, &mut self.text),
            Characters::Utf16(unit) => decode_utf16(*unit, raw, is_end, &mut self.text),
        };
    }
}

/// Decodes a whole text.
pub(crate) fn decode(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    match Decoder::new(encoding) {
        None => bytes.to_vec(),
        Some(mut decoder) => {
            decoder.raw = bytes.to_vec();
            decoder.decode(true);
            decoder.text
        }
    }
}

/// Decodes whole lines from the end of a text.
///
/// They begin after a byte of a line end, which may be the first one of two.
pub(crate) fn decode_tail(encoding: Encoding, tail: &[u8]) -> Vec<u8> {
    let tail = match encoding.kind() {
        Kind::Utf16Le => tail.strip_prefix(b"\0").unwrap_or(tail),
        _ => tail,
    };
    decode(encoding, tail)
}

fn character(encoding: &'static encoding_rs::Encoding, byte: u8) -> Option<char> {
    let decoded = [byte];
    let text = encoding.decode_without_bom_handling_and_without_replacement(&decoded)?;
    text.chars().next()
}

/// Decodes all bytes, and returns their number.
fn decode_single(table: &[Option<char>], raw: &[u8], text: &mut Vec<u8>) -> usize {
    for byte in raw {
        match table.get(usize::from(*byte)).copied().flatten() {
            Some(character) => push(character, text),
            None => text.extend([UNDECODED, *byte]),
        }
    }
    raw.len()
}

/// Decodes whole characters; at the end of the input, also what is left. Returns the number of bytes decoded.
fn decode_utf16(unit: fn([u8; 2]) -> u16, raw: &[u8], is_end: bool, text: &mut Vec<u8>) -> usize {
    let (pairs, odd) = raw.as_chunks::<2>();
    let pairs = match pairs.split_last() {
        // Its other half comes next.
        Some((last, others)) if !is_end && matches!(unit(*last), 0xd800..=0xdbff) => others,
        _ => pairs,
    };
    for decoded in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match decoded {
            Ok(character) => push(character, text),
            Err(error) => text.extend(surrogate(error.unpaired_surrogate())),
        }
    }
    if let (true, [byte]) = (is_end, odd) {
        text.extend([UNDECODED, *byte]);
        return raw.len();
    }
    2 * pairs.len()
}

fn push(character: char, text: &mut Vec<u8>) {
    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Encodes a half of a surrogate pair like a character, which is no UTF-8.
fn surrogate(unit: u16) -> [u8; 3] {
    let [high, low] = unit.to_be_bytes();
    [
        0xe0 | high >> 4,
        0x80 | (high & 0xf) << 2 | low >> 6,
        0x80 | low & 0x3f,
    ]
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    /// Decodes an input that comes in small pieces, and consumes it in steps. Each step gives text and bytes.
    fn steps(encoding: Encoding, input: &[u8], piece: usize, step: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut input = BufReader::with_capacity(piece, input);
        let mut decoder = Decoder::new(encoding).unwrap();
        let mut steps = Vec::new();
        loop {
            let text = decoder.fill(&mut input).unwrap();
            let text = text.get(..step).unwrap_or(text).to_vec();
            if text.is_empty() {
                return steps;
            }
            let raw = decoder.consume(text.len()).to_vec();
            steps.push((text, raw));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_byte_is_decoded_and_counted_once(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xd8), Just(0xdc)], 0..200),
            piece in 1..20_usize,
            step in 1..9_usize,
        ) {
            for name in ["utf-16le", "utf-16be", "windows-1252", "windows-1253", "koi8-r"] {
                let encoding = name.parse().unwrap();
                let steps = steps(encoding, &bytes, piece, step);
                let raw: Vec<u8> = steps.iter().flat_map(|(_, raw)| raw.clone()).collect();
                prop_assert_eq!(&raw, &bytes);
                let text: Vec<u8> = steps.into_iter().flat_map(|(text, _)| text).collect();
                prop_assert_eq!(text, decode(encoding, &bytes));
            }
        }

        #[test]
        fn whole_characters_come_back_with_their_bytes(text in "\\PC{0,40}", piece in 1..9_usize) {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let steps = steps(Encoding::UTF_16LE, &bytes, piece, 1);
            let decoded: Vec<u8> = steps.into_iter().flat_map(|(text, _)| text).collect();
            prop_assert_eq!(decoded, text.into_bytes());
        }
    }

    #[test]
    fn bytes_that_are_no_characters_are_kept() {
        let lone = [b'a', 0, 0x3d, 0xd8, b'b', 0, b'c'];
        let text = decode(Encoding::UTF_16LE, &lone);
        assert_eq!(text, b"a\xed\xa0\xbdb\xffc");
        assert!(std::str::from_utf8(&text).is_err());
        let greek = "windows-1253".parse().unwrap();
        assert_eq!(
            decode(greek, b"\xe1\xaa"),
            "\u{3b1}".bytes().chain([0xff, 0xaa]).collect::<Vec<_>>()
        );
    }
}
