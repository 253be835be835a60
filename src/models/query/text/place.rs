//! Faults in a text, shown with a caret below the place.

use crate::models::InvalidValue;

/// Describes a part of a text that is not as it should be, and what was expected.
#[derive(Debug)]
pub(super) struct Fault {
    /// Holds the byte where it starts, and below, the byte after its end.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) reason: String,
}

/// Limits how much of a line is shown before the place, and below, after it.
const SHOWN_BEFORE: usize = 60;
const SHOWN_AFTER: usize = 40;

impl Fault {
    /// Describes the fault in its text: the place, the reason, the line and a caret.
    pub(super) fn in_text(&self, text: &str) -> InvalidValue {
        let (before, rest) = text.split_at_checked(self.start).unwrap_or((text, ""));
        let (lines, before) = before.rsplit_once('\n').unwrap_or(("", before));
        let is_first_line = lines.is_empty() && !text.starts_with('\n');
        let before: Vec<char> = before.chars().collect();
        let rest = rest.lines().next().unwrap_or_default();
        let found = text.get(self.start..self.end).unwrap_or_default();
        let found = found.lines().next().unwrap_or_default();
        let column = before.len() + 1;
        let place = match is_first_line {
            true => format!("column {column}"),
            false => format!("line {}, column {column}", lines.matches('\n').count() + 2),
        };
        let cut = before.len().saturating_sub(SHOWN_BEFORE);
        let (mark, before) = match cut {
            0 => ("", before.as_slice()),
            _ => ("…", before.get(cut..).unwrap_or_default()),
        };
        let after: String = rest.chars().take(SHOWN_AFTER).map(shown).collect();
        let line: String = before.iter().copied().map(shown).collect();
        let indent = " ".repeat(mark.chars().count() + before.len());
        let width = found.chars().count().clamp(1, SHOWN_AFTER);
        let reason = format!(
            "{place}: {}\n{mark}{line}{after}\n{indent}{}",
            self.reason,
            "^".repeat(width)
        );
        InvalidValue::new("filter", text, reason)
    }
}

/// Returns a character as it takes one place on a terminal.
fn shown(character: char) -> char {
    let is_plain = matches!(character, '"' | '\'' | '\\') || character.escape_debug().len() == 1;
    match character {
        '\t' => ' ',
        _ if is_plain => character,
        _ => char::REPLACEMENT_CHARACTER,
    }
}
