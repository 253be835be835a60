//! Patterns in [grok's notation](https://www.elastic.co/guide/en/elasticsearch/reference/current/grok.html):
//! `%{IP:source_ip}` is a named part, and everything else is a regular expression.
//!
//! The engine of `regex` takes time that is linear in the length of the text, whatever a client wrote.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::Range;
use std::sync::OnceLock;

use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};
use regex_automata::{Input, meta};

use crate::models::required_texts;

/// Lists the parts that patterns may name, each with its regular expression.
const PARTS: &[(&str, &str)] = &[
    ("ANY", r".*?"),
    ("REST", r".*"),
    ("DATA", r".*?"),
    ("GREEDYDATA", r".*"),
    ("WORD", r"\w+"),
    ("NOTSPACE", r"\S+"),
    ("SPACE", r"\s*"),
    ("INT", r"[+-]?\d+"),
    ("PORT", r"\d{1,5}"),
    ("NUMBER", r"[+-]?\d+(?:\.\d+)?"),
    ("HEX", r"(?:0[xX])?[0-9A-Fa-f]+"),
    ("IPV4", r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"),
    (
        "IPV6",
        r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:[.\d]{6,14})?(?:%\w+)?",
    ),
    (
        "IP",
        r"(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:[.\d]{6,14})?(?:%\w+)?)",
    ),
    ("HOST", r"[A-Za-z0-9][A-Za-z0-9._-]*"),
    (
        "MAC",
        r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}",
    ),
    ("USER", r"[A-Za-z0-9._@$\\/+-]+"),
    ("UUID", r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    ("QUOTED", r#""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"#),
    ("PATH", r"(?:[A-Za-z]:\\|/)[^\s]*"),
    ("URI", r"[A-Za-z][A-Za-z0-9+.-]*://\S+"),
    ("EMAIL", r"[^\s<>@]+@[A-Za-z0-9._-]+"),
    ("CLOCK", r"\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?"),
    ("ZONE", r"(?:Z|[+-]\d{2}:?\d{2}|[A-Z]{2,5})"),
    (
        "ISO_TIME",
        r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}[T ]+\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?(?:Z|[+-]\d{2}:?\d{2}))?",
    ),
    (
        "SYSLOG_TIME",
        r"[A-Z][a-z]{2} {1,2}\d{1,2} (?:\d{4} )?\d{2}:\d{2}:\d{2}(?:\.\d+)?(?: \d{4})?",
    ),
    (
        "HTTP_TIME",
        r"\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2}(?:\.\d+)?(?: [+-]\d{4})?",
    ),
    (
        "TIME",
        r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}[T ,]+\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?|\d{1,2}[/.-](?:\d{1,2}|[A-Z][a-z]{2})[/.-]\d{2,4}[T ,:]+\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: [AP]M)?|(?:[A-Z][a-z]{2},? )?[A-Z][a-z]{2} {1,2}\d{1,2},? (?:\d{4},? )?\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?(?: \d{4})?|\d{10}(?:\.\d+)?|\d{13})(?: ?(?:Z\b|[+-]\d{2}:?\d{2}\b))?",
    ),
];

/// Limits the memory of a compiled expression, in bytes.
const SIZE_LIMIT: usize = 1 << 22;

/// Holds a pattern that is compiled when it is first used.
#[derive(Debug)]
pub(crate) struct Pattern {
    text: String,
    /// Lists texts of which each match starts with one; none where it may start with any. Most texts start with none of
    /// them, and need no expression.
    starts: Vec<String>,
    /// Holds for each group of the expression the name of its part.
    names: Vec<String>,
    compiled: OnceLock<Option<Compiled>>,
}

/// Holds an expression in the forms that match it fastest.
#[derive(Debug)]
struct Compiled {
    /// Holds the texts that are in all that it matches: to look for them takes less time than to try it.
    needles: Vec<Finder<'static>>,
    /// Matches short texts without tables of states: those of hundreds of patterns are not in the processor's caches.
    of_short: meta::Regex,
    /// Matches long texts, once there is one.
    of_long: OnceLock<Option<Regex>>,
}

impl Compiled {
    /// Limits the length of short texts, in bytes.
    const SHORT: usize = 1_024;

