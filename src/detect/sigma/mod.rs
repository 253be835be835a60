//! Rules in Sigma's language, as its specification 2.1 has it.
//!
//! See the [specification](https://github.com/SigmaHQ/sigma-specification).

mod about;
mod condition;
mod correlation;
pub(crate) mod expression;
mod expressions;
pub(crate) mod glob;
mod modifier;
mod rule;
mod yaml;

use serde_json::{Map, Value};

pub use about::About;
pub(crate) use about::text;
pub use correlation::{Correlation, CorrelationKind};
pub(crate) use modifier::{Placeholders, REGEX_SIZE};
pub use rule::{SigmaFilter, SigmaRule};
pub use yaml::{YamlDocument, read_yaml};

/// Holds one document of Sigma.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Document {
    /// Looks for single events.
    Rule(SigmaRule),
    /// Looks for several events of rules that belong together.
    Correlation(Correlation),
    /// Narrows other rules.
    Filter(SigmaFilter),
}

/// Says why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct Refusal {
    /// Holds the line of the text at which the fault is, from 1, as far as it is known.
    pub line: Option<usize>,
    /// Says what is wrong, and what to do.
    pub reason: String,
    /// Holds a text of the faulty place, to find its line.
    pub(crate) place: Option<String>,
}

impl Refusal {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            line: None,
            reason: reason.into(),
            place: None,
        }
    }

    /// Says at which key the fault is.
    pub(crate) fn at(key: &str, reason: impl Into<String>) -> Self {
        Self {
            place: Some(key.into()),
            ..Self::new(reason)
        }
    }
}

impl Document {
    /// Reads a document. `placeholders` gives the values of names such as `Servers` for the modifier `expand`.
    ///
    /// ```
    /// use logstore::detect::{Document, read_yaml};
    ///
    /// let text = "
    /// title: Shadow file read
    /// logsource: {product: linux, service: auditd}
    /// detection:
    ///   selection: {name: /etc/shadow}
    ///   condition: selection
    /// level: high
    /// ";
    /// let value = read_yaml(text).remove(0)?.value;
    /// let document = Document::from_json(&value, &|_| None)?;
    /// assert_eq!(document.about().title, "Shadow file read");
    /// # Ok::<(), logstore::detect::Refusal>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it is none of the three kinds, or cannot be used.
    pub fn from_json(value: &Value, placeholders: &Placeholders<'_>) -> Result<Self, Refusal> {
        let Value::Object(members) = value else {
            return Err(Refusal::new(
                "a rule is a map of title, logsource, detection and others",
            ));
        };
        if members.contains_key("action") {
            let reason = "action belongs to an older language, which this program does not read: repeat in each rule \
                          what they share";
            return Err(Refusal::at("action", reason));
        }
        refuse_misspelt(members, &MEMBERS)?;
        if let Some(Value::Object(source)) = members.get("logsource") {
            refuse_misspelt(source, &["product", "category", "service", "definition"])?;
        }
        match (members.get("correlation"), members.get("filter")) {
            (Some(_), Some(_)) => Err(Refusal::at(
                "filter",
                "it is a correlation and a filter: make it two documents",
            )),
            (Some(_), None) => Correlation::from_json(members).map(Self::Correlation),
            (None, Some(_)) => SigmaFilter::from_json(members, placeholders).map(Self::Filter),
            (None, None) => SigmaRule::from_json(members, placeholders).map(Self::Rule),
        }
    }

    /// Returns what the document says about itself.
    pub fn about(&self) -> &About {
        match self {
            Self::Rule(rule) => &rule.about,
            Self::Correlation(correlation) => &correlation.about,
            Self::Filter(filter) => &filter.about,
        }
    }
}

/// Lists the members of documents that the specification names.
const MEMBERS: [&str; 23] = [
    "title",
    "id",
    "related",
    "name",
    "taxonomy",
    "status",
    "description",
    "license",
    "author",
    "references",
    "date",
    "modified",
    "logsource",
    "detection",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "correlation",
    "filter",
    "generate",
    "simulation",
];

/// Refuses a member whose name is close to a known one that is missing. Others may have members of their own.
fn refuse_misspelt(members: &Map<String, Value>, known: &[&str]) -> Result<(), Refusal> {
    for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
        let is_meant =
            |known: &&&str| !members.contains_key(**known) && strsim::damerau_levenshtein(known, name) <= 1;
        let meant = known.iter().find(is_meant);
        if let Some(meant) = meant {
            return Err(Refusal::at(
                name,
                format!("{name:?} is no member of a rule: did you mean {meant}?"),
            ));
        }
    }
    Ok(())
}
