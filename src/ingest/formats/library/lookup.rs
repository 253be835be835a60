//! Finds members by the names that a definition has for them.

use std::borrow::Cow;

use super::definition::Definition;
use super::reading::is_like;
use super::structure::{text_of_value, value_of};
use crate::models::{Json, Members};

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
        members: &'m Members<'a>,
        name: &'d str,
    ) -> impl Iterator<Item = &'m Json<'a>> {
        self.meant(name).flat_map(move |name| {
            let inside = self
                .inside
                .iter()
                .filter_map(move |object| match value_of(members, object)? {
                    Json::Object(inner) => value_of(inner, name),
                    _ => None,
                });
            value_of(members, name).into_iter().chain(inside)
        })
    }

    /// Iterates over the texts of the members that a name means, best first.
    pub(crate) fn texts_of<'d, 'm, 'a>(
        &'d self,
        members: &'m Members<'a>,
        name: &'d str,
    ) -> impl Iterator<Item = Cow<'a, str>> {
        self.values_of(members, name).filter_map(text_of_value)
    }

    /// Returns whether a member has one of some values. `*` alone means that the member is there.
    pub(crate) fn has_value(&self, members: &Members<'_>, name: &str, patterns: &[String]) -> bool {
        if patterns.iter().any(|pattern| pattern == "*") {
            return self.values_of(members, name).any(|value| *value != Json::Null);
        }
        let is_listed = |text: &str| patterns.iter().any(|pattern| is_like(pattern, text));
        self.texts_of(members, name).any(|text| is_listed(&text))
    }
}
