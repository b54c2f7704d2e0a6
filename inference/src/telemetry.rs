//! Metric handles, taken once at start and kept: one struct per room.
//!
//! The names are the catalogue's; the recorder is whatever the binary hands in. Nothing on the
//! request path looks a metric up.

use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata, Recorder};
use scaling::catalogue::{internal, Metric};

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

fn counter(recorder: &dyn Recorder, name: &'static str) -> Counter {
    recorder.register_counter(&Key::from_static_name(name), &METADATA)
}

fn gauge(recorder: &dyn Recorder, name: &'static str) -> Gauge {
    recorder.register_gauge(&Key::from_static_name(name), &METADATA)
}

fn histogram(recorder: &dyn Recorder, name: &'static str) -> Histogram {
    recorder.register_histogram(&Key::from_static_name(name), &METADATA)
}

/// What the scheduler records.
#[derive(Clone)]
pub struct SchedulerMetrics {
    /// Slots there are.
    pub slots: Gauge,
    /// Slots in a run.
    pub busy_slots: Gauge,
    /// Requests waiting.
    pub queue_depth: Gauge,
    /// Requests refused for load.
    pub rejected: Counter,
    /// Slot time that arrivals ask for, in nanoseconds.
    pub offered_work: Counter,
    /// Waiting for a slot, in microseconds.
    pub queue_latency: Histogram,
    /// In ONNX Runtime, in microseconds.
    pub inference_latency: Histogram,
}

/// What the HTTP room records.
#[derive(Clone)]
pub struct HttpMetrics {
    /// Requests in the container.
    pub concurrency: Gauge,
    /// Answers to invocations.
    pub invocations: Counter,
    /// Answers with 4xx.
    pub client_errors: Counter,
    /// Answers with 5xx.
    pub server_errors: Counter,
    /// Head read to reply written, in microseconds.
    pub request_latency: Histogram,
    /// Decode and encode, in microseconds.
    pub codec_latency: Histogram,
}

impl SchedulerMetrics {
    /// Takes the handles.
    pub fn register(recorder: &dyn Recorder) -> Self {
        Self {
            slots: gauge(recorder, internal::SLOTS),
            busy_slots: gauge(recorder, internal::BUSY_SLOTS),
            queue_depth: gauge(recorder, Metric::QueueDepth.name()),
            rejected: counter(recorder, Metric::Rejected.name()),
            offered_work: counter(recorder, internal::OFFERED_WORK),
            queue_latency: histogram(recorder, Metric::QueueLatency.name()),
            inference_latency: histogram(recorder, Metric::InferenceLatency.name()),
        }
    }
}

impl HttpMetrics {
    /// Takes the handles.
    pub fn register(recorder: &dyn Recorder) -> Self {
        Self {
            concurrency: gauge(recorder, Metric::Concurrency.name()),
            invocations: counter(recorder, Metric::Invocations.name()),
            client_errors: counter(recorder, Metric::ClientErrors.name()),
            server_errors: counter(recorder, Metric::ServerErrors.name()),
            request_latency: histogram(recorder, Metric::RequestLatency.name()),
            codec_latency: histogram(recorder, Metric::CodecLatency.name()),
        }
    }
}
