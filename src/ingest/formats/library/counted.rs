//! Reads values with their length before them, as Oracle's audit trail has them: `ACTION :[7] 'CONNECT'`.
//!
//! Clients choose some of the values. The length says where one ends, whatever is in it.

use crate::models::Members;

/// Limits the values of a text. No record has as many.
const MOST_VALUES: usize = 100;

/// Reads the values up to the first that is not whole.
pub(crate) fn read(text: &str) -> Members<'_> {
    let mut members = Members::default();
    let mut rest = text;
    for _ in 0..MOST_VALUES {
        let Some((key, value, after)) = first(rest) else {
            break;
        };
        members.insert_if_missing(key, value);
        rest = after;
    }
    members
}

/// Returns the first key with its value, and what follows them.
fn first(text: &str) -> Option<(&str, &str, &str)> {
    let (key, rest) = text.split_once(':')?;
    let (key, rest) = (key.trim(), rest.trim_start());
    let is_of_key = |byte: u8| byte.is_ascii_uppercase() || b" _$".contains(&byte);
    if key.is_empty() || !key.bytes().all(is_of_key) {
        return None;
    }
    let (value, after) = match rest.strip_prefix('[') {
        Some(rest) => counted(rest)?,
        None => number(rest)?,
    };
    Some((key, value, after))
}

/// Reads `7] 'CONNECT'`.
fn counted(text: &str) -> Option<(&str, &str)> {
    let (length, rest) = text.split_once(']')?;
    let (quote, rest) = quoted(rest.trim_start())?;
    let (value, after) = rest.split_at_checked(length.parse().ok()?)?;
    Some((value, after.strip_prefix(quote)?))
}

/// Reads `'370'`. A text without its length could hold the end of its quotes.
fn number(text: &str) -> Option<(&str, &str)> {
    let (quote, rest) = quoted(text)?;
    let (value, after) = rest.split_once(quote)?;
    value
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some((value, after))
}

/// Returns the quote that a text begins with, and what follows it.
fn quoted(text: &str) -> Option<(char, &str)> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    Some((quote, &text[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(String, String)> {
        let members = read(text);
        let pair = |(name, value): (&str, &crate::models::Json<'_>)| {
            (name.to_owned(), value.as_str().unwrap_or_default().to_owned())
        };
        members.iter().map(pair).collect()
    }

    #[test]
    fn a_value_ends_where_its_length_says() {
        let forged = "a' DATABASE USER:[3] 'SYS";
        let line = format!(
            "LENGTH : '99' ACTION :[{}] '{forged}' DATABASE USER:[3] 'bob'",
            forged.len()
        );
        let expected = [("LENGTH", "99"), ("ACTION", forged), ("DATABASE USER", "bob")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(texts(&line), expected);
    }

    #[test]
    fn what_is_not_whole_is_left() {
        assert_eq!(texts("STATUS:[1] '0' ACTION:[9] 'CONNECT'").len(), 1);
        assert_eq!(texts("STATUS:[1] '0' ACTION:[99] 'CONNECT'").len(), 1);
        assert_eq!(texts("ACTION: 'CONNECT' STATUS:[1] '0'"), []);
        assert_eq!(texts("ACTION:[1] '\u{e9}'"), []);
        assert_eq!(texts(""), []);
    }
}
