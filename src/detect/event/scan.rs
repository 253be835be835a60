//! Reads the text of a JSON object without copies: a text with escapes is decoded when a rule asks for it.
//!
//! The reader takes most JSON. It gives up at the rest, and at all that is no JSON: `serde_json` then reads the text and
//! says what is wrong.

use std::borrow::Cow;

use super::visit::{Scope, Visit};
use super::walk::Walk;
use super::{Leaf, Scalar};

/// Takes the values of an object, whatever their names.
struct Values<F>(F);

impl<'a, F: FnMut(&Scalar<'a>)> Visit<'a> for Values<F> {
    fn len(&self) -> usize {
        0
    }

    fn push_member(&mut self, _: Scope, _: Cow<'a, str>, value: Scalar<'a>) {
        (self.0)(&value);
    }

    fn inside<T>(&mut self, scope: Scope, _: &str, read: impl FnOnce(&mut Self, Scope) -> T) -> T {
        read(self, scope)
    }

    fn end_list(&mut self, _: usize, _: &str, _: Scope) {}
}

/// Limits how deeply objects and lists are nested.
const DEEPEST: usize = 100;

/// Takes apart the object that a text holds; `None` if the reader gives up.
pub(super) fn text<'a>(text: &'a str, leaves: &mut Vec<Leaf<'a>>) -> Option<()> {
    visit(text, &mut Walk::new(leaves))
}

/// Gives the values of the object that a text holds to `take`, without their names; `None` if the reader gives up.
pub(crate) fn each_value<'a>(text: &'a str, take: impl FnMut(&Scalar<'a>)) -> Option<()> {
    visit(text, &mut Values(take))
}

fn visit<'a>(text: &'a str, visit: &mut impl Visit<'a>) -> Option<()> {
    let mut reader = Reader {
        text,
        place: 0,
        depth: 0,
    };
    reader.expect(b'{')?;
    reader.members(visit, Scope::Flat)?;
    reader.skip_blanks();
    (reader.place == text.len()).then_some(())
}

