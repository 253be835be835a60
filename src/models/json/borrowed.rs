//! JSON that borrows from the text it was read from, until a line has become a log.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use foldhash::fast::RandomState;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Number, Value};

/// Holds a JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Members<'a>),
}

/// Holds the members of a JSON object, in their order, each name once. Several values of one name are a list at the place
/// of the first: the last value, which counts, and then the others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members<'a> {
    list: Vec<Member<'a>>,
    /// Holds a bit for each name that is present; names may share one. Most names that are looked for are not present.
    marks: u64,
    /// Holds the place of each name, once the names are too many to look through.
    places: Option<Box<Places<'a>>>,
}

type Member<'a> = (Cow<'a, str>, Json<'a>);
type Places<'a> = HashMap<Cow<'a, str>, usize, RandomState>;

impl<'a> Members<'a> {
    /// Limits the names that are looked through one by one. Up to this number, that takes no longer than a look-up.
    const FEW: usize = 24;

    /// Counts the members to make room for with the first one. Most objects have no more.
    const USUAL: usize = 8;

    /// Makes members of which no two have the same name.
    fn of_distinct(list: Vec<Member<'a>>) -> Self {
        let places = (list.len() > Self::FEW).then(|| {
            let names = list.iter().enumerate();
            Box::new(names.map(|(place, (name, _))| (name.clone(), place)).collect())
        });
        let marks = list.iter().fold(0, |marks, (name, _)| marks | mark(name));
        Self { list, marks, places }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.list.iter().map(|(name, value)| (&**name, value))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.value_at(self.place_of(name)?)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Json<'a>> {
        let place = self.place_of(name)?;
        self.list.get_mut(place).map(|(_, value)| value)
    }

    #[inline]
    pub(crate) fn place_of(&self, name: &str) -> Option<usize> {
        match self.marks & mark(name) {
            0 => None,
            _ => self.find(name),
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(name).copied(),
            None => self.list.iter().position(|(held, _)| held == name),
        }
    }

    pub(crate) fn value_at(&self, place: usize) -> Option<&Json<'a>> {
        self.list.get(place).map(|(_, value)| value)
    }

    /// Takes out a value, and leaves `null` in its place.
    pub(crate) fn take_value_at(&mut self, place: usize) -> Option<Json<'a>> {
        self.list
            .get_mut(place)
            .map(|(_, value)| std::mem::replace(value, Json::Null))
    }

    /// Sets a member, in its place if it is there.
    pub(crate) fn insert(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Json<'a>>) {
        let (name, value) = (name.into(), value.into());
        match self.place_of(&name) {
            Some(place) => self.list[place].1 = value,
            None => self.push(name, value),
        }
    }

    /// Adds a member unless it is there.
    pub(crate) fn insert_if_missing(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Json<'a>>) {
        let name = name.into();
        if self.place_of(&name).is_none() {
            self.push(name, value.into());
        }
    }

    /// Adds a member whose name is not there.
    fn push(&mut self, name: Cow<'a, str>, value: Json<'a>) {
        if let Some(places) = &mut self.places {
            places.insert(name.clone(), self.list.len());
        }
        self.marks |= mark(&name);
        if self.list.capacity() == 0 {
            self.list.reserve_exact(Self::USUAL);
        }
        self.list.push((name, value));
        if self.places.is_none() && self.list.len() > Self::FEW {
            *self = Self::of_distinct(std::mem::take(&mut self.list));
        }
    }

    /// Makes lists of the values of names that are there several times. Each value comes with its place.
    fn add_earlier(&mut self, mut earlier: Vec<(usize, Json<'a>)>) {
        earlier.sort_by_key(|(place, _)| *place);
        let mut earlier = earlier.into_iter().peekable();
        while let Some((place, value)) = earlier.next() {
            let Some((_, last)) = self.list.get_mut(place) else {
                return;
            };
            let mut values = vec![std::mem::replace(last, Json::Null), value];
            while let Some((_, value)) = earlier.next_if(|(other, _)| *other == place) {
                values.push(value);
            }
            values.dedup();
            *last = Json::Array(values);
        }
    }

    /// Returns the members with texts of their own.
    pub(crate) fn into_owned(self) -> Members<'static> {
        let list = self.list.into_iter();
        let owned = list.map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned()));
        Members::of_distinct(owned.collect())
    }

    /// Removes the members at some places.
    pub(crate) fn remove(&mut self, is_removed: impl Fn(usize) -> bool) {
        let mut list = std::mem::take(&mut self.list);
        let mut place = 0..;
        list.retain(|_| !place.next().is_some_and(&is_removed));
        *self = Self::of_distinct(list);
    }

    /// Adds a member, or where its name is taken by another value, under `name_2`, `name_3`, ...
    pub(crate) fn insert_beside(&mut self, name: Cow<'a, str>, value: Json<'a>) {
        let mut free = name;
        let mut number = 1;
        let length = free.len();
        while let Some(held) = self.get(&free) {
            if *held == value {
                return;
            }
            number += 1;
            free = format!("{}_{number}", &free[..length]).into();
        }
        self.push(free, value);
    }
}

/// One of 64 bits, by the length and the ends of a name.
#[inline]
fn mark(name: &str) -> u64 {
    let [first, .., last] = *name.as_bytes() else {
        return 1;
    };
    let mixed = usize::from(first) * 7 + usize::from(last) * 31 + name.len() * 13;
    1 << (mixed % 64)
}

impl PartialEq for Members<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl<'a> IntoIterator for Members<'a> {
    type Item = Member<'a>;
    type IntoIter = std::vec::IntoIter<Member<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> FromIterator<(&'a str, Json<'a>)> for Members<'a> {
    fn from_iter<T: IntoIterator<Item = (&'a str, Json<'a>)>>(members: T) -> Self {
        let mut all = Self::default();
        for (name, value) in members {
            all.insert(name, value);
        }
        all
    }
}

