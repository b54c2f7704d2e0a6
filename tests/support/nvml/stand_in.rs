//! Builds the stand-in for NVML (`stand_in.c`) and scripts it; the sidecar's tests and the
//! whole-product tests share this file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A folder with the library and its script.
pub struct StandIn {
    folder: tempfile::TempDir,
}

/// The library, compiled once per test run.
fn compiled() -> &'static [u8] {
    static LIBRARY: OnceLock<Vec<u8>> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let library = folder.path().join("nvml.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/support/nvml/stand_in.c");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(&source)
            .arg("-ldl")
            .status();
        let status = status.expect("the C compiler cc, which the README asks for");
        assert!(status.success(), "the stand-in for NVML does not compile");
        std::fs::read(&library).expect("the library")
    })
}

impl StandIn {
    /// A library of its own with this script.
    pub fn new(script: &str) -> Self {
        let stand_in = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        stand_in.script(script);
        stand_in.install();
        stand_in
    }

    /// Puts the library where [`StandIn::library`] says.
    pub fn install(&self) {
        std::fs::write(self.library(), compiled()).expect("the library is written");
    }

    pub fn library(&self) -> PathBuf {
        self.folder.path().join("libnvidia-ml.so.1")
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.folder.path().join(format!("libnvidia-ml.so.1.{what}"))
    }

    /// Replaces the script; calls that hang see it too.
    pub fn script(&self, script: &str) {
        let new = self.beside("new");
        std::fs::write(&new, script).expect("the script is written");
        std::fs::rename(new, self.beside("script")).expect("the script is replaced");
    }

    /// How often NVML was started.
    pub fn starts(&self) -> u64 {
        std::fs::metadata(self.beside("inits")).map_or(0, |inits| inits.len())
    }
}
