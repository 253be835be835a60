//! Collects the keys of logs while their rows are made.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use twox_hash::XxHash3_64;

use super::filter::ENOUGH_KEYS;
use super::keys;
use super::trigrams::Trigrams;
use crate::models::observables::{self, has_escapes, is_plain, may_be_escaped};
use crate::models::{BorrowedLog, Members};

/// Holds the keys of some logs.
#[derive(Debug, Clone)]
pub(crate) enum Keys {
    These(Arc<[u64]>),
    /// Means that they are too many to tell: each key may be among them.
    All,
}

/// Holds what a filter has of the logs of a chunk.
#[derive(Debug, Clone)]
pub(crate) struct ChunkWords {
    pub(crate) keys: Keys,
    pub(crate) trigrams: Arc<Trigrams>,
}

/// Limits the keys of a chunk. So many are in the filter of no block, and a few long lines may have any number.
const MOST_KEYS: usize = 8 * ENOUGH_KEYS;

/// Collects the keys of the logs of one chunk, most of them once.
#[derive(Debug, Default)]
pub(crate) struct KeyCollector {
    keys: Vec<u64>,
    /// Holds the last key at each place of a small table. Most words of a log were in the one before.
    recent: Vec<u64>,
    folded: Vec<u8>,
    /// Is memory for numbers as text.
    memory: String,
    /// Holds metadata whose keys are collected.
    metadata: RecentTexts,
    /// Holds what is known of templates, by their hashes.
    templates: HashMap<u64, SeenTemplates>,
    /// Counts the keys of these templates.
    template_keys: usize,
    /// Counts the chunks that are finished.
    chunks: u64,
    columns: RecentTexts,
    variables: RecentTexts,
    /// Holds the parts of a log whose keys are to be added, with [`SEPARATOR`] after each.
    parts: String,
}

/// Ends a text among others. No word and no address goes on beyond it.
const SEPARATOR: char = '\u{1f}';

/// Holds the texts of a log in parts that no word and no address goes on beyond.
#[derive(Debug)]
pub(crate) struct LogParts<'a, C, T> {
    /// Holds the templates of its texts. Logs with the same hash have the same ones.
    pub(crate) templates: &'a str,
    pub(crate) hash: u64,
    pub(crate) variables: &'a str,
    pub(crate) identifiers: &'a str,
    pub(crate) columns: C,
    /// Yields its time in some formats, with the placeholder of each.
    pub(crate) times: T,
}

/// Holds texts whose keys are collected: the last at each place of a small table.
#[derive(Debug, Default)]
struct RecentTexts {
    texts: Vec<String>,
    /// Counts the bytes of the texts that were held since the table was empty.
    bytes: usize,
}

impl RecentTexts {
    /// Counts the places. A chunk has few names of hosts, programs and files.
    const PLACES: usize = 1 << 9;

    /// Limits the bytes before another text is held. All are forgotten then: that one may be long, and repeat.
    const MOST_BYTES: usize = 1 << 20;

    /// Says whether a text is held. An empty one has no keys.
    fn holds(&self, text: &str) -> bool {
        text.is_empty()
            || self
                .texts
                .get(Self::place_of(text))
                .is_some_and(|held| held == text)
    }

    /// Holds a text from now on.
    fn hold(&mut self, text: &str) {
        if self.bytes > Self::MOST_BYTES {
            self.clear();
        }
        if self.texts.is_empty() {
            self.texts.resize_with(Self::PLACES, String::new);
        }
        if let Some(held) = self.texts.get_mut(Self::place_of(text)) {
            text.clone_into(held);
            self.bytes += text.len();
        }
    }

    fn place_of(text: &str) -> usize {
        let hash = XxHash3_64::oneshot(text.as_bytes()) % Self::PLACES as u64;
        usize::try_from(hash).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.texts.clear();
        self.bytes = 0;
    }
}

/// Says what is known of the templates of a log.
#[derive(Debug)]
struct SeenTemplates {
    /// Holds the templates: others may have the same hash, if someone wants them to.
    templates: Box<str>,
    /// Says whether the keys of its logs are those of its parts.
    is_plain: bool,
    /// Holds a bit for each time in them.
    times: u32,
    keys: Box<[u64]>,
    /// Holds the number of the chunk that their keys were last added to.
    chunk: Option<u64>,
}

impl SeenTemplates {
    fn new<'t>(
        templates: &str,
        times: impl Iterator<Item = (&'t str, &'t str)>,
        folded: &mut Vec<u8>,
    ) -> Self {
        let mut keys = Vec::new();
        keys::of_text(templates, folded, &mut |key| keys.push(key));
        keys.sort_unstable();
        keys.dedup();
        let mut seen = Self {
            templates: templates.into(),
            is_plain: is_plain(templates) && !has_escapes(templates),
            times: 0,
            keys: keys.into(),
            chunk: None,
        };
        for (number, (placeholder, _)) in times.enumerate() {
            seen.times |= u32::from(templates.contains(placeholder)) << number;
        }
        seen
    }
}

