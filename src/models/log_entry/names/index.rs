//! An index of names that are compared without letter case and separators.
//!
//! A key is read byte by byte, and most keys that mean nothing are left after a few bytes. A nested key continues where
//! the key of its object ended. So one entry finds `src_ip`, `SrcIP`, `src-ip`, and `ip` in the object `src`.

/// Counts the letters and digits that names are made of.
const SYMBOLS: usize = 36;
/// Marks a byte that separates words.
const SEPARATOR: u8 = 254;
/// Marks a byte that no name has.
const OTHER: u8 = 255;

/// Holds the symbol of each byte.
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
    /// Holds the place after each symbol at each place, 0 where no name goes on.
    next: Vec<[u16; SYMBOLS]>,
    values: Vec<T>,
}

impl<T: Default> Index<T> {
    pub(crate) fn new() -> Self {
        Self {
            next: vec![[0; SYMBOLS]],
            values: vec![T::default()],
        }
    }

    /// Returns the value of a name, for which room is made.
    pub(crate) fn value_mut(&mut self, name: &str) -> &mut T {
        let mut place = 0;
        for symbol in name.bytes().map(|byte| usize::from(SYMBOL[usize::from(byte)])) {
            if symbol >= SYMBOLS {
                continue;
            }
            if self.next[place][symbol] == 0 {
                let new = u16::try_from(self.next.len()).expect("the names have fewer letters together");
                self.next[place][symbol] = new;
                self.next.push([0; SYMBOLS]);
                self.values.push(T::default());
            }
            place = usize::from(self.next[place][symbol]);
        }
        &mut self.values[place]
    }
}

impl<T> Index<T> {
    /// Returns where a key leads from a place; `None` if no name goes on so.
    pub(crate) fn after(&self, place: Place, key: &str) -> Option<Place> {
        let mut at = place.0;
        for byte in key.bytes() {
            let symbol = SYMBOL[usize::from(byte)];
            if symbol == SEPARATOR {
                continue;
            }
            at = *self.next.get(usize::from(at))?.get(usize::from(symbol))?;
            if at == 0 {
                return None;
            }
        }
        // A key of separators alone is no part of a name.
        (at != place.0).then_some(Place(at))
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
