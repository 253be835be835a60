//! JSON with flaws, written again without them. Readers of JSON refuse a whole object for one bad part of it.
//!
//! An attacker who can make one value of an object unreadable would hide the object from every rule. So a value that
//! JSON does not have becomes a text, half of a surrogate pair becomes U+FFFD, and where the text breaks off, the
//! members before that place count.

use super::brackets::Depth;
use crate::models::{DEEPEST, Edits};

/// Holds objects without flaws, and says where their parts are in the original text.
#[derive(Debug)]
pub(crate) struct Mended<'t> {
    /// Holds an array of objects, or objects one after the other.
    pub(crate) text: String,
    /// Says what the first flaw is; `None` if there are only several objects.
    pub(crate) problem: Option<String>,
    /// Says that the original ends within an object or a list.
    pub(crate) is_cut: bool,
    original: &'t str,
    /// Says that some text at the end of the original is no JSON.
    breaks_off: bool,
    /// Says what was mended.
    edits: Edits,
}

impl<'t> Mended<'t> {
    /// Returns what a part of the mended text is in the original. The last part has the rest of a text that breaks off.
    pub(crate) fn original_of(&self, part: &str, is_last: bool) -> &'t str {
        let place = self.edits.original_of(part, &self.text);
        let end = match is_last && self.breaks_off {
            true => self.original.len(),
            false => place.end,
        };
        let part = self.original.get(place.start..end);
        part.unwrap_or(self.original)
    }
}

/// Mends a text that starts as an object, or as an array of objects. Returns `None` where no member can be read, and
/// where another text follows several objects.
pub(crate) fn mend(text: &str) -> Option<Mended<'_>> {
    let mut mender = Mender::of(text);
    let flow = mender.top();
    if mender.members == 0 || flow == Flow::Other {
        return None;
    }
    Some(Mended {
        text: mender.mended,
        problem: mender.problem,
        is_cut: flow == Flow::Cut,
        original: text,
        breaks_off: flow != Flow::Whole,
        edits: mender.edits,
    })
}

/// Says how reading a part of the text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Whole,
    /// Means that the text ends within the part, whose beginning is kept.
    Cut,
    /// Means that the part is no JSON after some place, and that what is before the place is kept.
    Broken,
    /// Means that there is no such part.
    Other,
}

/// Marks a place to go back to.
#[derive(Debug, Clone, Copy)]
struct Mark {
    mended: usize,
    edits: usize,
    members: usize,
}

/// Reads a text, and writes it again.
struct Mender<'t> {
    text: &'t str,
    at: usize,
    /// Holds the place up to which the text is written again.
    copied: usize,
    mended: String,
    edits: Edits,
    problem: Option<String>,
    members: usize,
}

