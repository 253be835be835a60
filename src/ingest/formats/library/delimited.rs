//! Reads columns between delimiters, as comma-separated values and firewalls write them.

use std::borrow::Cow;

use super::layout::Layout;
use crate::models::Members;

/// Limits the columns of a line. A client may write as many as it likes.
const MOST_COLUMNS: usize = 1_000;

/// Reads the columns of a line under the names of a layout. Columns without a name get `column_N`, from 1.
pub(crate) fn read<'a>(text: &'a str, layout: &'a Layout) -> Members<'a> {
    let mut members = Members::default();
    let mut more: Option<&'a [String]> = None;
    let values = values(text, layout.separator.unwrap_or(','));
    for (place, value) in values.take(MOST_COLUMNS).enumerate() {
        let after = place.checked_sub(layout.columns.len());
        if after.is_some() && more.is_none() {
            more = Some(more_columns(&members, layout));
        }
        let name = match (after, more) {
            (Some(place), Some(more)) => more.get(place),
            _ => layout.columns.get(place),
        };
        match name.filter(|name| !name.is_empty()) {
            Some(name) => members.insert_beside(name.as_str().into(), value.into()),
            None if value.is_empty() => {}
            None => members.insert_beside(format!("column_{}", place + 1).into(), value.into()),
        }
    }
    members
}

/// Returns the names of the columns after the first ones, for the kind of line that these tell.
fn more_columns<'a>(members: &Members<'_>, layout: &'a Layout) -> &'a [String] {
    let kind = members.get(&layout.more.by).and_then(|kind| kind.as_str());
    let columns = kind.and_then(|kind| layout.more.columns.get(kind));
    columns.map_or(&[], Vec::as_slice)
}

/// Returns the values of a line. A value may be quoted, with its quotes doubled (RFC 4180).
pub(crate) fn values(text: &str, separator: char) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let start = text.trim_start_matches(|c| c == ' ' && separator != ' ');
        if let Some((value, after)) = quoted(start, separator) {
            rest = after;
            return Some(value);
        }
        let (value, after) = match text.split_once(separator) {
            Some((value, after)) => (value, Some(after)),
            None => (text, None),
        };
        rest = after;
        Some(value.trim().into())
    })
}

/// Reads a quoted value that ends before a separator or the end of the line.
fn quoted(text: &str, separator: char) -> Option<(Cow<'_, str>, Option<&str>)> {
    let inside = text.strip_prefix('"')?;
    let mut search = 0;
    loop {
        let quote = search + inside.get(search..)?.find('"')?;
        let after = &inside[quote + 1..];
        if let Some(again) = after.strip_prefix('"') {
            search = inside.len() - again.len();
            continue;
        }
        let after = after.trim_start_matches(|c| c == ' ' && separator != ' ');
        let rest = match after.strip_prefix(separator) {
            Some(rest) => Some(rest),
            None if after.is_empty() => None,
            None => return None,
        };
        let value = &inside[..quote];
        let value = match value.contains("\"\"") {
            true => value.replace("\"\"", "\"").into(),
            false => value.into(),
        };
        return Some((value, rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_may_hold_delimiters() {
        let found: Vec<_> = values(r#"a,"b, ""c""", d ,,"e"f,g"#, ',').collect();
        assert_eq!(found, ["a", "b, \"c\"", "d", "", "\"e\"f", "g"]);
        assert_eq!(values("", ',').collect::<Vec<_>>(), [""]);
    }

    proptest::proptest! {
        #[test]
        fn as_many_values_as_separators_outside_quotes(parts in proptest::collection::vec("[a-z ]{0,5}", 1..9)) {
            let found: Vec<_> = values(&parts.join(","), ',').map(Cow::into_owned).collect();
            let expected: Vec<_> = parts.iter().map(|part| part.trim().to_owned()).collect();
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
