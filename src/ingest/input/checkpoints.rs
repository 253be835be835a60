//! The positions of files that were read. A file is known again by its content.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, BufRead, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::archive::open_path;
use super::opened::{Content, Opened};
use super::rotated::{is_rotation_of, siblings};
use super::tracked::{SAMPLE, Sample};
use crate::models::{FilePosition, hexadecimal};

/// Holds the positions of the files that were read before.
///
/// A file that begins with what was read of a known one is that file, under any name and compression. It may be
/// rotated, renamed, copied, or grown. Less than 1,024 bytes are no evidence of that. Such a file is known by its path
/// only, or once the known one has left its own path.
#[derive(Debug, Clone, Default)]
pub struct Checkpoints {
    positions: HashMap<String, FilePosition>,
    /// Holds the ids of the files with a head of this length and digest.
    by_head: BTreeMap<usize, HashMap<String, Vec<String>>>,
    /// Holds the ids of the files that were last read under this path.
    by_path: HashMap<String, HashSet<String>>,
    /// Holds the ids of the files that only other processes have read, since this one looked first.
    of_others: HashSet<String>,
}

/// Says whether a file was read before, and how it is read now.
pub(crate) enum Found {
    New,
    /// Means that it goes on from this position.
    Known(FilePosition, Opened),
    /// Means that it was cut to a length before this position. It is opened at its end.
    Cut(FilePosition, Opened),
    /// Means that another known file begins with all of it, as while that one is copied. It is opened at its end.
    Contained(Opened),
}

impl Checkpoints {
    /// Creates checkpoints of files with these positions. The position of a copy in another store is no position of a
    /// file.
    pub fn new(positions: impl IntoIterator<Item = FilePosition>) -> Self {
        let mut checkpoints = Self::default();
        for position in positions.into_iter().filter(|position| !position.is_of_copy()) {
            checkpoints.record(position);
        }
        checkpoints
    }

    /// Records positions that other processes may have moved. What this process has read and not stored yet stays.
    pub(crate) fn learn(&mut self, positions: impl IntoIterator<Item = FilePosition>) {
        for position in positions.into_iter().filter(|position| !position.is_of_copy()) {
            let (id, known) = (position.id.clone(), self.bytes_of(&position.id));
            if known.is_some_and(|bytes| bytes >= position.bytes) {
                continue;
            }
            let is_of_others = known.is_none() || self.of_others.contains(&id);
            self.record(position);
            if is_of_others {
                self.of_others.insert(id);
            }
        }
    }

    /// Records how far a file was read.
    pub fn record(&mut self, position: FilePosition) {
        self.of_others.remove(&position.id);
        // An earlier head of the file may stay: the files that it leads to are compared as a whole.
        let heads = self.by_head.entry(head_length(position.bytes)).or_default();
        let ids = heads.entry(head_digest(&position).to_owned()).or_default();
        if !ids.contains(&position.id) {
            ids.push(position.id.clone());
        }
        let ids = self.by_path.entry(position.path.clone()).or_default();
        ids.insert(position.id.clone());
        let before = self.positions.insert(position.id.clone(), position);
        if let Some(before) = before {
            self.forget_path(&before);
        }
    }

    /// Forgets the path of a position that was replaced by one with another path.
    fn forget_path(&mut self, before: &FilePosition) {
        let has_path = |position: &FilePosition| position.path == before.path;
        if self.positions.get(&before.id).is_some_and(has_path) {
            return;
        }
        if let Some(ids) = self.by_path.get_mut(&before.path) {
            ids.remove(&before.id);
        }
    }

    /// Returns the id of a file that is not known.
    ///
    /// Two processes that meet the same file at the same time give it the same id, whatever other files each of them
    /// knows. So a store lets only one of them have it. That is so for content of a path, too, which another process has
    /// read before this one looks at it.
    pub(crate) fn new_id(&self, path: &str) -> String {
        let mut number = 0_usize;
        loop {
            let id = numbered_id(path, number);
            if !self.positions.contains_key(&id) || self.of_others.contains(&id) {
                return id;
            }
            number += 1;
        }
    }

