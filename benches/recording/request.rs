//! What one request records, as the server does it, and what that is measured against.

use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use inference::scheduler::micros;
use inference::telemetry::{HttpMetrics, SchedulerMetrics, Source};
use sidecar::Recorder;

/// What one inline request records: five counters, a level up and down, five
/// distributions.
pub const RECORDS: usize = 12;

/// A cache line pair of its own, as the recorder's.
#[derive(Default)]
#[repr(align(128))]
pub struct Padded(pub AtomicU64);

/// The handles that the server keeps, and what the floors add to.
pub struct Bench {
    pub http: HttpMetrics,
    pub scheduler: SchedulerMetrics,
    pub words: [Padded; RECORDS],
    pub epoch: Instant,
}

impl Bench {
    /// All handles of one recorder.
    pub fn new(recorder: &Recorder) -> Self {
        let source = Source {
            recorder,
            epoch: recorder.epoch(),
        };
        Self {
            http: HttpMetrics::register(source),
            scheduler: SchedulerMetrics::register(source),
            words: Default::default(),
            epoch: recorder.epoch(),
        }
    }
}

/// The instants that one request reads: arrived, decoded, run ended, encoded.
pub type Instants = [Instant; 4];

/// Some request's instants, from 10 µs to 10 ms apart: not one bucket only.
pub fn instants(bench: &Bench, turn: u64) -> Instants {
    let step = Duration::from_micros(10 + turn.wrapping_mul(0x9E37_79B9) % 10_000);
    let arrived = bench.epoch + step;
    [
        arrived,
        arrived + step / 4,
        arrived + step / 2,
        arrived + step,
    ]
}

/// As many clock reads as a request has.
pub fn read_clock() -> Instants {
    [(); 4].map(|()| black_box(Instant::now()))
}

/// What the server records of an inline request, in its order and with its arithmetic.
pub fn record(bench: &Bench, [arrived, decoded, ended, encoded]: Instants) {
    let Bench {
        http, scheduler, ..
    } = bench;
    http.concurrency.rise(arrived);
    scheduler.offered_work.increment(black_box(6_000));
    scheduler.offered_cpu.increment(black_box(6_000));
    scheduler.queue_latency.record(0.0);
    let run = ended.saturating_duration_since(decoded);
    scheduler.run_time.increment(run.as_nanos() as u64);
    scheduler.inference_latency.record(micros(run));
    scheduler.batch_size.record(1.0);
    scheduler.inline_time.increment(run.as_nanos() as u64);
    let codec = decoded.duration_since(arrived) + encoded.duration_since(ended);
    http.codec_latency.record(micros(codec));
    http.invocations.increment(1);
    http.request_latency
        .record(micros(encoded.duration_since(arrived)));
    http.concurrency.fall(encoded);
}
