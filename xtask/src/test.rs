//! `cargo xtask test [ARGS]`: everything that the tests need, then the tests.
//!
//! The tests find their models and helpers in `.plimsoll/` themselves, so
//! `cargo test` alone works too once this has run.

use crate::command::{aloud, cargo};
use crate::store::Store;
use crate::{
    browser, cfn_lint, clients, cloudwatch, conformance, fixtures, models, onnxruntime, Result,
};

/// How many tests run at the same time.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// Two more than there are CPUs: the longest tests wait for a minute and compute little.
fn test_threads() -> usize {
    2 + std::thread::available_parallelism().map_or(1, usize::from)
}

/// The chore.
pub fn run(arguments: &[String]) -> Result<()> {
    let store = Store::of_workspace();
    onnxruntime::ensure(&store)?;
    // What is done without a GPU is tested with the library that could use one.
    if onnxruntime::gpu::is_for_this_machine() {
        onnxruntime::gpu::ensure(&store, onnxruntime::gpu::DEFAULT)?;
    }
    models::ensure(&store, &models::ALL)?;
    fixtures::ensure(&store)?;
    browser::ensure();
    cloudwatch::ensure(&store)?;
    cloudwatch::test(&store)?;
    cfn_lint::ensure(&store)?;
    clients::ensure(&store)?;
    conformance::ensure_sample(&store)?;
    conformance::test(&store)?;
    let mut test = cargo();
    test.arg("test");
    if std::env::var_os(TEST_THREADS).is_none() {
        test.env(TEST_THREADS, test_threads().to_string());
    }
    if !arguments
        .iter()
        .any(|argument| argument == "-p" || argument.starts_with("--package"))
    {
        test.arg("--workspace");
    }
    aloud(test.args(arguments))
}
