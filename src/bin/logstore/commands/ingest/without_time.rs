//! A warning that names the sources whose logs have no time of their own.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;

use logstore::load::LoadReport;

/// Limits how many sources are named.
const NAMED: usize = 5;

/// Warns of logs without a time of their own.
pub(super) fn warn(report: &LoadReport) {
    if report.without_time > 0 {
        log::warn!("{}", text(report.without_time, &report.without_time_by_source));
    }
}

fn text(logs: u64, by_source: &BTreeMap<PathBuf, u64>) -> String {
    let mut sources: Vec<_> = by_source.iter().collect();
    sources.sort_by_key(|(_, logs)| Reverse(**logs));
    let named = sources.iter().take(NAMED);
    let mut named: Vec<String> = named.map(|(name, logs)| format!("{name:?} ({logs})")).collect();
    match sources.len().checked_sub(NAMED) {
        None | Some(0) => {}
        Some(others) => named.push(format!("and {others} more")),
    }
    let named = named.join(", ");
    match logs {
        1 => format!("1 log has no time of its own: {named}"),
        _ => format!("{logs} logs have no time of their own: {named}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_sources_are_named() {
        let mut sources = BTreeMap::from([("a".into(), 10), ("b".into(), 20), ("d".into(), 3)]);
        let expected = "33 logs have no time of their own: \"b\" (20), \"a\" (10), \"d\" (3)";
        assert_eq!(text(33, &sources), expected);
        for name in ["e", "f", "g", "h"] {
            sources.insert(name.into(), 1);
        }
        assert_eq!(
            text(1, &BTreeMap::from([("a".into(), 1)])),
            "1 log has no time of its own: \"a\" (1)"
        );
        let text = text(37, &sources);
        assert!(text.ends_with("\"e\" (1), \"f\" (1), and 2 more"), "{text}");
    }
}
