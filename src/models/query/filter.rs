//! Conditions, combined with and, or and not.

use std::fmt;

use super::condition::{Condition, Operator};
use super::field::Field;
use crate::models::{InvalidValue, LogEntry};

/// Passes some logs: a condition, or filters combined with and, or and not.
///
/// A filter is written as text, put together from parts, or read from JSON. A field that a log does not have makes a
/// condition false and its negation true. So `user != root` finds logs without a user.
///
/// ```
/// use logstore::{Filter, LogEntry, Operator};
///
/// let filter: Filter = "user = root and (outcome = failure or level >= err)".parse()?;
/// let log = LogEntry::new(chrono::Utc::now()).with_field("user", "root").with_field("level", "crit");
/// assert!(filter.matches(&log));
///
/// let by_parts = Filter::all([
///     Filter::condition("user", Operator::equals("root"))?,
///     Filter::any([
///         Filter::condition("outcome", Operator::equals("failure"))?,
///         Filter::condition("level", Operator::GreaterOrEqual("err".into()))?,
///     ])?,
/// ])?;
/// assert_eq!(by_parts, filter);
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
///
/// Filters are kept simple: nested groups of one kind become one group, and two negations cancel each other. They are
/// bounded: a filter from outside can neither exhaust a stack nor keep a store busy for long. They nest at most 32
/// deep. They have at most 1,000 conditions, of which a pattern counts as ten.
///
/// # As text
///
/// | condition | holds if the field |
/// |---|---|
/// | `user = root`, `user != root` | has, or does not have, this value |
/// | `bytes > 900`, `<`, `<=`, `>=` | comes after it, as a number, time, address, level or text |
/// | `user in (root, admin)` | has one of these values |
/// | `source_ip in 10.0.0.0/8` | is an address of this network |
/// | `file contains secret`, `startswith`, `endswith` | holds, starts with or ends with this text |
/// | `text ~ 'port \d+'` | matches this pattern; `text` is the line, or without one the message |
/// | `user exists` | has a value |
///
/// `not` binds before `and`, and `and` before `or`; brackets group. Words are read in any letter case. An `i` after a
/// value ignores the letter case of the value: `user = root i`. A value is a word or a text in quotes. In single quotes
/// only a quote is special, and is written twice. In double quotes a backslash escapes. `true` passes every log,
/// `false` none. A filter prints as text that is read as the same filter.
#[derive(Clone)]
pub struct Filter {
    node: Node,
    depth: usize,
    /// Counts its conditions. A pattern counts as ten, and an empty group as one.
    size: usize,
}

/// Holds the parts of a filter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// Passes if every part holds.
    All(Vec<Filter>),
    /// Passes if one part holds.
    Any(Vec<Filter>),
    /// Passes if the part does not hold.
    Not(Box<Filter>),
    Condition(Box<Condition>),
}

/// Names the kinds of groups.
#[derive(Debug, Clone, Copy)]
enum Kind {
    All,
    Any,
}

/// Limits how deep filters may nest.
pub(super) const DEEPEST: usize = 32;

/// Limits the conditions of a filter.
const MOST_CONDITIONS: usize = 1_000;

impl Filter {
    /// Passes logs whose field passes an operator.
    ///
    /// # Errors
    ///
    /// If the name cannot be one of a field, or the operator does not fit it.
    pub fn condition(field: &str, operator: Operator) -> Result<Self, InvalidValue> {
        Ok(Condition::new(field.parse()?, operator)?.into())
    }

    /// Passes logs that pass all filters; every log, if there are none.
    ///
    /// # Errors
    ///
    /// If the filter becomes too deep or too large.
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Result<Self, InvalidValue> {
        Self::group(filters, Kind::All)
    }

    /// Passes logs that pass one of the filters; no log, if there are none.
    ///
    /// # Errors
    ///
    /// If the filter becomes too deep or too large.
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Result<Self, InvalidValue> {
        Self::group(filters, Kind::Any)
    }

    /// Passes the logs that this filter does not pass.
    ///
    /// # Errors
    ///
    /// If the filter becomes too deep.
    pub fn negated(self) -> Result<Self, InvalidValue> {
        match self.node {
            Node::Not(inner) => Ok(*inner),
            _ => Self {
                depth: self.depth + 1,
                size: self.size,
                node: Node::Not(Box::new(self)),
            }
            .checked(),
        }
    }

    /// Makes a group of filters, in which groups of the same kind are taken apart.
    fn group(filters: impl IntoIterator<Item = Self>, kind: Kind) -> Result<Self, InvalidValue> {
        let mut parts = Vec::new();
        let (mut depth, mut size) = (1, 0);
        for filter in filters {
            size += filter.size;
            check_size(size)?;
            match (kind, filter.node) {
                (Kind::All, Node::All(inner)) | (Kind::Any, Node::Any(inner)) => {
                    depth = depth.max(filter.depth);
                    parts.extend(inner);
                }
                (_, node) => {
                    depth = depth.max(filter.depth + 1);
                    parts.push(Self { node, ..filter });
                }
            }
        }
        match <[Self; 1]>::try_from(parts) {
            Ok([only]) => Ok(only),
            Err(parts) => Self {
                node: match kind {
                    Kind::All => Node::All(parts),
                    Kind::Any => Node::Any(parts),
                },
                depth,
                // An empty group counts as one condition, so that a filter cannot have any number of them.
                size: size.max(1),
            }
            .checked(),
        }
    }

