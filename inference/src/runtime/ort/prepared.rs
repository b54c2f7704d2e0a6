//! What tests of this room run: fixtures, in the one environment that a process may have.

use std::path::Path;
use std::sync::OnceLock;

use super::{OrtEngine, Runtime, Source};

/// A fixture's model, loaded.
pub(super) fn engine(fixture: &str) -> OrtEngine {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let prepared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.plimsoll");
    let library = prepared.join("onnxruntime/libonnxruntime.so");
    let file = prepared.join("fixtures").join(fixture).join("model.onnx");
    assert!(
        library.exists() && file.exists(),
        "{} is missing: run the tests with `cargo xtask test`, which prepares it",
        prepared.display()
    );
    let runtime = RUNTIME.get_or_init(|| Runtime::open(&[library]).unwrap());
    let (_, facts) = crate::onnx_file::read(&file).unwrap();
    let source = Source {
        file,
        facts,
        rewritten: None,
    };
    runtime.load(&source, 1, None).unwrap()
}
