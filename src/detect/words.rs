//! Words of which one is in each log that a rule matches, so that a store can leave out most logs.

use std::collections::BTreeSet;

use super::event::CORE_NAMES;
use super::literal;
use super::routes;
use super::sigma::SigmaRule;
use super::sigma::expression::{Condition, Expression, Test};
use crate::models::{LogSource, longest_word};

/// Holds the least length of a word. Shorter ones are in most logs.
const LEAST: usize = 4;

impl SigmaRule {
    /// Returns words of ASCII letters and digits of which one is in each log that the rule matches, in any letter case;
    /// `None` if there are no such words.
    pub(in crate::detect) fn words(&self) -> Option<BTreeSet<String>> {
        words(&self.detection, &self.log_source)
    }
}

fn words(expression: &Expression, source: &LogSource) -> Option<BTreeSet<String>> {
    match expression {
        // Fewer and longer words are in fewer logs.
        Expression::All(parts) => {
            let choices = parts.iter().filter_map(|part| words(part, source));
            let shortest = |words: &BTreeSet<String>| words.iter().map(String::len).min();
            choices.max_by_key(|words| (shortest(words), std::cmp::Reverse(words.len())))
        }
        Expression::Any(parts) => {
            let all: Option<Vec<_>> = parts.iter().map(|part| words(part, source)).collect();
            Some(all?.into_iter().flatten().collect())
        }
        Expression::Not(_) => None,
        Expression::Condition(condition) => Some(BTreeSet::from([word(condition, source)?])),
    }
}

fn word(condition: &Condition, source: &LogSource) -> Option<String> {
    let names = condition
        .field
        .iter()
        .flat_map(|field| routes::names_of(field, source));
    // A format may give these fields values that no text of the log holds.
    let may_be_given = names.into_iter().any(|name| CORE_NAMES.contains(&name.as_str()));
    let text = match &condition.test {
        _ if may_be_given => return None,
        Test::Text { glob, .. } => glob.longest_text()?.to_lowercase(),
        Test::Regex(pattern) => literal::required(pattern)?,
        _ => return None,
    };
    let word = longest_word(&text)?;
    (word.len() >= LEAST).then(|| word.to_owned())
}
