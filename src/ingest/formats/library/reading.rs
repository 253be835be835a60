//! What a definition says of a text: its members, and which of them are which fields.

use std::borrow::Cow;

use super::definition::{Case, Definition, Field, Names, Values};
use super::lookup::{Sets, is_like};
use super::structure::text_of_value;
use crate::models::{FormatNote, Json, Level, Members, canonical_of};

/// Holds what a definition found in a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading<'l, 'a> {
    pub(crate) definition: &'l Definition,
    /// Holds the members of the text under the names of its source.
    pub(crate) members: Members<'a>,
    /// Holds the fields that the definition sets; `None` empties one.
    pub(crate) set: Vec<(Field, Option<Cow<'a, str>>)>,
    /// Holds the text of the time.
    pub(crate) time: Option<Cow<'a, str>>,
    /// Holds what the log says of its format.
    pub(crate) note: &'l FormatNote,
    /// Says which part of the text could not be read.
    pub(crate) problem: Option<String>,
}

impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<'l, 'a> Reading<'l, 'a> {
    pub(crate) fn new(definition: &'l Definition) -> Self {
        Self {
            definition,
            members: Members::default(),
            set: Vec::new(),
            time: None,
            note: &definition.note,
            problem: None,
        }
    }

    /// Fills the fields from members and from what patterns find in them. The reading then has all of these.
    pub(crate) fn fill(mut self, mut members: Members<'a>, found: Members<'a>) -> Self {
        self.fill_from(Sets {
            own: &members,
            found: &found,
        });
        for (name, value) in found {
            members.insert_if_missing(name, value);
        }
        self.members = members;
        self
    }

    /// Fills the fields from members that belong to the caller. The reading has what patterns find in them.
    pub(crate) fn fill_beside(mut self, members: &Members<'a>, found: Members<'a>) -> Self {
        self.fill_from(Sets {
            own: members,
            found: &found,
        });
        self.members = found;
        self
    }

    fn fill_from(&mut self, members: Sets<'_, 'a>) {
        self.fill_fields(members);
        self.fill_words(members);
    }

    /// Fills the time, and the fields that members hold.
    pub(crate) fn fill_fields(&mut self, members: Sets<'_, 'a>) {
        let definition = self.definition;
        self.time = self
            .time
            .take()
            .or_else(|| time_of(members, definition, &definition.time));
        for (field, names) in &definition.fields {
            self.set_from(*field, names, members);
        }
    }

    /// Fills the fields whose words the definition lists, and those of some events.
    pub(crate) fn fill_words(&mut self, members: Sets<'_, 'a>) {
        let definition = self.definition;
        for (field, values) in &definition.values {
            self.set_word(*field, values, members);
        }
        let applies = |case: &&Case| {
            let mut conditions = case.when.iter();
            conditions.all(|(name, patterns)| definition.has_value(members, name, patterns))
        };
        for case in definition.cases.iter().filter(applies) {
            self.note = case.note.as_ref().unwrap_or(self.note);
            self.time = time_of(members, definition, &case.time).or(self.time.take());
            for (field, names) in &case.fields {
                self.set_from(*field, names, members);
            }
            for (field, value) in &case.set {
                self.put(*field, Some(value.clone().into()));
            }
            for field in &case.empty {
                self.put(*field, None);
            }
        }
    }

    fn set_from(&mut self, field: Field, names: &Names, members: Sets<'_, 'a>) {
        let definition = self.definition;
        let found = names.as_slice().iter().find_map(|name| {
            let mut texts = definition.texts_of(members, name);
            texts.find_map(|text| value_for(field, text)).or_else(|| {
                let mut values = definition.values_of(members, name);
                (field == Field::Message).then(|| values.find_map(text_of_bytes))?
            })
        });
        if found.is_some() {
            self.put(field, found);
        }
    }

    /// Sets a field to the value that the definition has for a word of the source.
    fn set_word(&mut self, field: Field, values: &Values, members: Sets<'_, 'a>) {
        let definition = self.definition;
        let names = values.from.as_slice().iter();
        let mut words = names.flat_map(|name| definition.texts_of(members, name));
        let Some(word) = words.find(|word| is_said(word)) else {
            return;
        };
        let listed = values
            .words
            .iter()
            .find(|(_, words)| words.iter().any(|pattern| is_like(pattern, &word)));
        match listed {
            Some((value, _)) => self.put(field, Some(value.clone().into())),
            // A word of its own scale is understood; any other says nothing.
            None if field == Field::Level => {
                let level = Level::from_word(&word).map(|level| Cow::Borrowed(level.word()));
                self.put(field, level);
            }
            None if field == Field::Outcome => self.put(field, None),
            // The source's own word is kept.
            None => {}
        }
    }

    /// Sets a field, whatever it was.
    pub(crate) fn put(&mut self, field: Field, value: Option<Cow<'a, str>>) {
        match self.set.iter_mut().find(|(held, _)| *held == field) {
            Some((_, held)) => *held = value,
            None => self.set.push((field, value)),
        }
    }

    /// Sets a field that has no value yet, if the text is one for it.
    pub(crate) fn put_if_empty(&mut self, field: Field, text: Cow<'a, str>) {
        let has_value = |(held, value): &(Field, Option<_>)| *held == field && value.is_some();
        if self.set.iter().any(has_value) {
            return;
        }
        if let Some(value) = value_for(field, text) {
            self.put(field, Some(value));
        }
    }

    /// Takes the value of a field out. A field that stays empty is left.
    pub(crate) fn take_said(&mut self, field: Field) -> Option<Cow<'a, str>> {
        let is_said = |(held, value): &(Field, Option<_>)| *held == field && value.is_some();
        let place = self.set.iter().position(is_said)?;
        self.set.swap_remove(place).1
    }
}

