//! A headless Chromium, for the test that opens the simulator's page.

use std::path::Path;
use std::process::Command;

use crate::command::quietly;

/// What it is called, by distribution.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Installs it where there is none and the package manager may; otherwise says that its test will be
/// skipped, which is no failure.
pub fn ensure() {
    if is_there() {
        return;
    }
    println!("xtask: installing Chromium, for the test of the simulator's page");
    let installed = apt(&["update", "-qq"]).and_then(|()| {
        apt(&[
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
            "chromium",
            "fonts-dejavu-core",
        ])
    });
    if let Err(why) = installed {
        println!("xtask: no Chromium: the test of the simulator's page will be skipped ({why})");
    }
}

fn is_there() -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let has = |folder: &Path| NAMES.iter().any(|name| folder.join(name).is_file());
    std::env::split_paths(&folders).any(|folder| has(&folder))
}

fn apt(arguments: &[&str]) -> crate::Result<()> {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(arguments);
    quietly(&mut command).map(drop)
}
