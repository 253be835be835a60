//! Turns a query into a WHERE clause. Values are bound and names come from the list of columns, so that no text of a
//! caller becomes SQL.

use ::duckdb::types::Value;
use chrono::{DateTime, Utc};

use super::comparison::ORDER_OF;
use super::has::{self, HAS, LOG_HAS};
use super::in_network::IN_NETWORK;
use super::statement::{Sql, holds_nul, keep_from_catalog, time_value};
use super::tokens::{is_in_value, may_be_in_time, pieces_of};
use crate::models::{
    Column, ColumnType, Condition, Field, Filter, LogKey, LogQuery, Needle, Node, Operand, Operator, Order,
    Pattern, Place, Test, longest_word,
};
use crate::storage::duckdb::sql::log_id::LogId;

/// Returns a time bound, rounded up to the engine's microseconds.
///
/// So `>=` and `<` have the same meaning as in [`LogQuery::matches`].
fn bound_micros(time: DateTime<Utc>) -> i64 {
    let has_more = !time.timestamp_subsec_nanos().is_multiple_of(1_000);
    time.timestamp_micros() + i64::from(has_more)
}

fn bound_value(time: DateTime<Utc>) -> Value {
    Value::Timestamp(::duckdb::types::TimeUnit::Microsecond, bound_micros(time))
}

/// Returns SQL without values that is true of the logs of a query's times.
pub(crate) fn times(query: &LogQuery) -> String {
    let bound = |operator: &str, time| {
        let micros = bound_micros(time);
        format!("event_time {operator} make_timestamp({micros})")
    };
    let since = query.since.map(|since| bound(">=", since));
    let until = query.until.map(|until| bound("<", until));
    let bounds: Vec<String> = since
        .into_iter()
        .chain(until)
        .chain(["true".to_owned()])
        .collect();
    bounds.join(" AND ")
}

/// Returns ` WHERE ...` for a query of `log_texts`.
pub(crate) fn where_clause(query: &LogQuery) -> Sql {
    let mut sql = Sql::new("\nWHERE true");
    sql.and("event_time", ">=", query.since.map(bound_value));
    sql.and("event_time", "<", query.until.map(bound_value));
    for filter in query.filters() {
        sql.push("\nAND ");
        sql.append(filter_sql(filter));
    }
    sql
}

/// Returns SQL that is true of the logs that pass a filter.
///
/// Of the others it is false or NULL. A field that a log does not have is NULL.
fn filter_sql(filter: &Filter) -> Sql {
    match filter.node() {
        Node::All(parts) => group(parts, " AND ", "true"),
        Node::Any(parts) => group(parts, " OR ", "false"),
        Node::Not(part) => negation(part),
        Node::Condition(condition) => condition_sql(condition),
    }
}

fn group(parts: &[Filter], operator: &str, of_none: &str) -> Sql {
    let mut sql = Sql::new("(");
    for (index, part) in parts.iter().enumerate() {
        sql.push(if index == 0 { "" } else { operator });
        sql.append(filter_sql(part));
    }
    sql.push(if parts.is_empty() { of_none } else { "" });
    sql.push(")");
    sql
}

/// Returns SQL for a negation, which is also true if the part is NULL: a missing field passes a negation.
fn negation(part: &Filter) -> Sql {
    if let Node::Condition(condition) = part.node()
        && let Test::Equals(unwanted) = condition.test()
    {
        return comparison(condition.field(), " IS DISTINCT FROM ", unwanted);
    }
    let mut sql = Sql::new("(");
    sql.append(filter_sql(part));
    sql.push(" IS NOT TRUE)");
    sql
}

/// Returns ` WHERE ...` for a page of a query of `log_texts`.
pub(crate) fn page_clause(query: &LogQuery) -> Sql {
    let mut sql = where_clause(query);
    if let Some(key) = &query.after {
        sql.append(after(key, query.order));
    }
    sql
}

/// Returns ` AND ...` for the logs after a key.
///
/// Logs of the key's time come in the order of their sequence numbers. A lake with several writers may hold the log
/// twice.
fn after(key: &LogKey, order: Order) -> Sql {
    let (beyond, last) = match order {
        Order::NewestFirst | Order::Any => ("<", "min"),
        Order::OldestFirst => (">", "max"),
    };
    let time = time_value(key.event_time);
    // The plain condition lets the engine skip row groups and files.
    let mut sql = Sql::default();
    sql.and("event_time", &format!("{beyond}="), Some(time.clone()));
    sql.push(&format!("\nAND (event_time {beyond} "));
    sql.bind(time.clone());
    sql.push(&format!(
        " OR seq {beyond} (SELECT {last}(seq) FROM logs WHERE true"
    ));
    sql.append(same_key(key));
    sql.push("))");
    sql
}

