//! Takes a line with columns apart, as RFC 4180 and its relatives write them.

use std::borrow::Cow;

/// Holds the columns of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Columns<'a> {
    pub(crate) values: Vec<Cow<'a, str>>,
    /// Says whether the last column began with a quote and has no other. It may go on in the next line.
    pub(crate) is_open: bool,
}

/// Takes a line apart. A column in quotes may hold the separator; two quotes in it mean one.
pub(crate) fn split(line: &str, separator: char) -> Columns<'_> {
    let mut values = Vec::new();
    let mut rest = line;
    loop {
        let column = match rest.strip_prefix('"') {
            Some(quoted) => quoted_column(quoted, separator),
            None => plain_column(rest, separator),
        };
        values.push(column.value);
        match column.rest {
            Some(after) => rest = after,
            None => {
                let is_open = column.is_open;
                return Columns { values, is_open };
            }
        }
    }
}

/// Takes a line apart that has no quotes, such as a line of Zeek.
pub(crate) fn split_plain(line: &str, separator: char) -> Vec<Cow<'_, str>> {
    line.split(separator).map(Cow::Borrowed).collect()
}

struct Column<'a> {
    value: Cow<'a, str>,
    /// Holds what follows the separator; `None` at the end of the line.
    rest: Option<&'a str>,
    is_open: bool,
}

fn plain_column(text: &str, separator: char) -> Column<'_> {
    let (value, rest) = cut(text, separator);
    Column {
        value: value.into(),
        rest,
        is_open: false,
    }
}

fn cut(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((value, rest)) => (value, Some(rest)),
        None => (text, None),
    }
}

fn quoted_column(text: &str, separator: char) -> Column<'_> {
    let mut value = Cow::Borrowed("");
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('"') {
        append(&mut value, before);
        if let Some(after) = after.strip_prefix('"') {
            append(&mut value, "\"");
            rest = after;
            continue;
        }
        // Nothing should follow the quote. What does is part of the value.
        let (trailing, rest) = cut(after, separator);
        append(&mut value, trailing);
        return Column {
            value,
            rest,
            is_open: false,
        };
    }
    append(&mut value, rest);
    Column {
        value,
        rest: None,
        is_open: true,
    }
}

fn append<'a>(value: &mut Cow<'a, str>, text: &'a str) {
    match value.is_empty() {
        true => *value = Cow::Borrowed(text),
        false if text.is_empty() => {}
        false => value.to_mut().push_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_separators_and_quotes() {
        for (line, expected) in [
            ("a,b,c", vec!["a", "b", "c"]),
            ("", vec![""]),
            ("a,,", vec!["a", "", ""]),
            (r#""a,b","say ""hi""",c"#, vec!["a,b", "say \"hi\"", "c"]),
            (r#"5" disk,"","""" "#, vec!["5\" disk", "", "\" "]),
        ] {
            let columns = split(line, ',');
            assert_eq!(columns.values, expected, "{line}");
            assert!(!columns.is_open, "{line}");
        }
        assert_eq!(split(r#"a "b c" d"#, ' ').values, ["a", "b c", "d"]);
        assert!(split("a,\"text", ',').is_open);
        assert!(split("a,\"text \"\"", ',').is_open);
    }
}
