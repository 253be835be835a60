//! Conditions on one field of a log.

use std::borrow::Cow;

use ipnet::IpNet;

use super::comparison::{self, Comparison, Operand};
use super::field::{ColumnType, Field, Place};
use super::needle::Needle;
use super::pattern::Pattern;
use crate::models::level::Level;
use crate::models::{InvalidValue, LogEntry, address};

/// Says whether `É` and `é` are the same letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Case {
    /// Means that they are two letters.
    #[default]
    Sensitive,
    /// Means that they are the same letter. Texts are compared by the simple case folding of Unicode.
    Ignored,
}

/// Tests a field's value. A field that a log does not have passes no operator.
///
/// [`Equals`](Self::Equals) and [`OneOf`](Self::OneOf) compare a value as it is written. The columns of numbers, times
/// and addresses compare the meaning, so that `procid = 07` finds 7.
///
/// The given value decides the order of the four comparisons. Numbers order as numbers, times as times, addresses as
/// addresses, and levels by their rank in syslog's scale. Everything else orders as text. A value of another kind
/// passes none of the four.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Operator {
    /// Passes this value.
    Equals(String, Case),
    /// Passes each of these values.
    OneOf(Vec<String>, Case),
    /// Passes values that hold this text.
    Contains(String, Case),
    /// Passes values that start with this text.
    StartsWith(String, Case),
    /// Passes values that end with this text.
    EndsWith(String, Case),
    /// Passes values in which the pattern is found.
    Matches(Pattern),
    /// Passes values that have this one as a whole, in any letter case: an address in any of its spellings, or words
    /// that no letter or digit goes on before or after. The value has a letter or digit itself. The field `any` takes
    /// no other operator.
    Has(String),
    /// Passes addresses in this network.
    InNetwork(IpNet),
    /// Passes every value.
    Exists,
    /// Passes values less than this.
    Less(String),
    /// Passes this value, and values less than this.
    LessOrEqual(String),
    /// Passes values greater than this.
    Greater(String),
    /// Passes this value, and values greater than this.
    GreaterOrEqual(String),
}

impl Operator {
    /// Passes this value.
    pub fn equals(value: impl Into<String>) -> Self {
        Self::Equals(value.into(), Case::Sensitive)
    }

    /// Passes each of these values.
    pub fn one_of(values: impl IntoIterator<Item: Into<String>>) -> Self {
        Self::OneOf(values.into_iter().map(Into::into).collect(), Case::Sensitive)
    }

    /// Passes values that hold this text.
    pub fn contains(text: impl Into<String>) -> Self {
        Self::Contains(text.into(), Case::Sensitive)
    }

    /// Passes values that start with this text.
    pub fn starts_with(text: impl Into<String>) -> Self {
        Self::StartsWith(text.into(), Case::Sensitive)
    }

    /// Passes values that end with this text.
    pub fn ends_with(text: impl Into<String>) -> Self {
        Self::EndsWith(text.into(), Case::Sensitive)
    }

    /// Passes values that have this one as a whole.
    pub fn has(value: impl Into<String>) -> Self {
        Self::Has(value.into())
    }

    /// Passes addresses in a network such as `10.0.0.0/8`; an address is a network of one.
    ///
    /// # Errors
    ///
    /// If the text is neither.
    pub fn in_network(network: &str) -> Result<Self, InvalidValue> {
        address::network(network).map(Self::InNetwork)
    }
}

/// Tests one field of a log.
///
/// ```
/// use logstore::{Condition, Filter, LogEntry, Operator};
///
/// let condition = Condition::new("normalized.status".parse()?, Operator::GreaterOrEqual("500".into()))?;
/// let log = LogEntry::new(chrono::Utc::now()).with_field("status", 503);
/// assert!(Filter::from(condition).matches(&log));
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Clone)]
pub struct Condition {
    field: Field,
    operator: Operator,
    test: Test,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.field == other.field && self.operator == other.operator
    }
}

/// Holds an operator, made ready: values in their canonical form, texts in any letter case as patterns.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Equals(String),
    OneOf(Vec<String>),
    Contains(String),
    StartsWith(String),
    EndsWith(String),
    /// Passes values in which one of the patterns is found.
    Matches(Vec<Pattern>),
    Has(Needle),
    InNetwork(IpNet),
    Exists,
    Compare(Comparison, Operand),
}

/// Limits the values of a list, and below, of a list whose values become patterns.
const MOST_VALUES: usize = 100_000;
const MOST_VALUES_OF_ANY_CASE: usize = 1_000;

