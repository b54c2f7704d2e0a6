//! What the scheduler's threads meet in: std's locks, atomics and threads.
//!
//! The scheduler names them by this module alone, because it is built a second time: `interleavings`
//! puts other ones in their place, which try one order of the threads' steps after the other.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub(crate) use std::sync::{atomic, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
pub(crate) use std::thread;

static NEXT: AtomicUsize = AtomicUsize::new(0);

std::thread_local! {
    static NUMBER: usize = NEXT.fetch_add(1, Relaxed);
}

/// A number of this thread's own, counted up from 0.
pub(crate) fn thread_number() -> usize {
    NUMBER.with(|number| *number)
}
