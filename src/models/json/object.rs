//! A JSON object that is parsed when it is first used.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use memchr::memmem;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::borrowed::Members;
use super::depth::{check_depth, check_nesting};
use crate::models::InvalidValue;

/// Holds the members of a JSON object, as a [`Map`].
///
/// Most logs are stored and passed on, and no reader looks at most of their fields. So the object may be held as text,
/// which is parsed when it is first used as a map.
///
/// ```
/// use logstore::JsonObject;
/// use serde_json::json;
///
/// let mut object = JsonObject::from_text(r#"{"user": "root"}"#)?;
/// assert_eq!(object["user"], "root");
/// object.insert("port".to_owned(), json!(22));
/// assert_eq!(object.to_text().as_deref(), Some(r#"{"user":"root","port":22}"#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct JsonObject {
    /// Holds JSON on one line, no deeper than what can be stored. It is `None` if the object has no members, or may
    /// have been changed.
    text: Option<Box<str>>,
    map: OnceLock<Box<Map<String, Value>>>,
}

impl JsonObject {
    /// Makes an object without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the object that a text holds.
    ///
    /// # Errors
    ///
    /// If the text is not one JSON object.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        let members: Members<'_> = serde_json::from_str(text)?;
        let can_be_stored = check_depth("object", &members).is_ok();
        // Stored text is on one line.
        match can_be_stored && !members.is_empty() && !text.contains(['\n', '\r']) {
            true => Ok(Self::of_stored(text.to_owned())),
            false => serde_json::from_str::<Map<String, Value>>(text).map(Self::from),
        }
    }

    /// Makes the object of members that can be stored.
    pub(crate) fn from_members(members: &Members<'_>) -> Self {
        members.to_text().map_or_else(Self::new, Self::of_stored)
    }

    /// Makes the object of a text from a store; an empty text gives one without members. A text that was not written by
    /// this crate may be no object. Such a text is read as an object with the text as its `value`.
    pub(crate) fn of_stored(text: String) -> Self {
        Self {
            text: Some(text.into_boxed_str()).filter(|text| !text.is_empty()),
            map: OnceLock::new(),
        }
    }

    /// Returns the object's text, if it is held as one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Returns the object as JSON text; `None` if it has no members.
    pub fn to_text(&self) -> Option<Cow<'_, str>> {
        match &self.text {
            Some(text) => Some(Cow::Borrowed(text)),
            None => Members::from(self.map()).to_text().map(Cow::Owned),
        }
    }

    /// Returns whether its text is the one that this crate writes for its members.
    pub(crate) fn is_as_written(&self) -> bool {
        let written = self.members().to_text();
        self.to_text().as_deref() == written.as_deref()
    }

    /// Returns whether there is a member of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        let may = self.text.as_ref().is_none_or(|text| {
            memmem::find(text.as_bytes(), name.as_bytes()).is_some() || text.contains('\\')
        });
        may && self.map().contains_key(name)
    }

    /// Returns the members, borrowed from the text or the map.
    pub(crate) fn members(&self) -> Members<'_> {
        match (&self.text, self.map.get()) {
            (Some(text), None) => serde_json::from_str(text).unwrap_or_else(|_| Members::from(self.map())),
            _ => Members::from(self.map()),
        }
    }

    /// Checks that it can be stored.
    pub(crate) fn check(&self, subject: &'static str) -> Result<(), InvalidValue> {
        match self.text {
            Some(_) => Ok(()),
            None => check_nesting(subject, self.map().values()),
        }
    }

    /// Returns the length of its names and texts together, which can make it large.
    pub(crate) fn length(&self) -> usize {
        fn of_value(value: &Value) -> usize {
            match value {
                Value::String(text) => text.len(),
                Value::Array(values) => values.iter().map(of_value).sum(),
                Value::Object(map) => of_map(map),
                Value::Null | Value::Bool(_) | Value::Number(_) => 1,
            }
        }
        fn of_map(map: &Map<String, Value>) -> usize {
            map.iter().map(|(name, value)| name.len() + of_value(value)).sum()
        }
        match &self.text {
            Some(text) => text.len(),
            None => of_map(self.map()),
        }
    }

    fn map(&self) -> &Map<String, Value> {
        self.map.get_or_init(|| {
            let text = self.text.as_deref().unwrap_or("{}");
            let value_alone = || Map::from_iter([("value".to_owned(), Value::from(text))]);
            Box::new(serde_json::from_str(text).unwrap_or_else(|_| value_alone()))
        })
    }
}

impl Deref for JsonObject {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        self.map()
    }
}

impl DerefMut for JsonObject {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.map();
        self.text = None;
        self.map.get_mut().expect("the map was made above")
    }
}

impl From<Map<String, Value>> for JsonObject {
    fn from(map: Map<String, Value>) -> Self {
        Self {
            text: None,
            map: OnceLock::from(Box::new(map)),
        }
    }
}

impl From<JsonObject> for Map<String, Value> {
    fn from(object: JsonObject) -> Self {
        object.map();
        *object.map.into_inner().expect("the map was made above")
    }
}

impl From<JsonObject> for Value {
    fn from(object: JsonObject) -> Self {
        Self::Object(object.into())
    }
}

impl<'a> IntoIterator for &'a JsonObject {
    type Item = (&'a String, &'a Value);
    type IntoIter = serde_json::map::Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.map().iter()
    }
}

impl PartialEq for JsonObject {
    fn eq(&self, other: &Self) -> bool {
        matches!((&self.text, &other.text), (Some(a), Some(b)) if a == b) || self.map() == other.map()
    }
}

impl PartialEq<Map<String, Value>> for JsonObject {
    fn eq(&self, other: &Map<String, Value>) -> bool {
        self.map() == other
    }
}

impl PartialEq<JsonObject> for Map<String, Value> {
    fn eq(&self, other: &JsonObject) -> bool {
        self == other.map()
    }
}

impl std::fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.map().fmt(f)
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_the_same_as_text_and_as_map() {
        let text = JsonObject::from_text(r#"{ "a": [1, {"b": null}], "c": "\u00e9" }"#).unwrap();
        let map = JsonObject::from(Map::clone(&text));
        assert_eq!(text, map);
        assert_eq!(text.members(), map.members());
        assert_eq!(
            serde_json::to_string(&text).unwrap(),
            serde_json::to_string(&map).unwrap()
        );
        assert!(text.contains_key("c") && !text.contains_key("d"));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "1", "null", "{", "{\"a\"}", "{} x"] {
            assert!(JsonObject::from_text(text).is_err(), "{text}");
        }
        assert_eq!(JsonObject::from_text("{}").unwrap(), JsonObject::new());
    }

    #[test]
    fn what_is_no_object_in_a_store_is_not_lost() {
        for text in ["[1]", "1e999", "{\"a\": \"\\ud800\"}", "x"] {
            let object = JsonObject::of_stored(text.to_owned());
            assert_eq!(object["value"], text);
            assert_eq!(
                serde_json::to_value(&object).unwrap(),
                serde_json::json!({"value": text})
            );
        }
    }

    #[test]
    fn what_is_nested_too_deeply_is_not_taken_for_stored_text() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(101), "]".repeat(101));
        let object = JsonObject::from_text(&deep).unwrap();
        assert!(object.check("field").is_err());
    }
}