    fn new(expression: &str) -> Result<Self, Box<meta::BuildError>> {
        let without_tables = meta::Config::new().hybrid(false).nfa_size_limit(Some(SIZE_LIMIT));
        Ok(Self {
            needles: needles_of(expression),
            of_short: meta::Builder::new()
                .configure(without_tables)
                .build(expression)
                .map_err(Box::new)?,
            of_long: OnceLock::new(),
        })
    }

    /// Returns the places of the groups of a text that matches; none for a group that is not in it.
    fn groups(&self, expression: &str, text: &str) -> Option<Vec<Option<Range<usize>>>> {
        let is_there = |needle: &Finder<'_>| needle.find(text.as_bytes()).is_some();
        if !self.needles.iter().all(is_there) {
            return None;
        }
        if text.len() > Self::SHORT {
            let of_long = self
                .of_long
                .get_or_init(|| usable(expression, compile(expression)));
            let groups = of_long.as_ref()?.captures(text)?;
            let groups = groups.iter().skip(1).map(|group| Some(group?.range()));
            return Some(groups.collect());
        }
        // `Captures` count their references to the expression, which the threads of an ingest share.
        let mut slots = vec![None; 2 * self.of_short.captures_len()];
        self.of_short.search_slots(&Input::new(text), &mut slots)?;
        let groups = slots.chunks_exact(2).skip(1).map(|ends| match ends {
            [Some(start), Some(end)] => Some(start.get()..end.get()),
            _ => None,
        });
        Some(groups.collect())
    }
}

/// Says why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatternError {
    #[error("there is no part %{{{0}}}: see docs/formats.md for the names")]
    UnknownPart(String),
    #[error("%{{ without its }}, or (?< without its >")]
    Unclosed,
    #[error(
        "a part cannot have the name {0:?}: use letters, digits, _, - and dots, and close %{{ and (?< after it"
    )]
    Name(String),
    #[error(transparent)]
    Expression(#[from] regex::Error),
}

impl Pattern {
    /// Reads a pattern, and does not compile it yet. It must match the whole text.
    pub(crate) fn new(written: &str) -> Result<Self, PatternError> {
        let (text, names) = expand(written)?;
        Ok(Self {
            starts: literal_starts(written),
            text: format!("^(?s:{text})$"),
            names,
            compiled: OnceLock::new(),
        })
    }

    /// Returns the names of the parts, in their order.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Compiles the pattern, and says why that is impossible.
    pub(crate) fn check(&self) -> Result<(), PatternError> {
        compile(&self.text).map(drop).map_err(PatternError::from)
    }

    /// Returns the parts of a text that matches, each with its name.
    pub(crate) fn parts<'p, 't>(&'p self, text: &'t str) -> Option<Vec<(&'p str, &'t str)>> {
        if !self.may_match(text) {
            return None;
        }
        let compiled = self
            .compiled
            .get_or_init(|| usable(&self.text, Compiled::new(&self.text)));
        let groups = compiled.as_ref()?.groups(&self.text, text)?;
        let named = self.names.iter().zip(groups);
        let parts = named.filter_map(|(name, place)| Some((name.as_str(), text.get(place?)?)));
        Some(parts.collect())
    }

    /// Returns whether a text starts as matches do.
    pub(crate) fn may_match(&self, text: &str) -> bool {
        let first = text.as_bytes().first();
        // Most texts differ in the first letter.
        let is_start = |start: &String| start.as_bytes().first() == first && text.starts_with(start.as_str());
        self.starts.is_empty() || self.starts.iter().any(is_start)
    }

    /// Returns the parts of a text that may belong to the caller.
    pub(crate) fn parts_of<'p, 't>(&'p self, text: Cow<'t, str>) -> Option<Vec<(&'p str, Cow<'t, str>)>> {
        Some(match text {
            Cow::Borrowed(text) => {
                let parts = self.parts(text)?.into_iter();
                parts.map(|(name, part)| (name, part.into())).collect()
            }
            Cow::Owned(text) => {
                let parts = self.parts(&text)?.into_iter();
                parts.map(|(name, part)| (name, part.to_owned().into())).collect()
            }
        })
    }
}

