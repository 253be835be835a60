//! Templates: what the logs of a program have in common, with placeholders for what differs.
//!
//! A line is a fixed text of its program with values in it. The template is that text, and repeats: the engine stores
//! each one once for many rows. The values are the log's variables. Of a line that says what its columns say, the
//! template has the number of the column, and of its time, the number of the format. The idea is that of CLP (Rodrigues,
//! Luo and Yuan, OSDI 2021).
//!
//! # Tokens
//!
//! A text is cut at delimiters: blanks, quotes, brackets, `,`, `;`, `=`, `/` and a few more. What is between them is a
//! token, without the colons and dots at its ends. A token stays in the template or is left out as a whole. It is left
//! out if it is the value of a column, or if it has a digit, as the names and numbers of one event mostly do. A quoted
//! text with a digit or a path, in a line that is no JSON, is left out as a whole as well, and so is the value of a
//! column or a time that has several tokens. So a text without delimiters, colons or dots at its ends is in a line only
//! if it is in the template, in a variable or in a column: a search looks there.
//!
//! Lines with many names, such as those of domains and users, have a template that never repeats. [`Grain::Coarse`]
//! leaves out more: every quoted text, each value of JSON, and every token that is not a plain word.
//!
//! # Repeated templates
//!
//! Most lines have the template of a line before. [`repeated`] compares a line with the template of its shape first.
//!
//! # Form
//!
//! The fields of a log, its message, its time as it arrived and its line have a template each, and share the variables.
//! A template is a text of the engine's `format`: braces are doubled, and `{0}` is a placeholder. Variables have
//! [`SEPARATOR`] between them. Templates that do not repeat are stored together, in the row's layout, with
//! [`TEMPLATE_END`] after each.
//!
//! Identifiers are variables of many hexadecimal digits. They are kept apart: the engine finds nothing in them that
//! repeats, and would store the others as badly.

pub(super) mod repeated;

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use twox_hash::XxHash3_64;

use crate::storage::duckdb::sql::tokens::{
    CLASSES, DELIMITER, DIGIT, FORMATS, TIMES, is_delimiter, is_trimmed,
};

/// Ends each of the templates of a log that are stored together.
const TEMPLATE_END: char = '\u{1e}';
/// Separates the variables of a log.
const SEPARATOR: char = '\u{1f}';

/// Limits the bytes of the texts that a template is made of. Longer ones rarely repeat.
pub(crate) const LONGEST: usize = 8 << 10;

/// Counts the columns that a template may refer to.
pub(crate) const COLUMNS: usize = 12;
/// Limits the variables of a log that are no identifiers. More stay in its templates, which then hardly repeat.
const MOST_VARIABLES: usize = 64;
/// Limits the identifiers of a log. More are other variables.
const MOST_IDENTIFIERS: usize = 8;

/// Gives the number of the first variable among placeholders.
const FIRST_VARIABLE: usize = COLUMNS + TIMES;
/// Gives the number of the first identifier among placeholders.
const FIRST_IDENTIFIER: usize = FIRST_VARIABLE + MOST_VARIABLES;

/// Holds the texts of a log that its templates replace, or these templates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Texts<'a> {
    /// Holds JSON; nothing for a log without fields.
    pub(crate) normalized: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
    /// Holds the time as it arrived.
    pub(crate) timestamp: Option<&'a str>,
    pub(crate) raw: &'a str,
}

/// Holds what the columns of a log have, by their numbers among placeholders; empty texts for those that are missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) columns: [&'a str; COLUMNS],
    pub(crate) event_time: DateTime<Utc>,
}

impl<'a> Texts<'a> {
    /// Returns the templates that are stored together; `None` if it is something else.
    pub(crate) fn of_together(text: &'a str) -> Option<Self> {
        let mut parts = separated(text, TEMPLATE_END);
        let mut next = || parts.next();
        let (normalized, message, timestamp, raw) = (next()?, next()?, next()?, next()?);
        let text = |part: &'a str| Some(part).filter(|part| !part.is_empty());
        Some(Self {
            normalized: text(normalized),
            message: text(message),
            timestamp: text(timestamp),
            raw,
        })
    }
}

