//! Where a server runs for clients: here, as the binary, or in a container of the image.
//!
//! Either way on loopback, with one model and nothing of the user's own settings.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::child::Background;
use crate::command::{captured, quietly};
use crate::server::free_port;
use crate::store::{cannot, create_dir, read_text, remove_dir, Store};
use crate::{onnxruntime, Result};

const START_PATIENCE: Duration = Duration::from_secs(60);
/// What SageMaker allows between SIGTERM and SIGKILL.
const LEAVE_PATIENCE: Duration = Duration::from_secs(30);

/// Where servers run.
pub enum Host {
    /// This binary.
    Binary(PathBuf),
    /// Containers of an image.
    Image {
        /// The engine's command.
        engine: &'static str,
        /// The image's name.
        tag: String,
    },
}

/// A server on one model.
pub struct Serving {
    /// Its address, as `http://127.0.0.1:PORT`.
    pub url: String,
    log: PathBuf,
    process: Background,
    container: Option<Container>,
}

/// A container, which goes with its handle.
struct Container {
    engine: &'static str,
    name: String,
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = captured(Command::new(self.engine).args(["rm", "--force", &self.name]));
    }
}

impl Host {
    /// An image that is there.
    pub fn image(tag: &str) -> Result<Self> {
        // Local mode knows docker alone.
        let engine = "docker";
        quietly(Command::new(engine).args(["image", "inspect", tag]))
            .map_err(|error| format!("no image {tag} (`cargo xtask image` builds it): {error}"))?;
        Ok(Self::Image {
            engine,
            tag: tag.to_owned(),
        })
    }

    /// Starts a server on a model and waits until it is ready.
    pub fn serve(&self, store: &Store, model: &str, folder: &Path) -> Result<Serving> {
        let port = free_port()?;
        let (mut command, container) = match self {
            Self::Binary(binary) => (local(store, binary, model, folder, port)?, None),
            Self::Image { engine, tag } => {
                let engine: &'static str = engine;
                let name = format!("plimsoll-clients-{}-{model}", std::process::id());
                let mut command = Command::new(engine);
                command
                    .args(["run", "--rm", "--name", &name])
                    .args(["--publish", &format!("127.0.0.1:{port}:8080")])
                    .args([
                        "--volume",
                        &format!("{}:/opt/ml/model:ro", folder.display()),
                    ])
                    .args([tag.as_str(), "serve"]);
                (command, Some(Container { engine, name }))
            }
        };
        let log = store.path("clients").join(format!("{model}.log"));
        create_dir(&store.path("clients"))?;
        let file = File::create(&log).map_err(|error| cannot("create", &log, &error))?;
        let again = file
            .try_clone()
            .map_err(|error| cannot("share", &log, &error))?;
        command.stdin(Stdio::null()).stdout(again).stderr(file);
        let mut serving = Serving {
            url: format!("http://127.0.0.1:{port}"),
            log,
            process: Background::start(&mut command)?,
            container,
        };
        serving.wait_until_ready(model)?;
        Ok(serving)
    }
}

/// `plimsoll serve` with an empty environment.
fn local(store: &Store, binary: &Path, model: &str, folder: &Path, port: u16) -> Result<Command> {
    let base = store.path("clients").join(model);
    remove_dir(&base)?;
    create_dir(&base)?;
    std::os::unix::fs::symlink(folder, base.join("model"))
        .map_err(|error| format!("cannot link {}: {error}", folder.display()))?;
    let mut command = Command::new(binary);
    command
        .arg("serve")
        .env_clear()
        .env("SAGEMAKER_BASE_DIR", base)
        .env("SAGEMAKER_BIND_TO_PORT", port.to_string())
        .env(
            "PLIMSOLL_ONNXRUNTIME_LIBRARY",
            store.path(onnxruntime::NAME).join("libonnxruntime.so"),
        )
        .env("AWS_EC2_METADATA_DISABLED", "true");
    Ok(command)
}

impl Serving {
    fn wait_until_ready(&mut self, model: &str) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < START_PATIENCE {
            if let Some(status) = self.process.ended() {
                let said = read_text(&self.log)?;
                return Err(format!("the server on {model} left with {status}:\n{said}"));
            }
            if ureq::get(format!("{}/ping", self.url)).call().is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        let seconds = START_PATIENCE.as_secs();
        Err(format!(
            "the server on {model} is not ready after {seconds} s"
        ))
    }

    /// Asks it to leave; anything but exit status 0 in time is an error.
    pub fn leave(self) -> Result<()> {
        // The engine hands the signal on and leaves with the container's own status.
        let status = self.process.leave(LEAVE_PATIENCE)?;
        drop(self.container);
        match status.success() {
            true => Ok(()),
            false => Err(format!(
                "a server left with {status}, expected exit status 0"
            )),
        }
    }
}
