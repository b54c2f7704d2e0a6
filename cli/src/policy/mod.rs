//! `plimsoll policy`: scaling documents written, linted, applied and shown. Arguments, files and printing
//! only; what the documents mean is [`scaling`]'s.

#[cfg(feature = "account")]
mod apply;
mod lint;
mod sarif;
#[cfg(feature = "account")]
mod show;
mod write;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use crate::EXIT_USAGE;

/// Scaling policies: written, linted, applied, read back.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a policy, as the AWS CLI, boto3, CloudFormation or Terraform take it.
    Write(Box<write::Args>),
    /// Find the traps in scaling documents, whoever wrote them.
    Lint(lint::Args),
    /// Put a policy into an AWS account: the difference first, then what it needs.
    #[cfg(feature = "account")]
    Apply(apply::Args),
    /// Show what scales a target: policies, alarms, activities, and whether its metrics have data.
    #[cfg(feature = "account")]
    Show(show::Args),
}

/// Runs one of them. The exit code is 0; 1 where something was found; 64 where the input makes no sense.
pub fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::Write(args) => write::run(args),
        Command::Lint(args) => lint::run(args),
        #[cfg(feature = "account")]
        Command::Apply(args) => apply::run(args),
        #[cfg(feature = "account")]
        Command::Show(args) => show::run(args),
    };
    done.unwrap_or_else(|why| {
        complain(&why);
        ExitCode::from(EXIT_USAGE)
    })
}

fn complain(why: &str) {
    writeln!(std::io::stderr(), "plimsoll policy: {why}").ok();
}

/// A closed pipe (`| head`) is no failure.
fn print(text: &str) {
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
}

/// A file, or standard input for `-`.
fn read(file: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().lock().read_to_end(&mut bytes).map(drop),
        false => std::fs::read(file).map(|all| bytes = all),
    };
    read.map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    String::from_utf8(bytes)
        .map_err(|_| format!("{}: is no UTF-8; expected JSON or YAML", file.display()))
}

/// A number of vCPUs or GPUs.
fn count(text: &str) -> Result<f64, String> {
    let count = text.parse().ok();
    count
        .filter(|count: &f64| (1.0..=1024.0).contains(count))
        .ok_or_else(|| "expected 1 to 1024".to_owned())
}