/// Says how much a template leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grain {
    Fine,
    Coarse,
}

/// Tells what the texts of logs have in common from their variables.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// Holds the templates together.
    together: String,
    variables: Variables,
    identifiers: Variables,
    times: Times,
}

impl Splitter {
    /// Returns the templates and the variables of a log that [can have](can_have_templates) templates.
    pub(crate) fn split(&mut self, texts: &Texts<'_>, known: &Known<'_>, grain: Grain) -> Split<'_> {
        let Texts {
            normalized,
            message,
            timestamp,
            raw,
        } = *texts;
        self.start(known.event_time);
        let Self {
            together,
            variables,
            identifiers,
            times,
        } = self;
        let mut writer = Writer {
            values: &Values::new(known.columns.into_iter().chain(times.texts())),
            template: together,
            variables,
            identifiers,
            grain,
        };
        // What JSON has as a value is not taken apart elsewhere either.
        let are_values = grain == Grain::Coarse && is_json(raw);
        writer.push_text(normalized.unwrap_or_default());
        writer.template.push(TEMPLATE_END);
        for text in [message, timestamp] {
            match text {
                Some(text) if are_values => writer.push_value(text),
                _ => writer.push_text(text.unwrap_or_default()),
            }
            writer.template.push(TEMPLATE_END);
        }
        writer.push_text(raw);
        writer.template.push(TEMPLATE_END);
        self.last()
    }

    /// Forgets what was split last.
    fn start(&mut self, event_time: DateTime<Utc>) {
        self.times.set(event_time);
        self.together.clear();
        self.variables.clear();
        self.identifiers.clear();
    }

    /// Returns what was split last.
    pub(crate) fn last(&self) -> Split<'_> {
        Split {
            together: &self.together,
            variables: &self.variables.text,
            identifiers: (!self.identifiers.ends.is_empty()).then_some(&self.identifiers.text),
            times: &self.times,
        }
    }
}

/// Says whether a log can have templates, and can be read again from them.
pub(crate) fn can_have_templates(texts: &Texts<'_>, known: &Known<'_>) -> bool {
    let others = [texts.normalized, texts.message, texts.timestamp];
    let all = || others.into_iter().flatten().chain([texts.raw]);
    // The engine's `format` ends at a NUL byte.
    let has_separator =
        |text: &str| memchr::memchr3(0, TEMPLATE_END as u8, SEPARATOR as u8, text.as_bytes()).is_some();
    all().map(str::len).sum::<usize>() <= LONGEST
        && !others.contains(&Some(""))
        && !all().chain(known.columns).any(has_separator)
}

/// Holds the templates of a log together, and its variables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Split<'a> {
    pub(crate) together: &'a str,
    pub(crate) variables: &'a str,
    /// Holds the identifiers; `None` if there are none.
    pub(crate) identifiers: Option<&'a str>,
    /// Holds its time, which its templates may leave out.
    pub(crate) times: &'a Times,
}

impl Split<'_> {
    /// Returns a hash of the templates.
    pub(crate) fn hash(&self) -> u64 {
        XxHash3_64::oneshot(self.together.as_bytes())
    }
}

/// Holds the variables of a log.
#[derive(Debug, Default)]
struct Variables {
    text: String,
    /// Holds where each of them ends.
    ends: Vec<usize>,
    /// Says that there was one too many. To look for more of them would take longer with each.
    are_too_many: bool,
}

impl Variables {
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.are_too_many = false;
    }

    /// Returns the number of a variable, which may be there already; `None` if they are too many.
    fn number_of(&mut self, value: &str, most: usize) -> Option<usize> {
        if self.are_too_many {
            return None;
        }
        let mut start = 0;
        for (number, end) in self.ends.iter().enumerate() {
            if end - start == value.len() && self.text.get(start..*end) == Some(value) {
                return Some(number);
            }
            start = end + 1;
        }
        if self.ends.len() == most {
            self.are_too_many = true;
            return None;
        }
        if !self.ends.is_empty() {
            self.text.push(SEPARATOR);
        }
        self.text.push_str(value);
        self.ends.push(self.text.len());
        Some(self.ends.len() - 1)
    }
}