    /// Returns the positions of the files that were last read under a path. Files that were there before have moved on.
    pub(crate) fn at_path(&self, path: &str) -> impl Iterator<Item = &FilePosition> {
        let ids = self.by_path.get(path).into_iter().flatten();
        ids.filter_map(|id| self.positions.get(id))
    }

    /// Says whether a file was last read under a path.
    pub(crate) fn has_path(&self, path: &Path) -> bool {
        std::path::absolute(path).is_ok_and(|path| self.at_path(&path.to_string_lossy()).next().is_some())
    }

    /// Returns how far the file with this id was read.
    pub(crate) fn bytes_of(&self, id: &str) -> Option<u64> {
        self.positions.get(id).map(|position| position.bytes)
    }

    /// Returns whether the content of a file at `path` is known.
    pub(crate) fn find(&self, path: &str, content: Content<'_>) -> io::Result<Found> {
        let head = content.head()?;
        let alike = self.that_begin_alike(&head);
        if let Some((position, opened)) = read_before(&alike, path, content)? {
            return Ok(Found::Known(position, opened));
        }
        if let Some((position, opened)) = self.cut(path, &head, content)? {
            return Ok(Found::Cut(position, opened));
        }
        if head.len() == SAMPLE && is_contained(&alike, path, content)? {
            return Ok(Found::Contained(content.open_at_end()?));
        }
        // A copy may have been completed meanwhile, and its original emptied.
        if let Some((position, opened)) = read_before(&alike, path, content)? {
            return Ok(Found::Known(position, opened));
        }
        let shorter = shorter_copy(&alike, path, content)?;
        Ok(shorter.map_or(Found::New, Found::Contained))
    }

    /// Returns the positions whose heads a head begins with, the furthest first.
    fn that_begin_alike(&self, head: &[u8]) -> Vec<&FilePosition> {
        let mut positions: Vec<&FilePosition> = self
            .by_head
            .range(..=head.len())
            .filter_map(|(length, ids)| ids.get(&digest(head.get(..*length)?)))
            .flatten()
            .filter_map(|id| self.positions.get(id))
            .collect();
        positions.sort_by_key(|position| std::cmp::Reverse(position.bytes));
        positions
    }

    /// Returns the file at the path, if it is shorter than what was read of it and begins alike.
    ///
    /// If a file next to it holds what was read, it was not cut but emptied and begun again.
    fn cut(
        &self,
        path: &str,
        head: &[u8],
        content: Content<'_>,
    ) -> io::Result<Option<(FilePosition, Opened)>> {
        let begin_alike = self.at_path(path).filter(|position| begins_alike(head, position));
        let Some(position) = begin_alike.max_by_key(|position| position.bytes) else {
            return Ok(None);
        };
        let opened = content.open_at_end()?;
        let is_shorter = opened.read.bytes < position.bytes;
        let is_copied = || {
            let mut siblings = siblings(Path::new(path)).into_iter();
            siblings.any(|sibling| holds(&sibling.path, position))
        };
        Ok((is_shorter && !is_copied()).then(|| (position.clone(), opened)))
    }
}

/// Returns the id of one of the files that are met under a path, one after another.
fn numbered_id(path: &str, number: usize) -> String {
    let name = format!("{number}\n{path}");
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
}

/// Returns the position that the content goes on from, of those that begin alike.
fn read_before(
    alike: &[&FilePosition],
    path: &str,
    content: Content<'_>,
) -> io::Result<Option<(FilePosition, Opened)>> {
    for position in alike {
        let Some(opened) = content.open_after(position.bytes)? else {
            continue;
        };
        if goes_on_from(&opened.read, position)
            && (position.bytes >= SAMPLE as u64
                || position.path == path
                || !holds(Path::new(&position.path), position))
        {
            return Ok(Some(((*position).clone(), opened)));
        }
    }
    Ok(None)
}

