//! How the members of a text are written.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Describes how members are written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layout {
    /// Holds the character between members; white space if it is not given.
    pub(crate) separator: Option<char>,
    /// Holds the character between a key and its value; `=` if it is not given.
    pub(crate) assign: Option<char>,
    /// Says that a value without quotes goes on until the next key.
    #[serde(default)]
    pub(crate) spaces_in_values: bool,
    /// Names the columns of `delimited`. An empty name drops nothing: the column is kept as `column_N`.
    #[serde(default)]
    pub(crate) columns: Vec<String>,
    /// Names the columns that follow for some kinds of lines.
    #[serde(default)]
    pub(crate) more: More,
}

/// Names the columns of a line after the first ones, by a value of those.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct More {
    /// Names the column that tells the kind of a line.
    #[serde(default)]
    pub(crate) by: String,
    /// Holds for each kind the columns after the first ones.
    #[serde(default)]
    pub(crate) columns: BTreeMap<String, Vec<String>>,
}
