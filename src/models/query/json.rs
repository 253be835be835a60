//! Filters and queries as JSON, for services that take them from their callers.
//!
//! A group is an object with one member: `all`, `any` or `not`. A condition has a `field`, a member that is called like
//! its operator, and `ignore_case` where that is true. A filter may also be a text, as it is typed.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::condition::{Case, Condition, Operator};
use super::field;
use super::filter::{DEEPEST, Filter, Node, too_deep};
use super::{LogQuery, Order};
use crate::models::{InvalidValue, LogKey};

/// Lists the names of a filter's members.
const MEMBERS: [&str; 18] = [
    "all",
    "any",
    "not",
    "field",
    "ignore_case",
    "equals",
    "one_of",
    "contains",
    "starts_with",
    "ends_with",
    "matches",
    "has",
    "in_network",
    "exists",
    "less",
    "less_or_equal",
    "greater",
    "greater_or_equal",
];

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.node() {
            Node::All(parts) => map.serialize_entry("all", parts)?,
            Node::Any(parts) => map.serialize_entry("any", parts)?,
            Node::Not(part) => map.serialize_entry("not", part)?,
            Node::Condition(condition) => write_condition(&mut map, condition)?,
        }
        map.end()
    }
}

fn write_condition<M: serde::ser::SerializeMap>(map: &mut M, condition: &Condition) -> Result<(), M::Error> {
    map.serialize_entry("field", &condition.field().to_string())?;
    let case = match condition.operator() {
        Operator::Equals(value, case) => map.serialize_entry("equals", value).map(|()| *case),
        Operator::OneOf(values, case) => map.serialize_entry("one_of", values).map(|()| *case),
        Operator::Contains(text, case) => map.serialize_entry("contains", text).map(|()| *case),
        Operator::StartsWith(text, case) => map.serialize_entry("starts_with", text).map(|()| *case),
        Operator::EndsWith(text, case) => map.serialize_entry("ends_with", text).map(|()| *case),
        other => write_caseless(map, other).map(|()| Case::Sensitive),
    }?;
    match case {
        Case::Sensitive => Ok(()),
        Case::Ignored => map.serialize_entry("ignore_case", &true),
    }
}

fn write_caseless<M: serde::ser::SerializeMap>(map: &mut M, operator: &Operator) -> Result<(), M::Error> {
    match operator {
        Operator::Matches(pattern) => map.serialize_entry("matches", pattern.as_str()),
        Operator::Has(value) => map.serialize_entry("has", value),
        Operator::InNetwork(network) => map.serialize_entry("in_network", network),
        Operator::Less(value) => map.serialize_entry("less", value),
        Operator::LessOrEqual(value) => map.serialize_entry("less_or_equal", value),
        Operator::Greater(value) => map.serialize_entry("greater", value),
        Operator::GreaterOrEqual(value) => map.serialize_entry("greater_or_equal", value),
        _ => map.serialize_entry("exists", &true),
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        FilterAt { depth: 1 }.deserialize(deserializer)
    }
}

/// Reads a filter that is this deep in others. The depth is checked before the inside is read.
#[derive(Clone, Copy)]
struct FilterAt {
    depth: usize,
}

impl FilterAt {
    fn inside(self) -> Self {
        Self {
            depth: self.depth + 1,
        }
    }
}

impl<'de> DeserializeSeed<'de> for FilterAt {
    type Value = Filter;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Filter, D::Error> {
        // Needless groups are taken apart, so a filter may be deeper in JSON than it turns out to be.
        match self.depth <= 2 * DEEPEST {
            true => deserializer.deserialize_any(self),
            false => Err(D::Error::custom(too_deep())),
        }
    }
}

impl<'de> Visitor<'de> for FilterAt {
    type Value = Filter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a filter: an object with all, any, not or field, or a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Filter, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Filter, M::Error> {
        let mut written = Written::default();
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "all" => {
                    let parts = map.next_value_seed(PartsAt(self.inside()))?;
                    written.add_group(Filter::all(parts))
                }
                "any" => {
                    let parts = map.next_value_seed(PartsAt(self.inside()))?;
                    written.add_group(Filter::any(parts))
                }
                "not" => {
                    let part = map.next_value_seed(self.inside())?;
                    written.add_group(part.negated())
                }
                "field" => written.add_field(map.next_value()?),
                "ignore_case" => {
                    written.ignores_case = map.next_value()?;
                    Ok(())
                }
                name if MEMBERS.contains(&name) => written.add_operator(name, &map.next_value()?),
                name => return Err(M::Error::unknown_field(name, &MEMBERS)),
            }
            .map_err(M::Error::custom)?;
        }
        written.into_filter().map_err(M::Error::custom)
    }
}

/// Reads the parts of a group.
struct PartsAt(FilterAt);

impl<'de> DeserializeSeed<'de> for PartsAt {
    type Value = Vec<Filter>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Filter>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PartsAt {
    type Value = Vec<Filter>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of filters")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut parts: S) -> Result<Vec<Filter>, S::Error> {
        let mut filters = Vec::new();
        while let Some(filter) = parts.next_element_seed(self.0)? {
            filters.push(filter);
        }
        Ok(filters)
    }
}

