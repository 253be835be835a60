//! What is sought as a whole: an address in any spelling, or words between the bounds of words.

use std::net::IpAddr;

use aho_corasick::AhoCorasick;

use super::pattern::{Pattern, longest_word};
use crate::models::{BorrowedLog, InvalidValue, LogEntry, observables};

/// Holds a value that texts have as a whole.
///
/// An address is found in each of its spellings, and only where it ends: `185.220.101.44` is not in `185.220.101.441`.
/// Any other value is found in any letter case, where no letter or digit goes on before or after it.
#[derive(Debug, Clone)]
pub(crate) enum Needle {
    Address(IpAddr),
    Words { text: String, pattern: Pattern },
}

impl Needle {
    /// Limits the bytes of a value.
    const LONGEST: usize = 1_000;

    /// Makes a needle of a value.
    ///
    /// # Errors
    ///
    /// If the value has no letter or digit, which nearly every log would have, or is longer than 1,000 bytes.
    pub(crate) fn new(value: &str) -> Result<Self, InvalidValue> {
        let in_brackets = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = in_brackets.unwrap_or(value).parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        match value.len() {
            _ if !value.contains(char::is_alphanumeric) => Err(InvalidValue::new(
                "value",
                value,
                "give a word, a name, an address or another value with a letter or digit; any part of a line is \
                 found by contains (--contains)",
            )),
            ..=Self::LONGEST => Ok(Self::Words {
                text: value.to_owned(),
                pattern: Pattern::literal_ignoring_case(value)?,
            }),
            length => {
                let reason = format!("it has {length} bytes, and may have {}", Self::LONGEST);
                Err(InvalidValue::new("value", value, reason))
            }
        }
    }

    /// Says whether a text has the value, as it is or with its percent-encoding (RFC 3986) decoded.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.is_in_plain(text)
            || observables::percent_decoded(text).is_some_and(|text| self.is_in_plain(&text))
    }

    fn is_in_plain(&self, text: &str) -> bool {
        match self {
            Self::Address(wanted) => {
                let mut is_found = false;
                observables::each_address(text, &mut |address| is_found |= address == *wanted);
                is_found
            }
            Self::Words { pattern, .. } => is_whole(text, pattern),
        }
    }

    /// Says whether a text of a log has the value: its line, a column, or a value of its fields.
    pub(crate) fn is_in_log(&self, log: &LogEntry) -> bool {
        let (mut memory, mut is) = (String::new(), |text: &str| self.is_in(text));
        log.raw.as_deref().is_some_and(&mut is)
            || BorrowedLog::of_entry(log).any_text(&mut memory, &mut is)
            || log.metadata.members().any_text(&mut memory, &mut is)
    }
}

/// Finds a needle in stored texts, most of which do not have it.
#[derive(Debug)]
pub(crate) struct NeedleFinder {
    needle: Needle,
    /// Finds the longest word of the value, in any letter case of ASCII.
    word: Option<AhoCorasick>,
}

impl NeedleFinder {
    pub(crate) fn new(needle: Needle) -> Self {
        let word = match &needle {
            Needle::Address(_) => None,
            Needle::Words { text, .. } => longest_word(text),
        };
        let word = word.and_then(|word| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build([word])
                .ok()
        });
        Self { needle, word }
    }

    pub(crate) fn needle(&self) -> &Needle {
        &self.needle
    }

    /// Says whether a part of a text that is not at hand may be the word that is looked for, by what `may_be` says of it.
    pub(crate) fn may_be_part(&self, may_be: impl Fn(&str) -> bool) -> bool {
        match &self.needle {
            Needle::Address(_) => true,
            Needle::Words { text, .. } => longest_word(text).is_none_or(may_be),
        }
    }

    /// Says whether a text may have the value.
    ///
    /// The text may be a row layout. What that leaves out begins and ends at the bounds of words of ASCII, and is a text
    /// to look at as well.
    pub(crate) fn may_be_in(&self, text: &str) -> bool {
        /// Lists the letters that are a letter of ASCII in another letter case.
        const FOLDED: [char; 2] = ['\u{17f}', '\u{212a}'];
        match &self.word {
            Some(word) => {
                // What is encoded may be cut by what the layout leaves out.
                memchr::memchr(b'%', text.as_bytes()).is_some()
                    || word.is_match(text)
                    || !text.is_ascii() && text.contains(FOLDED)
            }
            // An address depends on what is around it, which a layout leaves out or escapes.
            None => true,
        }
    }
}