impl<'a> From<&'a Map<String, Value>> for Members<'a> {
    fn from(map: &'a Map<String, Value>) -> Self {
        let members = map
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.into()));
        Self::of_distinct(members.collect())
    }
}

impl<'a> Json<'a> {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// Returns the value at a path, name by name; `0` is an array's first element.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Json<'a>> {
        path.iter().try_fold(self, |value, name| match value {
            Self::Object(members) => members.get(name),
            Self::Array(elements) => elements.get(name.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Returns the value with texts of its own.
    pub(crate) fn into_owned(self) -> Json<'static> {
        match self {
            Self::Null => Json::Null,
            Self::Bool(flag) => Json::Bool(flag),
            Self::Number(number) => Json::Number(number),
            Self::String(text) => Json::String(text.into_owned().into()),
            Self::Array(elements) => Json::Array(elements.into_iter().map(Json::into_owned).collect()),
            Self::Object(members) => Json::Object(members.into_owned()),
        }
    }

    /// Returns whether objects and lists are nested more than `levels` deep, this value included.
    pub(crate) fn is_deeper(&self, levels: usize) -> bool {
        match self {
            Self::Array(_) | Self::Object(_) if levels == 0 => true,
            Self::Array(elements) => elements.iter().any(|value| value.is_deeper(levels - 1)),
            Self::Object(members) => members.iter().any(|(_, value)| value.is_deeper(levels - 1)),
            _ => false,
        }
    }
}

impl<'a> From<&'a Value> for Json<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::String(text.as_str().into()),
            Value::Array(elements) => Self::Array(elements.iter().map(Self::from).collect()),
            Value::Object(map) => Self::Object(map.into()),
        }
    }
}

impl<'a> From<&'a str> for Json<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Json<'_> {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl<'a> From<Cow<'a, str>> for Json<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::String(text)
    }
}

impl<'a> From<Members<'a>> for Json<'a> {
    fn from(members: Members<'a>) -> Self {
        Self::Object(members)
    }
}

impl From<u64> for Json<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Json<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Object(members) => members.serialize(serializer),
        }
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Most logs have no more members.
        const USUAL: usize = 16;
        deserializer.deserialize_map(MembersVisitor { capacity: USUAL })
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json<'de>, E> {
        Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(text.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Json<'de>, A::Error> {
        /// Most objects inside a log have no more members.
        const USUAL: usize = 8;
        MembersVisitor { capacity: USUAL }
            .visit_map(members)
            .map(Json::Object)
    }
}

struct MembersVisitor {
    /// Counts the members to make room for.
    capacity: usize,
}

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        let mut earlier = Vec::new();
        while let Some(name) = access.next_key_seed(MemberName)? {
            if members.list.capacity() == 0 {
                members.list.reserve_exact(self.capacity);
            }
            let value = access.next_value::<Json<'de>>()?;
            match members.place_of(&name) {
                None => members.push(name, value),
                Some(place) => {
                    let held = std::mem::replace(&mut members.list[place].1, value);
                    if held != members.list[place].1 {
                        earlier.push((place, held));
                    }
                }
            }
        }
        if !earlier.is_empty() {
            members.add_earlier(earlier);
        }
        Ok(members)
    }
}

/// Reads the name of a member, borrowed where it can be.
pub(crate) struct MemberName;

impl<'de> DeserializeSeed<'de> for MemberName {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for MemberName {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(text.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(text.to_owned().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_values_is_the_first_of_a_list() {
        for (text, expected) in [
            (r#"{"a": 1, "b": 2, "a": 3}"#, r#"{"a":[3,1],"b":2}"#),
            (r#"{"a": 1, "a": 1}"#, r#"{"a":1}"#),
            (r#"{"a": [1], "a": 2, "a": 3}"#, r#"{"a":[3,[1],2]}"#),
        ] {
            let members: Members = serde_json::from_str(text).unwrap();
            assert_eq!(members.to_text().as_deref(), Some(expected));
        }
        let many: String = (0..100)
            .map(|number| format!("\"k{}\":{number},", number % 50))
            .collect();
        let text = format!("{{{}}}", many.trim_end_matches(','));
        let members: Members = serde_json::from_str(&text).unwrap();
        let map: Map<String, Value> = serde_json::from_str(&members.to_text().unwrap()).unwrap();
        assert_eq!((map.len(), &map["k0"]), (50, &serde_json::json!([50, 0])));
    }

    #[test]
    fn each_of_very_many_members_is_found_at_once() {
        let mut members = Members::default();
        for number in 0..300_000_u64 {
            members.insert_beside(number.to_string().into(), number.into());
        }
        assert_eq!(members.get("299999").and_then(Json::as_u64), Some(299_999));
    }

    #[test]
    fn texts_without_escapes_are_borrowed() {
        let members: Members = serde_json::from_str(r#"{"a":"b","c":"d\n"}"#).unwrap();
        let is_borrowed = |name| matches!(members.get(name), Some(Json::String(Cow::Borrowed(_))));
        assert_eq!([is_borrowed("a"), is_borrowed("c")], [true, false]);
    }

    #[test]
    fn values_stand_beside_others_of_their_name() {
        let mut members = Members::default();
        for value in ["x", "y", "y", "z"] {
            members.insert_beside("a".into(), value.into());
        }
        assert_eq!(
            members.to_text().as_deref(),
            Some(r#"{"a":"x","a_2":"y","a_3":"z"}"#)
        );
    }
}
