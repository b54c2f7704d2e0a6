//! Running other programs: failures name the program and show what it said.

use std::process::{Command, Output, Stdio};

use crate::child::output;
use crate::Result;

/// Runs a program whose output matters only when it fails; its standard
/// output comes back.
pub fn quietly(command: &mut Command) -> Result<String> {
    let output = captured(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!(
        "{} failed with {}:\n{}",
        name(command),
        output.status,
        String::from_utf8_lossy(&said).trim_end()
    ))
}

/// Runs a program that talks to the terminal itself.
pub fn aloud(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{} failed with {status}", name(command)))
}

/// Runs a program and gives back all that it said, successful or not.
pub fn captured(command: &mut Command) -> Result<Output> {
    output(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    )
}

/// The same cargo that runs this chore.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::store::workspace());
    command
}

/// The message for a program that does not start.
pub fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start {}: {error}", command.get_program().display())
}

fn name(command: &Command) -> String {
    let arguments = command
        .get_args()
        .take(3)
        .map(|argument| argument.to_string_lossy().into_owned());
    let program = command.get_program().to_string_lossy().into_owned();
    std::iter::once(program)
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}
