//! A server on one model of the store, and the request that asks it.

use std::path::{Path, PathBuf};

use probe::{Request, Target};

use crate::memory;
use crate::options::Options;
use crate::server::{self, Child, Start};
use crate::Result;

/// The program that serves and ONNX Runtime's library.
pub struct Files {
    /// The program.
    pub binary: PathBuf,
    /// What makes it serve.
    pub word: &'static str,
    /// ONNX Runtime's library.
    pub library: PathBuf,
}

/// What is sent to `/invocations`.
pub struct Body {
    /// Its type.
    pub content_type: String,
    /// The type of the reply; none leaves it to the server.
    pub accept: Option<&'static str>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Body {
    /// A model's known request with the first of its records alone, as JSON; a picture of nothing for
    /// resnet50, whose answers mean nothing either.
    ///
    /// # Errors
    /// The model has no known request.
    pub fn of(model: &str) -> Result<Self> {
        let (content_type, bytes) = match model {
            "resnet50" => ("application/octet-stream", vec![0; 4 * 3 * 224 * 224]),
            _ => ("application/json", one_record(&server::request(model)?)?),
        };
        Ok(Self {
            content_type: content_type.to_owned(),
            accept: None,
            bytes,
        })
    }

    /// The request that carries it.
    ///
    /// # Errors
    /// A header that cannot be sent.
    pub fn sent_to(&self, target: &Target) -> Result<Request> {
        let mut headers = vec![("content-type", self.content_type.as_str())];
        headers.extend(self.accept.map(|accept| ("accept", accept)));
        Ok(Request::post(target, &headers, &self.bytes)?)
    }
}

impl Files {
    /// Finds the library, and the binary that was named or builds one.
    ///
    /// # Errors
    /// The library is missing, with the command that fetches it; the binary does not build.
    pub fn find(options: &Options) -> Result<Self> {
        let library = server::library()?;
        Ok(Self {
            binary: options.server()?,
            word: "serve",
            library,
        })
    }

    /// This program, served by a word of its own, in place of the binary.
    ///
    /// # Errors
    /// The system does not say where this program lies.
    pub fn this_program(&self, word: &'static str) -> Result<Self> {
        Ok(Self {
            binary: std::env::current_exe()?,
            word,
            library: self.library.clone(),
        })
    }
}

/// A server on one model, gone when dropped.
pub struct Server {
    /// The process.
    pub child: Child,
    /// The request that asks it.
    pub request: Request,
    model: String,
    /// Held for the model in it.
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts one bound to wherever this thread is bound to; it is asked what [`Body::of`] says.
    ///
    /// # Errors
    /// The model is missing, with the command that makes it; the server does not start, with what it
    /// said.
    pub fn start(files: &Files, model: &str, environment: &[(&str, &str)]) -> Result<Self> {
        Self::asked(files, model, environment, &Body::of(model)?)
    }

    /// The same with another request.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn asked(
        files: &Files,
        model: &str,
        environment: &[(&str, &str)],
        body: &Body,
    ) -> Result<Self> {
        Self::on(&server::model(model)?, model, files, environment, body)
    }

    /// The same on any file; `model` is what it is called.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn on(
        file: &Path,
        model: &str,
        files: &Files,
        environment: &[(&str, &str)],
        body: &Body,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("model"))?;
        std::fs::copy(file, folder.path().join("model/model.onnx"))?;
        let start = Start {
            binary: &files.binary,
            word: files.word,
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
        let target = Target::parse(&format!("http://127.0.0.1:{}/invocations", child.port()))?;
        Ok(Self {
            request: body.sent_to(&target)?,
            child,
            model: model.to_owned(),
            folder,
        })
    }

    /// A request for another path of it.
    ///
    /// # Errors
    /// The path is none.
    pub fn get(&self, path: &str) -> Result<Request> {
        let target = format!("http://127.0.0.1:{}{path}", self.child.port());
        Ok(Request::get(&Target::parse(&target)?, &[])?)
    }

    /// An interval this many times as long holds enough of its runs.
    #[must_use]
    pub fn longer(&self) -> u32 {
        match self.model.as_str() {
            "digits" | "churn" | "boosted" => 1,
            "resnet50" => 6,
            _ => 3,
        }
    }

    /// Resident memory.
    ///
    /// # Errors
    /// The process is gone.
    pub fn resident_mb(&self) -> Result<f64> {
        Ok(memory::resident_bytes(self.child.id())? as f64 / (1024.0 * 1024.0))
    }

    /// The first line of its log that has this word.
    #[must_use]
    pub fn said(&self, word: &str) -> Option<String> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).ok()?;
        let line = log.lines().find(|line| line.contains(word))?;
        Some(line.to_owned())
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
