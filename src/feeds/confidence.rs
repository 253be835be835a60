//! Reads the confidence that a feed states: a number, or a word of a scale.

use serde_json::Value;

/// Reads a confidence from 0 to 1; `None` if the feed states none. The error says why it cannot be read.
///
/// Feeds count it to 100, and some to 1.
pub(super) fn stated(value: &Value) -> Result<Option<f64>, String> {
    read(value, |number| match number {
        above if above > 1.0 => above / 100.0,
        share => share,
    })
}

/// Reads a confidence from 0 to 100, such as that of STIX (section 3.2).
pub(super) fn of_percent(value: &Value) -> Result<Option<f64>, String> {
    read(value, |number| number / 100.0)
}

fn read(value: &Value, share: impl Fn(f64) -> f64) -> Result<Option<f64>, String> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => match of_word(text) {
            Some(percent) => return Ok(Some(percent / 100.0)),
            None => text.trim().trim_end_matches('%').trim().parse().ok(),
        },
        other => other.as_f64(),
    };
    let share = number.map(share).filter(|share| (0.0..=1.0).contains(share));
    share.map(Some).ok_or_else(|| {
        format!("its confidence {value} is no number from 0 to 100, and none of none, low, medium and high")
    })
}

/// Returns the percentage of a word of the scale "None / Low / Med / High" of STIX 2.1, appendix A.
fn of_word(text: &str) -> Option<f64> {
    Some(match text.trim().to_ascii_lowercase().as_str() {
        "none" => 0.0,
        "low" => 15.0,
        "med" | "medium" => 50.0,
        "high" => 85.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_words_of_stix_are_read() {
        for (value, expected) in [
            (json!(90), Some(0.9)),
            (json!(0.4), Some(0.4)),
            (json!("75"), Some(0.75)),
            (json!(" 75 % "), Some(0.75)),
            (json!("High"), Some(0.85)),
            (json!("MED"), Some(0.5)),
            (json!("medium"), Some(0.5)),
            (json!("low"), Some(0.15)),
            (json!("None"), Some(0.0)),
            (json!(null), None),
            (json!(""), None),
        ] {
            assert_eq!(stated(&value), Ok(expected), "{value}");
        }
        assert_eq!(of_percent(&json!(1)), Ok(Some(0.01)));
    }

    #[test]
    fn others_are_errors() {
        for value in [
            json!("certain"),
            json!(101),
            json!(-1),
            json!("NaN"),
            json!(true),
            json!([90]),
        ] {
            let error = stated(&value).unwrap_err();
            assert!(error.contains(&value.to_string()), "{error}");
        }
    }
}
