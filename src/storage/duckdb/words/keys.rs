//! The keys by which a block of logs is known to hold a text, and those that a filter needs.
//!
//! A key is a hash of one of these:
//!
//! - a word: the letters and digits, at least two, up to the next character that is neither, in one letter case;
//! - two words with a dot between them, both with a letter, as in the name of a host;
//! - an address, in its only form;
//! - the words of a domain or URL in the form in which indicators are stored, where the text has another.
//!
//! Changes of what a key is made of need another [`VERSION`](super::VERSION).

use std::net::IpAddr;
use std::ops::Range;

use memchr::memmem;
use twox_hash::XxHash3_64;

use crate::models::observables::{self, Observable, Surroundings};

/// Counts the bytes of the shortest word.
const SHORTEST: usize = 2;

/// Gives the keys of a text to `take`.
pub(crate) fn of_text(text: &str, folded: &mut Vec<u8>, take: &mut impl FnMut(u64)) {
    fold(text, folded);
    of_words(folded, take);
    of_observables(text, take);
}

/// Gives the keys of a text's observables to `take`, without its words.
pub(crate) fn of_observables(text: &str, take: &mut impl FnMut(u64)) {
    observables::each_address(text, &mut |address| take(of_address(address)));
    let is_spelled_otherwise = !text.is_ascii() || memmem::find(text.as_bytes(), b"://").is_some();
    if is_spelled_otherwise {
        let mut folded = Vec::new();
        observables::each(text, Surroundings::Host, &mut |observable| match observable {
            Observable::Domain(name) | Observable::Url(name) | Observable::Email(name) => {
                fold(&name, &mut folded);
                of_words(&folded, take);
            }
            Observable::Ip(_) | Observable::FileHash(_) => {}
        });
    }
}

/// Returns the key of an address.
pub(crate) fn of_address(address: IpAddr) -> u64 {
    let bits = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    };
    // No word has this byte, which is none of UTF-8.
    let mut bytes = [0xff; 17];
    bytes[1..].copy_from_slice(&bits.to_be_bytes());
    XxHash3_64::oneshot(&bytes)
}

/// Gives the keys of the words of a folded text to `take`.
pub(crate) fn of_words(folded: &[u8], take: &mut impl FnMut(u64)) {
    let mut words = WordsOf { folded, at: 0 };
    let mut before: Option<Range<usize>> = None;
    while let Some(word) = words.next_word() {
        if word.len() >= SHORTEST {
            take(hash(folded, word.clone()));
        }
        if let Some(before) = before
            && before.end + 1 == word.start
            && folded.get(before.end) == Some(&b'.')
            && has_letter(folded, before.clone())
            && has_letter(folded, word.clone())
        {
            take(hash(folded, before.start..word.end));
        }
        before = Some(word);
    }
}

fn has_letter(folded: &[u8], word: Range<usize>) -> bool {
    folded
        .get(word)
        .is_some_and(|word| word.iter().any(|byte| !byte.is_ascii_digit()))
}

fn hash(folded: &[u8], place: Range<usize>) -> u64 {
    XxHash3_64::oneshot(folded.get(place).unwrap_or_default())
}

struct WordsOf<'a> {
    folded: &'a [u8],
    at: usize,
}

impl WordsOf<'_> {
    /// Returns the place of the next word.
    fn next_word(&mut self) -> Option<Range<usize>> {
        let rest = self.folded.get(self.at..)?;
        let start = self.at + rest.iter().position(|byte| is_of_word(*byte))?;
        let length = self
            .folded
            .get(start..)?
            .iter()
            .position(|byte| !is_of_word(*byte));
        self.at = length.map_or(self.folded.len(), |length| start + length);
        Some(start..self.at)
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// Writes a text in one letter case. What is neither letter nor digit becomes a byte of ASCII.
///
/// Two texts that are the same in any letter case, by the simple case folding of Unicode, are the same afterwards.
pub(crate) fn fold(text: &str, folded: &mut Vec<u8>) {
    folded.clear();
    if text.is_ascii() {
        folded.extend_from_slice(text.as_bytes());
        return folded.make_ascii_lowercase();
    }
    let mut bytes = [0; 4];
    for character in text.chars() {
        match character {
            '\0'..='\x7f' => folded.push(character.to_ascii_lowercase() as u8),
            _ if character.is_alphanumeric() => {
                folded.extend_from_slice(folded_character(character).encode_utf8(&mut bytes).as_bytes());
            }
            _ => folded.push(b' '),
        }
    }
}

/// Returns the one form of a letter in all letter cases. A few other letters have it as well, which does no harm: their
/// blocks are read in vain.
fn folded_character(character: char) -> char {
    let character = match character {
        // These have no upper case of one letter.
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb05}' => '\u{fb06}',
        other => other,
    };
    let upper = only(character.to_uppercase()).unwrap_or(character);
    only(upper.to_lowercase()).unwrap_or(upper)
}