/// Holds the values that a text may have, by their numbers among placeholders.
struct Values<'a> {
    texts: [&'a str; FIRST_VARIABLE],
    /// Holds a bit for each value that starts with the byte.
    starts: [u32; 256],
    /// Holds a bit for each value whose second byte it is. Most that share the first do not share this one.
    seconds: [u32; 256],
}

impl<'a> Values<'a> {
    /// A placeholder is no shorter than a value of fewer bytes.
    const SHORTEST: usize = 3;

    fn new(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut values = Self {
            texts: [""; FIRST_VARIABLE],
            starts: [0; 256],
            seconds: [0; 256],
        };
        for (number, (place, value)) in values.texts.iter_mut().zip(texts).enumerate() {
            if let [first, second, ..] = *value.as_bytes()
                && Self::may_have(value)
            {
                *place = value;
                values.starts[usize::from(first)] |= 1 << number;
                values.seconds[usize::from(second)] |= 1 << number;
            }
        }
        values
    }

    /// Says whether a placeholder may stand for a value.
    fn may_have(value: &str) -> bool {
        // What is cut there may go on in the text, such as `http:` before two slashes.
        value.len() >= Self::SHORTEST && !value.ends_with([':', '.', '/'])
    }

    /// Returns the longest value that a text starts with, up to the end of a token, and its length.
    fn longest_at(&self, text: &[u8]) -> Option<(usize, usize)> {
        let [first, second, ..] = *text else { return None };
        let mut candidates = self.starts[usize::from(first)] & self.seconds[usize::from(second)];
        let mut longest = None;
        while candidates != 0 {
            let number = candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            let Some(value) = self.texts.get(number) else {
                break;
            };
            if let Some(rest) = text.strip_prefix(value.as_bytes())
                && longest.is_none_or(|(_, length)| length < value.len())
                && ends_token(rest)
            {
                longest = Some((number, value.len()));
            }
        }
        longest
    }
}

/// Says whether no token goes on here.
fn ends_token(rest: &[u8]) -> bool {
    let next = rest.iter().find(|byte| !is_trimmed(**byte));
    next.is_none_or(|byte| is_delimiter(*byte))
}

/// Writes the parts of a template.
struct Writer<'a> {
    values: &'a Values<'a>,
    template: &'a mut String,
    variables: &'a mut Variables,
    identifiers: &'a mut Variables,
    grain: Grain,
}