/// Returns ` AND ...` for the log with a key.
pub(crate) fn same_key(key: &LogKey) -> Sql {
    let mut sql = Sql::default();
    sql.and_equals("event_time", Some(time_value(key.event_time)));
    sql.and_equals("id", Some(key.id.clone()));
    sql
}

/// Returns ` ORDER BY ...` for a query.
pub(crate) fn order(query: &LogQuery) -> Sql {
    Sql::new(match query.order {
        Order::NewestFirst | Order::Any => "\nORDER BY event_time DESC, seq DESC",
        Order::OldestFirst => "\nORDER BY event_time, seq",
    })
}

/// Returns ` ORDER BY ... LIMIT ...` for a query.
pub(crate) fn order_and_limit(query: &LogQuery) -> Sql {
    let mut sql = order(query);
    sql.limit(query.limit);
    sql
}

/// Returns SQL for a condition. Most logs are judged without putting their texts together.
fn condition_sql(condition: &Condition) -> Sql {
    let whole = whole_condition(condition);
    let Some(hint) = Hint::of(condition) else {
        return whole;
    };
    let mut sql = Sql::new("(");
    if let Some(text) = &hint.decides {
        sql.push("contains(template, ");
        sql.bind(text.clone());
        sql.push(") OR ");
    }
    sql.push("(");
    sql.append(hint.may_hold());
    sql.push(" AND ");
    sql.append(whole);
    sql.push("))");
    sql
}

/// Says what the texts of a log must hold to pass a condition.
pub(crate) struct Hint {
    /// Says whether the line is sought in, and not the message.
    is_line: bool,
    /// Holds a word of ASCII letters and digits. A row layout leaves values out only at the bounds of words, so that each
    /// word is in the layout or in one of the columns.
    word: Option<String>,
    /// Holds texts that templates do not cut: see [`pieces_of`].
    pieces: Vec<String>,
    /// Holds a text whose logs pass if their template has it.
    decides: Option<String>,
}

impl Hint {
    /// Returns what the texts of a log must hold to pass a filter; `None` if that is not known.
    pub(crate) fn of_filter(filter: &Filter) -> Option<Self> {
        match filter.node() {
            Node::Condition(condition) => Self::of(condition),
            _ => None,
        }
    }

    /// Returns what the texts of a log must hold; `None` if that is not known.
    pub(crate) fn of(condition: &Condition) -> Option<Self> {
        let is_line = condition.field().0 == Place::Text;
        if !is_line && condition.field().0 != Place::Column(Column::Message) {
            return None;
        }
        let texts = match condition.test() {
            Test::Equals(text) | Test::Contains(text) | Test::StartsWith(text) | Test::EndsWith(text) => {
                vec![text.clone()]
            }
            Test::Matches(patterns) => match patterns.as_slice() {
                [pattern] => pattern.required_texts(),
                _ => return None,
            },
            _ => return None,
        };
        let words = texts.iter().filter_map(|text| longest_word(text));
        let word = words.max_by_key(|word| word.len()).map(str::to_owned);
        let pieces = texts.iter().flat_map(|text| pieces_of(text));
        let hint = Self {
            is_line,
            word,
            pieces: pieces.map(str::to_owned).collect(),
            decides: match condition.test() {
                Test::Contains(text) if is_line && is_plain(text) => Some(text.clone()),
                _ => None,
            },
        };
        (hint.word.is_some() || !hint.pieces.is_empty()).then_some(hint)
    }

