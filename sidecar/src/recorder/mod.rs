//! Counts events for the `metrics` facade, cheaply enough for the request path.
//!
//! The rooms that own the events take their handles once, by the names in
//! [`scaling::catalogue`], and keep them. A handle is an `Arc` over atomics, none of which waits:
//!
//! - a counter is one addition, in a padded lane of the thread's own, so that threads share no cache
//!   line;
//! - a *level* is one addition too, of a word that holds the change and its instant, which its
//!   user has read anyhow: its time integral and its maximum are exact, however short the burst. It
//!   is registered as a counter and fed with [`scaling::level::rise`] and [`scaling::level::fall`],
//!   in microseconds since [`Recorder::epoch`];
//! - a gauge holds what its owner has set last;
//! - a histogram takes microseconds into SEH1 buckets: one addition, in a lane as well.
//!
//! Everything is cumulative. Who wants a difference keeps what it saw before: the sampler's frames
//! and the Prometheus page do not disturb each other.
//!
//! A name that is not in the catalogue, or not of that kind, gets a handle that does nothing. So
//! the number of series has a bound that no caller can move.

mod clock;
mod counter;
mod gauge;
mod histogram;
mod lane;
mod level;

use std::sync::Arc;
use std::time::Instant;

use metrics::{
    Counter, Gauge as GaugeHandle, Histogram, Key, KeyName, Metadata, Recorder as Facade,
    SharedString, Unit,
};
use scaling::catalogue::{internal, Kind, Metric};

pub use clock::Clock;
pub(crate) use counter::LanedCounter;
pub(crate) use gauge::Gauge;
pub(crate) use histogram::{LanedHistogram, Recorded};
pub(crate) use level::Level;

/// The recorder behind every metric handle. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Recorder {
    instruments: Arc<Instruments>,
}

#[derive(Debug)]
struct Instruments {
    clock: Clock,
    counters: Vec<(&'static str, Arc<LanedCounter>)>,
    levels: Vec<(&'static str, Arc<Level>)>,
    gauges: Vec<(&'static str, Arc<Gauge>)>,
    histograms: Vec<(&'static str, Arc<LanedHistogram>)>,
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
        let counters = named(Kind::Counter).chain([
            internal::OFFERED_WORK,
            internal::OFFERED_CPU,
            internal::RUN_TIME,
            internal::PARTIAL_TIME,
        ]);
        let levels = named(Kind::Level).chain([internal::BUSY_SLOTS, internal::GPU_RUNS]);
        let own = [
            internal::SLOTS,
            internal::GPU_SLOTS,
            internal::OLDEST_SINCE,
            internal::RUN_CPUS,
            internal::REQUEST_CPU,
            internal::QUEUED_WORK,
            internal::BATCH_ROWS,
            internal::BATCHING,
        ];
        let nodes = internal::NODES.map(|(_, name)| name);
        let gauges = named(Kind::Gauge).chain(own).chain(nodes);
        let instruments = Instruments {
            counters: counters
                .map(|name| (name, Arc::new(LanedCounter::new())))
                .collect(),
            levels: levels
                .map(|name| (name, Arc::new(Level::new(clock.clone()))))
                .collect(),
            gauges: gauges.map(|name| (name, Arc::new(Gauge::new()))).collect(),
            histograms: named(Kind::Distribution)
                .map(|name| (name, Arc::new(LanedHistogram::new())))
                .collect(),
            clock,
        };
        Self {
            instruments: Arc::new(instruments),
        }
    }

    /// The time 0 of every instant that a level is told.
    #[must_use]
    pub fn epoch(&self) -> Instant {
        self.instruments.clock.epoch()
    }

    /// The clock that levels are read by.
    pub(crate) fn clock(&self) -> &Clock {
        &self.instruments.clock
    }

    /// The counter of that name.
    pub(crate) fn counter(&self, name: &str) -> Option<&Arc<LanedCounter>> {
        find(&self.instruments.counters, name)
    }

    /// The level of that name.
    pub(crate) fn level(&self, name: &str) -> Option<&Arc<Level>> {
        find(&self.instruments.levels, name)
    }

    /// The gauge of that name.
    pub(crate) fn gauge(&self, name: &str) -> Option<&Arc<Gauge>> {
        find(&self.instruments.gauges, name)
    }

    /// The histogram of that name.
    pub(crate) fn histogram(&self, name: &str) -> Option<&Arc<LanedHistogram>> {
        find(&self.instruments.histograms, name)
    }
}

fn find<'a, T>(all: &'a [(&'static str, T)], name: &str) -> Option<&'a T> {
    all.iter()
        .find(|(known, _)| *known == name)
        .map(|(_, instrument)| instrument)
}

/// Says that a handle does nothing.
fn ignored(name: &str) {
    tracing::debug!(
        name,
        "no metric of this name and kind in the catalogue: ignored"
    );
}

impl Facade for Recorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if let Some(level) = self.level(key.name()) {
            return Counter::from_arc(level.clone());
        }
        self.counter(key.name()).map_or_else(
            || {
                ignored(key.name());
                Counter::noop()
            },
            |counter| Counter::from_arc(counter.clone()),
        )
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> GaugeHandle {
        self.gauge(key.name()).map_or_else(
            || {
                ignored(key.name());
                GaugeHandle::noop()
            },
            |gauge| GaugeHandle::from_arc(gauge.clone()),
        )
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.histogram(key.name()).map_or_else(
            || {
                ignored(key.name());
                Histogram::noop()
            },
            |histogram| Histogram::from_arc(histogram.clone()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scaling::level::{fall, rise};

    static METADATA: Metadata<'_> = Metadata::new("test", metrics::Level::INFO, None);

    #[test]
    fn parallel_increments_lose_nothing() {
        let recorder = Recorder::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let answered = recorder.register_counter(&"Invocations".into(), &METADATA);
                    let latency = recorder.register_histogram(&"RequestLatency".into(), &METADATA);
                    let running = recorder.register_counter(&"Concurrency".into(), &METADATA);
                    for i in 0..5_000_u32 {
                        running.increment(rise(u64::from(i)));
                        answered.increment(2);
                        latency.record(f64::from(i));
                        running.increment(fall(u64::from(i)));
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
        let known = recorder.instruments.counters.len();
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
            .register_gauge(&"Concurrency".into(), &METADATA)
            .set(1.0);
        assert_eq!(recorder.instruments.counters.len(), known);
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
                Kind::Gauge => recorder.gauge(metric.name()).is_some(),
                Kind::Reading => true,
            };
            assert!(found, "{}", metric.name());
        }
    }
}
