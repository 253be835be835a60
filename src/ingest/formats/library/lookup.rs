//! Finds members by the names that a definition has for them.

use std::borrow::Cow;

use super::definition::Definition;
use super::structure::{text_of_value, value_of};
use crate::models::{Json, Members};

/// Holds the members of a text, and those that patterns find in them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sets<'m, 'a> {
    pub(crate) own: &'m Members<'a>,
    pub(crate) found: &'m Members<'a>,
}

impl<'m, 'a> Sets<'m, 'a> {
    pub(crate) fn values(self, name: &str) -> impl Iterator<Item = &'m Json<'a>> {
        value_of(self.own, name)
            .into_iter()
            .chain(value_of(self.found, name))
    }
}

impl Definition {
    /// Returns the names of members that a name of the definition means.
    pub(crate) fn meant<'d>(&'d self, name: &'d str) -> impl Iterator<Item = &'d str> {
        let several = self.names.get(name);
        let one = several.is_none().then_some(name);
        several.into_iter().flatten().map(String::as_str).chain(one)
    }

    /// Iterates over the members that a name means, best first.
    pub(crate) fn values_of<'d, 'm, 'a>(
        &'d self,
        sets: Sets<'m, 'a>,
        name: &'d str,
    ) -> impl Iterator<Item = &'m Json<'a>> {
        self.meant(name).flat_map(move |name| {
            let inside = self
                .inside
                .iter()
                .filter_map(move |object| match value_of(sets.own, object)? {
                    Json::Object(inner) => value_of(inner, name),
                    _ => None,
                });
            sets.values(name).chain(inside)
        })
    }

    /// Iterates over the texts of the members that a name means, best first.
    pub(crate) fn texts_of<'d, 'a>(
        &'d self,
        sets: Sets<'_, 'a>,
        name: &'d str,
    ) -> impl Iterator<Item = Cow<'a, str>> {
        self.values_of(sets, name).filter_map(text_of_value)
    }

    /// Returns whether a member has one of some values. `*` alone means that the member is there.
    pub(crate) fn has_value(&self, sets: Sets<'_, '_>, name: &str, patterns: &[String]) -> bool {
        if patterns.iter().any(|pattern| pattern == "*") {
            return self.values_of(sets, name).any(|value| *value != Json::Null);
        }
        let is_listed = |text: &str| patterns.iter().any(|pattern| is_like(pattern, text));
        self.texts_of(sets, name).any(|text| is_listed(&text))
    }
}

/// Compares a text with a pattern in any letter case; a `*` at either end of the pattern stands for any text.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    let is_equal = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let starts = |text: &str, start: &str| text.get(..start.len()).is_some_and(|head| is_equal(head, start));
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) if pattern.len() > 1 => {
            let inner = &pattern[1..pattern.len() - 1];
            text.to_ascii_lowercase().contains(&inner.to_ascii_lowercase())
        }
        (Some(end), _) => text
            .len()
            .checked_sub(end.len())
            .and_then(|at| text.get(at..))
            .is_some_and(|tail| is_equal(tail, end)),
        (None, Some(start)) => starts(text, start),
        (None, None) => is_equal(pattern, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, expected) in [
            ("Accept*", "accepted", true),
            ("*denied", "was DENIED", true),
            ("*fail*", "Login failed twice", true),
            ("allow", "allowed", false),
            ("*", "", true),
            ("é*", "e", false),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
