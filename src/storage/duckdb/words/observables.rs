//! The list of a block: the observables that its logs hold, so that many are looked for at once.
//!
//! Of 10,000 values, the filter of each block holds a dozen by chance. So a block has a longer piece of the hash of each
//! observable as well. Of a name, that is each pair of words with a dot between them.

use super::keys;

/// Limits the observables of a list: so many keys fill a filter. A block with more is searched.
const MOST: usize = 1 << 16;

/// Counts the bytes of a number in a list: its length, or a piece of a hash.
const NUMBER: usize = size_of::<u32>();

/// Holds the observables of one block, each as a piece of the hash that is its key.
#[derive(Debug, Default)]
pub(crate) struct Observables {
    /// Holds them in the order in which they were added, some of them several times.
    pieces: Vec<u32>,
    /// Says that they are too many to tell: each may be among them.
    are_all: bool,
}

impl Observables {
    /// Adds a key if it is that of an observable.
    pub(crate) fn add(&mut self, key: u64) {
        if keys::is_of_observable(key) {
            self.pieces.push(piece_of(key));
        }
    }

    /// Adds every observable.
    pub(crate) fn fill(&mut self) {
        self.are_all = true;
    }

    /// Adds the observables of another block.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.pieces.extend_from_slice(&other.pieces);
        self.are_all |= other.are_all;
    }

    /// Returns the list as it is stored: the number of pieces, and each piece once in ascending order. Returns `None` if
    /// they are too many.
    pub(crate) fn list(&self) -> Option<Vec<u8>> {
        let pieces = self.sorted()?;
        let length = u32::try_from(pieces.len()).ok()?;
        let numbers = std::iter::once(length).chain(pieces);
        Some(numbers.flat_map(u32::to_le_bytes).collect())
    }

    fn sorted(&self) -> Option<Vec<u32>> {
        let mut pieces = self.pieces.clone();
        pieces.sort_unstable();
        pieces.dedup();
        (!self.are_all && pieces.len() <= MOST).then_some(pieces)
    }

    /// Says whether a stored list lacks an observable. One that cannot be read lacks none.
    pub(crate) fn are_missing_from(&self, stored: &[u8]) -> bool {
        let Some(stored) = pieces_of(stored) else {
            return false;
        };
        let stored: Vec<u32> = stored.collect();
        let is_missing = |piece: &u32| stored.binary_search(piece).is_err();
        self.sorted().is_none_or(|pieces| pieces.iter().any(is_missing))
    }
}

/// Returns the piece of a key that is in lists.
pub(crate) fn piece_of(key: u64) -> u32 {
    let [a, b, c, d, ..] = key.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Returns the pieces of a stored list; `None` if it is damaged.
pub(crate) fn pieces_of(list: &[u8]) -> Option<impl Iterator<Item = u32>> {
    let (length, pieces) = list.split_first_chunk::<NUMBER>()?;
    let (pieces, rest) = pieces.as_chunks::<NUMBER>();
    let is_whole = rest.is_empty() && u32::try_from(pieces.len()) == Ok(u32::from_le_bytes(*length));
    is_whole.then(|| pieces.iter().map(|piece| u32::from_le_bytes(*piece)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> u64 {
        number << 32 | 1
    }

    #[test]
    fn a_list_has_each_observable_once() {
        let mut observables = Observables::default();
        for number in [7, 3, 7, 1 << 31] {
            observables.add(key(number));
        }
        // A word is none.
        observables.add(5 << 32);
        let list = observables.list().unwrap();
        let pieces: Vec<u32> = pieces_of(&list).unwrap().collect();
        assert_eq!(pieces, [3, 7, 1 << 31]);
        assert!(!observables.are_missing_from(&list));
        observables.add(key(8));
        assert!(observables.are_missing_from(&list));
    }

    #[test]
    fn a_list_that_is_damaged_cannot_be_read() {
        let mut observables = Observables::default();
        observables.add(key(7));
        let list = observables.list().unwrap();
        for damaged in [&[][..], &[0; 128], &list[..7], &list[..4], &list[4..]] {
            assert!(pieces_of(damaged).is_none(), "{damaged:?}");
        }
        assert!(pieces_of(&[0; 4]).unwrap().next().is_none());
    }

    #[test]
    fn too_many_observables_have_no_list() {
        let mut observables = Observables::default();
        (0..=MOST as u64).for_each(|number| observables.add(key(number)));
        assert!(observables.list().is_none());
        let mut few = Observables::default();
        few.fill();
        assert!(few.list().is_none());
        assert!(few.are_missing_from(&[0; 4]));
    }
}
