//! Real clients against the server: each is a script of `tests/clients/`, with packages of its own,
//! that prints a line for each check. `cargo xtask clients` runs the same, and more, against the
//! image.

use std::path::Path;
use std::process::Command;

use crate::support::{fixture, prepared, root, Server};

/// Where a model lies: one of the demo models, or a fixture.
fn model(name: &str) -> Server {
    let demo = root().join(".plimsoll/models").join(name);
    if demo.exists() {
        Server::on_folder(&demo).ready()
    } else {
        Server::on_folder(&fixture(name)).ready()
    }
}

fn script(name: &str) -> std::path::PathBuf {
    root().join("tests/clients").join(name)
}

fn python(client: &str, packages: &Path) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(script(client))
        .env("PYTHONPATH", packages)
        .env("PYTHONNOUSERSITE", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// Runs a client: every check is well, and there are at least so many.
fn passes(command: &mut Command, at_least: usize) {
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let beside = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{beside}");
    let well = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(well >= at_least, "{well} checks:\n{said}");
    let count = format!("{well} checks, 0 failed");
    assert!(said.lines().any(|line| line == count), "{said}");
}

/// A Python client, which takes its servers by their models' names.
fn asks(client: &str, packages: &str, models: &[&str], at_least: usize) {
    let servers: Vec<Server> = models.iter().map(|name| model(name)).collect();
    let mut command = python(client, &prepared(packages));
    for (name, server) in models.iter().zip(&servers) {
        command.args([&format!("--{name}"), &server.url]);
    }
    passes(&mut command, at_least);
}

#[test]
fn curl() {
    let server = model("sum4");
    let mut command = Command::new("sh");
    passes(command.arg(script("curl.sh")).arg(&server.url), 27);
}

#[test]
fn boto3_through_the_runtime_api() {
    let models = ["digits", "gather", "total"];
    asks("runtime.py", "python-cloudwatch", &models, 17);
}

#[test]
fn tritonclient() {
    let models = ["digits", "mix", "str", "bf16"];
    asks("triton.py", "python-tritonclient", &models, 34);
}

#[test]
fn locust() {
    asks("locust_load.py", "python-locust", &["digits"], 5);
}
