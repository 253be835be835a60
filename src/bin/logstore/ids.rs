//! Ids as people see and type them.

use logstore::{DuckDbStore, Error, StoreExt as _};

/// Returns how many characters tell some ids apart: eight at least.
pub(crate) fn telling_length<'i>(ids: impl Iterator<Item = &'i str>) -> usize {
    const LEAST: usize = 8;
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    let shared = ids.windows(2).map(|pair| match pair {
        [a, b] => a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count() + 1,
        _ => 0,
    });
    shared.max().unwrap_or_default().max(LEAST)
}

/// Returns the beginning of an id that has this length.
pub(crate) fn shortened(id: &str, length: usize) -> String {
    id.chars().take(length).collect()
}

/// Completes the id of a rule, of which a person may type only the beginning.
///
/// A text that names no rule of the store stays as it is: alerts may be those of rules of files.
pub(crate) fn whole_rule_id(typed: Option<String>, store: &DuckDbStore) -> logstore::Result<Option<String>> {
    let Some(typed) = typed else { return Ok(None) };
    match store.find_rule(&typed) {
        Ok(rule) => Ok(Some(rule.id)),
        Err(Error::NotFound { .. }) => Ok(Some(typed)),
        Err(error) => Err(error),
    }
}
