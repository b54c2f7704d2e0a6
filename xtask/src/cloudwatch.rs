//! The CloudWatch stand-in of `tests/support/cloudwatch.py`: its packages, its
//! process, and reading metrics back through the CloudWatch API.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use crate::child::Background;
use crate::command::quietly;
use crate::python::{packages, python};
use crate::step::{step, Outcome};
use crate::store::{workspace, Store};
use crate::Result;

/// The Python packages it needs, in the store.
pub const PACKAGES: &str = "python-cloudwatch";

/// The chore.
pub fn run() -> Result<()> {
    ensure(&Store::of_workspace())
}

/// Installs the packages if they are not there.
pub fn ensure(store: &Store) -> Result<()> {
    step("Python packages of the CloudWatch stand-in", || {
        packages(store, PACKAGES, "tests/support/requirements.txt")
    })
}

/// Runs the stand-in's own tests.
pub fn test(store: &Store) -> Result<()> {
    step("tests of the CloudWatch stand-in", || {
        let mut tests = python(Some(&store.path(PACKAGES)));
        tests.args([
            "-m",
            "unittest",
            "discover",
            "--start-directory",
            "tests/support",
        ]);
        quietly(&mut tests).map(|_| Outcome::Made)
    })
}

/// A running stand-in.
pub struct StandIn {
    /// Its address, as `http://127.0.0.1:PORT`.
    pub url: String,
    packages: PathBuf,
    _process: Background,
}

impl StandIn {
    /// Starts one on a free port of loopback.
    pub fn start(store: &Store) -> Result<Self> {
        let packages = store.path(PACKAGES);
        let mut command = python(Some(&packages));
        command.arg(workspace().join("tests/support/cloudwatch.py"));
        // Should this process be killed hard, the pipe closes and it leaves.
        command
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Background::start(&mut command)?;
        let mut line = String::new();
        if let Some(stdout) = process.child().stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .ok_or_else(|| format!("the CloudWatch stand-in did not start, it said {line:?}"))?;
        Ok(Self {
            url: format!("http://{address}"),
            packages,
            _process: process,
        })
    }

    /// How many PutMetricData calls it took, and how many it refused for
    /// breaking one of AWS's limits.
    pub fn calls(&self) -> Result<(usize, usize)> {
        let failed = |error| format!("cannot ask the CloudWatch stand-in: {error}");
        let mut reply = ureq::get(format!("{}/_captured", self.url))
            .call()
            .map_err(failed)?;
        let text = reply
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string()
            .map_err(failed)?;
        let captured = parse(&text)?;
        let count = |key: &str| captured[key].as_array().map_or(0, Vec::len);
        Ok((count("calls"), count("refused")))
    }

    /// Every metric of `namespace`, through `list_metrics` and
    /// `get_metric_statistics`.
    pub fn read_back(&self, namespace: &str) -> Result<Vec<Value>> {
        let mut command = python(Some(&self.packages));
        command.arg(workspace().join("tests/support/read_back.py"));
        command.args(["--endpoint", &self.url, "--namespace", namespace]);
        match parse(&quietly(&mut command)?)? {
            Value::Array(rows) => Ok(rows),
            other => Err(format!("read_back.py printed {other}, a list was expected")),
        }
    }
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| format!("no JSON came back: {error}"))
}
