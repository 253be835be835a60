//! The list of a block: the observables that its logs hold, so that many are looked for at once.
//!
//! Of 10,000 values, the filter of each block holds a dozen by chance. So a block has a longer piece of the hash of each
//! observable as well. Of a name, that is each pair of words with a dot between them. With each piece, the list says in
//! which stretches of the block it is, so that few logs are read where an observable is found.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::keys;

/// Limits the observables of a list: so many keys fill a filter. A block with more is searched.
const MOST: usize = 1 << 16;

/// Counts the bytes of a number in a list: its length, or a piece of a hash.
const NUMBER: usize = size_of::<u32>();

/// Holds a bit for each stretch of a block.
pub(crate) type Stretches = u16;

/// Counts the stretches of a block. They have the same number of sequence numbers, but for one.
const STRETCHES: i64 = Stretches::BITS as i64;

/// Returns the stretches of a block that have some sequence numbers.
fn stretches_of(seqs: &RangeInclusive<i64>, block: &RangeInclusive<i64>) -> Stretches {
    let of = |stretch: &RangeInclusive<i64>| {
        !stretch.is_empty() && stretch.start() <= seqs.end() && seqs.start() <= stretch.end()
    };
    let numbered = stretches(block).zip(0..);
    numbered
        .filter(|(stretch, _)| of(stretch))
        .fold(0, |all, (_, number)| all | 1 << number)
}

/// Returns the sequence numbers of each stretch of a block. Some have none if the block has fewer logs.
pub(crate) fn stretches(block: &RangeInclusive<i64>) -> impl Iterator<Item = RangeInclusive<i64>> {
    let first = *block.start();
    let length = i128::from(*block.end()) - i128::from(first) + 1;
    let start = move |number: i64| {
        let before = length * i128::from(number) / i128::from(STRETCHES);
        i64::try_from(i128::from(first) + before).unwrap_or(i64::MAX)
    };
    (0..STRETCHES).map(move |number| start(number)..=start(number + 1).saturating_sub(1))
}

/// Holds the observables of one block, each as a piece of the hash that is its key.
#[derive(Debug, Default)]
pub(crate) struct Observables {
    /// Holds them in the order in which they were added, some of them several times, each with the place of its logs.
    pieces: Vec<(u32, u32)>,
    /// Holds the sequence numbers of logs.
    logs: Vec<RangeInclusive<i64>>,
    /// Says that they are too many to tell: each may be among them.
    are_all: bool,
}

impl Observables {
    /// Says which logs the observables are of that are added next.
    pub(crate) fn start(&mut self, seqs: RangeInclusive<i64>) {
        self.logs.push(seqs);
    }

    /// Adds a key if it is that of an observable.
    pub(crate) fn add(&mut self, key: u64) {
        if keys::is_of_observable(key) {
            let place = self.logs.len().saturating_sub(1);
            self.pieces
                .push((piece_of(key), u32::try_from(place).unwrap_or(u32::MAX)));
        }
    }

    /// Adds every observable.
    pub(crate) fn fill(&mut self) {
        self.are_all = true;
    }

    /// Adds the observables of another block.
    pub(crate) fn merge(&mut self, other: &Self) {
        let before = u32::try_from(self.logs.len()).unwrap_or(u32::MAX);
        let pieces = other.pieces.iter();
        self.pieces
            .extend(pieces.map(|(piece, place)| (*piece, place.saturating_add(before))));
        self.logs.extend_from_slice(&other.logs);
        self.are_all |= other.are_all;
    }

    /// Returns the list of a block as it is stored: the number of pieces, the length of the block, each piece once in
    /// ascending order, and the stretches of each. Returns `None` if they are too many.
    pub(crate) fn list(&self, block: &RangeInclusive<i64>) -> Option<Vec<u8>> {
        let pieces = self.sorted(block)?;
        let mut list = u32::try_from(pieces.len()).ok()?.to_le_bytes().to_vec();
        list.extend(length_of(block));
        list.extend(pieces.iter().flat_map(|(piece, _)| piece.to_le_bytes()));
        list.extend(pieces.iter().flat_map(|(_, stretches)| stretches.to_le_bytes()));
        Some(list)
    }

    fn sorted(&self, block: &RangeInclusive<i64>) -> Option<Vec<(u32, Stretches)>> {
        if self.are_all {
            return None;
        }
        let of_logs: Vec<Stretches> = self.logs.iter().map(|seqs| stretches_of(seqs, block)).collect();
        let of_place = |place: u32| usize::try_from(place).ok().and_then(|place| of_logs.get(place));
        let stretches = |place| of_place(place).copied().unwrap_or(Stretches::MAX);
        let pieces = self.pieces.iter();
        let mut pieces: Vec<_> = pieces.map(|(piece, place)| (*piece, stretches(*place))).collect();
        pieces.sort_unstable();
        pieces.dedup_by(|(piece, stretches), (kept, all)| {
            *all |= if piece == kept { *stretches } else { 0 };
            piece == kept
        });
        (pieces.len() <= MOST).then_some(pieces)
    }

