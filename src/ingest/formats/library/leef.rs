//! Reads the Log Event Extended Format of `QRadar`, versions 1 and 2.

use crate::models::Members;

const HEADER: [&str; 5] = ["leefVersion", "vendor", "product", "productVersion", "eventId"];

/// Limits the attributes of an event. A client may write as many of one name as it likes.
const MOST_PAIRS: usize = 500;

/// Reads the event that begins with `LEEF:` in a text, wherever that is. Some forwarders cut the mark off.
pub(crate) fn read(text: &str) -> Option<Members<'_>> {
    let event = match text.find("LEEF:") {
        Some(mark) => text.get(mark + 5..)?,
        None => Some(text).filter(|text| text.starts_with("1.0|") || text.starts_with("2.0|"))?,
    };
    let mut members = Members::default();
    let mut rest = event;
    for name in HEADER {
        let (part, after) = rest.split_once('|')?;
        members.insert(name, part.trim());
        rest = after;
    }
    let is_second = event.starts_with('2');
    let (delimiter, attributes) = match rest.split_once('|') {
        Some((delimiter, attributes)) if is_second && delimiter.len() <= 6 && !delimiter.contains('=') => {
            (character(delimiter), attributes)
        }
        _ => ('\t', rest.strip_prefix('|').unwrap_or(rest)),
    };
    // Relays replace tabs by spaces, or write them as escapes.
    let delimiter = match delimiter {
        '\t' if !attributes.contains('\t') && attributes.contains("#011") => {
            return Some(escaped(members, attributes));
        }
        other => other,
    };
    insert_all(attributes.split(delimiter), &mut members);
    Some(members)
}

fn escaped<'a>(mut members: Members<'a>, attributes: &'a str) -> Members<'a> {
    insert_all(attributes.split("#011"), &mut members);
    members
}

fn insert_all<'a>(attributes: impl Iterator<Item = &'a str>, members: &mut Members<'a>) {
    for (key, value) in attributes
        .filter_map(|attribute| attribute.split_once('='))
        .take(MOST_PAIRS)
    {
        members.insert_beside(key.trim().into(), value.trim().into());
    }
}

/// Returns the character that a delimiter stands for: itself, or its number such as `x09` or `0x5E`.
fn character(text: &str) -> char {
    let number = text.strip_prefix("0x").or_else(|| text.strip_prefix('x'));
    let numbered = number
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .and_then(char::from_u32);
    numbered.or_else(|| text.chars().next()).unwrap_or('\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read() {
        let first = "LEEF:1.0|QRadar|QRM|1.0|NEW|src=172.5.6.67\tusrName=joe black";
        let expected = r#"{"leefVersion":"1.0","vendor":"QRadar","product":"QRM","productVersion":"1.0","eventId":"NEW","src":"172.5.6.67","usrName":"joe black"}"#;
        assert_eq!(read(first).unwrap().to_text().unwrap(), expected);
        for delimiter in ["^", "x5E", "0x5e"] {
            let second = format!("<13>x LEEF:2.0|L|S|1.0|41|{delimiter}|src=192.0.2.50^sev=5");
            let members = read(&second).unwrap();
            assert_eq!(
                members.get("sev").and_then(|sev| sev.as_str()),
                Some("5"),
                "{delimiter}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in r"LEEF:[12]\|(a|\||x|=|\t|é){0,60}") {
            read(&text);
        }
    }
}
