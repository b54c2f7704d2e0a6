//! In the place of `inference`'s: shuttle's locks, atomics and threads.

pub(crate) use shuttle::sync::{atomic, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
pub(crate) use shuttle::thread;

use shuttle::rand::{thread_rng, Rng};

/// Threads that gather together do so by their numbers: with two of these, some do and some do not.
const NUMBERS: usize = 2;

shuttle::thread_local! {
    static NUMBER: usize = thread_rng().gen_range(0..NUMBERS);
}

/// A number of this thread's, which others may have too: a request may go on on another thread than
/// the one that it gathered on, so that gatherings meet all there is.
pub(crate) fn thread_number() -> usize {
    NUMBER.with(|number| *number)
}