    /// Says whether the stored list of a block lacks an observable, or a stretch of one. One that cannot be read lacks
    /// none.
    pub(crate) fn are_missing_from(&self, stored: &[u8], block: &RangeInclusive<i64>) -> bool {
        let Some(stored) = read(stored, block) else {
            return false;
        };
        let stored: HashMap<u32, Stretches> = stored.collect();
        let is_missing = |(piece, stretches): &(u32, Stretches)| {
            let known = stored.get(piece).copied().unwrap_or_default();
            stretches & !known != 0
        };
        self.sorted(block)
            .is_none_or(|pieces| pieces.iter().any(is_missing))
    }
}

/// Returns the piece of a key that is in lists.
pub(crate) fn piece_of(key: u64) -> u32 {
    let [a, b, c, d, ..] = key.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Returns the length of a block as it is in its list: the stretches of another length would be of other logs.
fn length_of(block: &RangeInclusive<i64>) -> [u8; 8] {
    block.end().wrapping_sub(*block.start()).to_le_bytes()
}

/// Returns the pieces of the stored list of a block, with the stretches of each; `None` if it is damaged.
pub(crate) fn read(
    list: &[u8],
    block: &RangeInclusive<i64>,
) -> Option<impl Iterator<Item = (u32, Stretches)>> {
    let (length, rest) = list.split_first_chunk::<NUMBER>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let rest = rest.strip_prefix(&length_of(block))?;
    let (pieces, stretches) = rest.split_at_checked(length.checked_mul(NUMBER)?)?;
    let (pieces, _) = pieces.as_chunks::<NUMBER>();
    let (stretches, rest) = stretches.as_chunks::<{ size_of::<Stretches>() }>();
    let pieces = pieces.iter().map(|piece| u32::from_le_bytes(*piece));
    let is_whole = rest.is_empty() && stretches.len() == length;
    is_whole.then(|| {
        pieces.zip(
            stretches
                .iter()
                .map(|stretches| Stretches::from_le_bytes(*stretches)),
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u64) -> u64 {
        number << 32 | 1
    }

    fn of(numbers: &[u64]) -> Observables {
        let mut observables = Observables::default();
        observables.start(0..=15);
        for number in numbers {
            observables.add(key(*number));
        }
        observables
    }

    #[test]
    fn a_list_has_each_observable_once_with_its_stretches() {
        let block = 1..=160;
        let mut observables = Observables::default();
        for (seqs, numbers) in [(1..=10, [7, 3]), (11..=31, [7, 9]), (155..=160, [1 << 31, 3])] {
            observables.start(seqs);
            for number in numbers {
                observables.add(key(number));
            }
        }
        // A word is none.
        observables.add(5 << 32);
        let list = observables.list(&block).unwrap();
        let pieces: Vec<_> = read(&list, &block).unwrap().collect();
        let last = 1 << 15;
        assert_eq!(pieces, [(3, 1 | last), (7, 0b1111), (9, 0b1110), (1 << 31, last)]);
        assert!(!observables.are_missing_from(&list, &block));
        observables.start(140..=140);
        observables.add(key(7));
        assert!(observables.are_missing_from(&list, &block));
    }

    #[test]
    fn blocks_that_are_merged_keep_their_stretches() {
        let (mut first, mut second) = (Observables::default(), Observables::default());
        first.start(9..=16);
        first.add(key(1));
        second.start(1..=8);
        second.add(key(2));
        first.merge(&second);
        let list = first.list(&(1..=16)).unwrap();
        let pieces: Vec<_> = read(&list, &(1..=16)).unwrap().collect();
        assert_eq!(pieces, [(1, 0xff00), (2, 0xff)]);
    }

    #[test]
    fn a_list_that_is_damaged_cannot_be_read() {
        let block = 0..=15;
        let list = of(&[7]).list(&block).unwrap();
        assert_eq!(list.len(), 18);
        let (shorter, without) = (&list[..17], of(&[]).list(&block).unwrap());
        for damaged in [
            &[][..],
            &[0; 128],
            &[255; 128],
            shorter,
            &list[..12],
            &list[..4],
            &list[4..],
        ] {
            assert!(read(damaged, &block).is_none(), "{damaged:?}");
        }
        assert!(read(&list, &(0..=16)).is_none());
        assert!(read(&without, &block).unwrap().next().is_none());
    }

    #[test]
    fn too_many_observables_have_no_list() {
        let numbers: Vec<u64> = (0..=MOST as u64).collect();
        assert!(of(&numbers).list(&(0..=15)).is_none());
        let mut few = Observables::default();
        few.fill();
        assert!(few.list(&(0..=15)).is_none());
        assert!(few.are_missing_from(&of(&[]).list(&(0..=15)).unwrap(), &(0..=15)));
    }

    /// Returns lengths of blocks, half of them about as many as the stretches.
    fn lengths() -> impl Strategy<Value = i64> {
        prop_oneof![1..2 * STRETCHES, 1_i64..100_000]
    }

    proptest! {
        #[test]
        fn each_number_of_a_block_is_in_one_stretch(first in -5_i64..1_000_000, length in lengths()) {
            let block = first..=first + length - 1;
            let mut next = first;
            for stretch in stretches(&block) {
                prop_assert_eq!(*stretch.start(), next);
                next = stretch.end() + 1;
            }
            prop_assert_eq!(next, first + length);
            let part = first + length / 3..=first + length / 2;
            for (number, stretch) in stretches(&block).enumerate() {
                let has = part.clone().any(|seq| stretch.contains(&seq));
                prop_assert_eq!(stretches_of(&part, &block) & 1 << number != 0, has);
            }
        }
    }
}
