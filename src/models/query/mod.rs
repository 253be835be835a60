//! Which logs a caller wants. [`LogQuery::matches`] is what a query means; every store agrees with it.

mod field;
mod pattern;

use std::borrow::Cow;
use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;

use super::time::{TimeContext, parse_time, to_micros};
use super::{InvalidValue, LogEntry, address};
pub use field::Field;
pub(crate) use field::{Column, ColumnType, Place};
pub use pattern::Pattern;
pub(crate) use pattern::longest_word;

/// A bound of a time range: a time, or how long before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeBound(pub(crate) DateTime<Utc>);

impl From<DateTime<Utc>> for TimeBound {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl From<TimeDelta> for TimeBound {
    /// That long before now; before the first representable time, that time.
    fn from(ago: TimeDelta) -> Self {
        Self(
            crate::models::time::now()
                .checked_sub_signed(ago)
                .unwrap_or(DateTime::<Utc>::MIN_UTC),
        )
    }
}

/// In which order logs come: by time, and among equal times in the order in which they were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The latest first, the exact reverse of [`Oldest`](Self::Oldest).
    #[default]
    Newest,
    /// The earliest first.
    Oldest,
}

/// Which logs are wanted, in which order, and how many at most.
///
/// All conditions must hold. A query without any wants every log, newest first.
///
/// ```
/// use chrono::TimeDelta;
/// use logstore::{LogEntry, LogQuery};
///
/// let query = LogQuery::new()
///     .since(TimeDelta::minutes(1))
///     .field("appname", "sshd")?
///     .contains("Failed")
///     .limit(100);
/// let log = LogEntry::new(chrono::Utc::now()).with_appname("sshd").with_raw("Failed password");
/// assert!(query.matches(&log));
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct LogQuery {
    /// Logs from this time on.
    pub since: Option<DateTime<Utc>>,
    /// Logs before this time.
    pub until: Option<DateTime<Utc>>,
    /// What must hold of each log.
    pub conditions: Vec<Condition>,
    /// The order of the logs.
    pub order: Order,
    /// How many logs at most; `None` for all.
    pub limit: Option<u64>,
}

/// What must hold of one field, or of the text, of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub(crate) subject: Subject,
    pub(crate) test: Test,
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Subject {
    Field(Field),
    /// The line as it arrived, or where there is none, the message.
    Text,
}

/// What must be true of a value. A field that a log does not have passes only [`NotEquals`](Self::NotEquals).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Test {
    /// It is this.
    Equals(String),
    /// It is not this.
    NotEquals(String),
    /// It is one of these.
    In(Vec<String>),
    /// It holds this text.
    Contains(String),
    /// The pattern is found in it.
    Matches(Pattern),
    /// It is an address in this network.
    InNetwork(IpNet),
}

impl LogQuery {
    /// Every log, newest first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Logs from a time on, that time included: a time, or how long before now.
    #[must_use]
    pub fn since(self, time: impl Into<TimeBound>) -> Self {
        Self {
            since: Some(time.into().0),
            ..self
        }
    }

    /// Logs before a time, that time not included: a time, or how long before now.
    #[must_use]
    pub fn until(self, time: impl Into<TimeBound>) -> Self {
        Self {
            until: Some(time.into().0),
            ..self
        }
    }

    /// Logs whose field has this value.
    ///
    /// # Errors
    ///
    /// If there is no such field, or the value cannot be one of the field's.
    pub fn field(self, name: &str, value: impl Into<String>) -> Result<Self, InvalidValue> {
        self.test(name, Test::Equals(value.into()))
    }

    /// Logs whose field passes this test.
    ///
    /// # Errors
    ///
    /// If there is no such field, or the test does not fit the field's type.
    pub fn test(self, name: &str, test: Test) -> Result<Self, InvalidValue> {
        Ok(self.condition(Condition::new(name.parse()?, test)?))
    }

    /// Logs whose text holds this. The text is the line as it arrived, or without one, the message.
    #[must_use]
    pub fn contains(self, text: impl Into<String>) -> Self {
        self.condition(Condition {
            subject: Subject::Text,
            test: Test::Contains(text.into()),
        })
    }

    /// Logs in whose text this pattern is found.
    #[must_use]
    pub fn pattern(self, pattern: Pattern) -> Self {
        self.condition(Condition {
            subject: Subject::Text,
            test: Test::Matches(pattern),
        })
    }

    /// Logs that also meet this condition.
    #[must_use]
    pub fn condition(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// In this order.
    #[must_use]
    pub fn order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// At most so many.
    #[must_use]
    pub fn limit(self, limit: u64) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// Whether a log is wanted. Order and limit play no part.
    pub fn matches(&self, log: &LogEntry) -> bool {
        self.since.is_none_or(|since| log.event_time >= since)
            && self.until.is_none_or(|until| log.event_time < until)
            && self.conditions.iter().all(|condition| condition.matches(log))
    }
}

impl Condition {
    /// A condition on a field.
    ///
    /// # Errors
    ///
    /// If the test does not fit the field's type: numbers and times can only be compared with numbers and
    /// times.
    pub fn new(field: Field, test: Test) -> Result<Self, InvalidValue> {
        let fit = |value: &String| canonical(field.column_type(), value, &field);
        let test = match test {
            Test::Equals(value) => Test::Equals(fit(&value)?),
            Test::NotEquals(value) => Test::NotEquals(fit(&value)?),
            Test::In(values) => Test::In(values.iter().map(fit).collect::<Result<_, _>>()?),
            test if field.column_type() == ColumnType::Text => test,
            _ => {
                let reason = "its values are not text: it can be compared with =, != and a list";
                return Err(InvalidValue::new("test of field", &field.to_string(), reason));
            }
        };
        Ok(Self {
            subject: Subject::Field(field),
            test,
        })
    }