/// Says whether a pattern is found between the bounds of words.
fn is_whole(text: &str, pattern: &Pattern) -> bool {
    let mut from = 0;
    while let Some(found) = pattern.find_at(text, from) {
        let (before, rest) = text.split_at(found.start);
        let (inside, after) = rest.split_at(found.end - found.start);
        let is_cut = |left: Option<char>, right: Option<char>| {
            left.is_some_and(char::is_alphanumeric) && right.is_some_and(char::is_alphanumeric)
        };
        let is_cut_before = is_cut(before.chars().next_back(), inside.chars().next());
        if !is_cut_before && !is_cut(inside.chars().next_back(), after.chars().next()) {
            return true;
        }
        // The next place begins a word, if the value does; at least it is one character further.
        let starts_word = inside.starts_with(char::is_alphanumeric);
        let skipped = rest.find(|character: char| !starts_word || !character.is_alphanumeric());
        let first = rest.chars().next().map_or(1, char::len_utf8);
        match skipped {
            Some(length) => from = found.start + length.max(first),
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn has(text: &str, value: &str) -> bool {
        Needle::new(value).unwrap().is_in(text)
    }

    #[test]
    fn a_value_is_found_between_the_bounds_of_words() {
        for (text, value) in [
            ("from 185.220.101.44 port 22", "185.220.101.44"),
            ("peer=::ffff:185.220.101.44", "185.220.101.44"),
            ("[2001:DB8:0::1]:443", "2001:db8::1"),
            ("from 10.0.0.1", "::ffff:10.0.0.1"),
            ("user=Alice;", "alice"),
            ("user_name", "name"),
            ("Failed Password for root", "failed password"),
            ("GET /x.php?id=1", "x.php?id=1"),
            ("xa-a-a", "a-a"),
            ("STRASSE ſtraße", "straße"),
            ("\u{212a}elvin", "kelvin"),
            ("(.a)", ".a"),
            ("x.b", ".b"),
            ("GET /?u=http%3A%2F%2Fbad.example%2Fx", "bad.example"),
            ("q=Failed%20password", "failed password"),
            ("ip%3D198.51.100.4%26", "198.51.100.4"),
            ("100%25 of %zz", "100%"),
        ] {
            assert!(has(text, value), "{value} in {text}");
        }
        for (text, value) in [
            ("from 185.220.101.441", "185.220.101.44"),
            ("from 1185.220.101.44", "185.220.101.44"),
            ("malice", "alice"),
            ("alices", "alice"),
            ("aliceé", "alice"),
            ("a-ab xa-a", "a-a"),
            ("failed  password", "failed password"),
        ] {
            assert!(!has(text, value), "{value} in {text}");
        }
        for nothing in ["", " ", ".", "--", "\u{301}"] {
            assert!(Needle::new(nothing).is_err(), "{nothing}");
        }
        assert!(Needle::new(&"x".repeat(1_001)).is_err());
    }

    proptest! {
        #[test]
        fn every_place_is_looked_at(text in "[aAé.\u{301}-]{0,12}", value in "[é.\u{301}-]{0,1}[aAé][aAé.\u{301}-]{0,1}") {
            let folded = |text: &str| text.to_lowercase();
            let (text, value) = (folded(&text), folded(&value));
            let is_bound = |left: Option<char>, right: Option<char>| {
                !(left.is_some_and(char::is_alphanumeric) && right.is_some_and(char::is_alphanumeric))
            };
            let places = text.char_indices().map(|(at, _)| at);
            let expected = places.filter(|at| text[*at..].starts_with(&value)).any(|at| {
                let (before, after) = (&text[..at], &text[at + value.len()..]);
                is_bound(before.chars().next_back(), value.chars().next())
                    && is_bound(value.chars().next_back(), after.chars().next())
            });
            prop_assert_eq!(has(&text, &value), expected);
        }
    }
}
