//! The images that a Dockerfile begins with: there, pulled, or made here.
//!
//! Where no registry of images can be reached, a stand-in is made out of Debian's packages and of
//! the Rust toolchain that runs this chore, and gets the very name that the Dockerfile has: what is
//! built and checked is the Dockerfile that everybody else builds. A stand-in takes this machine's
//! certificates and package settings along; nothing of them gets into the final image.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::engine::{is_root, Engine};
use crate::child::output;
use crate::command::{captured, quietly};
use crate::step::{step, Outcome};
use crate::store::{cannot, copy, create_dir, read_text, remove_dir, write, Store};
use crate::{packages, Result};

const SUITE: &str = "bookworm";
const DEBIAN: &str = "debian:bookworm-slim";

/// What the rust image has of Debian beside what every Debian has, as far as the build uses it.
const BUILD_TOOLS: &str = "gcc g++ make libc6-dev pkg-config git curl";

/// Where the rust image keeps its toolchain.
const TOOLCHAIN: &str = "/usr/local/rustup/toolchains/stand-in";

/// Sees to it that the engine has every base image of a Dockerfile.
pub fn ensure(engine: Engine, store: &Store, dockerfile: &Path) -> Result<()> {
    for name in bases(&read_text(dockerfile)?) {
        step(&format!("base image {name}"), || {
            provide(engine, store, &name)
        })?;
    }
    Ok(())
}

/// The images that its stages begin with, each once: no earlier stage, not the empty image.
fn bases(dockerfile: &str) -> Vec<String> {
    let (mut bases, mut stages) = (Vec::new(), vec!["scratch"]);
    for line in dockerfile.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("FROM") {
            continue;
        }
        let Some(name) = words.next() else { continue };
        if !stages.contains(&name) && !bases.iter().any(|base| base == name) {
            bases.push(name.to_owned());
        }
        stages.extend(words.nth(1));
    }
    bases
}

fn provide(engine: Engine, store: &Store, name: &str) -> Result<Outcome> {
    if engine.has_image(name) {
        return Ok(Outcome::Present);
    }
    let pulled = engine.ask(&["pull", "--quiet", name]);
    let Err(why) = pulled else {
        return Ok(Outcome::Made);
    };
    if !is_root() {
        return Err(format!("{why}\nonly root can make a stand-in for it"));
    }
    let reason = why.lines().last().unwrap_or_default();
    println!("  {name} cannot be pulled ({reason}): making a stand-in of that name");
    match name.split_once(':') {
        _ if name == DEBIAN => debian(engine, store)?,
        Some(("rust", tag)) => {
            let (version, suite) = tag.split_once('-').unwrap_or((tag, ""));
            if suite != SUITE {
                return Err(format!("no stand-in is known for {name}"));
            }
            provide(engine, store, DEBIAN)?;
            rust(engine, name, version)?;
        }
        _ => return Err(format!("no stand-in is known for {name}")),
    }
    Ok(Outcome::Made)
}

/// Debian's smallest system, imported.
fn debian(engine: Engine, store: &Store) -> Result<()> {
    if !packages::has("debootstrap") {
        packages::install(&["debootstrap"])?;
    }
    let root = store.path("image/debian");
    remove_dir(&root)?;
    create_dir(&root)?;
    let mut bootstrap = Command::new("debootstrap");
    bootstrap.args(["--variant=minbase", "--include=ca-certificates", SUITE]);
    quietly(bootstrap.arg(&root))?;
    furnish(&root)?;

    let mut archive = Command::new("tar");
    archive.args(["--exclude=./var/cache/apt/archives/*.deb", "-C"]);
    archive.arg(&root).args(["-c", "."]).stdout(Stdio::piped());
    let mut tar = archive
        .spawn()
        .map_err(|error| crate::command::cannot_start(&archive, &error))?;
    let mut import = engine.command(&["import", "-", DEBIAN]);
    if let Some(bytes) = tar.stdout.take() {
        import.stdin(bytes);
    }
    let imported = output(import.stdout(Stdio::null()).stderr(Stdio::piped()))?;
    let packed = tar.wait().is_ok_and(|status| status.success());
    if !packed || !imported.status.success() {
        let said = String::from_utf8_lossy(&imported.stderr).into_owned();
        return Err(format!("cannot import {DEBIAN}: {}", said.trim()));
    }
    remove_dir(&root)
}

