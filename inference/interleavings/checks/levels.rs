//! The levels that the scheduler tells of, watched at every word.

use std::sync::Arc;

use interleavings::telemetry::{SchedulerMetrics, Source};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, SharedString, Unit,
};
use scaling::catalogue::internal;
use scaling::level::level;
use shuttle::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// What can be counted up and down to, or is refused at once.
#[derive(Clone)]
pub struct Levels {
    pub queue_depth: Arc<Level>,
    pub busy_slots: Arc<Level>,
    pub queued_work: Arc<Word>,
    pub oldest_since: Arc<Word>,
    pub rejected: Arc<Count>,
}

impl Levels {
    /// All at zero. Not more than `requests` can be anywhere at once.
    pub fn new(requests: usize) -> Self {
        let level = || Level {
            word: AtomicU64::new(0),
            most: requests as u64,
        };
        Self {
            queue_depth: Arc::new(level()),
            busy_slots: Arc::new(level()),
            queued_work: Arc::default(),
            oldest_since: Arc::default(),
            rejected: Arc::default(),
        }
    }

    /// The scheduler's handles on them.
    pub fn handles(&self) -> SchedulerMetrics {
        SchedulerMetrics::register(Source {
            recorder: self,
            epoch: interleavings::clock::now(),
        })
    }

    /// Fails unless nothing waits, nothing runs and no work is expected.
    pub fn assert_at_rest(&self) {
        assert_eq!(self.queue_depth.now(), 0, "requests in the queue");
        assert_eq!(self.busy_slots.now(), 0, "busy slots");
        assert_eq!(self.queued_work.get(), 0.0, "nanoseconds of queued work");
        assert_eq!(self.oldest_since.get(), 0.0, "a wait of the oldest request");
    }
}

/// A level that never has fewer than none.
pub struct Level {
    word: AtomicU64,
    most: u64,
}

impl Level {
    fn now(&self) -> u64 {
        level(self.word.load(SeqCst))
    }
}

impl CounterFn for Level {
    fn increment(&self, change: u64) {
        let before = self.word.fetch_add(change, SeqCst);
        let after = level(before.wrapping_add(change));
        assert!(
            after <= self.most,
            "a level fell below zero: {after} of at most {}",
            self.most
        );
    }

    fn absolute(&self, _: u64) {
        unreachable!("a level is changed");
    }
}

/// A gauge that is never below zero.
#[derive(Default)]
pub struct Word(AtomicU64);

impl Word {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(SeqCst))
    }
}

impl GaugeFn for Word {
    fn set(&self, value: f64) {
        // What wraps below zero is 600 years of nanoseconds.
        assert!(
            (0.0..1e18).contains(&value),
            "a gauge was told {value}, expected a time in nanoseconds or microseconds"
        );
        self.0.store(value.to_bits(), SeqCst);
    }

    fn increment(&self, _: f64) {
        unreachable!("the scheduler sets its gauges");
    }

    fn decrement(&self, _: f64) {
        unreachable!("the scheduler sets its gauges");
    }
}

/// A counter.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn get(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

impl CounterFn for Count {
    fn increment(&self, by: u64) {
        self.0.fetch_add(by, SeqCst);
    }

    fn absolute(&self, _: u64) {
        unreachable!("a counter is counted up");
    }
}

impl metrics::Recorder for Levels {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match key.name() {
            "QueueDepth" => Counter::from_arc(Arc::clone(&self.queue_depth)),
            "Rejected" => Counter::from_arc(Arc::clone(&self.rejected)),
            internal::BUSY_SLOTS => Counter::from_arc(Arc::clone(&self.busy_slots)),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match key.name() {
            internal::QUEUED_WORK => Gauge::from_arc(Arc::clone(&self.queued_work)),
            internal::OLDEST_SINCE => Gauge::from_arc(Arc::clone(&self.oldest_since)),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
