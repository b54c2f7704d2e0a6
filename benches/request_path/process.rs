//! The echoes under measure: started on the serving core, gone when dropped.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use benches::cores::Cores;
use benches::server::Child;
use probe::Reply;

use crate::setup::Setup;
use crate::{echo, Result};

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

/// What `Bare::open` takes, as words.
fn describe_model(command: &mut Command, setup: &Setup) {
    let bare = setup.bare();
    command
        .args([bare.library, bare.file])
        .arg(bare.axes.to_string());
}
