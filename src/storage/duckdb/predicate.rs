//! From a query to a WHERE clause. Values are bound, names come from the list of columns: no text of a caller
//! becomes SQL.

use ::duckdb::types::Value;
use chrono::{DateTime, Utc};

use super::layout;
use super::network::IN_NETWORK;
use crate::models::{
    Column, ColumnType, Condition, Field, LogQuery, Order, Place, Subject, Test, longest_word,
};

/// SQL with a `?` for each of its values.
#[derive(Debug, Default, Clone)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

impl Sql {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            values: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn bind(&mut self, value: impl Into<Value>) {
        self.text.push('?');
        self.values.push(value.into());
    }

    pub(super) fn append(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.values.extend(other.values);
    }

    /// Adds `AND column = value` if there is a value.
    pub(super) fn and_equals(&mut self, column: &str, value: Option<impl Into<Value>>) {
        self.and(column, "=", value);
    }

    /// Adds `AND column operator value` if there is a value.
    pub(super) fn and(&mut self, column: &str, operator: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value.map(Into::into) {
            let mut subject = Self::new(column);
            keep_from_catalog(&mut subject, &value);
            self.push(&format!("\nAND {} {operator} ", subject.text));
            self.bind(value);
        }
    }

    pub(super) fn limit(&mut self, limit: Option<u64>) {
        if let Some(limit) = limit {
            self.push("\nLIMIT ");
            self.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        }
    }
}

/// A text as SQL writes it, for statements that take no parameters.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Lets a comparison with a text that holds NUL be made by the engine alone: a lake's catalog, which is asked which
/// files may hold a value, cannot be asked for that one.
fn keep_from_catalog(subject: &mut Sql, value: &Value) {
    if matches!(value, Value::Text(text) if text.contains('\0')) {
        subject.push(" || ''");
    }
}

/// A time as the engine keeps it.
pub(super) fn time_value(time: DateTime<Utc>) -> Value {
    Value::Timestamp(::duckdb::types::TimeUnit::Microsecond, time.timestamp_micros())
}

/// A bound with more digits than the engine keeps, raised to the next microsecond, so that `>=` and `<`
/// mean what they mean to [`LogQuery::matches`].
fn bound_value(time: DateTime<Utc>) -> Value {
    let micros = time.timestamp_micros();
    let has_more = !time.timestamp_subsec_nanos().is_multiple_of(1_000);
    Value::Timestamp(
        ::duckdb::types::TimeUnit::Microsecond,
        micros + i64::from(has_more),
    )
}

/// ` WHERE ...` of a query of `log_texts`.
pub(super) fn where_clause(query: &LogQuery) -> Sql {
    let mut sql = Sql::new("\nWHERE true");
    sql.and("event_time", ">=", query.since.map(bound_value));
    sql.and("event_time", "<", query.until.map(bound_value));
    for condition in &query.conditions {
        if let Some(word) = required_word(condition) {
            sql.push("\nAND ");
            sql.append(may_hold(&word));
        }
        sql.push("\nAND ");
        sql.append(condition_sql(condition));
    }
    sql
}

/// ` ORDER BY ...` of a query.
pub(super) fn order(query: &LogQuery) -> Sql {
    Sql::new(match query.order {
        Order::Newest => "\nORDER BY event_time DESC, seq DESC",
        Order::Oldest => "\nORDER BY event_time, seq",
    })
}

/// ` ORDER BY ... LIMIT ...` of a query.
pub(super) fn order_and_limit(query: &LogQuery) -> Sql {
    let mut sql = order(query);
    sql.limit(query.limit);
    sql
}

/// Holds of every log whose text holds a word of ASCII letters and digits. Values are left out of a layout where words
/// start and end, so each word is in the layout or in one of the columns: most logs need not be put together to tell
/// that they do not have it.
fn may_hold(word: &str) -> Sql {
    let mut sql = Sql::new("(layout IS NULL OR contains(layout, ");
    sql.bind(word.to_owned());
    sql.push(")");
    for column in layout::LEFT_OUT {
        sql.push(&format!(" OR contains({column}, "));
        sql.bind(word.to_owned());
        sql.push(")");
    }
    sql.push(")");
    sql
}