/// Returns the first time that is whole: one member, or the members of its parts with spaces between them.
fn time_of<'a>(members: Sets<'_, 'a>, definition: &Definition, times: &[String]) -> Option<Cow<'a, str>> {
    let texts = |name| members.values(name).filter_map(text_of_value);
    // The data of an event may have times of other things.
    let said = |name| {
        let mut names = definition.meant(name);
        let text = names.find_map(|name| texts(name).find(|text| is_said(text)))?;
        let is_utc = definition.utc.iter().any(|utc| utc == name);
        Some(match is_utc && text.ends_with(|c: char| c.is_ascii_digit()) {
            true => format!("{text}Z").into(),
            false => with_offset(text),
        })
    };
    times.iter().find_map(|names| match names.contains(' ') {
        false => said(names),
        true => {
            let parts: Option<Vec<_>> = names.split(' ').map(said).collect();
            Some(parts?.join(" ").into())
        }
    })
}

/// Returns a time with the offset of its zone alone: `ArcSight` writes `GMT+02:00`.
fn with_offset(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.contains("GMT+") || text.contains("GMT-") {
        true => text.replace("GMT+", "+").replace("GMT-", "-").into(),
        false => text,
    }
}

fn is_said(text: &str) -> bool {
    !text.is_empty() && text != "-"
}

/// Returns a value that a field can have: an address, a port, a text that says something.
pub(crate) fn value_for(field: Field, text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if !is_said(&text) {
        return None;
    }
    match field {
        Field::SourceIp | Field::DestIp => canonical_of(text),
        Field::SourcePort | Field::DestPort => text.parse::<u16>().ok().map(|_| text),
        Field::Pid => process_id(text),
        Field::User => is_user(&text).then(|| without_escape(text)),
        // A word of a scale that is not known says nothing.
        Field::Level => Level::from_word(&text).map(|level| level.word().into()),
        _ => Some(text),
    }
}

/// Returns the text of a list of bytes, as the systemd journal writes what is not plain text.
fn text_of_bytes<'a>(value: &Json<'a>) -> Option<Cow<'a, str>> {
    let Json::Array(elements) = value else { return None };
    let bytes = elements
        .iter()
        .map(|element| u8::try_from(element.as_u64()?).ok());
    let bytes: Option<Vec<u8>> = bytes.collect();
    let text = String::from_utf8_lossy(&bytes?).into_owned();
    (!text.is_empty()).then(|| text.into())
}

/// Returns the id of a process in decimal. Windows writes `0x1a4` in the data of some events.
fn process_id(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16)
            .ok()
            .map(|id| id.to_string().into()),
        None => text.parse::<i64>().ok().map(|_| text),
    }
}

/// Returns a name whose domain ends with one backslash. CEF and relays write two.
fn without_escape(name: Cow<'_, str>) -> Cow<'_, str> {
    match name.contains(r"\\") {
        true => name.replace(r"\\", r"\").into(),
        false => name,
    }
}

/// Returns whether a text is a name: sources write such words where they know of no user.
fn is_user(text: &str) -> bool {
    const NONE: [&str; 8] = ["N/A", "n/a", "null", "(null)", "none", "<unknown>", "?", "unset"];
    !NONE.contains(&text)
}
