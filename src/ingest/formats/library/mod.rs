//! The library of formats: definitions that are built in, and those of the user.

mod auditd;
mod cef;
mod counted;
mod definition;
mod delimited;
mod grok;
mod key_value;
mod layout;
mod leef;
mod lookup;
mod objects;
mod reading;
mod structure;
mod time;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use foldhash::fast::FixedState;
use memchr::memmem::Finder;

pub(crate) use definition::{Definition, Field, Sample};
use definition::{PatternText, Recognise};
pub(crate) use reading::Reading;
pub(crate) use structure::Structure;

use crate::ingest::formats::json;
use crate::models::{Json, Members};
use grok::Pattern;
use lookup::Sets;
use objects::ObjectIndex;
use reading::value_for;

/// Holds the definitions of this crate as JSON, which the build script makes of their files.
const BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/formats.json"));

static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    let definitions: Vec<Definition> =
        serde_json::from_str(BUILT_IN).expect("the tests read the definitions");
    Library::new(definitions).expect("the tests read the patterns of the definitions")
});

/// Holds a definition with its patterns.
#[derive(Debug)]
struct Format {
    definition: Definition,
    head: Option<Pattern>,
    patterns: Vec<Pattern>,
    /// Finds the texts of which a message has one.
    one_of: Vec<Finder<'static>>,
    /// Finds the texts that a message has all.
    contains: Vec<Finder<'static>>,
}