/// Limits the keys of the templates that are known, 2 MiB, and as much of their text. Templates that repeat are soon known again.
const MOST_TEMPLATE_KEYS: usize = 1 << 18;

/// Counts the bytes of a text whose memory is not kept.
const LONG: usize = 1 << 20;

/// Counts the places for recent keys, which stay in the cache that is nearest to a core.
const RECENT: usize = 1 << 12;

impl KeyCollector {
    /// Returns the keys since the last call.
    pub(crate) fn finish(&mut self) -> Keys {
        self.recent.clear();
        self.metadata.clear();
        self.chunks += 1;
        self.columns.clear();
        self.variables.clear();
        if self.folded.capacity() > LONG {
            // The memory of very long lines, which are rare, is freed.
            self.folded = Vec::new();
        }
        let keys = match self.keys.len() {
            ..=MOST_KEYS => Keys::These(self.keys.as_slice().into()),
            _ => Keys::All,
        };
        self.keys.clear();
        self.keys.shrink_to(ENOUGH_KEYS);
        keys
    }

    fn start(&mut self) {
        if self.recent.is_empty() {
            // No key is at the place before its own.
            self.recent.extend(1..=RECENT as u64);
        }
    }

    /// Adds the keys of all texts of a log. `metadata` is its metadata as JSON.
    pub(crate) fn add(&mut self, log: &BorrowedLog<'_>, metadata: Option<&str>) {
        self.start();
        let raw = log.raw.as_deref().unwrap_or_default();
        self.add_text(raw);
        log.with_core_fields(|found| {
            for text in [found.source_ip, found.dest_ip].iter().flatten() {
                self.add_part(text, raw);
            }
            for text in [
                found.user,
                found.process,
                found.action,
                found.outcome,
                found.level,
            ] {
                self.add_part(text.unwrap_or_default(), raw);
            }
        });
        let mut memory = std::mem::take(&mut self.memory);
        log.any_text(&mut memory, &mut |text| {
            self.add_part(text, raw);
            false
        });
        self.memory = memory;
        self.add_metadata(metadata.unwrap_or_default());
    }

    /// Adds the keys of a log by the parts of its texts, and returns whether they are all of its keys. `metadata` is its
    /// metadata as JSON.
    pub(crate) fn add_parts<'p>(
        &mut self,
        parts: LogParts<'_, impl Iterator<Item = &'p str>, impl Iterator<Item = (&'p str, &'p str)> + Clone>,
        metadata: Option<&str>,
    ) -> bool {
        self.start();
        let (is_plain_template, times) = self.add_templates(parts.hash, parts.templates, parts.times.clone());
        let are_known = self.variables.holds(parts.variables);
        if !is_plain_template || !are_known && (!is_plain(parts.variables) || has_escapes(parts.variables)) {
            return false;
        }
        let mut texts = std::mem::take(&mut self.parts);
        texts.clear();
        let mut add = |text: &str| {
            texts.push_str(text);
            texts.push(SEPARATOR);
        };
        if !are_known {
            self.variables.hold(parts.variables);
            add(parts.variables);
        }
        add(parts.identifiers);
        let mut are_plain = true;
        for text in parts.columns {
            if self.columns.holds(text) {
                continue;
            }
            are_plain &= is_plain(text) && !may_be_escaped(text);
            if are_plain {
                self.columns.hold(text);
                add(text);
            }
        }
        for (number, (_, time)) in parts.times.enumerate() {
            if times & 1 << number != 0 && !self.columns.holds(time) {
                self.columns.hold(time);
                add(time);
            }
        }
        self.add_text(&texts);
        self.parts = texts;
        self.add_metadata(metadata.unwrap_or_default());
        are_plain
    }

    /// Adds the keys of templates, and returns whether the keys of their logs are those of the parts, and a bit for each
    /// time in them.
    fn add_templates<'p>(
        &mut self,
        hash: u64,
        templates: &str,
        times: impl Iterator<Item = (&'p str, &'p str)>,
    ) -> (bool, u32) {
        if self.template_keys > MOST_TEMPLATE_KEYS {
            self.templates.clear();
            self.template_keys = 0;
        }
        let Self {
            keys,
            recent,
            folded,
            template_keys,
            ..
        } = self;
        let seen = match self.templates.entry(hash) {
            Entry::Occupied(seen) if *seen.get().templates == *templates => seen.into_mut(),
            entry => {
                let seen = SeenTemplates::new(templates, times, folded);
                *template_keys += seen.keys.len() + seen.templates.len() / size_of::<u64>();
                entry.insert_entry(seen).into_mut()
            }
        };
        if seen.chunk != Some(self.chunks) {
            seen.chunk = Some(self.chunks);
            seen.keys.iter().for_each(|key| take(keys, recent, *key));
        }
        (seen.is_plain, seen.times)
    }

    fn add_metadata(&mut self, text: &str) {
        if self.metadata.holds(text) {
            return;
        }
        match serde_json::from_str::<Members<'_>>(text) {
            Ok(members) => {
                members.any_text(&mut String::new(), &mut |text| {
                    self.add_text(text);
                    false
                });
            }
            Err(_) => self.add_text(text),
        }
        self.metadata.hold(text);
    }

    /// Adds the keys of a text that may be a part of the line, whose keys are there.
    fn add_part(&mut self, text: &str, raw: &str) {
        match bounds_in(text, raw) {
            Some(Bounds::OfObservables) if !may_hold_url(text) => {}
            // An address may be one only without what is next to it in the line.
            Some(Bounds::OfWords) if !may_hold_url(text) => {
                let Self { keys, recent, .. } = self;
                keys::of_observables(text, &mut |key| take(keys, recent, key));
            }
            _ => self.add_text(text),
        }
    }

    /// Adds the keys of a text.
    pub(crate) fn add_text(&mut self, text: &str) {
        let Self {
            keys, recent, folded, ..
        } = self;
        keys::of_text(text, folded, &mut |key| take(keys, recent, key));
    }
}

