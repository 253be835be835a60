//! Writes JSON as text.

use std::fmt::Write as _;

use super::borrowed::{Json, Members};

impl Json<'_> {
    /// Writes the JSON text after another one.
    fn write_to(&self, text: &mut String) {
        match self {
            Self::Null => text.push_str("null"),
            Self::Bool(true) => text.push_str("true"),
            Self::Bool(false) => text.push_str("false"),
            Self::Number(number) => write!(text, "{number}").expect("a text takes any text"),
            Self::String(value) => write_string(value, text),
            Self::Array(elements) => {
                text.push('[');
                for (place, element) in elements.iter().enumerate() {
                    if place > 0 {
                        text.push(',');
                    }
                    element.write_to(text);
                }
                text.push(']');
            }
            Self::Object(members) => members.write_object(text),
        }
    }
}

impl Json<'_> {
    /// Says whether `is` holds of a text within: of a string as it is, of a number or truth value as JSON, which is
    /// written into `memory`.
    fn any_text(&self, memory: &mut String, is: &mut impl FnMut(&str) -> bool) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(_) | Self::Number(_) => {
                memory.clear();
                self.write_to(memory);
                is(memory)
            }
            Self::String(text) => is(text),
            Self::Array(values) => values.iter().any(|value| value.any_text(memory, is)),
            Self::Object(members) => members.any_text(memory, is),
        }
    }
}

impl Members<'_> {
    /// Says whether `is` holds of the text of a value. The names of members do not count.
    pub(crate) fn any_text(&self, memory: &mut String, is: &mut impl FnMut(&str) -> bool) -> bool {
        self.iter().any(|(_, value)| value.any_text(memory, is))
    }

    /// Returns the JSON text; `None` if there are no members.
    pub(crate) fn to_text(&self) -> Option<String> {
        let mut text = String::new();
        self.write_to(&mut text).then_some(text)
    }

    /// Writes the JSON text after another one; says whether there are members.
    pub(crate) fn write_to(&self, text: &mut String) -> bool {
        if !self.is_empty() {
            self.write_object(text);
        }
        !self.is_empty()
    }

    fn write_object(&self, text: &mut String) {
        text.push('{');
        for (place, (name, value)) in self.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            write_string(name, text);
            text.push(':');
            value.write_to(text);
        }
        text.push('}');
    }
}

fn write_string(value: &str, text: &mut String) {
    text.reserve(value.len() + 2);
    text.push('"');
    let mut rest = value;
    while let Some(at) = first_escaped(rest.as_bytes()) {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        // All of these are one byte long.
        let (escaped, after) = after.split_at(1);
        write_escaped(escaped, text);
        rest = after;
    }
    text.push_str(rest);
    text.push('"');
}

fn write_escaped(character: &str, text: &mut String) {
    match character {
        "\"" => text.push_str("\\\""),
        "\\" => text.push_str("\\\\"),
        "\n" => text.push_str("\\n"),
        "\r" => text.push_str("\\r"),
        "\t" => text.push_str("\\t"),
        "\u{8}" => text.push_str("\\b"),
        "\u{c}" => text.push_str("\\f"),
        control => {
            for byte in control.bytes() {
                write!(text, "\\u{byte:04x}").expect("a text takes any text");
            }
        }
    }
}

/// Finds the first byte that JSON escapes. Most texts have none, so that many bytes are looked at together.
fn first_escaped(bytes: &[u8]) -> Option<usize> {
    const TOGETHER: usize = 16;
    let is_escaped = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    let is_clean = |some: &&[u8]| !some.iter().fold(false, |found, byte| found | is_escaped(byte));
    let clean = TOGETHER * bytes.chunks_exact(TOGETHER).take_while(is_clean).count();
    let rest = bytes.get(clean..)?;
    let at = rest.iter().position(|byte| ESCAPED[usize::from(*byte)])?;
    Some(clean + at)
}

/// Says of each byte whether JSON escapes it.
const ESCAPED: [bool; 256] = {
    let mut escaped = [false; 256];
    let mut byte = 0;
    while byte < b' ' as usize {
        escaped[byte] = true;
        byte += 1;
    }
    escaped[b'"' as usize] = true;
    escaped[b'\\' as usize] = true;
    escaped
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Makes any JSON value that is no number of infinite size.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\x00-\\x7f]{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let names = prop_oneof!["[a-c]{1,2}", any::<String>()];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((names, inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_text_is_that_of_serde(value in values()) {
            let mut text = String::from("before ");
            Json::from(&value).write_to(&mut text);
            prop_assert_eq!(text, format!("before {}", serde_json::to_string(&value).unwrap()));
        }
    }
}
