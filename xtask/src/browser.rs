//! A headless Chromium, for the test that opens the simulator's page.

use crate::packages;

/// What it is called, by distribution.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Installs it where there is none and the package manager may; otherwise says that its test will be
/// skipped, which is no failure.
pub fn ensure() {
    if NAMES.into_iter().any(packages::has) {
        return;
    }
    println!("xtask: installing Chromium, for the test of the simulator's page");
    if let Err(why) = packages::install(&["chromium", "fonts-dejavu-core"]) {
        println!("xtask: no Chromium: the test of the simulator's page will be skipped ({why})");
    }
}