/// Returns texts of which every match of an expression starts with one; none where it may start with any.
fn literal_starts(expression: &str) -> Vec<String> {
    const MOST: usize = 16;
    // With an alternative, other texts match as well.
    if has_alternatives(expression) {
        return Vec::new();
    }
    let mut starts = vec![String::new()];
    let mut rest = expression;
    while let Some((choices, after)) = split_choices(rest)
        && starts.len() * choices.len() <= MOST
    {
        if let [literal] = choices[..] {
            for start in &mut starts {
                start.push_str(literal);
            }
        } else {
            let extended = starts
                .iter()
                .flat_map(|start| choices.iter().map(move |choice| format!("{start}{choice}")));
            starts = extended.collect();
        }
        rest = after;
    }
    match starts.iter().any(String::is_empty) {
        true => Vec::new(),
        false => starts,
    }
}

/// Splits off a character that an expression starts with, or a group of alternatives, as the texts that may be there.
fn split_choices(expression: &str) -> Option<(Vec<&str>, &str)> {
    let named = expression
        .strip_prefix("(?<")
        .and_then(|named| named.split_once('>'));
    let group = expression.strip_prefix("(?:").or(named.map(|(_, group)| group));
    let Some(group) = group else {
        let (literal, rest) = split_literal(expression)?;
        let is_repeated = rest.starts_with(['?', '*', '+', '{']);
        return (!is_repeated).then(|| (vec![literal], rest));
    };
    let (inside, rest) = group.split_once(')')?;
    let mut choices: Vec<&str> = inside.split('|').collect();
    if !choices.iter().all(|choice| is_literal(choice)) || rest.starts_with(['*', '+', '{']) {
        return None;
    }
    match rest.strip_prefix('?') {
        Some(rest) => {
            choices.push("");
            Some((choices, rest))
        }
        None => Some((choices, rest)),
    }
}

/// Returns whether an expression matches itself alone.
fn is_literal(expression: &str) -> bool {
    let is_literal = |c: char| c.is_ascii_alphanumeric() || " :,_/=\"-<>;#@!".contains(c);
    expression.chars().all(is_literal)
}

/// Splits off the character that an expression starts with, if it stands for itself.
fn split_literal(expression: &str) -> Option<(&str, &str)> {
    let (escape, after) = expression.split_at_checked(1)?;
    match escape {
        "\\" => {
            let (character, rest) = after.split_at_checked(1)?;
            let is_punctuation = character.bytes().all(|byte| byte.is_ascii_punctuation());
            // `\<` is the start of a word.
            (is_punctuation && !matches!(character, "<" | ">")).then_some((character, rest))
        }
        // `%{` begins a part.
        "%" => (!after.starts_with('{')).then_some((escape, after)),
        literal => is_literal(literal).then_some((literal, after)),
    }
}

/// Returns whether an expression has alternatives outside of groups. In doubt, it has.
fn has_alternatives(expression: &str) -> bool {
    let (mut depth, mut is_in_class) = (0_usize, false);
    let mut characters = expression.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' => drop(characters.next()),
            '[' => {
                is_in_class = true;
                characters.next_if_eq(&'^');
                // A bracket that comes first in a class is one of its characters.
                characters.next_if_eq(&']');
            }
            ']' => is_in_class = false,
            '(' if !is_in_class => depth += 1,
            ')' if !is_in_class => match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                // It ends the group around the expression, which what follows may repeat.
                None => return true,
            },
            '|' if depth == 0 && !is_in_class => return true,
            _ => {}
        }
    }
    false
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(SIZE_LIMIT).build()
}

fn usable<T>(expression: &str, compiled: Result<T, impl Display>) -> Option<T> {
    match compiled {
        Ok(compiled) => Some(compiled),
        Err(error) => {
            log::warn!("the pattern {expression:?} of a format cannot be used: {error}");
            None
        }
    }
}

/// Returns finders of the longest texts that are in all that an expression matches.
fn needles_of(expression: &str) -> Vec<Finder<'static>> {
    const MOST: usize = 3;
    let Ok(expression) = regex_syntax::parse(expression) else {
        return Vec::new();
    };
    let mut texts = required_texts(&expression);
    texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    let finders = texts.into_iter().take(MOST);
    finders.map(|text| Finder::new(text).into_owned()).collect()
}

