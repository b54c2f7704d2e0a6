//! The `plimsoll` command: one file per subcommand, arguments and printing only.
//!
//! **Invariant:** [`settings`] is the only place that reads the environment; it joins the server
//! and the sidecar, which do not know each other.

pub mod bill;
pub mod loadtest;
pub mod logging;
pub mod policy;
pub mod serve;
pub mod settings;
pub mod simulate;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// Exit status for wrong arguments or settings (`EX_USAGE`).
pub const EXIT_USAGE: u8 = 64;

/// Serves ONNX models on Amazon SageMaker, measures itself, and helps choose the scaling policy.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the one model under /opt/ml/model: the container's entry, no further argument needed.
    ///
    /// Settings come from environment variables and from plimsoll.toml beside the model; the
    /// README lists them all.
    Serve,
    /// Send load to a URL at a fixed rate and report what came back.
    Loadtest(loadtest::Args),
    /// Replay a scaling configuration and show what Application Auto Scaling would have done.
    Simulate(simulate::Args),
    /// Write scaling policies, and find the traps in those that are there.
    #[command(subcommand)]
    Policy(policy::Command),
}

/// Runs the command that these arguments name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => match cli.command {
            Command::Serve => serve::run(),
            Command::Loadtest(args) => loadtest::run(args),
            Command::Simulate(args) => simulate::run(&args),
            Command::Policy(command) => policy::run(&command),
        },
        Err(error) => {
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            // A closed pipe is no reason to fail.
            let _ = error.print();
            if asked {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_USAGE)
            }
        }
    }
}
