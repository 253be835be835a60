//! The indicators of a store, which are read again when they have changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use logstore::detect::{HalfLives, IndicatorSet};
use logstore::{DuckDbStore, IntelStore as _, Result};

use crate::commands::intel;

/// Holds the indicators for all threads of a detector.
pub(super) struct Indicators<'a> {
    store: &'a DuckDbStore,
    half_lives: HalfLives,
    current: Mutex<Current>,
}

struct Current {
    version: u64,
    set: Arc<IndicatorSet>,
}

impl<'a> Indicators<'a> {
    pub(super) fn new(store: &'a DuckDbStore, half_lives: HalfLives) -> Result<Self> {
        Ok(Self {
            store,
            half_lives,
            current: Mutex::new(Current::read(store, half_lives)?),
        })
    }

    /// Returns the indicators as they were read last.
    pub(super) fn current(&self) -> Arc<IndicatorSet> {
        Arc::clone(&self.lock().set)
    }

    /// Returns the indicators as the store has them now. From then on, every thread gets them.
    pub(super) fn refresh(&self) -> Result<Arc<IndicatorSet>> {
        let mut current = self.lock();
        if self.store.intel_version()? != current.version {
            *current = Current::read(self.store, self.half_lives)?;
            log::info!("the intelligence has changed: {} indicators", current.set.len());
        }
        Ok(Arc::clone(&current.set))
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn read(store: &DuckDbStore, half_lives: HalfLives) -> Result<Self> {
        // What changes meanwhile changes the version, and is read with the next one.
        let version = store.intel_version()?;
        let set = intel::indicators(store, half_lives)?;
        Ok(Self { version, set })
    }
}
