//! Locks of this process that survive a panic in another thread.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a mutex, also one whose last holder panicked.
///
/// No code of this crate panics halfway through a change under a mutex. The content of a mutex is therefore whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
