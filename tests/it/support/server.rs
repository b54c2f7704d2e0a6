//! One `plimsoll serve` process, and requests to it.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::{eventually, fixture, prepared, root};

/// The binary under test, built once per test run.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        // The whole workspace with its tests selected, as `cargo test --workspace` has it: then
        // every dependency has the same features and none is compiled a second time.
        let output = Command::new(cargo)
            .args([
                "build",
                "--quiet",
                "--workspace",
                "--bin",
                "plimsoll",
                "--tests",
            ])
            .args(["--message-format", "json"])
            .current_dir(root())
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "plimsoll does not build");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|message| {
                message["target"]["name"] == "plimsoll"
                    && message["target"]["kind"][0] == "bin"
                    && message["profile"]["test"] == false
            })
            .filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
            .next_back()
            .expect("cargo names the executable")
    })
}

type Lines = Arc<Mutex<Vec<String>>>;

/// A server process. Killed when dropped.
pub struct Server {
    child: Child,
    /// Base URL, `http://HOST:PORT`.
    pub url: String,
    /// Where it is reached; loopback unless it has a network of its own.
    host: String,
    pub port: u16,
    stdout: Lines,
    stderr: Lines,
    readers: Vec<JoinHandle<()>>,
    _base: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The `error` of a refusal, after checking that it is one of this status.
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let json = self.json();
        assert_eq!(json["code"], status, "{json}");
        assert!(self.body.len() <= 2000, "{} bytes", self.body.len());
        json["error"].as_str().expect("an error text").to_owned()
    }
}

/// A server that is being started.
pub struct Start {
    command: Command,
    base: tempfile::TempDir,
    host: String,
}

impl Start {
    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// With the dimensions of its metrics said, which it would otherwise have from SageMaker.
    pub fn of_an_endpoint(self) -> Self {
        self.env("PLIMSOLL_ENDPOINT_NAME", "endpoint")
            .env("PLIMSOLL_VARIANT_NAME", "AllTraffic")
    }

    /// Publishing to stdout, in the embedded metric format.
    pub fn publishing_emf(self) -> Self {
        self.of_an_endpoint().env("PLIMSOLL_METRICS_ROUTE", "emf")
    }

    /// Leaves a variable of its environment out.
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Where it will be reached.
    pub fn at(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// A folder that lives as long as the server.
    pub fn folder(&self) -> &Path {
        self.base.path()
    }

    /// Starts it so that others go first: for servers that are kept busy while other tests run.
    pub fn nice(self) -> Self {
        self.through(&["nice", "-n", "19"])
    }

    /// Starts it through another command, such as `taskset -c 0`.
    pub fn through(mut self, prefix: &[&str]) -> Self {
        let mut command = Command::new(prefix[0]);
        command
            .args(&prefix[1..])
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        self.command = command;
        self
    }

    /// Gives it this stdout, which the test reads or does not.
    pub fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stdout(to);
        self
    }

    /// Starts it without waiting.
    pub fn spawn(mut self) -> Server {
        let mut child = self.command.spawn().expect("the binary starts");
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let mut readers = vec![collect(child.stderr.take().expect("piped"), &stderr)];
        readers.extend(child.stdout.take().map(|own| collect(own, &stdout)));
        Server {
            child,
            url: String::new(),
            host: self.host,
            port: 0,
            stdout,
            stderr,
            readers,
            _base: self.base,
        }
    }

    /// Starts it on a port that is known at once and waits until that is bound, model or not.
    pub fn bound(self) -> Server {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        self.bound_to(port)
    }

    /// Starts it on this port and waits until that is bound, model or not.
    pub fn bound_to(self, port: u16) -> Server {
        let start = self.env("SAGEMAKER_BIND_TO_PORT", &port.to_string());
        let mut server = start.spawn();
        server.is_at(port);
        let address = (server.host.clone(), port);
        eventually("the port is bound", Duration::from_secs(30), || {
            server.still_there();
            TcpStream::connect(&address).ok()
        });
        server
    }

    /// Starts it and waits until it is ready.
    pub fn ready(self) -> Server {
        let mut server = self.spawn();
        server.wait_until_ready();
        server
    }

