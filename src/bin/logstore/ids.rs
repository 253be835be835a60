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
///
/// An id of which less than half would be cut stays whole: its beginning would pass for all of it.
pub(crate) fn shortened(id: &str, length: usize) -> String {
    match length * 2 > id.chars().count() {
        true => id.to_owned(),
        false => id.chars().take(length).collect(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_whole_or_clearly_a_beginning() {
        let shown = |ids: [&'static str; 2]| {
            let length = telling_length(ids.into_iter());
            ids.map(|id| shortened(id, length))
        };
        let told_early = [
            "5013c332-8a70-4d91-8e1a-cde29a5d2a54",
            "5013c332-9000-4d91-8e1a-cde29a5d2a54",
        ];
        assert_eq!(shown(told_early), ["5013c332-8", "5013c332-9"]);
        let told_late = [
            "5013c332-8a70-4d91-8e1a-cde29a5d2a54",
            "5013c332-8a70-4d91-8e1a-cde29a5d2a64",
        ];
        assert_eq!(shown(told_late), told_late);
        let short = ["any-process", "any-login"];
        assert_eq!(shown(short), short);
    }
}
