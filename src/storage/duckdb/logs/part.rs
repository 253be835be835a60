//! A part of a value that is sought as a whole, and where a log that is stored may have it.

use std::ops::Range;

use super::repeated::TEMPLATES;
use crate::models::{Condition, LogQuery, Needle, Node, Pattern, Place, Test};
use crate::storage::duckdb::sql::has;
use crate::storage::duckdb::sql::statement;
use crate::storage::duckdb::sql::tokens::{ascii_pieces, formats_with};

/// Holds SQL for the texts of logs that hardly repeat. Templates that do not are in the layout.
const OWN: [&str; 3] = [
    "CASE WHEN template IS NULL THEN layout END",
    "variables",
    "stored_id",
];

/// Returns the value that a condition seeks in all texts, if that is no address.
pub(super) fn words_of(condition: &Condition) -> Option<&str> {
    match (&condition.field().0, condition.test()) {
        (Place::Any, Test::Has(Needle::Words { text, .. })) => Some(text),
        _ => None,
    }
}

/// Holds a part of a value that is sought, which no template cuts.
pub(super) struct Part {
    /// Holds it in ASCII, in lower case.
    text: String,
    /// Finds it as a whole.
    pattern: Pattern,
}

impl Part {
    /// Returns a part of a value that all logs of a query have as a whole.
    ///
    /// Few logs have the longest one, unless it may be in a time.
    pub(super) fn sought(query: &LogQuery) -> Option<Self> {
        let values = query.filters().iter().filter_map(|filter| match filter.node() {
            Node::Condition(condition) => words_of(condition),
            _ => None,
        });
        let parts = values.flat_map(|value| ascii_pieces(value).map(move |place| (value, place)));
        let (value, place) = parts.max_by_key(|(value, place)| {
            let is_in_no_time = value
                .get(place.clone())
                .is_some_and(|part| formats_with(part).next().is_none());
            (is_in_no_time, place.len())
        })?;
        Self::new(value, place)
    }

    /// Takes the part at a place of a value; `None` if it is too long for a pattern.
    ///
    /// The escape of JSON that comes before a value in the fields is no part of its first word. Its backslash may be in
    /// the template.
    pub(super) fn new(value: &str, place: Range<usize>) -> Option<Self> {
        const BEFORE: &str = "(?:^|[^0-9A-Za-z])(?:[bfnrt]|u[0-9a-f]{4})?";
        const AFTER: &str = "(?:[^0-9A-Za-z]|$)";
        let (before, rest) = value.split_at_checked(place.start)?;
        let (text, after) = rest.split_at_checked(place.len())?;
        // A letter that is not ASCII may be one in another letter case.
        let bound = |end: Option<char>, next: Option<char>, bound| {
            let is_word = end.is_some_and(|end| end.is_ascii_alphanumeric());
            match is_word && next.is_none_or(|next| next.is_ascii()) {
                true => bound,
                false => "",
            }
        };
        let before = bound(text.chars().next(), before.chars().next_back(), BEFORE);
        let after = bound(text.chars().next_back(), after.chars().next(), AFTER);
        Some(Self {
            text: text.to_ascii_lowercase(),
            pattern: Pattern::ignoring_case(before, text, after).ok()?,
        })
    }

    /// Returns it in ASCII, in lower case.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Says whether a text of a column, which may be one of templates, may have the part.
    pub(super) fn may_be_in_column(&self, column: &str, text: &str) -> bool {
        match TEMPLATES.contains(&column) {
            true => self.may_be_in_template(text),
            false => self.may_be_in(text),
        }
    }

    /// Says whether a text may have the part. What is encoded may be cut by what a template leaves out.
    fn may_be_in(&self, text: &str) -> bool {
        text.contains('%') || self.pattern.is_match(text)
    }

    /// Says whether a template may have the part, in which the numbers of placeholders are none.
    fn may_be_in_template(&self, template: &str) -> bool {
        let mut text = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            text.push('{');
            rest = after
                .strip_prefix('{')
                .unwrap_or_else(|| after.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        text.push_str(rest);
        self.may_be_in(&text)
    }

    /// Returns SQL for the texts that logs do not share, of which any may have the part.
    pub(super) fn texts_of_its_kind(&self) -> impl Iterator<Item = &'static str> {
        let is_of =
            |is_common: fn(&u8) -> bool| self.text.bytes().all(|byte| is_common(&byte) || byte == b'-');
        let identifiers = is_of(u8::is_ascii_hexdigit).then_some("identifiers");
        let numbers = is_of(u8::is_ascii_digit).then_some(has::NUMBERS);
        OWN.into_iter()
            .chain(identifiers)
            .chain(numbers.into_iter().flatten())
    }

    /// Returns SQL that is true of a text that may have the part.
    pub(super) fn may_be_in_sql(&self, text: &str) -> String {
        let folded = match self.text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            true => format!("lower({text})"),
            false => text.to_owned(),
        };
        // Few texts have it at all, so that few are compared with the pattern.
        let mut condition = format!(
            "CASE WHEN contains({folded}, {}) THEN regexp_matches({text}, {}) END OR contains({text}, '%')",
            statement::literal(&self.text),
            statement::literal(self.pattern.as_str())
        );
        for (letter, folded) in [('s', '\u{17f}'), ('k', '\u{212a}')] {
            if self.text.contains(letter) {
                condition.push_str(&format!(" OR contains({text}, '{folded}')"));
            }
        }
        condition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(value: &str) -> Part {
        let place = ascii_pieces(value).last().unwrap();
        Part::new(value, place).unwrap()
    }

    #[test]
    fn a_part_is_found_as_a_whole_and_after_an_escape() {
        let part_22 = part("22");
        for text in [
            "22",
            "port 22;",
            "x\u{1f}22\u{1f}y",
            r"a\n22",
            "n22",
            "u001f22",
            "D22%",
            "\u{e9}22",
        ] {
            assert!(part_22.may_be_in(text), "{text}");
        }
        for text in ["", "222", "x22", "22y", "a n222"] {
            assert!(!part_22.may_be_in(text), "{text}");
        }
        assert!(part("-kestrel").may_be_in("x-\u{212a}E\u{17f}TREL"));
        assert!(part("\u{212a}estrel").may_be_in("Kestrel"));
    }

    #[test]
    fn the_number_of_a_placeholder_is_no_part_of_a_template() {
        let part = part("22");
        for template in ["port 22 {22}", "{{22}}", "{{{1}22", "{{22{1}}}"] {
            assert!(part.may_be_in_template(template), "{template}");
        }
        for template in ["{22}", "{21} {22} {23}", "{{{22}}}", "{22}}}"] {
            assert!(!part.may_be_in_template(template), "{template}");
        }
    }
}
