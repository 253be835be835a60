//! The trigrams of a block: what its logs have besides templates, so that a part of a word is looked for in templates
//! alone.
//!
//! A filter has whole words. A part of one may be in a template, which is looked at once for all of its logs, or in a value
//! that fills one. Of the values, a block has each three letters or digits of ASCII that follow one another, in one letter
//! case, as the module `pg_trgm` of PostgreSQL has of a text. Three digits are in every block. So of addresses, it has the
//! two numbers in the middle as well.

use zstd::bulk::Decompressor;

use super::keys::fold;
use crate::models::observables::percent_decoded;

/// Counts the letters and digits of ASCII, in one letter case.
const LETTERS: u32 = 36;

const TRIGRAMS: u32 = LETTERS.pow(3);

/// Counts the pairs of numbers that are in an address.
const PAIRS: u32 = 256 * 256;

const BITS_OF_WORD: u32 = u64::BITS;

/// Counts the words of 64 bits.
const WORDS: usize = (TRIGRAMS + PAIRS).div_ceil(BITS_OF_WORD) as usize;

const BYTES: usize = WORDS * size_of::<u64>();

/// Names the level of compression: of generated NDJSON, a block takes 5,000 bytes of 14,024.
const LEVEL: i32 = 3;

/// Holds a bit for each trigram, and for each pair of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trigrams(Box<[u64]>);

impl Trigrams {
    pub(crate) fn new() -> Self {
        Self(vec![0; WORDS].into())
    }

    /// Adds those of a value, as it is and with its percent-encoding decoded.
    pub(crate) fn add(&mut self, value: &str) {
        self.add_plain(value);
        if let Some(decoded) = percent_decoded(value) {
            self.add_plain(&decoded);
        }
    }

    fn add_plain(&mut self, value: &str) {
        let add = &mut |number| self.set(number);
        match value.is_ascii() {
            true => each(value.as_bytes(), add),
            false => {
                let mut folded = Vec::new();
                fold(value, &mut folded);
                each(&folded, add);
            }
        }
    }

    /// Adds every pair of numbers, for a text that may be cut within an address.
    pub(crate) fn add_all_pairs(&mut self) {
        (TRIGRAMS..TRIGRAMS + PAIRS).for_each(|number| self.set(number));
    }

    /// Adds all that there are, for a text that may be cut anywhere.
    pub(crate) fn add_all(&mut self) {
        (0..TRIGRAMS + PAIRS).for_each(|number| self.set(number));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (bits, added) in self.0.iter_mut().zip(&other.0) {
            *bits |= added;
        }
    }

    fn set(&mut self, number: u32) {
        if let Some((bits, bit)) =
            place_of(number).and_then(|(place, bit)| Some((self.0.get_mut(place)?, bit)))
        {
            *bits |= bit;
        }
    }

    /// Says whether all of these are there.
    pub(crate) fn have(&self, numbers: &[u32]) -> bool {
        let has = |number: &u32| {
            place_of(*number).is_none_or(|(place, bit)| self.0.get(place).is_none_or(|bits| bits & bit != 0))
        };
        numbers.iter().all(has)
    }

    /// Returns them as they are stored; if they cannot be compressed, nothing, which cannot be read.
    pub(crate) fn stored(&self) -> Vec<u8> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        zstd::bulk::compress(&bytes, LEVEL).unwrap_or_default()
    }

    /// Says whether stored ones lack one of these. Those that cannot be read lack none.
    pub(crate) fn are_missing_from(&self, stored: &[u8]) -> bool {
        Reader::new().read(stored).is_some_and(|stored| {
            let mut both = self.0.iter().zip(&stored.0);
            both.any(|(wanted, stored)| wanted & !stored != 0)
        })
    }
}

