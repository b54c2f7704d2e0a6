//! `cargo xtask image [--check] [--where-possible]`: builds `docker/Dockerfile`, then runs the
//! image in every way that it promises, and prints what was seen.

mod base;
mod checks;
mod container;
mod engine;

use std::process::Command;

use crate::command::{aloud, captured};
use crate::store::{workspace, Store};
use crate::Result;
use engine::{Engine, NoEngine};

/// The name given to the image.
const TAG: &str = concat!("plimsoll:", env!("CARGO_PKG_VERSION"));

const DOCKERFILE: &str = "docker/Dockerfile";

/// The chore.
pub fn run(arguments: &[String]) -> Result<()> {
    let [mut build, mut must] = [true; 2];
    for argument in arguments {
        match argument.as_str() {
            "--check" => build = false,
            "--where-possible" => must = false,
            other => {
                return Err(format!(
                    "takes --check (do not build) and --where-possible (skip where no engine can \
                     be had), found {other}"
                ))
            }
        }
    }
    let store = Store::of_workspace();
    let engine = match Engine::ensure(&store) {
        Err(NoEngine::NotAllowed(why)) if !must => {
            println!("SKIPPED: the image was neither built nor checked: {why}");
            return Ok(());
        }
        engine => engine?,
    };
    if build {
        base::ensure(engine, &store, &workspace().join(DOCKERFILE))?;
        self::build(engine)?;
    }
    checks::run(engine, TAG, &store)
}

fn build(engine: Engine) -> Result<()> {
    let revision = format!("REVISION={}", revision());
    let mut build = engine.command(&["build", "--file", DOCKERFILE, "--tag", TAG]);
    build.args(["--build-arg", &revision, "."]);
    aloud(build.current_dir(workspace()))?;
    println!("built {TAG}; docker/README.md says how to run it");
    Ok(())
}

/// The commit that is checked out, if git tells.
fn revision() -> String {
    let mut git = Command::new("git");
    git.args(["rev-parse", "HEAD"]).current_dir(workspace());
    match captured(&mut git) {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}