/// Gives the tree this machine's certificates and package settings, so that what is fetched in it
/// comes the way that it comes here.
fn furnish(root: &Path) -> Result<()> {
    let certificates = "usr/local/share/ca-certificates";
    create_dir(&root.join(certificates))?;
    for file in files(&Path::new("/").join(certificates)) {
        if file.extension().is_some_and(|extension| extension == "crt") {
            copy_into(&file, &root.join(certificates))?;
        }
    }
    quietly(
        Command::new("chroot")
            .arg(root)
            .arg("update-ca-certificates"),
    )?;

    for file in files(Path::new("/etc/apt/apt.conf.d")) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if text.lines().all(|line| line.starts_with("Acquire::")) {
            copy_into(&file, &root.join("etc/apt/apt.conf.d"))?;
        }
    }
    // With the security updates, where this machine's own list is of the same suite.
    let own = Path::new("/etc/apt/sources.list.d/debian.sources");
    if fs::read_to_string(own).is_ok_and(|text| text.contains(SUITE)) {
        copy_into(own, &root.join("etc/apt/sources.list.d"))?;
        write(&root.join("etc/apt/sources.list"), b"")?;
    }
    Ok(())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    files.filter(|path| path.is_file()).collect()
}

fn copy_into(file: &Path, folder: &Path) -> Result<()> {
    create_dir(folder)?;
    copy(file, &folder.join(file.file_name().unwrap_or_default()))
}

/// Debian, a C compiler, and the toolchain that is in use here, where the rust image has it.
fn rust(engine: Engine, name: &str, version: &str) -> Result<()> {
    let sysroot = toolchain(version)?;
    let prepare = format!(
        "apt-get update && apt-get install --yes --no-install-recommends {BUILD_TOOLS} \
         && rm -rf /var/lib/apt/lists/* && mkdir -p {TOOLCHAIN} /usr/local/cargo/bin \
         && cd /usr/local/cargo/bin \
         && for tool in cargo rustc rustdoc; do ln -s {TOOLCHAIN}/bin/$tool $tool; done"
    );
    let container = "plimsoll-stand-in";
    let _ = engine.ask(&["rm", "--force", container]);
    engine.ask(&["run", "--name", container, DEBIAN, "sh", "-c", &prepare])?;
    for part in ["bin", "lib", "libexec"] {
        let from = sysroot.join(part);
        if from.is_dir() {
            let to = format!("{container}:{TOOLCHAIN}/");
            engine.ask(&["cp", &from.display().to_string(), &to])?;
        }
    }
    let environment = "ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo \
                       PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    engine.ask(&[
        "commit",
        "--change",
        environment,
        "--change",
        "CMD [\"bash\"]",
        container,
        name,
    ])?;
    engine.ask(&["rm", "--force", container]).map(drop)
}

/// The folder of the toolchain in use, if it has the wanted version.
fn toolchain(version: &str) -> Result<PathBuf> {
    let rustc = |argument: &[&str]| -> Result<String> {
        let said = captured(Command::new("rustc").args(argument))?;
        Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    };
    let found = rustc(&["--version"])?;
    if !found.starts_with(&format!("rustc {version}.")) {
        return Err(format!("a stand-in needs Rust {version}, found {found}"));
    }
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?);
    sysroot
        .canonicalize()
        .map_err(|error| cannot("find", &sysroot, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_images_are_those_that_no_stage_makes() {
        let text =
            "FROM debian:bookworm-slim AS system\nRUN true\nFROM rust:1.95-bookworm AS build\n\
                    FROM system AS more\nFROM debian:bookworm-slim\nFROM scratch\n";
        assert_eq!(bases(text), ["debian:bookworm-slim", "rust:1.95-bookworm"]);
    }

    #[test]
    fn another_toolchain_makes_no_stand_in() {
        let error = toolchain("0.1").unwrap_err();
        assert!(error.contains("needs Rust 0.1, found rustc 1."), "{error}");
    }
}
