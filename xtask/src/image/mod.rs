//! `cargo xtask image [--check] [--where-possible] [--gpu [12|13]]`: builds `docker/Dockerfile`, or
//! `docker/Dockerfile.gpu` with a version of CUDA, then runs the image in every way that it promises,
//! and prints what was seen.

mod base;
mod checks;
mod container;
mod engine;

use std::process::Command;

use crate::command::{aloud, captured};
use crate::onnxruntime::gpu;
use crate::store::{workspace, Store};
use crate::Result;
use engine::{Engine, NoEngine};

/// The name given to the CPU image.
const TAG: &str = concat!("plimsoll:", env!("CARGO_PKG_VERSION"));

/// Which image.
#[derive(Clone, Copy)]
pub enum Kind {
    /// The one for CPUs.
    Cpu,
    /// The one for GPUs, with these libraries.
    Gpu(&'static gpu::Set),
}

impl Kind {
    fn dockerfile(self) -> &'static str {
        match self {
            Self::Cpu => "docker/Dockerfile",
            Self::Gpu(_) => "docker/Dockerfile.gpu",
        }
    }

    fn tag(self) -> String {
        match self {
            Self::Cpu => TAG.to_owned(),
            Self::Gpu(set) => format!("{TAG}-cuda{}", set.major),
        }
    }
}

/// What is asked for.
struct Wanted {
    kind: Kind,
    build: bool,
    /// Whether it is a fault that no engine can be had.
    must: bool,
}

/// The chore.
pub fn run(arguments: &[String]) -> Result<()> {
    let Wanted { kind, build, must } = read(arguments)?;
    let store = Store::of_workspace();
    let engine = match Engine::ensure(&store) {
        Err(NoEngine::NotAllowed(why)) if !must => {
            println!("SKIPPED: the image was neither built nor checked: {why}");
            return Ok(());
        }
        engine => engine?,
    };
    if build {
        base::ensure(engine, &store, &workspace().join(kind.dockerfile()))?;
        self::build(engine, kind)?;
    }
    checks::run(engine, kind, &store)
}

fn read(arguments: &[String]) -> Result<Wanted> {
    let mut wanted = Wanted {
        kind: Kind::Cpu,
        build: true,
        must: true,
    };
    let mut rest = arguments.iter().map(String::as_str).peekable();
    while let Some(argument) = rest.next() {
        match argument {
            "--check" => wanted.build = false,
            "--where-possible" => wanted.must = false,
            "--gpu" => {
                let major = rest.next_if(|next| !next.starts_with('-'));
                wanted.kind = Kind::Gpu(major.map_or(Ok(gpu::DEFAULT), gpu::of)?);
            }
            other => {
                return Err(format!(
                    "takes --check (do not build), --where-possible (skip where no engine can \
                     be had) and --gpu [12|13] (the GPU image), found {other}"
                ))
            }
        }
    }
    Ok(wanted)
}

fn build(engine: Engine, kind: Kind) -> Result<()> {
    let tag = kind.tag();
    let revision = format!("REVISION={}", revision());
    let mut build = engine.command(&["build", "--file", kind.dockerfile(), "--tag", &tag]);
    build.args(["--build-arg", &revision]);
    if let Kind::Gpu(set) = kind {
        build.args(["--build-arg", &format!("CUDA={}", set.major)]);
    }
    aloud(build.arg(".").current_dir(workspace()))?;
    println!("built {tag}; docker/README.md says how to run it");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(words: &[&str]) -> Result<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Ok(read(&words)?.kind.tag())
    }

    #[test]
    fn a_gpu_image_is_named_after_its_cuda() {
        assert_eq!(tag(&[]).as_deref(), Ok(TAG));
        let twelve = Ok(format!("{TAG}-cuda12"));
        assert_eq!(tag(&["--gpu"]), twelve);
        assert_eq!(tag(&["--gpu", "--check"]), twelve);
        assert_eq!(
            tag(&["--check", "--gpu", "13"]),
            Ok(format!("{TAG}-cuda13"))
        );
        assert!(tag(&["--gpu", "11"]).is_err_and(|error| error.contains("CUDA 11")));
        assert!(tag(&["--check", "13"]).is_err_and(|error| error.contains("found 13")));
    }
}
