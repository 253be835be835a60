//! The beginnings of ids, which people type instead of ids.

use super::{Error, Result};
use crate::models::InvalidValue;

/// Counts the characters of an id that are asked for: with fewer, a slip of the finger names another thing.
const LEAST: usize = 4;

/// Returns the one thing whose id begins as `typed` does, of those that were found by it.
pub(super) fn only_one<T>(what: &'static str, typed: &str, mut found: Vec<T>) -> Result<T> {
    let invalid = |reason: String| Err(InvalidValue::new("id", typed, reason).into());
    let is_short = typed.chars().count() < LEAST;
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(Error::NotFound {
            what,
            name: typed.to_owned(),
        }),
        (Some(_), _) if is_short => invalid(format!(
            "write all of it, or its first {LEAST} characters at least"
        )),
        (Some(_), false) => invalid(format!("several {what}s begin so: write more of the id")),
        (Some(one), true) => Ok(one),
    }
}