impl Writer<'_> {
    /// Writes the template of a text.
    fn push_text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let is_json = is_json(text);
        let mut may_quote = !is_json || self.grain == Grain::Coarse;
        let (mut at, mut copied, mut closing_quote) = (0, 0, None);
        while let Some(byte) = bytes.get(at) {
            let class = CLASSES[usize::from(*byte)];
            let token = if class & DELIMITER == 0 && !is_trimmed(*byte) {
                self.token_at(text, at)
            } else {
                at += 1;
                match *byte {
                    b'"' if may_quote && closing_quote != Some(at - 1) => {
                        closing_quote = end_of_quoted(bytes, at);
                        // To look for it again from each quote would take the square of their number.
                        may_quote = closing_quote.is_some();
                        self.quoted_at(text, at, closing_quote, is_json)
                    }
                    // A brace is doubled.
                    b'{' | b'}' => {
                        self.template.push_str(&text[copied..at]);
                        copied = at - 1;
                        continue;
                    }
                    _ => continue,
                }
            };
            if let Some(number) = token.number {
                self.template.push_str(&text[copied..at]);
                self.push_placeholder(number);
                copied = token.end;
            }
            at = token.end;
        }
        self.template.push_str(&text[copied..]);
    }

    /// Returns a quoted text that is left out as a whole, up to its closing quote; else nothing of it.
    fn quoted_at(&mut self, text: &str, start: usize, end: Option<usize>, is_json: bool) -> Token {
        let whole = end.map(|end| start..end);
        let whole = whole.filter(|range| self.is_variable(text.as_bytes(), range.clone(), is_json));
        let number = whole.clone().and_then(|range| self.value(&text[range]));
        Token {
            end: whole
                .filter(|_| number.is_some())
                .map_or(start, |range| range.end),
            number,
        }
    }

    /// Writes a text that is one value.
    fn push_value(&mut self, text: &str) {
        match self.value(text) {
            Some(number) => self.push_placeholder(number),
            None => self.push_text(text),
        }
    }

    /// Returns the number of a placeholder for a value; `None` if there are too many variables to have one more.
    fn value(&mut self, value: &str) -> Option<usize> {
        match self.values.longest_at(value.as_bytes()) {
            Some((number, length)) if length == value.len() => Some(number),
            _ => number_of(value, self.variables, self.identifiers),
        }
    }

    /// Says whether a quoted text is one variable. A key of JSON is none.
    fn is_variable(&self, bytes: &[u8], range: Range<usize>, is_json: bool) -> bool {
        let has = |class: u8| {
            bytes[range.clone()]
                .iter()
                .any(|byte| CLASSES[usize::from(*byte)] & class != 0)
        };
        if is_json {
            let next = bytes[range.end + 1..]
                .iter()
                .find(|byte| !byte.is_ascii_whitespace());
            return !range.is_empty() && next != Some(&b':');
        }
        has(DELIMITER) && (self.grain == Grain::Coarse || has(DIGIT) || bytes[range.clone()].contains(&b'/'))
    }

    /// Returns the token that starts here, or the value of a column.
    fn token_at(&mut self, text: &str, start: usize) -> Token {
        if let Some((number, length)) = self.values.longest_at(&text.as_bytes()[start..]) {
            return Token {
                end: start + length,
                number: Some(number),
            };
        }
        let bytes = text.as_bytes();
        let (mut end, mut digits) = (start, 0_usize);
        while let Some(byte) = bytes.get(end) {
            let class = CLASSES[usize::from(*byte)];
            if class & DELIMITER != 0 {
                break;
            }
            digits += usize::from(class & DIGIT != 0);
            end += 1;
        }
        while end > start && is_trimmed(bytes[end - 1]) {
            end -= 1;
        }
        let is_name = match self.grain {
            // Names of programs and protocols may have one digit.
            Grain::Fine => digits == 0 || digits == 1 && end - start > 2,
            Grain::Coarse => bytes[start..end].iter().all(u8::is_ascii_alphabetic),
        };
        let is_assigned = start > 0 && bytes[start - 1] == b'=';
        let number = match is_name && !is_assigned {
            true => None,
            false => number_of(&text[start..end], self.variables, self.identifiers),
        };
        Token { end, number }
    }

    fn push_placeholder(&mut self, number: usize) {
        self.template.push_str(&PLACEHOLDERS[number]);
    }
}

/// Returns the number of a placeholder for a variable; `None` if there are too many to have one more.
fn number_of(value: &str, variables: &mut Variables, identifiers: &mut Variables) -> Option<usize> {
    if is_identifier(value)
        && let Some(number) = identifiers.number_of(value, MOST_IDENTIFIERS)
    {
        return Some(FIRST_IDENTIFIER + number);
    }
    let number = variables.number_of(value, MOST_VARIABLES)?;
    Some(FIRST_VARIABLE + number)
}

/// Holds each placeholder, by its number.
static PLACEHOLDERS: LazyLock<[String; FIRST_IDENTIFIER + MOST_IDENTIFIERS]> =
    LazyLock::new(|| std::array::from_fn(|number| format!("{{{number}}}")));

/// Says whether a variable is an identifier, such as a UUID, or a hash of a file.
fn is_identifier(value: &str) -> bool {
    const SHORTEST: usize = 16;
    value.len() >= SHORTEST && value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Describes a token, or several that are one value.
struct Token {
    end: usize,
    /// Holds the number of its placeholder; `None` for a part of the template.
    number: Option<usize>,
}

fn is_json(text: &str) -> bool {
    text.starts_with('{')
}

/// Returns the place of the quote that ends a quoted text. A quote after a backslash is a part of the text.
fn end_of_quoted(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let rest = bytes.get(at..)?;
        let found = at + memchr::memchr2(b'"', b'\\', rest)?;
        match bytes.get(found) {
            Some(b'"') => return Some(found),
            _ => at = found + 2,
        }
    }
}

