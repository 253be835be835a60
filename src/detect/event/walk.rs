//! Takes an object apart into values with Sigma's names.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::visit::{Scope, Visit};
use super::{Leaf, Scalar};
use crate::detect::routes::{ROUTE_NAMES, RoutePart};
use crate::models::MemberName;

/// Limits how deeply nested values are named. What is deeper has the name of its last container.
const DEEPEST: usize = 64;

/// Counts the values to make room for: most events have no more.
const USUAL: usize = 32;

/// Takes apart the object that a text holds.
pub(super) fn text<'de>(text: &'de str, leaves: &mut Vec<Leaf<'de>>) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    object(&mut deserializer, leaves)?;
    deserializer.end()
}

/// Takes apart an object.
pub(super) fn object<'de, D: Deserializer<'de>>(
    object: D,
    leaves: &mut Vec<Leaf<'de>>,
) -> Result<(), D::Error> {
    Members(&mut Walk::new(leaves), Scope::Flat).deserialize(object)
}

pub(super) struct Walk<'w, 'a> {
    leaves: &'w mut Vec<Leaf<'a>>,
    /// Holds the names of the containers that count.
    path: String,
    depth: usize,
}

impl<'w, 'a> Walk<'w, 'a> {
    pub(super) fn new(leaves: &'w mut Vec<Leaf<'a>>) -> Self {
        leaves.reserve(USUAL);
        Self {
            leaves,
            path: String::new(),
            depth: 0,
        }
    }

    /// Enters a member that is an object, and returns how its own members are named.
    fn enter(&mut self, scope: Scope, name: &str) -> Scope {
        match (scope, name) {
            (Scope::Flat, "Event" | "EventData" | "event_data" | "winlog" | "Events") | (Scope::Outer, _) => {
                Scope::Flat
            }
            (Scope::Flat, "UserData" | "user_data") => Scope::Outer,
            (Scope::Flat, "System") | (Scope::Joined, "#attributes" | "@attributes" | "$") => Scope::Joined,
            (Scope::Joined, _) => {
                self.add(name, '_');
                Scope::Joined
            }
            (Scope::Flat | Scope::Dotted, _) => {
                self.add(name, '.');
                Scope::Dotted
            }
        }
    }

    fn add(&mut self, name: &str, separator: char) {
        if self.depth >= DEEPEST {
            return;
        }
        if !self.path.is_empty() {
            self.path.push(separator);
        }
        self.path.push_str(name);
    }

    fn name<'n>(&self, scope: Scope, name: Cow<'n, str>) -> Cow<'n, str> {
        let own = match scope {
            Scope::Joined => name.trim_start_matches('@'),
            _ => &name,
        };
        match (self.path.as_str(), scope) {
            ("", _) if own.len() == name.len() => name,
            ("", _) => own.to_owned().into(),
            (path, _) if own == "#text" => path.to_owned().into(),
            (path, Scope::Joined) => joined(path, own),
            (path, _) => format!("{path}.{own}").into(),
        }
    }

    fn push(&mut self, name: Cow<'a, str>, value: Scalar<'a>) {
        // Only the event itself gives names that begin with `@`: a source may not pass for it.
        let may_be_own = name
            .as_bytes()
            .first()
            .is_some_and(|first| *first == b'@' || !first.is_ascii_graphic());
        let name = match may_be_own && name.trim_start().starts_with('@') {
            true => format!("_{name}").into(),
            false => name,
        };
        let value = match value {
            Scalar::Float(number) if is_event_id(&name) => whole(number).unwrap_or(Scalar::Float(number)),
            value => value,
        };
        self.leaves.push(Leaf { name, value });
    }
}

impl<'a> Visit<'a> for Walk<'_, 'a> {
    fn len(&self) -> usize {
        self.leaves.len()
    }

    fn inside<T>(&mut self, scope: Scope, name: &str, read: impl FnOnce(&mut Self, Scope) -> T) -> T {
        let (outer, start) = (self.path.len(), self.leaves.len());
        let inner = self.enter(scope, name);
        self.depth += 1;
        let read = read(self, inner);
        self.depth -= 1;
        self.path.truncate(outer);
        if start > 0 && (scope, inner) == (Scope::Flat, Scope::Joined) {
            // The data of an event may have a Channel too. That of the system decides, wherever it stands.
            self.leaves.rotate_left(start);
        }
        read
    }

    fn push_member(&mut self, scope: Scope, name: Cow<'a, str>, value: Scalar<'a>) {
        let name = self.name(scope, name);
        self.push(name, value);
    }

