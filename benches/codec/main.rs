//! What reading and writing a body costs, beside the least that the same numbers can cost.
//!
//! Each row has a floor that does the same work with nothing around it: the same numbers as one
//! flat list through the same parser, the same cells through the `csv` crate. Ours and the floor
//! take turns in one run; the figure is CPU time of this thread, and the ratio is taken round by
//! round. A second table counts the bytes that reading a binary body sets aside.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

mod allocations;
mod binary;
mod bodies;
mod rows;

use std::process::ExitCode;

use rustix::time::{clock_gettime, ClockId};

use rows::Row;

/// At least seven, so that a median means something.
const ROUNDS: usize = 9;

fn main() -> ExitCode {
    let mut slice_ms = 60.0;
    let mut only = String::new();
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--bench" => {}
            "--quick" => slice_ms = 10.0,
            option if option.starts_with('-') => {
                println!("codec: unknown option \"{option}\", expected --quick or part of a name");
                return ExitCode::FAILURE;
            }
            part => part.clone_into(&mut only),
        }
    }
    println!("codec: microseconds of CPU a body, {ROUNDS} rounds of {slice_ms} ms, interleaved");
    println!("medians (lowest – highest round)");
    println!(
        "  {:<46} {:>9} {:>9}  {:<20} {:>6}",
        "", "ours", "floor", "ours / floor", "target"
    );
    for mut row in rows::all().filter(|row| row.name.contains(&only)) {
        let figures = measure(&mut row, slice_ms * 1e3);
        let ratio = figures.ratio;
        let (low, high) = figures.spread;
        let verdict = match row.target {
            Some(target) if ratio > target => format!("{target:>6.2}  missed"),
            Some(target) => format!("{target:>6.2}"),
            None => String::new(),
        };
        println!(
            "  {:<46} {:>9.2} {:>9.2}  {:<20} {verdict}",
            row.name,
            figures.ours,
            figures.floor,
            format!("{ratio:.2} ({low:.2} – {high:.2})")
        );
    }
    println!("bytes set aside while floats are read from an aligned binary body of so many");
    let [small, middle, large] = [4_096, 602_112, 4_816_896];
    println!("  {:<24} {small:>14} {middle:>14} {large:>14}", "");
    for binary in binary::BINARY {
        let [small, middle, large] = [small, middle, large]
            .map(|bytes| allocations::of_reading(binary, bytes / 4 / binary::WIDTH));
        let verdict = if large > small + 64 { "  grows" } else { "" };
        println!(
            "  {:<24} {small:>14} {middle:>14} {large:>14}{verdict}",
            binary.0
        );
    }
    ExitCode::SUCCESS
}

/// Medians over the rounds: microseconds a turn, and the ratio with its lowest and highest.
struct Figures {
    ours: f64,
    floor: f64,
    ratio: f64,
    spread: (f64, f64),
}

fn measure(row: &mut Row, slice_micros: f64) -> Figures {
    let turns = turns(&mut row.floor, slice_micros);
    let (mut ours, mut floor, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
    time(&mut row.ours, turns);
    for round in 0..ROUNDS {
        // Whoever comes second finds the machine as the first left it: take turns at that too.
        let (our_time, floor_time) = if round % 2 == 0 {
            let first = time(&mut row.ours, turns);
            (first, time(&mut row.floor, turns))
        } else {
            let first = time(&mut row.floor, turns);
            (time(&mut row.ours, turns), first)
        };
        ours.push(our_time);
        floor.push(floor_time);
        ratio.push(our_time / floor_time);
    }
    let (ratio, low, high) = median(ratio);
    Figures {
        ours: median(ours).0,
        floor: median(floor).0,
        ratio,
        spread: (low, high),
    }
}

/// How many turns fill the slice.
fn turns(turn: &mut dyn FnMut(), slice_micros: f64) -> u32 {
    let mut turns = 1;
    loop {
        let all = time(turn, turns) * f64::from(turns);
        if all > slice_micros / 2.0 {
            return (f64::from(turns) * slice_micros / all).ceil() as u32;
        }
        turns *= 2;
    }
}

/// Microseconds of CPU time a turn.
fn time(turn: &mut dyn FnMut(), turns: u32) -> f64 {
    let before = cpu_micros();
    (0..turns).for_each(|_| turn());
    (cpu_micros() - before) / f64::from(turns)
}

fn cpu_micros() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// The middle one, the lowest and the highest.
fn median(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let last = values.len().saturating_sub(1);
    (at(last / 2), at(0), at(last))
}
