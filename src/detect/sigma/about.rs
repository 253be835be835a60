//! The parts of a rule that say what it is, and for which logs.

use serde_json::{Map, Value};

use super::Refusal;
use crate::models::{LogSource, Severity};

/// Holds what a document says about itself. Every part but the title may be missing.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct About {
    /// Identifies the rule, usually a UUID.
    pub id: Option<String>,
    /// Names the rule for correlations.
    pub name: Option<String>,
    /// Says in a few words what the rule looks for.
    pub title: String,
    /// Says how mature the rule is, such as `stable` or `experimental`.
    pub status: Option<String>,
    /// Says how serious a match is.
    pub level: Option<Severity>,
    /// Describes the activity that the rule looks for.
    pub description: Option<String>,
    /// Names the authors.
    pub author: Option<String>,
    /// Holds tags such as `attack.t1059.001`.
    pub tags: Vec<String>,
    /// Holds the addresses of texts about the activity.
    pub references: Vec<String>,
    /// Lists known causes of false matches.
    pub false_positives: Vec<String>,
}

impl About {
    pub(super) fn from_json(members: &Map<String, Value>) -> Result<Self, Refusal> {
        let title = text(members, "title")?.unwrap_or_default();
        if title.trim().is_empty() {
            return Err(Refusal::at("title", "the rule has no title"));
        }
        let level = match text(members, "level")? {
            None => None,
            Some(level) => {
                let severity = level.parse::<Severity>();
                Some(severity.map_err(|invalid| Refusal::at("level", invalid.to_string()))?)
            }
        };
        Ok(Self {
            id: text(members, "id")?,
            name: text(members, "name")?,
            title,
            status: text(members, "status")?,
            level,
            description: text(members, "description")?,
            author: text(members, "author")?,
            tags: texts(members, "tags"),
            references: texts(members, "references"),
            false_positives: texts(members, "falsepositives"),
        })
    }

    /// Returns how serious a match is: medium if the document does not say.
    pub fn severity(&self) -> Severity {
        self.level.unwrap_or(Severity::Medium)
    }
}

/// Returns a member that is a text or a number.
pub(crate) fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(Refusal::at(name, format!("{name} is a text"))),
    }
}

/// Returns the texts of a member that is a text or a list of texts. Other values are of no use and left out.
pub(super) fn texts(members: &Map<String, Value>, name: &str) -> Vec<String> {
    let list = match members.get(name) {
        Some(Value::Array(list)) => list.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    let texts = list.iter().filter_map(|value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    texts.collect()
}

/// Reads the log source that a rule names.
pub(super) fn log_source(members: &Map<String, Value>) -> Result<LogSource, Refusal> {
    let Some(Value::Object(source)) = members.get("logsource") else {
        let reason = "the rule names no log source: give logsource a product, category or service";
        return Err(Refusal::at("logsource", reason));
    };
    let part = |name| text(source, name).map(|part| part.map(|part| part.to_lowercase()));
    let source = LogSource {
        product: part("product")?,
        category: part("category")?,
        service: part("service")?,
    };
    match source == LogSource::default() {
        true => Err(Refusal::at(
            "logsource",
            "the log source has no product, category or service",
        )),
        false => Ok(source),
    }
}
