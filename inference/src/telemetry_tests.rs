//! A recorder that tests read back, and tests of the handles.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::Mutex;
use std::time::Duration;

use metrics::{CounterFn, GaugeFn, HistogramFn, KeyName, SharedString, Unit};

use super::*;

/// Everything that is recorded, by name.
#[derive(Default)]
pub(crate) struct Seen {
    counters: Mutex<BTreeMap<String, Arc<Total>>>,
    gauges: Mutex<BTreeMap<String, Arc<Last>>>,
    histograms: Mutex<BTreeMap<String, Arc<Values>>>,
}

#[derive(Default)]
struct Total(AtomicU64);

#[derive(Default)]
struct Last(AtomicU64);

#[derive(Default)]
struct Values(Mutex<Vec<f64>>);

impl CounterFn for Total {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Relaxed);
    }
}

impl GaugeFn for Last {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }
}

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

fn entry<T: Default>(all: &Mutex<BTreeMap<String, Arc<T>>>, name: &str) -> Arc<T> {
    all.lock()
        .unwrap()
        .entry(name.to_owned())
        .or_default()
        .clone()
}

impl Seen {
    pub(crate) fn source(&self, epoch: Instant) -> Source<'_> {
        Source {
            recorder: self,
            epoch,
        }
    }

    /// A counter's total, or a level's word.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        entry(&self.counters, name).0.load(Relaxed)
    }

    pub(crate) fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(entry(&self.gauges, name).0.load(Relaxed))
    }

    pub(crate) fn values(&self, name: &str) -> Vec<f64> {
        entry(&self.histograms, name).0.lock().unwrap().clone()
    }
}

impl Recorder for Seen {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(entry(&self.counters, key.name()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(entry(&self.gauges, key.name()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(entry(&self.histograms, key.name()))
    }
}

const fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

#[test]
fn a_level_is_told_in_microseconds_since_the_epoch() {
    let (seen, epoch) = (Seen::default(), Instant::now());
    let level = seen.source(epoch).level("Here");
    level.rise(epoch + micros(100));
    level.rise(epoch + micros(250));
    level.fall(epoch + micros(300));
    let word = seen.counter("Here");
    assert_eq!(
        (level::level(word), level::integral(word, 400)),
        (1, 300 + 150 - 100)
    );
}

#[test]
fn any_is_one_while_there_is_one_or_more() {
    let (seen, epoch) = (Seen::default(), Instant::now());
    let any = Any {
        number: Arc::default(),
        level: seen.source(epoch).level("Any"),
    };
    any.enter(epoch + micros(10));
    any.enter(epoch + micros(20));
    assert_eq!(level::level(seen.counter("Any")), 1);
    any.leave(epoch + micros(30));
    any.leave(epoch + micros(50));
    any.enter(epoch + micros(70));
    any.leave(epoch + micros(75));
    let word = seen.counter("Any");
    assert_eq!((level::level(word), level::integral(word, 1000)), (0, 45));
}

#[test]
fn since_is_never_zero_while_it_is_so() {
    let (seen, epoch) = (Seen::default(), Instant::now());
    let since = Since {
        gauge: seen.source(epoch).gauge("Since"),
        epoch,
    };
    since.set(Some(epoch));
    assert_eq!(seen.gauge("Since"), 1.0);
    since.set(Some(epoch + micros(70)));
    assert_eq!(seen.gauge("Since"), 70.0);
    since.set(None);
    assert_eq!(seen.gauge("Since"), 0.0);
}

#[test]
fn before_a_model_is_in_service_none_is_loaded() {
    let seen = Seen::default();
    for name in [Metric::ModelsLoaded.name(), Metric::ModelMemory.name()] {
        seen.source(Instant::now()).gauge(name).set(7.0);
    }
    let _handles = ModelMetrics::register(seen.source(Instant::now()));
    assert_eq!(seen.gauge("ModelsLoaded"), 0.0);
    assert_eq!(seen.gauge("ModelMemory"), 0.0);
}
