//! A counter in lanes, one cache line pair each.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::CounterFn;

use super::lane;

/// Two cache lines: neighbouring lines are fetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(AtomicU64);

/// Events since the start.
#[derive(Debug)]
pub(crate) struct LanedCounter {
    lanes: Box<[Part]>,
    absolute: AtomicU64,
}

impl LanedCounter {
    pub(crate) fn new() -> Self {
        Self {
            lanes: (0..lane::number()).map(|_| Part::default()).collect(),
            absolute: AtomicU64::new(0),
        }
    }

    /// The sum over the lanes.
    pub(crate) fn total(&self) -> u64 {
        let parts = self.lanes.iter().map(|part| part.0.load(Ordering::Relaxed));
        parts.fold(self.absolute.load(Ordering::Relaxed), u64::wrapping_add)
    }
}

impl CounterFn for LanedCounter {
    fn increment(&self, value: u64) {
        let own = lane::own();
        if let Some(Part(sum)) = self.lanes.get(own.index) {
            lane::add(sum, value, own);
        }
    }

    /// Counts on top of what was incremented: a counter is fed in one of the two ways.
    fn absolute(&self, value: u64) {
        self.absolute.fetch_max(value, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_values_never_go_back() {
        let counter = LanedCounter::new();
        counter.absolute(7);
        counter.absolute(5);
        assert_eq!(counter.total(), 7);
    }

    #[test]
    fn threads_with_lanes_of_their_own_and_without_lose_nothing() {
        let counter = LanedCounter::new();
        let threads = 2 * lane::number() as u64;
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| (0..2_000).for_each(|_| counter.increment(3)));
            }
        });
        assert_eq!(counter.total(), threads * 6_000);
    }
}
