//! The system's packages, where apt-get may install them.

use std::process::Command;

use crate::command::quietly;
use crate::Result;

/// Whether a program is on the search path.
pub fn has(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// Installs packages.
pub fn install(names: &[&str]) -> Result<()> {
    apt(&["update", "-qq"])?;
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    apt(&[&install[..], names].concat())
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(arguments);
    quietly(&mut command).map(drop)
}
