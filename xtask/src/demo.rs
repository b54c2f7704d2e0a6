//! `cargo xtask demo [--file PATH]`: the whole product once, on a real model.
//!
//! Builds and serves, asks about files, loads, asks the server to leave, and
//! shows what arrived in the CloudWatch API. Nothing leaves this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cloudwatch::StandIn;
use crate::command::{aloud, quietly};
use crate::python::python;
use crate::server::{log_of, Server, NAMESPACE};
use crate::store::{workspace, write, Store};
use crate::{binary, cloudwatch, models, onnxruntime, Result};

const ASKED_FILES: [&str; 5] = [
    "inference/src/lib.rs",
    "models/magika/ask.py",
    "Cargo.toml",
    "README.md",
    ".plimsoll/models/magika/model.onnx",
];

/// The chore.
pub fn run(arguments: &[String]) -> Result<()> {
    let own_file = own_file(arguments)?;
    let store = Store::of_workspace();

    println!("Getting ready");
    onnxruntime::ensure(&store)?;
    models::ensure(&store, &["magika"])?;
    cloudwatch::ensure(&store)?;
    let binary = binary::release()?;

    println!("\nServing magika, a model that tells what kind of file it is shown");
    let cloudwatch = StandIn::start(&store)?;
    let server = Server::start(&store, &binary, &cloudwatch)?;
    print!("{}", indented(&server.said()?));

    println!("\nAsking it");
    let files = ASKED_FILES
        .iter()
        .map(PathBuf::from)
        .filter(|file| workspace().join(file).exists());
    ask(&server, &files.chain(own_file).collect::<Vec<_>>())?;

    println!("\nGiving its metrics something to tell");
    load(&store, &binary, &server)?;
    let (calls_while_serving, _) = cloudwatch.calls()?;

    println!("\nAsking it to leave (SIGTERM)");
    server.leave()?;

    println!("\nWhat the CloudWatch API has of it (namespace {NAMESPACE})");
    let (calls, refused) = cloudwatch.calls()?;
    println!(
        "  {calls} PutMetricData calls, {calls_while_serving} while it served; \
         {refused} broke a limit of AWS"
    );
    let rows = cloudwatch.read_back(NAMESPACE)?;
    if rows.is_empty() {
        return Err(format!(
            "no metric arrived; {} has the reason",
            log_of(&store).display()
        ));
    }
    print!("{}", table(&rows));
    println!("\nThe model, the settings and the log of this run are in .plimsoll/demo/");
    Ok(())
}

fn own_file(arguments: &[String]) -> Result<Option<PathBuf>> {
    match arguments {
        [] => Ok(None),
        [flag, path] if flag == "--file" => std::path::absolute(path)
            .ok()
            .filter(|path| path.is_file())
            .map(Some)
            .ok_or_else(|| format!("--file {path}: no such file")),
        [surplus, ..] => Err(format!("takes --file PATH or nothing, found {surplus}")),
    }
}

fn ask(server: &Server, files: &[PathBuf]) -> Result<()> {
    let url = format!("{}/invocations", server.url);
    let mut ask = python(None);
    ask.args(["models/magika/ask.py", "--url", &url])
        .args(files);
    print!("{}", indented(&quietly(&mut ask)?));
    Ok(())
}

/// Twelve seconds of steady requests: longer than a publishing period.
fn load(store: &Store, binary: &Path, server: &Server) -> Result<()> {
    let mut ask = python(None);
    ask.args([
        "models/magika/ask.py",
        "--print-request",
        "models/magika/ask.py",
    ]);
    let body = store.path("demo").join("request.json");
    write(&body, quietly(&mut ask)?.as_bytes())?;
    let mut load = Command::new(binary);
    load.arg("loadtest")
        .arg(format!("{}/invocations", server.url));
    load.args(["--rate", "40", "--duration", "12", "--body"])
        .arg(&body);
    aloud(load.args(["--content-type", "application/json"]))
}

/// One line for each metric.
fn table(rows: &[Value]) -> String {
    let mut text = format!(
        "  {:<24} {:<13} {:>8} {:>12} {:>12} {:>12}\n",
        "metric", "unit", "samples", "sum", "average", "maximum"
    );
    for row in rows {
        let number = |key: &str| row[key].as_f64().map_or_else(|| "-".to_owned(), short);
        text += &format!(
            "  {:<24} {:<13} {:>8} {:>12} {:>12} {:>12}\n",
            row["metric"].as_str().unwrap_or("?"),
            row["unit"].as_str().unwrap_or("-"),
            number("SampleCount"),
            number("Sum"),
            number("Average"),
            number("Maximum"),
        );
    }
    text
}

/// A number without digits that say nothing.
fn short(number: f64) -> String {
    if number == number.trunc() || number.abs() >= 1000.0 {
        format!("{number:.0}")
    } else {
        format!("{number:.2}")
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_metric() {
        let row = json!({"metric": "Invocations", "unit": "Count", "SampleCount": 2.0,
            "Sum": 485.0, "Average": 242.5, "Maximum": 400.0});
        let text = table(&[row]);
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("485") && text.contains("242.50"), "{text}");
    }

    #[test]
    fn a_file_of_ones_own_must_exist() {
        assert_eq!(own_file(&[]), Ok(None));
        let missing = own_file(&["--file".to_owned(), "no/such/file".to_owned()]);
        assert!(missing.unwrap_err().contains("no/such/file"));
        assert!(own_file(&["--fast".to_owned()])
            .unwrap_err()
            .contains("--fast"));
    }
}
