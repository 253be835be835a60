//! Where the parts of a text that was written again are in the original.

use std::ops::Range;

/// Holds the ends of the parts that were changed, in the new text and in the original.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edits(Vec<(usize, usize)>);

impl Edits {
    /// Adds a change after the others.
    pub(crate) fn push(&mut self, end: usize, original: usize) {
        self.0.push((end, original));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets all changes but the first ones.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.0.truncate(count);
    }

    /// Returns where a part of the new text is in the original. The part borrows from the text.
    pub(crate) fn original_of(&self, part: &str, text: &str) -> Range<usize> {
        let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
        self.place_of(start)..self.place_of(start + part.len())
    }

    fn place_of(&self, place: usize) -> usize {
        let before = self.0.partition_point(|(end, _)| *end <= place);
        let last = before.checked_sub(1).and_then(|last| self.0.get(last));
        let (end, original) = last.copied().unwrap_or_default();
        original + (place - end)
    }
}
