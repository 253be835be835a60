//! The order of values, for `<`, `<=`, `>` and `>=`.
//!
//! The value that a field is compared with decides the order. A level of the field `level`, or a word such as `err` for
//! any other field, orders by rank. A number orders as a number, a time as a time and an address as an address.
//! Everything else orders as text, by its code points. A field whose value is of another kind is neither less nor
//! greater. So a `-` passes no comparison where a number of bytes is expected.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};

use super::field::{ColumnType, Field};
use crate::models::level::Level;
use crate::models::time::{TimeContext, parse_instant, parse_time, to_micros};
use crate::models::{InvalidValue, address};

/// Names a comparison of a field's value with a given one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Returns the comparison as it is written, in a filter and in SQL.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// Says whether a value passes that has this order to the given one.
    pub(crate) fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// Holds the value that fields are compared with; its kind decides the order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Number(Number),
    Time(DateTime<Utc>),
    Address(IpAddr),
    Level(Level),
    Text(String),
}

impl Operand {
    /// Reads a value for a field. For a field of one type, only such a value will do.
    pub(crate) fn for_field(field: &Field, text: &str) -> Result<Self, InvalidValue> {
        let invalid = |reason: &str| InvalidValue::new("value", text, format!("{field} is {reason}"));
        match field.column_type() {
            ColumnType::Integer => Number::parse(text)
                .filter(Number::is_whole)
                .map(Self::Number)
                .ok_or_else(|| invalid("a whole number")),
            ColumnType::Time => time(text).map(Self::Time).ok_or_else(|| invalid("a time")),
            ColumnType::Text if field.is_address() => address::parse(text)
                .map(Self::Address)
                .ok_or_else(|| invalid("an address")),
            ColumnType::Text if field.is_level() => Level::parse(text).map(Self::Level).ok_or_else(|| {
                invalid("ordered by rank: use emerg, alert, crit, err, warning, notice, info or debug")
            }),
            ColumnType::Text => Ok(Self::of_any_type(text)),
        }
    }

    fn of_any_type(text: &str) -> Self {
        let number = || Number::parse(text).map(Self::Number);
        let time = || parse_instant(text).map(Self::Time);
        let address = || address::parse(text).map(Self::Address);
        let level = || Level::from_word(text).map(Self::Level);
        number()
            .or_else(time)
            .or_else(address)
            .or_else(level)
            .unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// Orders a field's value to this one; `None` if it is of another kind.
    pub(crate) fn order_of(&self, value: &str) -> Option<Ordering> {
        match self {
            Self::Number(number) => Number::parse(value)?.partial_cmp(number),
            Self::Time(time) => Some(time_of(value)?.cmp(time)),
            Self::Address(address) => Some(address::parse(value)?.cmp(address)),
            Self::Level(level) => Some(Level::parse(value)?.seriousness().cmp(&level.seriousness())),
            Self::Text(text) => Some(value.cmp(text)),
        }
    }

    /// Returns the value as it is written in a filter.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.written.clone(),
            Self::Time(time) => time.to_rfc3339_opts(SecondsFormat::Micros, true),
            Self::Address(address) => address.to_string(),
            Self::Level(level) => level.word().to_owned(),
            Self::Text(text) => text.clone(),
        }
    }

    /// Returns the value with its kind, from which it is read again.
    pub(crate) fn tagged(&self) -> String {
        let kind = match self {
            Self::Number(_) => 'n',
            Self::Time(_) => 't',
            Self::Address(_) => 'a',
            Self::Level(_) => 'l',
            Self::Text(_) => 's',
        };
        format!("{kind}{}", self.text())
    }
}

impl FromStr for Operand {
    type Err = InvalidValue;

