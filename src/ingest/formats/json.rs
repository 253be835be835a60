//! JSON in logs: an object a line, objects over several lines, arrays of objects.

use std::borrow::Cow;
use std::io::{self, BufRead};

use serde::de::{Error as _, IgnoredAny};
use serde_json::Deserializer;

use super::brackets::Depth;
use super::mended::{self, Mended};
use crate::models::{Members, check_depth};

/// An object and its text.
pub(crate) type Element<'a> = (&'a str, Members<'a>);

/// Returns the objects that a text holds, each with the text of its own.
///
/// The text is an object, or an array of objects.
pub(crate) fn objects(text: &str) -> Result<Vec<Element<'_>>, serde_json::Error> {
    if let Some(array) = text.trim_start().strip_prefix('[') {
        // Gives an error its position in the whole text.
        serde_json::from_str::<IgnoredAny>(text)?;
        return elements(array).map(|(elements, _)| elements);
    }
    Ok(vec![(text, storable(serde_json::from_str(text)?)?)])
}

/// Returns the objects of a mended text, each with its own text.
pub(crate) fn mended_objects<'m>(mended: &'m Mended<'_>) -> Result<Vec<Element<'m>>, serde_json::Error> {
    let text = mended.text.as_str();
    if text.starts_with('[') {
        return objects(text);
    }
    let mut elements = Vec::new();
    let mut objects = Deserializer::from_str(text).into_iter::<Members<'_>>();
    let mut start = 0;
    while let Some(object) = objects.next() {
        let end = objects.byte_offset();
        let text = text.get(start..end).unwrap_or_default().trim_start();
        elements.push((text, storable(object?)?));
        start = end;
    }
    Ok(elements)
}

/// Holds an object that is a part of a text.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    pub(crate) members: Members<'a>,
    /// Says which part of it could not be read.
    pub(crate) problem: Option<String>,
}

/// Reads a text that is an object; `None` if it is none.
pub(crate) fn object(text: &str) -> Option<Object<'_>> {
    if let Ok(members) = serde_json::from_str(text).and_then(storable) {
        let problem = None;
        return Some(Object { members, problem });
    }
    let mended = mended::mend(text)?;
    let mut elements = mended_objects(&mended).ok()?;
    let (_, members) = elements.pop().filter(|_| elements.is_empty())?;
    Some(Object {
        members: members.into_owned(),
        problem: mended.problem,
    })
}

/// Reads the object that a message is, or that follows a short header such as `@cee:` or `INFO`.
pub(crate) fn object_after_header(message: &str) -> Option<Object<'_>> {
    const LONGEST_HEADER: usize = 32;
    let message = message.trim_end();
    let head = message
        .as_bytes()
        .get(..=LONGEST_HEADER)
        .unwrap_or(message.as_bytes());
    let (header, text) = message.split_at_checked(memchr::memchr(b'{', head)?)?;
    let is_header = !header.contains(['"', '\'', '=']) && header.split_whitespace().count() < 2;
    // A sender may cut a long object.
    let may_be_object = text.ends_with('}') || text.starts_with("{\"");
    (is_header && may_be_object).then(|| object(text))?
}

/// Returns whether a message is an object from its first byte on, or after the mark `@cee:`.
pub(crate) fn begins_with_object(message: &str) -> bool {
    let text = message.trim_start();
    text.strip_prefix("@cee:")
        .unwrap_or(text)
        .trim_start()
        .starts_with('{')
}

fn storable(object: Members<'_>) -> Result<Members<'_>, serde_json::Error> {
    check_depth("object", &object).map_err(serde_json::Error::custom)?;
    Ok(object)
}

/// Returns the elements of an array whose opening bracket has been read, and what follows it.
fn elements(array: &str) -> Result<(Vec<Element<'_>>, &str), serde_json::Error> {
    let mut elements = Vec::new();
    let mut rest = array.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix(']') {
            return Ok((elements, after));
        }
        let mut objects = Deserializer::from_str(rest).into_iter();
        let object = objects
            .next()
            .ok_or_else(|| serde_json::Error::custom("the array does not end"))??;
        let object = storable(object)?;
        let (text, after) = rest.split_at(objects.byte_offset());
        elements.push((text, object));
        let after = after.trim_start();
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
    }
}

/// Returns the objects of the text of an array; `None` if it holds anything else.
pub(crate) fn array_of_objects(text: &str) -> Option<Vec<Element<'_>>> {
    let inside = text.trim_start().strip_prefix('[')?;
    elements(inside).ok().map(|(elements, _)| elements)
}

/// Returns the text of a member's value in the text of an object; of several with one name, the last.
pub(crate) fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text.trim_start().strip_prefix('{')?.trim_start();
    let mut found = None;
    while rest.starts_with('"') {
        let mut keys = Deserializer::from_str(rest).into_iter::<Cow<'_, str>>();
        let key = keys.next()?.ok()?;
        let after = rest
            .get(keys.byte_offset()..)?
            .trim_start()
            .strip_prefix(':')?
            .trim_start();
        let mut values = Deserializer::from_str(after).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let (value, after) = after.split_at_checked(values.byte_offset())?;
        if key == name {
            found = Some(value);
        }
        rest = after
            .trim_start()
            .strip_prefix(',')
            .unwrap_or_default()
            .trim_start();
    }
    found
}

