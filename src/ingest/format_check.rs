//! Tries definitions of formats on their samples.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::format_library::{FormatError, FormatLibrary, definition, definition_files};
use super::formats::library::{Definition, Sample};
use super::options::IngestOptions;
use super::reader::LogReader;
use crate::models::{FORMAT, Field, LogEntry, TIME_SOURCE};

/// 2026-12-31T00:00:00Z.
const END_OF_2026: i64 = 1_798_675_200;

impl FormatLibrary {
    /// Reads the file of a definition, and returns what is wrong with its samples: nothing if each gives what it says.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no definition.
    pub fn check(path: &Path) -> Result<Vec<String>, FormatError> {
        let definition = definition(path)?;
        let library = Self::with_file(path)?;
        Ok(library.problems(&definition))
    }

    /// Lists the files of definitions of a folder, in the order of their names; a file is its own list.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn files(path: &Path) -> Result<Vec<PathBuf>, FormatError> {
        match path.is_dir() {
            true => definition_files(path),
            false => Ok(vec![path.to_owned()]),
        }
    }

    /// Returns the text of a log that no pattern of its format takes apart; `None` for formats without patterns.
    pub fn unmatched(self, log: &LogEntry) -> Option<&str> {
        self.0.unmatched(self.format_of(log)?, log.message.as_ref()?)
    }

    /// Returns the name of the format that read a log.
    pub fn format_of(self, log: &LogEntry) -> Option<&str> {
        let label = log.metadata.get(FORMAT)?.as_str()?;
        label.rsplit_once('/').map(|(name, _)| name)
    }

    /// Describes each sample of a definition that does not give what it says.
    pub(crate) fn problems(self, definition: &Definition) -> Vec<String> {
        if definition.samples.is_empty() {
            return vec!["there is no [[sample]]: write at least one line and what it gives".to_owned()];
        }
        let problems = definition
            .samples
            .iter()
            .map(|sample| self.problems_of(definition, sample));
        problems.flatten().collect()
    }

    fn problems_of(self, definition: &Definition, sample: &Sample) -> Vec<String> {
        let logs = self.read(&sample.line);
        let [log] = &logs[..] else {
            return vec![format!("{} logs, not one, of {}", logs.len(), sample.line)];
        };
        let mut problems = Vec::new();
        let label = log.metadata.get(FORMAT).and_then(|label| label.as_str());
        if label != Some(definition.label().as_str()) {
            let reader = label.map_or("no format".to_owned(), |label| format!("the format {label}"));
            problems.push(format!("{reader} reads {}", sample.line));
        }
        let before = problems.len();
        for (name, given) in &sample.gives {
            let found = field_of(log, name);
            if !is_given(name, found.as_deref(), given) {
                let found = found.map_or("empty".to_owned(), |found| format!("{found:?}"));
                problems.push(format!("{name} is {found}, not {given:?}, of {}", sample.line));
            }
        }
        if problems.len() > before
            && let Some(rest) = self.unmatched(log)
        {
            problems.push(format!("no [[pattern]] matches {rest:?}"));
        }
        problems
    }

    /// Reads a text as a file that was modified at the end of 2026, so that it gives the same in later years.
    pub fn read(self, text: &str) -> Vec<LogEntry> {
        let reference = DateTime::from_timestamp(END_OF_2026, 0).unwrap_or_else(Utc::now);
        let options = IngestOptions::new().with_reference(reference).with_formats(self);
        let logs = LogReader::new(Cursor::new(text.to_owned()), &options);
        logs.filter_map(Result::ok).collect()
    }
}

/// Returns a field of a log by the name of its column, or a member of `normalized`. A time of another line is none.
fn field_of(log: &LogEntry, name: &str) -> Option<String> {
    if name == "event_time" && log.metadata.contains_key(TIME_SOURCE) {
        return None;
    }
    // A definition calls these as its fields do.
    let name = match name {
        "program" => "appname",
        "pid" => "procid",
        name => name,
    };
    let field: Field = name.parse().ok()?;
    field.text_in(log).map(Cow::into_owned)
}

fn is_given(name: &str, found: Option<&str>, given: &str) -> bool {
    let moment = |text: &str| text.parse::<DateTime<Utc>>().ok();
    match found {
        None => given.is_empty(),
        Some(found) if name == "event_time" => moment(found).is_some() && moment(found) == moment(given),
        Some(found) => found == given,
    }
}
