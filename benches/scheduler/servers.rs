//! The command line, and servers on models of the store.

use std::path::PathBuf;
use std::time::Duration;

use benches::server::{self, Child, Start};
use benches::Result;
use probe::{Request, Target};

/// The command line.
pub(crate) struct Options {
    binary: Option<PathBuf>,
    pub(crate) interval: Duration,
    parts: Vec<String>,
}

impl Options {
    pub(crate) fn parse(words: &[String], parts: &[&str]) -> Result<Self> {
        let mut options = Self {
            binary: None,
            interval: Duration::from_millis(800),
            parts: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                // Cargo's own word for a bench.
                "--bench" => {}
                "--quick" => options.interval = Duration::from_millis(200),
                "--binary" => {
                    options.binary = Some(words.next().ok_or("--binary wants a path")?.into());
                }
                part if parts.contains(&part) => options.parts.push(part.to_owned()),
                other => {
                    return Err(format!(
                        "unknown option \"{other}\", expected --quick, --binary PATH, or of {}",
                        parts.join(", ")
                    )
                    .into())
                }
            }
        }
        Ok(options)
    }

    /// Whether a part was named, or none was.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }
}

/// The binary and the library.
pub(crate) struct Files {
    binary: PathBuf,
    library: PathBuf,
}

impl Files {
    pub(crate) fn find(options: &Options) -> Result<Self> {
        let library = server::library()?;
        let binary = match &options.binary {
            Some(path) => path.clone(),
            None => server::build()?,
        };
        Ok(Self { binary, library })
    }
}

/// A server on one model, and the request that asks it.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) request: Request,
    model: &'static str,
    /// Held for the model in it.
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts one bound to wherever this thread is bound to.
    pub(crate) fn start(
        files: &Files,
        model: &'static str,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("model"))?;
        std::fs::copy(
            server::model(model)?,
            folder.path().join("model/model.onnx"),
        )?;
        let start = Start {
            binary: &files.binary,
            library: &files.library,
            base_dir: folder.path(),
            log: folder.path().join("log"),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let mut child = start.spawn()?;
        start.wait_until_ready(&mut child)?;
        let (content_type, body) = match model {
            // A picture of nothing; its answers mean nothing either.
            "resnet50" => ("application/octet-stream", vec![0; 4 * 3 * 224 * 224]),
            _ => ("application/json", one_record(&server::request(model)?)?),
        };
        let target = Target::parse(&format!("http://127.0.0.1:{}/invocations", child.port()))?;
        let request = Request::post(&target, &[("content-type", content_type)], &body)?;
        Ok(Self {
            child,
            request,
            model,
            _folder: folder,
        })
    }

    /// A request for another path of it.
    pub(crate) fn get(&self, path: &str) -> Result<Request> {
        let target = format!("http://127.0.0.1:{}{path}", self.child.port());
        Ok(Request::get(&Target::parse(&target)?, &[])?)
    }

    /// An interval this many times as long holds enough of its runs.
    pub(crate) fn longer(&self) -> u32 {
        match self.model {
            "digits" | "churn" | "boosted" => 1,
            "resnet50" => 6,
            _ => 3,
        }
    }

    /// Resident memory.
    pub(crate) fn resident_mb(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|text| text.trim().strip_suffix("kB"));
        let kilobytes: f64 = kilobytes.ok_or("unreadable /proc status")?.trim().parse()?;
        Ok(kilobytes / 1024.0)
    }
}

/// The known request with the first of its records alone.
fn one_record(body: &[u8]) -> Result<Vec<u8>> {
    let mut document: serde_json::Value = serde_json::from_slice(body)?;
    if let Some(records) = document
        .get_mut("instances")
        .and_then(|list| list.as_array_mut())
    {
        records.truncate(1);
    }
    Ok(serde_json::to_vec(&document)?)
}
