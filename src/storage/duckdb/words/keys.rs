//! The keys by which a block of logs is known to hold a text, and those that a filter needs.
//!
//! A key is a hash of one of these:
//!
//! - a word: the letters and digits, at least two, up to the next character that is neither, in one letter case;
//! - two words with a dot between them, both with a letter, as in the name of a host;
//! - a digest of a file, which is a word;
//! - an address, in its only form, and once more if the text does not have it as it is printed;
//! - each of these in the text with its percent-encoding decoded, and in that with it decoded again;
//! - the words of a domain or URL in the form in which indicators are stored, where the text has another.
//!
//! Changes of what a key is made of need another [`VERSION`](super::VERSION).

use std::net::IpAddr;
use std::ops::Range;

use twox_hash::XxHash3_64;

use crate::models::observables::{self, Observable, Surroundings};

/// Counts the bytes of the shortest word.
const SHORTEST: usize = 2;

/// Gives the keys of a text to `take`, as it is and with its percent-encoding decoded, once and twice.
pub(crate) fn of_text(text: &str, folded: &mut Vec<u8>, take: &mut impl FnMut(u64)) {
    let mut is_decoded = false;
    observables::each_decoding(text, |text| {
        of_plain_text(text, folded, take);
        if is_decoded {
            observables::each_address(text, &mut |address| take(of_other_spelling(address)));
        }
        is_decoded = true;
    });
}

fn of_plain_text(text: &str, folded: &mut Vec<u8>, take: &mut impl FnMut(u64)) {
    fold(text, folded);
    of_words(folded, take);
    of_observables(text, take);
}

/// Gives the keys of a text's observables to `take`, without its words.
pub(crate) fn of_observables(text: &str, take: &mut impl FnMut(u64)) {
    let mut folded = Vec::new();
    let mut take = |observable: Observable<'_>, is_plain: bool| match observable {
        Observable::Ip(address) => {
            take(of_address(address));
            if !is_plain {
                take(of_other_spelling(address));
            }
        }
        Observable::Domain(name) | Observable::Url(name) | Observable::Email(name) => {
            fold(&name, &mut folded);
            of_words(&folded, take);
        }
        Observable::FileHash(_) => {}
    };
    observables::each_in_urls_and_addresses(text, &mut take);
    if !text.is_ascii() {
        observables::each(text, Surroundings::Host, &mut |observable| match observable {
            Observable::Ip(_) => {}
            name => take(name, true),
        });
    }
}

/// Returns the key of an address.
pub(crate) fn of_address(address: IpAddr) -> u64 {
    // No word has these bytes, which are none of UTF-8.
    of_observable(marked(0xff, address))
}

/// Returns the key of an address in a text that does not have it as it is printed.
pub(crate) fn of_other_spelling(address: IpAddr) -> u64 {
    of_no_observable(marked(0xfe, address))
}

fn marked(mark: u8, address: IpAddr) -> u64 {
    let bits = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    };
    let mut bytes = [mark; 17];
    bytes[1..].copy_from_slice(&bits.to_be_bytes());
    XxHash3_64::oneshot(&bytes)
}

/// Gives the keys of the words of a folded text to `take`.
pub(crate) fn of_words(folded: &[u8], take: &mut impl FnMut(u64)) {
    let mut before: Option<Range<usize>> = None;
    each_word(folded, &mut |word| {
        if word.len() >= SHORTEST {
            let key = hash(folded, word.clone());
            take(match is_digest(folded, word.clone()) {
                true => of_observable(key),
                false => of_no_observable(key),
            });
        }
        if let Some(before) = &before
            && before.end + 1 == word.start
            && folded.get(before.end) == Some(&b'.')
            && has_letter(folded, before.clone())
            && has_letter(folded, word.clone())
        {
            take(of_observable(hash(folded, before.start..word.end)));
        }
        before = Some(word);
    });
}

/// Says whether a key is that of an address, of a digest, or of two words of a name.
pub(crate) fn is_of_observable(key: u64) -> bool {
    key & 1 != 0
}

fn of_observable(hash: u64) -> u64 {
    hash | 1
}

fn of_no_observable(hash: u64) -> u64 {
    hash & !1
}

fn is_digest(folded: &[u8], word: Range<usize>) -> bool {
    observables::is_length_of_digest(word.len())
        && folded
            .get(word)
            .is_some_and(|word| word.iter().all(u8::is_ascii_hexdigit))
}

fn has_letter(folded: &[u8], word: Range<usize>) -> bool {
    folded
        .get(word)
        .is_some_and(|word| word.iter().any(|byte| !byte.is_ascii_digit()))
}

fn hash(folded: &[u8], place: Range<usize>) -> u64 {
    XxHash3_64::oneshot(folded.get(place).unwrap_or_default())
}

/// Gives the place of each word to `take`.
///
/// The bytes are looked at 64 at a time, and become the bits of a number: a branch for each byte would take longer.
fn each_word(folded: &[u8], take: &mut impl FnMut(Range<usize>)) {
    const WIDTH: usize = 64;
    let mut word: Option<usize> = None;
    let (chunks, rest) = folded.as_chunks::<WIDTH>();
    let mut last = [0; WIDTH];
    for (byte, of_rest) in last.iter_mut().zip(rest) {
        *byte = *of_rest;
    }
    for (index, chunk) in chunks.iter().chain([&last]).enumerate() {
        let bits = word_bits(chunk);
        let mut place = 0;
        loop {
            // What is looked for: the end of the word, or the start of the next one.
            let wanted = if word.is_some() { !bits } else { bits };
            let rest = wanted.checked_shr(place).unwrap_or_default();
            if rest == 0 {
                break;
            }
            place += rest.trailing_zeros();
            let at = index * WIDTH + usize::try_from(place).unwrap_or_default();
            match word.take() {
                Some(start) => take(start..at),
                None => word = Some(at),
            }
        }
    }
    // The rest fills less than the last chunk, so that every word has ended.
}

/// Returns a bit for each byte: whether it is one of a word.
fn word_bits(chunk: &[u8; 64]) -> u64 {
    let flags = chunk.map(|byte| u8::from(is_of_word(byte)));
    let (eights, _) = flags.as_chunks::<8>();
    eights.iter().rev().fold(0, |bits, eight| {
        // The product gathers the lowest bits of eight bytes in its highest byte.
        bits << 8 | u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

/// Says whether a byte of a folded text is one of a word.
fn is_of_word(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'z' | 0x80..)
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
        let mut words = Vec::new();
        each_word(&folded, &mut |word| {
            words.push(String::from_utf8_lossy(&folded[word]).into_owned());
        });
        words
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

    #[test]
    fn an_address_with_a_port_after_a_dot_has_a_key_wherever_it_is() {
        let wanted = of_address("198.51.100.4".parse().unwrap());
        assert!(keys("198.51.100.4.443").contains(&wanted));
        assert!(!keys("198.51.100.4.443.1").contains(&wanted));
    }

    proptest! {
        #[test]
        fn words_are_found_at_each_place(text in "[aé0. -]{0,200}") {
            let parts = text.split(|character: char| !character.is_alphanumeric());
            let expected: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
            prop_assert_eq!(words(&text), expected);
        }

        #[test]
        fn each_address_is_among_the_observables(
            text in r"([0-9]{1,3}\.){0,4}[0-9a-f:@%\[\]/é -]{0,12}(http(://|%3a%2f%2F))?([0-9]{1,3}\.){0,4}[0-9a-f:. >]{0,12}"
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
