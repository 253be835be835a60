//! The parts of a log that its reader sets, and that its members cannot.

use std::borrow::Cow;

use super::BorrowedLog;
use super::format_note::FormatNote;
use super::found::Found;
use super::names::Role;
use super::reserved::FIELDS;
use super::values;
use crate::models::{Json, Members};

impl<'a> BorrowedLog<'a> {
    /// Sets a field of the summary, whatever the names of the log's members give; `None` empties it.
    ///
    /// Nothing is stored where the names give that value already. A value that is not of the field's kind, such as a
    /// name for an address, is not set.
    pub(crate) fn set_field(&mut self, role: Role, value: Option<Cow<'a, str>>) {
        let Some(column) = role.column() else { return };
        let value = match value {
            None => None,
            Some(text) => match values::set_by_reader(role, &Json::String(text)) {
                Some(value) => Some(value),
                None => return,
            },
        };
        let found = self
            .found
            .get_or_insert_with(|| Found::in_objects([&self.normalized, &self.metadata]).into());
        if found.has(role, value.as_ref()) {
            return;
        }
        found.set(role, value.clone());
        let json = value.map_or(Json::Null, values::Value::into_json);
        self.unfold_format();
        match self.metadata.get_mut(FIELDS) {
            Some(Json::Object(set)) => set.insert(column, json),
            _ => {
                let mut set = Members::default();
                set.insert(column, json);
                self.metadata.insert(FIELDS, set);
            }
        }
    }

    /// Says which definition read the log, and what kind of source wrote it.
    pub(crate) fn set_format(&mut self, note: &'a FormatNote) {
        if self.format.is_none() && self.metadata.is_empty() {
            self.format = Some(note);
            return;
        }
        for (name, value) in note.members() {
            self.note(name, value);
        }
    }

    /// Moves what the definition says into the metadata, where more follows.
    pub(super) fn unfold_format(&mut self) {
        if let Some(note) = self.format.take() {
            self.metadata = note.members().into_iter().collect();
        }
    }
}
