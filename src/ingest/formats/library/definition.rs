//! The definition of a format, as its file holds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::structure::Structure;

/// Describes a format: how it is known, how it is taken apart, and which of its members are which fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Definition {
    /// Names the format as its file does.
    pub(crate) name: String,
    pub(crate) version: u32,
    /// Names the product that writes such logs.
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) logsource: LogSource,
    pub(crate) structure: Structure,
    /// Says that the format reads only what no other claims.
    #[serde(default, rename = "fallback")]
    pub(crate) is_fallback: bool,
    /// Holds the texts around and between the members of `key_value` and `delimited`.
    #[serde(default)]
    pub(crate) layout: Layout,
    #[serde(default)]
    pub(crate) recognise: Recognise,
    /// Lists where the time is, best first: one name, or several names of its parts with spaces between them.
    #[serde(default)]
    pub(crate) time: Vec<String>,
    /// Lists for each field the members that may hold it, best first.
    #[serde(default)]
    pub(crate) fields: BTreeMap<Field, Names>,
    /// Says for a field which values of members mean which of its own.
    #[serde(default)]
    pub(crate) values: BTreeMap<Field, Values>,
    /// Lists the forms of a message, most telling first.
    #[serde(default, rename = "pattern")]
    pub(crate) patterns: Vec<PatternText>,
    /// Lists changes for some events of the format. Each that applies wins over those before it.
    #[serde(default, rename = "case")]
    pub(crate) cases: Vec<Case>,
    /// Holds lines and the fields that they give. A program has none: the tests read them from the file.
    #[serde(default, rename = "sample")]
    pub(crate) samples: Vec<Sample>,
    /// Holds name and version, such as `cef/1`.
    #[serde(skip)]
    pub(crate) label: String,
}

impl Definition {
    /// Returns the name and the version of the format.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }
}

/// Names the source of logs as the Sigma specification does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSource {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) product: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
}

impl LogSource {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

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
}

/// Says how a format is known. All that is given must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recognise {
    /// Lists programs that write it, without their folder; a `*` at the end stands for any rest.
    #[serde(default)]
    pub(crate) program: Vec<String>,
    /// Lists texts of which the message starts with one.
    #[serde(default)]
    pub(crate) starts: Vec<String>,
    /// Lists texts that are all in the message.
    #[serde(default)]
    pub(crate) contains: Vec<String>,
    /// Lists names of members that are all there. A dot means a nested object.
    #[serde(default)]
    pub(crate) keys: Vec<String>,
    /// Lists names of members of which one is there.
    #[serde(default)]
    pub(crate) any_key: Vec<String>,
    /// Lists for members the values of which each has one; a `*` at either end stands for any text.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, Vec<String>>,
}

/// Names a field that a definition can fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Field {
    SourceIp,
    SourcePort,
    DestIp,
    DestPort,
    User,
    Process,
    Action,
    Outcome,
    Level,
    Host,
    Program,
    Pid,
    Message,
}

impl Field {
    pub(crate) const ALL: [Self; 13] = [
        Self::SourceIp,
        Self::SourcePort,
        Self::DestIp,
        Self::DestPort,
        Self::User,
        Self::Process,
        Self::Action,
        Self::Outcome,
        Self::Level,
        Self::Host,
        Self::Program,
        Self::Pid,
        Self::Message,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::SourceIp => "source_ip",
            Self::SourcePort => "source_port",
            Self::DestIp => "dest_ip",
            Self::DestPort => "dest_port",
            Self::User => "user",
            Self::Process => "process",
            Self::Action => "action",
            Self::Outcome => "outcome",
            Self::Level => "level",
            Self::Host => "host",
            Self::Program => "program",
            Self::Pid => "pid",
            Self::Message => "message",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }
}

/// Holds one name or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

/// Says which words of members mean which value of a field.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Values {
    /// Lists the members to look at, best first.
    pub(crate) from: Names,
    /// Lists for each value of the field the words for it; a `*` at either end stands for any text.
    #[serde(flatten)]
    pub(crate) words: BTreeMap<String, Vec<String>>,
}

/// Holds a form of a message, in grok's notation. Its named parts become members.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatternText {
    #[serde(rename = "match")]
    pub(crate) text: String,
    /// Holds fields of every message that matches.
    #[serde(default)]
    pub(crate) set: BTreeMap<Field, String>,
}

/// Changes the reading of some events.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// Lists for members the values of which each has one.
    pub(crate) when: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(crate) set: BTreeMap<Field, String>,
    #[serde(default)]
    pub(crate) fields: BTreeMap<Field, Names>,
    /// Lists fields that stay empty.
    #[serde(default)]
    pub(crate) empty: Vec<Field>,
}

/// Holds a line as a source writes it, and the fields that it gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    pub(crate) line: String,
    /// Holds the fields by the names of the columns; an empty text means an empty field.
    pub(crate) gives: BTreeMap<String, String>,
}
