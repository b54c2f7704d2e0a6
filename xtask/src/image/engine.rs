//! The container engine: one that answers, or Docker, installed and started here.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{cannot_start, captured, quietly};
use crate::store::{cannot, create_dir, read_text, Store};
use crate::{packages, Result};

/// How long a fresh engine may take to answer.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// A package may start its own engine at once.
const SERVICE_PATIENCE: Duration = Duration::from_secs(5);

/// How it is started: as it likes, or with what works without the kernel's packet filter and
/// without overlay file systems.
const FLAGS: [&[&str]; 2] = [&[], &["--iptables=false", "--storage-driver=vfs"]];

/// Why there is no engine.
pub enum NoEngine {
    /// This process may not start one.
    NotAllowed(String),
    /// It may, and what it needs for that failed.
    Failed(String),
}

impl From<NoEngine> for String {
    fn from(why: NoEngine) -> Self {
        match why {
            NoEngine::NotAllowed(why) | NoEngine::Failed(why) => why,
        }
    }
}

/// A container engine that answers.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    program: &'static str,
}

impl Engine {
    /// The engine that answers, or one that is started; installed first where there is none.
    ///
    /// # Errors
    /// Where none answers and none can be started here, with what a person has to do.
    pub fn ensure(store: &Store) -> std::result::Result<Self, NoEngine> {
        if let Some(engine) = Self::answering() {
            return Ok(engine);
        }
        if !is_root() {
            return Err(NoEngine::NotAllowed(
                "no container engine answers, and only root may install and start one: start \
                 docker or podman so that `docker info` works for this user"
                    .to_owned(),
            ));
        }
        if !packages::has("dockerd") {
            println!("  installing docker.io");
            packages::install(&["docker.io"]).map_err(|why| {
                NoEngine::Failed(format!(
                    "no container engine answers and docker.io cannot be installed: {why}"
                ))
            })?;
            if let Some(engine) = wait_for(SERVICE_PATIENCE, || false) {
                return Ok(engine);
            }
        }
        start(store).map_err(NoEngine::Failed)?.ok_or_else(|| {
            let log = log_of(store);
            let said = read_text(&log).unwrap_or_default();
            NoEngine::NotAllowed(format!(
                "dockerd does not start here ({}); {} has what it said; a container without \
                 privileges cannot run an engine of its own",
                said.lines().last().unwrap_or("nothing"),
                log.display()
            ))
        })
    }

    fn answering() -> Option<Self> {
        ["docker", "podman"]
            .into_iter()
            .find(|program| {
                captured(Command::new(program).arg("info"))
                    .is_ok_and(|output| output.status.success())
            })
            .map(|program| Self { program })
    }

    /// The command to give it.
    pub fn command(self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        // Prints the layers as plain lines where it knows how.
        command.env("BUILDKIT_PROGRESS", "plain").args(arguments);
        command
    }

    /// What a command prints, less the white space around it.
    pub fn ask(self, arguments: &[&str]) -> Result<String> {
        Ok(quietly(&mut self.command(arguments))?.trim().to_owned())
    }

    /// Whether it has an image of this name.
    pub fn has_image(self, name: &str) -> bool {
        self.ask(&["image", "inspect", name]).is_ok()
    }
}

/// Whether this process may install packages and start engines.
pub fn is_root() -> bool {
    Path::new("/proc/self")
        .metadata()
        .is_ok_and(|metadata| metadata.uid() == 0)
}

fn log_of(store: &Store) -> PathBuf {
    store.path("dockerd.log")
}

/// Starts Docker's engine in the background, where it stays; none where it ends again.
fn start(store: &Store) -> Result<Option<Engine>> {
    let log = log_of(store);
    create_dir(&store.path(""))?;
    for flags in FLAGS {
        let mut daemon = spawn(flags, &log)?;
        let ended = || daemon.try_wait().is_ok_and(|status| status.is_some());
        if let Some(engine) = wait_for(START_PATIENCE, ended) {
            println!(
                "  started dockerd, process {}; it stays until it is told to stop (kill {0})",
                daemon.id()
            );
            return Ok(Some(engine));
        }
        let _ = daemon.kill();
        let _ = daemon.wait();
    }
    Ok(None)
}

fn spawn(flags: &[&str], log: &Path) -> Result<Child> {
    let file = File::create(log).map_err(|error| cannot("create", log, &error))?;
    let copy = file
        .try_clone()
        .map_err(|error| cannot("write", log, &error))?;
    let mut daemon = Command::new("dockerd");
    daemon
        .args(flags)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy)
        // Not of this terminal: Ctrl-C is meant for the chore.
        .process_group(0);
    daemon
        .spawn()
        .map_err(|error| cannot_start(&daemon, &error))
}

/// Waits until an engine answers, or `ended` says that none will.
fn wait_for(patience: Duration, mut ended: impl FnMut() -> bool) -> Option<Engine> {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if let Some(engine) = Engine::answering() {
            return Some(engine);
        }
        if ended() {
            return None;
        }
        thread::sleep(Duration::from_millis(200));
    }
    None
}