    /// Returns the column of templates in which it may be.
    pub(crate) fn template(&self) -> &'static str {
        match self.is_line {
            true => "template",
            false => "message_template",
        }
    }

    /// Returns a text whose logs pass if their template has it; `None` if templates do not tell.
    pub(crate) fn decides(&self) -> Option<&str> {
        self.decides.as_deref()
    }

    /// Returns the texts that a log holds in its template or in a value.
    pub(crate) fn pieces_of_values(&self) -> impl Iterator<Item = &str> {
        let pieces = self.pieces.iter().map(String::as_str);
        pieces.filter(|piece| is_in_value(piece))
    }

    /// Returns the piece that the fewest logs hold, as far as that can be told.
    fn rarest_piece(&self) -> Option<&String> {
        // What a time may have is in almost every log.
        let pieces = self.pieces.iter();
        pieces.max_by_key(|piece| (!may_be_in_time(piece), piece.len()))
    }

    /// Returns SQL that is true of every log whose texts hold what they must.
    fn may_hold(&self) -> Sql {
        let mut sql = Sql::new("((variables IS NULL AND (layout IS NULL OR ");
        match &self.word {
            Some(word) => sql.append(any_contains(&has::LAID_OUT, word)),
            None => sql.push("true"),
        }
        sql.push(")) OR (variables IS NOT NULL AND ");
        match self.rarest_piece() {
            Some(piece) if !may_be_in_time(piece) => {
                let mut texts = vec![self.template()];
                texts.extend(has::IN_TEMPLATES);
                // The others hold these characters only.
                let is_of = |other: &[u8]| {
                    piece
                        .bytes()
                        .all(|byte| byte.is_ascii_hexdigit() || other.contains(&byte))
                };
                texts.extend(is_of(b"-").then_some("identifiers"));
                texts.extend(is_of(b".:").then_some(has::ADDRESSES).into_iter().flatten());
                let is_number = piece.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-'));
                texts.extend(is_number.then_some(has::NUMBERS).into_iter().flatten());
                sql.append(any_contains(&texts, piece));
            }
            _ => sql.push("true"),
        }
        sql.push("))");
        sql
    }
}

/// Says whether a text is in a template only where it is in its logs: a template doubles braces and has placeholders,
/// which are numbers.
fn is_plain(text: &str) -> bool {
    !text.contains(['{', '}']) && text.bytes().any(|byte| !byte.is_ascii_digit())
}

/// Returns SQL that is true of a log if any of these texts contains a part.
fn any_contains(texts: &[&str], part: &str) -> Sql {
    let mut sql = Sql::new("(");
    for (index, text) in texts.iter().enumerate() {
        sql.push(if index == 0 { "" } else { " OR " });
        sql.push(&format!("contains({text}, "));
        sql.bind(part.to_owned());
        sql.push(")");
    }
    sql.push(")");
    sql
}

fn whole_condition(condition: &Condition) -> Sql {
    let field = condition.field();
    match condition.test() {
        Test::Equals(wanted) => equality(field, wanted),
        Test::OneOf(wanted) => list(field, wanted),
        Test::Contains(part) => call("contains", field, part),
        Test::StartsWith(start) => call("starts_with", field, start),
        Test::EndsWith(end) => call("ends_with", field, end),
        Test::Matches(patterns) => matches(field, patterns),
        Test::Has(_) => whole_value(condition),
        Test::InNetwork(network) => call(IN_NETWORK, field, &network.to_string()),
        Test::Exists => {
            let mut sql = Sql::new("(");
            sql.append(typed(field));
            sql.push(" IS NOT NULL)");
            sql
        }
        Test::Compare(how, operand) => match native_value(field, operand) {
            Some(value) => compared(field, &format!(" {} ", how.symbol()), value),
            None => {
                let mut sql = Sql::new("(");
                sql.append(call(ORDER_OF, field, &operand.tagged()));
                sql.push(&format!(" {} 0)", how.symbol()));
                sql
            }
        },
    }
}

fn whole_value(condition: &Condition) -> Sql {
    let Operator::Has(value) = condition.operator() else {
        return Sql::new("(false)");
    };
    if condition.field().0 != Place::Any {
        return call(HAS, condition.field(), value);
    }
    let mut sql = Sql::new("(");
    if let Some(pattern) = pattern_of_words(condition) {
        for text in ["template", "host", "appname", "\"user\""] {
            sql.push(&format!("regexp_matches({text}, "));
            sql.bind(pattern.as_str().to_owned());
            sql.push(") OR ");
        }
    }
    sql.push(&format!("{LOG_HAS}("));
    sql.bind(value.clone());
    sql.push(&format!(", {}))", has::arguments()));
    sql
}

