//! The definition of a format, as its file holds it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::grok::Pattern;
use super::layout::Layout;
use super::structure::Structure;
use crate::models::{FormatNote, LogSource, Role};

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
    /// Gives a name of its own to members that differ between the forms of the format, best first.
    #[serde(default)]
    pub(crate) names: BTreeMap<String, Vec<String>>,
    /// Lists objects whose members count as members of the whole.
    #[serde(default)]
    pub(crate) inside: Vec<String>,
    /// Lists where the time is, best first: one name, or several names of its parts with spaces between them.
    #[serde(default)]
    pub(crate) time: Vec<String>,
    /// Lists the members of times that are in UTC though they name no zone.
    #[serde(default)]
    pub(crate) utc: Vec<String>,
    /// Lists for each field the members that may hold it, best first.
    #[serde(default)]
    pub(crate) fields: BTreeMap<Field, Names>,
    /// Says for a field which values of members mean which of its own.
    #[serde(default)]
    pub(crate) values: BTreeMap<Field, Values>,
    /// Holds the pattern of what is before the forms of a message. Its part `rest` is matched by them.
    #[serde(default)]
    pub(crate) head: Option<String>,
    /// Lists the forms of a message, most telling first.
    #[serde(default, rename = "pattern")]
    pub(crate) patterns: Vec<PatternText>,
    /// Lists changes for some events of the format. Each that applies wins over those before it.
    #[serde(default, rename = "case")]
    pub(crate) cases: Vec<Case>,
    /// Holds lines and the fields that they give. A program has none: the tests read them from the file.
    #[serde(default, rename = "sample")]
    pub(crate) samples: Vec<Sample>,
    /// Holds what each log says of the format.
    #[serde(skip)]
    pub(crate) note: FormatNote,
}

impl Definition {
    /// Returns the name and the version of the format, such as `cef/1`.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.name, self.version)
    }

    /// Makes what logs say of the format.
    pub(super) fn write_notes(&mut self) {
        let label = self.label();
        for case in &mut self.cases {
            let source = case.logsource.clone();
            case.note = source.map(|source| FormatNote::new(label.clone(), source));
        }
        self.note = FormatNote::new(label, self.logsource.clone());
    }

    /// Returns the names of the fields that the definition fills itself.
    pub(crate) fn filled_fields(&self) -> Vec<&'static str> {
        let of_cases = self
            .cases
            .iter()
            .flat_map(|case| case.fields.keys().chain(case.set.keys()));
        let of_patterns = self.patterns.iter().flat_map(|pattern| pattern.set.keys());
        let named = self
            .fields
            .keys()
            .chain(self.values.keys())
            .chain(of_cases)
            .chain(of_patterns);
        let mut fields: BTreeSet<Field> = named.copied().collect();
        let texts = || {
            self.patterns
                .iter()
                .map(|pattern| &pattern.text)
                .chain(&self.head)
        };
        let is_part = |field: &Field| {
            let parts = [
                format!(":{}}}", field.as_str()),
                format!("(?<{}>", field.as_str()),
            ];
            texts().any(|text| parts.iter().any(|part| text.contains(part)))
        };
        fields.extend(Field::ALL.into_iter().filter(is_part));
        fields.into_iter().map(Field::as_str).collect()
    }

    /// Says what no file may say, though its types allow it.
    ///
    /// # Errors
    ///
    /// If the format could never be recognised, or a pattern is no pattern.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(is_name) {
            return Err(format!(
                "the name {:?} is not of lower-case letters, digits and -",
                self.name
            ));
        }
        let known = &self.recognise;
        let is_by_hand = matches!(
            self.structure,
            Structure::Login | Structure::AccessLog | Structure::ErrorLog
        );
        let is_known = is_by_hand
            || !known.program.is_empty()
            || !known.starts.is_empty()
            || !known.one_of.is_empty()
            || !known.contains.is_empty()
            || self.structure == Structure::Json
                && !(known.keys.is_empty() && known.any_key.is_empty() && known.values.is_empty());
        if !is_known && !self.is_fallback {
            return Err("nothing in [recognise] tells its texts: name program, starts, one_of or contains, or the keys of an object".to_owned());
        }
        let texts = self.patterns.iter().map(|pattern| &pattern.text);
        for text in texts.chain(&self.head) {
            let compiled = Pattern::new(text).and_then(|compiled| compiled.check());
            compiled.map_err(|error| format!("the pattern {text:?}: {error}"))?;
        }
        Ok(())
    }
}

/// Says how a format is known. All that is given must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recognise {
    /// Lists programs that write it, without their folder; a `*` at the end stands for any rest. An empty text is a
    /// line without a program.
    #[serde(default)]
    pub(crate) program: Vec<String>,
    /// Says that programs which other formats name write it as well, as they do what a library of theirs says.
    #[serde(default)]
    pub(crate) any_program: bool,
    /// Lists texts of which one is in the message. With `program`, only where the header names no program.
    #[serde(default)]
    pub(crate) one_of: Vec<String>,
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
    /// Lists names of members that are not there: another format has them.
    #[serde(default)]
    pub(crate) absent: Vec<String>,
    /// Lists for members the values of which each has one; a `*` at either end stands for any text.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, Vec<String>>,
}

impl Recognise {
    /// Returns whether nothing but the program tells the format.
    pub(crate) fn is_program_alone(&self) -> bool {
        self.starts.is_empty()
            && self.contains.is_empty()
            && self.keys.is_empty()
            && self.any_key.is_empty()
            && self.values.is_empty()
    }
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

    /// Returns the role of the field in the summary of a log; `None` for host, program, process id and message.
    pub(crate) const fn role(self) -> Option<Role> {
        Some(match self {
            Self::SourceIp => Role::SourceIp,
            Self::SourcePort => Role::SourcePort,
            Self::DestIp => Role::DestIp,
            Self::DestPort => Role::DestPort,
            Self::User => Role::User,
            Self::Process => Role::Process,
            Self::Action => Role::Action,
            Self::Outcome => Role::Outcome,
            Self::Level => Role::Level,
            Self::Host | Self::Program | Self::Pid | Self::Message => return None,
        })
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
    /// Names the member whose text it takes apart. Its parts are members then, whatever their names.
    pub(crate) of: Option<String>,
    /// Lists for parts of the head the values of which each has one, where the pattern is for some of them only.
    #[serde(default)]
    pub(crate) only: BTreeMap<String, Vec<String>>,
    /// Lists texts that are in the message once. Where a client may have written one more, the pattern does not match.
    #[serde(default)]
    pub(crate) once: Vec<String>,
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
    /// Names the source of these events where it is another one.
    pub(crate) logsource: Option<LogSource>,
    /// Holds what each of these events says of the format.
    #[serde(skip)]
    pub(crate) note: Option<FormatNote>,
    /// Lists where the time of these events is, where it is not where others have it.
    #[serde(default)]
    pub(crate) time: Vec<String>,
}

/// Holds a line as a source writes it, and the fields that it gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    pub(crate) line: String,
    /// Holds the fields by the names of the columns; an empty text means an empty field.
    pub(crate) gives: BTreeMap<String, String>,
}
