//! `cargo xtask image`: builds `docker/Dockerfile` with the first engine that
//! answers, docker or podman.

use std::process::Command;

use crate::command::{aloud, captured};
use crate::store::workspace;
use crate::Result;

/// The name given to the image.
const TAG: &str = concat!("plimsoll:", env!("CARGO_PKG_VERSION"));

/// The chore.
pub fn run() -> Result<()> {
    let engine = ["docker", "podman"]
        .into_iter()
        .find(|engine| answers(engine))
        .ok_or(
            "no container engine answers: install docker (on Debian and Ubuntu: \
         apt-get install docker.io) or podman, start it, and see that `docker info` works; \
         the build pulls two public base images",
        )?;
    aloud(
        Command::new(engine)
            .args(["build", "--file", "docker/Dockerfile", "--tag", TAG, "."])
            .current_dir(workspace()),
    )?;
    println!("built {TAG}; docker/README.md says how to run it");
    Ok(())
}

fn answers(engine: &str) -> bool {
    captured(Command::new(engine).arg("info")).is_ok_and(|output| output.status.success())
}
