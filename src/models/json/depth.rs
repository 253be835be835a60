//! A limit on the depth of JSON, so that any reader can read again what is stored.

use serde_json::Value;

use super::borrowed::Members;
use crate::models::InvalidValue;

/// Limits objects and lists within one another. Readers of JSON have limits of their own, such as 128 in serde_json.
/// The levels around a value count there as well.
pub(crate) const DEEPEST: usize = 100;

/// Checks that values can be stored in an object.
pub(crate) fn check_nesting<'a>(
    subject: &'static str,
    values: impl IntoIterator<Item = &'a Value>,
) -> Result<(), InvalidValue> {
    match values.into_iter().any(|value| is_deeper(value, DEEPEST - 1)) {
        true => Err(too_deep(subject)),
        false => Ok(()),
    }
}

/// Checks the members of an object as [`check_nesting`] does.
pub(crate) fn check_depth(subject: &'static str, members: &Members<'_>) -> Result<(), InvalidValue> {
    match members.iter().any(|(_, value)| value.is_deeper(DEEPEST - 1)) {
        true => Err(too_deep(subject)),
        false => Ok(()),
    }
}

fn too_deep(subject: &'static str) -> InvalidValue {
    let reason = format!("nest at most {DEEPEST} objects and lists within one another");
    InvalidValue::new(subject, "{...}", reason)
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) if levels == 0 => true,
        Value::Array(values) => values.iter().any(|value| is_deeper(value, levels - 1)),
        Value::Object(map) => map.values().any(|value| is_deeper(value, levels - 1)),
        _ => false,
    }
}
