//! `cargo xtask CHORE`: sets up what the workspace needs and does its chores.
//!
//! One file a chore. Everything fetched or made lives in the git-ignored
//! `.plimsoll/` at the workspace root ([`store`]): it outlives `cargo clean`,
//! and deleting it costs nothing but the time to fetch it again. Fetched files
//! are pinned by version and SHA-256 ([`wheel`]).
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to the person who started it"
)]

mod bench;
mod binary;
mod browser;
mod cfn_lint;
mod child;
mod clients;
mod cloudwatch;
mod command;
mod conformance;
mod demo;
mod fixtures;
mod host;
mod image;
mod models;
mod onnxruntime;
mod packages;
mod python;
mod sbom;
mod server;
mod step;
mod store;
mod test;
mod wheel;

use std::process::ExitCode;

/// What a chore gives back; the text is for the person at the terminal.
type Result<T> = std::result::Result<T, String>;

const HELP: &str = "\
cargo xtask CHORE

  demo [--file PATH]   serve a real model, ask it, load it, see its metrics arrive
  test [ARGS]          fetch and make what the tests need, then run them all
  conformance [--filter TEXT] [--format npz|v2|triton] [--jobs N] [--sample]
                       ONNX's own operator cases through the server
  clients [NAME…] [--image TAG]
                       real clients against the binary, or against containers of an
                       image: curl, boto3, tritonclient, locust; with an image also
                       sagemaker-2 and sagemaker-3, the local mode of AWS's own SDK
  bench [ARGS]         run the benches
  image [--check] [--gpu [12|13]]
                       build the container image, or the one for GPUs with CUDA 12 or 13,
                       and check it, or only check it; a Docker engine is installed and
                       started where none answers and root may

  onnxruntime [--gpu [12|13] | --cuda [12|13]]
                       fetch the ONNX Runtime library, or its build for CUDA 12 or 13, or
                       the libraries of CUDA and cuDNN that this needs (two gigabytes)
  models [NAME…]       fetch or make the demo models: magika, digits, churn;
                       for benches, only when named: boosted, minilm
  fixtures             make the tests' small models
  cloudwatch           fetch what the CloudWatch stand-in needs
  sbom --debian FILE --output FILE [--gpu 12|13]
                       write the image's bill of materials (its build does)
  help                 this page

Everything lands in .plimsoll/. Python 3.11 or newer with pip is needed.
ARGS go on to cargo: `cargo xtask test -p scaling`, `cargo xtask test -- ping`.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (chore, rest) = match arguments.split_first() {
        Some((chore, rest)) => (chore.as_str(), rest),
        None => ("help", &[][..]),
    };
    match child::kill_all_on_signal().and_then(|()| run(chore, rest)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask {chore}: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: &str, rest: &[String]) -> Result<()> {
    match chore {
        "demo" => demo::run(rest),
        "test" => test::run(rest),
        "conformance" => conformance::run(rest),
        "clients" => clients::run(rest),
        "bench" => bench::run(rest),
        "models" => models::run(rest),
        "image" => image::run(rest),
        "sbom" => sbom::run(rest),
        "onnxruntime" => onnxruntime::run(rest),
        "fixtures" => no_arguments(rest).and_then(|()| fixtures::run()),
        "cloudwatch" => no_arguments(rest).and_then(|()| cloudwatch::run()),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(format!("no such chore\n\n{HELP}")),
    }
}

fn no_arguments(rest: &[String]) -> Result<()> {
    match rest.first() {
        None => Ok(()),
        Some(surplus) => Err(format!("takes no arguments, found {surplus}")),
    }
}