/// Returns whether another file that begins alike, and is still at its path, begins with the whole content.
fn is_contained(alike: &[&FilePosition], path: &str, content: Content<'_>) -> io::Result<bool> {
    for position in alike.iter().filter(|position| position.path != path) {
        let original = Path::new(&position.path);
        // A file that cannot be opened is not at its path.
        let Ok(opened) = open_beginning(original) else {
            continue;
        };
        // Files that differ do so soon, so that this comes first.
        if begins_with(opened.input.take(position.bytes), content.open()?.input) && holds(original, position)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens the content at its end if it is a copy of a known file without the last lines that were read of that: they were
/// written after a rotation made its copy, and before it emptied the file.
fn shorter_copy(alike: &[&FilePosition], path: &str, content: Content<'_>) -> io::Result<Option<Opened>> {
    let mut originals = alike.iter().filter(|position| {
        let original = Path::new(&position.path);
        position.bytes > SAMPLE as u64
            && is_rotation_of(Path::new(path), original)
            && !holds(original, position)
    });
    let Some(longest) = originals.next() else {
        return Ok(None);
    };
    let opened = content.open_at_end()?;
    Ok((opened.read.bytes < longest.bytes).then_some(opened))
}

/// Returns whether the file at a path begins with what was read up to a position. A file that cannot be opened does
/// not.
pub(crate) fn holds(path: &Path, position: &FilePosition) -> bool {
    open_path(path)
        .and_then(|(file, member)| {
            let (file, member) = (&file, member.as_ref());
            Content { file, member }.open_after(position.bytes)
        })
        .is_ok_and(|opened| opened.is_some_and(|opened| goes_on_from(&opened.read, position)))
}

/// Opens the file at a path at its beginning.
fn open_beginning(path: &Path) -> io::Result<Opened> {
    let (file, member) = open_path(path)?;
    let (file, member) = (&file, member.as_ref());
    Content { file, member }.open()
}

/// Returns whether the file at a path begins with all of another one. A file that cannot be read does not.
pub(crate) fn begins_with_file(path: &Path, start: &Path) -> bool {
    open_beginning(path)
        .and_then(|opened| Ok(begins_with(opened.input, open_beginning(start)?.input)))
        .unwrap_or(false)
}

/// Returns whether an input begins with all of another one.
///
/// The other one ends where it breaks off, as compression in progress does. If either is damaged, it does not.
fn begins_with(mut input: impl BufRead, mut start: impl BufRead) -> bool {
    loop {
        let expected = match start.fill_buf() {
            Ok(expected) if !expected.is_empty() => expected,
            Ok(_) => return true,
            Err(error) => return error.kind() == io::ErrorKind::UnexpectedEof,
        };
        let found = input.fill_buf().unwrap_or_default();
        let length = expected.len().min(found.len());
        if length == 0 || expected.get(..length) != found.get(..length) {
            return false;
        }
        input.consume(length);
        start.consume(length);
    }
}

fn goes_on_from(read: &Sample, position: &FilePosition) -> bool {
    digest(read.head()) == head_digest(position) && digest(read.tail()) == position.tail_fingerprint
}

fn head_length(bytes: u64) -> usize {
    usize::try_from(bytes).map_or(SAMPLE, |bytes| bytes.min(SAMPLE))
}

/// Says how long the digest of a head is, in hexadecimal.
const DIGEST: usize = 64;

/// Sets the step, in bytes, in which a head is compared with a file that has become shorter than it.
const STEP: usize = 64;

/// Says how long the digest of each step is, in hexadecimal.
const STEP_DIGEST: usize = 8;

/// Returns the digest of the whole head.
fn head_digest(position: &FilePosition) -> &str {
    position
        .head_fingerprint
        .get(..DIGEST)
        .unwrap_or(&position.head_fingerprint)
}

/// Returns whether a head is that of a position, or as much of it as there is, in whole steps.
///
/// Positions of an earlier version have no steps.
fn begins_alike(head: &[u8], position: &FilePosition) -> bool {
    if let Some(head) = head.get(..head_length(position.bytes)) {
        return digest(head) == head_digest(position);
    }
    let Some(last) = (head.len() / STEP).checked_sub(1) else {
        return false;
    };
    let start = DIGEST + last * STEP_DIGEST;
    let expected = position.head_fingerprint.get(start..start + STEP_DIGEST);
    let found = head.get(..(last + 1) * STEP).map(digest);
    expected.is_some() && found.as_ref().and_then(|found| found.get(..STEP_DIGEST)) == expected
}

/// Returns the digest of a head, then the beginnings of the digests of its first one, two, and more steps.
pub(crate) fn head_digests(head: &[u8]) -> String {
    let mut digests = digest(head);
    let mut hasher = Sha256::new();
    for step in head.chunks_exact(STEP) {
        hasher.update(step);
        let digest = hexadecimal(&hasher.clone().finalize());
        digests.extend(digest.chars().take(STEP_DIGEST));
    }
    digests
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ResumePoint;

    fn position(id: String, path: &str, text: &[u8]) -> FilePosition {
        FilePosition {
            id,
            path: path.to_owned(),
            bytes: text.len() as u64,
            head_fingerprint: head_digests(text),
            tail_fingerprint: digest(text),
            resume: ResumePoint::LineStart,
            last_time: None,
        }
    }

    #[test]
    fn the_id_of_a_file_is_that_of_a_process_which_knows_other_files() {
        let knows_none = Checkpoints::default();
        let other = position(knows_none.new_id("/b.log"), "/b.log", b"b");
        let knows_another = Checkpoints::new([other]);
        assert_eq!(knows_none.new_id("/a.log"), knows_another.new_id("/a.log"));
    }

    #[test]
    fn what_another_process_has_read_takes_no_id_of_its_path() {
        let mut checkpoints = Checkpoints::default();
        let id = checkpoints.new_id("/app.log");
        let read = position(id.clone(), "/app.log", b"a");
        checkpoints.learn([read.clone()]);
        assert_eq!(checkpoints.new_id("/app.log"), id);
        checkpoints.learn([position(id.clone(), "/app.log", b"ab")]);
        assert_eq!(checkpoints.new_id("/app.log"), id);
        checkpoints.record(read);
        assert_ne!(checkpoints.new_id("/app.log"), id);
    }

    #[test]
    fn files_that_follow_one_another_under_a_path_have_ids_of_their_own() {
        let mut checkpoints = Checkpoints::default();
        let mut ids = HashSet::new();
        for number in 0..5 {
            let id = checkpoints.new_id("/app.log");
            assert!(ids.insert(id.clone()), "{number}");
            checkpoints.record(position(id.clone(), "/app.log", &[number]));
            checkpoints.record(position(id, &format!("/app.log.{number}"), &[number]));
        }
    }

    #[test]
    fn a_shorter_head_is_compared_in_whole_steps() {
        let text: Vec<u8> = (0..200_u8).collect();
        let position = position("id".to_owned(), "/app.log", &text);
        assert_eq!(position.head_fingerprint.len(), 64 + 3 * 8);
        for (length, is_alike) in [
            (0, false),
            (63, false),
            (64, true),
            (150, true),
            (199, true),
            (200, true),
        ] {
            assert_eq!(begins_alike(&text[..length], &position), is_alike, "{length}");
        }
        let mut other = text.clone();
        other[100] = 0;
        assert!(begins_alike(&other[..100], &position));
        assert!(!begins_alike(&other[..130], &position) && !begins_alike(&other, &position));
    }
}