struct Reader<'a> {
    text: &'a str,
    place: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.place).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.place += 1;
        }
    }

    /// Takes a byte that is not a blank, and the blanks before it.
    fn next(&mut self) -> Option<u8> {
        self.skip_blanks();
        let byte = self.peek()?;
        self.place += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Takes the members of an object after its bracket, and the bracket at its end.
    fn members(&mut self, walk: &mut impl Visit<'a>, scope: Scope) -> Option<()> {
        let mut next = self.next()?;
        if next == b'}' {
            return Some(());
        }
        loop {
            let name = match (next, self.string()?) {
                (b'"', Text::Plain(name)) => Cow::Borrowed(name),
                (b'"', Text::Escaped(name)) => Cow::Owned(decoded(name)),
                (b'"', Text::Decoded(name)) => Cow::Owned(name),
                _ => return None,
            };
            self.expect(b':')?;
            self.value(walk, scope, name)?;
            match self.next()? {
                b',' => next = self.next()?,
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn value(&mut self, walk: &mut impl Visit<'a>, scope: Scope, name: Cow<'a, str>) -> Option<()> {
        let value = match self.next()? {
            b'"' => match self.string()? {
                Text::Plain(text) => Scalar::Text(Cow::Borrowed(text)),
                Text::Escaped(text) => Scalar::Escaped(text),
                Text::Decoded(text) => Scalar::Text(Cow::Owned(text)),
            },
            b'{' => {
                return self
                    .nested(|reader| walk.inside(scope, &name, |walk, inner| reader.members(walk, inner)));
            }
            b'[' => return self.nested(|reader| reader.elements(walk, scope, name)),
            b't' => self.word("rue", Scalar::Bool(true))?,
            b'f' => self.word("alse", Scalar::Bool(false))?,
            b'n' => self.word("ull", Scalar::Null)?,
            _ => self.number()?,
        };
        walk.push_member(scope, name, value);
        Some(())
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        self.depth += 1;
        (self.depth <= DEEPEST).then_some(())?;
        read(self)?;
        self.depth -= 1;
        Some(())
    }

    /// Takes the elements of a list after its bracket, and the bracket at its end.
    fn elements(&mut self, walk: &mut impl Visit<'a>, scope: Scope, name: Cow<'a, str>) -> Option<()> {
        let start = walk.len();
        self.skip_blanks();
        if self.peek()? == b']' {
            self.place += 1;
        } else {
            loop {
                self.value(walk, scope, name.clone())?;
                match self.next()? {
                    b',' => {}
                    b']' => break,
                    _ => return None,
                }
            }
        }
        walk.end_list(start, &name, scope);
        Some(())
    }

    fn word(&mut self, rest: &str, value: Scalar<'a>) -> Option<Scalar<'a>> {
        self.text.get(self.place..)?.strip_prefix(rest)?;
        self.place += rest.len();
        Some(value)
    }

    /// Takes the rest of a number of which one byte was taken.
    fn number(&mut self) -> Option<Scalar<'a>> {
        let start = self.place - 1;
        let rest = self.text.as_bytes().get(start..)?;
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let text = self.text.get(start..start + length)?;
        self.place = start + length;
        Some(match whole(text) {
            Some(number) => Scalar::Int(number),
            None => number_of_serde(text)?,
        })
    }

    /// Takes the rest of a text after its quote, and the quote at its end.
    fn string(&mut self) -> Option<Text<'a>> {
        let start = self.place;
        let (mut is_escaped, mut is_unicode) = (false, false);
        loop {
            self.place += first_special(self.text.as_bytes().get(self.place..)?)?;
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    is_escaped = true;
                    match self.text.as_bytes().get(self.place + 1)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => is_unicode = true,
                        _ => return None,
                    }
                    self.place += 2;
                }
                _ => return None,
            }
        }
        let text = self.text.get(start..self.place)?;
        self.place += 1;
        match (is_escaped, is_unicode) {
            (false, _) => Some(Text::Plain(text)),
            (true, false) => Some(Text::Escaped(text)),
            (true, true) => {
                let quoted = self.text.get(start - 1..self.place)?;
                serde_json::from_str(quoted).ok().map(Text::Decoded)
            }
        }
    }
}

/// Holds a text of JSON.
enum Text<'a> {
    Plain(&'a str),
    /// Holds a text with escapes, each of them one character after a backslash.
    Escaped(&'a str),
    Decoded(String),
}

/// Returns the number that digits are, if they are so few that it fits.
fn whole(text: &str) -> Option<i64> {
    const MOST_DIGITS: usize = 18;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= MOST_DIGITS;
    // JSON has no leading zeros, and -0 is no whole number.
    (is_plain && !digits.starts_with('0') || text == "0").then(|| text.parse().ok())?
}

fn number_of_serde(text: &str) -> Option<Scalar<'static>> {
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    let whole = number.as_i64().map(Scalar::Int);
    let whole = whole.or_else(|| number.as_u64().map(Scalar::Unsigned));
    whole.or_else(|| number.as_f64().map(Scalar::Float))
}

/// Finds the first byte that ends a text or needs a closer look: a quote, a backslash, a control character. Eight bytes
/// are looked at together.
fn first_special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // A byte less than another one of at most 128 borrows, which its highest bit shows. Only bits after the first that
    // is set may be wrong.
    let less = |word: u64, than: u64| word.wrapping_sub(ONES * than) & !word & HIGH;
    let mut place = 0;
    while let Some(chunk) = bytes.get(place..place + 8) {
        let word = u64::from_le_bytes(chunk.try_into().ok()?);
        let quote = less(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = less(word ^ (ONES * u64::from(b'\\')), 1);
        let special = quote | backslash | less(word, u64::from(b' '));
        if special != 0 {
            return Some(place + special.trailing_zeros() as usize / 8);
        }
        place += 8;
    }
    let rest = bytes.get(place..)?;
    let is_special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    Some(place + rest.iter().position(is_special)?)
}

