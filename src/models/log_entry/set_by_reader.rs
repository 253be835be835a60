//! The parts of a log that its reader sets, and that its members cannot.

use std::borrow::Cow;

use super::BorrowedLog;
use super::found::Found;
use super::names::Role;
use super::reserved::{FIELDS, FORMAT, LOGSOURCE};
use super::values;
use crate::models::{Json, LogSource, Members};

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

/// Holds what a definition says of each log that it reads. The text of it is made only once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FormatNote {
    /// Holds the name of the definition with its version, such as `fortigate/1`.
    label: String,
    source: LogSource,
    text: String,
}

impl FormatNote {
    pub(crate) fn new(label: String, source: LogSource) -> Self {
        let mut note = Self {
            label,
            source,
            text: String::new(),
        };
        let members: Members<'_> = note.members().into_iter().collect();
        note.text = members.to_text().unwrap_or_default();
        note
    }

    /// Returns the JSON text of the members.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether the metadata has a member of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        name == FORMAT || name == LOGSOURCE && self.source != LogSource::default()
    }

    /// Returns the members of the metadata.
    pub(super) fn members(&self) -> Vec<(&'static str, Json<'_>)> {
        let parts = [
            ("product", &self.source.product),
            ("category", &self.source.category),
            ("service", &self.source.service),
        ];
        let said = parts
            .iter()
            .filter_map(|(name, part)| Some((*name, part.as_deref()?.into())));
        let source: Members<'_> = said.collect();
        let mut members = vec![(FORMAT, self.label.as_str().into())];
        if !source.is_empty() {
            members.push((LOGSOURCE, source.into()));
        }
        members
    }
}