/// Writes a number as a column has it; nothing for none.
pub(crate) fn number_text(number: Option<i64>, text: &mut String) {
    text.clear();
    if let Some(number) = number {
        // Writing to a text does not fail.
        write!(text, "{number}").ok();
    }
}

/// Holds what placeholders stand for in the templates of a log.
pub(crate) struct Placeholders<'a> {
    /// Holds the columns, the variables and the identifiers.
    texts: [&'a str; COLUMNS + MOST_VARIABLES + MOST_IDENTIFIERS],
    event_time: DateTime<Utc>,
}

impl<'a> Placeholders<'a> {
    pub(crate) fn new(variables: &'a str, identifiers: &'a str, known: &Known<'a>) -> Self {
        let others = known.columns.into_iter().chain(separated(variables, SEPARATOR));
        Self::of(others, identifiers, known.event_time)
    }

    /// Takes what `fill_template` is given.
    pub(super) fn of_values(values: &'a str, event_time: DateTime<Utc>) -> Self {
        let end = memchr::memchr(TEMPLATE_END as u8, values.as_bytes());
        let (others, identifiers) = end.map_or((values, ""), |end| (&values[..end], &values[end + 1..]));
        Self::of(separated(others, SEPARATOR), identifiers, event_time)
    }

    /// Takes the columns, with the variables after them.
    fn of(
        mut others: impl Iterator<Item = &'a str>,
        identifiers: &'a str,
        event_time: DateTime<Utc>,
    ) -> Self {
        let mut texts = [""; COLUMNS + MOST_VARIABLES + MOST_IDENTIFIERS];
        let (of_others, of_identifiers) = texts.split_at_mut(COLUMNS + MOST_VARIABLES);
        place(of_others, &mut others);
        place(of_identifiers, &mut separated(identifiers, SEPARATOR));
        Self { texts, event_time }
    }

    /// Returns the text of a template; `None` if it is none.
    pub(crate) fn fill(&self, template: &str) -> Option<String> {
        let mut text = String::with_capacity(template.len() + template.len() / 2);
        self.fill_into(template, &mut text)?;
        Some(text)
    }

    /// Adds the text of a template to another; `None` if it is no template.
    pub(crate) fn fill_into(&self, template: &str, text: &mut String) -> Option<()> {
        let (mut rest, start) = (template, text.len());
        while let Some(brace) = memchr::memchr2(b'{', b'}', rest.as_bytes()) {
            text.push_str(&rest[..brace]);
            let (this, after) = rest[brace..].split_at(1);
            if let Some(after) = after.strip_prefix(this) {
                text.push_str(this);
                rest = after;
                continue;
            }
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = after.split_at(digits);
            self.push(number.parse().ok()?, text)?;
            rest = after.strip_prefix('}')?;
            // A caller's template may name a long text many times.
            if text.len() - start > LONGEST {
                return None;
            }
        }
        text.push_str(rest);
        Some(())
    }

    /// Adds what the placeholder of a number stands for; `None` if there is none of that number.
    fn push(&self, number: usize, text: &mut String) -> Option<()> {
        let place = match number.checked_sub(COLUMNS) {
            None => number,
            Some(of_times) => match FORMATS.get(of_times) {
                Some(format) => {
                    write_time(self.event_time, format, text);
                    return Some(());
                }
                None => number - TIMES,
            },
        };
        text.push_str(self.texts.get(place)?);
        Some(())
    }
}

/// Returns the texts that have an ASCII character between them. `str::split` takes much longer for short ones.
fn separated(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let ends = memchr::memchr_iter(separator as u8, text.as_bytes()).chain([text.len()]);
    let mut start = 0;
    ends.map(move |end| &text[std::mem::replace(&mut start, end + 1)..end])
}

fn place<'a>(places: &mut [&'a str], values: &mut impl Iterator<Item = &'a str>) {
    for place in places {
        let Some(value) = values.next() else { return };
        *place = value;
    }
}

/// Holds the time of a log in each format that templates refer to.
#[derive(Debug, Default)]
pub(crate) struct Times {
    of: Option<DateTime<Utc>>,
    texts: [String; TIMES],
}

