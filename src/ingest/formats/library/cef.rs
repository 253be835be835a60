//! Reads the Common Event Format of `ArcSight` (Implementing CEF, revision 27): a header of seven parts between bars,
//! and an extension of pairs.

use std::borrow::Cow;

use crate::models::Members;

const HEADER: [&str; 7] = [
    "cefVersion",
    "deviceVendor",
    "deviceProduct",
    "deviceVersion",
    "deviceEventClassId",
    "name",
    "severity",
];

/// Limits the pairs of an extension. A client may write as many of one name as it likes.
const MOST_PAIRS: usize = 500;

/// Reads the event that begins with `CEF:` in a text, wherever that is, or the header alone if the mark is gone.
pub(crate) fn read(text: &str) -> Option<Members<'_>> {
    let event = match text.find("CEF:") {
        Some(start) => text.get(start + 4..)?,
        None => text,
    };
    let mut members = Members::default();
    let mut rest = event;
    for name in HEADER {
        let (part, after) = header_part(rest)?;
        members.insert(name, part);
        rest = after;
    }
    insert_extension(rest, &mut members);
    name_custom_fields(&mut members);
    Some(members)
}

/// Returns a part of the header up to the next bar; `\|` and `\\` stand for themselves.
fn header_part(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut unescaped: Option<String> = None;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '|' => {
                let part = unescaped.map_or_else(|| Cow::Borrowed(text[..at].trim()), Cow::Owned);
                return Some((part, &text[at + 1..]));
            }
            '\\' => {
                let part = unescaped.get_or_insert_with(|| text[..at].to_owned());
                part.extend(characters.next().map(|(_, escaped)| escaped));
            }
            _ => unescaped.iter_mut().for_each(|part| part.push(c)),
        }
    }
    None
}

/// Reads `src=10.0.0.1 msg=some text dst=10.0.0.2`. A value ends before the next key.
fn insert_extension<'a>(text: &'a str, members: &mut Members<'a>) {
    let mut keys = keys(text).peekable();
    for _ in 0..MOST_PAIRS {
        let Some((start, sign)) = keys.next() else { break };
        let end = keys.peek().map_or(text.len(), |(next, _)| *next);
        let key = text.get(start..sign).unwrap_or_default();
        let value = text.get(sign + 1..end).unwrap_or_default().trim();
        members.insert_beside(key.into(), unescaped(value).into());
    }
}

/// Returns where each key begins, and where its `=` is. An `=` after a backslash is part of a value.
fn keys(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let bytes = text.as_bytes();
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-[]".contains(byte);
    memchr::memchr_iter(b'=', bytes).filter_map(move |sign| {
        let length = bytes[..sign].iter().rev().take_while(|byte| is_key(byte)).count();
        let start = sign - length;
        let is_after_space = start == 0 || bytes[start - 1].is_ascii_whitespace() || bytes[start - 1] == b'|';
        (length > 0 && is_after_space).then_some((start, sign))
    })
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return value.into();
    }
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, characters.peek()) {
            ('\\', Some('=' | '\\' | '|')) => text.extend(characters.next()),
            ('\\', Some('n' | 'r')) => {
                characters.next();
                text.push('\n');
            }
            _ => text.push(c),
        }
    }
    text.into()
}

/// Gives the values of `cs1` and its kin the names that `cs1Label` and its kin give them as well.
fn name_custom_fields(members: &mut Members<'_>) {
    let mut named = Vec::new();
    for (label, name) in members.iter() {
        if let Some(key) = label.strip_suffix("Label")
            && let Some(value) = members.get(key)
            && let Some(name) = name.as_str().filter(|name| !name.is_empty())
        {
            named.push((name.to_owned(), value.clone()));
        }
    }
    for (name, value) in named {
        members.insert_if_missing(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_extension_are_taken_apart() {
        let line = r"Sep 19 host CEF:0|Security|threat\|manager|1.0|100|worm \\ stopped|10|src=10.0.0.1 msg=a \= b c dst=2.1.2.2 cs1Label=Rule Name cs1=x y";
        let members = read(line).unwrap();
        assert_eq!(
            members.to_text().unwrap(),
            r#"{"cefVersion":"0","deviceVendor":"Security","deviceProduct":"threat|manager","deviceVersion":"1.0","deviceEventClassId":"100","name":"worm \\ stopped","severity":"10","src":"10.0.0.1","msg":"a = b c","dst":"2.1.2.2","cs1Label":"Rule Name","cs1":"x y","Rule Name":"x y"}"#
        );
        assert!(read("CEF:0|a|b|c|d|e").is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in r"CEF:0\|(a|\||\\|=| |é){0,60}") {
            read(&text);
        }
    }
}
