//! Why a rule matches an event, or why it does not.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use super::event::Event;
use super::meaning;
use super::sigma::SigmaRule;
use super::sigma::expression::{Comparison, Condition, Expression, Test, TimePart};
use crate::models::LogSource;

/// Holds one question of a rule, with its answer for an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Answer {
    /// Says how deeply the question is nested in the rule.
    pub depth: usize,
    /// Says whether it holds.
    pub holds: bool,
    /// Says what is asked: `all of`, `any of`, `not`, or a condition.
    pub question: String,
    /// Holds the values that the event has for the field.
    pub values: Vec<String>,
}

impl SigmaRule {
    /// Answers all questions of the rule for an event, the outermost one first.
    ///
    /// ```
    /// use logstore::detect::{Document, Event, read_yaml};
    ///
    /// let text = "
    /// title: Shadow file read
    /// logsource: {product: linux, service: auditd}
    /// detection:
    ///   selection: {name|endswith: /shadow, success: 'yes'}
    ///   condition: selection
    /// ";
    /// let Document::Rule(rule) = Document::from_json(&read_yaml(text).remove(0)?.value, &|_| None)? else {
    ///     panic!("it is a rule")
    /// };
    /// let answers = rule.explain(&Event::default().with("name", "/etc/shadow").with("success", "no"));
    /// let texts: Vec<(bool, &str)> = answers.iter().map(|answer| (answer.holds, &*answer.question)).collect();
    /// assert_eq!(texts, [(false, "all of"), (true, "name like */shadow"), (false, "success like yes")]);
    /// # Ok::<(), logstore::detect::Refusal>(())
    /// ```
    pub fn explain(&self, event: &Event<'_>) -> Vec<Answer> {
        let mut answers = Vec::new();
        answer(&self.detection, event, &self.log_source, 0, &mut answers);
        answers
    }
}

fn answer(
    expression: &Expression,
    event: &Event<'_>,
    source: &LogSource,
    depth: usize,
    answers: &mut Vec<Answer>,
) {
    let (question, values) = match expression {
        Expression::All(_) => ("all of".to_owned(), Vec::new()),
        Expression::Any(_) => ("any of".to_owned(), Vec::new()),
        Expression::Not(_) => ("not".to_owned(), Vec::new()),
        Expression::Condition(condition) => (condition.to_string(), values_of(condition, event, source)),
    };
    answers.push(Answer {
        depth,
        holds: expression.holds(event, source),
        question,
        values,
    });
    match expression {
        Expression::All(parts) | Expression::Any(parts) => {
            for part in parts {
                answer(part, event, source, depth + 1, answers);
            }
        }
        Expression::Not(inner) => answer(inner, event, source, depth + 1, answers),
        Expression::Condition(_) => {}
    }
}

fn values_of(condition: &Condition, event: &Event<'_>, source: &LogSource) -> Vec<String> {
    let Some(field) = &condition.field else {
        return Vec::new();
    };
    let values = meaning::values(event, field, source);
    values
        .iter()
        .map(|leaf| {
            leaf.value
                .to_text()
                .map_or_else(|| "null".to_owned(), Cow::into_owned)
        })
        .collect()
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field.as_deref().unwrap_or("keyword"))?;
        match &self.test {
            Test::Text { glob, .. } => write!(f, " like {glob}"),
            Test::Regex(pattern) => write!(f, " ~ {pattern}"),
            Test::InNetwork(network) => write!(f, " in {network}"),
            Test::Number { comparison, value } => write!(f, " {comparison} {}", value.get()),
            Test::Time {
                part,
                comparison,
                value,
            } => write!(f, " {part} {comparison} {value}"),
            Test::Exists => f.write_str(" exists"),
            Test::Null => f.write_str(" is null"),
            Test::Field { name, .. } => write!(f, " like the field {name}"),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Equal => "=",
            Self::AtLeast => ">=",
            Self::Greater => ">",
        })
    }
}

impl fmt::Display for TimePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        })
    }
}
