//! `cargo xtask test [ARGS]`: everything that the tests need, then the tests.
//!
//! The tests find their models and helpers in `.plimsoll/` themselves, so
//! `cargo test` alone works too once this has run.

use crate::command::{aloud, cargo};
use crate::store::Store;
use crate::{cloudwatch, conformance, fixtures, models, onnxruntime, Result};

/// The chore.
pub fn run(arguments: &[String]) -> Result<()> {
    let store = Store::of_workspace();
    onnxruntime::ensure(&store)?;
    models::ensure(&store, &models::ALL)?;
    fixtures::ensure(&store)?;
    cloudwatch::ensure(&store)?;
    cloudwatch::test(&store)?;
    conformance::ensure_sample(&store)?;
    conformance::test(&store)?;
    let mut test = cargo();
    test.arg("test");
    if !arguments
        .iter()
        .any(|argument| argument == "-p" || argument.starts_with("--package"))
    {
        test.arg("--workspace");
    }
    aloud(test.args(arguments))
}