impl Condition {
    /// Makes a condition on a field.
    ///
    /// # Errors
    ///
    /// If the operator does not fit the field's type: numbers and times have no text that could hold another. If a
    /// value is not of the field's type, or is a network where one address is asked for. If a list has more than
    /// 100,000 values, or more than 1,000 in any letter case.
    pub fn new(field: Field, operator: Operator) -> Result<Self, InvalidValue> {
        let operator = canonical_operator(&field, operator)?;
        let test = Test::new(&field, &operator)?;
        Ok(Self {
            field,
            operator,
            test,
        })
    }

    /// Passes logs whose text holds this.
    pub(crate) fn text_contains(text: String) -> Self {
        Self {
            field: Field::TEXT,
            test: Test::Contains(text.clone()),
            operator: Operator::contains(text),
        }
    }

    /// Passes logs in whose text a pattern is found.
    pub(crate) fn text_matches(pattern: Pattern) -> Self {
        Self {
            field: Field::TEXT,
            test: Test::Matches(vec![pattern.clone()]),
            operator: Operator::Matches(pattern),
        }
    }

    /// Returns the field.
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// Returns what must be true of the field's value.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Returns how many simple conditions this one counts as. A pattern of the caller's may take ten times as much
    /// memory and time as any other condition.
    pub(super) fn size(&self) -> usize {
        const OF_A_PATTERN: usize = 10;
        match (&self.operator, &self.test) {
            (Operator::Matches(_) | Operator::Has(_), _) => OF_A_PATTERN,
            (_, Test::Matches(patterns)) => patterns.len().max(1),
            _ => 1,
        }
    }

    pub(crate) fn test(&self) -> &Test {
        &self.test
    }

    pub(crate) fn matches(&self, log: &LogEntry) -> bool {
        if let (Place::Any, Test::Has(needle)) = (&self.field.0, &self.test) {
            return needle.is_in_log(log);
        }
        self.field
            .text_in(log)
            .is_some_and(|value| self.test.passes(&value))
    }
}

impl Test {
    fn new(field: &Field, operator: &Operator) -> Result<Self, InvalidValue> {
        let compare = |comparison, value: &str| {
            let operand = Operand::for_field(field, value)?;
            Ok::<_, InvalidValue>(Self::Compare(comparison, operand))
        };
        let pattern = |start, text: &str, end| {
            let pattern = Pattern::ignoring_case(start, text, end)?;
            Ok::<_, InvalidValue>(vec![pattern])
        };
        Ok(match operator {
            Operator::Equals(value, Case::Sensitive) => match spellings(field, value) {
                spellings if spellings.len() > 1 => Self::OneOf(spellings),
                _ => Self::Equals(value.clone()),
            },
            Operator::Equals(value, Case::Ignored) => {
                let spellings = spellings(field, value);
                let patterns = spellings
                    .iter()
                    .map(|value| Pattern::ignoring_case("^", value, "$"));
                Self::Matches(patterns.collect::<Result<_, _>>()?)
            }
            Operator::OneOf(values, Case::Sensitive) => {
                Self::OneOf(values.iter().flat_map(|value| spellings(field, value)).collect())
            }
            Operator::OneOf(values, Case::Ignored) => {
                let values = values.iter().flat_map(|value| spellings(field, value));
                let patterns = values.map(|value| Pattern::ignoring_case("^", &value, "$"));
                Self::Matches(patterns.collect::<Result<_, _>>()?)
            }
            Operator::Contains(text, Case::Sensitive) => Self::Contains(text.clone()),
            Operator::Contains(text, Case::Ignored) => Self::Matches(pattern("", text, "")?),
            Operator::StartsWith(text, Case::Sensitive) => Self::StartsWith(text.clone()),
            Operator::StartsWith(text, Case::Ignored) => Self::Matches(pattern("^", text, "")?),
            Operator::EndsWith(text, Case::Sensitive) => Self::EndsWith(text.clone()),
            Operator::EndsWith(text, Case::Ignored) => Self::Matches(pattern("", text, "$")?),
            Operator::Matches(pattern) => Self::Matches(vec![pattern.clone()]),
            Operator::Has(value) => Self::Has(Needle::new(value)?),
            Operator::InNetwork(network) => Self::InNetwork(*network),
            Operator::Exists => Self::Exists,
            Operator::Less(value) => compare(Comparison::Less, value)?,
            Operator::LessOrEqual(value) => compare(Comparison::LessOrEqual, value)?,
            Operator::Greater(value) => compare(Comparison::Greater, value)?,
            Operator::GreaterOrEqual(value) => compare(Comparison::GreaterOrEqual, value)?,
        })
    }

