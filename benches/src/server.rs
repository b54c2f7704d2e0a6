//! `plimsoll serve` as it ships, on a model of the store.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use probe::{Request, Target};

use crate::Result;

/// A start that takes longer has failed.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A process under measure, gone when dropped.
pub struct Child {
    process: std::process::Child,
    port: u16,
}

impl Child {
    /// Holds a process that listens, or will listen, on a port.
    #[must_use]
    pub fn new(process: std::process::Child, port: u16) -> Self {
        Self { process, port }
    }

    /// It listens on this port.
    pub fn listens_on(&mut self, port: u16) {
        self.port = port;
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// CPU time of all its threads so far, seconds: to the nanosecond where the kernel keeps it
    /// (`/proc/PID/task/*/schedstat`), otherwise to its clock tick. Threads that have ended are not in it.
    ///
    /// # Errors
    /// The process is gone.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let mut total = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else {
                return self.ticked_cpu_seconds();
            };
            let first = text.split_whitespace().next();
            total += first.ok_or("unreadable /proc schedstat")?.parse::<u64>()?;
        }
        Ok(total as f64 / 1e9)
    }

    fn ticked_cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The name, in brackets, may hold anything; after it `utime` and `stime` are 12th and 13th.
        let (_, rest) = stat.rsplit_once(')').ok_or("unreadable /proc stat")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |index: usize| -> Result<u64> {
            Ok(fields.get(index).ok_or("unreadable /proc stat")?.parse()?)
        };
        Ok((ticks(11)? + ticks(12)?) as f64 / rustix::param::clock_ticks_per_second() as f64)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// How to start the server.
pub struct Start<'a> {
    /// The binary.
    pub binary: &'a Path,
    /// What makes it serve.
    pub word: &'a str,
    /// ONNX Runtime's library.
    pub library: &'a Path,
    /// The folder that stands for `/opt/ml`.
    pub base_dir: &'a Path,
    /// Where its output goes.
    pub log: PathBuf,
    /// Settings beside these.
    pub environment: Vec<(String, String)>,
}

impl Start<'_> {
    /// Starts the server bound to wherever this thread is bound to; [`Start::wait_until_ready`] comes next.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&self) -> Result<Child> {
        self.spawn_with(None)
    }

    /// The same with a stdout of its own.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn_with(&self, stdout: Option<Stdio>) -> Result<Child> {
        let log = File::create(&self.log)?;
        let port = free_port()?;
        let mut command = Command::new(self.binary);
        command.arg(self.word);
        // As shipped: nothing of the caller's environment changes what is measured.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["PLIMSOLL_", "SAGEMAKER_", "AWS_", "ORT_", "RUST_"]
                .iter()
                .any(|p| name.starts_with(p))
            {
                command.env_remove(name.as_ref());
            }
        }
        command
            .env("SAGEMAKER_BASE_DIR", self.base_dir)
            .env("SAGEMAKER_BIND_TO_PORT", port.to_string())
            .env("PLIMSOLL_ONNXRUNTIME_LIBRARY", self.library)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout.unwrap_or_else(|| log.into()))
            .stderr(File::options().append(true).open(&self.log)?);
        Ok(Child::new(command.spawn()?, port))
    }

    /// Waits until the server answers `/ping` with 200.
    ///
    /// # Errors
    /// It ends or takes too long, with what it said.
    pub fn wait_until_ready(&self, child: &mut Child) -> Result<()> {
        let ping = Target::parse(&format!("http://127.0.0.1:{}/ping", child.port))?;
        let ping = Request::get(&ping, &[])?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let begun = Instant::now();
        loop {
            if runtime
                .block_on(probe::once(&ping))
                .is_ok_and(|reply| reply.status == 200)
            {
                return Ok(());
            }
            let gone = child.process.try_wait()?;
            if gone.is_some() || begun.elapsed() > START_TIMEOUT {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                let state =
                    gone.map_or("not ready in time".to_owned(), |status| status.to_string());
                return Err(
                    format!("plimsoll serve did not start ({state}), it said:\n{said}").into(),
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn root() -> Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()?)
}

/// A model of the store.
///
/// # Errors
/// It is missing, with the command that makes it.
pub fn model(name: &str) -> Result<PathBuf> {
    let file = format!(".plimsoll/models/{name}/model.onnx");
    present(root()?.join(file), &format!("cargo xtask models {name}"))
}

/// One of the tests' small models.
///
/// # Errors
/// It is missing, with the command that makes it.
pub fn fixture(name: &str) -> Result<PathBuf> {
    let file = format!(".plimsoll/fixtures/{name}/model.onnx");
    present(root()?.join(file), "cargo xtask fixtures")
}

/// ONNX Runtime's library of the store.
///
/// # Errors
/// It is missing, with the command that fetches it.
pub fn library() -> Result<PathBuf> {
    let file = root()?.join(".plimsoll/onnxruntime/libonnxruntime.so");
    present(file, "cargo xtask onnxruntime")
}

/// A demo model's known request, as JSON.
///
/// # Errors
/// There is none.
pub fn request(name: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(
        root()?.join("models").join(name).join("request.json"),
    )?)
}

fn present(path: PathBuf, maker: &str) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("{} is missing: run `{maker}`", path.display()).into())
}

/// Builds the server as it ships: a stale binary would be measured otherwise.
///
/// # Errors
/// It does not build.
pub fn build() -> Result<PathBuf> {
    let root = root()?;
    eprintln!("building plimsoll as it ships (minutes, the first time)");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "--quiet", "--package", "plimsoll"])
        .current_dir(&root);
    if !command.status()?.success() {
        return Err("cargo build --release --package plimsoll failed".into());
    }
    // This program lies in `<target>/release/deps`.
    let this = std::env::current_exe()?;
    let folder = this
        .parent()
        .and_then(Path::parent)
        .ok_or("this program has no folder")?;
    present(
        folder.join("plimsoll"),
        "cargo build --release --package plimsoll",
    )
}
