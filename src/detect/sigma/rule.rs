//! Rules on single events, and filters that narrow them.

use serde_json::{Map, Value};

use super::about::{About, log_source, texts};
use super::expression::Expression;
use super::modifier::Placeholders;
use super::{Refusal, condition, expressions, modifier};
use crate::models::LogSource;

/// Holds a rule that looks for single events.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SigmaRule {
    /// Holds what the rule says about itself.
    pub about: About,
    /// Names the kind of logs that the rule is for.
    pub log_source: LogSource,
    pub(crate) detection: Expression,
}

impl SigmaRule {
    pub(super) fn from_json(
        members: &Map<String, Value>,
        placeholders: &Placeholders<'_>,
    ) -> Result<Self, Refusal> {
        let Some(Value::Object(detection)) = members.get("detection") else {
            return Err(Refusal::at(
                "detection",
                "the rule has no detection: it needs searches and a condition",
            ));
        };
        if members.contains_key("timeframe") || detection.contains_key("timeframe") {
            let reason = "timeframe belongs to an older language: write a correlation rule with a timespan";
            return Err(Refusal::at("timeframe", reason));
        }
        Ok(Self {
            about: About::from_json(members)?,
            log_source: log_source(members)?,
            detection: self::detection(detection, placeholders)?,
        })
    }
}

impl SigmaRule {
    /// Returns the rule, narrowed by the filters that are for it.
    pub(crate) fn narrowed(mut self, filters: &[SigmaFilter]) -> Self {
        let added = filters.iter().filter(|filter| filter.applies_to(&self));
        let added: Vec<Expression> = added.map(|filter| filter.detection.clone()).collect();
        if !added.is_empty() {
            let mut parts = vec![self.detection];
            parts.extend(added);
            self.detection = Expression::All(parts);
        }
        self
    }
}

/// Holds a filter: a condition that is added to other rules.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SigmaFilter {
    /// Holds what the filter says about itself.
    pub about: About,
    /// Names the kind of logs that the filtered rules are for.
    pub log_source: LogSource,
    /// Holds the ids or names of the rules that it narrows; none stands for all rules of its log source.
    pub rules: Vec<String>,
    pub(crate) detection: Expression,
}

impl SigmaFilter {
    pub(super) fn from_json(
        members: &Map<String, Value>,
        placeholders: &Placeholders<'_>,
    ) -> Result<Self, Refusal> {
        let Some(Value::Object(filter)) = members.get("filter") else {
            return Err(Refusal::at(
                "filter",
                "a filter is a map of rules, searches and a condition",
            ));
        };
        let mut searches = filter.clone();
        searches.remove("rules");
        let rules = texts(filter, "rules");
        let is_for_all = rules.iter().any(|rule| rule == "any");
        if rules.is_empty() {
            return Err(Refusal::at(
                "filter",
                "the filter names no rules: list their ids, or say any",
            ));
        }
        Ok(Self {
            about: About::from_json(members)?,
            log_source: log_source(members)?,
            rules: if is_for_all { Vec::new() } else { rules },
            detection: detection(&searches, placeholders)?,
        })
    }

    /// Returns whether the filter narrows a rule.
    pub(crate) fn applies_to(&self, rule: &SigmaRule) -> bool {
        let names = [&rule.about.id, &rule.about.name];
        let is_named = self
            .rules
            .iter()
            .any(|wanted| names.contains(&&Some(wanted.clone())));
        (self.rules.is_empty() || is_named) && self.log_source.covers(&rule.log_source)
    }
}

/// Reads searches and the condition over them.
fn detection(members: &Map<String, Value>, placeholders: &Placeholders<'_>) -> Result<Expression, Refusal> {
    expressions::check(members)?;
    let mut searches = Vec::new();
    for (name, value) in members.iter().filter(|(name, _)| *name != "condition") {
        searches.push((name.clone(), search(name, value, placeholders)?));
    }
    let conditions = texts(members, "condition");
    if conditions.is_empty() {
        return Err(Refusal::at("detection", "the detection has no condition"));
    }
    let parts = conditions
        .iter()
        .map(|text| condition::parse(text, &searches).map_err(|reason| Refusal::at("condition", reason)));
    Ok(Expression::any(parts.collect::<Result<_, _>>()?))
}

/// Reads a search: a map of fields, a list of maps, or keywords.
fn search(name: &str, value: &Value, placeholders: &Placeholders<'_>) -> Result<Expression, Refusal> {
    match value {
        Value::Object(fields) if fields.is_empty() => {
            Err(Refusal::at(name, format!("the search {name:?} is empty")))
        }
        Value::Object(fields) => {
            let asked = fields.iter().map(|(key, values)| {
                if matches!(values, Value::Array(list) if list.is_empty()) {
                    return Err(Refusal::at(key, format!("the field {key:?} has no values")));
                }
                modifier::parse(key, values, placeholders).map_err(|reason| Refusal::at(key, reason))
            });
            Ok(Expression::all(asked.collect::<Result<_, _>>()?))
        }
        Value::Array(list) if list.is_empty() => {
            Err(Refusal::at(name, format!("the search {name:?} is empty")))
        }
        Value::Array(list) => {
            let parts = list.iter().map(|element| search(name, element, placeholders));
            Ok(Expression::any(parts.collect::<Result<_, _>>()?))
        }
        Value::Null => Err(Refusal::at(name, format!("the search {name:?} is empty"))),
        keyword => modifier::parse("", keyword, placeholders).map_err(|reason| Refusal::at(name, reason)),
    }
}
