//! Hands values to SQL functions, which are given a key for each.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use crate::sync::lock;

/// Holds the values of one function.
pub(super) struct Registry<V: 'static>(LazyLock<Mutex<HashMap<i64, V>>>);

impl<V> Registry<V> {
    pub(super) const fn new() -> Self {
        Self(LazyLock::new(Mutex::default))
    }

    /// Registers a value until what is returned is dropped.
    pub(super) fn add(&'static self, value: V) -> Registered<V> {
        // The key is random, so that a caller's own query cannot guess it.
        let key = fastrand::i64(0..);
        lock(&self.0).insert(key, value);
        Registered { key, registry: self }
    }
}

impl<V: Clone> Registry<V> {
    pub(super) fn get(&self, key: i64) -> Option<V> {
        lock(&self.0).get(&key).cloned()
    }
}

/// Keeps a value registered.
pub(super) struct Registered<V: 'static> {
    key: i64,
    registry: &'static Registry<V>,
}

impl<V> Registered<V> {
    pub(super) fn key(&self) -> i64 {
        self.key
    }
}

impl<V> Drop for Registered<V> {
    fn drop(&mut self) {
        let value = lock(&self.registry.0).remove(&self.key);
        // Large values are freed without the lock.
        drop(value);
    }
}