    fn passes(&self, value: &str) -> bool {
        match self {
            Self::Equals(wanted) => value == wanted,
            Self::OneOf(wanted) => wanted.iter().any(|wanted| value == wanted),
            Self::Contains(part) => value.contains(part.as_str()),
            Self::StartsWith(start) => value.starts_with(start.as_str()),
            Self::EndsWith(end) => value.ends_with(end.as_str()),
            Self::Matches(patterns) => patterns.iter().any(|pattern| pattern.is_match(value)),
            Self::Has(needle) => needle.is_in(value),
            Self::InNetwork(network) => address::is_in_network(network, value),
            Self::Exists => true,
            Self::Compare(comparison, operand) => operand
                .order_of(value)
                .is_some_and(|order| comparison.accepts(order)),
        }
    }
}

/// Returns the texts that a value equals. For a level, that is the word of syslog too, and the word that was typed for
/// logs of versions that kept the source's word.
fn spellings(field: &Field, value: &str) -> Vec<String> {
    let level = Level::parse(value).filter(|_| field.is_level());
    let word = level.map(Level::word).filter(|word| *word != value);
    let word = word.map(str::to_owned);
    word.into_iter().chain([value.to_owned()]).collect()
}

/// Writes the values of an operator as [`Field::text_in`] writes those of a log.
fn canonical_operator(field: &Field, operator: Operator) -> Result<Operator, InvalidValue> {
    let is_text = field.column_type() == ColumnType::Text;
    let case_for = |case| if is_text { case } else { Case::Sensitive };
    let compared = |value: String| Ok::<_, InvalidValue>(Operand::for_field(field, &value)?.text());
    if field.0 == Place::Any && !matches!(operator, Operator::Has(_)) {
        let instead = match &operator {
            Operator::InNetwork(network) => {
                format!("name one, as in source_ip in {network} or dest_ip in {network}")
            }
            _ => "write any has VALUE, or name one, as in text contains VALUE".to_owned(),
        };
        let reason = format!("it is all texts of a log: {instead}");
        return Err(InvalidValue::new("operator for field", "any", reason));
    }
    Ok(match operator {
        Operator::Equals(value, case) => Operator::Equals(canonical(field, value)?, case_for(case)),
        Operator::OneOf(values, case) => {
            let most = match case {
                Case::Sensitive => MOST_VALUES,
                Case::Ignored => MOST_VALUES_OF_ANY_CASE,
            };
            check_count(field, values.len(), most)?;
            let values = values.into_iter().map(|value| canonical(field, value));
            Operator::OneOf(values.collect::<Result<_, _>>()?, case_for(case))
        }
        Operator::Exists => Operator::Exists,
        Operator::Less(value) => Operator::Less(compared(value)?),
        Operator::LessOrEqual(value) => Operator::LessOrEqual(compared(value)?),
        Operator::Greater(value) => Operator::Greater(compared(value)?),
        Operator::GreaterOrEqual(value) => Operator::GreaterOrEqual(compared(value)?),
        _ if !is_text => {
            let reason = "its values are not text: it can be compared with =, !=, <, <=, >, >= and a list";
            return Err(InvalidValue::new(
                "operator for field",
                &field.to_string(),
                reason,
            ));
        }
        Operator::InNetwork(network) => Operator::InNetwork(address::canonical_network(network)),
        operator => operator,
    })
}

fn check_count(field: &Field, count: usize, most: usize) -> Result<(), InvalidValue> {
    match count <= most {
        true => Ok(()),
        false => {
            let reason = format!("it has {count} values, and may have {most}: ask several times");
            Err(InvalidValue::new(
                "list of values for field",
                &field.to_string(),
                reason,
            ))
        }
    }
}

fn canonical(field: &Field, value: String) -> Result<String, InvalidValue> {
    let invalid = |reason| InvalidValue::new("value", &value, format!("{field} is {reason}"));
    match field.column_type() {
        ColumnType::Text if field.is_address() && address::is_network(&value) => {
            let reason = format!("{field} is one address: write {field} in {value}");
            Err(InvalidValue::new("value", &value, reason))
        }
        // Logs hold addresses in one form only.
        ColumnType::Text if field.is_address() => {
            let address = address::canonical(&value).map(Cow::into_owned);
            Ok(address.unwrap_or(value))
        }
        ColumnType::Text => Ok(value),
        ColumnType::Integer => {
            let number: i64 = value.parse().map_err(|_| invalid("a whole number"))?;
            Ok(number.to_string())
        }
        ColumnType::Time => {
            let time = comparison::time(&value).ok_or_else(|| invalid("a time"))?;
            Ok(time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
        }
    }
}
