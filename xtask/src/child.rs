//! Programs that never outlive the chore: they are killed when their handle is
//! dropped and when the chore is told to stop.

use std::process::{Child, Command, ExitStatus, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::command::cannot_start;
use crate::Result;

/// The processes now running.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Keeps a process in [`RUNNING`] as long as it lives.
struct Listed(Pid);

impl Listed {
    fn spawn(command: &mut Command) -> Result<(Child, Self)> {
        // Held over the start, so that a signal in between finds the process.
        let mut running = running();
        let child = command
            .spawn()
            .map_err(|error| cannot_start(command, &error))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        running.push(pid);
        Ok((child, Self(pid)))
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        running().retain(|pid| *pid != self.0);
    }
}

/// Runs a program to its end and gives back what went into its pipes.
pub fn output(command: &mut Command) -> Result<Output> {
    let (child, _listed) = Listed::spawn(command)?;
    child
        .wait_with_output()
        .map_err(|error| cannot_start(command, &error))
}

/// A program in the background.
pub struct Background {
    child: Child,
    listed: Listed,
}

impl Background {
    /// Starts a program.
    pub fn start(command: &mut Command) -> Result<Self> {
        let (child, listed) = Listed::spawn(command)?;
        Ok(Self { child, listed })
    }

    /// The process with its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How the program ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks the program to leave with SIGTERM and waits for it.
    ///
    /// # Errors
    ///
    /// When it is still there after `patience`.
    pub fn leave(mut self, patience: Duration) -> Result<ExitStatus> {
        kill(self.listed.0, Signal::SIGTERM)
            .map_err(|error| format!("cannot send SIGTERM: {error}"))?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!(
            "still running {} s after SIGTERM",
            patience.as_secs()
        ))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Unlisted after it is reaped: until then the number is its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From now on SIGINT, SIGTERM and SIGHUP end the chore and its children.
pub fn kill_all_on_signal() -> Result<()> {
    ctrlc::set_handler(|| {
        for pid in running().iter() {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        leave();
    })
    .map_err(|error| format!("cannot handle signals: {error}"))
}

#[expect(clippy::exit, reason = "a signal ends the chore wherever it stands")]
fn leave() -> ! {
    std::process::exit(130)
}

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Background {
        Background::start(Command::new("sleep").arg("600")).unwrap()
    }

    #[test]
    fn dropping_the_handle_ends_the_program() {
        let sleeper = sleeper();
        let pid = sleeper.listed.0;
        assert!(kill(pid, None).is_ok());
        drop(sleeper);
        assert!(kill(pid, None).is_err());
        assert!(!running().contains(&pid));
    }

    #[test]
    fn leaving_reports_how_the_program_ended() {
        let status = sleeper().leave(Duration::from_secs(10)).unwrap();
        assert!(!status.success());
    }
}
