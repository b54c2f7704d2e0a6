//! `cargo xtask clients [NAME…] [--image TAG]`: real clients against a running server.
//!
//! `tests/clients/` has a script for each, which prints a line for each check and their number;
//! the packages that it needs are pinned there. Without `--image` the server is the binary that is
//! built here; with it, containers of that image, for which an engine is needed. Local mode starts
//! its containers itself, so it always needs the image.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::command::{aloud, captured};
use crate::host::{Host, Serving};
use crate::python::{packages, packages_alone, python};
use crate::step::{step, Outcome};
use crate::store::{workspace, Store};
use crate::{binary, cloudwatch, fixtures, models, onnxruntime, packages as system, Result};

/// What installs a client's packages.
type Install = fn(&Store, &str, &str) -> Result<Outcome>;

/// A client.
struct Client {
    name: &'static str,
    /// In `tests/clients/`.
    script: &'static str,
    /// Its packages in the store; none where it is no Python.
    packages: Option<&'static str>,
    /// The file in `tests/clients/` that pins them, and how they are installed; none where they are
    /// those of the CloudWatch stand-in.
    pinned: Option<(&'static str, Install)>,
    /// The models that it wants servers on, or, if it starts them itself, the folders of.
    models: &'static [&'static str],
    starts_itself: bool,
}

static CLIENTS: [Client; 6] = [
    Client {
        name: "curl",
        script: "curl.sh",
        packages: None,
        pinned: None,
        models: &["sum4"],
        starts_itself: false,
    },
    Client {
        name: "boto3",
        script: "runtime.py",
        packages: Some(cloudwatch::PACKAGES),
        pinned: None,
        models: &["digits", "gather", "total"],
        starts_itself: false,
    },
    Client {
        name: "tritonclient",
        script: "triton.py",
        packages: Some("python-tritonclient"),
        pinned: Some(("requirements-tritonclient.txt", packages as Install)),
        models: &["digits", "mix", "str", "bf16"],
        starts_itself: false,
    },
    Client {
        name: "locust",
        script: "locust_load.py",
        packages: Some("python-locust"),
        pinned: Some(("requirements-locust.txt", packages as Install)),
        models: &["digits"],
        starts_itself: false,
    },
    Client {
        name: "sagemaker-2",
        script: "local_mode.py",
        packages: Some("python-sagemaker-2"),
        pinned: Some(("requirements-sagemaker-2.txt", packages as Install)),
        models: &["digits", "churn", "sum4"],
        starts_itself: true,
    },
    Client {
        name: "sagemaker-3",
        script: "local_mode.py",
        packages: Some("python-sagemaker-3"),
        pinned: Some(("requirements-sagemaker-3.txt", packages_alone as Install)),
        models: &["digits", "churn", "sum4"],
        starts_itself: true,
    },
];
/// The image that `cargo xtask image` builds.
const IMAGE: &str = concat!("plimsoll:", env!("CARGO_PKG_VERSION"));
/// The demo models among those; the others are fixtures.
const DEMO_MODELS: [&str; 2] = ["digits", "churn"];

/// The chore.
pub fn run(arguments: &[String]) -> Result<()> {
    let wanted = parse(arguments)?;
    let store = Store::of_workspace();
    for client in &wanted.clients {
        client.ensure(&store)?;
    }
    models::ensure(&store, &DEMO_MODELS)?;
    fixtures::ensure(&store)?;
    if wanted.clients.iter().any(|client| client.starts_itself) {
        ensure_compose()?;
    }
    let host = match &wanted.image {
        Some(image) => Host::image(image)?,
        None => {
            onnxruntime::ensure(&store)?;
            Host::Binary(binary::development()?)
        }
    };
    let mut failed = Vec::new();
    for client in &wanted.clients {
        let begun = Instant::now();
        println!("{}", client.name);
        if let Err(error) = client.run(&store, &host) {
            println!("{error}");
            failed.push(client.name);
        }
        println!("  {:.1} s", begun.elapsed().as_secs_f64());
    }
    match failed.as_slice() {
        [] => Ok(()),
        some => Err(format!("not everything is well with {}", some.join(", "))),
    }
}

/// What local mode starts its containers with: the engine's own part, or the program of before.
fn ensure_compose() -> Result<()> {
    let own = captured(Command::new("docker").args(["compose", "version"]));
    if own.is_ok_and(|output| output.status.success()) || system::has("docker-compose") {
        return Ok(());
    }
    println!("  installing docker-compose");
    system::install(&["docker-compose"]).map_err(|why| {
        format!(
            "the SageMaker SDK's local mode needs docker-compose, which cannot be installed: {why}"
        )
    })
}

