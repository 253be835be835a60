//! The library of formats: definitions that are built in, and those of the user.

mod auditd;
mod cef;
mod definition;
mod delimited;
mod grok;
mod key_value;
mod layout;
mod leef;
mod lookup;
mod reading;
mod structure;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use foldhash::fast::FixedState;

use definition::Recognise;
pub(crate) use definition::{Definition, Field, LogSource, Sample};
pub(crate) use reading::Reading;
pub(crate) use structure::Structure;

use crate::models::{Json, Members};
use grok::Pattern;
use lookup::Sets;
use reading::value_for;

/// Holds the definitions of this crate as JSON, which the build script makes of their files.
const BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/formats.json"));

static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    let definitions: Vec<Definition> =
        serde_json::from_str(BUILT_IN).expect("the tests read the definitions");
    Library::new(definitions).expect("the tests read the patterns of the definitions")
});

type ByKey = HashMap<String, Vec<usize>, FixedState>;

/// Holds a definition with its patterns.
#[derive(Debug)]
struct Format {
    definition: Definition,
    patterns: Vec<Pattern>,
}

/// Holds definitions, and finds the one that reads a text.
#[derive(Debug)]
pub(crate) struct Library {
    formats: Vec<Format>,
    /// Holds the formats of each program, by its name in lower case.
    by_program: HashMap<String, Vec<usize>, FixedState>,
    /// Holds the beginnings of names of programs.
    program_prefixes: Vec<(String, usize)>,
    /// Holds the formats without a program that are known by the start of a text.
    by_start: Vec<(String, usize)>,
    /// Finds the formats without a program that are known by a mark in a text.
    marks: Option<AhoCorasick>,
    of_marks: Vec<usize>,
    /// Holds the formats of objects by the least common of their keys.
    by_key: ByKey,
    /// Holds those of them that read what no other claims.
    fallback_by_key: ByKey,
    /// Lists the formats that read what no other claims, in their order.
    fallbacks: Vec<usize>,
}

