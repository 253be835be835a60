//! Many texts, looked for in one pass over a value.

use std::collections::HashMap;

/// Holds texts of at least `N` bytes, each with a use. A text is known by one of its *grams*: `N` bytes in a row.
///
/// A pass looks at each gram of a value. Most are of no text, which one bit tells. So a pass takes about a nanosecond a
/// byte, whether there are ten texts or ten thousand. An automaton takes several: its states do not fit into the caches.
#[derive(Debug)]
pub(super) struct Needles<const N: usize, T> {
    /// Holds a bit for each hash of a gram.
    filter: Box<[u64]>,
    /// Holds how many bits of a hash number a bit of the filter.
    bits: u32,
    /// Holds, for each bucket, where its entries begin, and where the last ones end.
    starts: Box<[u32]>,
    entries: Box<[Entry<T>]>,
}

/// Holds a text under one of its grams.
#[derive(Debug)]
struct Entry<T> {
    gram: u32,
    /// Holds how many bytes of the text precede the gram.
    before: u32,
    text: Box<str>,
    used: T,
}

impl<const N: usize, T> Default for Needles<N, T> {
    fn default() -> Self {
        Self {
            filter: Box::default(),
            bits: 0,
            starts: Box::default(),
            entries: Box::default(),
        }
    }
}

impl<const N: usize, T> Needles<N, T> {
    /// Says how many bits the filter has for each text, as a power of two.
    const SPARSE: u32 = 6;
    /// Limits the filter to what the nearest cache holds.
    const MOST_BITS: u32 = 18;
    /// Says how many bits of the filter share a bucket, as a power of two.
    const SHARED: u32 = 4;

    /// Takes texts in. A text that is shorter than a gram is left out.
    pub(super) fn new(texts: Vec<(String, T)>) -> Self {
        let frequency = frequencies::<N>(texts.iter().map(|(text, _)| text.as_str()));
        let entries = texts.into_iter().filter_map(|(text, used)| {
            let grams = (0..).zip(text.as_bytes().windows(N));
            // A gram that many texts have is likely in many values.
            let (before, gram) = grams.min_by_key(|(_, window)| frequency.get(&gram(window)))?;
            Some(Entry {
                gram: self::gram(gram),
                before,
                text: text.into(),
                used,
            })
        });
        let entries: Vec<Entry<T>> = entries.collect();
        match entries.is_empty() {
            true => Self::default(),
            false => Self::of(entries),
        }
    }

    fn of(mut entries: Vec<Entry<T>>) -> Self {
        let bits = entries.len().next_power_of_two().ilog2() + Self::SPARSE;
        let bits = bits.min(Self::MOST_BITS);
        entries.sort_by_key(|entry| hash(entry.gram, bits));
        let mut filter = vec![0; 1 << (bits - 6)];
        let mut starts = vec![0; (1 << (bits - Self::SHARED)) + 1];
        for entry in &entries {
            let hash = hash(entry.gram, bits);
            filter[hash >> 6] |= 1 << (hash & 63);
            starts[(hash >> Self::SHARED) + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Self {
            filter: filter.into(),
            bits,
            starts: starts.into(),
            entries: entries.into(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls a function with each text that a value holds: where it starts and ends, and its use.
    pub(super) fn find(&self, value: &str, found: &mut impl FnMut(usize, usize, &T)) {
        if self.is_empty() {
            return;
        }
        for (place, window) in value.as_bytes().windows(N).enumerate() {
            let gram = gram(window);
            let hash = hash(gram, self.bits);
            let marks = self.filter.get(hash >> 6).copied().unwrap_or_default();
            if marks >> (hash & 63) & 1 == 1 {
                self.look_closer(value, place, gram, found);
            }
        }
    }

    #[inline(never)]
    fn look_closer(&self, value: &str, place: usize, gram: u32, found: &mut impl FnMut(usize, usize, &T)) {
        let bucket = hash(gram, self.bits) >> Self::SHARED;
        let (Some(start), Some(end)) = (self.starts.get(bucket), self.starts.get(bucket + 1)) else {
            return;
        };
        let entries = self
            .entries
            .get(*start as usize..*end as usize)
            .unwrap_or_default();
        for entry in entries.iter().filter(|entry| entry.gram == gram) {
            let Some(start) = place.checked_sub(entry.before as usize) else {
                continue;
            };
            let end = start + entry.text.len();
            if value.as_bytes().get(start..end) == Some(entry.text.as_bytes()) {
                found(start, end, &entry.used);
            }
        }
    }
}

/// Counts in how many places of all texts each gram is.
fn frequencies<'t, const N: usize>(texts: impl Iterator<Item = &'t str>) -> HashMap<u32, u32> {
    let mut frequencies = HashMap::new();
    for window in texts.flat_map(|text| text.as_bytes().windows(N)) {
        *frequencies.entry(gram(window)).or_default() += 1;
    }
    frequencies
}

/// Returns up to four bytes as a number.
#[inline]
fn gram(bytes: &[u8]) -> u32 {
    match *bytes {
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
        [a, b] => u32::from_le_bytes([a, b, 0, 0]),
        _ => bytes.iter().fold(0, |gram, byte| gram << 8 | u32::from(*byte)),
    }
}

/// Returns the first bits of a multiplicative hash (Knuth, The Art of Computer Programming 3, 6.4).
#[inline]
fn hash(gram: u32, bits: u32) -> usize {
    (gram.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn found<const N: usize>(texts: &[String], value: &str) -> BTreeSet<(usize, usize)> {
        let mut all = BTreeSet::new();
        let texts = texts.iter().cloned().zip(0..);
        Needles::<N, usize>::new(texts.collect()).find(value, &mut |start, _, number| {
            all.insert((*number, start));
        });
        all
    }

    /// Looks for each text at each place.
    fn held(texts: &[String], value: &str, least: usize) -> BTreeSet<(usize, usize)> {
        let places = |text: &str| {
            let is_held = |start: &usize| value.as_bytes()[*start..].starts_with(text.as_bytes());
            (0..value.len()).filter(is_held).collect::<Vec<_>>()
        };
        let texts = texts.iter().enumerate().filter(|(_, text)| text.len() >= least);
        let places =
            texts.flat_map(|(number, text)| places(text).into_iter().map(move |start| (number, start)));
        places.collect()
    }

    proptest! {
        #[test]
        fn each_text_is_found_at_each_place(
            texts in prop::collection::vec("[abc\u{e9}]{0,6}", 0..20),
            value in "[abcd\u{e9}]{0,40}",
        ) {
            prop_assert_eq!(found::<4>(&texts, &value), held(&texts, &value, 4));
            prop_assert_eq!(found::<2>(&texts, &value), held(&texts, &value, 2));
            prop_assert_eq!(found::<1>(&texts, &value), held(&texts, &value, 1));
        }
    }
}