/// Holds the members of an object that were read so far.
#[derive(Default)]
struct Written {
    group: Option<Filter>,
    field: Option<String>,
    operator: Option<Operator>,
    ignores_case: bool,
}

impl Written {
    fn add_group(&mut self, group: Result<Filter, InvalidValue>) -> Result<(), InvalidValue> {
        match self.group.replace(group?) {
            None => Ok(()),
            Some(_) => Err(invalid("give one of all, any and not")),
        }
    }

    fn add_field(&mut self, field: String) -> Result<(), InvalidValue> {
        match self.field.replace(field) {
            None => Ok(()),
            Some(_) => Err(invalid("give one field")),
        }
    }

    fn add_operator(&mut self, name: &str, value: &Value) -> Result<(), InvalidValue> {
        match self.operator.replace(operator(name, value)?) {
            None => Ok(()),
            Some(_) => Err(invalid("give one operator, and put several conditions into all")),
        }
    }

    fn into_filter(self) -> Result<Filter, InvalidValue> {
        match (self.group, self.field, self.operator) {
            (Some(group), None, None) if !self.ignores_case => Ok(group),
            (None, Some(field), Some(operator)) => {
                let operator = match self.ignores_case {
                    true => ignoring_case(operator)?,
                    false => operator,
                };
                Filter::condition(&field, operator)
            }
            _ => Err(invalid(
                "give one of all, any and not, or a field and an operator",
            )),
        }
    }
}

fn invalid(reason: &str) -> InvalidValue {
    InvalidValue::new("filter", "{...}", reason)
}

fn operator(name: &str, value: &Value) -> Result<Operator, InvalidValue> {
    let text = || text(name, value);
    Ok(match name {
        "equals" => Operator::equals(text()?),
        "one_of" => Operator::one_of(texts(name, value)?),
        "contains" => Operator::contains(text()?),
        "starts_with" => Operator::starts_with(text()?),
        "ends_with" => Operator::ends_with(text()?),
        "matches" => Operator::Matches(text()?.parse()?),
        "has" => Operator::Has(text()?),
        "in_network" => Operator::in_network(&text()?)?,
        "less" => Operator::Less(text()?),
        "less_or_equal" => Operator::LessOrEqual(text()?),
        "greater" => Operator::Greater(text()?),
        "greater_or_equal" => Operator::GreaterOrEqual(text()?),
        _ if *value == Value::Bool(true) => Operator::Exists,
        _ => {
            return Err(refused(
                name,
                value,
                "write true, and for a field that is missing not",
            ));
        }
    })
}

/// Returns a value as a field's text would be: numbers and truth values may be written as they are.
fn text(name: &str, value: &Value) -> Result<String, InvalidValue> {
    let is_single = matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    let text = is_single.then(|| field::value_text(value)).flatten();
    let text = text.ok_or_else(|| refused(name, value, "use a text or a number"))?;
    Ok(text.into_owned())
}

fn texts(name: &str, value: &Value) -> Result<Vec<String>, InvalidValue> {
    let Value::Array(values) = value else {
        return Err(refused(name, value, "use a list of texts or numbers"));
    };
    values.iter().map(|value| text(name, value)).collect()
}

fn refused(name: &str, value: &Value, reason: &str) -> InvalidValue {
    InvalidValue::new("value", &value.to_string(), format!("of {name}: {reason}"))
}

fn ignoring_case(operator: Operator) -> Result<Operator, InvalidValue> {
    Ok(match operator {
        Operator::Equals(value, _) => Operator::Equals(value, Case::Ignored),
        Operator::OneOf(values, _) => Operator::OneOf(values, Case::Ignored),
        Operator::Contains(text, _) => Operator::Contains(text, Case::Ignored),
        Operator::StartsWith(text, _) => Operator::StartsWith(text, Case::Ignored),
        Operator::EndsWith(text, _) => Operator::EndsWith(text, Case::Ignored),
        Operator::Matches(pattern) => Operator::Matches(pattern.in_any_case()?),
        _ => return Err(invalid("ignore_case is for texts and patterns")),
    })
}

impl Serialize for LogQuery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(since) = &self.since {
            map.serialize_entry("since", since)?;
        }
        if let Some(until) = &self.until {
            map.serialize_entry("until", until)?;
        }
        match self.filters.as_slice() {
            [] => {}
            [filter] => map.serialize_entry("filter", filter)?,
            filters => map.serialize_entry("filter", &All { all: filters })?,
        }
        map.serialize_entry("order", &self.order)?;
        if let Some(limit) = &self.limit {
            map.serialize_entry("limit", limit)?;
        }
        if let Some(after) = &self.after {
            map.serialize_entry("after", after)?;
        }
        map.end()
    }
}

/// Holds filters that must all hold.
#[derive(Serialize)]
struct All<'a> {
    all: &'a [Filter],
}

