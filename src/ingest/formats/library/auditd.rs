//! Reads records of the Linux audit system, as `auditd` and `audispd` write them.

use std::borrow::Cow;

use super::key_value;
use super::layout::Layout;
use crate::models::{Json, Members};

/// Reads `type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e ... msg='op=login acct="root" res=failed'`.
pub(crate) fn read(text: &str) -> Option<Members<'_>> {
    let start = text.find("audit(")?;
    let (head, rest) = (text.get(..start)?, text.get(start + 6..)?);
    let (stamp, body) = rest.split_once(')')?;
    let (time, serial) = stamp.split_once(':')?;
    let mut members = key_value::read(head, &Layout::default()).members;
    let is_message = members.get("msg").is_some_and(|value| value.as_str() == Some(""));
    if is_message {
        let place = members.place_of("msg");
        members.remove(|at| Some(at) == place);
    }
    members.insert("time", time);
    members.insert("serial", serial);
    let body = body.strip_prefix(':').unwrap_or(body);
    for (name, value) in key_value::read(body, &Layout::default()).members {
        match (&*name, value) {
            ("msg", Json::String(inner)) if inner.contains('=') => insert_inner(&inner, &mut members),
            ("exe" | "cwd", Json::String(text)) => members.insert_beside(name, with_plain_path(text).into()),
            (_, value) => members.insert_beside(name, value),
        }
    }
    Some(members)
}

/// Returns a path in plain text. The kernel writes one with a space in hexadecimal, without quotes.
fn with_plain_path(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.starts_with('/') {
        return text;
    }
    path_of_hex(&text).map_or(text, Cow::Owned)
}

fn path_of_hex(text: &str) -> Option<String> {
    let digits = text.as_bytes().chunks_exact(2);
    if !digits.remainder().is_empty() {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.map(byte).collect();
    String::from_utf8(bytes?)
        .ok()
        .filter(|path| path.starts_with('/'))
}

/// Adds the pairs that a program of user space wrote. The kernel's own of the same name stay.
fn insert_inner(text: &str, members: &mut Members<'_>) {
    for (name, value) in key_value::read(text, &Layout::default()).members {
        let value = match value {
            Json::String(value) => Json::String(value.into_owned().into()),
            _ => continue,
        };
        members.insert_beside(name.into_owned().into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_pairs_are_members_as_well() {
        let line = "node=web01 type=USER_LOGIN msg=audit(1364481370.100:24290): pid=4321 uid=0 msg='op=login acct=\"root\" addr=203.0.113.5 res=failed'\u{1d}UID=\"root\"";
        assert_eq!(
            read(line).unwrap().to_text().unwrap(),
            r#"{"node":"web01","type":"USER_LOGIN","time":"1364481370.100","serial":"24290","pid":"4321","uid":"0","op":"login","acct":"root","addr":"203.0.113.5","res":"failed","UID":"root"}"#
        );
    }

    #[test]
    fn a_path_is_plain_text() {
        let exe = |text: &str| {
            let line = format!("type=SYSCALL msg=audit(1.2:3): exe={text} key=(null)");
            let members = read(&line).unwrap();
            members.get("exe").and_then(Json::as_str).map(str::to_owned)
        };
        for (text, expected) in [
            ("2F746D702F6120622F7368", "/tmp/a b/sh"),
            ("\"/bin/sh\"", "/bin/sh"),
            ("2F746D702F6120622F736", "2F746D702F6120622F736"),
            ("6162", "6162"),
            ("2FFF", "2FFF"),
            ("+F+F", "+F+F"),
        ] {
            assert_eq!(exe(text).as_deref(), Some(expected), "{text}");
        }
    }
}
