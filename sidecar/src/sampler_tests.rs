//! Tests of the sampler on a clock that the test moves.

use std::time::Duration;

use super::*;
use crate::recorder::Clock;
use metrics::{Metadata, Recorder as _};
use scaling::level::{fall, rise};

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

    fn up(&self, name: &'static str, times: usize) {
        let at = self.clock.micros();
        (0..times).for_each(|_| self.count(name, rise(at)));
    }

    fn down(&self, name: &'static str, times: usize) {
        let at = self.clock.micros();
        (0..times).for_each(|_| self.count(name, fall(at)));
    }

    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    fn tick(&mut self) -> Frame {
        self.second += 1;
        self.sampler.tick(self.second, 1)
    }
}

fn reading(frame: &Frame, metric: Metric) -> Option<f64> {
    match frame.get(metric) {
        Some(Sample::Reading(value)) => Some(*value),
        None => None,
        other => panic!("{metric:?}: {other:?}"),
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
    bench.up("Concurrency", 4);
    bench.pass(250);
    bench.down("Concurrency", 3);
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
    bench.up(internal::BUSY_SLOTS, 1);
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

#[test]
fn the_oldest_wait_is_the_longest_that_ended_or_is_still_under_way() {
    let mut bench = Bench::new();
    bench.pass(1000);
    let oldest = |frame: &Frame| reading(frame, Metric::OldestWait);
    assert_eq!(oldest(&bench.tick()), Some(0.0), "idle is 0");

    let since = bench.gauge(internal::OLDEST_SINCE);
    since.set(bench.clock.micros() as f64);
    bench.pass(1500);
    assert_eq!(oldest(&bench.tick()), Some(1500.0), "one is waiting");

    // That one got its slot after two seconds; the next in the queue has waited for 300 ms.
    bench.pass(500);
    let waited = bench
        .recorder
        .register_histogram(&"QueueLatency".into(), &METADATA);
    waited.record(2_000_000.0);
    waited.record(12.0);
    since.set(bench.clock.micros() as f64 + 200_000.0);
    bench.pass(500);
    assert_eq!(oldest(&bench.tick()), Some(2000.0), "one has waited");

    since.set(0.0);
    bench.pass(1000);
    assert_eq!(oldest(&bench.tick()), Some(0.0));
}

#[test]
fn a_wait_whose_events_left_early_still_counts_at_the_tick() {
    let mut bench = Bench::new();
    bench
        .recorder
        .register_histogram(&"QueueLatency".into(), &METADATA)
        .record(70_000.0);
    bench.sampler.events(100);
    bench.pass(1000);
    assert_eq!(reading(&bench.tick(), Metric::OldestWait), Some(70.0));
    bench.pass(1000);
    assert_eq!(reading(&bench.tick(), Metric::OldestWait), Some(0.0));
}

#[test]
fn gpu_busy_is_there_only_where_runs_are_on_a_gpu() {
    let mut bench = Bench::new();
    let busy = |frame: &Frame| reading(frame, Metric::GPUBusy);
    bench.gauge(internal::GPU_SLOTS).set(0.0);
    bench.up(internal::GPU_RUNS, 1);
    bench.pass(1000);
    assert_eq!(busy(&bench.tick()), None);
    bench.gauge(internal::GPU_SLOTS).set(2.0);
    bench.pass(250);
    bench.down(internal::GPU_RUNS, 1);
    bench.pass(750);
    assert_eq!(busy(&bench.tick()), Some(25.0));
    bench.pass(1000);
    assert_eq!(busy(&bench.tick()), Some(0.0));
}

#[test]
fn gauges_are_read_once_a_second_and_missing_until_they_are_set() {
    let mut bench = Bench::new();
    bench.pass(1000);
    assert_eq!(reading(&bench.tick(), Metric::ModelsLoaded), None);
    bench.gauge("ModelsLoaded").set(1.0);
    bench.gauge("ModelMemory").set(3e9);
    bench.pass(1000);
    let frame = bench.tick();
    assert_eq!(reading(&frame, Metric::ModelsLoaded), Some(1.0));
    assert_eq!(reading(&frame, Metric::ModelMemory), Some(3e9));
}