impl Times {
    /// Takes the time of the next log. Logs that follow one another are mostly of one second.
    fn set(&mut self, time: DateTime<Utc>) {
        if self.of == Some(time) {
            return;
        }
        let is_same_second = self.of.is_some_and(|of| of.timestamp() == time.timestamp());
        self.of = Some(time);
        for (text, format) in self.texts.iter_mut().zip(FORMATS) {
            if !is_same_second || has_fraction(format) {
                text.clear();
                write_time(time, format, text);
            }
        }
    }

    fn texts(&self) -> impl Iterator<Item = &str> + Clone {
        self.texts.iter().map(String::as_str)
    }

    /// Returns the time in each format, with the placeholder of the format.
    pub(crate) fn with_placeholders(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let placeholders = PLACEHOLDERS.iter().skip(COLUMNS).map(String::as_str);
        placeholders.zip(self.texts())
    }
}

/// Says whether one of [`FORMATS`] has parts of a second, which no other part comes after.
fn has_fraction(format: &str) -> bool {
    let format = format.strip_suffix('Z').unwrap_or(format);
    format.ends_with("%g") || format.ends_with("%f")
}

/// Adds a time in one of [`FORMATS`] to a text. It takes a tenth of what a general writer does.
fn write_time(time: DateTime<Utc>, format: &str, text: &mut String) {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const DAYS: &str = "MonTueWedThuFriSatSun";
    let name = |names: &'static str, number: u32| {
        let start = 3 * usize::try_from(number).unwrap_or_default();
        names.get(start..start + 3).unwrap_or_default()
    };
    let time = time.naive_utc();
    // Other years have more digits, or none before them.
    if !(1000..=9999).contains(&time.year()) {
        return;
    }
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        match rest.next() {
            Some('Y') => push_digits(time.year().unsigned_abs(), 4, text),
            Some('y') => push_digits(time.year().unsigned_abs() % 100, 2, text),
            Some('m') => push_digits(time.month(), 2, text),
            Some('b') => text.push_str(name(MONTHS, time.month0())),
            Some('a') => text.push_str(name(DAYS, time.weekday().num_days_from_monday())),
            Some('e') if time.day() < 10 => {
                text.push(' ');
                push_digits(time.day(), 1, text);
            }
            Some('d' | 'e') => push_digits(time.day(), 2, text),
            Some('H') => push_digits(time.hour(), 2, text),
            Some('M') => push_digits(time.minute(), 2, text),
            Some('S') => push_digits(time.second(), 2, text),
            Some('g') => push_digits(time.nanosecond() / 1_000_000, 3, text),
            Some('f') => push_digits(time.nanosecond() / 1_000, 6, text),
            // The formats have no others.
            _ => {}
        }
    }
}

