//! What a `ZipMap` costs: three rows of a logistic regression, read to the last map.
//!
//! Three ways in one run, interleaved: as the server does it (the node taken out at load), with the
//! node left in and its maps read one by one, and as Python does it. Medians of five rounds.

#![expect(clippy::print_stdout, reason = "the bench prints its table")]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use inference::onnx_file::{self, zipmap};
use inference::runtime::ort::{OrtEngine, Runtime, Source};
use inference::runtime::Engine;
use inference::tensor::{Data, Tensor, Value};

const ROUNDS: usize = 5;
const RUNS: u32 = 20_000;

/// Times the same three rows in Python and prints microseconds.
const PYTHON: &str = "
import sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.add_session_config_entry('session.intra_op.allow_spinning', '0')
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=['CPUExecutionProvider'])
rows = numpy.array([[5.1, 3.5], [6.0, 3.0], [7.0, 3.1]], dtype=numpy.float32)
feed = {'float_input': rows}
for _ in range(2000):
    session.run(None, feed)
begun = time.perf_counter()
for _ in range(20000):
    label, maps = session.run(None, feed)
    assert len(maps) == 3
print((time.perf_counter() - begun) / 20000 * 1e6)
";

fn main() -> ExitCode {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.plimsoll");
    match run(&home) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}\nmake what it needs with: cargo xtask test, or cargo xtask onnxruntime and cargo xtask fixtures");
            ExitCode::FAILURE
        }
    }
}

fn run(home: &Path) -> Result<(), String> {
    let file = home.join("fixtures/iris/model.onnx");
    let runtime = Runtime::open(&[home.join("onnxruntime/libonnxruntime.so")])
        .map_err(|error| error.to_string())?;
    let mut stripped = load(&runtime, &file, true)?;
    let mut whole = load(&runtime, &file, false)?;
    let mut figures = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        figures[0].push(time(&mut stripped)?);
        figures[1].push(time(&mut whole)?);
        if let Some(python) = python(home, &file) {
            figures[2].push(python);
        }
    }
    println!("ZipMap, three rows of a logistic regression: µs for a run with every map read");
    let names = [
        "node taken out (as served)",
        "node left in, maps read",
        "Python binding",
    ];
    let medians = figures.map(|mut rounds| {
        rounds.sort_by(f64::total_cmp);
        let median = rounds.get(rounds.len() / 2).copied();
        median.map(|median| (median, rounds[0], rounds[rounds.len() - 1]))
    });
    for (name, median) in names.iter().zip(medians) {
        match median {
            Some((median, low, high)) => {
                println!("  {name:<28} {median:>7.2}  ({low:.2} – {high:.2})");
            }
            None => println!("  {name:<28} not measured: no onnxruntime package for python3"),
        }
    }
    if let [Some((served, ..)), _, Some((python, ..))] = medians {
        println!("  served takes {:.2} of Python's time", served / python);
    }
    Ok(())
}

fn load(runtime: &Runtime, file: &Path, strip: bool) -> Result<OrtEngine, String> {
    let (bytes, facts) = onnx_file::read(file).map_err(|error| error.to_string())?;
    let rewritten = bytes
        .as_deref()
        .filter(|_| strip)
        .and_then(zipmap::strip)
        .map(|(model, maps)| (Arc::new(model), maps));
    let source = Source {
        file: file.to_owned(),
        facts,
        rewritten,
    };
    runtime
        .load(&source, 1, None)
        .map_err(|error| error.to_string())
}

/// Microseconds a run.
fn time(engine: &mut OrtEngine) -> Result<f64, String> {
    let rows = vec![5.1f32, 3.5, 6.0, 3.0, 7.0, 3.1];
    let input = Tensor::new(vec![3, 2], Data::Float32(rows.into())).map_err(|e| e.to_string())?;
    let inputs = [input];
    let mut begun = Instant::now();
    for i in 0..RUNS + 2000 {
        if i == 2000 {
            begun = Instant::now();
        }
        let outputs = engine.run(&inputs).map_err(|error| error.to_string())?;
        let maps = match &outputs[1] {
            Value::Maps { values, .. } => values.rows(),
            Value::Sequence(maps) => maps.len(),
            _ => 0,
        };
        assert_eq!(maps, 3, "three maps a run");
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(RUNS))
}

fn python(home: &Path, file: &Path) -> Option<f64> {
    let mut packages = vec![home.join("python-models")];
    packages.extend(std::env::split_paths(
        &std::env::var_os("PYTHONPATH").unwrap_or_default(),
    ));
    let packages = std::env::join_paths(packages).ok()?;
    let output = Command::new("python3")
        .args(["-c", PYTHON])
        .arg(file)
        .env("PYTHONPATH", packages)
        .env("ORT_DISABLE_TELEMETRY", "1")
        .output()
        .ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}
