//! `cargo xtask bench [ARGS]`: everything that the benches need, then the benches, then every target
//! with what was measured.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::command::{cannot_start, cargo};
use crate::store::Store;
use crate::{fixtures, models, onnxruntime, Result};

/// How a bench begins the line of a target.
const TARGET: &str = "target: ";
/// How the line of a target ends that is not kept.
const MISSED: &str = ": NOT reached";

/// The chore.
pub fn run(arguments: &[String]) -> Result<()> {
    let store = Store::of_workspace();
    onnxruntime::ensure(&store)?;
    models::ensure(&store, &models::ALL)?;
    models::ensure(&store, &models::BENCH)?;
    fixtures::ensure(&store)?;
    let mut command = cargo();
    command
        .args(["bench", "-p", "benches"])
        .args(arguments)
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| cannot_start(&command, &error))?;
    let mut targets = Vec::new();
    for line in child
        .stdout
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(BufRead::lines)
    {
        let line = line.map_err(|error| format!("cannot read what the benches say: {error}"))?;
        println!("{line}");
        targets.extend(target(&line).map(str::to_owned));
    }
    let status = child
        .wait()
        .map_err(|error| format!("cannot wait for cargo bench: {error}"))?;
    if !targets.is_empty() {
        let missed = targets.iter().filter(|line| line.ends_with(MISSED)).count();
        println!();
        println!(
            "{} targets, {} reached, {missed} not:",
            targets.len(),
            targets.len() - missed
        );
        for line in &targets {
            println!("  {line}");
        }
    }
    match status.success() {
        true => Ok(()),
        false => Err(format!("cargo bench failed with {status}")),
    }
}

/// What a bench said of a target; none where the line is about something else.
fn target(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix(TARGET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_from_other_lines() {
        let line = "  target: digits, share of the limit: 0.84, wanted at least 0.80: reached";
        let found = target(line).expect("a target");
        assert!(found.starts_with("digits"), "{found}");
        assert!(!found.ends_with(MISSED));
        assert_eq!(target("the target: none"), None);
    }
}
