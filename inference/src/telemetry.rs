//! Metric handles, taken once at start and kept: one struct per room.
//!
//! The names are the catalogue's; the recorder is whatever the binary hands in. Nothing on the
//! request path looks a metric up, and nothing here reads a clock: instants come from those who have
//! read them anyhow.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Instant;

use metrics::{Counter, Gauge, Histogram, Key, Metadata, Recorder};
use scaling::catalogue::{internal, Metric};
use scaling::level;

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), metrics::Level::INFO, Some(module_path!()));

/// Where the handles come from, and the time 0 of every instant that is recorded.
#[derive(Clone, Copy)]
pub struct Source<'r> {
    /// What counts.
    pub recorder: &'r dyn Recorder,
    /// Its time 0.
    pub epoch: Instant,
}

impl Source<'static> {
    /// Handles that record nothing.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            recorder: &metrics::NoopRecorder,
            epoch: Instant::now(),
        }
    }
}

impl Source<'_> {
    fn counter(&self, name: &'static str) -> Counter {
        let key = Key::from_static_name(name);
        self.recorder.register_counter(&key, &METADATA)
    }

    fn gauge(&self, name: &'static str) -> Gauge {
        let key = Key::from_static_name(name);
        self.recorder.register_gauge(&key, &METADATA)
    }

    fn histogram(&self, name: &'static str) -> Histogram {
        let key = Key::from_static_name(name);
        self.recorder.register_histogram(&key, &METADATA)
    }

    fn level(&self, name: &'static str) -> Level {
        Level {
            changes: self.counter(name),
            epoch: self.epoch,
        }
    }
}

/// Microseconds from the epoch; what was before it counts as there.
fn micros_since(epoch: Instant, at: Instant) -> u64 {
    at.saturating_duration_since(epoch).as_micros() as u64
}

/// How many there are of something, told with the instants of its changes.
#[derive(Clone)]
pub struct Level {
    changes: Counter,
    epoch: Instant,
}

impl Level {
    /// One more since then.
    pub fn rise(&self, at: Instant) {
        self.changes
            .increment(level::rise(micros_since(self.epoch, at)));
    }

    /// One fewer since then: one that was told to [`Level::rise`] before.
    pub fn fall(&self, at: Instant) {
        self.changes
            .increment(level::fall(micros_since(self.epoch, at)));
    }
}

/// A level that is 1 while there is any of something, however many.
#[derive(Clone)]
pub struct Any {
    number: Arc<AtomicUsize>,
    level: Level,
}

impl Any {
    /// One more since then.
    pub fn enter(&self, at: Instant) {
        if self.number.fetch_add(1, Relaxed) == 0 {
            self.level.rise(at);
        }
    }

    /// One fewer since then.
    pub fn leave(&self, at: Instant) {
        if self.number.fetch_sub(1, Relaxed) == 1 {
            self.level.fall(at);
        }
    }
}

/// Since when something has been so, if it is.
#[derive(Clone)]
pub struct Since {
    gauge: Gauge,
    epoch: Instant,
}

impl Since {
    /// It has been so since then, or is not so.
    pub fn set(&self, since: Option<Instant>) {
        // 0 says that it is not so.
        let micros = since.map_or(0, |at| micros_since(self.epoch, at).max(1));
        self.gauge.set(micros as f64);
    }
}

/// What the scheduler records.
#[derive(Clone)]
pub struct SchedulerMetrics {
    /// Slots there are.
    pub slots: Gauge,
    /// CPUs that a slot uses while it runs.
    pub run_cpus: Gauge,
    /// CPU time of a request beside its run, in nanoseconds.
    pub request_cpu: Gauge,
    /// Slot time that the waiting requests ask for, in nanoseconds.
    pub queued_work: Gauge,
    /// Slots whose runs are on a GPU.
    pub gpu_slots: Gauge,
    batch_rows: Gauge,
    batching: Gauge,
    /// Slots in a run of their own threads.
    pub busy_slots: Level,
    /// Slot time of the runs on HTTP threads, in nanoseconds.
    pub inline_time: Counter,
    /// Whether any run is on a GPU.
    pub gpu_runs: Any,
    /// Requests waiting.
    pub queue_depth: Level,
    /// When the wait of the oldest of them began.
    pub oldest_since: Since,
    /// Requests refused for load.
    pub rejected: Counter,
    /// Slot time that arrivals ask for, in nanoseconds.
    pub offered_work: Counter,
    /// CPU time that their runs ask for, in nanoseconds.
    pub offered_cpu: Counter,
    /// CPU time of the runs that ended, in nanoseconds.
    pub run_time: Counter,
    /// That of those among them that a slot or a thread made without being full, in nanoseconds.
    pub partial_time: Counter,
    /// Waiting for a slot, in microseconds.
    pub queue_latency: Histogram,
    /// In ONNX Runtime, in microseconds.
    pub inference_latency: Histogram,
    /// Requests of one run.
    pub batch_size: Histogram,
}

