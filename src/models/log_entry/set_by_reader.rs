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
            .get_or_insert_with(|| Found::in_objects([&self.normalized, &self.metadata]));
        if found.has(role, value.as_ref()) {
            return;
        }
        found.set(role, value.clone());
        let json = value.map_or(Json::Null, values::Value::into_json);
        match self.metadata.get_mut(FIELDS) {
            Some(Json::Object(set)) => set.insert(column, json),
            _ => {
                let mut set = Members::default();
                set.insert(column, json);
                self.metadata.insert(FIELDS, set);
            }
        }
    }

    /// Says which definition read the log, with its version, such as `fortigate/1`.
    pub(crate) fn set_format(&mut self, definition: impl Into<Cow<'a, str>>) {
        self.note(FORMAT, definition.into());
    }

    /// Says what kind of source wrote the log.
    pub(crate) fn set_log_source(&mut self, source: &'a LogSource) {
        let parts = [
            ("product", &source.product),
            ("category", &source.category),
            ("service", &source.service),
        ];
        let mut members = Members::default();
        for (name, part) in parts {
            if let Some(part) = part {
                members.insert(name, part.as_str());
            }
        }
        if !members.is_empty() {
            self.note(LOGSOURCE, members);
        }
    }
}
