//! Many short lists of numbers, in two blocks of memory.

/// Holds a list for each number from 0 on.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Holds where each list ends.
    ends: Box<[u32]>,
    items: Box<[u32]>,
}

impl Lists {
    pub(super) fn get(&self, number: u32) -> &[u32] {
        let place = number as usize;
        let start = match place.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before).copied().unwrap_or(u32::MAX),
        };
        let end = self.ends.get(place).copied().unwrap_or_default();
        self.items.get(start as usize..end as usize).unwrap_or_default()
    }
}

impl<'l> FromIterator<&'l [u32]> for Lists {
    fn from_iter<T: IntoIterator<Item = &'l [u32]>>(lists: T) -> Self {
        let (mut ends, mut items) = (Vec::new(), Vec::new());
        for list in lists {
            items.extend_from_slice(list);
            ends.push(u32::try_from(items.len()).expect("the limits of rules allow fewer questions"));
        }
        Self {
            ends: ends.into(),
            items: items.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_is_as_it_was_given() {
        let lists: Lists = [&[1, 2][..], &[], &[3]].into_iter().collect();
        assert_eq!(lists.get(0), [1, 2]);
        assert!(lists.get(1).is_empty());
        assert_eq!(lists.get(2), [3]);
        assert!(lists.get(3).is_empty() && lists.get(u32::MAX).is_empty());
    }
}