    /// Reads what [`tagged`](Self::tagged) wrote.
    fn from_str(tagged: &str) -> Result<Self, InvalidValue> {
        let mut rest = tagged.chars();
        let read = match (rest.next(), rest.as_str()) {
            (Some('n'), text) => Number::parse(text).map(Self::Number),
            (Some('t'), text) => text.parse().ok().map(Self::Time),
            (Some('a'), text) => text.parse().ok().map(Self::Address),
            (Some('l'), text) => Level::parse(text).map(Self::Level),
            (Some('s'), text) => Some(Self::Text(text.to_owned())),
            _ => None,
        };
        read.ok_or_else(|| InvalidValue::new("comparison", tagged, "it has no value of a known kind"))
    }
}

fn time_of(value: &str) -> Option<DateTime<Utc>> {
    // The times of columns are written so, and of years that other forms do not have.
    let written = value.parse::<DateTime<Utc>>().ok().map(to_micros);
    written.or_else(|| parse_instant(value))
}

/// Holds a number as it is written. Whole numbers are compared exactly, others as floating-point numbers.
#[derive(Debug, Clone)]
pub(crate) struct Number {
    written: String,
    whole: Option<i128>,
    float: f64,
}

impl Number {
    /// Reads digits with an optional sign, fraction and exponent.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // Texts such as `NaN` and `inf` would be read as floating-point numbers too, and are left out.
        let is_plain = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
        if !is_plain {
            return None;
        }
        Some(Self {
            written: text.to_owned(),
            whole: text.parse().ok(),
            float: text.parse().ok()?,
        })
    }

    fn is_whole(&self) -> bool {
        self.whole.is_some_and(|whole| i64::try_from(whole).is_ok())
    }

    /// Returns the number as the engine keeps whole numbers.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        self.whole.and_then(|whole| whole.try_into().ok())
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other).is_some_and(Ordering::is_eq)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.whole.zip(other.whole) {
            Some((whole, other)) => Some(whole.cmp(&other)),
            None => self.float.partial_cmp(&other.float),
        }
    }
}

/// Reads a time for a column of times, to the microsecond.
pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = parse_time(text, &TimeContext::default());
    time.or_else(|| parse_instant(text)).map(to_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(value: &str, field: &str, given: &str) -> Option<Ordering> {
        let field: Field = field.parse().unwrap();
        let operand = Operand::for_field(&field, given).unwrap();
        assert_eq!(operand.tagged().parse::<Operand>().unwrap(), operand);
        operand.order_of(value)
    }

    #[test]
    fn the_given_value_decides_how_values_are_ordered() {
        use Ordering::{Equal, Greater, Less};
        for (value, field, given, expected) in [
            ("10", "normalized.k", "9", Some(Greater)),
            ("1e3", "normalized.k", "1000.0", Some(Equal)),
            (
                "9223372036854775807",
                "normalized.k",
                "9223372036854775806",
                Some(Greater),
            ),
            ("-", "normalized.k", "9", None),
            ("", "normalized.k", "9", None),
            ("NaN", "normalized.k", "9", None),
            (
                "2024-01-01T12:00:00+01:00",
                "normalized.k",
                "2024-01-01T11:00:00Z",
                Some(Equal),
            ),
            ("2024-01-02", "normalized.k", "2024-01-01", Some(Greater)),
            ("9.0.0.1", "normalized.k", "10.0.0.1", Some(Less)),
            ("::ffff:10.0.0.1", "normalized.k", "10.0.0.1", Some(Equal)),
            ("error", "level", "warning", Some(Greater)),
            ("3", "level", "ERR", Some(Equal)),
            ("loud", "level", "info", None),
            ("critical", "normalized.severity", "high", Some(Greater)),
            ("web10", "host", "web9", Some(Less)),
        ] {
            assert_eq!(order(value, field, given), expected, "{value} {field} {given}");
        }
    }

    #[test]
    fn a_field_of_one_type_takes_no_other_value() {
        for (field, given) in [
            ("procid", "7.5"),
            ("event_time", "soon"),
            ("source_ip", "web1"),
            ("level", "loud"),
        ] {
            let field: Field = field.parse().unwrap();
            assert!(Operand::for_field(&field, given).is_err(), "{field} {given}");
        }
    }
}
