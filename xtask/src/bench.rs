//! `cargo xtask bench [ARGS]`: everything that the benches need, then the benches.

use crate::command::{aloud, cargo};
use crate::store::Store;
use crate::{models, onnxruntime, Result};

/// The chore.
pub fn run(arguments: &[String]) -> Result<()> {
    let store = Store::of_workspace();
    onnxruntime::ensure(&store)?;
    models::ensure(&store, &models::ALL)?;
    aloud(cargo().args(["bench", "-p", "benches"]).args(arguments))
}