impl<'t> Mender<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            copied: 0,
            mended: String::with_capacity(text.len()),
            edits: Edits::default(),
            problem: None,
            members: 0,
        }
    }

    /// Reads an array of objects, or objects one after the other.
    fn top(&mut self) -> Flow {
        self.space();
        let is_list = self.peek() == Some(b'[');
        let mut flow = match is_list {
            true => self.entries(b']', 0, Self::value),
            false => self.object(1),
        };
        self.space();
        let mut is_alone = !is_list;
        while flow == Flow::Whole && self.peek() == Some(b'{') {
            flow = self.object(1);
            self.space();
            is_alone = false;
        }
        self.copy();
        match flow {
            Flow::Whole if self.at < self.text.len() => self.end(is_alone),
            flow => flow,
        }
    }

    /// Reads what follows the objects. An object alone has it in its `raw`.
    fn end(&mut self, is_alone: bool) -> Flow {
        self.note("a character after the object");
        match is_alone {
            true => Flow::Whole,
            false => Flow::Other,
        }
    }

    fn object(&mut self, level: usize) -> Flow {
        match self.peek() {
            Some(b'{') => self.entries(b'}', level, Self::member),
            _ => Flow::Other,
        }
    }

    /// Reads the entries of an object or a list up to the bracket that closes it.
    fn entries(&mut self, close: u8, level: usize, entry: fn(&mut Self, usize) -> Flow) -> Flow {
        self.at += 1;
        let mut before = self.mark();
        self.space();
        if self.take(close) {
            return Flow::Whole;
        }
        loop {
            match entry(self, level) {
                Flow::Whole => {}
                Flow::Other => return self.stop(before, close),
                kept => {
                    self.mended.push(char::from(close));
                    return kept;
                }
            }
            let after = self.mark();
            self.space();
            if self.take(close) {
                return Flow::Whole;
            }
            if !self.take(b',') {
                // A value before other text may be a part of one whose quotes are wrong. A whole record counts.
                let is_sound = self.peek().is_none() || level == 0;
                return self.stop(if is_sound { after } else { before }, close);
            }
            self.space();
            if self.peek() == Some(close) {
                self.note("a comma before a bracket");
                self.go_back(after);
                self.edited(0);
                self.at += 1;
                return Flow::Whole;
            }
            before = after;
        }
    }

    /// Reads a name and its value.
    fn member(&mut self, level: usize) -> Flow {
        if self.peek() != Some(b'"') || self.string() != Flow::Whole {
            return Flow::Other;
        }
        self.space();
        if !self.take(b':') {
            return Flow::Other;
        }
        self.space();
        let flow = self.value(level);
        self.members += usize::from(flow != Flow::Other);
        flow
    }

    fn value(&mut self, level: usize) -> Flow {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{' | b'[') if level == DEEPEST => self.deep(),
            Some(b'{') => self.object(level + 1),
            Some(b'[') => self.entries(b']', level + 1, Self::value),
            _ => self.word(),
        }
    }

    /// Writes what is nested too deeply as a text.
    fn deep(&mut self) -> Flow {
        self.note("more than 100 levels");
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = Depth::default().read(rest.as_bytes()).unwrap_or(rest.len());
        let is_whole = length < rest.len();
        self.replace(length, &quoted(rest.get(..length).unwrap_or(rest)));
        match is_whole {
            true => Flow::Whole,
            false => self.cut(""),
        }
    }

    /// Reads a number or a word. One that JSON does not have becomes a text.
    fn word(&mut self) -> Flow {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_end = |c: char| c.is_ascii_whitespace() || ",:\"[]{}".contains(c);
        // A number at the end of the text may have had more digits.
        let Some(length) = rest.find(is_end).filter(|length| *length > 0) else {
            self.at += if rest.starts_with(is_end) { 0 } else { rest.len() };
            return Flow::Other;
        };
        let word = rest.get(..length).unwrap_or(rest);
        if serde_json::from_str::<serde_json::Value>(word).is_ok() {
            self.at += length;
            return Flow::Whole;
        }
        self.note("a value that JSON cannot hold");
        self.replace(length, &quoted(word));
        Flow::Whole
    }

    fn string(&mut self) -> Flow {
        self.at += 1;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let is_special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
            let mut special = rest.iter().enumerate().filter(|(_, byte)| is_special(byte));
            let Some((plain, byte)) = special.next() else {
                self.at = self.text.len();
                return self.cut("\u{fffd}\"");
            };
            self.at += plain;
            match *byte {
                b'"' => {
                    self.at += 1;
                    return Flow::Whole;
                }
                b'\\' => self.escape(rest.get(plain..).unwrap_or_default()),
                control => {
                    self.note("a control character");
                    self.replace(1, &format!("\\u{control:04x}"));
                }
            }
        }
    }

    /// Reads an escape sequence. The backslash of one that JSON does not have is a character.
    fn escape(&mut self, rest: &[u8]) {
        let unit = |rest: &[u8]| {
            let digits = std::str::from_utf8(rest.strip_prefix(b"\\u")?.get(..4)?).ok()?;
            u16::from_str_radix(digits, 16).ok()
        };
        match (rest.get(1), unit(rest)) {
            (Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'), _) => self.at += 2,
            (_, Some(0xd800..=0xdbff)) if matches!(rest.get(6..).and_then(unit), Some(0xdc00..=0xdfff)) => {
                self.at += 12;
            }
            (_, Some(0xd800..=0xdfff)) => {
                self.note("half of a surrogate pair");
                self.replace(6, "\u{fffd}");
            }
            (_, Some(_)) => self.at += 6,
            (None, None) => self.replace(1, ""),
            (Some(_), None) => {
                self.note("an escape sequence that JSON does not have");
                self.replace(1, "\\\\");
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn space(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.at += rest.iter().take_while(is_space).count();
    }

    /// Says what is wrong here, if it is the first flaw.
    fn note(&mut self, flaw: &str) {
        let column = self.at + 1;
        self.problem
            .get_or_insert_with(|| format!("not valid JSON: {flaw} at column {column}"));
    }

    /// Writes the text up to here.
    fn copy(&mut self) {
        let text = self.text.get(self.copied..self.at).unwrap_or_default();
        self.mended.push_str(text);
        self.copied = self.at;
    }

    /// Writes another text instead of the next bytes.
    fn replace(&mut self, length: usize, text: &str) {
        self.copy();
        self.mended.push_str(text);
        self.edited(length);
    }

    /// Goes on after bytes that something else is written for.
    fn edited(&mut self, length: usize) {
        self.at += length;
        self.copied = self.at;
        self.edits.push(self.mended.len(), self.at);
    }

    fn mark(&mut self) -> Mark {
        self.copy();
        Mark {
            mended: self.mended.len(),
            edits: self.edits.len(),
            members: self.members,
        }
    }

    fn go_back(&mut self, mark: Mark) {
        self.mended.truncate(mark.mended);
        self.edits.truncate(mark.edits);
        self.members = mark.members;
    }

    /// Closes an object or a list after the last entry that is sound.
    fn stop(&mut self, last: Mark, close: u8) -> Flow {
        let is_cut = self.at >= self.text.len();
        if !is_cut {
            self.note("no JSON any more");
        }
        self.go_back(last);
        self.copied = self.at;
        let flow = self.cut("");
        self.mended.push(char::from(close));
        if is_cut { flow } else { Flow::Broken }
    }

    /// Ends the text here.
    fn cut(&mut self, end: &str) -> Flow {
        self.copy();
        self.at = self.text.len();
        self.copied = self.at;
        self.note("the text ends too early");
        self.mended.push_str(end);
        Flow::Cut
    }
}

/// Returns a text as JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ingest::formats::json;

    fn mended(text: &str) -> Option<(String, String)> {
        let mended = mend(text)?;
        Some((mended.text, mended.problem.unwrap_or_default()))
    }

    #[test]
    fn what_json_cannot_hold_becomes_a_text() {
        for (text, expected, flaw) in [
            (r#"{"a": 1e999}"#, r#"{"a": "1e999"}"#, "cannot hold at column 7"),
            (
                r#"{"a": NaN, "b": [007]}"#,
                r#"{"a": "NaN", "b": ["007"]}"#,
                "cannot hold",
            ),
            (
                r#"{"a\ud800": "\udc00x"}"#,
                "{\"a\u{fffd}\": \"\u{fffd}x\"}",
                "surrogate",
            ),
            (
                r#"{"a": "C:\Users\x\u12"}"#,
                r#"{"a": "C:\\Users\\x\\u12"}"#,
                "escape",
            ),
            ("{\"a\": \"\t\u{1b}\"}", r#"{"a": "\u0009\u001b"}"#, "control"),
            (r#"{"a": 1,}"#, r#"{"a": 1}"#, "comma"),
            ("{\"a\": 1},\0", r#"{"a": 1}"#, "after the object"),
        ] {
            let (mended, problem) = mended(text).unwrap();
            assert_eq!(mended, expected);
            assert!(problem.contains(flaw), "{problem}");
        }
    }

    #[test]
    fn sound_members_of_what_breaks_off_are_kept() {
        for (text, expected) in [
            (r#"{"a": 1, "b": "x"#, "{\"a\": 1, \"b\": \"x\u{fffd}\"}"),
            (r#"{"a": 1, "b": 12"#, r#"{"a": 1}"#),
            (r#"{"a": {"c": [1, {"d": 2, "e"#, r#"{"a": {"c": [1, {"d": 2}]}}"#),
            (r#"{"a": 1, "b": "x"y", "c": 3}"#, r#"{"a": 1}"#),
            (r#"[{"a": 1}, {"b": 2"#, r#"[{"a": 1}, {}]"#),
            (r#"{"a": 1, "b": "x\"#, "{\"a\": 1, \"b\": \"x\u{fffd}\"}"),
            (r#"{"a": 1} text"#, r#"{"a": 1} "#),
        ] {
            assert_eq!(mended(text).unwrap().0, expected);
        }
        for text in [
            "{",
            "{}",
            r#"{"a" 1}"#,
            "[1, 2",
            r#"{"a": 1}{"b": 2} text"#,
            "{a: 1}",
            "[warn] x",
        ] {
            assert!(
                mended(text).is_none_or(|(_, problem)| problem.is_empty()),
                "{text}"
            );
        }
    }

    #[test]
    fn parts_are_those_of_the_original() {
        let text = r#"[{"a": 1e999, "b": "\ud800"}, {"c": 2, "d": tr"#;
        let mended = mend(text).unwrap();
        let objects = json::objects(&mended.text).unwrap();
        let last = objects.len() - 1;
        let parts = objects.iter().enumerate();
        let parts: Vec<_> = parts
            .map(|(place, (part, _))| mended.original_of(part, place == last))
            .collect();
        assert_eq!(parts, [r#"{"a": 1e999, "b": "\ud800"}"#, r#"{"c": 2, "d": tr"#]);
    }

    proptest! {
        #[test]
        fn what_is_mended_is_json(text in r#"[\[{]{1,2}("[a\\ud80\x01]{0,8}"?[:, \]}]{0,2}[1e9x\[{]{0,3}[,\]}]{0,2}){0,6}"#) {
            if let Some(mended) = mend(&text) {
                let mut values = serde_json::Deserializer::from_str(&mended.text).into_iter::<serde_json::Value>();
                prop_assert!(values.all(|value| value.is_ok()), "{:?}", mended.text);
            }
        }
    }
}
