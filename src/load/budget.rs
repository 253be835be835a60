//! A limit on the bytes or processors that several threads use together.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::sync::lock;

/// Limits the bytes, or the processors, that threads use together.
pub(super) struct Budget {
    total: usize,
    used: Mutex<usize>,
    given_back: Condvar,
}

/// Holds a part of a budget, and gives it back when it is dropped.
pub(super) struct Permit<'a> {
    budget: &'a Budget,
    amount: usize,
}

impl Budget {
    pub(super) fn new(total: usize) -> Self {
        Self {
            total,
            used: Mutex::default(),
            given_back: Condvar::new(),
        }
    }

    /// Waits until this much is left, and takes it.
    ///
    /// An amount above the total is granted when nothing else is used. A single line may be longer than the budget.
    pub(super) fn take(&self, amount: usize) -> Permit<'_> {
        let is_too_much = |used: &mut usize| *used > 0 && *used + amount > self.total;
        let used = self.given_back.wait_while(lock(&self.used), is_too_much);
        *used.unwrap_or_else(PoisonError::into_inner) += amount;
        Permit { budget: self, amount }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *lock(&self.budget.used) -= self.amount;
        self.budget.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let budget = Budget::new(10);
        let first = budget.take(6);
        let second = budget.take(4);
        drop(first);
        let third = budget.take(6);
        drop((second, third));
        // More than there is, while nothing is used.
        let all = budget.take(25);
        assert_eq!(*lock(&budget.used), 25);
        drop(all);
        assert_eq!(*lock(&budget.used), 0);
    }
}
