//! What measuring costs a request, through the handles that the server keeps: each kind of record
//! alone, and all that one inline request records and reads of the clock, in the order of the server.
//!
//! Beside it, in the same run, floors: an empty loop, as many bare relaxed additions as the request
//! records, and as many bare clock reads. Nanoseconds of CPU time of the recording thread, so that a
//! busy machine disturbs little; with two threads at once the difference is what sharing costs.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

mod request;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Barrier;

use inference::scheduler::micros;
use request::{instants, read_clock, record, Bench, RECORDS};
use rustix::time::{clock_gettime, ClockId};
use sidecar::Recorder;

/// At least five, so that a median means something.
const ROUNDS: usize = 9;
/// What it may cost: so many times the floors of additions and clock reads together.
const MOST_OVER_FLOOR: f64 = 2.0;

/// A thing to time: its name and one turn of it.
type Turn = (&'static str, fn(&Bench, u64));

const EMPTY: usize = 0;
const ADDITIONS: usize = 1;
const CLOCK: usize = 2;
const RECORDING: usize = 6;
const WHOLE: usize = 7;

const TURNS: [Turn; 8] = [
    ("empty loop", |bench, turn| {
        black_box(instants(bench, turn));
    }),
    ("floor: bare additions", |bench, turn| {
        black_box(instants(bench, turn));
        for word in &bench.words {
            word.0.fetch_add(turn, Relaxed);
        }
    }),
    ("floor: four clock reads", |bench, turn| {
        black_box((instants(bench, turn), read_clock()));
    }),
    ("counter, one addition", |bench, turn| {
        black_box(instants(bench, turn));
        bench.http.invocations.increment(1);
    }),
    ("level, up and down", |bench, turn| {
        let [arrived, .., encoded] = black_box(instants(bench, turn));
        bench.http.concurrency.rise(arrived);
        bench.http.concurrency.fall(encoded);
    }),
    ("latency, one record", |bench, turn| {
        let [arrived, .., encoded] = black_box(instants(bench, turn));
        let took = micros(encoded.duration_since(arrived));
        bench.http.request_latency.record(took);
    }),
    ("a request: recording", |bench, turn| {
        record(bench, black_box(instants(bench, turn)));
    }),
    ("a request: and clock reads", |bench, turn| {
        black_box(read_clock());
        record(bench, black_box(instants(bench, turn)));
    }),
];

fn main() -> ExitCode {
    let mut turns = 1_000_000;
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--bench" => {}
            "--quick" => turns = 100_000,
            other => {
                println!("recording: unknown option \"{other}\", expected --quick");
                return ExitCode::FAILURE;
            }
        }
    }
    let bench = Bench::new(&Recorder::new());
    let mut found = vec![(Vec::new(), Vec::new()); TURNS.len()];
    for _ in 0..ROUNDS {
        for ((_, turn), (one, two)) in TURNS.iter().zip(&mut found) {
            one.push(cost(&bench, *turn, turns, 1));
            two.push(cost(&bench, *turn, turns, 2));
        }
    }
    println!("recording: nanoseconds of CPU a turn, {ROUNDS} rounds of {turns} turns, interleaved");
    println!("medians (lowest – highest round), less the empty loop");
    println!(
        "  {:<28} {:>22} {:>26}",
        "", "one thread", "each of two threads"
    );
    let empty = found
        .get(EMPTY)
        .map_or((0.0, 0.0), |(one, two)| (median(one), median(two)));
    for (at, ((name, _), (one, two))) in TURNS.iter().zip(&mut found).enumerate() {
        if at != EMPTY {
            one.iter_mut().for_each(|nanos| *nanos -= empty.0);
            two.iter_mut().for_each(|nanos| *nanos -= empty.1);
        }
        println!("  {name:<28} {:>22} {:>26}", spread(one), spread(two));
    }
    let one = |at: usize| found.get(at).map_or(f64::NAN, |(one, _)| median(one));
    let recording = one(RECORDING) / one(ADDITIONS);
    let whole = one(WHOLE) / (one(ADDITIONS) + one(CLOCK));
    println!(
        "a request is {RECORDS} records and four clock reads; on one thread recording is \
         {recording:.2} times the bare additions, and all of it {whole:.2} times additions and \
         clock reads, expected at most {MOST_OVER_FLOOR}"
    );
    if whole <= MOST_OVER_FLOOR {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Nanoseconds of CPU time a turn, the mean over `threads` that start together.
fn cost(bench: &Bench, turn: fn(&Bench, u64), turns: u64, threads: usize) -> f64 {
    let start = Barrier::new(threads);
    let timed = || {
        (0..turns / 20).for_each(|index| turn(black_box(bench), index));
        start.wait();
        let before = cpu_nanos();
        (0..turns).for_each(|index| turn(black_box(bench), index));
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

fn cpu_nanos() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn median(values: &[f64]) -> f64 {
    sorted(values)
        .get(values.len() / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

fn spread(values: &[f64]) -> String {
    let sorted = sorted(values);
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    let last = sorted.len().saturating_sub(1);
    format!("{:.1} ({:.1} – {:.1})", at(last / 2), at(0), at(last))
}