/// Replaces each `%{NAME:member}` and `(?<member>...)` by a group. Other groups must not capture: `(?:...)`.
fn expand(text: &str) -> Result<(String, Vec<String>), PatternError> {
    let (mut expanded, mut names) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find("%{").into_iter().chain(rest.find("(?<")).min() {
        expanded.push_str(&rest[..at]);
        rest = match rest[at..].strip_prefix("(?<") {
            Some(group) => {
                let (name, after) = group.split_once('>').ok_or(PatternError::Unclosed)?;
                names.push(name_of_part(name)?);
                expanded.push('(');
                after
            }
            None => {
                let (inside, after) = rest[at + 2..].split_once('}').ok_or(PatternError::Unclosed)?;
                expand_part(inside, &mut expanded, &mut names)?;
                after
            }
        };
    }
    expanded.push_str(rest);
    Ok((with_ascii_classes(&expanded), names))
}

/// Lets `\d`, `\w` and `\b` mean those of ASCII. Daemons write numbers in ASCII, and the classes of Unicode are large.
fn with_ascii_classes(text: &str) -> String {
    let mut changed = String::with_capacity(text.len() + 64);
    let mut depth = 0_usize;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let is_in_class = depth > 0;
        match c {
            '\\' => match (characters.next(), is_in_class) {
                (Some('d'), true) => changed.push_str("0-9"),
                (Some('d'), false) => changed.push_str("[0-9]"),
                (Some('w'), true) => changed.push_str("0-9A-Za-z_"),
                (Some('w'), false) => changed.push_str("[0-9A-Za-z_]"),
                (Some('b'), false) => changed.push_str(r"(?-u:\b)"),
                (Some(other), _) => changed.extend(['\\', other]),
                (None, _) => changed.push('\\'),
            },
            '[' => {
                depth += 1;
                changed.push(c);
            }
            ']' => {
                depth = depth.saturating_sub(1);
                changed.push(c);
            }
            other => changed.push(other),
        }
    }
    changed
}

/// Adds the expression of `NAME:member` or `NAME`.
fn expand_part(inside: &str, expanded: &mut String, names: &mut Vec<String>) -> Result<(), PatternError> {
    let (name, member) = match inside.split_once(':') {
        Some((name, member)) => (name, Some(member)),
        None => (inside, None),
    };
    let known = PARTS.iter().find(|(part, _)| *part == name);
    let (_, expression) = known.ok_or_else(|| PatternError::UnknownPart(name.to_owned()))?;
    expanded.push_str(match member {
        Some(_) => "(",
        None => "(?:",
    });
    expanded.push_str(expression);
    expanded.push(')');
    names.extend(member.map(name_of_part).transpose()?);
    Ok(())
}

