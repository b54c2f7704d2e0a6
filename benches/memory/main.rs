//! What the server needs in memory: at the peak of one body of 100 MB, and after a long time of
//! requests of all sizes.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

mod bodies;
mod mixed;
mod peak;

use std::process::ExitCode;

use benches::bare;
use benches::cores::Cores;
use benches::load::Sender;
use benches::options::{Options, Part};
use benches::served::Files;
use benches::Result;

const PARTS: [Part<Bench>; 2] = [("peak", peak::measure), ("mixed", mixed::measure)];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match bare::child(&words).unwrap_or_else(|| bench(&words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("memory: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What every part needs.
struct Bench {
    files: Files,
    cores: Cores,
    sender: Sender,
    quick: bool,
}

fn bench(words: &[String]) -> Result<()> {
    let options = Options::parse(words, &PARTS.map(|part| part.0))?;
    let cores = Cores::choose()?;
    cores.take_load_core()?;
    println!("memory: {}", cores.describe());
    let bench = Bench {
        files: Files::find(&options)?,
        cores,
        sender: Sender::new()?,
        quick: options.quick,
    };
    options.measure(&bench, &PARTS)
}
