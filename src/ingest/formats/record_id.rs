//! Makes the id of a log of the id that its source gave the event, so that a batch that comes twice is stored once.

use uuid::Uuid;

use crate::models::{Json, Members};

/// Returns the id of a log whose members have these fields; `None` if one is missing.
///
/// Several names are separated by commas. A name may be a path, whose parts are separated by dots.
pub(crate) fn of_fields(names: &str, source_type: Option<&str>, members: &Members<'_>) -> Option<String> {
    let mut text = source_type.unwrap_or_default().to_owned();
    for name in names.split(',').map(str::trim) {
        let value = value(name, members)?;
        // The length keeps the values of two fields apart.
        text.push_str(&format!("\n{name}={}:{value}", value.len()));
    }
    Some(Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string())
}

fn value(name: &str, members: &Members<'_>) -> Option<String> {
    let of_path = || {
        let (first, rest) = name.split_once('.')?;
        let path: Vec<&str> = rest.split('.').collect();
        members.get(first)?.at(&path)
    };
    match members.get(name).or_else(of_path)? {
        Json::String(text) if !text.is_empty() => Some(text.clone().into_owned()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_each_value() {
        let of = |text: &str, names: &str| of_fields(names, None, &serde_json::from_str(text).unwrap());
        let text = r#"{"eventID": "x", "n": 5, "a": {"b": "y"}, "a.c": "z", "none": null, "empty": ""}"#;
        let ids = ["eventID", "n", "a.b", "a.c", "eventID, n"].map(|names| of(text, names).unwrap());
        assert_eq!(of(text, "eventID").as_ref(), ids.first());
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        for names in ["other", "none", "empty", "a", "eventID,other"] {
            assert_eq!(of(text, names), None, "{names}");
        }
    }
}