    fn checked(self) -> Result<Self, InvalidValue> {
        match self.depth <= DEEPEST {
            true => Ok(self),
            false => Err(too_deep()),
        }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Takes apart what must all hold.
    pub(crate) fn into_all(self) -> Vec<Self> {
        match self.node {
            Node::All(parts) => parts,
            _ => vec![self],
        }
    }

    /// Says whether a log passes.
    pub fn matches(&self, log: &LogEntry) -> bool {
        match &self.node {
            Node::All(parts) => parts.iter().all(|part| part.matches(log)),
            Node::Any(parts) => parts.iter().any(|part| part.matches(log)),
            Node::Not(part) => !part.matches(log),
            Node::Condition(condition) => condition.matches(log),
        }
    }

    /// Returns the field of each condition, in the order in which they are written.
    pub fn fields(&self) -> Vec<&Field> {
        self.conditions().into_iter().map(Condition::field).collect()
    }

    /// Returns the conditions, in the order in which they are written.
    pub fn conditions(&self) -> Vec<&Condition> {
        match &self.node {
            Node::All(parts) | Node::Any(parts) => parts.iter().flat_map(Self::conditions).collect(),
            Node::Not(part) => part.conditions(),
            Node::Condition(condition) => vec![condition],
        }
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

impl Default for Filter {
    /// Passes every log.
    fn default() -> Self {
        Self {
            node: Node::All(Vec::new()),
            depth: 1,
            size: 1,
        }
    }
}

impl From<Condition> for Filter {
    fn from(condition: Condition) -> Self {
        Self {
            depth: 1,
            size: condition.size(),
            node: Node::Condition(Box::new(condition)),
        }
    }
}

pub(super) fn too_deep() -> InvalidValue {
    let reason = format!("put at most {DEEPEST} filters within one another");
    InvalidValue::new("filter", "(...)", reason)
}

fn check_size(size: usize) -> Result<(), InvalidValue> {
    match size <= MOST_CONDITIONS {
        true => Ok(()),
        false => {
            let reason = format!(
                "a filter has at most {MOST_CONDITIONS} conditions, of which a pattern counts as ten: put values of \
                 one field into a list"
            );
            Err(InvalidValue::new("filter", "... and ...", reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::query::condition::Case;

    fn user(name: &str) -> Filter {
        Filter::condition("user", Operator::equals(name)).unwrap()
    }

    #[test]
    fn groups_of_one_kind_become_one() {
        let one = Filter::all([user("a"), Filter::all([user("b"), user("c")]).unwrap()]).unwrap();
        assert_eq!(one, Filter::all(["a", "b", "c"].map(user)).unwrap());
        assert_eq!(Filter::any([user("a")]).unwrap(), user("a"));
        assert_eq!(user("a").negated().unwrap().negated().unwrap(), user("a"));
        assert_eq!(Filter::all([]).unwrap(), Filter::default());
    }

    #[test]
    fn an_empty_group_passes_all_or_none() {
        let log = LogEntry::new(chrono::Utc::now());
        assert!(Filter::all([]).unwrap().matches(&log));
        assert!(!Filter::any([]).unwrap().matches(&log));
        let none = Filter::all([Filter::default(), Filter::any([]).unwrap()]).unwrap();
        assert!(!none.matches(&log));
    }

    #[test]
    fn filters_are_bounded() {
        let mut filter = user("a");
        let deepen = |filter: Filter| Filter::all([user("b"), Filter::any([user("c"), filter])?]);
        let error = loop {
            match deepen(filter) {
                Ok(deeper) => filter = deeper,
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("32"), "{error}");
        assert!(Filter::any((0..1_000).map(|_| user("a"))).is_ok());
        assert!(Filter::any((0..1_001).map(|_| user("a"))).is_err());
        let pattern = || Filter::condition("user", Operator::Matches("a".parse().unwrap())).unwrap();
        assert!(Filter::any((0..100).map(|_| pattern())).is_ok());
        assert!(Filter::any((0..101).map(|_| pattern())).is_err());
        let values = (0..1_001).map(|value| value.to_string()).collect();
        assert!(Filter::condition("user", Operator::OneOf(values, Case::Ignored)).is_err());
        let empty = || Filter::all([]).unwrap();
        let endless = std::iter::repeat_with(empty);
        assert!(Filter::any(endless).is_err());
    }

    #[test]
    fn a_missing_field_fails_every_operator_but_not_its_negation() {
        let log = LogEntry::new(chrono::Utc::now());
        let operators = [
            Operator::equals(""),
            Operator::one_of([""]),
            Operator::contains(""),
            Operator::starts_with(""),
            Operator::ends_with(""),
            Operator::Matches("".parse().unwrap()),
            Operator::InNetwork("::/0".parse().unwrap()),
            Operator::Exists,
            Operator::LessOrEqual(String::new()),
            Operator::GreaterOrEqual(String::new()),
        ];
        for operator in operators {
            let filter = Filter::condition("normalized.k", operator).unwrap();
            assert!(!filter.matches(&log), "{filter:?}");
            assert!(filter.negated().unwrap().matches(&log));
        }
    }
}
