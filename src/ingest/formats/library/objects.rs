//! Finds the formats that may read an object, by its keys.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::definition::Definition;
use crate::models::{Json, Members};

/// Finds the formats that may read an object.
///
/// A format needs some members, and most objects lack one of them. The index tells so with one look-up for each key of
/// an object, however many formats there are.
#[derive(Debug, Default)]
pub(super) struct ObjectIndex {
    keys: Keys<Key>,
    formats: Vec<Format>,
    /// Holds for each of the formats a bit for each need.
    needs: Vec<u64>,
}

type Keys<T> = HashMap<String, T, FixedState>;

/// Holds a format of objects.
#[derive(Debug)]
struct Format {
    /// Holds the place in the library.
    place: usize,
    is_fallback: bool,
}

/// Names a member that a format of the index needs, by a bit. It may be one of several members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Need {
    format: usize,
    bit: u64,
}

/// Says of a key of an object which formats it tells, and what they need of it.
#[derive(Debug, Default)]
struct Key {
    /// Lists the formats of objects with this key, in their order.
    tells: Vec<usize>,
    /// Lists what the key meets with any value.
    any_value: Vec<Need>,
    /// Lists what the key meets with a list, as a name may count the elements of one.
    list: Vec<Need>,
    /// Holds what the key meets with an object that has another key.
    object: Keys<Vec<Need>>,
}

impl ObjectIndex {
    /// Enters the format at a place of the library under the keys of its objects.
    pub(super) fn enter(&mut self, place: usize, definition: &Definition) {
        let format = self.formats.len();
        for name in keys_of(definition) {
            push_once(&mut self.keys.entry(name).or_default().tells, format);
        }
        let mut needs = 0;
        for (names, number) in needs_of(definition).into_iter().zip(0..u64::BITS) {
            let need = Need {
                format,
                bit: 1 << number,
            };
            needs |= need.bit;
            for name in names {
                self.enter_need(&name, need);
            }
        }
        self.needs.push(needs);
        self.formats.push(Format {
            place,
            is_fallback: definition.is_fallback,
        });
    }

    /// Enters a need under the keys that an object has if it has a member of this name.
    ///
    /// A dot in the name means a nested object, or is a part of a key.
    fn enter_need(&mut self, name: &str, need: Need) {
        push_once(&mut self.keys.entry(name.to_owned()).or_default().any_value, need);
        for (first, rest) in splits(name) {
            let key = self.keys.entry(first.to_owned()).or_default();
            push_once(&mut key.list, need);
            let inner = splits(rest).map(|(inner, _)| inner).chain([rest]);
            for inner in inner {
                push_once(key.object.entry(inner.to_owned()).or_default(), need);
            }
        }
    }

    /// Lists the places of the formats that may read an object, best first.
    pub(super) fn formats_for(&self, members: &Members<'_>) -> Vec<usize> {
        let mut unmet = self.needs.clone();
        for (name, value) in members.iter() {
            if let Some(key) = self.keys.get(name) {
                key.meet(value, &mut unmet);
            }
        }
        let (mut listed, mut fallbacks) = (Vec::new(), Vec::new());
        if !unmet.contains(&0) {
            return listed;
        }
        let keys = members.iter().filter_map(|(name, _)| self.keys.get(name));
        for number in keys.flat_map(|key| &key.tells) {
            let (Some(format), Some(unmet)) = (self.formats.get(*number), unmet.get_mut(*number)) else {
                continue;
            };
            // A format is listed once.
            match (std::mem::replace(unmet, u64::MAX), format.is_fallback) {
                (0, false) => listed.push(format.place),
                (0, true) => fallbacks.push(format.place),
                _ => {}
            }
        }
        listed.append(&mut fallbacks);
        listed
    }
}

impl Key {
    fn meet(&self, value: &Json<'_>, unmet: &mut [u64]) {
        meet(&self.any_value, unmet);
        match value {
            Json::Array(_) => meet(&self.list, unmet),
            Json::Object(members) if !self.object.is_empty() => {
                for (name, _) in members.iter() {
                    if let Some(needs) = self.object.get(name) {
                        meet(needs, unmet);
                    }
                }
            }
            _ => {}
        }
    }
}

fn meet(needs: &[Need], unmet: &mut [u64]) {
    for need in needs {
        if let Some(unmet) = unmet.get_mut(need.format) {
            *unmet &= !need.bit;
        }
    }
}

fn push_once<T: PartialEq>(list: &mut Vec<T>, value: T) {
    if list.last() != Some(&value) {
        list.push(value);
    }
}

/// Splits a name at each of its dots.
fn splits(name: &str) -> impl Iterator<Item = (&str, &str)> {
    name.match_indices('.')
        .map(|(dot, _)| (&name[..dot], &name[dot + 1..]))
}

/// Returns the names of members of which an object of a format has one, for each that it needs.
fn needs_of(definition: &Definition) -> Vec<Vec<String>> {
    let known = &definition.recognise;
    let needed = known.keys.iter().chain(known.values.keys());
    let mut needs: Vec<_> = needed.map(|name| names_of(definition, name)).collect();
    if !known.any_key.is_empty() {
        let names = known.any_key.iter().flat_map(|name| names_of(definition, name));
        needs.push(names.collect());
    }
    needs
}