/// Returns a text with escapes of one character each as it is.
pub(super) fn decoded(text: &str) -> String {
    let mut decoded = String::new();
    decode(text, &mut decoded);
    decoded
}

/// Adds a text with escapes of one character each to another text, without its escapes.
pub(super) fn decode(text: &str, decoded: &mut String) {
    decoded.reserve(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        decoded.push_str(before);
        let mut characters = after.chars();
        decoded.push(match characters.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(itself) => itself,
            None => '\\',
        });
        rest = characters.as_str();
    }
    decoded.push_str(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Event, walk};
    use super::*;

    /// Makes texts that are JSON, or nearly.
    fn texts() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?[0-9]{1,20}",
            "-?[0-9]{1,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,3})?",
            "\"([a-z\"@ \\x00-\\x22]|\\\\[\"\\\\/bfnrtx]|\\\\u00e9|\\\\ud83d|\\\\ude00|\u{e9}){0,12}\"",
        ];
        let value = leaf.prop_recursive(4, 24, 4, |inner| {
            let name = prop_oneof![
                "[a-c@#]{1,9}",
                Just("Data".into()),
                Just("System".into()),
                Just("a\\nb".into())
            ];
            let member = (name, inner.clone()).prop_map(|(name, value)| format!("\"{name}\" : {value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(", "))),
                prop::collection::vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        });
        let spoilt = (value.clone(), any::<prop::sample::Index>()).prop_map(|(text, index)| {
            let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
            let mut text = text;
            text.remove(*index.get(&places));
            text
        });
        prop_oneof![
            4 => value.clone().prop_map(|value| format!("{{\"Event\": {value}}}")),
            1 => value,
            2 => spoilt,
        ]
    }

    /// Returns names and values as `serde_json` reads them.
    fn of_serde(text: &str) -> Option<Vec<(String, Scalar<'static>)>> {
        let mut leaves = Vec::new();
        walk::text(text, &mut leaves).ok()?;
        Some(plain(&leaves))
    }

    fn plain(leaves: &[Leaf<'_>]) -> Vec<(String, Scalar<'static>)> {
        let value = |value: &Scalar<'_>| match value {
            Scalar::Text(text) => Scalar::Text(text.clone().into_owned().into()),
            Scalar::Escaped(text) => Scalar::Text(decoded(text).into()),
            Scalar::Null => Scalar::Null,
            Scalar::Bool(flag) => Scalar::Bool(*flag),
            Scalar::Int(number) => Scalar::Int(*number),
            Scalar::Unsigned(number) => Scalar::Unsigned(*number),
            Scalar::Float(number) => Scalar::Float(*number),
        };
        leaves
            .iter()
            .map(|leaf| (leaf.name.clone().into_owned(), value(&leaf.value)))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn the_reader_takes_what_serde_takes_and_finds_the_same(text in texts()) {
            let mut leaves = Vec::new();
            if self::text(&text, &mut leaves).is_some() {
                prop_assert_eq!(Some(plain(&leaves)), of_serde(&text));
            }
            let event = Event::from_json(&text).ok();
            prop_assert_eq!(event.map(|event| plain(&event.leaves)), of_serde(&text));
        }

        #[test]
        fn the_first_special_byte_is_found(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let is_special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
            prop_assert_eq!(first_special(&bytes), bytes.iter().position(is_special));
        }
    }

    #[test]
    fn the_reader_does_not_give_up_at_usual_json() {
        let text = r#"{"Event": {"EventData": {"Image": "C:\\a\u00e9", "Id": -12, "Half": 0.5, "On": true}, "x": [1, null]}}"#;
        assert!(self::text(text, &mut Vec::new()).is_some());
    }
}
