//! A bound on the regular expressions of one rule, which are slow to compile where they repeat much.

use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Map, Value};

use super::Refusal;

/// Limits the sizes of all expressions of a rule together. Those of this size take about a second to
/// compile.
const MOST: u64 = 1_000_000;

/// Checks that the expressions of a rule can be compiled in reasonable time. What is no expression is left to others.
pub(super) fn check(searches: &Map<String, Value>) -> Result<(), Refusal> {
    let mut sum: u64 = 0;
    for (key, value) in searches {
        sum = sum.saturating_add(size_of_member(key, value));
        if sum > MOST {
            let reason = "the regular expressions of the rule repeat too much: write shorter counts, such as {1,20}, or \
                          several rules";
            return Err(Refusal::at(key, reason));
        }
    }
    Ok(())
}

fn size_of_member(key: &str, value: &Value) -> u64 {
    let is_expression = key.split('|').skip(1).any(|modifier| modifier == "re");
    match value {
        Value::String(pattern) if is_expression => size_of(pattern),
        Value::Array(values) => sum(values.iter().map(|value| size_of_member(key, value))),
        Value::Object(members) => sum(members.iter().map(|(key, value)| size_of_member(key, value))),
        _ => 0,
    }
}

/// Guesses how many states an expression has once it is compiled.
fn size_of(pattern: &str) -> u64 {
    regex_syntax::parse(pattern).map_or(0, |hir| size(&hir))
}

fn size(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(Class::Unicode(class)) => class.ranges().len() as u64,
        HirKind::Class(Class::Bytes(class)) => class.ranges().len() as u64,
        HirKind::Capture(capture) => size(&capture.sub),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            size(&repetition.sub).saturating_mul(times.into())
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => sum(parts.iter().map(size)),
    }
}

fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(searches: &Value) -> Result<(), Refusal> {
        super::check(searches.as_object().expect("it is a map"))
    }

    #[test]
    fn many_heavy_expressions_are_refused_and_many_light_ones_are_not() {
        let rule = |pattern: &str| json!({"a": [{"CommandLine|re": vec![pattern; 500]}], "condition": "a"});
        assert!(check(&rule(r"(?i)powershell.{1,20}-enc\s+[a-z0-9]{10,}")).is_ok());
        let refusal = check(&rule(r"\w{50}x{1,900}")).unwrap_err();
        assert!(refusal.reason.contains("repeat too much"), "{refusal}");
        assert!(check(&json!({"a": {"CommandLine|contains": vec![r"\w{50}"; 500]}})).is_ok());
    }
}
