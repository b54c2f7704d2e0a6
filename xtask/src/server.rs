//! `plimsoll serve` on magika in the background, set up as SageMaker would.
//!
//! It sees nothing of the user's own AWS settings, and its metrics go to the
//! CloudWatch stand-in.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::child::Background;
use crate::cloudwatch::StandIn;
use crate::store::{cannot, copy, create_dir, read_text, remove_dir, workspace, Store};
use crate::{onnxruntime, Result};

/// CloudWatch namespace of its metrics.
pub const NAMESPACE: &str = "Plimsoll";

const START_PATIENCE: Duration = Duration::from_secs(60);
/// What SageMaker allows between SIGTERM and SIGKILL.
const LEAVE_PATIENCE: Duration = Duration::from_secs(30);

/// `plimsoll serve` on magika.
pub struct Server {
    /// Its address, as `http://127.0.0.1:PORT`.
    pub url: String,
    log: PathBuf,
    process: Background,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub fn start(store: &Store, binary: &Path, cloudwatch: &StandIn) -> Result<Self> {
        let base = store.path("demo");
        remove_dir(&base)?;
        create_dir(&base.join("model"))?;
        for file in ["model.onnx", "plimsoll.toml"] {
            copy(
                &store.path("models/magika").join(file),
                &base.join("model").join(file),
            )?;
        }
        let log = log_of(store);
        let log_file = File::create(&log).map_err(|error| cannot("create", &log, &error))?;
        let port = free_port()?;

        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if ["AWS_", "PLIMSOLL_", "SAGEMAKER_"]
                .iter()
                .any(|ours| name_text.starts_with(ours))
            {
                command.env_remove(&name);
            }
        }
        command
            .arg("serve")
            .env("SAGEMAKER_BASE_DIR", &base)
            .env("SAGEMAKER_BIND_TO_PORT", port.to_string())
            .env("PLIMSOLL_NAMESPACE", NAMESPACE)
            .env("PLIMSOLL_ENDPOINT_NAME", "demo")
            .env("PLIMSOLL_VARIANT_NAME", "AllTraffic")
            .env("AWS_ACCESS_KEY_ID", "demo")
            .env("AWS_SECRET_ACCESS_KEY", "demo")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL_CLOUDWATCH", &cloudwatch.url)
            .current_dir(workspace())
            .stdin(Stdio::null())
            .stdout(
                log_file
                    .try_clone()
                    .map_err(|error| cannot("share", &log, &error))?,
            )
            .stderr(log_file);
        // Found without help, unless cargo was told to build somewhere else.
        if !binary.starts_with(workspace()) {
            let library = store.path(onnxruntime::NAME).join("libonnxruntime.so");
            command.env("PLIMSOLL_ONNXRUNTIME_LIBRARY", library);
        }
        let url = format!("http://127.0.0.1:{port}");
        let mut server = Self {
            url,
            log,
            process: Background::start(&mut command)?,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Waits for a 200 on `/ping`.
    fn wait_until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < START_PATIENCE {
            if let Some(status) = self.process.ended() {
                return Err(format!(
                    "plimsoll serve left with {status}:\n{}",
                    self.said()?
                ));
            }
            if ureq::get(format!("{}/ping", self.url)).call().is_ok() {
                println!(
                    "  ready after {} ms, at {}",
                    start.elapsed().as_millis(),
                    self.url
                );
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        let seconds = START_PATIENCE.as_secs();
        Err(format!(
            "no 200 on /ping within {seconds} s, the server said:\n{}",
            self.said()?
        ))
    }

    /// Everything that it printed so far.
    pub fn said(&self) -> Result<String> {
        read_text(&self.log)
    }

    /// Asks it to leave; anything but exit status 0 in time is an error.
    pub fn leave(self) -> Result<()> {
        let start = Instant::now();
        let status = self.process.leave(LEAVE_PATIENCE)?;
        println!(
            "  it left after {:.1} s with {status}",
            start.elapsed().as_secs_f64()
        );
        if status.success() {
            return Ok(());
        }
        Err(format!(
            "exit status 0 was expected; {} has the reason",
            self.log.display()
        ))
    }
}

/// Where the server's output goes.
pub fn log_of(store: &Store) -> PathBuf {
    store.path("demo").join("serve.log")
}

/// A port that was free a moment ago: the server is told one, as on SageMaker.
pub fn free_port() -> Result<u16> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port on loopback: {error}"))
}