/// Returns the names that a member may have, those inside of other objects included.
fn names_of(definition: &Definition, name: &str) -> Vec<String> {
    let meant = || definition.meant(name);
    let inside = definition.inside.iter();
    let nested = inside.flat_map(|object| meant().map(move |name| format!("{object}.{name}")));
    meant().map(str::to_owned).chain(nested).collect()
}

/// Returns the names of members of which an object of a format has one.
fn keys_of(definition: &Definition) -> Vec<String> {
    let known = &definition.recognise;
    let names: Vec<&String> = match (known.keys.first(), known.any_key.is_empty()) {
        (Some(key), _) => vec![key],
        (None, false) => known.any_key.iter().collect(),
        (None, true) => known.values.keys().take(1).collect(),
    };
    let meant = names.into_iter().flat_map(|name| definition.meant(name));
    let all = meant.chain(definition.inside.iter().map(String::as_str));
    let mut keys = Vec::new();
    for name in all {
        let first = name.split('.').next().unwrap_or_default();
        keys.push(first.to_owned());
        if first != name {
            keys.push(name.to_owned());
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::{Library, Structure};
    use super::*;

    /// Finds the format of an object as the index does, without what each key meets.
    fn first_claiming<'l>(library: &'l Library, members: &Members<'_>) -> Option<&'l str> {
        let claiming = |is_fallback: bool| {
            let names = members.iter().map(|(name, _)| name);
            let mut formats = names.flat_map(|name| {
                library.formats.iter().filter(move |format| {
                    let definition = &format.definition;
                    definition.structure == Structure::Json
                        && definition.is_fallback == is_fallback
                        && keys_of(definition).iter().any(|key| key == name)
                })
            });
            formats.find(|format| format.claims_members(members))
        };
        let format = claiming(false).or_else(|| claiming(true))?;
        Some(&format.definition.name)
    }

    /// Returns the members that tell an object of a format, each with a text that it may have.
    fn telling(definition: &Definition) -> Vec<(String, String)> {
        let known = &definition.recognise;
        let text = |name: &String| (name.clone(), "x".to_owned());
        let value = |(name, patterns): (&String, &Vec<String>)| {
            let pattern = patterns.first().map_or("x", |pattern| pattern.trim_matches('*'));
            (name.clone(), pattern.to_owned())
        };
        let keys = known.keys.iter().map(text);
        let any_key = known.any_key.first().map(text);
        let members = keys.chain(any_key).chain(known.values.iter().map(value));
        let meant = |(name, text): (String, String)| {
            let name = definition.meant(&name).next().unwrap_or(&name).to_owned();
            (name, text)
        };
        members.map(meant).collect()
    }

    /// Makes objects of some format, with some members of others, and some that differ.
    fn objects() -> impl Strategy<Value = String> {
        const VALUES: [&str; 7] = ["1", "null", "\"x\"", "[\"x\"]", "[{\"a\":1}]", "{}", "[]"];
        let of_objects = |definition: &&Definition| definition.structure == Structure::Json;
        let definitions = Library::built_in().definitions().filter(of_objects);
        let telling: Vec<_> = definitions.map(telling).collect();
        let names: Vec<String> = telling.iter().flatten().map(|(name, _)| name.clone()).collect();
        let others = vec((select(names), select(&VALUES[..])), 0..4);
        (select(telling), others, any::<u8>(), any::<bool>()).prop_map(
            |(members, others, nesting, is_last)| {
                let text = |(name, text)| (name, serde_json::Value::String(text));
                let members: Vec<_> = members.into_iter().map(text).collect();
                let json = |(name, json): (String, &str)| (name, serde_json::from_str(json).unwrap());
                let others: Vec<_> = others.into_iter().map(json).collect();
                let all = match is_last {
                    true => [members, others].concat(),
                    false => [others, members].concat(),
                };
                let mut object = serde_json::Map::new();
                for (name, value) in all {
                    insert(&mut object, &name, value, nesting);
                }
                serde_json::Value::Object(object).to_string()
            },
        )
    }

    /// Adds a member whose name has dots, each of which is a part of a key or a nested object, by a bit of `nesting`.
    fn insert(
        object: &mut serde_json::Map<String, serde_json::Value>,
        name: &str,
        value: serde_json::Value,
        nesting: u8,
    ) {
        let dot = name
            .match_indices('.')
            .map(|(dot, _)| dot)
            .find(|dot| nesting >> (dot % 8) & 1 == 1);
        let Some(dot) = dot else {
            object.insert(name.to_owned(), value);
            return;
        };
        let inner = object
            .entry(&name[..dot])
            .or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
        if let Some(inner) = inner.as_object_mut() {
            insert(inner, &name[dot + 1..], value, nesting);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_index_leaves_out_no_format_that_claims_an_object(text in objects()) {
            let library = Library::built_in();
            let members: Members = serde_json::from_str(&text).unwrap();
            let found = library.read_object(&members).map(|reading| reading.definition.name.as_str());
            prop_assert_eq!(found, first_claiming(library, &members), "{}", text);
        }
    }
}