/// Reads the stored trigrams of one block after another.
pub(crate) struct Reader(Option<Decompressor<'static>>);

impl Reader {
    pub(crate) fn new() -> Self {
        Self(Decompressor::new().ok())
    }

    /// Reads what is stored; `None` if it is damaged.
    pub(crate) fn read(&mut self, stored: &[u8]) -> Option<Trigrams> {
        let bytes = self.0.as_mut()?.decompress(stored, BYTES).ok()?;
        let (words, rest) = bytes.as_chunks();
        let is_whole = rest.is_empty() && words.len() == WORDS;
        is_whole.then(|| Trigrams(words.iter().map(|bits| u64::from_le_bytes(*bits)).collect()))
    }
}

/// Returns the place of a number's bit.
fn place_of(number: u32) -> Option<(usize, u64)> {
    let place = usize::try_from(number / BITS_OF_WORD).ok()?;
    Some((place, 1 << (number % BITS_OF_WORD)))
}

/// Returns the numbers of what each value has that holds a part. None tell of a part that is too short.
pub(crate) fn of_part(part: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    each(part.as_bytes(), &mut |number| numbers.push(number));
    numbers
}

/// Gives the number of each trigram, and of each pair of numbers in the middle of an address, to `take`.
fn each(text: &[u8], take: &mut impl FnMut(u32)) {
    let (mut letters, mut trigram) = (0_u32, 0);
    let mut address = Numbers::default();
    for byte in text {
        let letter = match byte {
            b'a'..=b'z' => u32::from(byte - b'a'),
            b'A'..=b'Z' => u32::from(byte - b'A'),
            b'0'..=b'9' => u32::from(byte - b'0') + 26,
            _ => LETTERS,
        };
        if let Some(pair) = address.next(*byte) {
            take(TRIGRAMS + pair);
        }
        if letter == LETTERS {
            letters = 0;
            continue;
        }
        letters += 1;
        trigram = (trigram * LETTERS + letter) % TRIGRAMS;
        if letters >= 3 {
            take(trigram);
        }
    }
}

/// Reads the numbers of addresses, one character after another.
#[derive(Default)]
struct Numbers {
    /// Holds the number before the last dot, if there is a dot before it as well.
    before: Option<u8>,
    /// Holds the digits since the last dot; `None` without a dot, or if something else came.
    number: Option<u16>,
    digits: u8,
}

impl Numbers {
    /// Takes the next character, and returns the number of a pair that it ends. Dots are before, between and after it.
    fn next(&mut self, byte: u8) -> Option<u32> {
        match byte {
            b'.' => {
                let number = self.number.filter(|_| self.digits > 0);
                let number = number.and_then(|number| u8::try_from(number).ok());
                let pair = self.before.zip(number);
                (self.before, self.number, self.digits) = (number, Some(0), 0);
                pair.map(|(first, second)| u32::from(first) << 8 | u32::from(second))
            }
            b'0'..=b'9' => {
                self.digits = self.digits.saturating_add(1);
                let grown = self.number.filter(|_| self.digits <= 3);
                self.number = grown.map(|number| number * 10 + u16::from(byte - b'0'));
                None
            }
            _ => {
                (self.before, self.number) = (None, None);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[&str]) -> Trigrams {
        let mut trigrams = Trigrams::new();
        for value in values {
            trigrams.add(value);
        }
        trigrams
    }

    #[test]
    fn values_have_three_letters_in_any_letter_case() {
        let trigrams = of(&["Failed/password", "pre", "42\u{212a}e\u{17f}trel"]);
        for part in ["fail", "AILED", "word", "pre", "42k", "kestrel", "pa", "", "d/p"] {
            assert!(trigrams.have(&of_part(part)), "{part}");
        }
        for part in ["prefix", "owhere7", "failedp", "dpa"] {
            assert!(!trigrams.have(&of_part(part)), "{part}");
        }
    }

    #[test]
    fn values_have_the_middle_of_addresses() {
        let trigrams = of(&[
            "x 203.0.113.77:22 10.1.2.3",
            "1.2.3.4.",
            "7.1234.5.6",
            "1.300.2.4",
        ]);
        for part in ["203.0.113.77", "3.0.113.7", "0.1.2.30", "9.2.3.9", "5.6"] {
            assert!(trigrams.have(&of_part(part)), "{part}");
        }
        for part in ["203.1.113.77", "0.0.113.113.9", "7.34.5.6", "1.44.2.4", "1.1.1.1"] {
            assert!(!trigrams.have(&of_part(part)), "{part}");
        }
        let mut cut = of(&[]);
        cut.add_all_pairs();
        assert!(cut.have(&of_part("1.9.9.1")));
        assert!(!cut.have(&of_part("192.9.9.1")));
    }

    #[test]
    fn what_is_damaged_cannot_be_read() {
        let trigrams = of(&["Failed password"]);
        let stored = trigrams.stored();
        assert_eq!(Reader::new().read(&stored), Some(trigrams.clone()));
        assert!(!trigrams.are_missing_from(&stored));
        assert!(of(&["other"]).are_missing_from(&stored));
        let longer = zstd::bulk::compress(&[0; BYTES + 8], LEVEL).unwrap();
        let shorter = zstd::bulk::compress(&[0; BYTES - 8], LEVEL).unwrap();
        for damaged in [&[][..], &[0; 128], &stored[..stored.len() - 1], &longer, &shorter] {
            assert_eq!(Reader::new().read(damaged), None);
            assert!(!of(&["other"]).are_missing_from(damaged));
        }
    }

    proptest! {
        #[test]
        fn a_value_has_what_each_of_its_parts_has(
            value in "[a-cA-C0-2.:é\u{212a} ]{0,24}",
            start in 0_usize..24,
            length in 0_usize..24,
        ) {
            let characters: Vec<char> = value.chars().skip(start).take(length).collect();
            let part: String = characters.into_iter().collect();
            prop_assert!(of(&[&value]).have(&of_part(&part)), "{part}");
        }
    }
}
