//! Queries for logs. [`LogQuery::matches`] defines the meaning of a query, and every store agrees with it.

mod comparison;
mod condition;
mod field;
mod filter;
mod json;
mod needle;
mod pattern;
mod suggestion;
mod text;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{InvalidValue, LogEntry, LogKey};
pub(crate) use comparison::Operand;
pub(crate) use condition::Test;
pub use condition::{Case, Condition, Operator};
pub use field::Field;
pub(crate) use field::{Column, ColumnType, Place};
pub use filter::Filter;
pub(crate) use filter::Node;
pub(crate) use needle::{Needle, NeedleFinder};
pub use pattern::Pattern;
pub(crate) use pattern::longest_word;

/// Bounds a range of times: by a time, or by how long before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeBound(DateTime<Utc>);

impl TimeBound {
    /// Returns the time of the bound.
    pub fn time(self) -> DateTime<Utc> {
        self.0
    }
}

impl From<DateTime<Utc>> for TimeBound {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl From<TimeDelta> for TimeBound {
    /// Returns the time that long before now; before the first representable time, that time.
    fn from(ago: TimeDelta) -> Self {
        let time = super::time::now().checked_sub_signed(ago);
        Self(time.unwrap_or(DateTime::<Utc>::MIN_UTC))
    }
}

/// Orders logs by time, and logs of one time in the order in which they were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Order {
    /// Orders the latest log first, in the exact reverse of [`OldestFirst`](Self::OldestFirst).
    #[default]
    NewestFirst,
    /// Orders the earliest log first.
    OldestFirst,
    /// Takes the logs as they come, at the least cost for the store. It is [`NewestFirst`](Self::NewestFirst) where a
    /// query has a limit or a page.
    Any,
}

/// Says which logs are wanted, in which order, and how many at most.
///
/// All filters must hold. A query without any wants every log, newest first.
///
/// ```
/// use chrono::TimeDelta;
/// use logstore::{LogEntry, LogQuery};
///
/// let query = LogQuery::new()
///     .since(TimeDelta::minutes(1))
///     .equals("appname", "sshd")?
///     .contains("Failed")
///     .filter("user = root or user startswith adm".parse()?)
///     .limit(100);
/// let log = LogEntry::new(chrono::Utc::now())
///     .with_appname("sshd")
///     .with_raw("Failed password")
///     .with_field("user", "admin");
/// assert!(query.matches(&log));
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
///
/// A service may take a query as JSON. A filter is an object there, or a text as it is typed. An unknown member is an
/// error.
///
/// ```
/// use logstore::LogQuery;
///
/// let query: LogQuery = serde_json::from_str(
///     r#"{
///         "since": "2024-01-01T00:00:00Z",
///         "filter": {"all": [
///             {"field": "user", "equals": "root"},
///             {"any": [{"field": "outcome", "equals": "failure"}, {"field": "level", "greater_or_equal": "err"}]},
///             {"not": {"field": "source_ip", "in_network": "10.0.0.0/8"}}
///         ]},
///         "order": "oldest_first",
///         "limit": 100
///     }"#,
/// )?;
/// let filter = "user = root and (outcome = failure or level >= err) and not source_ip in 10.0.0.0/8";
/// let text = format!(r#"{{"since": "2024-01-01T00:00:00Z", "filter": "{filter}", "order": "oldest_first", "limit": 100}}"#);
/// assert_eq!(serde_json::from_str::<LogQuery>(&text)?, query);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct LogQuery {
    /// Matches logs from this time on.
    pub since: Option<DateTime<Utc>>,
    /// Matches logs before this time.
    pub until: Option<DateTime<Utc>>,
    /// Orders the logs.
    pub order: Order,
    /// Limits the number of logs; `None` means all.
    pub limit: Option<u64>,
    /// Names the log after which the wanted ones come, in the query's order.
    pub after: Option<LogKey>,
    /// Holds the filters that each log must pass. None of them is a group of filters that must all hold.
    pub(crate) filters: Vec<Filter>,
}

impl LogQuery {
    /// Wants every log, newest first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants logs from a time on, that time included: a time, or how long before now.
    #[must_use]
    pub fn since(self, time: impl Into<TimeBound>) -> Self {
        Self {
            since: Some(time.into().0),
            ..self
        }
    }

    /// Wants logs before a time, that time not included: a time, or how long before now.
    #[must_use]
    pub fn until(self, time: impl Into<TimeBound>) -> Self {
        Self {
            until: Some(time.into().0),
            ..self
        }
    }

