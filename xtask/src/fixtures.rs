//! `cargo xtask fixtures`: the tests' small models, each at
//! `.plimsoll/fixtures/NAME/model.onnx`, made by `tests/support/fixtures.py`.

use crate::models::{ensure_packages, run_script};
use crate::step::step;
use crate::store::{read_text, workspace, Store};
use crate::{onnxruntime, Result};

/// The chore.
pub fn run() -> Result<()> {
    let store = Store::of_workspace();
    onnxruntime::ensure(&store)?;
    ensure_packages(&store)?;
    ensure(&store)
}

/// Makes the fixtures if they are not there. The packages that make models and
/// ONNX Runtime, which one fixture comes with, must be there first.
pub fn ensure(store: &Store) -> Result<()> {
    let script = workspace().join("tests/support/fixtures.py");
    let requirements = read_text(&workspace().join("models/requirements.txt"))?;
    let iris = store.path(onnxruntime::NAME).join(onnxruntime::IRIS);
    step("test models", || {
        store.ensure(
            "fixtures",
            &[&read_text(&script)?, &requirements],
            |folder| run_script(store, &script, &[folder, &iris]),
        )
    })
}
