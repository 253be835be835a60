//! Templates that repeat. A line is compared with the one it probably has, which takes less time than to split it.
//!
//! Lines of the same shape mostly have the same template. The shape is what a line has besides tokens with digits. A
//! line that differs from the template of its shape is split.

use std::collections::HashMap;
use std::mem;

use super::{
    COLUMNS, FIRST_VARIABLE, Known, Splitter, TEMPLATE_END, Texts, Values, end_of_quoted, number_of,
};
use crate::storage::duckdb::sql::tokens::{CLASSES, DELIMITER, DIGIT, is_delimiter, is_trimmed};

/// Holds templates that repeat, by the shape of their lines.
#[derive(Debug, Default)]
pub(crate) struct RepeatedTemplates {
    of_shapes: HashMap<u64, RepeatedTemplate>,
    /// Counts the bytes of the templates.
    bytes: usize,
}

impl RepeatedTemplates {
    /// Limits the bytes of the templates. All are forgotten then, and those that still repeat are soon known again.
    const MOST_BYTES: usize = 8 << 20;
    /// Counts the lines in a row that differ from the template of their shape before another one takes its place.
    const MOST_MISSES: u8 = 4;

    /// Adds a template that lines of a shape have.
    pub(crate) fn add(&mut self, shape: u64, together: &str, hash: u64) {
        if let Some(held) = self.of_shapes.get_mut(&shape) {
            held.misses = held.misses.saturating_add(1);
            if held.misses < Self::MOST_MISSES {
                return;
            }
        }
        if self.bytes > Self::MOST_BYTES {
            *self = Self::default();
        }
        if let Some(template) = RepeatedTemplate::new(together, hash) {
            self.bytes += 2 * together.len();
            self.of_shapes.insert(shape, template);
        }
    }

    /// Splits the texts of a log that can have templates as the template of its shape is split, and returns the hash of
    /// that one. Returns `None` if they have another one.
    pub(crate) fn split(
        &mut self,
        shape: u64,
        texts: &Texts<'_>,
        known: &Known<'_>,
        splitter: &mut Splitter,
    ) -> Option<u64> {
        let template = self.of_shapes.get_mut(&shape)?;
        template.split(texts, known, splitter)?;
        template.misses = 0;
        Some(template.hash)
    }
}

/// Returns a hash of what a log's message, or else its line, has besides tokens with digits and values of names.
pub(crate) fn shape(texts: &Texts<'_>) -> u64 {
    /// Limits the bytes that are looked at.
    const MOST: usize = 512;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let text = texts.message.unwrap_or(texts.raw).as_bytes();
    let (mut shape, mut before_token, mut is_variable) = (u64::from(texts.normalized.is_some()), 0, false);
    for byte in text.iter().take(MOST) {
        let class = CLASSES[usize::from(*byte)];
        if class & DELIMITER != 0 {
            if mem::take(&mut is_variable) {
                shape = before_token;
            }
            is_variable = *byte == b'=';
        }
        is_variable |= class & DIGIT != 0;
        shape = (shape ^ u64::from(*byte)).wrapping_mul(PRIME);
        if class & DELIMITER != 0 {
            before_token = shape;
        }
    }
    if is_variable { before_token } else { shape }
}

/// Holds the templates of a log, in pieces.
#[derive(Debug)]
struct RepeatedTemplate {
    together: Box<str>,
    hash: u64,
    /// Holds what stays the same, one piece after another.
    fixed: String,
    /// Holds the pieces of each text.
    texts: [Vec<Piece>; 4],
    misses: u8,
}

/// Describes what stays the same in a text, up to the next value.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: usize,
    end: usize,
    value: Option<Value>,
}

/// Says what is at a placeholder, by its number.
#[derive(Debug, Clone, Copy)]
enum Value {
    /// Means the value of a column, or the time.
    Known(usize),
    Token(usize),
    /// Means a text up to the next quote.
    Quoted(usize),
}

