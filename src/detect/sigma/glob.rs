//! Sigma's strings: plain text with the wildcards `*` and `?`.

use std::fmt;

/// Holds a string of a rule, taken apart at its wildcards.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Glob {
    parts: Vec<Part>,
}

/// Holds a part of a string.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    Text(String),
    /// Matches one character: `?`.
    One,
    /// Matches any number of characters: `*`.
    Any,
}

/// Names the place of the only text of a string, if it has no other parts than `*` around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Whole,
    Start,
    End,
    Anywhere,
}

impl Glob {
    /// Takes a string apart as the Sigma specification says: a backslash makes the next wildcard or backslash plain,
    /// and is itself plain before any other character.
    pub(crate) fn parse(text: &str) -> Self {
        let mut glob = Self { parts: Vec::new() };
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match (character, characters.peek()) {
                ('\\', Some(&next @ ('*' | '?' | '\\'))) => {
                    characters.next();
                    glob.push(next);
                }
                ('*', _) => glob.push_any(),
                ('?', _) => glob.parts.push(Part::One),
                (plain, _) => glob.push(plain),
            }
        }
        glob
    }

    /// Makes a string without wildcards.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            parts: if text.is_empty() {
                Vec::new()
            } else {
                vec![Part::Text(text)]
            },
        }
    }

    fn push(&mut self, character: char) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(character),
            _ => self.parts.push(Part::Text(character.into())),
        }
    }

    fn push_any(&mut self) {
        if self.parts.last() != Some(&Part::Any) {
            self.parts.push(Part::Any);
        }
    }

    #[cfg(test)]
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Returns the string without wildcards, if it has none.
    pub(crate) fn as_plain(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns the string with `*` before it, unless it has one.
    pub(crate) fn after_any(mut self) -> Self {
        if self.parts.first() != Some(&Part::Any) {
            self.parts.insert(0, Part::Any);
        }
        self
    }

    /// Returns the string with `*` after it, unless it has one.
    pub(crate) fn before_any(mut self) -> Self {
        self.push_any();
        self
    }

    /// Returns the only text and its place, if nothing but `*` is around it.
    pub(crate) fn as_anchored(&self) -> Option<(Anchor, &str)> {
        match &*self.parts {
            [] => Some((Anchor::Whole, "")),
            [Part::Text(text)] => Some((Anchor::Whole, text)),
            [Part::Text(text), Part::Any] => Some((Anchor::Start, text)),
            [Part::Any, Part::Text(text)] => Some((Anchor::End, text)),
            [Part::Any, Part::Text(text), Part::Any] => Some((Anchor::Anywhere, text)),
            _ => None,
        }
    }

    /// Returns the longest text. A value that the string matches holds it.
    pub(crate) fn longest_text(&self) -> Option<&str> {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.max_by_key(|text| text.len())
    }

    /// Applies a function to each text.
    pub(crate) fn map_texts(self, change: impl Fn(&str) -> String) -> Self {
        let parts = self.parts.into_iter().map(|part| match part {
            Part::Text(text) => Part::Text(change(&text)),
            wildcard => wildcard,
        });
        Self {
            parts: parts.collect(),
        }
    }

    /// Returns the string with its letters folded, as values are folded before they are compared.
    pub(crate) fn folded(self) -> Self {
        self.map_texts(str::to_lowercase)
    }

    /// Returns all strings in which each text is one of those that a function makes of it; `None` if there are more than
    /// `most`.
    pub(crate) fn expand_texts(
        &self,
        expand: impl Fn(&str) -> Vec<String>,
        most: usize,
    ) -> Option<Vec<Self>> {
        let mut made: Vec<Vec<Part>> = vec![Vec::new()];
        for part in &self.parts {
            let choices = match part {
                Part::Text(text) => expand(text).into_iter().map(Part::Text).collect(),
                wildcard => vec![wildcard.clone()],
            };
            if made.len().saturating_mul(choices.len()) > most {
                return None;
            }
            let longer = made.iter().flat_map(|start| {
                let with = |choice: &Part| start.iter().chain([choice]).cloned().collect();
                choices.iter().map(with)
            });
            made = longer.collect();
        }
        Some(made.into_iter().map(|parts| Self { parts }).collect())
    }

    /// Returns whether the string matches a value from its start to its end.
    pub(crate) fn matches(&self, value: &str) -> bool {
        match self.as_anchored() {
            Some((Anchor::Whole, text)) => value == text,
            Some((Anchor::Start, text)) => value.starts_with(text),
            Some((Anchor::End, text)) => value.ends_with(text),
            Some((Anchor::Anywhere, text)) => value.contains(text),
            None => self.matches_segments(value),
        }
    }

    /// Matches the segments between `*` one after another, each as early as possible: no other choice does better.
    fn matches_segments(&self, value: &str) -> bool {
        let mut segments = self.parts.split(|part| *part == Part::Any);
        let Some(first) = segments.next() else {
            return value.is_empty();
        };
        let Some(mut rest) = strip(value, first) else {
            return false;
        };
        let mut segments: Vec<&[Part]> = segments.collect();
        let Some(last) = segments.pop() else {
            return rest.is_empty();
        };
        for segment in segments {
            match find(rest, segment) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        ends(rest, last)
    }
}

/// Returns what follows a segment at the start of a value.
fn strip<'a>(value: &'a str, segment: &[Part]) -> Option<&'a str> {
    segment.iter().try_fold(value, |rest, part| match part {
        Part::Text(text) => rest.strip_prefix(text.as_str()),
        Part::One => {
            let mut characters = rest.chars();
            characters.next().map(|_| characters.as_str())
        }
        Part::Any => Some(rest),
    })
}

