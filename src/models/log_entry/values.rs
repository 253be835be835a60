//! The values of a log's fields: each is checked for its kind, so that no other value fills the field.

use std::borrow::Cow;

use ipnet::IpNet;

use super::names::Role;
use crate::models::level::Level;
use crate::models::{Json, address};

/// Holds the value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    Port(u16),
}

impl<'a> Value<'a> {
    /// Says whether the value is the id of an account and not its name: a number, a SID or a GUID.
    pub(super) fn is_id(&self) -> bool {
        match self {
            Self::Text(text) => {
                text.bytes().all(|byte| byte.is_ascii_digit())
                    || text.starts_with("S-1-")
                    || is_guid(text)
                    || is_object_id(text)
            }
            Self::Port(_) => true,
        }
    }

    /// Returns the value as JSON.
    pub(super) fn into_json(self) -> Json<'a> {
        match self {
            Self::Text(text) => text.into(),
            Self::Port(port) => port.into(),
        }
    }
}

/// Says whether a text is written as the id of an object of `MongoDB`, such as `637f18000269b20f2233bf4a`.
fn is_object_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Says whether a text is written as a GUID, such as `5f0e8c0a-2b7e-4c39-9d1e-0a4f5b6c7d8e`.
fn is_guid(text: &str) -> bool {
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| match DASHES.contains(&at) {
                true => byte == b'-',
                false => byte.is_ascii_hexdigit(),
            })
}

/// Reads the value of a member for a role; `None` if it is not of the role's kind.
pub(super) fn value_for<'a>(role: Role, value: &Json<'a>) -> Option<Value<'a>> {
    match role {
        Role::SourcePort | Role::DestPort => port_of(value).map(Value::Port),
        Role::SourceIp | Role::DestIp => address::canonical_of(text_of(value)?).map(Value::Text),
        Role::Forwarded => list_of(value).map(Value::Text),
        Role::User | Role::Process | Role::Action => text_of(value).map(Value::Text),
        Role::Outcome => outcome_of(value).map(Value::Text),
        Role::Level => level_of(&text_of(value)?).map(Value::Text),
    }
}

/// Reads a value that the reader of a log set for a role. A reader knows the scale of its product, so a digit is a
/// severity of syslog.
pub(super) fn set_by_reader<'a>(role: Role, value: &Json<'a>) -> Option<Value<'a>> {
    match (role, value) {
        (Role::Level, Json::String(text)) => {
            Level::parse(text.trim()).map(|level| Value::Text(level.word().into()))
        }
        (Role::Level, Json::Number(number)) => {
            Level::parse(&number.to_string()).map(|level| Value::Text(level.word().into()))
        }
        _ => value_for(role, value),
    }
}

/// Returns the word of syslog for a level that is written as a word.
fn level_of(text: &str) -> Option<Cow<'static, str>> {
    Level::from_word(text).map(|level| level.word().into())
}

/// Lists the words that say that what was attempted was done.
const SUCCESS: [&str; 12] = [
    "success",
    "succeeded",
    "successful",
    "succeed",
    "ok",
    "allowed",
    "allow",
    "accepted",
    "granted",
    "passed",
    "audit success",
    "audit_success",
];

/// Lists the words that say that what was attempted was not done.
const FAILURE: [&str; 15] = [
    "failure",
    "failed",
    "fail",
    "unsuccessful",
    "error",
    "denied",
    "deny",
    "blocked",
    "rejected",
    "refused",
    "forbidden",
    "unauthorized",
    "audit failure",
    "audit_failure",
    "bad credentials",
];

/// Returns `success` or `failure`. The state of a ticket or an alert, such as `new` or `resolved`, is neither.
fn outcome_of<'a>(value: &Json<'_>) -> Option<Cow<'a, str>> {
    let text = text_of(value)?;
    let is_in = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(&text));
    if is_in(&SUCCESS) {
        Some("success".into())
    } else if is_in(&FAILURE) {
        Some("failure".into())
    } else {
        None
    }
}

fn port_of(value: &Json<'_>) -> Option<u16> {
    match value {
        Json::Number(number) => number.as_u64()?.try_into().ok(),
        Json::String(text) => {
            let digits = text.trim();
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| is_number)
        }
        _ => None,
    }
}

/// Returns the client of a list, borrowed where it can be.
pub(super) fn client_of<'a>(list: Cow<'a, str>, proxies: &[IpNet]) -> Option<Cow<'a, str>> {
    match list {
        Cow::Borrowed(list) => address::client(list, proxies),
        Cow::Owned(list) => address::client(&list, proxies).map(|client| client.into_owned().into()),
    }
}

/// Lists texts that sources write where they have no value.
const NOTHING: [&str; 7] = ["-", "--", "N/A", "n/a", "null", "(null)", "<null>"];

/// Returns a text that says something.
pub(super) fn text_of<'a>(value: &Json<'a>) -> Option<Cow<'a, str>> {
    let text = match value {
        Json::String(text) => text,
        Json::Array(values) => match values.first()? {
            Json::String(text) => text,
            _ => return None,
        },
        _ => return None,
    };
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
        Cow::Owned(text) => Cow::Owned(trimmed(text).to_owned()),
    };
    (!text.is_empty() && !NOTHING.contains(&&*text)).then_some(text)
}

/// Returns a text without the spaces around it. Most texts have none, as their first and last bytes tell.
fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// Returns a list of proxies; some sources write each into an element of its own.
fn list_of<'a>(value: &Json<'a>) -> Option<Cow<'a, str>> {
    match value {
        Json::Array(elements) if elements.len() > 1 => {
            let texts: Vec<&str> = elements.iter().filter_map(Json::as_str).collect();
            (!texts.is_empty()).then(|| texts.join(",").into())
        }
        _ => text_of(value),
    }
}

/// Reads an attribute that is written as an object of its own, as OTLP in JSON does:
/// `{"key": ..., "value": {"stringValue": ...}}`.
pub(super) fn pair<'j, 'a>(pair: &'j Json<'a>) -> Option<(&'j str, &'j Json<'a>)> {
    Some((pair.at(&["key"])?.as_str()?, pair.at(&["value", "stringValue"])?))
}