fn only(mut characters: impl Iterator<Item = char>) -> Option<char> {
    characters.next().filter(|_| characters.next().is_none())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    use super::*;

    fn keys(text: &str) -> BTreeSet<u64> {
        let mut keys = BTreeSet::new();
        of_text(text, &mut Vec::new(), &mut |key| {
            keys.insert(key);
        });
        keys
    }

    fn words(text: &str) -> Vec<String> {
        let mut folded = Vec::new();
        fold(text, &mut folded);
        let mut words = WordsOf {
            folded: &folded,
            at: 0,
        };
        std::iter::from_fn(|| words.next_word())
            .map(|word| String::from_utf8_lossy(&folded[word]).into_owned())
            .collect()
    }

    #[test]
    fn words_are_letters_and_digits_in_one_case() {
        assert_eq!(
            words("Failed_password for {Root}~x, ÄRGER/2"),
            ["failed", "password", "for", "root", "x", "ärger", "2"]
        );
        assert_eq!(words("ΣΊΣΥΦΟΣ — σίσυφος"), ["σίσυφοσ", "σίσυφοσ"]);
        assert!(words("—„“ …").is_empty());
    }

    /// The letters that are equal by simple case folding have one form, and are letters or digits all together.
    #[test]
    fn letters_that_match_in_any_case_have_one_form() {
        for character in '\0'..=char::MAX {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(character, character)]);
            class.case_fold_simple();
            let others = class.iter().flat_map(|range| range.start()..=range.end());
            for other in others {
                assert_eq!(
                    folded_character(other),
                    folded_character(character),
                    "{other} {character}"
                );
                assert_eq!(
                    other.is_alphanumeric(),
                    character.is_alphanumeric(),
                    "{other} {character}"
                );
            }
            if character.is_alphanumeric() && !character.is_ascii() {
                let form = folded_character(character);
                assert!(form.is_alphanumeric() || !form.is_ascii(), "{character}");
            }
        }
    }

    #[test]
    fn names_of_hosts_have_keys_of_two_words() {
        let of = |text: &str| keys(text).len();
        assert_eq!(of("evil.example"), 3);
        assert_eq!(of("evil example"), 2);
        assert_eq!(of("1.25"), 1);
        assert!(keys("see www.Evil.Example:80").is_superset(&keys("evil.example")));
    }

    #[test]
    fn an_address_has_one_key_in_all_spellings() {
        let wanted = of_address("198.51.100.4".parse().unwrap());
        for text in [
            "x=198.51.100.4:22",
            "::ffff:c633:6404",
            "[::ffff:198.51.100.4]",
            "http://198.51.100.4/",
        ] {
            assert!(keys(text).contains(&wanted), "{text}");
        }
        assert!(!keys("198.51.100.41").contains(&wanted));
    }

    proptest! {
        #[test]
        fn each_address_is_among_the_observables(
            text in r"([0-9]{1,3}\.){0,4}[0-9a-f:@%\[\]/é -]{0,12}(http://)?([0-9]{1,3}\.){0,4}[0-9a-f:. ]{0,12}"
        ) {
            let mut all = BTreeSet::new();
            observables::each(&text, Surroundings::FreeText, &mut |observable| {
                if let Observable::Ip(address) = observable {
                    all.insert(address);
                }
            });
            let mut found = BTreeSet::new();
            observables::each_address(&text, &mut |address| {
                found.insert(address);
            });
            prop_assert_eq!(found, all);
        }
    }
}