fn name_of_part(name: &str) -> Result<String, PatternError> {
    let is_part = |c: char| c.is_alphanumeric() || "_.-@".contains(c);
    match !name.is_empty() && name.chars().all(is_part) {
        true => Ok(name.to_owned()),
        false => Err(PatternError::Name(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_the_names_that_the_pattern_gives_them() {
        let pattern =
            Pattern::new(r"%{WORD:action} from %{IP:source_ip}(?: port %{PORT:source_port})?").unwrap();
        let parts = pattern.parts("deny from 2001:db8::1 port 22").unwrap();
        assert_eq!(
            parts,
            [
                ("action", "deny"),
                ("source_ip", "2001:db8::1"),
                ("source_port", "22")
            ]
        );
        assert_eq!(pattern.parts("deny from 203.0.113.9").unwrap().len(), 2);
        assert_eq!(pattern.parts("deny from 203.0.113.9 and more"), None);
    }

    #[test]
    fn a_named_group_is_a_part() {
        let pattern = Pattern::new(r"(?<action>permit|deny) %{IP:source_ip} (?:-|(?<user>\S+))").unwrap();
        let parts = pattern.parts("deny 203.0.113.9 bob").unwrap();
        let expected = [("action", "deny"), ("source_ip", "203.0.113.9"), ("user", "bob")];
        assert_eq!(parts, expected);
        assert_eq!(pattern.parts("permit 203.0.113.9 -").unwrap().len(), 2);
    }

    #[test]
    fn digits_and_words_are_those_of_ascii() {
        assert_eq!(
            with_ascii_classes(r"\d[\w.-]+\b\\d"),
            r"[0-9][0-9A-Za-z_.-]+(?-u:\b)\\d"
        );
        let pattern = Pattern::new(r"\d+").unwrap();
        assert!(pattern.parts("42").is_some());
        assert!(pattern.parts("\u{664}\u{662}").is_none());
    }

    #[test]
    fn a_pattern_that_cannot_be_read_says_why() {
        for (text, reason) in [("%{NOPE:x}", "no part %{NOPE}"), ("%{IP:x", "without its }")] {
            assert!(
                Pattern::new(text).unwrap_err().to_string().contains(reason),
                "{text}"
            );
        }
        assert!(Pattern::new("(").unwrap().check().is_err());
    }

    #[test]
    fn a_pattern_knows_what_all_its_texts_have() {
        for (expression, needles) in [
            (
                "%{DATA:user} logged in from %{IP:source_ip} via (?:ssh)+",
                &[" logged in from ", " via ", "ssh"][..],
            ),
            ("(?:one|two)? a{0,2}b", &[" ", "b"]),
            ("(?i)failed", &[]),
        ] {
            let pattern = Pattern::new(expression).unwrap();
            let found = needles_of(&pattern.text);
            let found: Vec<&str> = found
                .iter()
                .map(|needle| std::str::from_utf8(needle.needle()).unwrap())
                .collect();
            assert_eq!(found, needles, "{expression}");
        }
        let pattern = Pattern::new("%{DATA:user} logged in").unwrap();
        assert_eq!(pattern.parts("bob logged out"), None);
        assert_eq!(pattern.parts("bob logged in").unwrap(), [("user", "bob")]);
        let long = "b".repeat(2 * Compiled::SHORT);
        assert_eq!(
            pattern.parts(&format!("{long} logged in")).unwrap(),
            [("user", &*long)]
        );
        assert_eq!(pattern.parts(&format!("{long} logged in!")), None);
    }

    #[test]
    fn a_pattern_knows_what_its_texts_start_with() {
        for (expression, starts) in [
            ("a)?(?:", &[][..]),
            ("Postponed (.*)", &["Postponed "][..]),
            ("colou?r", &["colo"]),
            ("a|b", &[]),
            ("a(b|c)[|]", &["a"]),
            ("a[](]|b", &[]),
            (r"a\(b|c", &[]),
            (r"a\(b\)\d", &["a(b)"]),
            (r"\<a", &[]),
            ("from %{IP:source_ip}", &["from "]),
            ("%ASA-%{INT}", &["%ASA-"]),
            ("(?<action>deny|permit) %{IP:source_ip}", &["deny ", "permit "]),
            ("(?<user>a)?b", &["ab", "b"]),
            ("(?i)x", &[]),
            ("(?i:x)", &[]),
            ("whole", &["whole"]),
            (
                "(?:error: )?(?:a|b): %{REST}",
                &["error: a: ", "error: b: ", "a: ", "b: "],
            ),
            ("(?:a|b)+c", &[]),
            ("x(?:a|b){2}c", &["x"]),
            ("(?:a(?:b|c))d", &[]),
            ("(?:a|)b", &["ab", "b"]),
            ("(?:a)??b", &[]),
            ("(?:a)?b*", &[]),
            (
                "(?:a|b)(?:a|b)(?:a|b)(?:a|b)(?:a|b)",
                &[
                    "aaaa", "aaab", "aaba", "aabb", "abaa", "abab", "abba", "abbb", "baaa", "baab", "baba",
                    "babb", "bbaa", "bbab", "bbba", "bbbb",
                ],
            ),
        ] {
            assert_eq!(literal_starts(expression), starts, "{expression}");
        }
        assert!(Pattern::new("ab?c").unwrap().parts("ac").is_some());
    }

    proptest::proptest! {
        #[test]
        fn a_text_that_matches_starts_as_the_pattern_says(
            parts in proptest::collection::vec(
                proptest::sample::select(&["a", "b", "(?:a|b)", "(?:a)?", "(?:ab|b)?", "(?<x>a|b)", "?", "*", "|", "(b|a)", "[ab]", r"\.", "{2}", "(?:", ")"][..]),
                0..6,
            ),
            text in "[ab.]{0,6}",
        ) {
            let Ok(pattern) = Pattern::new(&parts.concat()) else { return Ok(()) };
            let Ok(expression) = compile(&pattern.text) else { return Ok(()) };
            if expression.is_match(&text) {
                proptest::prop_assert!(pattern.may_match(&text), "{:?} {text:?}", pattern.text);
            }
        }
    }

    #[test]
    fn every_part_is_an_expression() {
        for (name, _) in PARTS {
            Pattern::new(&format!("%{{{name}:x}}")).unwrap().check().unwrap();
        }
    }
}
