//! Logs without what they repeat.
//!
//! A line repeats what was found in it: its message, host, program, time; and the fields of a JSON line stand in
//! `normalized` once more. The layout of a log is both texts, with a placeholder `{0}` to `{8}` for what a column holds
//! and braces doubled. The view `logs` fills it with the engine's `format`; what the two texts have in common is left
//! to the compression of the column.

use std::borrow::Cow;

use crate::models::LogEntry;

const PLACES: usize = 9;

/// Shorter values are hardly worth their placeholder.
const SHORTEST: usize = 3;

/// What the texts of one log may repeat: the arguments of `format` in the view `logs`, in their order.
pub(super) struct Pieces<'a> {
    values: [Cow<'a, str>; PLACES],
    /// What each byte is: see [`WORD`], [`BRACE`] and [`STARTS`].
    classes: [u16; 256],
}

impl<'a> Pieces<'a> {
    pub(super) fn of(log: &'a LogEntry) -> Self {
        let values: [Cow<'a, str>; PLACES] = std::array::from_fn(|place| value(log, place));
        let mut classes = CLASSES;
        for (place, value) in values.iter().enumerate() {
            if value.len() >= SHORTEST {
                classes[usize::from(value.as_bytes()[0])] |= 1 << place;
            }
        }
        Self { values, classes }
    }

    /// The layout of a log with these texts; `None` if it cannot have one.
    pub(super) fn layout_of(&self, normalized: &str, raw: &str) -> Option<String> {
        // The engine's format ends at a NUL byte, and normalized at a line end; JSON of ours holds neither.
        let end = memchr::memchr(0, raw.as_bytes()).or(memchr::memchr2(0, b'\n', normalized.as_bytes()));
        if end.is_some() {
            return None;
        }
        let mut layout = String::with_capacity(normalized.len() + raw.len() + 64);
        self.leave_out(normalized, &mut layout);
        layout.push('\n');
        self.leave_out(raw, &mut layout);
        Some(layout)
    }

    /// Writes a text without what it repeats.
    fn leave_out(&self, text: &str, layout: &mut String) {
        let bytes = text.as_bytes();
        let (mut at, mut copied) = (0, 0);
        let mut in_word = 0;
        while let Some(&byte) = bytes.get(at) {
            let class = self.classes[usize::from(byte)];
            // Values start where words do.
            if class & STARTS != 0
                && in_word == 0
                && let Some((place, length)) = self.longest_at(class & STARTS, &bytes[at..])
            {
                layout.push_str(&text[copied..at]);
                layout.extend(['{', char::from(b'0' + place), '}']);
                at += length;
                copied = at;
                in_word = self.classes[usize::from(bytes[at - 1])] & WORD;
                continue;
            }
            if class & BRACE != 0 {
                layout.push_str(&text[copied..=at]);
                copied = at;
            }
            at += 1;
            in_word = class & WORD;
        }
        layout.push_str(&text[copied..]);
    }

    /// The longest of some values that a text starts with, up to the end of a word, and its length.
    fn longest_at(&self, candidates: u16, text: &[u8]) -> Option<(u8, usize)> {
        let mut longest = None;
        for place in (0..PLACES).filter(|place| candidates & 1 << place != 0) {
            let value = self.values[place].as_bytes();
            let Some(rest) = text.strip_prefix(value) else {
                continue;
            };
            let goes_on = |byte: &u8| byte.is_ascii_alphanumeric();
            let is_cut = rest.first().is_some_and(goes_on) && value.last().is_some_and(goes_on);
            if !is_cut && longest.is_none_or(|(_, length)| length < value.len()) {
                longest = Some((u8::try_from(place).unwrap_or_default(), value.len()));
            }
        }
        longest
    }
}

/// What stands in a log at a place that a layout names.
fn value(log: &LogEntry, place: usize) -> Cow<'_, str> {
    let text = match place {
        0 => &log.timestamp,
        1 => &log.appname,
        2 => &log.file,
        3 => &log.host,
        4 => &log.hostname,
        5 => &log.message,
        6 => return in_json(log.message.as_deref().unwrap_or_default()),
        7 => {
            return log
                .procid
                .map(|procid| procid.to_string())
                .unwrap_or_default()
                .into();
        }
        _ => &log.source_type,
    };
    Cow::Borrowed(text.as_deref().unwrap_or_default())
}

/// The texts of a log's layout, `normalized` and `raw`; `None` if it is no layout.
pub(super) fn fill(log: &LogEntry, layout: &str) -> Option<(String, String)> {
    let (normalized, raw) = layout.split_once('\n')?;
    Some((filled(log, normalized)?, filled(log, raw)?))
}

/// A text with what was left out of it.
fn filled(log: &LogEntry, layout: &str) -> Option<String> {
    let mut text = String::with_capacity(2 * layout.len());
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
                .map(|place| value(log, place))?,
        );
        rest = rest[brace + 2..].strip_prefix('}')?;
    }
    text.push_str(rest);
    Some(text)
}

/// A letter or digit.
const WORD: u16 = 1 << 14;
const BRACE: u16 = 1 << 15;
/// A bit for each place whose value starts with the byte.
const STARTS: u16 = (1 << PLACES) - 1;

const CLASSES: [u16; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            classes[byte as usize] = WORD;
        }
        byte += 1;
    }
    classes[b'{' as usize] = BRACE;
    classes[b'}' as usize] = BRACE;
    classes
};

/// A text as it stands in a JSON string; nothing where that is no different.
fn in_json(text: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'"', b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed("");
    }
    Cow::Owned(text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(normalized: &str, raw: &str) -> Option<String> {
        let log = LogEntry::new(chrono::Utc::now())
            .with_appname("sshd")
            .with_procid(4242);
        let log = LogEntry {
            host: Some("web1".into()),
            hostname: Some("web1.example".into()),
            timestamp: Some("Jan 15 00:00:00".into()),
            ..log.with_message("say \"hi\" {to} web1")
        };
        let pieces = Pieces::of(&log);
        let layout = pieces.layout_of(normalized, raw)?;
        assert_eq!(fill(&log, &layout), Some((normalized.to_owned(), raw.to_owned())));
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
    fn only_whole_words_are_left_out() {
        let text = "web12 xsshd 142424 web1x";
        assert_eq!(layout("", text), Some(format!("\n{text}")));
        assert_eq!(layout("", "é-sshd}"), Some("\né-{1}}}".into()));
    }

    #[test]
    fn what_is_no_layout_cannot_be_filled() {
        let log = LogEntry::new(chrono::Utc::now());
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
            assert_eq!(fill(&log, text), None, "{text:?}");
        }
    }

    #[test]
    fn a_text_with_a_nul_byte_stays_as_it_is() {
        assert_eq!(layout("", "sshd\0"), None);
        assert_eq!(layout("{\n}", "sshd"), None);
    }
}