fn push_digits(number: u32, digits: u32, text: &mut String) {
    for place in (0..digits).rev() {
        let digit = number / 10_u32.pow(place) % 10;
        text.push(char::from_digit(digit, 10).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) const NO_COLUMNS: [&str; COLUMNS] = [""; COLUMNS];

    pub(super) fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_736_899_200 + second, 123_000_000).unwrap()
    }

    fn split(raw: &str, columns: [&str; COLUMNS], grain: Grain) -> Option<(String, String)> {
        let texts = Texts {
            raw,
            ..Texts::default()
        };
        let known = Known {
            columns,
            event_time: at(0),
        };
        let mut splitter = Splitter::default();
        let split = can_have_templates(&texts, &known).then(|| splitter.split(&texts, &known, grain))?;
        let raw = Texts::of_together(split.together).unwrap().raw;
        Some((raw.to_owned(), split.variables.replace(SEPARATOR, "|")))
    }

    fn template(raw: &str, columns: [&str; COLUMNS]) -> (String, String) {
        split(raw, columns, Grain::Fine).unwrap()
    }

    #[test]
    fn numbers_and_names_with_digits_are_variables() {
        let line = "Failed password for root from 192.0.2.7 port 4242 ssh2, 4242 (uid=0)";
        let expected = "Failed password for root from {21} port {22} ssh2, {22} (uid={23})";
        assert_eq!(
            template(line, NO_COLUMNS),
            (expected.into(), "192.0.2.7|4242|0".into())
        );
    }

    #[test]
    fn columns_and_times_are_numbers() {
        let mut columns = NO_COLUMNS;
        (columns[0], columns[2], columns[5]) = ("sshd", "web1", "4242");
        let line = "Jan 15 00:00:00 web1 sshd[4242]: up at 2025-01-15T00:00:00.123Z, sshd.service";
        let expected = "{15} {2} {0}[{5}]: up at {12}, sshd.service";
        assert_eq!(template(line, columns), (expected.into(), String::new()));
    }

    #[test]
    fn times_are_written_in_each_format() {
        let mut times = Times::default();
        for micros in [0, 7, 123_456, 999_999, 86_400_000_000 * 22 + 3_661_000_000] {
            let time = at(0) + chrono::TimeDelta::microseconds(micros - 123_000);
            times.set(time);
            let of_format = |format: &str| {
                time.format(&format.replace("%g", "%3f").replace("%f", "%6f"))
                    .to_string()
            };
            let expected: Vec<String> = FORMATS.map(of_format).to_vec();
            assert_eq!(times.texts().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn identifiers_are_apart() {
        let line = r#"{"a":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","n":"12","h":"0123456789abcdef"}"#;
        let expected = r#"{{"a":"{85}","n":"{21}","h":"{86}"}}"#;
        assert_eq!(template(line, NO_COLUMNS), (expected.into(), "12".into()));
    }

    #[test]
    fn quoted_texts_are_variables_unless_the_line_is_json() {
        let line = r#"GET "/a b/1" "none" "two words""#;
        let expected = r#"GET "{21}" "none" "two words""#;
        assert_eq!(template(line, NO_COLUMNS), (expected.into(), "/a b/1".into()));
        let line = r#"{"a":"b 1"}"#;
        assert_eq!(
            template(line, NO_COLUMNS),
            (r#"{{"a":"b {21}"}}"#.into(), "1".into())
        );
    }

    #[test]
    fn a_coarse_template_leaves_out_names() {
        let line = r#"alice@example.net to mail-relay: "no digits" here"#;
        let expected = r#"{21} to {22}: "{23}" here"#;
        let coarse = |line| split(line, NO_COLUMNS, Grain::Coarse).unwrap();
        assert_eq!(
            coarse(line),
            (expected.into(), "alice@example.net|mail-relay|no digits".into())
        );
        let line = r#"{"a b":"say \"hi\"","n":7,"e":"","l":["x","x"],"t":true}"#;
        let expected = r#"{{"a b":"{21}","n":{22},"e":"","l":["{23}","{23}"],"t":true}}"#;
        assert_eq!(coarse(line), (expected.into(), r#"say \"hi\"|7|x"#.into()));
    }

    #[test]
    fn values_that_may_go_on_are_no_placeholders() {
        let mut columns = NO_COLUMNS;
        (columns[0], columns[1], columns[2]) = ("http:", "http:/", "2001:db8:");
        for line in ["http://x", "a 2001:db8:: b"] {
            assert!(!template(line, columns).0.contains("{0}"), "{line}");
            assert!(!template(line, columns).0.contains("{1}"), "{line}");
            assert!(!template(line, columns).0.contains("{2}"), "{line}");
        }
    }

    #[test]
    fn more_variables_stay_in_the_template() {
        let many: Vec<String> = (10..=10 + MOST_VARIABLES).map(|n| n.to_string()).collect();
        let (template, variables) = template(&many.join(" "), NO_COLUMNS);
        assert!(template.ends_with(" {84} 74"), "{template}");
        assert!(variables.ends_with("|73"), "{variables}");
    }

    #[test]
    fn what_cannot_be_joined_has_no_template() {
        for line in ["\0", "a\u{1e}", "a\u{1f}b"] {
            assert_eq!(split(line, NO_COLUMNS, Grain::Fine), None, "{line:?}");
        }
        assert_eq!(split(&"x".repeat(LONGEST + 1), NO_COLUMNS, Grain::Fine), None);
    }

    pub(super) fn text() -> impl Strategy<Value = String> {
        let parts = prop_oneof![
            "[a-z]{1,6}",
            "[0-9.:]{1,6}",
            Just("{".to_owned()),
            Just("}".to_owned()),
            Just("{12}".to_owned()),
            Just("\\\"".to_owned()),
            Just("\"".to_owned()),
            Just("=".to_owned()),
            Just("\n".to_owned()),
            Just(" ".to_owned()),
            Just("é🦀".to_owned()),
            Just("Jan 15 00:00:00".to_owned()),
            Just("2025-01-15 00:00:00,123".to_owned()),
            Just("web-1.example".to_owned()),
            "[0-9a-f]{16,18}",
        ];
        prop::collection::vec(parts, 0..20).prop_map(|parts| parts.concat())
    }

    fn grain() -> impl Strategy<Value = Grain> {
        prop_oneof![Just(Grain::Fine), Just(Grain::Coarse)]
    }

    pub(super) fn columns() -> impl Strategy<Value = [String; COLUMNS]> {
        prop::array::uniform12(prop_oneof![text(), Just("web-1.example".to_owned())])
    }

    /// Says whether what was split is filled in again as it was.
    pub(super) fn comes_back(split: &Split<'_>, texts: &Texts<'_>, known: &Known<'_>) -> bool {
        let identifiers = split.identifiers.unwrap_or_default();
        let placeholders = Placeholders::new(split.variables, identifiers, known);
        let templates = Texts::of_together(split.together).unwrap();
        let fill = |template: Option<&str>| template.map(|template| placeholders.fill(template).unwrap());
        fill(templates.normalized).as_deref() == texts.normalized
            && fill(templates.message).as_deref() == texts.message
            && fill(templates.timestamp).as_deref() == texts.timestamp
            && fill(Some(templates.raw)).as_deref() == Some(texts.raw)
    }

    /// Says whether a template, a variable, a column or the time has a piece, as a search relies on.
    pub(super) fn holds(split: &Split<'_>, known: &Known<'_>, piece: &str) -> bool {
        let mut times = Times::default();
        times.set(known.event_time);
        split.together.contains(piece)
            || split.variables.contains(piece)
            || split.identifiers.is_some_and(|text| text.contains(piece))
            || known.columns.iter().any(|column| column.contains(piece))
            || times.texts().any(|time| time.contains(piece))
    }

    proptest! {
        #[test]
        fn all_texts_come_back(grain in grain(), texts in prop::array::uniform4(prop::option::of(text())), columns in columns()) {
            let [normalized, message, timestamp, raw] = &texts;
            let of_log = Texts {
                normalized: normalized.as_deref().filter(|text| !text.is_empty()),
                message: message.as_deref(),
                timestamp: timestamp.as_deref(),
                raw: raw.as_deref().unwrap_or_default(),
            };
            let known = Known { columns: std::array::from_fn(|place| columns[place].as_str()), event_time: at(0) };
            let mut splitter = Splitter::default();
            if can_have_templates(&of_log, &known) {
                let split = splitter.split(&of_log, &known, grain);
                prop_assert!(comes_back(&split, &of_log, &known));
            }
        }

        /// What a search relies on.
        #[test]
        fn a_text_without_delimiters_is_not_cut(grain in grain(), raw in text(), columns in columns(), start in any::<prop::sample::Index>()) {
            let known = Known { columns: std::array::from_fn(|place| columns[place].as_str()), event_time: at(0) };
            let mut splitter = Splitter::default();
            let texts = Texts { raw: &raw, ..Texts::default() };
            prop_assume!(can_have_templates(&texts, &known));
            let split = splitter.split(&texts, &known, grain);
            let places: Vec<usize> = raw.char_indices().map(|(place, _)| place).collect();
            if places.is_empty() {
                return Ok(());
            }
            let rest = &raw[places[start.index(places.len())]..];
            for (end, character) in rest.char_indices() {
                let part = &rest[..end + character.len_utf8()];
                if part.bytes().any(is_delimiter) {
                    break;
                }
                let piece = part.trim_matches([':', '.']);
                let is_held = holds(&split, &known, piece);
                prop_assert!(is_held, "{:?} of {:?}", piece, raw);
            }
        }

        #[test]
        fn no_text_makes_it_panic(template in ".*", variables in ".*") {
            let known = Known { columns: NO_COLUMNS, event_time: at(0) };
            Placeholders::new(&variables, &variables, &known).fill(&template);
        }
    }
}