/// Holds definitions, and finds the one that reads a text.
#[derive(Debug)]
pub(crate) struct Library {
    formats: Vec<Format>,
    by_name: HashMap<String, usize, FixedState>,
    /// Holds the first format of each structure.
    by_structure: HashMap<Structure, usize, FixedState>,
    /// Holds the formats of each program, by its name in lower case.
    by_program: HashMap<String, Vec<usize>, FixedState>,
    /// Lists the formats that programs of other formats write as well.
    of_any_program: Vec<usize>,
    /// Holds the beginnings of names of programs.
    program_prefixes: Vec<(String, usize)>,
    /// Finds the marks of formats in a text: those without a program, and those that are known without theirs.
    marks: Option<AhoCorasick>,
    of_marks: Vec<usize>,
    objects: ObjectIndex,
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
            by_name: HashMap::default(),
            by_structure: HashMap::default(),
            by_program: HashMap::default(),
            of_any_program: Vec::new(),
            program_prefixes: Vec::new(),
            marks: None,
            of_marks: Vec::new(),
            objects: ObjectIndex::default(),
            fallbacks: Vec::new(),
        };
        let mut marks = Vec::new();
        for mut definition in definitions {
            definition.write_notes();
            let compile = |text: &String| {
                Pattern::new(text).map_err(|error| format!("format {}: {error}", definition.name))
            };
            let head = definition.head.as_ref().map(compile).transpose()?;
            let patterns = definition.patterns.iter().map(|pattern| compile(&pattern.text));
            let patterns = patterns.collect::<Result<_, _>>()?;
            library.index(&definition, &mut marks);
            library.formats.push(Format {
                one_of: finders(&definition.recognise.one_of),
                contains: finders(&definition.recognise.contains),
                definition,
                head,
                patterns,
            });
        }
        if !marks.is_empty() {
            let built = AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::ContiguousNFA))
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
        self.by_name.entry(definition.name.clone()).or_insert(place);
        self.by_structure.entry(definition.structure).or_insert(place);
        if definition.structure == Structure::Json {
            self.objects.enter(place, definition);
        } else if definition.is_fallback {
            self.fallbacks.push(place);
        } else {
            self.index_text(known, place, marks);
        }
    }

    /// Enters a format of texts under its programs; one of lines without a header under its marks.
    fn index_text(&mut self, known: &Recognise, place: usize, marks: &mut Vec<String>) {
        if known.any_program {
            self.of_any_program.push(place);
        }
        for program in known.program.iter().filter(|program| !program.is_empty()) {
            let program = program.to_ascii_lowercase();
            match program.strip_suffix('*') {
                Some(prefix) => self.program_prefixes.push((prefix.to_owned(), place)),
                None => self.by_program.entry(program).or_default().push(place),
            }
        }
        let is_bound = !known.program.is_empty() && !known.program.contains(&String::new());
        let longest = known.contains.iter().max_by_key(|mark| mark.len());
        let of_text: Vec<_> = match (&known.starts[..], &known.one_of[..]) {
            (_, marks) if is_bound => marks.iter().collect(),
            ([], []) => longest.into_iter().collect(),
            ([], marks) | (marks, _) => marks.iter().collect(),
        };
        self.of_marks.extend(of_text.iter().map(|_| place));
        marks.extend(of_text.into_iter().cloned());
    }

    /// Iterates over the definitions.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.formats.iter().map(|format| &format.definition)
    }

    /// Returns the first definition of a structure.
    pub(crate) fn of_structure(&self, structure: Structure) -> Option<&Definition> {
        let place = self.by_structure.get(&structure)?;
        Some(&self.formats.get(*place)?.definition)
    }

    /// Reads the message of a program, or a whole line.
    pub(crate) fn read_text<'l, 'a>(&'l self, program: Option<&str>, text: &'a str) -> Option<Reading<'l, 'a>>
    where
        'l: 'a,
    {
        let (program, text) = (program.map(program_name), text.trim());
        if let Some(name) = program {
            let mut of_program = self.of_program(name).peekable();
            // A program that is known speaks for itself only.
            if of_program.peek().is_some() {
                let reading = of_program.find_map(|place| self.formats[place].read_text(program, text));
                let read = |place: &usize| self.formats[*place].read_text(program, text);
                return reading.or_else(|| self.of_any_program.iter().find_map(read));
            }
        }
        let read = |place: &usize| self.formats[*place].read_text(program, text);
        self.marked(text).iter().find_map(read)
    }

    /// Returns whether a format names a program, which speaks for itself only then.
    pub(crate) fn knows(&self, program: &str) -> bool {
        self.of_program(program_name(program)).next().is_some()
    }

    /// Reads a text that no format claims: the pairs of any program. A program that is known writes no others.
    pub(crate) fn read_other<'l, 'a>(
        &'l self,
        program: Option<&str>,
        text: &'a str,
    ) -> Option<Reading<'l, 'a>>
    where
        'l: 'a,
    {
        if program.is_some_and(|program| self.knows(program)) {
            return None;
        }
        let mut fallbacks = self.fallbacks.iter().map(|place| &self.formats[*place]);
        fallbacks.find_map(|format| format.read_text(None, text))
    }

    /// Lists the formats that a text has a mark of, in their order.
    fn marked(&self, text: &str) -> Vec<usize> {
        let Some(marks) = &self.marks else {
            return Vec::new();
        };
        let found = marks.find_overlapping_iter(head_of(text));
        let mut places: Vec<usize> = found
            .map(|mark| self.of_marks[mark.pattern().as_usize()])
            .collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Returns the definition for a message that was read by hand or not at all, by its name or by its program alone.
    pub(crate) fn of_message(&self, name: Option<&str>, program: Option<&str>) -> Option<&Definition> {
        if let Some(name) = name {
            let place = self.by_name.get(name)?;
            return Some(&self.formats.get(*place)?.definition);
        }
        let of_program = self.of_program(program_name(program?));
        of_program
            .map(|place| &self.formats[place].definition)
            .find(|definition| definition.recognise.is_program_alone())
    }

    /// Returns what follows the head of a message, if its format has patterns and none matches.
    pub(crate) fn unmatched<'t>(&self, name: &str, message: &'t str) -> Option<&'t str> {
        let format = self.formats.get(*self.by_name.get(name)?)?;
        if format.definition.structure != Structure::Pattern {
            return None;
        }
        let head = format.head.as_ref().and_then(|head| head.parts(message));
        let mut parts = head.unwrap_or_default();
        let rest = parts.iter().position(|(name, _)| *name == "rest");
        let rest = rest.map_or(message, |place| parts.remove(place).1);
        format.matching(&parts, rest).is_none().then_some(rest)
    }

    fn of_program(&self, name: &str) -> impl Iterator<Item = usize> {
        let lower = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(name.to_ascii_lowercase()),
            false => Cow::Borrowed(name),
        };
        let exact = self.by_program.get(&*lower).into_iter().flatten().copied();
        let first = lower.as_bytes().first().copied();
        let is_like = move |(prefix, _): &&(String, usize)| {
            // Most names begin with another letter.
            let is_candidate = prefix
                .as_bytes()
                .first()
                .is_none_or(|letter| Some(*letter) == first);
            is_candidate && lower.starts_with(prefix.as_str())
        };
        let prefixed = self.program_prefixes.iter().filter(is_like);
        exact.chain(prefixed.map(|(_, place)| *place))
    }

    /// Reads an object. The reading has no members: they are those of the caller.
    pub(crate) fn read_object<'l, 'a>(&'l self, members: &Members<'a>) -> Option<Reading<'l, 'a>>
    where
        'l: 'a,
    {
        let places = self.objects.formats_for(members).into_iter();
        let mut formats = places.filter_map(|place| self.formats.get(place));
        let format = formats.find(|format| format.claims_members(members))?;
        let found = format.parts_of(members);
        let fields = found.fields();
        let mut reading = Reading::new(&format.definition).fill_beside(members, found.members);
        FoundParts::apply_to(fields, found.set, &mut reading);
        Some(reading)
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
            (Structure::Json, Some(object)) => format.claims_members(object),
            (Structure::Json, None) => false,
            _ => format.read_text(program.map(program_name), text).is_some(),
        });
        claiming.map(|format| format.definition.name.as_str()).collect()
    }
}

