//! What the server adds to the tail and to each request: its p99 against a queue that takes the same
//! requests first come, first served; and its throughput with metrics and limits against without.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

mod metrics_off;
mod plain;
mod replay;

use std::process::ExitCode;
use std::time::Duration;

use benches::bare;
use benches::cores::Cores;
use benches::echo;
use benches::load::Sender;
use benches::options::{Options, Part};
use benches::served::Files;
use benches::Result;

const PARTS: [Part<Bench>; 2] = [
    ("replay", replay::measure),
    ("metrics", metrics_off::measure),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.first().map(String::as_str) {
        Some(plain::WITH) => return plimsoll::serve::run(),
        Some(plain::WITHOUT) => plain::serve(),
        _ => echo::child(&words)
            .or_else(|| bare::child(&words))
            .unwrap_or_else(|| bench(&words)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("tails: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What every part needs.
struct Bench {
    files: Files,
    cores: Cores,
    sender: Sender,
    /// Length of one measured interval, and how often everything is measured.
    interval: Duration,
    rounds: usize,
}

fn bench(words: &[String]) -> Result<()> {
    let options = Options::parse(words, &PARTS.map(|part| part.0))?;
    let cores = Cores::choose()?;
    cores.take_load_core()?;
    println!("tails: {}", cores.describe());
    let (interval, rounds) = match options.quick {
        true => (Duration::from_millis(300), 5),
        false => (Duration::from_millis(800), 9),
    };
    let bench = Bench {
        files: Files::find(&options)?,
        cores,
        sender: Sender::new()?,
        interval,
        rounds,
    };
    options.measure(&bench, &PARTS)
}
