//! Files of rules, read into rules that a store keeps, each with a verdict.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::definition::{IMPORT, SIGMA};
use super::sigma::{Document, Placeholders, Refusal, read_yaml, text};
use super::{fields, routes};
use crate::models::{DetectionRule, LogSource};

/// Says what is to be expected of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Means that the rule is applied.
    Works,
    /// Means that the rule cannot be applied, and why.
    Refused(String),
    /// Means that no known log has the rule's log source.
    NeverRouted(String),
    /// Means that the rule needs a field that no log of its log source has.
    NeverMatches(String),
}

impl Verdict {
    /// Returns the verdict in one word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Refused(_) => "refused",
            Self::NeverRouted(_) => "never_routed",
            Self::NeverMatches(_) => "never_matches",
        }
    }

    /// Returns why the rule is not applied, or finds nothing.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Works => None,
            Self::Refused(reason) | Self::NeverRouted(reason) | Self::NeverMatches(reason) => Some(reason),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Holds what one document of a file is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReadRule {
    /// Holds the rule as a store keeps it; `None` if the document is no rule at all.
    pub rule: Option<DetectionRule>,
    /// Says what is to be expected of it.
    pub verdict: Verdict,
    /// Holds a sentence for each field that no log of the rule's log source has, if the rule matches without it.
    pub warnings: Vec<String>,
    /// Holds the line at which the rule begins, or at which its fault is, from 1.
    pub line: Option<usize>,
}

/// Reads the rules of one file: documents of YAML or of JSON. `file` is its name. `formats` are the log sources of the
/// logs that a store may hold, as [`FormatLibrary::log_sources`](crate::ingest::FormatLibrary::log_sources) gives them.
///
/// A rule without an id gets one that is made of its file and title.
pub fn read_rules(
    file: &str,
    text: impl AsRef<[u8]>,
    formats: &BTreeSet<LogSource>,
    placeholders: &Placeholders<'_>,
) -> Vec<ReadRule> {
    let Ok(text) = std::str::from_utf8(text.as_ref()) else {
        return vec![ReadRule::refused(None, "the file is not UTF-8".to_owned())];
    };
    let documents = read_yaml(text).into_iter();
    documents
        .map(|document| match document {
            Ok(document) => {
                let read = Document::from_json(&document.value, placeholders);
                let (verdict, warnings, line) = match read {
                    Ok(read) => {
                        let (verdict, warnings) = verdict(&read, formats);
                        (verdict, warnings, None)
                    }
                    Err(refusal) => {
                        let refusal = document.locate(refusal);
                        (Verdict::Refused(refusal.reason), Vec::new(), refusal.line)
                    }
                };
                let rule = stored(file, document.value.clone(), &verdict);
                ReadRule {
                    rule,
                    verdict,
                    warnings,
                    line: line.or(Some(document.first_line())),
                }
            }
            Err(Refusal { line, reason, .. }) => ReadRule::refused(line, reason),
        })
        .collect()
}

impl ReadRule {
    /// Describes a document that is no rule at all.
    fn refused(line: Option<usize>, reason: String) -> Self {
        Self {
            rule: None,
            verdict: Verdict::Refused(reason),
            warnings: Vec::new(),
            line,
        }
    }

    /// Returns whether there is a rule that was not refused.
    pub(super) fn is_usable(&self) -> bool {
        self.rule.is_some() && !matches!(self.verdict, Verdict::Refused(_))
    }

    /// Returns whether the rule is a correlation or a filter, which name other rules.
    pub(super) fn names_rules(&self) -> bool {
        let definition = self.rule.as_ref().map(|rule| &rule.rule_definition);
        definition.is_some_and(|definition| {
            definition.get("correlation").is_some() || definition.get("filter").is_some()
        })
    }

    pub(super) fn set_verdict(&mut self, verdict: Verdict) {
        if let Some(rule) = &mut self.rule {
            note_verdict(&mut rule.rule_definition, &verdict);
        }
        self.verdict = verdict;
    }
}

/// Notes the verdict of the import in a definition that has a note of it.
fn note_verdict(definition: &mut Value, verdict: &Verdict) {
    let Some(import) = definition.get_mut(IMPORT).and_then(Value::as_object_mut) else {
        return;
    };
    import.insert("verdict".into(), verdict.as_str().into());
    match verdict.reason() {
        Some(reason) => drop(import.insert("reason".into(), reason.into())),
        None => drop(import.remove("reason")),
    }
}

/// Returns the verdict, and sentences about what a rule asks for in vain.
pub(super) fn verdict(document: &Document, formats: &BTreeSet<LogSource>) -> (Verdict, Vec<String>) {
    let Document::Rule(rule) = document else {
        return (Verdict::Works, Vec::new());
    };
    let source = &rule.log_source;
    if !routes::is_fed(source, formats) {
        let reason = format!("no format gives logs the log source {source}");
        return (Verdict::NeverRouted(reason), Vec::new());
    }
    let check = fields::check(rule);
    match check.never_matches {
        true => (Verdict::NeverMatches(check.faults.join("; ")), Vec::new()),
        false => (Verdict::Works, check.faults),
    }
}

/// Returns the rule as a store keeps it; `None` if it has no title.
fn stored(file: &str, mut definition: Value, verdict: &Verdict) -> Option<DetectionRule> {
    let members = definition.as_object_mut()?;
    let title = text(members, "title").ok()??;
    let id = match members.get("id") {
        Some(Value::String(id)) if !id.trim().is_empty() => id.clone(),
        _ => Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{file}#{title}").as_bytes()).to_string(),
    };
    members.insert(IMPORT.into(), json!({"file": file}));
    note_verdict(&mut definition, verdict);
    Some(DetectionRule::new(title, SIGMA, definition).with_id(id))
}
