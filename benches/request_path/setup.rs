//! What is measured and where it lies: the binary, the model, the library. What is missing is said
//! with the command that makes it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use benches::bare::{self, Axes};
use benches::options::Options;
use benches::server;

use crate::cases::Model;
use crate::Result;

/// Length of a measured interval at saturation, and of one over a single connection.
pub(crate) fn intervals(options: &Options) -> (Duration, Duration) {
    let ms = |long, short| (Duration::from_millis(long), Duration::from_millis(short));
    if options.quick {
        ms(150, 50)
    } else {
        ms(700, 200)
    }
}

pub(crate) struct Setup {
    binary: PathBuf,
    model: &'static Model,
    file: PathBuf,
    library: PathBuf,
    scratch: tempfile::TempDir,
}

impl Setup {
    /// Finds or builds everything, and lays the model out as SageMaker does.
    pub(crate) fn find(options: &Options, model: &'static Model) -> Result<Self> {
        let file = server::model(model.name)?;
        let library = server::library()?;
        let binary = options.server()?;
        let scratch = tempfile::tempdir()?;
        std::fs::create_dir(scratch.path().join("model"))?;
        std::fs::copy(&file, scratch.path().join("model/model.onnx"))?;
        Ok(Self {
            binary,
            model,
            file,
            library,
            scratch,
        })
    }

    pub(crate) fn model(&self) -> &'static Model {
        self.model
    }

    /// The model alone.
    pub(crate) fn bare(&self) -> bare::Model<'_> {
        bare::Model {
            library: &self.library,
            file: &self.file,
            axes: Axes::one_record(self.model.free_axis as i64),
        }
    }

    /// What starts the server.
    pub(crate) fn server(&self) -> server::Start<'_> {
        server::Start {
            binary: &self.binary,
            word: "serve",
            library: &self.library,
            base_dir: self.base_dir(),
            log: self.scratch.path().join("plimsoll.log"),
            environment: (self.model.environment.iter())
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    /// The folder that stands for `/opt/ml`.
    pub(crate) fn base_dir(&self) -> &Path {
        self.scratch.path()
    }

    /// Where logs and replies go.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The software in a line.
    pub(crate) fn describe(&self) -> String {
        let size = |path: &Path| path.metadata().map_or(0, |data| data.len()) as f64 / 1e6;
        let version = Command::new(&self.binary).arg("--version").output();
        let version = version.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
        format!(
            "{} ({:.1} MB){}, ONNX Runtime library of {:.1} MB, one intra-op thread",
            version
                .ok()
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| "plimsoll".into()),
            size(&self.binary),
            (self.model.environment.iter())
                .map(|(name, value)| format!(", {name}={value}"))
                .collect::<String>(),
            size(&self.library),
        )
    }
}