/// A word that a log's text must hold to pass.
fn required_word(condition: &Condition) -> Option<String> {
    match (&condition.subject, &condition.test) {
        (Subject::Text, Test::Contains(part)) => longest_word(part).map(str::to_owned),
        (Subject::Text, Test::Matches(pattern)) => pattern.required_word(),
        _ => None,
    }
}

fn condition_sql(condition: &Condition) -> Sql {
    let mut subject = match &condition.subject {
        Subject::Text => Sql::new("coalesce(raw, message)"),
        Subject::Field(field) => typed(field),
    };
    let column_type = match &condition.subject {
        Subject::Text => ColumnType::Text,
        Subject::Field(field) => field.column_type(),
    };
    let value = |text: &String| typed_value(column_type, text);
    let mut sql = Sql::new("(");
    match &condition.test {
        Test::Equals(wanted) => {
            keep_from_catalog(&mut subject, &value(wanted));
            sql.append(subject);
            sql.push(" = ");
            sql.bind(value(wanted));
        }
        Test::NotEquals(unwanted) => {
            keep_from_catalog(&mut subject, &value(unwanted));
            sql.append(subject);
            sql.push(" IS DISTINCT FROM ");
            sql.bind(value(unwanted));
        }
        Test::In(wanted) if wanted.is_empty() => sql.push("false"),
        Test::In(wanted) => {
            for text in wanted {
                keep_from_catalog(&mut subject, &value(text));
            }
            sql.append(subject);
            sql.push(" IN (");
            for (index, text) in wanted.iter().enumerate() {
                sql.push(if index == 0 { "" } else { ", " });
                sql.bind(value(text));
            }
            sql.push(")");
        }
        Test::Contains(part) => call(&mut sql, "contains", subject, part),
        Test::Matches(pattern) => call(&mut sql, "regexp_matches", subject, pattern.as_str()),
        Test::InNetwork(network) => call(&mut sql, IN_NETWORK, subject, &network.to_string()),
    }
    sql.push(")");
    sql
}

fn call(sql: &mut Sql, function: &str, subject: Sql, argument: &str) {
    sql.push(&format!("{function}("));
    sql.append(subject);
    sql.push(", ");
    sql.bind(argument.to_owned());
    sql.push(")");
}

fn typed_value(column_type: ColumnType, text: &str) -> Value {
    let parsed = match column_type {
        ColumnType::Text => None,
        ColumnType::Integer => text.parse().ok().map(Value::BigInt),
        ColumnType::Time => text.parse::<DateTime<Utc>>().ok().map(time_value),
    };
    parsed.unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// A field as the engine keeps it.
fn typed(field: &Field) -> Sql {
    match &field.0 {
        Place::Column(column) => Sql::new(quoted(*column)),
        Place::Path(path) => {
            let mut sql = Sql::new("coalesce(");
            for (index, pointer) in path.pointers.iter().enumerate() {
                sql.push(if index == 0 { "" } else { ", " });
                sql.push(&format!("json_extract_string({}, ", path.root.name()));
                sql.bind(pointer.clone());
                sql.push(")");
            }
            sql.push(")");
            sql
        }
    }
}

/// A field as text, in the form of [`Field::text_in`].
pub(super) fn text(field: &Field) -> Sql {
    match (&field.0, field.column_type()) {
        (Place::Column(column), ColumnType::Integer) => {
            Sql::new(format!("CAST({} AS VARCHAR)", quoted(*column)))
        }
        (Place::Column(column), ColumnType::Time) => {
            Sql::new(format!("strftime({}, '%Y-%m-%dT%H:%M:%S.%fZ')", quoted(*column)))
        }
        _ => typed(field),
    }
}

fn quoted(column: Column) -> String {
    format!("\"{}\"", column.name())
}
