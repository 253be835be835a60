//! The report of a load.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::ingest::{CutFile, IngestError};

/// Describes what a [`Loader`](super::Loader) has read and stored.
///
/// The counts are exact. Each list keeps its first [`LoadReport::MOST`] entries, as files may be followed for months.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct LoadReport {
    /// Counts the sources that were read, or that failed. A file that is followed counts each time that it grows.
    pub sources: u64,
    /// Counts the sources that were read before, so that only their new content was read.
    pub known_sources: u64,
    /// Counts the sources that were left out. They hold no text, or lead back to a folder that is read anyway.
    pub skipped_sources: u64,
    /// Counts the sources that were not read, or not to their end, because of an error.
    pub failed_sources: u64,
    /// Counts the files that were not read, or not to their end, when the load was stopped. The next load goes on
    /// there.
    pub unfinished_sources: u64,
    /// Counts the bytes that were read, before decompression.
    pub bytes: u64,
    /// Counts the logs that were read.
    pub logs: u64,
    /// Counts the logs that are new.
    pub stored: u64,
    /// Counts the logs that were in the store already.
    pub duplicates: u64,
    /// Counts the lines that do not have the format that they seem to have. They are stored all the same.
    pub parse_errors: u64,
    /// Counts the logs without a time of their own. They have the time of another line, of their file, or of the
    /// reading.
    pub without_time: u64,
    /// Says how long the load took.
    pub elapsed: Duration,
    /// Says why sources were left out.
    pub skipped: Vec<IngestError>,
    /// Says why sources failed.
    pub failed: Vec<IngestError>,
    /// Holds the files that became shorter since they were last read.
    pub cut: Vec<CutFile>,
    /// Counts the logs without a time of their own, by their source.
    pub without_time_by_source: BTreeMap<PathBuf, u64>,
    /// Describes the logs of each source that had some.
    pub by_source: BTreeMap<PathBuf, SourceReport>,
}

/// Describes the logs that were read from a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceReport {
    /// Counts the logs that were read.
    pub logs: u64,
    /// Counts the logs without a time of their own.
    pub without_time: u64,
    /// Counts the lines that do not have the format that they seem to have.
    pub parse_errors: u64,
}

impl SourceReport {
    pub(super) fn add(&mut self, other: Self) {
        self.logs += other.logs;
        self.without_time += other.without_time;
        self.parse_errors += other.parse_errors;
    }
}

impl LoadReport {
    /// Limits the entries of each list of a report.
    pub const MOST: usize = 1_000;

    pub(super) fn add_skipped(&mut self, error: IngestError) {
        self.skipped_sources += 1;
        push(&mut self.skipped, error);
    }

    pub(super) fn add_failed(&mut self, error: IngestError) {
        self.failed_sources += 1;
        push(&mut self.failed, error);
    }

    pub(super) fn add_cut(&mut self, cut: CutFile) {
        push(&mut self.cut, cut);
    }

    /// Adds the logs that were read of a source.
    pub(super) fn add_source(&mut self, source: PathBuf, read: SourceReport) {
        let has_room = self.by_source.len() < Self::MOST;
        if read.logs > 0 && (has_room || self.by_source.contains_key(&source)) {
            self.by_source.entry(source.clone()).or_default().add(read);
        }
        let has_room = self.without_time_by_source.len() < Self::MOST;
        if read.without_time > 0 && (has_room || self.without_time_by_source.contains_key(&source)) {
            *self.without_time_by_source.entry(source).or_default() += read.without_time;
        }
    }
}

fn push<T>(list: &mut Vec<T>, entry: T) {
    if list.len() < LoadReport::MOST {
        list.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_bounded_and_counts_are_exact() {
        let mut report = LoadReport::default();
        let most = LoadReport::MOST as u64;
        for n in 0..=most {
            report.add_failed(IngestError::new(n.to_string(), "it is broken"));
            let read = SourceReport {
                logs: 2,
                without_time: 1,
                parse_errors: 0,
            };
            report.add_source(n.to_string().into(), read);
            report.add_source("0".into(), read);
        }
        assert_eq!(report.failed_sources, most + 1);
        assert_eq!(report.failed.len(), LoadReport::MOST);
        assert_eq!(report.without_time_by_source.len(), LoadReport::MOST);
        assert_eq!(report.without_time_by_source[&PathBuf::from("0")], most + 2);
        assert_eq!(report.by_source.len(), LoadReport::MOST);
        assert_eq!(report.by_source[&PathBuf::from("0")].logs, 2 * (most + 2));
    }
}
