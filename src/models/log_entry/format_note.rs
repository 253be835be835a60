//! The metadata that a definition gives to each log that it reads.

use super::reserved::{FORMAT, LOGSOURCE};
use crate::models::{Json, LogSource, Members};

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