    /// Wants logs that also pass this filter.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.extend(filter.into_all());
        self
    }

    /// Wants logs whose field has this value: short for a filter with `=`.
    ///
    /// # Errors
    ///
    /// If the name cannot be one of a field, or the value cannot be one of the field's.
    pub fn equals(self, name: &str, value: impl Into<String>) -> Result<Self, InvalidValue> {
        Ok(self.filter(Filter::condition(name, Operator::equals(value))?))
    }

    /// Wants logs whose text holds this: short for a filter with `text contains`. The text is the line as it arrived,
    /// or without one, the message.
    #[must_use]
    pub fn contains(self, text: impl Into<String>) -> Self {
        self.filter(Condition::text_contains(text.into()).into())
    }

    /// Wants logs that have this value as a whole: short for a filter with `any has`.
    ///
    /// # Errors
    ///
    /// If the value has no letter or digit, or is longer than 1,000 bytes.
    pub fn has(self, value: impl Into<String>) -> Result<Self, InvalidValue> {
        Ok(self.filter(Condition::new(Field::ANY, Operator::has(value))?.into()))
    }

    /// Wants logs in whose text this pattern is found: short for a filter with `text ~`.
    #[must_use]
    pub fn pattern(self, pattern: Pattern) -> Self {
        self.filter(Condition::text_matches(pattern).into())
    }

    /// Sets the order.
    #[must_use]
    pub fn order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// Wants at most `limit` logs.
    #[must_use]
    pub fn limit(self, limit: u64) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// Wants the logs after this one in the query's order. For the next page, this is the last log of a page.
    ///
    /// Logs that are stored meanwhile neither shift the pages nor come twice. If the log has been deleted, the next
    /// page starts at another time.
    ///
    /// ```
    /// use logstore::{LogEntry, LogQuery, LogStore, MemoryStore, StoreExt};
    ///
    /// let store = MemoryStore::new();
    /// store.append_logs(&["1", "2", "3"].map(|id| LogEntry::new(chrono::Utc::now()).with_id(id)))?;
    /// let query = LogQuery::new().limit(2);
    /// let first = store.fetch_logs(&query)?;
    /// let last = first.last().ok_or("no log")?;
    /// let second = store.fetch_logs(&query.after(last.key()))?;
    /// assert_eq!((first.len(), second.len()), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn after(self, key: LogKey) -> Self {
        Self {
            after: Some(key),
            ..self
        }
    }

    /// Narrows the times to those that logs after [`after`](Self::after) can have.
    pub(crate) fn within_page(&self) -> Self {
        let mut query = self.clone();
        let time = query.after.take().map(|key| key.event_time);
        match (self.order, time) {
            (_, None) => {}
            (Order::NewestFirst | Order::Any, Some(time)) => {
                // The last microsecond that there is has none after it.
                let end = time.checked_add_signed(TimeDelta::microseconds(1));
                query.until = query.until.into_iter().chain(end).min();
            }
            (Order::OldestFirst, Some(time)) => query.since = query.since.max(Some(time)),
        }
        query
    }

    /// Returns the query for all logs of its times.
    pub(crate) fn times(&self) -> Self {
        Self {
            filters: Vec::new(),
            ..self.clone()
        }
    }

    /// Returns the filters, which must all hold.
    pub fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// Says whether a log is wanted. Order, limit and page are ignored.
    pub fn matches(&self, log: &LogEntry) -> bool {
        self.since.is_none_or(|since| log.event_time >= since)
            && self.until.is_none_or(|until| log.event_time < until)
            && self.filters.iter().all(|filter| filter.matches(log))
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

    fn passes(name: &str, operator: Operator) -> bool {
        Filter::condition(name, operator).unwrap().matches(&log())
    }

    #[test]
    fn an_address_is_found_however_it_is_typed() {
        for text in ["10.1.2.3", "::ffff:10.1.2.3", "::FFFF:a01:203"] {
            assert!(passes("source_ip", Operator::equals(text)), "{text}");
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
        assert!(passes("procid", Operator::equals("+07")));
        assert!(passes(
            "event_time",
            Operator::equals("2024-01-01 13:00:00.5 +0100")
        ));
        assert!(passes(
            "source_ip",
            Operator::InNetwork("10.0.0.0/8".parse().unwrap())
        ));
        assert!(!passes(
            "source_ip",
            Operator::InNetwork("11.0.0.0/8".parse().unwrap())
        ));
    }

    #[test]
    fn text_is_the_line_or_the_message() {
        let hello = LogQuery::new().contains("Hello");
        assert!(hello.matches(&log()));
        assert!(!hello.matches(&log().with_raw("other")));
    }

    #[test]
    fn refuses_operators_that_do_not_fit() {
        for (name, operator) in [
            ("procid", Operator::equals("seven")),
            ("procid", Operator::contains("7")),
            ("event_time", Operator::one_of(["noon"])),
            ("level", Operator::Greater("loud".into())),
            ("no such", Operator::equals("x")),
        ] {
            assert!(Filter::condition(name, operator).is_err(), "{name}");
        }
    }
}
