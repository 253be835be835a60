//! Row layouts: the texts of a log without the values that its columns hold.
//!
//! A line repeats the values that were found in it: its message, host, program and time. The fields of a JSON line are
//! in `normalized` once more. The layout of a log is both texts, `normalized` and `raw`, with a line end between them.
//! A placeholder `{0}` to `{8}` replaces the value of a column, and braces are doubled. The view `logs` renders the
//! layout with the engine's `format`. The compression of the column handles the parts that both texts share.
//!
//! # How values are found
//!
//! Each byte of each stored log passes through [`Matcher::encode_text`], so that it looks at most bytes only once. Two
//! tables, made for each log, tell which bytes need more than a look:
//!
//! - `classes` has a number for each byte. Its low half says what the byte may be: bit `p` that the value of place `p`
//!   starts with it ([`STARTS`]), bit 9 that it is a brace ([`BRACE`]). Its high half, from bit 16 ([`AFTER`]) on, says
//!   the same of the byte after it: a value starts only where a word does, hence after a letter or digit only
//!   a brace counts.
//! - `seconds` has bit `p` for each byte that is the second one of the value of place `p`. Most values that share their
//!   first byte with the text do not share the second, and are not compared.
//!
//! The text `web1 sshd: {x}`, of a log with the host `web1` (place 3) and the program `sshd` (place 1):
//!
//! | at | class, low half | allowed by the byte before | what happens |
//! |---|---|---|---|
//! | `w` | starts 3 | all, at the start of a text | `seconds['e']` has bit 3, `web1` fits and no word goes on: `{3}` |
//! | ` ` | nothing | brace only, after `1` | goes on; its high half allows all |
//! | `s` | starts 1 | all | `seconds['s']` has bit 1, `sshd` fits: `{1}` |
//! | `:` and ` ` | nothing | brace only, then all | goes on |
//! | `{` | brace | all | is doubled: `{{` |
//! | `x` | nothing | all | goes on |
//! | `}` | brace | brace only, after `x` | is doubled: `}}` |
//!
//! The layout is `{3} {1}: {{x}}`.

use std::borrow::Cow;

const PLACES: usize = 9;

/// Holds the values of a log's columns that its texts may repeat.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Columns<'a> {
    pub(crate) timestamp: Option<&'a str>,
    pub(crate) appname: Option<&'a str>,
    pub(crate) file: Option<&'a str>,
    pub(crate) host: Option<&'a str>,
    pub(crate) hostname: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
    pub(crate) procid: Option<i64>,
    pub(crate) source_type: Option<&'a str>,
}

impl<'a> Columns<'a> {
    /// Returns an argument of `format` in the view `logs`, by its number.
    fn value(&self, place: usize) -> Cow<'a, str> {
        let text = match place {
            0 => self.timestamp,
            1 => self.appname,
            2 => self.file,
            3 => self.host,
            4 => self.hostname,
            5 => self.message,
            6 => return in_json(self.message.unwrap_or_default()).into(),
            7 => {
                return self
                    .procid
                    .map(|procid| procid.to_string())
                    .unwrap_or_default()
                    .into();
            }
            _ => self.source_type,
        };
        Cow::Borrowed(text.unwrap_or_default())
    }

    /// Writes the layout of a log with these texts, and returns whether it can have one.
    pub(crate) fn encode(&self, normalized: &str, raw: &str, layout: &mut String) -> bool {
        // The engine's `format` ends at a NUL byte, and `normalized` at a line end. JSON of this crate holds neither.
        let end = memchr::memchr(0, raw.as_bytes()).or(memchr::memchr2(0, b'\n', normalized.as_bytes()));
        if end.is_some() {
            return false;
        }
        let has_escapes = [normalized, raw]
            .iter()
            .any(|text| memchr::memchr(b'\\', text.as_bytes()).is_some());
        let matcher = match has_escapes {
            true => Matcher::new(self),
            false => Matcher::without_escapes(self),
        };
        matcher.encode_text(normalized, layout);
        layout.push('\n');
        matcher.encode_text(raw, layout);
        true
    }

    /// Returns the texts of a layout, `normalized` and `raw`. `None` if it is no layout. The memory of `text` is used
    /// again for the next layout, so that each text takes only the memory that it needs.
    pub(crate) fn render(&self, layout: &str, text: &mut String) -> Option<(String, String)> {
        let (normalized, raw) = layout.split_once('\n')?;
        let mut render = |layout| {
            text.clear();
            self.render_text(layout, text)?;
            Some(text.as_str().to_owned())
        };
        Some((render(normalized)?, render(raw)?))
    }

    /// Writes one text of a layout, with values instead of placeholders, after another text.
    fn render_text(&self, layout: &str, text: &mut String) -> Option<()> {
        let mut rest = layout;
        while let Some(brace) = memchr::memchr2(b'{', b'}', rest.as_bytes()) {
            text.push_str(&rest[..brace]);
            let after = *rest.as_bytes().get(brace + 1)?;
            if after == rest.as_bytes()[brace] {
                text.push(char::from(after));
                rest = &rest[brace + 2..];
                continue;
            }
            let place = usize::from(after.checked_sub(b'0')?);
            text.push_str(
                &Some(place)
                    .filter(|place| *place < PLACES)
                    .map(|place| self.value(place))?,
            );
            rest = rest[brace + 2..].strip_prefix('}')?;
        }
        text.push_str(rest);
        Some(())
    }
}

