//! The structures that formats share: each takes a text apart into members.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::{auditd, cef, delimited, key_value, leef};
use crate::ingest::formats::json;
use crate::models::{Json, Members};

/// Names the way in which a text is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Structure {
    /// Reads an object.
    Json,
    /// Reads `key=value` pairs.
    KeyValue,
    /// Reads the Common Event Format.
    Cef,
    /// Reads the Log Event Extended Format.
    Leef,
    /// Reads columns between delimiters.
    Delimited,
    /// Reads records of the Linux audit system.
    Auditd,
    /// Reads what the patterns of the definition say.
    Pattern,
    /// Reads messages of logins, which this crate takes apart by hand: OpenSSH, PAM, sudo, su.
    Login,
    /// Reads access logs in the common and the combined form, which this crate takes apart by hand.
    AccessLog,
    /// Reads error logs of Apache and nginx, which this crate takes apart by hand.
    ErrorLog,
}

impl Structure {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::KeyValue => "key_value",
            Self::Cef => "cef",
            Self::Leef => "leef",
            Self::Delimited => "delimited",
            Self::Auditd => "auditd",
            Self::Pattern => "pattern",
            Self::Login => "login",
            Self::AccessLog => "access_log",
            Self::ErrorLog => "error_log",
        }
    }

    /// Takes a text apart. Returns `None` where it does not have the structure, or has it by its patterns only.
    ///
    /// A reading that must be sure takes no pairs of which two have one key: a client may have written one of them.
    pub(crate) fn read<'a>(self, text: &'a str, layout: &'a Layout, is_sure: bool) -> Option<Members<'a>> {
        match self {
            Self::KeyValue => key_values(text, layout, is_sure),
            Self::Cef => cef::read(text),
            Self::Leef => leef::read(text),
            Self::Delimited => Some(delimited::read(text, layout)),
            Self::Auditd => auditd::read(text),
            Self::Json => json::object_after_header(text).map(|object| object.members),
            Self::Pattern | Self::Login | Self::AccessLog | Self::ErrorLog => None,
        }
    }
}

/// Reads the pairs of a text that may hold none.
pub(crate) fn pairs<'a>(text: &'a str, layout: &Layout) -> Members<'a> {
    key_value::read(text, layout).members
}

/// Reads a text that is mostly pairs. A sentence with one pair in it is a sentence.
fn key_values<'a>(text: &'a str, layout: &Layout, is_sure: bool) -> Option<Members<'a>> {
    let pairs = key_value::read(text, layout);
    // What sudo writes counts as sudo's only: another program with such a text has it from a client.
    let is_of_sudo = text.contains(" ; USER=") && text.contains("COMMAND=");
    if is_sure && (!pairs.repeated.is_empty() || is_of_sudo) {
        return None;
    }
    let is_mostly_pairs = pairs.members.iter().count() >= 3 && pairs.loose * 2 <= text.len();
    is_mostly_pairs.then_some(pairs.members)
}

/// Returns the text of a value, or of the first element of a list.
pub(crate) fn text_of_value<'a>(value: &Json<'a>) -> Option<Cow<'a, str>> {
    Some(match value {
        Json::String(text) => match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        },
        Json::Number(number) => Cow::Owned(number.to_string()),
        Json::Bool(value) => Cow::Owned(value.to_string()),
        Json::Array(values) => match values.first()? {
            Json::String(text) => text.clone(),
            _ => return None,
        },
        Json::Null | Json::Object(_) => return None,
    })
}

/// Returns a member; a dot in the name means a nested object, or is a part of the name. In a list, a part is the number
/// of an element, or the name of a pair such as `{"Name": "Address", "Value": "ws4"}`.
pub(crate) fn value_of<'m, 'a>(members: &'m Members<'a>, name: &str) -> Option<&'m Json<'a>> {
    if let Some(value) = members.get(name) {
        return Some(value);
    }
    name.match_indices('.').find_map(|(dot, _)| {
        let (first, rest) = (name.get(..dot)?, name.get(dot + 1..)?);
        match members.get(first)? {
            Json::Object(inner) => value_of(inner, rest),
            Json::Array(elements) => {
                let (place, rest) = rest.split_once('.').unwrap_or((rest, ""));
                let element = match place.parse::<usize>() {
                    Ok(place) => elements.get(place)?,
                    Err(_) => elements
                        .iter()
                        .find_map(|element| value_of_pair(element, place))?,
                };
                match (element, rest) {
                    (value, "") => Some(value),
                    (Json::Object(inner), rest) => value_of(inner, rest),
                    _ => None,
                }
            }
            _ => None,
        }
    })
}

/// Returns the value of a pair of a list, if the pair has this name.
fn value_of_pair<'m, 'a>(pair: &'m Json<'a>, name: &str) -> Option<&'m Json<'a>> {
    const SPELLINGS: [(&str, &str); 3] = [("Name", "Value"), ("name", "value"), ("key", "value")];
    let Json::Object(pair) = pair else { return None };
    SPELLINGS
        .iter()
        .find(|(key, _)| pair.get(key).and_then(Json::as_str) == Some(name))
        .and_then(|(_, value)| pair.get(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_a_list_is_found_by_its_name() {
        let text = r#"{"a": {"b": [{"Name": "X", "Value": "1"}, {"name": "y", "value": {"z": "2"}}, {"key": "K"}]}}"#;
        let members: Members = serde_json::from_str(text).unwrap();
        let found = |name| value_of(&members, name).and_then(text_of_value);
        assert_eq!(found("a.b.X").as_deref(), Some("1"));
        assert_eq!(found("a.b.y.z").as_deref(), Some("2"));
        assert_eq!(found("a.b.0.Value").as_deref(), Some("1"));
        for name in ["a.b.x", "a.b.K", "a.b.y", "a.b.9"] {
            assert_eq!(found(name), None, "{name}");
        }
    }
}