/// What the HTTP room records.
#[derive(Clone)]
pub struct HttpMetrics {
    /// Requests in the container.
    pub concurrency: Level,
    /// Answers to invocations.
    pub invocations: Counter,
    /// Answers with 4xx.
    pub client_errors: Counter,
    /// Answers with 5xx.
    pub server_errors: Counter,
    /// Of them, bodies for which there was no room.
    pub rejected: Counter,
    /// Head read to reply written, in microseconds.
    pub request_latency: Histogram,
    /// Decode and encode, in microseconds.
    pub codec_latency: Histogram,
}

/// What is recorded of the models themselves.
#[derive(Clone)]
pub struct ModelMetrics {
    /// Models in service.
    pub loaded: Gauge,
    /// What they take in all their slots, in bytes.
    pub memory: Gauge,
    /// Nodes by execution provider.
    nodes: [(&'static str, Gauge); internal::NODES.len()],
}

impl SchedulerMetrics {
    /// Takes the handles.
    #[must_use]
    pub fn register(source: Source<'_>) -> Self {
        Self {
            slots: source.gauge(internal::SLOTS),
            run_cpus: source.gauge(internal::RUN_CPUS),
            request_cpu: source.gauge(internal::REQUEST_CPU),
            queued_work: source.gauge(internal::QUEUED_WORK),
            gpu_slots: source.gauge(internal::GPU_SLOTS),
            batch_rows: source.gauge(internal::BATCH_ROWS),
            batching: source.gauge(internal::BATCHING),
            busy_slots: source.level(internal::BUSY_SLOTS),
            inline_time: source.counter(internal::INLINE_TIME),
            gpu_runs: Any {
                number: Arc::default(),
                level: source.level(internal::GPU_RUNS),
            },
            queue_depth: source.level(Metric::QueueDepth.name()),
            oldest_since: Since {
                gauge: source.gauge(internal::OLDEST_SINCE),
                epoch: source.epoch,
            },
            rejected: source.counter(Metric::Rejected.name()),
            offered_work: source.counter(internal::OFFERED_WORK),
            offered_cpu: source.counter(internal::OFFERED_CPU),
            run_time: source.counter(internal::RUN_TIME),
            partial_time: source.counter(internal::PARTIAL_TIME),
            queue_latency: source.histogram(Metric::QueueLatency.name()),
            inference_latency: source.histogram(Metric::InferenceLatency.name()),
            batch_size: source.histogram(Metric::BatchSize.name()),
        }
    }
}

impl SchedulerMetrics {
    /// Tells the most records of several requests that share a run, and why so many.
    pub fn tell_batching(&self, rows: usize, why: internal::Batching) {
        self.batch_rows.set(rows as f64);
        let place = internal::Batching::ALL
            .iter()
            .position(|known| *known == why);
        self.batching.set(place.unwrap_or_default() as f64);
    }
}

impl HttpMetrics {
    /// Takes the handles.
    #[must_use]
    pub fn register(source: Source<'_>) -> Self {
        Self {
            concurrency: source.level(Metric::Concurrency.name()),
            invocations: source.counter(Metric::Invocations.name()),
            client_errors: source.counter(Metric::ClientErrors.name()),
            server_errors: source.counter(Metric::ServerErrors.name()),
            rejected: source.counter(Metric::Rejected.name()),
            request_latency: source.histogram(Metric::RequestLatency.name()),
            codec_latency: source.histogram(Metric::CodecLatency.name()),
        }
    }
}

impl ModelMetrics {
    /// Takes the handles; until a model is in service there is none, and it takes nothing.
    #[must_use]
    pub fn register(source: Source<'_>) -> Self {
        let metrics = Self {
            loaded: source.gauge(Metric::ModelsLoaded.name()),
            memory: source.gauge(Metric::ModelMemory.name()),
            nodes: internal::NODES.map(|(provider, name)| (provider, source.gauge(name))),
        };
        metrics.loaded.set(0.0);
        metrics.memory.set(0.0);
        metrics
    }

    /// Tells how many of a model's nodes each provider runs.
    pub fn tell_nodes(&self, of: impl Fn(&str) -> usize) {
        for (provider, gauge) in &self.nodes {
            gauge.set(of(provider) as f64);
        }
    }
}

#[cfg(test)]
#[path = "telemetry_tests.rs"]
pub(crate) mod tests;
