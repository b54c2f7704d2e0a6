//! Python 3 with pip: packages go into folders of the store, never into the
//! user's own Python, so that externally managed Pythons work too.

use std::path::Path;
use std::process::Command;

use crate::command::{captured, quietly};
use crate::step::Outcome;
use crate::store::{read_text, workspace, Store};
use crate::Result;

/// The oldest Python that the pinned packages support.
const OLDEST: (u32, u32) = (3, 11);

/// `python3`, with a module search path if one is given.
pub fn python(packages: Option<&Path>) -> Command {
    let mut command = Command::new("python3");
    command.current_dir(workspace());
    command.env("PYTHONNOUSERSITE", "1");
    // Some converters walk over sets of names: the same files from run to run.
    command.env("PYTHONHASHSEED", "0");
    command.env_remove("PYTHONPATH");
    if let Some(packages) = packages {
        command.env("PYTHONPATH", packages);
    }
    command
}

/// `python3 -m pip`, after a check that it is there.
pub fn pip() -> Result<Command> {
    let mut pip = python(None);
    pip.args(["-m", "pip"])
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    let version = captured(python(None).args(["-m", "pip", "--version"]));
    match version {
        Ok(output) if output.status.success() => Ok(pip),
        _ => Err("python3 with pip is needed; on Debian and Ubuntu: \
                  apt-get install python3 python3-pip"
            .to_owned()),
    }
}

/// Installs the packages that the workspace's file `requirements` pins into
/// the store's folder `name`.
pub fn packages(store: &Store, name: &str, requirements: &str) -> Result<Outcome> {
    install(store, name, requirements, &[])
}

/// The same without the packages that they need: another folder has those.
pub fn packages_alone(store: &Store, name: &str, requirements: &str) -> Result<Outcome> {
    install(store, name, requirements, &["--no-deps"])
}

fn install(store: &Store, name: &str, requirements: &str, options: &[&str]) -> Result<Outcome> {
    let file = workspace().join(requirements);
    let version = version()?;
    store.ensure(name, &[&version, &read_text(&file)?], |folder| {
        let mut install = pip()?;
        install.args(["install", "--quiet", "--only-binary", ":all:"]);
        install.args(options).arg("--target").arg(folder);
        quietly(install.arg("--requirement").arg(&file)).map(drop)
    })
}

/// The version of `python3`, as `3.11`; compiled packages depend on it.
fn version() -> Result<String> {
    let ask = "import sys; print(*sys.version_info[:2])";
    let said = captured(python(None).args(["-c", ask])).and_then(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        parse_version(&text).ok_or_else(|| format!("answered {text:?}"))
    });
    match said {
        Ok(found) if found >= OLDEST => Ok(format!("{}.{}", found.0, found.1)),
        Ok((major, minor)) => Err(format!(
            "python3 is {major}.{minor}, {}.{} or newer is needed",
            OLDEST.0, OLDEST.1
        )),
        Err(error) => Err(format!(
            "python3 is needed ({error}); on Debian and Ubuntu: apt-get install python3 python3-pip"
        )),
    }
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version_that_python_prints() {
        assert_eq!(parse_version("3 11\n"), Some((3, 11)));
        assert_eq!(parse_version(""), None);
    }
}
