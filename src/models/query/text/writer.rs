//! A filter as text that is read as the same filter.

use std::fmt::{self, Display as _, Write as _};

use super::{begins_operator, field_length, is_reserved, is_value_character};
use crate::models::query::condition::{Case, Condition, Operator};
use crate::models::query::field::Field;
use crate::models::query::filter::{Filter, Node};

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node() {
            Node::All(parts) if parts.is_empty() => f.write_str("true"),
            Node::Any(parts) if parts.is_empty() => f.write_str("false"),
            Node::All(parts) => write_group(f, parts, " and "),
            Node::Any(parts) => write_group(f, parts, " or "),
            Node::Not(part) => write_negation(f, part),
            Node::Condition(condition) => condition.fmt(f),
        }
    }
}

fn write_group(f: &mut fmt::Formatter<'_>, parts: &[Filter], word: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { word })?;
        write_part(f, part)?;
    }
    Ok(())
}

/// Writes a filter within another, in brackets if it is made of several.
fn write_part(f: &mut fmt::Formatter<'_>, part: &Filter) -> fmt::Result {
    match part.node() {
        Node::All(parts) | Node::Any(parts) if !parts.is_empty() => write!(f, "({part})"),
        _ => part.fmt(f),
    }
}

fn write_negation(f: &mut fmt::Formatter<'_>, part: &Filter) -> fmt::Result {
    if let Node::Condition(condition) = part.node()
        && let Operator::Equals(value, case) = condition.operator()
    {
        write_field(f, condition.field())?;
        f.write_str(" != ")?;
        write_value(f, value)?;
        return write_case(f, *case);
    }
    f.write_str("not ")?;
    write_part(f, part)
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_field(f, self.field())?;
        let mut with_case = |operator: &str, value: &str, case: Case| {
            write!(f, " {operator} ")?;
            write_value(f, value)?;
            write_case(f, case)
        };
        match self.operator() {
            Operator::Equals(value, case) => with_case("=", value, *case),
            Operator::Contains(text, case) => with_case("contains", text, *case),
            Operator::StartsWith(text, case) => with_case("startswith", text, *case),
            Operator::EndsWith(text, case) => with_case("endswith", text, *case),
            Operator::Less(value) => with_case("<", value, Case::Sensitive),
            Operator::LessOrEqual(value) => with_case("<=", value, Case::Sensitive),
            Operator::Greater(value) => with_case(">", value, Case::Sensitive),
            Operator::GreaterOrEqual(value) => with_case(">=", value, Case::Sensitive),
            Operator::OneOf(values, case) => {
                f.write_str(" in (")?;
                for (index, value) in values.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    write_value(f, value)?;
                }
                f.write_str(")")?;
                write_case(f, *case)
            }
            Operator::Matches(pattern) => {
                f.write_str(" ~ ")?;
                write_quoted(f, pattern.as_str())
            }
            Operator::Has(value) => with_case("has", value, Case::Sensitive),
            Operator::InNetwork(network) => write!(f, " in {network}"),
            Operator::Exists => f.write_str(" exists"),
        }
    }
}

fn write_case(f: &mut fmt::Formatter<'_>, case: Case) -> fmt::Result {
    match case {
        Case::Sensitive => Ok(()),
        Case::Ignored => f.write_str(" i"),
    }
}

fn write_field(f: &mut fmt::Formatter<'_>, field: &Field) -> fmt::Result {
    let name = field.to_string();
    match field_length(&name) == name.len() {
        true => f.write_str(&name),
        false => write!(f, "`{}`", name.replace('`', "``")),
    }
}

fn write_value(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let is_word = !value.is_empty()
        && value
            .chars()
            .all(|character| is_value_character(character) && is_visible(character))
        && !value.starts_with(begins_operator)
        && !is_reserved(value);
    match is_word {
        true => f.write_str(value),
        false => write_quoted(f, value),
    }
}

/// Writes a text in single quotes. A text that a terminal would not show as it is gets double quotes.
fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if text.chars().all(is_visible) {
        return write!(f, "'{}'", text.replace('\'', "''"));
    }
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            visible if is_visible(visible) => f.write_char(visible)?,
            hidden => write!(f, "\\u{{{:x}}}", u32::from(hidden))?,
        }
    }
    f.write_char('"')
}

fn is_visible(character: char) -> bool {
    matches!(character, '"' | '\'' | '\\') || character.escape_debug().len() == 1
}
