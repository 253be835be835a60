//! Tokens: the parts of a text that a template has, or leaves out, as a whole.
//!
//! The documentation of `rows::template` says how templates are made of them. This is what a search relies on.

use std::ops::Range;

/// Says whether a byte is left out at the ends of a token.
pub(crate) fn is_trimmed(byte: u8) -> bool {
    matches!(byte, b':' | b'.')
}

pub(crate) fn is_delimiter(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & DELIMITER != 0
}

/// Marks the bytes between tokens.
pub(crate) const DELIMITER: u8 = 1;
/// Marks digits.
pub(crate) const DIGIT: u8 = 2;

/// Says what each byte is.
pub(crate) const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        classes[byte as usize] = match byte {
            0..=b' '
            | b'{'
            | b'}'
            | b'"'
            | b'\''
            | b'('
            | b')'
            | b'['
            | b']'
            | b'<'
            | b'>'
            | b','
            | b';'
            | b'='
            | b'/'
            | b'\\'
            | b'|'
            | b'&'
            | b'?'
            | b'!'
            | b'*'
            | b'`'
            | 127 => DELIMITER,
            b'0'..=b'9' => DIGIT,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// Returns the parts of a text that are in a log's text only if its template, a variable, a column or a time has them.
pub(crate) fn pieces_of(text: &str) -> impl Iterator<Item = &str> {
    pieces(text, is_delimiter).filter_map(|place| text.get(place))
}

/// Returns the places of such parts in ASCII: see [`pieces_of`].
pub(crate) fn ascii_pieces(text: &str) -> impl Iterator<Item = Range<usize>> {
    pieces(text, |byte| !byte.is_ascii() || is_delimiter(byte))
}

/// Returns the places of what is between bounds, without the bytes that are left out at the ends of tokens.
fn pieces(text: &str, is_bound: fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    text.as_bytes()
        .split(move |byte| is_bound(*byte))
        .filter_map(move |piece| {
            let from = start + piece.iter().take_while(|byte| is_trimmed(**byte)).count();
            let until =
                start + piece.len() - piece.iter().rev().take_while(|byte| is_trimmed(**byte)).count();
            start += piece.len() + 1;
            (from < until).then_some(from..until)
        })
}

/// Counts the formats of times that a template may refer to.
pub(crate) const TIMES: usize = 9;

/// Lists the formats of times, as `strftime` takes them, with the engine's name for milliseconds and microseconds.
///
/// They are those of RFC 3339, RFC 3164, C's `ctime`, SQL, the Common Log Format, Hadoop and log4j.
pub(crate) const FORMATS: [&str; TIMES] = [
    "%Y-%m-%dT%H:%M:%S.%gZ",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S.%fZ",
    "%b %e %H:%M:%S",
    "%a %b %d %H:%M:%S %Y",
    "%Y-%m-%d %H:%M:%S",
    "%d/%b/%Y:%H:%M:%S",
    "%y%m%d %H%M%S",
    "%Y-%m-%d %H:%M:%S,%g",
];

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

const DAYS: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

/// Returns a text in upper case, with zeros for its digits.
fn shape_of(text: &str) -> String {
    let shape = text.chars().map(|character| match character {
        '0'..='9' => '0',
        other => other.to_ascii_uppercase(),
    });
    shape.collect()
}

/// Says whether a part of a time in one of [`FORMATS`] may be this text without delimiters, in any letter case.
pub(crate) fn may_be_in_time(text: &str) -> bool {
    const SHAPES: [&str; 5] = [
        "0000-00-00T00:00:00.000Z",
        "0000-00-00T00:00:00Z",
        "0000-00-00T00:00:00.000000Z",
        "0000:00:00:00",
        "000000",
    ];
    let shape = shape_of(text);
    let of_times = MONTHS.iter().chain(&DAYS).chain(&SHAPES);
    of_times.into_iter().any(|of_time| of_time.contains(&shape))
}

/// Says whether a text without delimiters is in a log only if its template or a value has it: it is neither in a time, nor
/// in an identifier or a number, which have these characters only.
pub(crate) fn is_in_value(text: &str) -> bool {
    let is_other = |byte: u8| !(byte.is_ascii_hexdigit() || byte == b'-');
    text.bytes().any(is_other) && !may_be_in_time(text)
}

/// Returns the places in [`FORMATS`] of those in which a text without delimiters may be between the bounds of words, in
/// any letter case.
pub(crate) fn formats_with(text: &str) -> impl Iterator<Item = usize> {
    let shape = shape_of(text);
    let has = move |format: &str| match shape.as_str() {
        name if MONTHS.contains(&name) => format.contains("%b"),
        name if DAYS.contains(&name) => format.contains("%a"),
        shape => has_between_bounds(&shape_of_format(format), shape),
    };
    let formats = FORMATS.into_iter().enumerate();
    formats
        .filter(move |(_, format)| has(format))
        .map(|(place, _)| place)
}

/// Returns the shape of all times in one of [`FORMATS`], with the codes of names as they are.
fn shape_of_format(format: &str) -> String {
    // A day has one digit or two.
    let mut shape = format.replace("%e", "0 00");
    for (code, digits) in [("%Y", "0000"), ("%f", "000000"), ("%g", "000")] {
        shape = shape.replace(code, digits);
    }
    for two_digits in ["%m", "%d", "%H", "%M", "%S", "%y"] {
        shape = shape.replace(two_digits, "00");
    }
    shape
}

/// Says whether a text has a part where no letter or digit goes on before or after it.
fn has_between_bounds(text: &str, part: &str) -> bool {
    let is_cut = |left: Option<u8>, right: Option<u8>| {
        let is_of_word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        is_of_word(left) && is_of_word(right)
    };
    let mut places = (0..text.len()).filter(|start| text.as_bytes()[*start..].starts_with(part.as_bytes()));
    places.any(|start| {
        let (before, after) = (&text.as_bytes()[..start], &text.as_bytes()[start + part.len()..]);
        let (first, last) = (part.bytes().next(), part.bytes().next_back());
        !is_cut(before.last().copied(), first) && !is_cut(last, after.first().copied())
    })
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone as _, Utc};

    use super::*;

    #[test]
    fn pieces_are_between_delimiters() {
        for (text, pieces) in [
            ("Failed password", &["Failed", "password"][..]),
            ("185.220.101.44", &["185.220.101.44"]),
            ("::1: (a)", &["1", "a"]),
            ("é::1:", &["é::1"]),
            ("=.:{}", &[]),
            ("", &[]),
        ] {
            assert_eq!(pieces_of(text).collect::<Vec<_>>(), pieces, "{text}");
        }
        let text = "::a.b: .:. é1-2 (\u{212a}x)";
        let pieces: Vec<_> = ascii_pieces(text).map(|piece| &text[piece]).collect();
        assert_eq!(pieces, ["a.b", "1-2", "x"]);
    }

    #[test]
    fn every_word_of_a_time_is_in_its_format() {
        for day in [3, 30] {
            let time = Utc.with_ymd_and_hms(2025, 11, day, 12, 34, 56).unwrap();
            for (place, format) in FORMATS.into_iter().enumerate() {
                let format = format.replace("%g", "%3f").replace("%f", "%6f");
                let text = time.format(&format).to_string();
                for piece in ascii_pieces(&text).map(|piece| &text[piece]) {
                    let words = piece.match_indices(|character: char| !character.is_ascii_alphanumeric());
                    let bounds: Vec<usize> = words.flat_map(|(at, _)| [at, at + 1]).collect();
                    for start in [0].iter().chain(&bounds) {
                        for end in bounds.iter().chain(&[piece.len()]).filter(|end| *end > start) {
                            let mut found = formats_with(&piece[*start..*end]);
                            assert!(
                                found.any(|found| found == place),
                                "{} of {text}",
                                &piece[*start..*end]
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_word_is_in_few_formats() {
        for (word, formats) in [
            ("203.0.113.277", &[][..]),
            ("root", &[]),
            ("4625", &[0, 1, 2, 4, 5, 6, 8]),
            ("443", &[8]),
            ("12345", &[]),
            ("654321", &[7]),
            ("jan", &[3, 4, 6]),
            ("sun", &[4]),
        ] {
            assert_eq!(formats_with(word).collect::<Vec<_>>(), formats, "{word}");
        }
    }

    #[test]
    fn every_part_of_a_time_may_be_in_one() {
        let time = Utc.with_ymd_and_hms(2025, 11, 30, 12, 34, 56).unwrap();
        for format in FORMATS {
            let text = time
                .format(&format.replace("%g", "%3f").replace("%f", "%6f"))
                .to_string();
            for piece in text.split(|character| is_delimiter(character as u8)) {
                for start in 0..piece.len() {
                    for end in start..=piece.len() {
                        assert!(may_be_in_time(&piece[start..end]), "{piece}");
                    }
                }
            }
        }
        for text in ["185.220.101.44", "root", "0000000", "12-3456"] {
            assert!(!may_be_in_time(text), "{text}");
        }
    }
}