    fn matches(&self, log: &LogEntry) -> bool {
        let value = match &self.subject {
            Subject::Field(field) => field.text_in(log),
            Subject::Text => log.raw.as_deref().or(log.message.as_deref()).map(Cow::Borrowed),
        };
        match (&self.test, value) {
            (Test::NotEquals(unwanted), value) => value.as_deref() != Some(unwanted),
            (_, None) => false,
            (Test::Equals(wanted), Some(value)) => value == *wanted,
            (Test::In(wanted), Some(value)) => wanted.iter().any(|wanted| value == *wanted),
            (Test::Contains(part), Some(value)) => value.contains(part.as_str()),
            (Test::Matches(pattern), Some(value)) => pattern.is_match(&value),
            (Test::InNetwork(network), Some(value)) => in_network(network, &value),
        }
    }
}

/// Whether a text is an address of a network. An IPv4 address written as IPv6 is in IPv4 networks.
pub(crate) fn in_network(network: &IpNet, text: &str) -> bool {
    text.parse::<IpAddr>()
        .is_ok_and(|address| network.contains(&address) || network.contains(&address.to_canonical()))
}

/// A value as [`Field::text_in`] would write it.
fn canonical(column_type: ColumnType, value: &str, field: &Field) -> Result<String, InvalidValue> {
    let invalid = |reason| InvalidValue::new("value", value, format!("{field} is {reason}"));
    match column_type {
        // Logs hold addresses in one form only.
        ColumnType::Text if field.is_address() => {
            Ok(address::canonical(value).map_or_else(|| value.to_owned(), Cow::into_owned))
        }
        ColumnType::Text => Ok(value.to_owned()),
        ColumnType::Integer => {
            let number: i64 = value.parse().map_err(|_| invalid("a whole number"))?;
            Ok(number.to_string())
        }
        ColumnType::Time => {
            let time = parse_time(value, &TimeContext::default()).ok_or_else(|| invalid("a time"))?;
            Ok(to_micros(time).to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> LogEntry {
        LogEntry::new("2024-01-01T12:00:00.5Z".parse().unwrap())
            .with_procid(7)
            .with_field("src_ip", "::ffff:10.1.2.3")
            .with_message("Hello")
    }

    fn passes(name: &str, test: Test) -> bool {
        LogQuery::new().test(name, test).unwrap().matches(&log())
    }

    #[test]
    fn an_address_is_found_however_it_is_typed() {
        let field: Field = "source_ip".parse().unwrap();
        for text in ["10.1.2.3", "::ffff:10.1.2.3", "::FFFF:a01:203"] {
            let condition = Condition::new(field.clone(), Test::Equals(text.to_owned())).unwrap();
            assert!(condition.matches(&log()), "{text}");
        }
    }

    #[test]
    fn ranges_are_half_open() {
        let time = log().event_time;
        assert!(LogQuery::new().since(time).matches(&log()));
        assert!(!LogQuery::new().until(time).matches(&log()));
    }

    #[test]
    fn values_are_compared_by_meaning() {
        assert!(passes("procid", Test::Equals("+07".into())));
        assert!(passes(
            "event_time",
            Test::Equals("2024-01-01 13:00:00.5 +0100".into())
        ));
        assert!(passes(
            "source_ip",
            Test::InNetwork("10.0.0.0/8".parse().unwrap())
        ));
        assert!(!passes(
            "source_ip",
            Test::InNetwork("11.0.0.0/8".parse().unwrap())
        ));
    }

    #[test]
    fn a_missing_field_is_only_unequal() {
        assert!(passes("user", Test::NotEquals("root".into())));
        assert!(!passes("user", Test::Equals(String::new())));
        assert!(!passes("user", Test::Contains(String::new())));
    }

    #[test]
    fn text_is_the_line_or_the_message() {
        assert!(LogQuery::new().contains("Hello").matches(&log()));
        assert!(
            !LogQuery::new()
                .contains("Hello")
                .matches(&log().with_raw("other"))
        );
    }

    #[test]
    fn refuses_tests_that_do_not_fit() {
        for (name, test) in [
            ("procid", Test::Equals("seven".into())),
            ("procid", Test::Contains("7".into())),
            ("event_time", Test::In(vec!["noon".into()])),
            ("nosuch", Test::Equals("x".into())),
        ] {
            assert!(LogQuery::new().test(name, test).is_err(), "{name}");
        }
    }
}