impl RepeatedTemplate {
    fn new(together: &str, hash: u64) -> Option<Self> {
        let mut template = Self {
            together: together.into(),
            hash,
            fixed: String::with_capacity(together.len()),
            texts: Default::default(),
            misses: 0,
        };
        for (pieces, text) in template.texts.iter_mut().zip(together.split(TEMPLATE_END)) {
            *pieces = pieces_of(text, &mut template.fixed)?;
        }
        Some(template)
    }

    /// Leaves the templates and the values of a log in the splitter; `None` if they are not these templates.
    fn split(&self, texts: &Texts<'_>, known: &Known<'_>, splitter: &mut Splitter) -> Option<()> {
        splitter.start(known.event_time);
        let all = [texts.normalized, texts.message, texts.timestamp, Some(texts.raw)];
        for (pieces, text) in self.texts.iter().zip(all) {
            self.take_values(pieces, text.unwrap_or_default(), known, splitter)?;
        }
        splitter.together.push_str(&self.together);
        Some(())
    }

    /// Takes the values of a text; `None` if it has another template.
    fn take_values(
        &self,
        pieces: &[Piece],
        text: &str,
        known: &Known<'_>,
        splitter: &mut Splitter,
    ) -> Option<()> {
        let mut rest = text;
        for piece in pieces {
            rest = rest.strip_prefix(self.fixed.get(piece.start..piece.end)?)?;
            let (number, length) = match piece.value {
                None => continue,
                Some(Value::Known(number)) => {
                    let of_time = |place: usize| splitter.times.texts.get(place).map(String::as_str);
                    let value = match number.checked_sub(COLUMNS) {
                        None => known.columns.get(number).copied(),
                        Some(place) => of_time(place),
                    };
                    rest = rest.strip_prefix(value.filter(|value| Values::may_have(value))?)?;
                    continue;
                }
                Some(Value::Token(number)) => (number, token_length(rest.as_bytes())),
                Some(Value::Quoted(number)) => (number, end_of_quoted(rest.as_bytes(), 0)?),
            };
            let (value, after) = rest.split_at_checked(length).filter(|_| length > 0)?;
            let Splitter {
                variables,
                identifiers,
                ..
            } = splitter;
            if number_of(value, variables, identifiers) != Some(number) {
                return None;
            }
            rest = after;
        }
        rest.is_empty().then_some(())
    }
}

/// Returns the pieces of a template; `None` if it is none.
fn pieces_of(template: &str, fixed: &mut String) -> Option<Vec<Piece>> {
    let may_quote = !template.starts_with("{{");
    let (mut pieces, mut start, mut rest) = (Vec::new(), fixed.len(), template);
    while let Some(brace) = memchr::memchr2(b'{', b'}', rest.as_bytes()) {
        let (before, from_brace) = rest.split_at(brace);
        fixed.push_str(before);
        let (this, after) = from_brace.split_at(1);
        if let Some(after) = after.strip_prefix(this) {
            fixed.push_str(this);
            rest = after;
            continue;
        }
        let (number, after) = after.split_once('}')?;
        let number = number.parse().ok()?;
        let is_quoted = may_quote && before.ends_with('"') && after.starts_with('"');
        let value = match number {
            ..FIRST_VARIABLE => Value::Known(number),
            _ if is_quoted => Value::Quoted(number),
            _ => Value::Token(number),
        };
        let end = fixed.len();
        pieces.push(Piece {
            start,
            end,
            value: Some(value),
        });
        (start, rest) = (end, after);
    }
    fixed.push_str(rest);
    pieces.push(Piece {
        start,
        end: fixed.len(),
        value: None,
    });
    Some(pieces)
}