fn take(keys: &mut Vec<u64>, recent: &mut [u64], key: u64) {
    let place = usize::try_from(key % RECENT as u64).unwrap_or_default();
    match recent.get_mut(place) {
        Some(recent) if *recent == key => {}
        // One more says that they are too many.
        _ if keys.len() > MOST_KEYS => {}
        recent => {
            keys.push(key);
            if let Some(recent) = recent {
                *recent = key;
            }
        }
    }
}

/// Says whether a text may hold a URL, encoded or not. Of very many in a line, not all are looked at.
fn may_hold_url(text: &str) -> bool {
    observables::has_url(text) || memchr::memchr(b'%', text.as_bytes()).is_some()
}

/// Says what a piece of a line is cut at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounds {
    /// Means that no word goes on beyond the piece.
    OfWords,
    /// Means that no address, domain or URL does either.
    OfObservables,
}

/// Returns the bounds of a text that is a piece of a line's own memory; `None` if it is none, or cut within a word.
fn bounds_in(text: &str, raw: &str) -> Option<Bounds> {
    let bytes = raw.as_bytes();
    let range = bytes.as_ptr_range();
    let start = text.as_ptr();
    if !range.contains(&start) {
        return None;
    }
    let start = start.addr() - range.start.addr();
    let end = start + text.len();
    if end > bytes.len() {
        return None;
    }
    let outside = [
        start.checked_sub(1).and_then(|place| bytes.get(place)),
        bytes.get(end),
    ];
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let is_cut = |byte: Option<&u8>| byte.is_some_and(is_of_word);
    // A URL ends at fewer signs than an address.
    let ends_all = |byte: Option<&u8>| byte.is_none_or(|byte| matches!(byte, b' ' | b'"'));
    if outside.into_iter().all(ends_all) {
        return Some(Bounds::OfObservables);
    }
    (!outside.into_iter().any(is_cut)).then_some(Bounds::OfWords)
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;
    use crate::storage::duckdb::words::keys;

    fn parts<'a>(
        templates: &'a str,
        column: &'a str,
    ) -> LogParts<'a, impl Iterator<Item = &'a str>, impl Iterator<Item = (&'a str, &'a str)> + Clone> {
        LogParts {
            templates,
            hash: 7,
            variables: "",
            identifiers: "",
            columns: iter::once(column),
            times: iter::empty(),
        }
    }

    fn has(keys: &Keys, word: &str) -> bool {
        let mut wanted = Vec::new();
        keys::of_words(word.as_bytes(), &mut |key| wanted.push(key));
        match keys {
            Keys::These(keys) => wanted.iter().all(|key| keys.contains(key)),
            Keys::All => true,
        }
    }

    #[test]
    fn templates_with_the_same_hash_have_their_own_keys() {
        let mut collector = KeyCollector::default();
        for templates in ["logged in", "logged out", "logged in"] {
            assert!(collector.add_parts(parts(templates, "web1"), None));
        }
        let keys = collector.finish();
        assert!(
            ["in", "out", "logged", "web1"]
                .iter()
                .all(|word| has(&keys, word))
        );
        assert!(!has(&keys, "up"));
    }

    #[test]
    fn each_chunk_has_the_keys_of_its_columns() {
        let mut collector = KeyCollector::default();
        for _ in 0..2 {
            for column in ["web1", "a::b", "web2", "web1"] {
                assert_eq!(collector.add_parts(parts("up", column), None), column != "a::b");
            }
            let keys = collector.finish();
            assert!(["up", "web1", "web2"].iter().all(|word| has(&keys, word)));
        }
    }
}
