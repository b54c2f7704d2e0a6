//! Counts events for the `metrics` facade, cheaply enough for the request path.
//!
//! The rooms that own the events take their handles once, by the names in
//! [`scaling::catalogue`], and keep them. A handle is an `Arc` over relaxed atomics:
//!
//! - a counter is one addition, sharded by thread and padded, so that threads share no cache line;
//! - a gauge is a *level*: its time integral and its maximum are exact, however short the burst;
//! - a histogram takes microseconds into SEH1 buckets: one addition, sharded and padded as well.
//!
//! Everything is cumulative. Who wants a difference keeps what it saw before: the sampler's frames
//! and the Prometheus page do not disturb each other.
//!
//! A name that is not in the catalogue, or not of that kind, gets a handle that does nothing. So
//! the number of series has a bound that no caller can move.

mod clock;
mod counter;
mod histogram;
mod level;

use std::sync::Arc;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder as Facade, SharedString, Unit,
};
use scaling::catalogue::{internal, Kind, Metric};

pub use clock::Clock;
pub(crate) use counter::ShardedCounter;
pub(crate) use histogram::{Recorded, ShardedHistogram};
pub(crate) use level::Level;

/// The recorder behind every metric handle. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Recorder {
    instruments: Arc<Instruments>,
}

#[derive(Debug)]
struct Instruments {
    clock: Clock,
    counters: Vec<(&'static str, Arc<ShardedCounter>)>,
    levels: Vec<(&'static str, Arc<Level>)>,
    histograms: Vec<(&'static str, Arc<ShardedHistogram>)>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// A recorder on the machine's monotonic clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Clock::monotonic())
    }

    /// A recorder on the given clock.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        let named = |kind| {
            Metric::ALL
                .iter()
                .filter(move |metric| metric.kind() == kind)
                .map(|m| m.name())
        };
        let counters = named(Kind::Counter).chain([internal::OFFERED_WORK]);
        let levels = named(Kind::Level).chain([internal::SLOTS, internal::BUSY_SLOTS]);
        let instruments = Instruments {
            counters: counters
                .map(|name| (name, Arc::new(ShardedCounter::new())))
                .collect(),
            levels: levels
                .map(|name| (name, Arc::new(Level::new(clock.clone()))))
                .collect(),
            histograms: named(Kind::Distribution)
                .map(|name| (name, Arc::new(ShardedHistogram::new())))
                .collect(),
            clock,
        };
        Self {
            instruments: Arc::new(instruments),
        }
    }

    /// The clock that levels are timed by.
    pub(crate) fn clock(&self) -> &Clock {
        &self.instruments.clock
    }

    /// The counter of that name.
    pub(crate) fn counter(&self, name: &str) -> Option<&Arc<ShardedCounter>> {
        find(&self.instruments.counters, name)
    }

    /// The level of that name.
    pub(crate) fn level(&self, name: &str) -> Option<&Arc<Level>> {
        find(&self.instruments.levels, name)
    }

    /// The histogram of that name.
    pub(crate) fn histogram(&self, name: &str) -> Option<&Arc<ShardedHistogram>> {
        find(&self.instruments.histograms, name)
    }
}

fn find<'a, T>(all: &'a [(&'static str, T)], name: &str) -> Option<&'a T> {
    let found = all
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, instrument)| instrument);
    if found.is_none() {
        tracing::debug!(
            name,
            "no metric of this name and kind in the catalogue: ignored"
        );
    }
    found
}

impl Facade for Recorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.counter(key.name())
            .map_or_else(Counter::noop, |c| Counter::from_arc(c.clone()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.level(key.name())
            .map_or_else(Gauge::noop, |l| Gauge::from_arc(l.clone()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.histogram(key.name())
            .map_or_else(Histogram::noop, |h| Histogram::from_arc(h.clone()))
    }
}

/// Chooses a shard for the calling thread: threads take turns, once each.
fn shard(shards: usize) -> usize {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let own = OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        own.get()
    });
    // The number of shards is a power of two.
    own & (shards - 1)
}

/// Shards to make: one a CPU, as a power of two; past 16 the memory costs more than it saves.
fn shards() -> usize {
    let cpus = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    cpus.next_power_of_two().clamp(2, 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    static METADATA: Metadata<'_> = Metadata::new("test", metrics::Level::INFO, None);

    #[test]
    fn parallel_increments_lose_nothing() {
        let recorder = Recorder::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let answered = recorder.register_counter(&"Invocations".into(), &METADATA);
                    let latency = recorder.register_histogram(&"RequestLatency".into(), &METADATA);
                    let running = recorder.register_gauge(&"Concurrency".into(), &METADATA);
                    for i in 0..5_000 {
                        running.increment(1.0);
                        answered.increment(2);
                        latency.record(f64::from(i));
                        running.decrement(1.0);
                    }
                });
            }
        });
        assert_eq!(recorder.counter("Invocations").unwrap().total(), 40_000);
        let recorded = recorder.histogram("RequestLatency").unwrap().collect();
        assert_eq!(recorded.count(), 20_000);
        assert_eq!(recorded.sum(), 4.0 * 5_000.0 * 4_999.0 / 2.0);
        let cut = recorder.level("Concurrency").unwrap().cut();
        assert_eq!(cut.level, 0);
        assert!((1..=4).contains(&cut.max), "{}", cut.max);
    }

    #[test]
    fn unknown_names_and_wrong_kinds_are_accepted_and_ignored() {
        let recorder = Recorder::new();
        for i in 0..1000 {
            recorder
                .register_counter(&format!("unknown{i}").into(), &METADATA)
                .increment(1);
        }
        recorder
            .register_gauge(&"RequestLatency".into(), &METADATA)
            .increment(1.0);
        recorder
            .register_histogram(&"Invocations".into(), &METADATA)
            .record(1.0);
        recorder
            .register_counter(&"Concurrency".into(), &METADATA)
            .increment(1);
        assert_eq!(recorder.instruments.counters.len(), 5);
        assert_eq!(recorder.counter("Invocations").unwrap().total(), 0);
        assert_eq!(recorder.level("Concurrency").unwrap().cut().level, 0);
    }

    #[test]
    fn every_recorded_metric_of_the_catalogue_has_an_instrument() {
        let recorder = Recorder::new();
        for metric in Metric::ALL {
            let found = match metric.kind() {
                Kind::Counter => recorder.counter(metric.name()).is_some(),
                Kind::Level => recorder.level(metric.name()).is_some(),
                Kind::Distribution => recorder.histogram(metric.name()).is_some(),
                Kind::Reading => true,
            };
            assert!(found, "{}", metric.name());
        }
    }
}
