//! A counter in shards, one cache line pair each.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::CounterFn;

/// Two cache lines: neighbouring lines are fetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(AtomicU64);

/// Events since the start.
#[derive(Debug)]
pub(crate) struct ShardedCounter {
    shards: Box<[Shard]>,
    absolute: AtomicU64,
}

impl ShardedCounter {
    pub(crate) fn new() -> Self {
        let shards = (0..super::shards()).map(|_| Shard::default()).collect();
        Self {
            shards,
            absolute: AtomicU64::new(0),
        }
    }

    /// The sum over the shards.
    pub(crate) fn total(&self) -> u64 {
        let shards = self
            .shards
            .iter()
            .map(|shard| shard.0.load(Ordering::Relaxed));
        shards.fold(self.absolute.load(Ordering::Relaxed), u64::wrapping_add)
    }
}

impl CounterFn for ShardedCounter {
    fn increment(&self, value: u64) {
        let own = super::shard(self.shards.len());
        if let Some(shard) = self.shards.get(own) {
            shard.0.fetch_add(value, Ordering::Relaxed);
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
        let counter = ShardedCounter::new();
        counter.absolute(7);
        counter.absolute(5);
        assert_eq!(counter.total(), 7);
    }
}
