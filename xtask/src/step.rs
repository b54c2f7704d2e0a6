//! One line on the terminal for each step, with the time it took.

use std::time::Instant;

use crate::Result;

/// Whether a step had anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was there already.
    Present,
    /// It was fetched or made now.
    Made,
}

/// Runs `work` and says how long it took, or that there was nothing to do.
pub fn step(name: &str, work: impl FnOnce() -> Result<Outcome>) -> Result<()> {
    let start = Instant::now();
    let outcome = work().map_err(|error| format!("{name}: {error}"))?;
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Outcome::Present => println!("  {name}: already there"),
        Outcome::Made => println!("  {name}: {seconds:.1} s"),
    }
    Ok(())
}
