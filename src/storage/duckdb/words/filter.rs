//! The filter of a block: a Bloom filter whose keys set all their bits in one 32-byte bucket.
//!
//! The buckets are those of Parquet's split block Bloom filters (format specification, `BloomFilter.md`), and so are the
//! eight factors. A filter has always the same size, and a block has as many logs as fill it. So a look-up needs one
//! slice of each filter, the same for all blocks. A look-up of many observables needs the list of them beside it, and that
//! of a part of a word the trigrams.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::observables::Observables;
use super::trigrams::Trigrams;

/// Counts the slices of a filter.
pub(crate) const SLICES: usize = 1_024;

/// Gives the number that the list of observables has beside the slices.
pub(crate) const LIST: usize = SLICES;

/// Gives the number that the trigrams of values have beside the slices.
pub(crate) const TRIGRAMS: usize = LIST + 1;

/// Counts what is stored of a block.
pub(crate) const PARTS: usize = TRIGRAMS + 1;

/// Counts the bytes of a slice.
pub(crate) const SLICE_BYTES: usize = BUCKETS_OF_SLICE * BUCKET_BYTES;

/// Counts the keys that fill a filter: 16 bits for each. Of other keys, a full filter holds about 1 in 700.
pub(crate) const ENOUGH_KEYS: usize = SLICES * SLICE_BYTES * 8 / 16;

const BUCKETS_OF_SLICE: usize = 4;
const BUCKET_BYTES: usize = 32;

const FACTORS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// Holds the filter of one block.
pub(crate) struct Filter {
    bytes: Vec<u8>,
    /// Counts the keys that set a bit.
    keys: usize,
    observables: Observables,
    trigrams: Trigrams,
}

impl Filter {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; SLICES * SLICE_BYTES],
            keys: 0,
            observables: Observables::default(),
            trigrams: Trigrams::new(),
        }
    }

    /// Says which logs the keys are of that are added next.
    pub(crate) fn start(&mut self, seqs: RangeInclusive<i64>) {
        self.observables.start(seqs);
    }

    pub(crate) fn add_trigrams(&mut self, trigrams: &Trigrams) {
        self.trigrams.merge(trigrams);
    }

    pub(crate) fn add(&mut self, key: u64) {
        self.observables.add(key);
        let bucket = slice_of(key) * SLICE_BYTES + place_in_slice(key);
        let Some(bucket) = self.bytes.get_mut(bucket..bucket + BUCKET_BYTES) else {
            return;
        };
        let mut is_new = false;
        for (lane, bit) in bucket.chunks_exact_mut(4).zip(bits(key)) {
            // The bits of a lane are in the order of little-endian bytes.
            if let Some(byte) = lane.get_mut(bit / 8) {
                is_new |= *byte & (1 << (bit % 8)) == 0;
                *byte |= 1 << (bit % 8);
            }
        }
        self.keys = self.keys.saturating_add(usize::from(is_new));
    }

    /// Adds every key.
    pub(crate) fn fill(&mut self) {
        self.bytes.fill(u8::MAX);
        self.keys = usize::MAX;
        self.observables.fill();
    }

    /// Adds the keys of another filter.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (byte, added) in self.bytes.iter_mut().zip(&other.bytes) {
            *byte |= added;
        }
        self.keys = self.keys.saturating_add(other.keys);
        self.observables.merge(&other.observables);
        self.trigrams.merge(&other.trigrams);
    }

    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    /// Says whether what is stored of a block with this number lacks a part of the filter.
    pub(crate) fn is_missing_from(&self, number: usize, stored: &[u8], block: &RangeInclusive<i64>) -> bool {
        match number {
            LIST => return self.observables.are_missing_from(stored, block),
            TRIGRAMS => return self.trigrams.are_missing_from(stored),
            _ => {}
        }
        let slice = self.slices().nth(number).unwrap_or_default();
        slice
            .iter()
            .zip(stored)
            .any(|(wanted, stored)| wanted & !stored != 0)
    }

    /// Returns the slices in their order.
    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(SLICE_BYTES)
    }

    /// Returns what is stored of the filter of a block, with its numbers: the slices, the list of observables and the trigrams.
    pub(crate) fn parts(&self, block: &RangeInclusive<i64>) -> impl Iterator<Item = (usize, Cow<'_, [u8]>)> {
        let slices = self.slices().map(Cow::Borrowed).enumerate();
        let list = self.observables.list(block).map(|list| (LIST, list));
        let others = list.into_iter().chain([(TRIGRAMS, self.trigrams.stored())]);
        slices.chain(others.map(|(number, part)| (number, Cow::Owned(part))))
    }
}

/// Returns the slice that says whether a filter may hold a key.
pub(crate) fn slice_of(key: u64) -> usize {
    // The remainder is less than the number of slices, which is small.
    usize::try_from(key >> 32).unwrap_or_default() / BUCKETS_OF_SLICE % SLICES
}

fn place_in_slice(key: u64) -> usize {
    usize::try_from(key >> 32).unwrap_or_default() % BUCKETS_OF_SLICE * BUCKET_BYTES
}

/// Says whether a filter with this slice may hold a key. A slice of another length may hold every key.
pub(crate) fn may_hold(slice: &[u8], key: u64) -> bool {
    let place = place_in_slice(key);
    let bucket = slice.get(place..place + BUCKET_BYTES);
    let Some(bucket) = bucket.filter(|_| slice.len() == SLICE_BYTES) else {
        return true;
    };
    let mut lanes = bucket.chunks_exact(4).zip(bits(key));
    lanes.all(|(lane, bit)| lane.get(bit / 8).is_none_or(|byte| byte & (1 << (bit % 8)) != 0))
}

/// Returns the bit of each lane of 32 bits that a key sets.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half of the hash is wanted"
)]
fn bits(key: u64) -> [usize; 8] {
    FACTORS.map(|factor| ((key as u32).wrapping_mul(factor) >> 27) as usize)
}

#[cfg(test)]
mod tests {
    use twox_hash::XxHash3_64;

    use super::*;

    fn key(number: usize) -> u64 {
        XxHash3_64::oneshot(&number.to_le_bytes())
    }

    #[test]
    fn a_full_filter_holds_its_keys_and_few_others() {
        let mut filter = Filter::new();
        (0..ENOUGH_KEYS).for_each(|number| filter.add(key(number)));
        let slices: Vec<&[u8]> = filter.slices().collect();
        assert_eq!((slices.len(), ENOUGH_KEYS), (SLICES, 65_536));
        let holds = |number| may_hold(slices[slice_of(key(number))], key(number));
        assert!((0..ENOUGH_KEYS).all(holds));
        let others = (ENOUGH_KEYS..11 * ENOUGH_KEYS)
            .filter(|number| holds(*number))
            .count();
        assert!((300..1_500).contains(&others), "{others}");
        assert!(filter.keys() > ENOUGH_KEYS * 99 / 100);
    }

    #[test]
    fn a_slice_that_is_damaged_may_hold_everything() {
        assert!(!may_hold(&[0; SLICE_BYTES], key(1)));
        assert!(may_hold(&[0; SLICE_BYTES - 1], key(1)));
        assert!(may_hold(&[], key(1)));
    }
}
