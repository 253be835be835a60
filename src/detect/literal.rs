//! Texts that must be in every value that a regular expression matches.

use crate::models::required_texts;

/// Returns a text, in lower case, that the folded form of each matching value holds.
pub(crate) fn required(pattern: &str) -> Option<String> {
    let (pattern, is_folded) = without_folding(pattern);
    let expression = regex_syntax::parse(&pattern).ok()?;
    let texts = required_texts(&expression).into_iter();
    let literal = texts.max_by_key(|text| text.len())?;
    let literal = match is_folded {
        true => safe_part(literal),
        false => literal,
    };
    (literal.chars().count() > 1).then(|| literal.to_lowercase())
}

/// Takes the flag `i` off the start of a pattern: without it, letters stay literal.
fn without_folding(pattern: &str) -> (String, bool) {
    let flags = pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')'));
    match flags {
        Some((flags, rest))
            if flags.contains('i') && flags.chars().all(|flag| flag.is_ascii_alphabetic()) =>
        {
            let others = flags.replace('i', "");
            let start = if others.is_empty() {
                String::new()
            } else {
                format!("(?{others})")
            };
            (format!("{start}{rest}"), true)
        }
        _ => (pattern.to_owned(), false),
    }
}

/// Returns the longest part without letters that a character outside ASCII folds to: the long s and the Kelvin sign.
fn safe_part(literal: &str) -> &str {
    let parts = literal.split(|letter: char| matches!(letter, 's' | 'S' | 'k' | 'K') || !letter.is_ascii());
    parts.max_by_key(|part| part.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_text_that_every_match_holds() {
        for (pattern, expected) in [
            (r"\\Temp\\[a-z]+\.exe", Some(r"\temp\")),
            (r"(?i)Invoke-Mimi", Some("e-mimi")),
            (r"foo|bar", None),
            (r"(?:longer)?ab", Some("ab")),
            (r"[0-9]{4}", None),
            (r"(?i-u)x", None),
        ] {
            assert_eq!(required(pattern).as_deref(), expected, "{pattern}");
        }
    }
}
