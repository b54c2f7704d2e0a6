//! Tests of the sampler on a clock that the test moves.

use std::time::Duration;

use super::*;
use crate::recorder::Clock;
use metrics::{Metadata, Recorder as _};

static METADATA: Metadata<'_> = Metadata::new("test", metrics::Level::INFO, None);

struct Bench {
    clock: Clock,
    recorder: Recorder,
    sampler: Sampler,
    second: u64,
}

impl Bench {
    fn new() -> Self {
        let clock = Clock::manual();
        let recorder = Recorder::with_clock(clock.clone());
        // An empty root: no cgroup files, so CPU comes from the process and quota from the machine.
        let root = tempfile::TempDir::new().unwrap();
        let sampler = Sampler::new(recorder.clone(), root.path(), None);
        Self {
            clock,
            recorder,
            sampler,
            second: 100,
        }
    }

    fn count(&self, name: &'static str, by: u64) {
        self.recorder
            .register_counter(&name.into(), &METADATA)
            .increment(by);
    }

    fn gauge(&self, name: &'static str) -> metrics::Gauge {
        self.recorder.register_gauge(&name.into(), &METADATA)
    }

    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    fn tick(&mut self) -> Frame {
        self.second += 1;
        self.sampler.tick(self.second, 1)
    }
}

fn level(frame: &Frame, metric: Metric) -> (f64, f64) {
    match frame.get(metric) {
        Some(Sample::Level(level)) => (level.mean, level.max),
        other => panic!("{metric:?}: {other:?}"),
    }
}

#[test]
fn a_frame_holds_the_difference_and_not_the_total() {
    let mut bench = Bench::new();
    bench.count("Invocations", 5);
    bench.pass(1000);
    assert_eq!(
        bench.tick().get(Metric::Invocations),
        Some(&Sample::Counter(5))
    );
    bench.count("Invocations", 2);
    bench.pass(1000);
    assert_eq!(
        bench.tick().get(Metric::Invocations),
        Some(&Sample::Counter(2))
    );
}

#[test]
fn concurrency_is_weighted_by_time_and_keeps_its_peak() {
    let mut bench = Bench::new();
    let running = bench.gauge("Concurrency");
    running.increment(4.0);
    bench.pass(250);
    running.decrement(3.0);
    bench.pass(750);
    let frame = bench.tick();
    assert_eq!(level(&frame, Metric::Concurrency), (1.75, 4.0));
    bench.pass(1000);
    assert_eq!(level(&bench.tick(), Metric::Concurrency), (1.0, 1.0));
}

#[test]
fn a_late_tick_uses_the_time_that_really_passed() {
    let mut bench = Bench::new();
    bench.gauge(internal::SLOTS).set(2.0);
    bench.gauge(internal::BUSY_SLOTS).set(1.0);
    bench.count(internal::OFFERED_WORK, 3_000_000_000);
    bench.pass(3000);
    let frame = bench.sampler.tick(103, 3);
    assert_eq!((frame.ticks, frame.elapsed_secs), (3, 3.0));
    assert_eq!(frame.get(Metric::OfferedLoad), Some(&Sample::Reading(50.0)));
    assert_eq!(
        frame.get(Metric::SlotUtilization),
        Some(&Sample::Reading(50.0))
    );
}

#[test]
fn idle_is_zero_for_counters_levels_and_load_and_empty_for_distributions() {
    let mut bench = Bench::new();
    bench.gauge(internal::SLOTS).set(2.0);
    bench.pass(1000);
    let frame = bench.tick();
    assert_eq!(frame.get(Metric::Invocations), Some(&Sample::Counter(0)));
    assert_eq!(level(&frame, Metric::QueueDepth), (0.0, 0.0));
    assert_eq!(frame.get(Metric::OfferedLoad), Some(&Sample::Reading(0.0)));
    assert_eq!(
        frame.get(Metric::SlotUtilization),
        Some(&Sample::Reading(0.0))
    );
    match frame.get(Metric::RequestLatency) {
        Some(Sample::Distribution(values)) => assert!(values.is_empty()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn load_is_absent_while_the_slots_are_unknown_and_gpu_without_a_gpu() {
    let mut bench = Bench::new();
    bench.pass(1000);
    let frame = bench.tick();
    for metric in [
        Metric::OfferedLoad,
        Metric::SlotUtilization,
        Metric::GPUUtilization,
    ] {
        assert_eq!(frame.get(metric), None, "{metric:?}");
    }
    assert!(frame.get(Metric::CPUUtilization).is_some());
    assert!(frame.get(Metric::MemoryUtilization).is_some());
}

#[test]
fn extremes_belong_to_the_frame_that_saw_them() {
    let mut bench = Bench::new();
    let latency = bench
        .recorder
        .register_histogram(&"RequestLatency".into(), &METADATA);
    for value in [100.0, 101.0, 102.0] {
        latency.record(value);
    }
    bench.pass(1000);
    let values = |frame: Frame| match frame.get(Metric::RequestLatency) {
        Some(Sample::Distribution(values)) => values.values_and_counts(),
        other => panic!("{other:?}"),
    };
    assert_eq!(values(bench.tick()), [(100.0, 1), (101.0, 1), (102.0, 1)]);
    latency.record(101.5);
    bench.pass(1000);
    assert_eq!(values(bench.tick()), [(101.5, 1)]);
}