impl<'de> Deserialize<'de> for LogQuery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = WrittenQuery::deserialize(deserializer)?;
        let query = Self {
            since: written.since,
            until: written.until,
            order: written.order,
            limit: written.limit,
            after: written.after,
            filters: Vec::new(),
        };
        Ok(match written.filter {
            Some(filter) => query.filter(filter),
            None => query,
        })
    }
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a query: an object with since, until, filter, order, limit and after"
)]
struct WrittenQuery {
    #[serde(default, deserialize_with = "since")]
    since: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "until")]
    until: Option<DateTime<Utc>>,
    filter: Option<Filter>,
    #[serde(default)]
    order: Order,
    limit: Option<u64>,
    after: Option<LogKey>,
}

fn since<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    time("since", deserializer)
}

fn until<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    time("until", deserializer)
}

/// Reads a time of RFC 3339: a query that a service keeps must mean the same later.
fn time<'de, D: Deserializer<'de>>(
    name: &'static str,
    deserializer: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let time = DateTime::parse_from_rfc3339(&text).map_err(|_| {
        let reason = "use a time with its zone, such as 2024-01-31T12:00:00Z";
        D::Error::custom(InvalidValue::new(name, &text, reason))
    })?;
    Ok(Some(time.to_utc()))
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn a_time_that_is_none_is_named() {
        let refused = |written: Value| from_value::<crate::LogQuery>(written).unwrap_err().to_string();
        for name in ["since", "until"] {
            let refused = refused(json!({ name: "1h" }));
            assert!(
                refused.contains(name) && refused.contains("2024-01-31T12:00:00Z"),
                "{refused}"
            );
        }
        assert!(refused(json!(3)).contains("expected a query"));
    }

    fn refusal(written: Value) -> String {
        from_value::<Filter>(written).unwrap_err().to_string()
    }

    #[test]
    fn a_filter_has_a_readable_shape() {
        let filter: Filter =
            "user = root i and (level >= err or not source_ip in 10.0.0.0/8) and bytes exists"
                .parse()
                .unwrap();
        let written = json!({"all": [
            {"field": "user", "equals": "root", "ignore_case": true},
            {"any": [
                {"field": "level", "greater_or_equal": "err"},
                {"not": {"field": "source_ip", "in_network": "10.0.0.0/8"}},
            ]},
            {"field": "normalized.bytes", "exists": true},
        ]});
        assert_eq!(to_value(&filter).unwrap(), written);
        assert_eq!(from_value::<Filter>(written).unwrap(), filter);
        assert_eq!(from_value::<Filter>(json!(filter.to_string())).unwrap(), filter);
        let numbers = json!({"field": "k", "one_of": [7, true, "x"]});
        assert_eq!(
            from_value::<Filter>(numbers).unwrap(),
            "k in (7, true, x)".parse().unwrap()
        );
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for (written, word) in [
            (json!({}), "give one of all"),
            (json!({"field": "user"}), "a field and an operator"),
            (json!({"equals": "x"}), "a field and an operator"),
            (
                json!({"field": "user", "equals": "x", "contains": "y"}),
                "one operator",
            ),
            (json!({"all": [], "any": []}), "one of all, any and not"),
            (json!({"all": [], "field": "user", "equals": "x"}), "one of all"),
            (json!({"all": {}}), "a list of filters"),
            (json!({"none": []}), "unknown field `none`"),
            (json!({"field": "user", "equals": null}), "use a text or a number"),
            (json!({"field": "user", "one_of": "x"}), "use a list"),
            (json!({"field": "user", "exists": false}), "write true"),
            (json!({"field": "user", "matches": "("}), "regular expression"),
            (json!({"field": "user", "in_network": "x"}), "network"),
            (json!({"field": "procid", "equals": "x"}), "whole number"),
            (
                json!({"field": "user", "less": "x", "ignore_case": true}),
                "ignore_case",
            ),
            (json!("user ="), "column 7"),
            (json!(7), "a filter"),
        ] {
            let error = refusal(written.clone());
            assert!(error.contains(word), "{written}: {error}");
        }
    }

    #[test]
    fn depth_is_bounded_before_it_is_read() {
        let mut deep = json!({"field": "k", "exists": true});
        for depth in 0..40 {
            deep = json!({(if depth % 2 == 0 { "all" } else { "any" }): [deep, {"field": "k", "equals": depth}]});
        }
        assert!(refusal(deep.clone()).contains("32"));
        for _ in 0..1_000 {
            deep = json!({"not": deep});
        }
        assert!(refusal(deep).contains("32"));
    }

    #[test]
    fn a_query_knows_its_members() {
        let query: LogQuery =
            from_value(json!({"filter": "user = root", "order": "oldest_first", "limit": 7})).unwrap();
        let expected = LogQuery::new().filter("user = root".parse().unwrap());
        assert_eq!(query, expected.order(Order::OldestFirst).limit(7));
        assert_eq!(from_value::<LogQuery>(json!({})).unwrap(), LogQuery::new());
        let error = from_value::<LogQuery>(json!({"filters": []}))
            .unwrap_err()
            .to_string();
        assert!(error.contains("unknown field `filters`"), "{error}");
        assert!(from_value::<LogQuery>(json!({"order": "newest"})).is_err());
    }
}
