//! Reads `key=value` pairs, as firewalls, kernels and loggers write them.

use std::borrow::Cow;

use super::layout::Layout;
use crate::models::{Json, Members};

/// Holds the pairs of a text, and what is not in them.
#[derive(Debug, Default)]
pub(crate) struct Pairs<'a> {
    /// Holds the text before the first pair.
    pub(crate) before: &'a str,
    pub(crate) members: Members<'a>,
    /// Counts the bytes that are in no pair.
    pub(crate) loose: usize,
    /// Lists keys that occur more than once with different values.
    pub(crate) repeated: Vec<&'a str>,
}

/// Limits the pairs of a text. A client may write as many of one name as it likes.
const MOST_PAIRS: usize = 500;

/// Reads the pairs of a text. Words without a value between pairs are left out.
pub(crate) fn read<'a>(text: &'a str, layout: &Layout) -> Pairs<'a> {
    let mut pairs = Pairs::default();
    let scan = Scan::new(text, layout);
    let mut at = 0;
    let mut is_first = true;
    for _ in 0..MOST_PAIRS {
        let Some(key) = scan.next_key(at) else { break };
        let between = text.get(at..key.start).unwrap_or_default();
        if is_first {
            pairs.before = between.trim();
        }
        is_first = false;
        pairs.loose += between.trim_matches(|c: char| scan.is_separator(c)).len();
        let (value, end) = scan.value(key.value);
        let name = key_name(text, &key);
        pairs.push(name, value);
        at = end;
    }
    let rest = text.get(at..).unwrap_or_default();
    pairs.loose += rest.trim_matches(|c: char| scan.is_separator(c)).len();
    pairs
}

fn key_name<'a>(text: &'a str, key: &Key) -> &'a str {
    let name = text.get(key.start..key.end).unwrap_or_default();
    name.trim_matches(['"', '\'', ' '])
}

impl<'a> Pairs<'a> {
    fn push(&mut self, name: &'a str, value: Cow<'a, str>) {
        match self.members.get(name) {
            None => self.members.insert(name, value),
            Some(held) => {
                if held.as_str() != Some(&value) {
                    self.repeated.push(name);
                }
                self.members.insert_beside(name.into(), Json::String(value));
            }
        }
    }
}

