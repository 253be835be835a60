//! Counts of a window that moves over hits, so that a flood of them takes linear time.

use std::collections::HashMap;

use super::numbers::Numbers;
use crate::models::Hit;

/// Counts the hits of a window: those from a start on that have been added.
pub(super) struct Sliding<'h> {
    hits: &'h [&'h Hit],
    key: fn(&Hit) -> Option<&str>,
    /// Holds the ids of rules that must match in this order; none if order does not count.
    order: Vec<&'h str>,
    start: usize,
    end: usize,
    logs: usize,
    by_key: HashMap<&'h str, usize>,
    /// Holds, for each rule of the order, the latest start of hits that match it and those before it in order.
    chains: Vec<Option<usize>>,
    /// Holds the numbers of the hits, if the correlation compares them.
    numbers: Option<Numbers>,
}

impl<'h> Sliding<'h> {
    pub(super) fn new(hits: &'h [&'h Hit], key: fn(&Hit) -> Option<&str>, order: Vec<&'h str>) -> Self {
        Self {
            hits,
            key,
            chains: vec![None; order.len()],
            order,
            start: 0,
            end: 0,
            logs: 0,
            by_key: HashMap::new(),
            numbers: None,
        }
    }

    /// Adds the numbers of the hits to what is counted.
    pub(super) fn with_numbers(self) -> Self {
        Self {
            numbers: Some(Numbers::new(self.hits)),
            ..self
        }
    }

    /// Adds the next hit.
    pub(super) fn add(&mut self) {
        let Some(hit) = self.hits.get(self.end).copied() else {
            return;
        };
        let is_same_log = self.end > self.start && self.log_differs(self.end - 1, self.end) == Some(false);
        self.logs += usize::from(!is_same_log);
        if let Some(key) = (self.key)(hit) {
            *self.by_key.entry(key).or_default() += 1;
        }
        for place in (0..self.order.len()).rev() {
            if self.order.get(place) == Some(&hit.rule_id.as_str()) {
                let begun = match place.checked_sub(1) {
                    None => Some(self.end),
                    Some(before) => self.chains.get(before).copied().flatten(),
                };
                if let Some(chain) = self.chains.get_mut(place) {
                    *chain = begun.or(*chain);
                }
            }
        }
        if let Some(numbers) = &mut self.numbers {
            numbers.add(self.end);
        }
        self.end += 1;
    }

    /// Removes the first hit.
    pub(super) fn remove(&mut self) {
        let Some(hit) = self
            .hits
            .get(self.start)
            .copied()
            .filter(|_| self.start < self.end)
        else {
            return;
        };
        let goes_on =
            self.start + 1 < self.end && self.log_differs(self.start, self.start + 1) == Some(false);
        self.logs -= usize::from(!goes_on);
        if let Some(key) = (self.key)(hit)
            && let Some(count) = self.by_key.get_mut(key)
        {
            *count -= 1;
            if *count == 0 {
                self.by_key.remove(key);
            }
        }
        if let Some(numbers) = &mut self.numbers {
            numbers.remove(self.start);
        }
        self.start += 1;
    }

    fn log_differs(&self, left: usize, right: usize) -> Option<bool> {
        Some(self.hits.get(left)?.log != self.hits.get(right)?.log)
    }

    pub(super) fn window(&self) -> &'h [&'h Hit] {
        self.hits.get(self.start..self.end).unwrap_or_default()
    }

    /// Returns the numbers of the window, and the place of its last hit; `None` if the window was made without them.
    pub(super) fn numbers(&self) -> Option<(&Numbers, usize)> {
        Some((self.numbers.as_ref()?, self.end.checked_sub(1)?))
    }

    /// Counts the logs.
    pub(super) fn logs(&self) -> usize {
        self.logs
    }

    /// Counts the different keys.
    pub(super) fn keys(&self) -> usize {
        self.by_key.len()
    }

    /// Returns whether the window holds a hit of each rule, in order.
    pub(super) fn is_in_order(&self) -> bool {
        self.chains
            .last()
            .is_none_or(|chain| chain.is_some_and(|begun| begun >= self.start))
    }
}
