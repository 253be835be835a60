//! An index of names that are compared without letter case and separators.
//!
//! A key is read byte by byte, and most keys that mean nothing are left after a few bytes. A nested key continues where
//! the key of its object ended. So one entry finds `src_ip`, `SrcIP`, `src-ip`, and `ip` in the object `src`.

/// Numbers the bytes that separate words.
const SEPARATOR: u8 = 36;
/// Numbers the bytes that no name has.
const OTHER: u8 = 37;
/// Counts the numbers of bytes.
const WIDTH: usize = 38;
/// Marks that no name goes on. It is beyond all places.
const NOWHERE: u16 = u16::MAX;

/// Holds the number of each byte.
const SYMBOL: [u8; 256] = {
    let mut symbols = [OTHER; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        symbols[byte as usize] = match byte {
            b'a'..=b'z' => byte - b'a',
            b'A'..=b'Z' => byte - b'A',
            b'0'..=b'9' => byte - b'0' + 26,
            _ => SEPARATOR,
        };
        byte += 1;
    }
    symbols
};

/// Names the place in the index that a path of keys leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u16);

impl Place {
    /// Names the place where every path starts.
    pub(crate) const ROOT: Self = Self(0);
}

/// Maps names to values of `T`.
#[derive(Debug)]
pub(crate) struct Index<T> {
    /// Holds for each place the places after it, by the number of a byte. A separator leads to the place itself.
    next: Vec<u16>,
    values: Vec<T>,
}

impl<T: Default> Index<T> {
    pub(crate) fn new() -> Self {
        let mut index = Self {
            next: Vec::new(),
            values: Vec::new(),
        };
        index.add_place();
        index
    }

    fn add_place(&mut self) -> u16 {
        let place = u16::try_from(self.values.len()).expect("the names have fewer letters together");
        assert!(place < NOWHERE, "the names have fewer letters together");
        let mut next = [NOWHERE; WIDTH];
        next[usize::from(SEPARATOR)] = place;
        self.next.extend(next);
        self.values.push(T::default());
        place
    }

    /// Returns the value of a name, for which room is made.
    pub(crate) fn value_mut(&mut self, name: &str) -> &mut T {
        let mut place = 0;
        for symbol in name.bytes().map(|byte| SYMBOL[usize::from(byte)]) {
            if symbol == OTHER {
                continue;
            }
            let next = usize::from(place) * WIDTH + usize::from(symbol);
            if self.next[next] == NOWHERE {
                self.next[next] = self.add_place();
            }
            place = self.next[next];
        }
        &mut self.values[usize::from(place)]
    }
}

impl<T> Index<T> {
    /// Returns where a key leads from a place; `None` if no name goes on so.
    pub(crate) fn after(&self, place: Place, key: &str) -> Option<Place> {
        let mut at = place.0;
        for byte in key.bytes() {
            let symbol = SYMBOL[usize::from(byte)];
            at = *self.next.get(usize::from(at) * WIDTH + usize::from(symbol))?;
        }
        // A key of separators alone is no part of a name.
        (at != place.0 && at != NOWHERE).then_some(Place(at))
    }

    /// Returns the value at a place.
    pub(crate) fn at(&self, place: Place) -> Option<&T> {
        self.values.get(usize::from(place.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_separators_at_any_nesting() {
        let mut index = Index::new();
        *index.value_mut("client.ip_address") = 7;
        let find = |keys: &[&str]| {
            let place = keys
                .iter()
                .try_fold(Place::ROOT, |place, key| index.after(place, key))?;
            index.at(place).copied().filter(|value| *value != 0)
        };
        for keys in [
            &["client", "ipAddress"][..],
            &["clientIPAddress"],
            &["CLIENT-IP ADDRESS"],
            &["client.ip@address"],
            &["_client", "ip", "address"],
        ] {
            assert_eq!(find(keys), Some(7), "{keys:?}");
        }
        for keys in [
            &["client"][..],
            &["clientipaddresses"],
            &["clientipaddress", "_"],
            &["client\u{e9}ipaddress"],
            &[""],
            &["_"],
        ] {
            assert_eq!(find(keys), None, "{keys:?}");
        }
    }
}
