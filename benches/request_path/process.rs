//! The processes under measure: started on the serving core, their CPU time read from the kernel,
//! gone when dropped.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use benches::cores::Cores;
use benches::server::Child;
use probe::Reply;

use crate::setup::Setup;
use crate::{bare, echo, Result};

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
        describe_model(&mut command, setup);
    }
    let mut process = cores.serving(|| Ok(command.spawn()?))?;
    let output = process.stdout.take().ok_or("the echo has no output")?;
    // Killed with the child from here on, whatever it says.
    let mut child = Child::new(process, 0);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let port = line.trim().parse().map_err(|_| "the echo did not start")?;
    child.listens_on(port);
    Ok(child)
}

/// Runs the model in a process of its own for `time`: runs per CPU-second.
pub(crate) fn bare_onnx_runtime(setup: &Setup, cores: &Cores, time: Duration) -> Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    describe_model(command.arg(bare::WORD), setup);
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

/// What [`bare::Bare::open`] takes, as words.
fn describe_model(command: &mut Command, setup: &Setup) {
    command
        .arg(setup.library())
        .arg(setup.file())
        .arg(setup.model().free_axis.to_string());
}
