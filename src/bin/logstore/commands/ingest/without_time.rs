//! Which sources have logs without a time of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Counts the logs without a time of their own, of each source.
#[derive(Debug, Default)]
pub(super) struct WithoutTime {
    /// Those of the source that is read.
    current: u64,
    sources: BTreeMap<PathBuf, u64>,
}

/// How many sources are named.
const NAMED: usize = 5;

impl WithoutTime {
    /// Counts logs of the source that is read.
    pub(super) fn add(&mut self, logs: u64) {
        self.current += logs;
    }

    /// Goes on with the next source.
    pub(super) fn end_source(&mut self, name: PathBuf) {
        match std::mem::take(&mut self.current) {
            0 => {}
            logs => *self.sources.entry(name).or_default() += logs,
        }
    }

    /// Says from which sources they are.
    pub(super) fn log(&self) {
        if let Some(text) = self.text() {
            log::warn!("{text}");
        }
    }

    fn text(&self) -> Option<String> {
        let mut sources: Vec<_> = self.sources.iter().collect();
        sources.sort_by_key(|(_, logs)| std::cmp::Reverse(**logs));
        let logs: u64 = self.sources.values().sum();
        let named = sources
            .iter()
            .take(NAMED)
            .map(|(name, logs)| format!("{name:?} ({logs})"));
        let mut named: Vec<String> = named.collect();
        match sources.len().checked_sub(NAMED) {
            None | Some(0) => {}
            Some(others) => named.push(format!("and {others} more")),
        }
        (logs > 0).then(|| format!("{logs} logs have no time of their own: {}", named.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_sources_are_named() {
        let mut without_time = WithoutTime::default();
        assert_eq!(without_time.text(), None);
        for (name, logs) in [("a", 1), ("b", 20), ("c", 0), ("d", 3), ("a", 9)] {
            without_time.add(logs);
            without_time.end_source(name.into());
        }
        let text = "33 logs have no time of their own: \"b\" (20), \"a\" (10), \"d\" (3)";
        assert_eq!(without_time.text().as_deref(), Some(text));
        for name in ["e", "f", "g", "h"] {
            without_time.add(1);
            without_time.end_source(name.into());
        }
        let text = without_time.text().unwrap();
        assert!(text.ends_with("\"e\" (1), \"f\" (1), and 2 more"), "{text}");
    }
}