/// Finds the values of one log in its texts.
///
/// Values of one or two bytes stay in the texts, as a placeholder is no shorter.
struct Matcher<'a> {
    values: [Cow<'a, str>; PLACES],
    /// Holds the class of each byte, and above that the class that the byte after it may have.
    ///
    /// See [`STARTS`], [`BRACE`] and [`AFTER`].
    classes: [u32; 256],
    /// Holds a bit for each place whose value has the byte as its second one.
    seconds: [u16; 256],
}

impl<'a> Matcher<'a> {
    fn new(columns: &Columns<'a>) -> Self {
        Self::of_values(std::array::from_fn(|place| columns.value(place)))
    }

    /// Makes a matcher for texts without a backslash, which do not hold the message as JSON escapes it.
    fn without_escapes(columns: &Columns<'a>) -> Self {
        Self::of_values(std::array::from_fn(|place| match place {
            6 => Cow::Borrowed(""),
            place => columns.value(place),
        }))
    }

    fn of_values(values: [Cow<'a, str>; PLACES]) -> Self {
        let (mut classes, mut seconds) = (CLASSES, [0; 256]);
        for (place, value) in values.iter().enumerate() {
            if let [first, second, _, ..] = *value.as_bytes() {
                classes[usize::from(first)] |= 1 << place;
                seconds[usize::from(second)] |= 1 << place;
            }
        }
        Self {
            values,
            classes,
            seconds,
        }
    }

    /// Writes a text with placeholders instead of values. The module's documentation has an example.
    fn encode_text(&self, text: &str, layout: &mut String) {
        let bytes = text.as_bytes();
        let (mut at, mut copied) = (0, 0);
        // Values start where words do.
        let mut may_be = STARTS | BRACE;
        while let Some(byte) = bytes.get(at) {
            let class = self.classes[usize::from(*byte)];
            let found = class & may_be;
            may_be = class >> AFTER;
            if found == 0 {
                at += 1;
                continue;
            }
            if let Some((place, length)) = self.longest_at(found & STARTS, &bytes[at..]) {
                layout.push_str(&text[copied..at]);
                layout.push_str(PLACEHOLDERS[place]);
                at += length;
                copied = at;
                may_be = self.classes[usize::from(bytes[at - 1])] >> AFTER;
                continue;
            }
            if found & BRACE != 0 {
                layout.push_str(&text[copied..=at]);
                copied = at;
            }
            at += 1;
        }
        layout.push_str(&text[copied..]);
    }

    /// Returns the longest of some values that a text starts with, up to the end of a word, and its length.
    fn longest_at(&self, candidates: u32, text: &[u8]) -> Option<(usize, usize)> {
        let mut longest = None;
        let mut candidates = candidates & u32::from(self.seconds[usize::from(*text.get(1)?)]);
        while candidates != 0 {
            let place = candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            let value = self.values[place].as_bytes();
            let Some(rest) = text.strip_prefix(value) else {
                continue;
            };
            let goes_on = |byte: &u8| byte.is_ascii_alphanumeric();
            let is_cut = rest.first().is_some_and(goes_on) && value.last().is_some_and(goes_on);
            if !is_cut && longest.is_none_or(|(_, length)| length < value.len()) {
                longest = Some((place, value.len()));
            }
        }
        longest
    }
}

const PLACEHOLDERS: [&str; PLACES] = ["{0}", "{1}", "{2}", "{3}", "{4}", "{5}", "{6}", "{7}", "{8}"];

/// Masks the bits of a class that say which values start with the byte, one for each place.
const STARTS: u32 = (1 << PLACES) - 1;
/// Masks the bit of a class that says that the byte is a brace.
const BRACE: u32 = 1 << PLACES;

/// Gives the first bit of the half of a class that says what the byte after this one may be.
const AFTER: u32 = 16;

/// Holds the classes of a log without values. No value starts within a word.
const CLASSES: [u32; 256] = {
    let mut classes = [(STARTS | BRACE) << AFTER; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            classes[byte as usize] = BRACE << AFTER;
        }
        byte += 1;
    }
    classes[b'{' as usize] |= BRACE;
    classes[b'}' as usize] |= BRACE;
    classes
};