/// Returns a pattern by which a template or a column shows that a log has a value as a whole; `None` if the value that is
/// sought has other characters than most names and phrases. Numbers and braces are also placeholders of templates.
pub(crate) fn pattern_of_words(condition: &Condition) -> Option<Pattern> {
    const BEFORE: &str = r"(?:^|[\x00-/:-@\[-`{-\x7f])";
    const AFTER: &str = r"(?:[\x00-/:-@\[-`{-\x7f]|$)";
    let Test::Has(Needle::Words { text, .. }) = condition.test() else {
        return None;
    };
    let is_common = |byte: u8| byte.is_ascii_alphanumeric() || b" -_./:@".contains(&byte);
    let has_letter = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    if !has_letter || !text.bytes().all(is_common) {
        return None;
    }
    Pattern::ignoring_case(BEFORE, text, AFTER).ok()
}

/// Returns a value that the engine orders as the operand does.
fn native_value(field: &Field, operand: &Operand) -> Option<Value> {
    match (field.column_type(), operand) {
        (ColumnType::Integer, Operand::Number(number)) => number.as_i64().map(Value::BigInt),
        (ColumnType::Time, Operand::Time(time)) => Some(time_value(*time)),
        (ColumnType::Text, Operand::Text(text)) => Some(Value::Text(text.clone())),
        _ => None,
    }
}

fn equality(field: &Field, text: &str) -> Sql {
    if !matches!(field.0, Place::Column(Column::Id)) || LogId::new(text).uuid().is_none() {
        return comparison(field, " = ", text);
    }
    // Logs of earlier versions have UUIDs as texts.
    let mut sql = Sql::new("(stored_uuid = CAST(");
    sql.bind(text.to_owned());
    sql.push(" AS UUID) OR stored_id = ");
    sql.bind(text.to_owned());
    sql.push(")");
    sql
}

fn comparison(field: &Field, operator: &str, text: &str) -> Sql {
    compared(field, operator, typed_value(field.column_type(), text))
}

fn compared(field: &Field, operator: &str, value: Value) -> Sql {
    let mut subject = typed(field);
    keep_from_catalog(&mut subject, &value);
    let mut sql = Sql::new("(");
    sql.append(subject);
    sql.push(operator);
    sql.bind(value);
    sql.push(")");
    sql
}

fn list(field: &Field, wanted: &[String]) -> Sql {
    if wanted.is_empty() {
        return Sql::new("(false)");
    }
    let values: Vec<Value> = wanted
        .iter()
        .map(|text| typed_value(field.column_type(), text))
        .collect();
    let mut subject = typed(field);
    if let Some(value) = values.iter().find(|value| holds_nul(value)) {
        keep_from_catalog(&mut subject, value);
    }
    let mut sql = Sql::new("(");
    sql.append(subject);
    sql.push(" IN (");
    sql.bind_all(values);
    sql.push("))");
    sql
}

fn matches(field: &Field, patterns: &[Pattern]) -> Sql {
    if patterns.is_empty() {
        return Sql::new("(false)");
    }
    let mut sql = Sql::new("(");
    for (index, pattern) in patterns.iter().enumerate() {
        sql.push(if index == 0 { "" } else { " OR " });
        sql.append(call("regexp_matches", field, pattern.as_str()));
    }
    sql.push(")");
    sql
}

fn call(function: &str, field: &Field, argument: &str) -> Sql {
    let mut subject = typed(field);
    keep_from_catalog(&mut subject, &Value::Text(argument.to_owned()));
    let mut sql = Sql::new(format!("{function}("));
    sql.append(subject);
    sql.push(", ");
    sql.bind(argument.to_owned());
    sql.push(")");
    sql
}

fn typed_value(column_type: ColumnType, text: &str) -> Value {
    let parsed = match column_type {
        ColumnType::Text => None,
        ColumnType::Integer => text.parse().ok().map(Value::BigInt),
        ColumnType::Time => text.parse::<DateTime<Utc>>().ok().map(time_value),
    };
    parsed.unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// Returns SQL for a field as the engine stores it.
fn typed(field: &Field) -> Sql {
    match &field.0 {
        Place::Column(column) => Sql::new(quoted(*column)),
        // No operator but `has` takes all texts, and it does not ask for one.
        Place::Any => Sql::new("NULL"),
        Place::Text => Sql::new("coalesce(raw, message)"),
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

/// Returns SQL for a field as text, in the form of [`Field::text_in`].
pub(crate) fn text(field: &Field) -> Sql {
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
