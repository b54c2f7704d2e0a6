//! Which thread counts where.
//!
//! Counters and distributions have a *lane* for each thread, so that threads share no cache line. A
//! lane with one writer needs no locked instruction either: it loads, adds and stores, which takes a
//! fifth of the time. There are lanes for twice as many threads as there are CPUs, the threads of
//! HTTP and of the slots; those beyond share a few more lanes, with atomic additions.
//!
//! A thread that ends gives its lane back with all that was counted there. The lock through which it
//! is given back and taken again makes the last store of the old owner visible to the new one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Most lanes with one writer; more memory than this would cost more than it saves.
const MOST_OWNED: usize = 32;
const MOST_SHARED: usize = 8;

/// Lanes with one writer, and lanes for everybody else.
static NUMBERS: LazyLock<(usize, usize)> = LazyLock::new(|| {
    let cpus = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    ((2 * cpus).clamp(4, MOST_OWNED), cpus.clamp(2, MOST_SHARED))
});

static LANES: Mutex<Lanes> = Mutex::new(Lanes {
    next: 0,
    given_back: Vec::new(),
});

/// The lanes of all recorders: a thread has the same one in each.
struct Lanes {
    /// Threads that found nothing given back.
    next: usize,
    given_back: Vec<usize>,
}

/// A thread's lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) index: usize,
    /// Whether no other thread writes there.
    pub(super) is_own: bool,
}

struct Held(Lane);

impl Held {
    fn take() -> Self {
        let (owned, shared) = *NUMBERS;
        let mut lanes = LANES.lock().unwrap_or_else(PoisonError::into_inner);
        let index = lanes.given_back.pop().unwrap_or_else(|| {
            lanes.next += 1;
            lanes.next - 1
        });
        if index < owned {
            return Self(Lane {
                index,
                is_own: true,
            });
        }
        Self(Lane {
            index: owned + (index - owned) % shared,
            is_own: false,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.0.is_own {
            let mut lanes = LANES.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.given_back.push(self.0.index);
        }
    }
}

thread_local! {
    static HELD: Held = Held::take();
}

/// The calling thread's lane.
#[inline]
pub(super) fn own() -> Lane {
    // A thread that is ending has given its lane back.
    HELD.try_with(|held| held.0).unwrap_or(Lane {
        index: NUMBERS.0,
        is_own: false,
    })
}

/// Adds to a word of this lane, wrapping. What was written before is seen by whoever sees the sum.
#[inline]
pub(super) fn add(word: &AtomicU64, value: u64, lane: Lane) {
    if lane.is_own {
        let sum = word.load(Ordering::Relaxed).wrapping_add(value);
        word.store(sum, Ordering::Release);
    } else {
        word.fetch_add(value, Ordering::Release);
    }
}

/// Lanes that every instrument has.
pub(super) fn number() -> usize {
    NUMBERS.0 + NUMBERS.1
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    #[test]
    fn no_two_threads_that_live_have_one_lane_of_their_own() {
        let threads = number() + 3;
        let all_have_one = Arc::new(Barrier::new(threads));
        let running: Vec<_> = (0..threads)
            .map(|_| {
                let all_have_one = Arc::clone(&all_have_one);
                std::thread::spawn(move || {
                    let lane = own();
                    all_have_one.wait();
                    assert_eq!(own(), lane);
                    lane
                })
            })
            .collect();
        let mut lanes: Vec<_> = running.into_iter().map(|t| t.join().unwrap()).collect();
        assert!(lanes.iter().all(|lane| lane.index < number()));
        lanes.retain(|lane| lane.is_own);
        let before = lanes.len();
        lanes.sort_by_key(|lane| lane.index);
        lanes.dedup();
        assert_eq!(lanes.len(), before);
    }

    #[test]
    fn a_lane_is_given_back_when_its_thread_ends() {
        let (owned, _) = *NUMBERS;
        // Far more than other tests have threads: some of those get a new lane too.
        let many = 100 * owned;
        for _ in 0..many {
            // One after the other: other tests' threads cannot hold all of them all the time.
            let lane = std::thread::spawn(own).join().unwrap();
            assert!(lane.index < number());
        }
        let next = LANES.lock().unwrap().next;
        assert!(next < many, "{next} threads got a lane nobody had before");
    }
}
