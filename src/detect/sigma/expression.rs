//! What a rule asks of an event, whatever language it was written in.

use ipnet::IpNet;

use super::glob::Glob;

/// Combines conditions on an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Condition(Condition),
}

/// Asks one question of one field, or of the whole event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Condition {
    /// Names the field; `None` asks every value and the whole text: a keyword.
    pub(crate) field: Option<Box<str>>,
    pub(crate) test: Test,
}

/// Holds a question about a field. It holds if it holds for one of the field's values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    /// Asks for a string with wildcards.
    Text {
        glob: Glob,
        case: Case,
    },
    /// Asks whether an expression is found in the value.
    Regex(Box<str>),
    InNetwork(IpNet),
    Number {
        comparison: Comparison,
        value: Decimal,
    },
    /// Asks for a part of a time, which is read from the value in UTC.
    Time {
        part: TimePart,
        comparison: Comparison,
        value: i64,
    },
    /// Asks whether the event has the field, with any value or null.
    Exists,
    /// Asks whether the field is missing or null.
    Null,
    /// Asks for the value of another field, with wildcards around it.
    Field {
        name: Box<str>,
        starts: bool,
        ends: bool,
        case: Case,
    },
}

/// Says whether letters count in upper and lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Case {
    Folded,
    Exact,
}

/// Compares numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    Greater,
}

impl Comparison {
    pub(crate) fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
            Self::AtLeast => left >= right,
            Self::Greater => left > right,
        }
    }
}

/// Holds a finite number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Decimal(f64);

impl Decimal {
    pub(crate) fn new(number: f64) -> Option<Self> {
        // Zero has two forms that are equal, and equal values need equal hashes.
        number.is_finite().then_some(Self(number + 0.0))
    }

    pub(crate) fn get(self) -> f64 {
        self.0
    }
}

impl Eq for Decimal {}

impl std::hash::Hash for Decimal {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// Names a part of a time, in UTC. A week is that of ISO 8601.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TimePart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Expression {
    pub(crate) fn not(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Combines with `and`, without a level for a single one.
    pub(crate) fn all(mut parts: Vec<Self>) -> Self {
        match parts.len() {
            1 => parts.remove(0),
            _ => Self::All(parts),
        }
    }

    /// Combines with `or`, without a level for a single one.
    pub(crate) fn any(mut parts: Vec<Self>) -> Self {
        match parts.len() {
            1 => parts.remove(0),
            _ => Self::Any(parts),
        }
    }

    /// Calls a function with each condition.
    pub(crate) fn for_each_condition(&self, visit: &mut impl FnMut(&Condition)) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.for_each_condition(visit);
                }
            }
            Self::Not(inner) => inner.for_each_condition(visit),
            Self::Condition(condition) => visit(condition),
        }
    }
}