    /// Mends the values of a list: unnamed data of Windows is one text, named data has its names.
    fn end_list(&mut self, start: usize, name: &str, scope: Scope) {
        if scope != Scope::Flat || name != "Data" {
            return;
        }
        let data = self.leaves.split_off(start);
        let mut unnamed: Option<String> = None;
        let mut key = None;
        for leaf in data {
            match (&*leaf.name, leaf.value) {
                ("Data", value) => {
                    let text = value.to_text().unwrap_or_default();
                    match &mut unnamed {
                        Some(joined) => {
                            joined.push(' ');
                            joined.push_str(&text);
                        }
                        None => unnamed = Some(text.into_owned()),
                    }
                    if let Some(key) = key.take() {
                        let text = unnamed.take().unwrap_or_default();
                        self.push(Cow::Owned(key), Scalar::Text(text.into()));
                    }
                }
                (
                    "Data.@Name" | "Data.Name" | "Data.#attributes.Name",
                    value @ (Scalar::Text(_) | Scalar::Escaped(_)),
                ) => {
                    key = value.to_text().map(Cow::into_owned);
                }
                _ => {}
            }
        }
        if let Some(joined) = unnamed {
            self.push("Data".into(), Scalar::Text(joined.into()));
        }
    }
}

/// Returns whether a name is that of an event's id, in any form of events of Windows.
fn is_event_id(name: &str) -> bool {
    let key = super::field_key(name);
    ROUTE_NAMES
        .iter()
        .any(|(known, part, _)| matches!(part, RoutePart::EventId) && *known == key)
}

/// Returns the whole number that a number of JSON is: programs without whole numbers write 1 as `1.0`.
fn whole(number: f64) -> Option<Scalar<'static>> {
    #[expect(clippy::cast_possible_truncation, reason = "larger numbers are no ids")]
    let whole = number as i64;
    let is_whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    is_whole.then_some(Scalar::Int(whole))
}

/// Joins two names as members of `System` are joined. Those that each event of Windows has are not copied.
fn joined(path: &str, own: &str) -> Cow<'static, str> {
    const USUAL: [(&str, &str, &str); 8] = [
        ("Provider", "Name", "Provider_Name"),
        ("Provider", "Guid", "Provider_Guid"),
        ("TimeCreated", "SystemTime", "TimeCreated_SystemTime"),
        ("Execution", "ProcessID", "Execution_ProcessID"),
        ("Execution", "ThreadID", "Execution_ThreadID"),
        ("Security", "UserID", "Security_UserID"),
        ("Correlation", "ActivityID", "Correlation_ActivityID"),
        ("EventID", "Qualifiers", "EventID_Qualifiers"),
    ];
    let usual = USUAL
        .iter()
        .find(|(container, name, _)| *container == path && *name == own);
    match usual {
        Some((.., joined)) => Cow::Borrowed(joined),
        None => format!("{path}_{own}").into(),
    }
}

/// Reads the members of an object.
struct Members<'m, 'w, 'a>(&'m mut Walk<'w, 'a>, Scope);

impl<'de> DeserializeSeed<'de> for Members<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self(walk, scope) = self;
        while let Some(name) = members.next_key_seed(MemberName)? {
            members.next_value_seed(Member { walk, scope, name })?;
        }
        Ok(())
    }
}

/// Reads the value of a member.
struct Member<'m, 'w, 'a> {
    walk: &'m mut Walk<'w, 'a>,
    scope: Scope,
    name: Cow<'a, str>,
}

impl<'a> Member<'_, '_, 'a> {
    fn push(self, value: Scalar<'a>) {
        self.walk.push_member(self.scope, self.name, value);
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.push(Scalar::Null);
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.push(Scalar::Bool(flag));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.push(Scalar::Int(number));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.push(i64::try_from(number).map_or(Scalar::Unsigned(number), Scalar::Int));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.push(Scalar::Float(number));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.push(Scalar::Text(text.into()));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.push(Scalar::Text(text.to_owned().into()));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { walk, scope, name } = self;
        let start = walk.leaves.len();
        loop {
            let name = name.clone();
            let element = Member { walk, scope, name };
            if elements.next_element_seed(element)?.is_none() {
                break;
            }
        }
        walk.end_list(start, &name, scope);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        let Self { walk, scope, name } = self;
        walk.inside(scope, &name, |walk, inner| {
            Members(walk, inner).visit_map(members)
        })?;
        Ok(())
    }
}