/// Returns what follows the first place of a segment in a value.
fn find<'a>(value: &'a str, segment: &[Part]) -> Option<&'a str> {
    let mut starts = value.char_indices().map(|(start, _)| start).chain([value.len()]);
    match segment {
        [] => Some(value),
        [Part::Text(text)] => value
            .find(text.as_str())
            .map(|start| &value[start + text.len()..]),
        _ => starts.find_map(|start| strip(&value[start..], segment)),
    }
}

/// Returns whether a value ends with a segment.
fn ends(value: &str, segment: &[Part]) -> bool {
    match segment {
        [] => true,
        [Part::Text(text)] => value.ends_with(text.as_str()),
        _ => {
            let length = |part: &Part| match part {
                Part::Text(text) => text.chars().count(),
                _ => 1,
            };
            let wanted: usize = segment.iter().map(length).sum();
            let held = value.chars().count();
            let Some(skipped) = held.checked_sub(wanted) else {
                return false;
            };
            let start = value
                .char_indices()
                .nth(skipped)
                .map_or(value.len(), |(start, _)| start);
            strip(&value[start..], segment).is_some_and(str::is_empty)
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::One => f.write_str("?"),
            Part::Any => f.write_str("*"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backslashes_are_read_as_the_specification_says() {
        let plain = |text: &str| Glob::parse(text).as_plain().map(str::to_owned);
        assert_eq!(plain(r"C:\Windows").as_deref(), Some(r"C:\Windows"));
        assert_eq!(plain(r"C:\\Windows").as_deref(), Some(r"C:\Windows"));
        assert_eq!(plain(r"a\*b").as_deref(), Some("a*b"));
        assert_eq!(plain(r"\\\*").as_deref(), Some(r"\*"));
        assert_eq!(plain(r"\\\\").as_deref(), Some(r"\\"));
        assert_eq!(plain("end\\").as_deref(), Some("end\\"));
        assert_eq!(Glob::parse(r"\\*").parts(), [Part::Text("\\".into()), Part::Any]);
    }

    #[test]
    fn wildcards_match_from_start_to_end() {
        for (glob, value, expected) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "a-b-b-c", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a?", "xxaé", true),
            ("*a?", "xxa", false),
            ("?*?", "é", false),
            ("*ab*ab", "ab", false),
            ("*a?c*d", "aac-abc-d", true),
            ("a*\nb", "a\n\n\nb", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(Glob::parse(glob).matches(value), expected, "{glob} on {value:?}");
        }
    }
}
