//! What measuring costs a request: each kind of record through the handles that the server keeps,
//! beside an empty loop and a pair of clock reads in the same run.
//!
//! Nanoseconds of CPU time of the recording thread, so that a busy machine disturbs little; with
//! two threads at once the difference is what sharing costs.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Barrier;
use std::time::Instant;

use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata, Recorder as _};
use rustix::time::{clock_gettime, ClockId};
use scaling::catalogue::{internal, Metric};
use sidecar::Recorder;

/// At least five, so that a median means something.
const ROUNDS: usize = 7;

static METADATA: Metadata<'static> = Metadata::new("recording", Level::INFO, None);

/// The handles that the server keeps and uses once a request.
struct Handles {
    counters: [Counter; 2],
    levels: [Gauge; 3],
    latencies: [Histogram; 4],
}

impl Handles {
    fn take(recorder: &Recorder) -> Self {
        let counter = |name| recorder.register_counter(&Key::from_static_name(name), &METADATA);
        let level = |name| recorder.register_gauge(&Key::from_static_name(name), &METADATA);
        let latency = |metric: Metric| {
            recorder.register_histogram(&Key::from_static_name(metric.name()), &METADATA)
        };
        Self {
            counters: [
                counter(Metric::Invocations.name()),
                counter(internal::OFFERED_WORK),
            ],
            levels: [
                level(Metric::Concurrency.name()),
                level(Metric::QueueDepth.name()),
                level(internal::BUSY_SLOTS),
            ],
            latencies: [
                latency(Metric::RequestLatency),
                latency(Metric::QueueLatency),
                latency(Metric::InferenceLatency),
                latency(Metric::CodecLatency),
            ],
        }
    }
}

/// A thing to time: its name and one turn of it.
type Turn = (&'static str, fn(&Handles, u64));

const TURNS: [Turn; 6] = [
    ("empty loop", |_, turn| {
        black_box(turn);
    }),
    ("two clock reads", |_, _| {
        black_box(black_box(Instant::now()).elapsed());
    }),
    ("counter, one addition", |handles, _| {
        handles.counters[0].increment(1)
    }),
    ("level, up and down", |handles, _| {
        handles.levels[0].increment(1.0);
        handles.levels[0].decrement(1.0);
    }),
    ("latency, one record", |handles, turn| {
        handles.latencies[0].record(micros(turn))
    }),
    ("a whole request", |handles, turn| {
        handles.levels.iter().for_each(|level| level.increment(1.0));
        handles
            .latencies
            .iter()
            .for_each(|latency| latency.record(micros(turn)));
        handles
            .counters
            .iter()
            .for_each(|counter| counter.increment(1));
        handles.levels.iter().for_each(|level| level.decrement(1.0));
    }),
];

fn main() -> ExitCode {
    let mut turns = 2_000_000;
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--bench" => {}
            "--quick" => turns = 200_000,
            other => {
                println!("recording: unknown option \"{other}\", expected --quick");
                return ExitCode::FAILURE;
            }
        }
    }
    let recorder = Recorder::new();
    let mut found = vec![(Vec::new(), Vec::new()); TURNS.len()];
    for _ in 0..ROUNDS {
        for ((_, turn), (one, two)) in TURNS.iter().zip(&mut found) {
            one.push(cost(&recorder, *turn, turns, 1));
            two.push(cost(&recorder, *turn, turns, 2));
        }
    }
    println!("recording: nanoseconds of CPU a turn, {ROUNDS} rounds of {turns} turns, interleaved");
    println!("medians (lowest – highest round)");
    println!(
        "  {:<24} {:>24} {:>28}",
        "", "one thread", "each of two threads"
    );
    for ((name, _), (one, two)) in TURNS.iter().zip(&found) {
        println!("  {name:<24} {:>24} {:>28}", spread(one), spread(two));
    }
    println!(
        "a whole request is 2 counters, 3 levels up and down, and 4 latencies; each change of a \
         level reads the clock once, for its exact integral"
    );
    ExitCode::SUCCESS
}

/// Nanoseconds of CPU time a turn, the mean over `threads` that start together.
fn cost(recorder: &Recorder, turn: fn(&Handles, u64), turns: u64, threads: usize) -> f64 {
    let start = Barrier::new(threads);
    let timed = || {
        let handles = Handles::take(recorder);
        (0..turns / 20).for_each(|index| turn(black_box(&handles), index));
        start.wait();
        let before = cpu_nanos();
        (0..turns).for_each(|index| turn(black_box(&handles), index));
        (cpu_nanos() - before) / turns as f64
    };
    let all: Vec<f64> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(timed)).collect();
        running
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    all.iter().sum::<f64>() / all.len().max(1) as f64
}

/// Latencies from 10 µs to 10 ms, as a server has them: not one bucket only.
fn micros(turn: u64) -> f64 {
    (10 + turn.wrapping_mul(0x9E37_79B9) % 10_000) as f64
}

fn cpu_nanos() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn spread(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    let last = sorted.len().saturating_sub(1);
    format!("{:.1} ({:.1} – {:.1})", at(last / 2), at(0), at(last))
}
