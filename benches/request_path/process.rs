//! The processes under measure: started on the serving core, their CPU time read from the kernel,
//! gone when dropped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use probe::{Reply, Request, Target};

use crate::cores::Cores;
use crate::setup::Setup;
use crate::{bare, echo, Result};

/// A start that takes longer has failed.
const START_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Child {
    process: std::process::Child,
    port: u16,
}

impl Child {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// User and system time of all its threads so far.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
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

/// Starts `plimsoll serve` as shipped, on a folder that holds the model, and waits until it is
/// ready.
pub(crate) fn plimsoll(setup: &Setup, cores: &Cores) -> Result<Child> {
    let port = free_port()?;
    let log = setup.scratch().join("plimsoll.log");
    let mut command = Command::new(setup.binary());
    command.arg("serve");
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
        .env("SAGEMAKER_BASE_DIR", setup.base_dir())
        .env("SAGEMAKER_BIND_TO_PORT", port.to_string())
        .env("PLIMSOLL_ONNXRUNTIME_LIBRARY", setup.library())
        .stdin(Stdio::null())
        .stdout(File::create(&log)?)
        .stderr(File::options().append(true).open(&log)?);
    let process = cores.serving(|| Ok(command.spawn()?))?;
    let mut child = Child { process, port };
    wait_until_ready(&mut child, &log)?;
    Ok(child)
}

fn wait_until_ready(child: &mut Child, log: &PathBuf) -> Result<()> {
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
            let said = std::fs::read_to_string(log).unwrap_or_default();
            let state = gone.map_or("not ready in time".to_owned(), |status| status.to_string());
            return Err(format!("plimsoll serve did not start ({state}), it said:\n{said}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts the echo, answering with `reply`'s body, with or without a run of the model for each.
pub(crate) fn echo(setup: &Setup, cores: &Cores, reply: &Reply, model: bool) -> Result<Child> {
    let body = setup.scratch().join(format!("reply-{}", reply.body.len()));
    std::fs::write(&body, &reply.body)?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(echo::WORD)
        .arg(body)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if model {
        command.arg(setup.library()).arg(setup.model());
    }
    let process = cores.serving(|| Ok(command.spawn()?))?;
    let mut child = Child { process, port: 0 };
    let output = child
        .process
        .stdout
        .take()
        .ok_or("the echo has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    child.port = line.trim().parse().map_err(|_| "the echo did not start")?;
    Ok(child)
}

/// Runs the model in a process of its own for `time`: runs per CPU-second.
pub(crate) fn bare_onnx_runtime(setup: &Setup, cores: &Cores, time: Duration) -> Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(bare::WORD)
        .arg(setup.library())
        .arg(setup.model());
    command
        .arg(time.as_secs_f64().to_string())
        .stdin(Stdio::null());
    let child = cores.serving(|| Ok(command.stdout(Stdio::piped()).spawn()?))?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().unwrap_or_default();
    last.parse()
        .map_err(|_| format!("bare ONNX Runtime did not run: {last}").into())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