/// Holds the places of a key and of its value.
struct Key {
    start: usize,
    end: usize,
    value: usize,
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    separator: Option<char>,
    assign: u8,
    spaces_in_values: bool,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str, layout: &Layout) -> Self {
        let assign = layout.assign.and_then(|assign| u8::try_from(assign).ok());
        Self {
            text,
            bytes: text.as_bytes(),
            separator: layout.separator,
            assign: assign.unwrap_or(b'='),
            spaces_in_values: layout.spaces_in_values,
        }
    }

    fn is_separator(&self, c: char) -> bool {
        // auditd writes 0x1d before the fields that it adds.
        c.is_whitespace() || c == '\u{1d}' || self.separator == Some(c)
    }

    /// Returns whether a byte may be in a key. A key of a text with a separator may have spaces.
    fn is_of_key(&self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric()
            || b"_.-@/$%".contains(&byte)
            || byte >= 0x80
            || self.separator.is_some() && b" ()\"'".contains(&byte)
    }

    /// Finds the next key from a place on: a word before the sign of assignment, after a separator.
    fn next_key(&self, from: usize) -> Option<Key> {
        let mut search = from;
        loop {
            let sign = search + memchr::memchr(self.assign, self.bytes.get(search..)?)?;
            let mut end = sign;
            if self.separator.is_some() || self.assign == b':' {
                while end > from && self.bytes[end - 1] == b' ' {
                    end -= 1;
                }
            }
            let mut start = end;
            while start > from && self.is_of_key(self.bytes[start - 1]) {
                start -= 1;
            }
            while start < end && self.bytes[start] == b' ' {
                start += 1;
            }
            let is_after_separator = start == from || self.is_boundary(start);
            let is_url = self.assign == b':' && self.bytes.get(sign + 1) == Some(&b'/');
            if start < end && is_after_separator && !is_url && self.text.is_char_boundary(start) {
                return Some(Key {
                    start,
                    end,
                    value: sign + 1,
                });
            }
            search = sign + 1;
        }
    }

    fn is_boundary(&self, at: usize) -> bool {
        let before = self.text.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|c| {
            self.is_separator(c) || matches!(c, '[' | '(' | '{' | '<' | ',' | ';' | '"' | '\'')
        })
    }

    /// Reads a value, and returns where it ends.
    fn value(&self, start: usize) -> (Cow<'a, str>, usize) {
        let mut start = start;
        if self.separator.is_some() || self.assign == b':' {
            while self.bytes.get(start) == Some(&b' ') {
                start += 1;
            }
        }
        match self.bytes.get(start) {
            Some(quote @ (b'"' | b'\'')) => match self.quoted(start, *quote) {
                Some(found) => found,
                None => self.plain(start),
            },
            _ => self.plain(start),
        }
    }

    fn quoted(&self, start: usize, quote: u8) -> Option<(Cow<'a, str>, usize)> {
        let inside = self.text.get(start + 1..)?;
        let mut unescaped: Option<String> = None;
        let mut characters = inside.char_indices();
        while let Some((at, c)) = characters.next() {
            if c == char::from(quote) {
                let value = match unescaped {
                    Some(value) => Cow::Owned(value),
                    None => Cow::Borrowed(&inside[..at]),
                };
                return Some((value, start + 1 + at + 1));
            }
            if c == '\\' {
                let value = unescaped.get_or_insert_with(|| inside[..at].to_owned());
                match characters.next() {
                    Some((_, escaped)) if escaped == char::from(quote) || escaped == '\\' => {
                        value.push(escaped);
                    }
                    Some((_, other)) => value.extend(['\\', other]),
                    None => return None,
                }
            } else if let Some(value) = &mut unescaped {
                value.push(c);
            }
        }
        None
    }

    fn plain(&self, start: usize) -> (Cow<'a, str>, usize) {
        let rest = self.text.get(start..).unwrap_or_default();
        let length = match self.separator {
            Some(separator) => rest.find(separator).unwrap_or(rest.len()),
            None if self.spaces_in_values => self.until_next_key(start),
            None => rest.find(|c| self.is_separator(c)).unwrap_or(rest.len()),
        };
        let value = rest.get(..length).unwrap_or_default();
        (Cow::Borrowed(value.trim()), start + length)
    }

    /// Returns the length of a value that goes on until the space before the next key.
    fn until_next_key(&self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        let mut search = 0;
        while let Some(found) = memchr::memchr(self.assign, &rest.as_bytes()[search..]) {
            let sign = search + found;
            let word = rest[..sign].rfind(|c: char| self.is_separator(c));
            if let Some(space) = word
                && space + 1 < sign
                && rest.as_bytes()[space + 1..sign]
                    .iter()
                    .all(|byte| self.is_of_key(*byte))
            {
                return space;
            }
            search = sign + 1;
        }
        rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str, layout: &Layout) -> String {
        read(text, layout).members.to_text().unwrap()
    }

    #[test]
    fn values_may_be_quoted_and_words_may_stand_alone() {
        let found = read(
            r#"x: date=2023-10-11 msg="a \"b\" c" DF user='x y' n="#,
            &Layout::default(),
        );
        assert_eq!(
            found.members.to_text().unwrap(),
            r#"{"date":"2023-10-11","msg":"a \"b\" c","user":"x y","n":""}"#
        );
        assert_eq!((found.before, found.loose), ("x:", 4));
    }

    #[test]
    fn separators_and_spaces_in_values() {
        let layout = Layout {
            separator: Some(','),
            assign: Some(':'),
            ..Layout::default()
        };
        assert_eq!(
            pairs("Src IP: 10.0.0.1, Action: Block it", &layout),
            r#"{"Src IP":"10.0.0.1","Action":"Block it"}"#
        );
        let layout = Layout {
            spaces_in_values: true,
            ..Layout::default()
        };
        assert_eq!(
            pairs("act=x y z src=1.2.3.4", &layout),
            r#"{"act":"x y z","src":"1.2.3.4"}"#
        );
    }

    #[test]
    fn a_key_with_two_values_is_named() {
        assert_eq!(
            read("src=1 src=2 len=3 len=3", &Layout::default()).repeated,
            ["src"]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,80}", spaces in proptest::bool::ANY) {
            for (separator, assign) in [(None, None), (Some(','), Some(':')), (Some('|'), None)] {
                let layout = Layout { separator, assign, spaces_in_values: spaces, ..Layout::default() };
                read(&text, &layout);
            }
        }
    }
}
