//! A fixed sample of ONNX's own operator cases, written and read by numpy and Python's json, comes
//! back right in every content type that carries it. `cargo xtask conformance` runs all of them.

use std::process::{Command, Stdio};

use crate::support::{prepared, root, server};

/// The content types; one that the server lacks would fail every case.
const FORMATS: [&str; 3] = ["npz", "v2", "triton"];
/// So many must pass in each format, so that a sample that shrinks is noticed.
const AT_LEAST: usize = 150;

/// Passed and failed of a line such as `v2: 218 passed, 0 failed, 0 skipped`.
fn counts(output: &str, format: &str) -> Option<(usize, usize)> {
    let line = output
        .lines()
        .find_map(|line| line.strip_prefix(format)?.strip_prefix(": "))?;
    let mut numbers = line
        .split(", ")
        .map(|part| part.split(' ').next()?.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[test]
fn onnx_cases_come_back_right_in_every_format() {
    let mut run = Command::new("python3");
    run.arg("tests/support/conformance")
        .arg("run")
        .arg(prepared("conformance/cases"))
        .arg(prepared("conformance/floor-sample"))
        .arg(server::binary())
        .arg(prepared("onnxruntime/libonnxruntime.so"))
        .args(["--sample", "tests/data/conformance_sample.txt"])
        // Not one for each core: the other tests want some too.
        .args(["--jobs", "2"])
        .args(FORMATS.iter().flat_map(|format| ["--format", format]))
        .env("PYTHONPATH", prepared("python-conformance"))
        .env("PYTHONNOUSERSITE", "1")
        .current_dir(root())
        .stdin(Stdio::null());
    // Only there where it could be made.
    let locale = root().join(".plimsoll/conformance/locale");
    if locale.exists() {
        run.env("LOCPATH", locale);
    }
    let output = run.output().expect("python3 runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    for format in FORMATS {
        let (passed, failed) = counts(&said, format).unwrap_or_else(|| panic!("{said}"));
        assert_eq!(failed, 0, "{said}");
        assert!(passed >= AT_LEAST, "{said}");
    }
    assert!(output.status.success(), "{said}");
}