/// Returns a text as a JSON string holds it; an empty text if it is the same.
fn in_json(text: &str) -> String {
    let mut escaped = String::new();
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest.as_bytes()) {
        if escaped.is_empty() {
            escaped.reserve(text.len() + text.len() / 8 + 1);
        }
        let (before, after) = rest.split_at(at);
        let (character, after) = after.split_at(1);
        escaped.push_str(before);
        escaped.push('\\');
        escaped.push_str(character);
        rest = after;
    }
    if !escaped.is_empty() {
        escaped.push_str(rest);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns<'_> = Columns {
        timestamp: Some("Jan 15 00:00:00"),
        appname: Some("sshd"),
        file: None,
        host: Some("web1"),
        hostname: Some("web1.example"),
        message: Some("say \"hi\" {to} web1"),
        procid: Some(4242),
        source_type: None,
    };

    fn layout(normalized: &str, raw: &str) -> Option<String> {
        let mut layout = String::new();
        if !COLUMNS.encode(normalized, raw, &mut layout) {
            return None;
        }
        let filled = COLUMNS.render(&layout, &mut String::new());
        assert_eq!(filled, Some((normalized.to_owned(), raw.to_owned())));
        Some(layout)
    }

    #[test]
    fn what_is_repeated_is_left_out() {
        let line = "Jan 15 00:00:00 web1 sshd[4242]: say \"hi\" {to} web1";
        assert_eq!(layout("", line).as_deref(), Some("\n{0} {3} {1}[{7}]: {5}"));
        let object = r#"{"host":"web1","fqdn":"web1.example","msg":"say \"hi\" {to} web1","n":1}"#;
        assert_eq!(
            layout(r#"{"n":1}"#, object).as_deref(),
            Some("{{\"n\":1}}\n{{\"host\":\"{3}\",\"fqdn\":\"{4}\",\"msg\":\"{6}\",\"n\":1}}")
        );
    }

    #[test]
    fn the_example_of_the_documentation_holds() {
        let line = "web1 sshd: {x}";
        assert_eq!(layout("", line).as_deref(), Some("\n{3} {1}: {{x}}"));
    }

    #[test]
    fn only_whole_words_are_left_out() {
        let text = "web12 xsshd 142424 web1x";
        assert_eq!(layout("", text), Some(format!("\n{text}")));
        assert_eq!(layout("", "é-sshd}"), Some("\né-{1}}}".into()));
    }

    #[test]
    fn what_is_no_layout_cannot_be_filled() {
        for text in [
            "",
            "no line end",
            "\n{",
            "\n}",
            "\n{9}",
            "\n{0",
            "\n{x}",
            "{}\n",
            "\né{0",
        ] {
            assert_eq!(
                Columns::default().render(text, &mut String::new()),
                None,
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_text_with_a_nul_byte_stays_as_it_is() {
        assert_eq!(layout("", "sshd\0"), None);
        assert_eq!(layout("{\n}", "sshd"), None);
    }
}