#[cfg(test)]
fn no_layout() -> &'static layout::Layout {
    static NONE: LazyLock<layout::Layout> = LazyLock::new(layout::Layout::default);
    &NONE
}

fn finders(texts: &[String]) -> Vec<Finder<'static>> {
    let finder = |text: &String| Finder::new(text).into_owned();
    texts.iter().map(finder).collect()
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

/// Returns the name of a program without its folder, and without the brackets that Squid writes around its own.
fn program_name(program: &str) -> &str {
    let name = match program.starts_with('/') {
        true => program.rsplit('/').next().unwrap_or(program),
        false => program,
    };
    let inner = name.strip_prefix('(').and_then(|name| name.strip_suffix(')'));
    inner.unwrap_or(name)
}

/// Holds what patterns found in members.
#[derive(Debug, Default)]
struct FoundParts<'l, 'a> {
    members: Members<'a>,
    /// Holds the fields that the patterns that match set.
    set: Vec<(Field, &'l str)>,
}

impl<'l, 'a> FoundParts<'l, 'a>
where
    'l: 'a,
{
    /// Fills what is empty with the parts that are named as fields, and sets the fields of the patterns.
    fn apply_to(
        fields: Vec<(Field, Cow<'a, str>)>,
        set: Vec<(Field, &'l str)>,
        reading: &mut Reading<'l, 'a>,
    ) {
        for (field, part) in fields {
            reading.put_if_empty(field, part);
        }
        for (field, value) in set {
            reading.put(field, Some(value.into()));
        }
    }

    /// Returns the parts that are named as fields.
    fn fields(&self) -> Vec<(Field, Cow<'a, str>)> {
        let named = self.members.iter();
        named
            .filter_map(|(name, _)| {
                let text = structure::text_of_value(self.members.get(name)?)?;
                Some((Field::of_name(name)?, text))
            })
            .collect()
    }
}

impl Format {
    /// Returns whether a text may have the format, by its program and its marks.
    fn recognises(&self, program: Option<&str>, text: &str) -> bool {
        let known = &self.definition.recognise;
        let head = head_of(text).as_bytes();
        let has = |mark: &Finder<'_>| mark.find(head).is_some();
        let is_of_program = match program {
            None if !known.one_of.is_empty() => true,
            program => self.is_of_program(program),
        };
        // A program that is named tells more than a mark.
        let is_marked = || self.one_of.is_empty() || self.one_of.iter().any(has);
        let is_named = program.is_some() && !known.program.is_empty();
        let is_started =
            || known.starts.is_empty() || known.starts.iter().any(|start| text.starts_with(start));
        is_of_program && (is_named || is_marked()) && is_started() && self.contains.iter().all(has)
    }

    /// Reads a text that the format claims.
    fn read_text<'l, 'a>(&'l self, program: Option<&str>, text: &'a str) -> Option<Reading<'l, 'a>>
    where
        'l: 'a,
    {
        if !self.recognises(program, text) {
            return None;
        }
        match self.definition.structure {
            Structure::Pattern | Structure::Login => self.read_patterns(program, text),
            Structure::AccessLog | Structure::ErrorLog => None,
            structure => {
                let is_sure = self.definition.is_fallback;
                let members = structure.read(text, &self.definition.layout, is_sure)?;
                if !self.claims_members(&members) {
                    return None;
                }
                let found = self.parts_of(&members);
                let fields = found.fields();
                let mut reading = Reading::new(&self.definition).fill(members, found.members);
                FoundParts::apply_to(fields, found.set, &mut reading);
                Some(reading)
            }
        }
    }

    fn is_of_program(&self, program: Option<&str>) -> bool {
        let programs = &self.definition.recognise.program;
        let is_like = |program: &str| programs.iter().any(|pattern| lookup::is_like(pattern, program));
        programs.is_empty() || is_like(program.unwrap_or_default())
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

    /// Returns the parts of members that have patterns. What an earlier pattern found or set stays.
    ///
    /// A pattern whose parts are all members already is not tried.
    fn parts_of<'l, 'a>(&'l self, members: &Members<'a>) -> FoundParts<'l, 'a> {
        let mut found = FoundParts::default();
        for (pattern, of) in self.patterns.iter().zip(&self.definition.patterns) {
            let Some(name) = of.of.as_deref() else {
                continue;
            };
            let sets = Sets {
                own: members,
                found: &Members::default(),
            };
            let has = |part: &String| self.definition.texts_of(sets, part).next().is_some();
            if of.set.is_empty() && pattern.names().iter().all(has) {
                continue;
            }
            let is_once = |text: &Cow<'a, str>| of.once.iter().all(|mark| text.matches(&**mark).count() == 1);
            let text = self.definition.texts_of(sets, name).next().filter(is_once);
            let Some(parts) = text.and_then(|text| pattern.parts_of(text)) else {
                continue;
            };
            for (name, part) in parts {
                found.members.insert_if_missing(name.to_owned(), part);
            }
            for (field, value) in &of.set {
                if found.set.iter().all(|(held, _)| held != field) {
                    found.set.push((*field, value));
                }
            }
        }
        found
    }

    /// Reads the head, and the first pattern that matches what follows it.
    fn read_patterns<'l, 'a>(&'l self, program: Option<&str>, text: &'a str) -> Option<Reading<'l, 'a>>
    where
        'l: 'a,
    {
        let head = self.head.as_ref().and_then(|head| head.parts(text));
        let mut parts = head.unwrap_or_default();
        // The head alone tells the format if it found something, unless only its program would.
        let is_bound = program.is_none() && !self.definition.recognise.program.is_empty();
        let is_told = parts.iter().any(|(name, _)| *name != "rest") && !is_bound;
        let rest = match parts.iter().position(|(name, _)| *name == "rest") {
            Some(place) => parts.remove(place).1,
            None => text,
        };
        let set = match self.matching(&parts, rest) {
            Some((found, of)) => {
                parts.extend(found);
                Some(&of.set)
            }
            None if is_told => None,
            None => return None,
        };
        let mut reading = self.reading_of(parts);
        for (field, value) in set.into_iter().flatten() {
            let value = Cow::Borrowed(value.as_str());
            if field.role().is_some() {
                reading.members.insert_if_missing(field.as_str(), value.clone());
            }
            reading.put(*field, Some(value));
        }
        Some(reading)
    }

    /// Finds the first pattern that matches a text after the parts of its head.
    fn matching<'l, 'a>(
        &'l self,
        head: &[(&str, &str)],
        text: &'a str,
    ) -> Option<(Vec<(&'l str, &'a str)>, &'l PatternText)> {
        let is_once =
            |mark: &String| memchr::memmem::find_iter(text.as_bytes(), mark.as_bytes()).count() == 1;
        let is_for = |of: &PatternText| {
            of.only.iter().all(|(name, values)| {
                let part = head.iter().find(|(part, _)| part == name);
                part.is_some_and(|(_, part)| values.iter().any(|value| lookup::is_like(value, part)))
            })
        };
        let mut patterns = self.patterns.iter().zip(&self.definition.patterns);
        patterns.find_map(|(pattern, of)| {
            let may_match = of.of.is_none() && pattern.may_match(text);
            let is_candidate = may_match && of.once.iter().all(is_once) && is_for(of);
            let parts = is_candidate.then(|| pattern.parts(text))??;
            Some((parts, of))
        })
    }

    /// Makes a reading of the parts of a text. The parts `pairs`, `counted` and `json` are taken apart further.
    fn reading_of<'l, 'a>(&'l self, parts: Vec<(&'l str, &'a str)>) -> Reading<'l, 'a>
    where
        'l: 'a,
    {
        let mut reading = Reading::new(&self.definition);
        reading.time = time::composed(&parts).map(Cow::Owned);
        let mut members = Members::default();
        let mut direct = Vec::new();
        for (name, part) in parts {
            match (name, Field::of_name(name)) {
                (name, _) if name.starts_with("time.") => {}
                ("time", _) => reading.time = Some(part.into()),
                ("pairs", _) => insert_beside(structure::pairs(part, &self.definition.layout), &mut members),
                ("counted", _) => insert_beside(counted::read(part), &mut members),
                ("json", _) => {
                    if let Some(object) = json::object_after_header(part) {
                        insert_beside(object.members, &mut members);
                        reading.problem = object.problem;
                    }
                }
                (_, Some(field)) => {
                    members.insert(name, part);
                    let value = value_for(field, part.into());
                    direct.extend(value.map(|value| (field, value)));
                }
                _ => members.insert_beside(name.into(), part.into()),
            }
        }
        self.with_direct(reading, members, direct)
    }

    /// Fills a reading from members. A part that is a field is a member as the text has it only while words and cases
    /// are looked at.
    fn with_direct<'l, 'a>(
        &'l self,
        mut reading: Reading<'l, 'a>,
        members: Members<'a>,
        direct: Vec<(Field, Cow<'a, str>)>,
    ) -> Reading<'l, 'a>
    where
        'l: 'a,
    {
        let found = self.parts_of(&members);
        let sets = Sets {
            own: &members,
            found: &found.members,
        };
        reading.fill_fields(sets);
        for (field, value) in &direct {
            reading.put(*field, Some(value.clone()));
        }
        reading.fill_words(sets);
        let fields = found.fields();
        FoundParts::apply_to(fields, found.set, &mut reading);
        for (name, value) in members {
            if Field::of_name(&name).is_none() {
                reading.members.insert(name, value);
            }
        }
        for (name, value) in found.members {
            reading.members.insert_if_missing(name, value);
        }
        for (field, value) in direct {
            if field.role().is_some() {
                reading.members.insert_if_missing(field.as_str(), value);
            }
        }
        reading
    }
}

fn insert_beside<'a>(inner: Members<'a>, members: &mut Members<'a>) {
    for (name, value) in inner {
        members.insert_beside(name, value);
    }
}

#[cfg(test)]
mod tests;
