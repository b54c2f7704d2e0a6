//! The `plimsoll` binary, built by cargo, which says itself where it put it.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use crate::child::output;
use crate::command::cargo;
use crate::Result;

/// Built for speed.
pub fn release() -> Result<PathBuf> {
    println!("  building plimsoll (the first time takes some minutes)");
    build(&["--release", "--package", "plimsoll", "--bin", "plimsoll"])
}

/// Built for the tests. The whole workspace with its tests is selected, as `cargo test` has it:
/// then every dependency has the same features and none is compiled a second time.
pub fn development() -> Result<PathBuf> {
    println!("  building plimsoll");
    build(&["--workspace", "--bin", "plimsoll", "--tests"])
}

fn build(selected: &[&str]) -> Result<PathBuf> {
    let mut build = cargo();
    build
        .arg("build")
        .args(selected)
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    let output = output(&mut build)?;
    if !output.status.success() {
        return Err("plimsoll does not build, cargo says why above".to_owned());
    }
    executable(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| "cargo named no plimsoll executable".to_owned())
}

/// The binary among cargo's messages; its tests have the same name.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| {
            message["target"]["name"] == "plimsoll"
                && message["target"]["kind"][0] == "bin"
                && message["profile"]["test"] == false
        })
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_of_the_binary_are_not_the_binary() {
        let message = |test: bool, path: &str| {
            serde_json::json!({
                "target": {"name": "plimsoll", "kind": ["bin"]},
                "profile": {"test": test},
                "executable": path,
            })
        };
        let messages = format!("{}\n{}\n", message(true, "tests"), message(false, "binary"));
        assert_eq!(executable(&messages), Some(PathBuf::from("binary")));
        assert_eq!(executable("no json"), None);
    }
}
