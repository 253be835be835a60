//! The formats that an ingest knows, for programs that list, check and add some.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::formats::library::{Definition, Library};
use crate::models::LogSource;

/// Holds definitions of formats: those of this crate, and those of a folder.
///
/// A library stays in memory until the process ends, as its logs refer to it. A copy costs nothing.
///
/// ```
/// use logstore::ingest::FormatLibrary;
///
/// let library = FormatLibrary::built_in();
/// assert!(library.formats().any(|format| format.name == "cef"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct FormatLibrary(pub(super) &'static Library);

impl Default for FormatLibrary {
    fn default() -> Self {
        Self::built_in()
    }
}

/// Describes a format of a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Format {
    /// Names the format, as [`LogEntry::source_type`](crate::LogEntry::source_type) does.
    pub name: String,
    /// Counts the meanings that the format has had.
    pub version: u32,
    /// Names the product that writes such logs.
    pub title: String,
    /// Names how a text is taken apart.
    pub structure: &'static str,
    /// Names the product as the Sigma specification does.
    pub product: Option<String>,
    /// Names the category as the Sigma specification does.
    pub category: Option<String>,
    /// Names the service as the Sigma specification does.
    pub service: Option<String>,
    /// Names the fields that the definition fills itself.
    pub fields: Vec<&'static str>,
}

impl From<&Definition> for Format {
    fn from(definition: &Definition) -> Self {
        let LogSource {
            product,
            category,
            service,
        } = definition.logsource.clone();
        Self {
            name: definition.name.clone(),
            version: definition.version,
            title: definition.title.clone(),
            structure: definition.structure.as_str(),
            product,
            category,
            service,
            fields: definition.filled_fields(),
        }
    }
}

/// Says why a definition of a format cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the format {path:?}: {reason}")]
pub struct FormatError {
    /// Names the file or folder.
    pub path: PathBuf,
    /// Says what is wrong with it.
    pub reason: String,
}

impl FormatLibrary {
    /// Returns the formats of this crate.
    pub fn built_in() -> Self {
        Self(Library::built_in())
    }

    /// Returns the log sources that the formats give their logs.
    pub fn log_sources(self) -> BTreeSet<LogSource> {
        let definitions = self.0.definitions();
        let sources = definitions.flat_map(|definition| {
            let cases = definition.cases.iter().filter_map(|case| case.logsource.as_ref());
            [&definition.logsource].into_iter().chain(cases)
        });
        sources
            .filter(|source| **source != LogSource::default())
            .cloned()
            .collect()
    }

    /// Adds the files `*.toml` of a folder. A format of the folder comes before those that are built in, and one of the
    /// same name replaces it.
    ///
    /// # Errors
    ///
    /// If the folder or a file cannot be read, a file is no definition, or two files define one name.
    pub fn with_folder(folder: &Path) -> Result<Self, FormatError> {
        let failed = |reason: String| FormatError {
            path: folder.to_owned(),
            reason,
        };
        let mut own: Vec<Definition> = Vec::new();
        let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
        for path in definition_files(folder)? {
            let definition = definition(&path)?;
            if let Some(first) = files.insert(definition.name.clone(), path.clone()) {
                let reason = format!("{first:?} has the name {:?} too: rename one", definition.name);
                return Err(FormatError { path, reason });
            }
            own.push(definition);
        }
        library_with(own)
            .map(|library| Self(Box::leak(Box::new(library))))
            .map_err(failed)
    }

    /// Iterates over the formats.
    pub fn formats(self) -> impl Iterator<Item = Format> {
        self.0.definitions().map(Format::from)
    }

    /// Adds the definition of one file, as [`with_folder`](Self::with_folder) adds many.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no definition.
    pub fn with_file(path: &Path) -> Result<Self, FormatError> {
        let library = library_with(vec![definition(path)?]).map_err(|reason| FormatError {
            path: path.to_owned(),
            reason,
        })?;
        Ok(Self(Box::leak(Box::new(library))))
    }
}

/// Lists the files `*.toml` of a folder by name.
pub(super) fn definition_files(folder: &Path) -> Result<Vec<PathBuf>, FormatError> {
    let failed = |error: std::io::Error| FormatError {
        path: folder.to_owned(),
        reason: error.to_string(),
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads the file of a definition.
pub(super) fn definition(path: &Path) -> Result<Definition, FormatError> {
    let failed = |reason: String| FormatError {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let definition: Definition = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
    definition.check().map_err(failed)?;
    Ok(definition)
}

/// Returns the definitions of a user, and those built in whose names they do not have.
fn library_with(own: Vec<Definition>) -> Result<Library, String> {
    let others = Library::built_in().definitions();
    let others: Vec<_> = others
        .filter(|built_in| !own.iter().any(|definition| definition.name == built_in.name))
        .cloned()
        .collect();
    Library::new(own.into_iter().chain(others).collect())
}