/// Returns the length of the token that a text starts with; zero if it starts with none.
fn token_length(bytes: &[u8]) -> usize {
    if bytes.first().is_some_and(|byte| is_trimmed(*byte)) {
        return 0;
    }
    let end = bytes
        .iter()
        .position(|byte| is_delimiter(*byte))
        .unwrap_or(bytes.len());
    let last = bytes[..end].iter().rposition(|byte| !is_trimmed(*byte));
    last.map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{NO_COLUMNS, at, columns, comes_back, holds, text};
    use super::super::{Grain, Split, can_have_templates};
    use super::*;

    fn of_raw(raw: &str) -> Texts<'_> {
        Texts {
            raw,
            ..Texts::default()
        }
    }

    fn known(columns: [&str; COLUMNS], second: i64) -> Known<'_> {
        Known {
            columns,
            event_time: at(second),
        }
    }

    /// Splits a log, and then another as one that has the same template; `None` if it has another one.
    fn follow<'s>(
        first: (&Texts<'_>, &Known<'_>),
        next: (&Texts<'_>, &Known<'_>),
        splitter: &'s mut Splitter,
    ) -> Option<Split<'s>> {
        let template = splitter.split(first.0, first.1, Grain::Fine).together.to_owned();
        let template = RepeatedTemplate::new(&template, 0).unwrap();
        template.split(next.0, next.1, splitter)?;
        Some(splitter.last())
    }

    fn variables_of_next(first: &str, next: &str) -> Option<String> {
        let known = known(NO_COLUMNS, 0);
        let mut splitter = Splitter::default();
        let split = follow((&of_raw(first), &known), (&of_raw(next), &known), &mut splitter)?;
        assert!(comes_back(&split, &of_raw(next), &known), "{next}");
        Some(split.variables.replace('\u{1f}', "|"))
    }

    #[test]
    fn a_line_that_differs_in_values_has_the_template_of_the_one_before() {
        let line = |port: &str| format!("from 192.0.2.7: port {port}, {port} \"/a b/1\" {{x}}");
        let variables = variables_of_next(&line("4242"), &line("53").replace("/a b/1", "c, 2"));
        assert_eq!(variables.as_deref(), Some("192.0.2.7|53|c, 2"));
    }

    #[test]
    fn a_line_that_differs_in_more_has_another_template() {
        for (first, next) in [
            ("port 1x, 1x", "port 1x, 2x"),
            ("port 1x, 2x", "port 1x, 1x"),
            ("port 10.", "port 10:"),
            ("port 10", "port 10 "),
            ("port 10", "port "),
            ("port 10", "port :10"),
            ("port 10", "port 10/2"),
            ("x 0123456789abcdef", "x 10"),
            ("x \"a b 1\"", "x \"a b 1"),
            ("x \"a b 1\"", "x \"\""),
        ] {
            assert_eq!(variables_of_next(first, next), None, "{first} and {next}");
        }
    }

    #[test]
    fn columns_and_times_are_those_of_the_log() {
        let line = |host: &str, time: &str| format!("{time} {host} up");
        let mut columns = NO_COLUMNS;
        columns[2] = "web1";
        let first = known(columns, 0);
        columns[2] = "db-17";
        let next = known(columns, 1);
        let mut splitter = Splitter::default();
        let first_line = line("web1", "Jan 15 00:00:00");
        let split = |text: &str, splitter: &mut Splitter| {
            let texts = (of_raw(&first_line), of_raw(text));
            follow((&texts.0, &first), (&texts.1, &next), splitter).map(|split| split.variables.to_owned())
        };
        let same = split(&line("db-17", "Jan 15 00:00:01"), &mut splitter);
        assert_eq!(same.as_deref(), Some(""));
        for other in [line("db-18", "Jan 15 00:00:01"), line("db-17", "Jan 15 00:00:00")] {
            assert_eq!(split(&other, &mut splitter), None, "{other}");
        }
    }

    #[test]
    fn a_value_that_may_go_on_is_none_of_a_repeated_template_either() {
        let mut columns = NO_COLUMNS;
        columns[2] = "web1";
        let first = known(columns, 0);
        columns[2] = "2001:db8:";
        let next = known(columns, 0);
        let mut splitter = Splitter::default();
        let texts = (of_raw("at web1: x"), of_raw("at 2001:db8:: x"));
        let split = follow((&texts.0, &first), (&texts.1, &next), &mut splitter);
        assert!(split.is_none());
    }

    #[test]
    fn numbers_and_names_change_the_shape_as_they_change_the_template() {
        let of = |raw| shape(&of_raw(raw));
        assert_eq!(of("port 4242 uid=root x"), of("port 7 uid=bob x"));
        assert_ne!(of("port 4242 x"), of("port 4242 y"));
        assert_eq!(of("port 1"), of("port 22"));
        assert_ne!(of("port 1"), of("port 22 "));
    }

    #[test]
    fn a_shape_with_another_template_is_given_that_one() {
        let mut templates = RepeatedTemplates::default();
        let mut splitter = Splitter::default();
        let (known, next) = (known(NO_COLUMNS, 0), of_raw("y 7"));
        templates.add(1, "\u{1e}\u{1e}\u{1e}x {21}\u{1e}", 10);
        for _ in 1..RepeatedTemplates::MOST_MISSES {
            templates.add(1, "\u{1e}\u{1e}\u{1e}y {21}\u{1e}", 11);
            assert_eq!(templates.split(1, &next, &known, &mut splitter), None);
        }
        templates.add(1, "\u{1e}\u{1e}\u{1e}y {21}\u{1e}", 11);
        assert_eq!(templates.split(1, &next, &known, &mut splitter), Some(11));
    }

    /// Changes some of the values of a text, and a few other bytes.
    fn changed(text: &str, changes: &[(prop::sample::Index, String)]) -> String {
        let mut text = text.to_owned();
        for (place, change) in changes {
            let digits: Vec<usize> = text
                .match_indices(|c: char| c.is_ascii_digit())
                .map(|(at, _)| at)
                .collect();
            if !digits.is_empty() {
                let at = digits[place.index(digits.len())];
                text.replace_range(at..=at, change);
            }
        }
        text
    }

    proptest! {
        /// Whatever has the template of a line comes back, and no token of it is cut.
        #[test]
        fn what_has_a_repeated_template_comes_back(
            texts in prop::array::uniform4(text()), columns in columns(), second in 0_i64..2,
            changes in prop::collection::vec((any::<prop::sample::Index>(), "[0-9a-z:. \"/]{0,3}"), 0..3),
            other in text(),
        ) {
            let columns: [&str; COLUMNS] = std::array::from_fn(|place| columns[place].as_str());
            let mut columns_of_next = columns;
            columns_of_next[2] = &other;
            let (first, next) = (known(columns, 0), known(columns_of_next, second));
            let changed = texts.each_ref().map(|text| changed(text, &changes).replace(columns[2], &other));
            let (texts, changed) = (of_all(&texts), of_all(&changed));
            prop_assume!(can_have_templates(&texts, &first) && can_have_templates(&changed, &next));
            let mut splitter = Splitter::default();
            if let Some(split) = follow((&texts, &first), (&changed, &next), &mut splitter) {
                prop_assert!(comes_back(&split, &changed, &next), "{:?} after {:?}", changed, texts);
                for piece in changed.raw.split(|c: char| u8::try_from(c).is_ok_and(is_delimiter)) {
                    let piece = piece.trim_matches([':', '.']);
                    let is_held = holds(&split, &next, piece);
                    prop_assert!(is_held, "{:?} of {:?}", piece, changed.raw);
                }
            }
        }
    }

    fn of_all([normalized, message, timestamp, raw]: &[String; 4]) -> Texts<'_> {
        let [normalized, message, timestamp] =
            [normalized, message, timestamp].map(|text| Some(text.as_str()).filter(|text| !text.is_empty()));
        Texts {
            normalized,
            message,
            timestamp,
            raw,
        }
    }
}