    /// Starts it, expects it to end by itself, and returns its exit code and its log.
    pub fn refused(self) -> (Option<i32>, String) {
        let mut server = self.spawn();
        let status = server.wait(Duration::from_secs(30));
        server.join_readers();
        (status.code(), server.log())
    }
}

fn collect(stream: impl Read + Send + 'static, lines: &Lines) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    })
}

impl Server {
    /// A server on a fixture model.
    pub fn on(name: &str) -> Start {
        Self::on_folder(&fixture(name))
    }

    /// A server on any model folder.
    pub fn on_folder(folder: &Path) -> Start {
        let base = tempfile::tempdir().expect("a temporary folder");
        if folder.exists() {
            std::os::unix::fs::symlink(folder, base.path().join("model")).expect("a link");
        }
        let mut command = Command::new(binary());
        command
            .arg("serve")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("SAGEMAKER_BASE_DIR", base.path())
            .env("SAGEMAKER_BIND_TO_PORT", "0")
            .env(
                "PLIMSOLL_ONNXRUNTIME_LIBRARY",
                prepared("onnxruntime/libonnxruntime.so"),
            )
            // No container of ours has instance credentials; do not wait for them.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Start {
            command,
            base,
            host: "127.0.0.1".to_owned(),
        }
    }

    /// Waits for the line that says on which port it serves.
    pub fn wait_until_ready(&mut self) {
        let port = eventually("the server is ready", Duration::from_secs(60), || {
            self.still_there();
            self.log().lines().find_map(|line| {
                let (_, after) = line.split_once("0.0.0.0:")?;
                let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
                digits.parse().ok()
            })
        });
        self.is_at(port);
    }

    fn is_at(&mut self, port: u16) {
        self.port = port;
        self.url = format!("http://{}:{port}", self.host);
    }

    fn still_there(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("the server left with {status}:\n{}", self.log());
        }
    }

    /// Everything written to stderr so far.
    pub fn log(&self) -> String {
        self.stderr.lock().unwrap().join("\n")
    }

    /// Every line written to stdout so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.lock().unwrap().clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Most memory that it ever had in use, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// Memory that it has in use, in bytes.
    pub fn memory(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    fn status_bytes(&self, field: &str) -> u64 {
        let status = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(status).expect("it runs");
        let bytes = status.lines().find_map(|line| {
            let kilobytes = line.strip_prefix(field)?.trim().strip_suffix(" kB")?;
            kilobytes.parse::<u64>().ok()
        });
        1024 * bytes.expect(field)
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let child = &mut self.child;
        eventually("the server leaves", limit, || {
            child.try_wait().expect("wait")
        })
    }

    /// Waits until its output is read to the end; after [`Server::wait`].
    pub fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader");
        }
    }

    /// GET, POST, … of a path with headers and a body.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(100)))
            .build()
            .into();
        let request = request.body(body).expect("a request");
        let mut response = agent.run(request).expect("a response");
        let headers = response
            .headers()
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_str().unwrap_or("").to_owned()))
            .collect();
        Reply {
            status: response.status().as_u16(),
            headers,
            body: response
                .body_mut()
                .with_config()
                .limit(1 << 30)
                .read_to_vec()
                .expect("a body"),
        }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    /// POST /invocations of this type.
    pub fn invoke(&self, content_type: &str, body: impl AsRef<[u8]>) -> Reply {
        let headers = [("Content-Type", content_type)];
        self.send("POST", "/invocations", &headers, body.as_ref())
    }

    /// POST /invocations of JSON; the JSON reply of a 200.
    pub fn ask(&self, body: &Value) -> Value {
        let reply = self.invoke("application/json", body.to_string());
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// POST /invocations with an `Accept`.
    pub fn invoke_accepting(
        &self,
        content_type: &str,
        accept: &str,
        body: impl AsRef<[u8]>,
    ) -> Reply {
        let headers = [("Content-Type", content_type), ("Accept", accept)];
        self.send("POST", "/invocations", &headers, body.as_ref())
    }

    /// A plain connection, for what no client library would send.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).expect("a connection");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a timeout");
        stream
    }
}

/// Sends a signal to a process by name.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{name} {process}")])
        .status();
    assert!(sent.is_ok_and(|s| s.success()), "kill -{name}");
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