impl Library {
    /// Returns the definitions of this crate.
    pub(crate) fn built_in() -> &'static Self {
        &LIBRARY
    }

    /// Makes a library. Of two formats that claim a text, the first reads it.
    ///
    /// # Errors
    ///
    /// If a pattern cannot be read.
    pub(crate) fn new(definitions: Vec<Definition>) -> Result<Self, String> {
        let mut library = Self {
            formats: Vec::with_capacity(definitions.len()),
            by_program: HashMap::default(),
            program_prefixes: Vec::new(),
            by_start: Vec::new(),
            marks: None,
            of_marks: Vec::new(),
            by_key: ByKey::default(),
            fallback_by_key: ByKey::default(),
            fallbacks: Vec::new(),
        };
        let mut marks = Vec::new();
        for mut definition in definitions {
            definition.held_label = definition.label();
            let patterns = definition.patterns.iter().map(|pattern| {
                Pattern::new(&pattern.text).map_err(|error| format!("format {}: {error}", definition.name))
            });
            let patterns = patterns.collect::<Result<_, _>>()?;
            library.index(&definition, &mut marks);
            library.formats.push(Format { definition, patterns });
        }
        if !marks.is_empty() {
            let built = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(&marks);
            library.marks = Some(built.map_err(|error| format!("the marks of formats: {error}"))?);
        }
        Ok(library)
    }

    /// Enters a definition where a text that it reads is looked for.
    fn index(&mut self, definition: &Definition, marks: &mut Vec<String>) {
        let place = self.formats.len();
        let known = &definition.recognise;
        if definition.structure == Structure::Json {
            let by_key = match definition.is_fallback {
                true => &mut self.fallback_by_key,
                false => &mut self.by_key,
            };
            for key in keys_of(definition) {
                let places = by_key.entry(key).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        } else if definition.is_fallback {
            self.fallbacks.push(place);
        } else {
            self.index_text(known, place, marks);
        }
    }

    /// Enters a format of texts under its programs; one of lines without a header under its marks.
    fn index_text(&mut self, known: &Recognise, place: usize, marks: &mut Vec<String>) {
        for program in known.program.iter().filter(|program| !program.is_empty()) {
            let program = program.to_ascii_lowercase();
            match program.strip_suffix('*') {
                Some(prefix) => self.program_prefixes.push((prefix.to_owned(), place)),
                None => self.by_program.entry(program).or_default().push(place),
            }
        }
        if !known.program.is_empty() && !known.program.contains(&String::new()) {
            return;
        }
        if !known.starts.is_empty() {
            let starts = known.starts.iter().map(|start| (start.clone(), place));
            self.by_start.extend(starts);
        } else if let Some(mark) = known.contains.iter().max_by_key(|mark| mark.len()) {
            marks.push(mark.clone());
            self.of_marks.push(place);
        }
    }

    /// Iterates over the definitions.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.formats.iter().map(|format| &format.definition)
    }

    /// Returns the first definition of a structure.
    pub(crate) fn of_structure(&self, structure: Structure) -> Option<&Definition> {
        self.definitions()
            .find(|definition| definition.structure == structure)
    }

    /// Reads the message of a program, or a whole line.
    pub(crate) fn read_text<'l, 'a>(&'l self, program: Option<&str>, text: &'a str) -> Option<Reading<'l, 'a>>
    where
        'l: 'a,
    {
        if let Some(program) = program {
            let name = program_name(program);
            let mut is_known = false;
            for place in self.of_program(name) {
                is_known = true;
                if let Some(reading) = self.formats[place].read_text(Some(name), text) {
                    return Some(reading);
                }
            }
            // A program that is known speaks for itself only.
            if is_known {
                return None;
            }
        }
        let started = self
            .by_start
            .iter()
            .filter(|(start, _)| text.starts_with(start.as_str()));
        let mut candidates: Vec<usize> = started.map(|(_, place)| *place).collect();
        let name = program.map(program_name);
        if let Some(marks) = &self.marks {
            let head = head_of(text);
            let found = marks
                .find_overlapping_iter(head)
                .map(|mark| self.of_marks[mark.pattern().as_usize()]);
            for place in found {
                if !candidates.contains(&place) {
                    candidates.push(place);
                }
            }
        }
        let read = |place: &usize| self.formats[*place].read_text(name, text);
        candidates.iter().find_map(read)
    }

    /// Reads a text that no format claims: the pairs of any program.
    pub(crate) fn read_other<'l, 'a>(&'l self, text: &'a str) -> Option<Reading<'l, 'a>>
    where
        'l: 'a,
    {
        let mut fallbacks = self.fallbacks.iter().map(|place| &self.formats[*place]);
        fallbacks.find_map(|format| format.read_text(None, text))
    }

    fn of_program(&self, name: &str) -> impl Iterator<Item = usize> {
        let lower = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(name.to_ascii_lowercase()),
            false => Cow::Borrowed(name),
        };
        let exact = self.by_program.get(&*lower).into_iter().flatten().copied();
        let prefixes = self.program_prefixes.iter();
        let prefixed =
            prefixes.filter_map(move |(prefix, place)| lower.starts_with(prefix.as_str()).then_some(*place));
        exact.chain(prefixed)
    }

    /// Reads an object. The reading has no members: they are those of the caller.
    pub(crate) fn read_object<'l, 'a>(&'l self, members: &Members<'a>) -> Option<Reading<'l, 'a>>
    where
        'l: 'a,
    {
        let format = self
            .claiming(&self.by_key, members)
            .or_else(|| self.claiming(&self.fallback_by_key, members))?;
        let found = format.parts_of(members);
        Some(Reading::new(&format.definition).fill_beside(members, found))
    }

    /// Finds the format of an object by its keys.
    fn claiming(&self, by_key: &ByKey, members: &Members<'_>) -> Option<&Format> {
        let mut places = members.iter().filter_map(|(key, _)| by_key.get(key)).flatten();
        let place = places.find(|place| self.formats[**place].claims_object(members))?;
        self.formats.get(*place)
    }

    /// Lists the formats that claim a text on their own, whatever others do.
    #[cfg(test)]
    pub(crate) fn claims<'l>(&'l self, program: Option<&str>, text: &str) -> Vec<&'l str> {
        let object = Structure::Json.read(text, no_layout(), false);
        let formats = self
            .formats
            .iter()
            .filter(|format| !format.definition.is_fallback);
        let claiming = formats.filter(|format| match (format.definition.structure, &object) {
            (Structure::Json, Some(object)) => format.claims_object(object),
            (Structure::Json, None) => false,
            _ => format.read_text(program.map(program_name), text).is_some(),
        });
        claiming.map(|format| format.definition.name.as_str()).collect()
    }
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

type NamedParts<'t> = Vec<(String, Cow<'t, str>)>;

fn owned_names<'t>(parts: Option<Vec<(&str, &'t str)>>) -> Option<NamedParts<'t>> {
    let named = parts?.into_iter();
    Some(named.map(|(name, part)| (name.to_owned(), part.into())).collect())
}

fn no_layout() -> &'static layout::Layout {
    static NONE: LazyLock<layout::Layout> = LazyLock::new(layout::Layout::default);
    &NONE
}

/// Limits where the mark of a format may be. Further back, a client may have written it.
const HEAD: usize = 512;

