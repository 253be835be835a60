//! The meaning of conditions: what the compiled form of rules must agree with, and how a rule is explained.

use std::borrow::Cow;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

use super::event::{Event, Leaf, Scalar};
use super::routes;
use super::sigma::expression::{Case, Condition, Expression, Test, TimePart};
use crate::models::{LogSource, TimeContext, address, parse_time};

impl Expression {
    /// Returns whether an event has what the expression asks for. `source` says what the fields are called.
    pub(crate) fn holds(&self, event: &Event<'_>, source: &LogSource) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(event, source)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(event, source)),
            Self::Not(inner) => !inner.holds(event, source),
            Self::Condition(condition) => condition.holds(event, source),
        }
    }
}

impl Condition {
    /// Returns whether an event has what the condition asks for.
    pub(crate) fn holds(&self, event: &Event<'_>, source: &LogSource) -> bool {
        let Some(field) = &self.field else {
            return event.written_values().any(|value| self.test.holds_for(&value));
        };
        let values = values(event, field, source);
        match &self.test {
            Test::Exists => !values.is_empty(),
            Test::Null => values.iter().all(|leaf| leaf.value == Scalar::Null),
            Test::Field { name, .. } => {
                let others = self::values(event, name, source);
                self.test.holds_between(&values, &others)
            }
            test => values.iter().any(|leaf| test.holds_for(&leaf.value)),
        }
    }
}

/// Returns the values that an event has for a field.
pub(crate) fn values<'e, 'a>(event: &'e Event<'a>, field: &str, source: &LogSource) -> Vec<&'e Leaf<'a>> {
    let names = routes::names_of(field, source);
    let is_named = |leaf: &&Leaf<'_>| names.contains(&super::event::field_key(&leaf.name));
    event.all_leaves().filter(is_named).collect()
}

impl Test {
    /// Returns whether a test holds for one value.
    pub(crate) fn holds_for(&self, value: &Scalar<'_>) -> bool {
        match self {
            Self::Text { glob, case } => value
                .to_text()
                .is_some_and(|text| glob.matches(&case.apply(&text))),
            Self::Regex(pattern) => value
                .to_text()
                .is_some_and(|text| regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(&text))),
            Self::InNetwork(network) => value
                .to_text()
                .is_some_and(|text| address::is_in_network(network, text.trim())),
            Self::Number {
                comparison,
                value: wanted,
            } => value
                .to_number()
                .is_some_and(|number| comparison.holds(number, wanted.get())),
            Self::Time {
                part,
                comparison,
                value: wanted,
            } => {
                let time = value.to_text().and_then(|text| time_of(&text));
                time.is_some_and(|time| comparison.holds(part.of(time), *wanted))
            }
            Self::Exists | Self::Null | Self::Field { .. } => false,
        }
    }

    /// Returns whether a value of one field has the relation of the test to a value of another.
    pub(crate) fn holds_between(&self, values: &[&Leaf<'_>], others: &[&Leaf<'_>]) -> bool {
        let Self::Field {
            starts, ends, case, ..
        } = self
        else {
            return false;
        };
        let related = |value: &str, other: &str| match (starts, ends) {
            (false, false) => value == other,
            (true, false) => value.starts_with(other),
            (false, true) => value.ends_with(other),
            (true, true) => value.contains(other),
        };
        let text = |leaf: &Leaf<'_>| leaf.value.to_text().map(|text| case.apply(&text).into_owned());
        values.iter().filter_map(|leaf| text(leaf)).any(|value| {
            let mut others = others.iter().filter_map(|leaf| text(leaf));
            others.any(|other| related(&value, &other))
        })
    }
}

impl Case {
    /// Folds a value if letter case does not count.
    pub(crate) fn apply(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Folded => text.to_lowercase().into(),
            Self::Exact => text.into(),
        }
    }
}

fn time_of(text: &str) -> Option<DateTime<Utc>> {
    parse_time(text.trim(), &TimeContext::new(DateTime::UNIX_EPOCH))
}

impl TimePart {
    fn of(self, time: DateTime<Utc>) -> i64 {
        match self {
            Self::Minute => time.minute().into(),
            Self::Hour => time.hour().into(),
            Self::Day => time.day().into(),
            Self::Week => time.iso_week().week().into(),
            Self::Month => time.month().into(),
            Self::Year => time.year().into(),
        }
    }
}
