//! The files that were read before, known by their content.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::source::Opened;
use super::tracked::{SAMPLE, Sample};
use crate::models::FilePosition;

/// The files that were read before, and how far.
///
/// A file that begins with what was read of a known one is that file, whatever its name and compression:
/// rotated, renamed, copied, or grown. Less than 1,024 bytes are no evidence of that, so such a file is known
/// only by its path, or once the known one is no longer to be found under its own.
#[derive(Debug, Clone, Default)]
pub struct KnownFiles {
    positions: HashMap<String, FilePosition>,
    /// The ids of the files with a head of this length and digest.
    by_head: BTreeMap<usize, HashMap<String, Vec<String>>>,
}

impl KnownFiles {
    /// The files with these positions.
    pub fn new(positions: impl IntoIterator<Item = FilePosition>) -> Self {
        let mut known = Self::default();
        for position in positions {
            known.note(position);
        }
        known
    }

    /// Notes how far a file was read.
    pub fn note(&mut self, position: FilePosition) {
        // An earlier head of the file may stay: what it leads to is compared as a whole.
        let heads = self.by_head.entry(head_length(position.bytes)).or_default();
        let ids = heads.entry(position.head.clone()).or_default();
        if !ids.contains(&position.id) {
            ids.push(position.id.clone());
        }
        self.positions.insert(position.id.clone(), position);
    }

    /// The id of a file that is not known. Two processes that meet the same file at once give it the same id,
    /// so that a store lets only one of them have it.
    pub(super) fn new_id(&self, path: &str) -> String {
        let name = format!("{}\n{path}", self.positions.len());
        Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
    }

    /// The file that begins with `head` and is at `path`, if it is known, opened where its position is.
    pub(super) fn find(
        &self,
        path: &str,
        head: &[u8],
        open_at: impl Fn(u64) -> std::io::Result<Option<Opened>>,
    ) -> std::io::Result<Option<(FilePosition, Opened)>> {
        let mut candidates: Vec<&FilePosition> = self
            .by_head
            .range(..=head.len())
            .filter_map(|(length, ids)| ids.get(&digest(&head[..*length])))
            .flatten()
            .filter_map(|id| self.positions.get(id))
            .collect();
        candidates.sort_by_key(|position| std::cmp::Reverse(position.bytes));
        for position in candidates {
            let Some(opened) = open_at(position.bytes)? else {
                continue;
            };
            if goes_on_from(&opened.read, position)
                && (position.bytes >= SAMPLE as u64 || position.path == path || !is_in_its_place(position))
            {
                return Ok(Some((position.clone(), opened)));
            }
        }
        Ok(None)
    }
}

/// Whether what was read before is still under the path it was read from.
fn is_in_its_place(position: &FilePosition) -> bool {
    // A file that cannot be opened is not there.
    File::open(&position.path)
        .and_then(|file| Opened::file(file, position.bytes))
        .is_ok_and(|opened| opened.is_some_and(|opened| goes_on_from(&opened.read, position)))
}

fn goes_on_from(read: &Sample, position: &FilePosition) -> bool {
    digest(read.head()) == position.head && digest(read.tail()) == position.tail
}

fn head_length(bytes: u64) -> usize {
    usize::try_from(bytes).map_or(SAMPLE, |bytes| bytes.min(SAMPLE))
}

pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
