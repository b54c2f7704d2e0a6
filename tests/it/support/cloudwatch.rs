//! moto's CloudWatch and Application Auto Scaling on loopback, with the translation in front that
//! `tests/support/cloudwatch.py` describes; read back with boto3.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use serde_json::{json, Value};

use super::server::Start;
use super::{prepared, root};

/// A CloudWatch stand-in. Killed when dropped.
pub struct CloudWatch {
    child: Child,
    pub url: String,
}

fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(root().join("tests/support").join(script))
        .env("PYTHONPATH", prepared("python-cloudwatch"))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "eu-west-1")
        .stdin(Stdio::null());
    command
}

impl CloudWatch {
    /// Starts it on a free port.
    pub fn start() -> Self {
        let mut child = python("cloudwatch.py")
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("listening on ")?.trim().to_owned()))
            .expect("it says where it listens");
        // Whatever else it prints must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            url: format!("http://{address}"),
        }
    }

    /// What points AWS's SDKs at it, with a region and keys that mean nothing.
    pub fn environment(&self) -> [(&str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL_CLOUDWATCH", &self.url),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]
    }

    /// Points a server at it.
    pub fn for_server(&self, start: Start) -> Start {
        let pointed = |start: Start, (name, value)| start.env(name, value);
        let environment = self.environment().into_iter();
        environment.fold(start, pointed).of_an_endpoint()
    }

    /// Calls that were accepted and refused so far.
    pub fn captured(&self) -> Value {
        let mut response = ureq::get(format!("{}/_captured", self.url))
            .call()
            .expect("the stand-in answers");
        let text = response
            .body_mut()
            .with_config()
            .limit(1 << 28)
            .read_to_string()
            .expect("text");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Makes PutMetricData misbehave from now on.
    pub fn fault(&self, mode: &str, seconds: f64) {
        self.tell("_fault", &json!({"mode": mode, "seconds": seconds}));
    }

    /// Makes another operation misbehave from now on.
    pub fn fault_of(&self, operation: &str, mode: &str) {
        self.tell("_fault", &json!({"mode": mode, "operation": operation}));
    }

    /// What an operation that moto lacks answers from now on.
    pub fn answer(&self, operation: &str, answer: &Value) {
        self.tell(
            "_answer",
            &json!({"operation": operation, "answer": answer}),
        );
    }

    fn tell(&self, path: &str, wish: &Value) {
        ureq::post(format!("{}/{path}", self.url))
            .send(wish.to_string())
            .expect("the stand-in answers");
    }

    /// What boto3 is answered to calls, each with its service and operation in boto3's spelling.
    pub fn calls(&self, calls: &[(&str, &str, Value)]) -> Vec<Value> {
        let mut child = python("aws_call.py")
            .args(["--endpoint", &self.url, "--region", "eu-west-1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut stdin = child.stdin.take().expect("piped");
        stdin
            .write_all(json!(calls).to_string().as_bytes())
            .expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "aws_call.py failed");
        serde_json::from_slice(&output.stdout).expect("JSON answers")
    }

    /// What boto3 reads back of a namespace, one row per metric.
    pub fn read_back(&self, namespace: &str) -> Vec<Value> {
        let output = python("read_back.py")
            .args([
                "--endpoint",
                &self.url,
                "--namespace",
                namespace,
                "--region",
                "eu-west-1",
            ])
            .stderr(Stdio::inherit())
            .output()
            .expect("python3 runs");
        assert!(output.status.success(), "read_back.py failed");
        serde_json::from_slice(&output.stdout).expect("JSON rows")
    }
}

impl Drop for CloudWatch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