/// Returns whether a line starts as an object, or as an array of objects.
pub(crate) fn may_be_objects(line: &[u8]) -> bool {
    let inside_array = start(line).strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    inside_array.unwrap_or(start(line)).starts_with(b"{")
}

/// Returns whether a line starts as an object.
pub(crate) fn may_be_object(line: &[u8]) -> bool {
    start(line).starts_with(b"{")
}

/// Returns a line after the spaces and the byte order mark that it starts with.
fn start(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii_start();
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

/// Returns whether an object that does not end on this line may go on below. It then breaks off where a printer would.
pub(crate) fn may_go_on(line: &[u8]) -> bool {
    matches!(line.trim_ascii_end().last(), Some(b'{' | b'[' | b','))
}

/// Holds a piece of an array that is read element by element.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Element(Vec<u8>),
    End,
    /// Holds the bytes up to the place where they stop being an array of objects.
    Broken(Vec<u8>),
}

/// Reads the opening of an array of objects over several lines, or too long to be read as one.
///
/// Returns `None`, and reads nothing, if the input starts in another way.
pub(crate) fn open_array(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    /// Limits the length of a line that is read as a whole only to see whether it is JSON.
    const LONG: usize = 1 << 16;
    let start = input.fill_buf()?;
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let bracket = text.iter().position(|byte| !is_space(byte)).unwrap_or_default();
    let inside = text[bracket..].strip_prefix(b"[").unwrap_or_default();
    let first_line = text[bracket..]
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let goes_on = match first_line.len() == text.len() - bracket {
        true => first_line.len() >= LONG,
        false => may_go_on(first_line),
    };
    let spaces = inside.iter().take_while(|byte| is_space(byte)).count();
    if !goes_on || inside.get(spaces) != Some(&b'{') {
        return Ok(None);
    }
    let opening = start[..start.len() - inside.len() + spaces].to_vec();
    input.consume(opening.len());
    Ok(Some(opening))
}

/// Returns the next element of an array whose opening bracket has been read.
pub(crate) fn next_piece(input: &mut impl BufRead, longest: usize) -> io::Result<Piece> {
    loop {
        let Some(byte) = input.fill_buf()?.first().copied() else {
            return Ok(Piece::Broken(Vec::new()));
        };
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => input.consume(1),
            b']' => {
                input.consume(1);
                return Ok(Piece::End);
            }
            b'{' => return element(input, longest),
            _ => return Ok(Piece::Broken(Vec::new())),
        }
    }
}

fn element(input: &mut impl BufRead, longest: usize) -> io::Result<Piece> {
    let mut bytes = Vec::new();
    let mut depth = Depth::default();
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() || bytes.len() > longest {
            return Ok(Piece::Broken(bytes));
        }
        let end = depth.read(buffer);
        let read = end.unwrap_or(buffer.len());
        bytes.extend_from_slice(&buffer[..read]);
        input.consume(read);
        if end.is_some() {
            return Ok(Piece::Element(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(mut input: &[u8]) -> Vec<Piece> {
        assert!(open_array(&mut input).unwrap().is_some());
        let mut pieces = Vec::new();
        loop {
            let piece = next_piece(&mut input, 100).unwrap();
            let is_last = !matches!(piece, Piece::Element(_));
            pieces.push(piece);
            if is_last {
                return pieces;
            }
        }
    }

    #[test]
    fn elements_keep_their_text() {
        let element = |text: &str| Piece::Element(text.as_bytes().to_vec());
        assert_eq!(
            pieces(b" [\n{\"a\": \"]}\\\"\"},\n{\"b\": [{}]} ]"),
            [
                element("{\"a\": \"]}\\\"\"}"),
                element("{\"b\": [{}]}"),
                Piece::End
            ]
        );
        assert_eq!(
            pieces(b"[{},\n {\"a\": "),
            [element("{}"), Piece::Broken(b"{\"a\": ".to_vec())]
        );
    }

    #[test]
    fn other_brackets_are_no_arrays() {
        for mut text in [
            &b"[{} x\n"[..],
            b"[Sun Dec 04 04:47:44 2005] x",
            b"[1, 2]",
            b"",
            b"  ",
            b"[]",
            b"{}",
        ] {
            assert_eq!(open_array(&mut text).unwrap(), None);
        }
    }

    #[test]
    fn a_member_is_found_by_its_text() {
        let text = r#" {"a": {"b": "}"}, "bc" : [1, 2] , "a": 3} "#;
        assert_eq!(member(text, "bc"), Some("[1, 2]"));
        assert_eq!(member(text, "a"), Some("3"));
        assert_eq!(member(text, "b"), None);
    }
}