/// Installs what the clients need that the tests run too.
pub fn ensure(store: &Store) -> Result<()> {
    let mut tested = CLIENTS.iter().filter(|client| !client.starts_itself);
    tested.try_for_each(|client| client.ensure(store))
}

/// What was asked for.
struct Wanted {
    clients: Vec<&'static Client>,
    /// None for the binary.
    image: Option<String>,
}

fn parse(arguments: &[String]) -> Result<Wanted> {
    let mut names = Vec::new();
    let mut image = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--image" => {
                let tag = rest.next().ok_or("--image takes the image's name")?;
                image = Some(tag.clone());
            }
            name => names.push(name),
        }
    }
    let known = || {
        let names: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
        names.join(", ")
    };
    let mut clients = Vec::new();
    for name in &names {
        let client = CLIENTS.iter().find(|client| client.name == *name);
        clients
            .push(client.ok_or_else(|| format!("no such client: {name}; there are {}", known()))?);
    }
    if clients.is_empty() {
        let fits = |client: &&Client| image.is_some() || !client.starts_itself;
        clients.extend(CLIENTS.iter().filter(fits));
    }
    if image.is_none() {
        if let Some(client) = clients.iter().find(|client| client.starts_itself) {
            return Err(format!(
                "{} starts containers: expected --image {}, which `cargo xtask image` builds",
                client.name, IMAGE
            ));
        }
    }
    Ok(Wanted { clients, image })
}

impl Client {
    fn ensure(&self, store: &Store) -> Result<()> {
        match (self.packages, self.pinned) {
            (Some(folder), Some((file, install))) => {
                step(&format!("Python packages of {}", self.name), || {
                    install(store, folder, &format!("tests/clients/{file}"))
                })
            }
            (Some(_), None) => cloudwatch::ensure(store),
            (None, _) => Ok(()),
        }
    }

    fn run(&self, store: &Store, host: &Host) -> Result<()> {
        let mut servers = Vec::new();
        let mut command = self.command(store);
        for model in self.models {
            let folder = model_folder(store, model);
            let value = if self.starts_itself {
                folder.display().to_string()
            } else {
                servers.push(host.serve(store, model, &folder)?);
                servers
                    .last()
                    .map(|server| server.url.clone())
                    .unwrap_or_default()
            };
            // A shell script takes its one server as it is.
            if self.packages.is_some() {
                command.arg(format!("--{model}"));
            }
            command.arg(value);
        }
        if let (true, Host::Image { tag, .. }) = (self.starts_itself, host) {
            command.args(["--image", tag]);
        }
        let ran = aloud(&mut command);
        let left = servers.into_iter().try_for_each(Serving::leave);
        ran.and(left)
    }

    fn command(&self, store: &Store) -> Command {
        let script = workspace().join("tests/clients").join(self.script);
        let mut command = match self.packages {
            Some(folder) => python(Some(&store.path(folder))),
            None => Command::new("sh"),
        };
        // What they learn of AWS is what they are told here.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(script);
        command
    }
}

fn model_folder(store: &Store, model: &str) -> PathBuf {
    let folder = if DEMO_MODELS.contains(&model) {
        "models"
    } else {
        "fixtures"
    };
    store.path(folder).join(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Result<Vec<&'static str>> {
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        let clients = parse(&arguments)?.clients.into_iter();
        Ok(clients.map(|client| client.name).collect())
    }

    #[test]
    fn without_an_image_those_that_need_one_are_left_out() {
        let all: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
        assert_eq!(names(&["--image", "a:1"]), Ok(all.clone()));
        assert_eq!(names(&[]), Ok(all[..4].to_vec()));
        assert_eq!(names(&["locust", "curl"]), Ok(vec!["locust", "curl"]));
        assert!(names(&["sagemaker-2"]).is_err_and(|error| error.contains("--image")));
        assert!(names(&["wget"]).is_err_and(|error| error.contains("there are curl")));
        assert!(names(&["--image"]).is_err());
    }

    #[test]
    fn every_script_is_there() {
        for client in &CLIENTS {
            let folder = workspace().join("tests/clients");
            assert!(folder.join(client.script).exists(), "{}", client.script);
            if let Some((file, _)) = client.pinned {
                assert!(folder.join(file).exists(), "{file}");
            }
        }
    }
}