fn head_of(text: &str) -> &str {
    let mut end = text.len().min(HEAD);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Returns the name of a program without its folder.
fn program_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

impl Format {
    /// Reads a text that the format claims.
    fn read_text<'l, 'a>(&'l self, program: Option<&str>, text: &'a str) -> Option<Reading<'l, 'a>>
    where
        'l: 'a,
    {
        let known = &self.definition.recognise;
        let is_started = known.starts.is_empty() || known.starts.iter().any(|start| text.starts_with(start));
        let is_marked = || {
            let head = head_of(text).as_bytes();
            let mut marks = known.contains.iter();
            marks.all(|mark| memchr::memmem::find(head, mark.as_bytes()).is_some())
        };
        if !self.is_of_program(program) || !is_started || !is_marked() {
            return None;
        }
        let reading = match self.definition.structure {
            Structure::Pattern => self.read_patterns(text)?,
            Structure::Login | Structure::AccessLog | Structure::ErrorLog => return None,
            structure => {
                let is_sure = self.definition.is_fallback;
                let members = structure.read(text, &self.definition.layout, is_sure)?;
                if !self.claims_members(&members) {
                    return None;
                }
                let found = self.parts_of(&members);
                Reading::new(&self.definition).fill(members, found)
            }
        };
        Some(reading)
    }

    fn is_of_program(&self, program: Option<&str>) -> bool {
        let programs = &self.definition.recognise.program;
        let is_like = |program: &str| programs.iter().any(|pattern| reading::is_like(pattern, program));
        programs.is_empty() || is_like(program.unwrap_or_default())
    }

    fn claims_object(&self, members: &Members<'_>) -> bool {
        self.claims_members(members)
    }

    /// Returns whether the members are those of the format.
    fn claims_members(&self, members: &Members<'_>) -> bool {
        let known = &self.definition.recognise;
        let definition = &self.definition;
        let members = Sets {
            own: members,
            found: &Members::default(),
        };
        let is_there = |value: &Json<'_>| *value != Json::Null;
        let has = |key: &String| definition.values_of(members, key).any(is_there);
        known.keys.iter().all(has)
            && !known.absent.iter().any(has)
            && (known.any_key.is_empty() || known.any_key.iter().any(has))
            && known
                .values
                .iter()
                .all(|(name, patterns)| definition.has_value(members, name, patterns))
    }

    /// Returns the parts of members that have patterns. A part that an earlier pattern found stays.
    fn parts_of<'a>(&self, members: &Members<'a>) -> Members<'a> {
        let mut found = Members::default();
        for (pattern, of) in self.patterns.iter().zip(&self.definition.patterns) {
            let Some(name) = of.of.as_deref() else {
                continue;
            };
            let sets = Sets {
                own: members,
                found: &Members::default(),
            };
            let Some(text) = self.definition.texts_of(sets, name).next() else {
                continue;
            };
            let parts = match &text {
                Cow::Borrowed(text) => owned_names(pattern.parts(text)),
                Cow::Owned(text) => owned_names(pattern.parts(text)).map(|parts| {
                    let owned = |(name, part): (String, Cow<'_, str>)| (name, Cow::Owned(part.into_owned()));
                    parts.into_iter().map(owned).collect()
                }),
            };
            let Some(parts) = parts else { continue };
            for (name, part) in parts {
                found.insert_if_missing(name, part);
            }
        }
        found
    }

    /// Reads the first pattern that matches. The parts `pairs` and `json` are taken apart further.
    fn read_patterns<'l, 'a>(&'l self, text: &'a str) -> Option<Reading<'l, 'a>>
    where
        'l: 'a,
    {
        let patterns = self.patterns.iter().zip(&self.definition.patterns);
        let (parts, set) = patterns
            .filter(|(_, of)| of.of.is_none())
            .filter_map(|(pattern, of)| Some((pattern.parts(text)?, &of.set)))
            .next()?;
        let mut reading = Reading::new(&self.definition);
        let mut members = Members::default();
        let mut direct = Vec::new();
        for (name, part) in parts {
            match (name, Field::of_name(name)) {
                ("time", _) => reading.time = Some(part.into()),
                ("pairs", _) => {
                    let pairs = structure::pairs(part, &self.definition.layout);
                    pairs
                        .into_iter()
                        .for_each(|(name, value)| members.insert_beside(name, value));
                }
                ("json", _) => {
                    let inner = Structure::Json.read(part, no_layout(), false).unwrap_or_default();
                    inner
                        .into_iter()
                        .for_each(|(name, value)| members.insert_beside(name, value));
                }
                (_, Some(field)) => direct.push((field, part)),
                _ => members.insert_beside(name.into(), part.into()),
            }
        }
        let of_pattern = set
            .iter()
            .map(|(field, value)| (*field, Cow::Borrowed(value.as_str())));
        let direct = direct
            .into_iter()
            .map(|(field, part)| (field, Cow::Borrowed(part)));
        let direct: Vec<_> = direct.chain(of_pattern).collect();
        let found = self.parts_of(&members);
        let mut reading = reading.fill(members, found);
        for (field, part) in direct {
            if let Some(value) = value_for(field, part) {
                if field.core().is_some() {
                    reading.members.insert_if_missing(field.as_str(), value.clone());
                }
                reading.put(field, Some(value));
            }
        }
        Some(reading)
    }
}

#[cfg(test)]
mod tests;
