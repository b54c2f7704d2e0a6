//! The only room that knows ONNX Runtime.
//!
//! The library is opened from a path of our choosing ([`Runtime::open`]), never linked and never
//! looked for by the `ort` crate itself: without a path that crate panics where we want a sentence.
//! Its telemetry is switched off before the library is loaded.

mod bare;
mod elf;
mod engine;
mod graph;
mod needs;
mod nodes;
mod ports;
#[cfg(test)]
mod prepared;
mod provider;
mod usual;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::ep::ExecutionProvider;
use ort::logging::LogLevel;
use ort::session::Session;

use super::faults::is_out_of_memory;
use super::reason::{last_cause, load_reason};
use crate::device::{Found, Library, Provider, Target};
use crate::onnx_file::{Facts, ZipMap};
use engine::Options;
pub use engine::OrtEngine;

/// The oldest ONNX Runtime that is accepted, as `1.N`.
pub const MIN_MINOR_VERSION: u32 = ort::MINOR_VERSION;

/// Read once by the library when it is first used; `1` means that nothing is ever sent.
const TELEMETRY_SWITCH: &str = "ORT_DISABLE_TELEMETRY";

/// Switches the library's telemetry off. To be called before there is a second thread, because the
/// environment belongs to all of them; [`Runtime::open`] makes up for whoever did not.
pub fn switch_telemetry_off() {
    std::env::set_var(TELEMETRY_SWITCH, "1");
}

/// Why the runtime cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No library at any of the known places.
    #[error("ONNX Runtime's library is missing: looked for {}; expected libonnxruntime.so, version 1.{MIN_MINOR_VERSION} or newer (cargo xtask onnxruntime fetches it; PLIMSOLL_ONNXRUNTIME_LIBRARY names another place)", list(.looked))]
    Missing {
        /// The places.
        looked: Vec<PathBuf>,
    },
    /// The file is no shared library, or not for this machine.
    #[error("{path} cannot be loaded: {reason}; expected ONNX Runtime's shared library for this machine")]
    Unloadable {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The library is something else.
    #[error("{path} is not ONNX Runtime: it does not export OrtGetApiBase")]
    NotOnnxRuntime {
        /// The file.
        path: PathBuf,
    },
    /// The library is older than what this build needs.
    #[error("{path} is ONNX Runtime {found}; expected 1.{MIN_MINOR_VERSION} or newer")]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// The environment could not be made.
    #[error("ONNX Runtime did not start: {0}")]
    Environment(String),
}

fn list(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The runtime refused it.
    #[error("{file} cannot be loaded: {reason}")]
    Refused {
        /// The model.
        file: PathBuf,
        /// Why, in one sentence.
        reason: String,
    },
    /// An input or output that no request or reply can carry.
    #[error(
        "{file}: {direction} {port} cannot be carried by any content type; expected a tensor{also}"
    )]
    Port {
        /// The model.
        file: PathBuf,
        /// `input` or `output`.
        direction: &'static str,
        /// The port's name and type.
        port: String,
        /// What else would do.
        also: &'static str,
    },
    /// The device has no room for it.
    #[error("{file} takes {} MB and more, and does not fit {device}{}; expected a GPU with more free memory", .bytes / 1_000_000, limited(.limit))]
    DeviceMemory {
        /// The model.
        file: PathBuf,
        /// Bytes of the model.
        bytes: u64,
        /// The device, with what is free of it.
        device: String,
        /// What the session may take of it, bytes.
        limit: Option<u64>,
    },
    /// Its runs cannot be replayed as a CUDA graph.
    #[error("{file}: {reason}")]
    Graph {
        /// The model.
        file: PathBuf,
        /// Why, in one sentence.
        reason: String,
    },
    /// The device, or the provider's library, refused.
    #[error("{file} cannot be loaded on {device}: {reason}")]
    Device {
        /// The model.
        file: PathBuf,
        /// The device.
        device: String,
        /// Why, in one sentence.
        reason: String,
    },
}

impl LoadError {
    /// Whether another device, or the CPU, might do.
    #[must_use]
    pub fn is_of_the_device(&self) -> bool {
        matches!(self, Self::Device { .. } | Self::DeviceMemory { .. })
    }
}

fn limited(limit: &Option<u64>) -> String {
    limit.map_or_else(String::new, |limit| {
        format!(
            ", of which a session may take {} MB (PLIMSOLL_GPU_MEMORY_LIMIT_MB sets it)",
            limit / 1_000_000
        )
    })
}

/// ONNX Runtime, opened.
#[derive(Clone)]
pub struct Runtime {
    environment: ort::environment::Environment,
    version: String,
    library: PathBuf,
}

impl Runtime {
    /// Opens the first library of `candidates` that exists. One runtime per process: the first
    /// library opened stays.
    ///
    /// # Errors
    /// [`OpenError`], with the path and what was expected.
    pub fn open(candidates: &[PathBuf]) -> Result<Self, OpenError> {
        use ort::LoadDynamicError as E;
        let Some(library) = candidates.iter().find(|path| path.exists()) else {
            return Err(OpenError::Missing {
                looked: candidates.to_vec(),
            });
        };
        if std::env::var_os(TELEMETRY_SWITCH).is_none() {
            switch_telemetry_off();
        }
        let builder = ort::init_from(library).map_err(|error| {
            let path = library.clone();
            match error {
                E::Dlopen { error, .. } => OpenError::Unloadable {
                    path,
                    reason: error.to_string(),
                },
                E::MissingApi { .. } => OpenError::NotOnnxRuntime { path },
                E::BadVersion { version_str, .. } => OpenError::TooOld {
                    path,
                    found: version_str,
                },
                E::InvalidVersionString => OpenError::Unloadable {
                    path,
                    reason: "its version cannot be read".to_owned(),
                },
            }
        })?;
        let environment = builder
            .with_name("plimsoll")
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|error| OpenError::Environment(error.message().to_owned()))?;
        environment.set_log_level(LogLevel::Warning);
        Ok(Self {
            environment,
            version: version(library).unwrap_or_else(|| "of unknown version".to_owned()),
            library: library.clone(),
        })
    }

    /// The library's version, such as `1.32.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The file that was opened.
    #[must_use]
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// What the library was built with.
    #[must_use]
    pub fn facts(&self) -> Library {
        Library {
            name: format!("{} (ONNX Runtime {})", self.library.display(), self.version),
            has_cuda: ort::ep::CUDA::is_available().unwrap_or(false),
            has_tensorrt: ort::ep::TensorRT::is_available().unwrap_or(false),
        }
    }

    /// Loads what a provider's library needs.
    ///
    /// # Errors
    /// The first thing that is missing, as one phrase.
    pub fn look(&self, provider: Provider) -> Result<Found, String> {
        needs::look(&self.library, provider)
    }

    /// ONNX Runtime's name for what runs a session's nodes.
    #[must_use]
    pub fn provider_name(target: Option<&Target>) -> &'static str {
        target.map_or("CPUExecutionProvider", |target| {
            provider::name(target.provider)
        })
    }

    /// Loads one copy of a model with `intra_op_threads` threads, on a GPU or on the CPU.
    ///
    /// # Errors
    /// [`LoadError`] where the runtime or the device refuses the model, or where a port is of a type
    /// that no request can carry.
    pub fn load(
        &self,
        source: &Source,
        intra_op_threads: usize,
        target: Option<&Target>,
    ) -> Result<OrtEngine, LoadError> {
        let refused = |error: &ort::Error| self.refused(error, source, target);
        if let Some(target) = target {
            if target
                .memory_limit
                .is_some_and(|limit| source.facts.total_bytes > limit)
            {
                return Err(no_room(source, target));
            }
        }
        let mut builder = self
            .builder(intra_op_threads, target)
            .map_err(|error| match target {
                None => refused(&error),
                Some(target) => LoadError::Device {
                    file: source.file.clone(),
                    device: target.to_string(),
                    reason: last_cause(error.message()),
                },
            })?;
        let session = match &source.rewritten {
            Some((model, _)) => builder.commit_from_memory(model),
            None => builder.commit_from_file(&source.file),
        }
        .map_err(|error| refused(&error))?;
        let options = Options::new(target).map_err(|error| refused(&error))?;
        OrtEngine::new(session, options, source, target)
    }

    fn refused(&self, error: &ort::Error, source: &Source, target: Option<&Target>) -> LoadError {
        let message = error.message();
        match target {
            Some(target) if is_out_of_memory(message) => no_room(source, target),
            Some(target) if is_of_cuda(message) => LoadError::Device {
                file: source.file.clone(),
                device: target.to_string(),
                reason: last_cause(message),
            },
            _ => LoadError::Refused {
                file: source.file.clone(),
                reason: load_reason(message, &self.version),
            },
        }
    }

    fn builder(
        &self,
        intra_op_threads: usize,
        target: Option<&Target>,
    ) -> ort::Result<ort::session::builder::SessionBuilder> {
        // Spinning threads burn a core for a second after each request and make CPU use mean
        // nothing; an explicit thread count, because the default ignores quota and affinity.
        let builder = Session::builder(&self.environment)?
            .with_intra_threads(intra_op_threads)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?
            .with_config_entry(nodes::RECORD.0, nodes::RECORD.1)?;
        Ok(match target {
            None => builder,
            Some(target) => builder.with_execution_providers(provider::providers(target))?,
        })
    }
}

fn no_room(source: &Source, target: &Target) -> LoadError {
    LoadError::DeviceMemory {
        file: source.file.clone(),
        bytes: source.facts.total_bytes,
        device: target.to_string(),
        limit: target.memory_limit,
    }
}

/// Whether a load failed for the device or its libraries, and not for the model.
fn is_of_cuda(message: &str) -> bool {
    let lower = message.to_ascii_lowercase();
    ["cuda", "cublas", "cudnn", "tensorrt", "nvinfer"]
        .iter()
        .any(|word| lower.contains(word))
}

/// The library's messages go to our log; the caller's part of a failed run comes back as its error.
fn log(level: LogLevel, _category: &str, _id: &str, _location: &str, message: &str) {
    match level {
        LogLevel::Error | LogLevel::Fatal => tracing::debug!(target: "onnxruntime", "{message}"),
        LogLevel::Warning => tracing::debug!(target: "onnxruntime", "{message}"),
        _ => tracing::trace!(target: "onnxruntime", "{message}"),
    }
}

/// The version of a library that `ort` has already opened and checked. The crate checks the version
/// and keeps it to itself.
#[expect(
    unsafe_code,
    reason = "the library's version is behind a C function that the ort crate does not pass on"
)]
fn version(library: &Path) -> Option<String> {
    use std::ffi::CStr;

    // SAFETY: the library is loaded already, so opening it again runs no initialiser; it exports
    // `OrtGetApiBase` (checked by `ort`), whose signature and the layout of the struct it returns
    // are fixed by ONNX Runtime's C API; the version is a static NUL-terminated string.
    unsafe {
        let library = libloading::Library::new(library).ok()?;
        let base = library
            .get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase")
            .ok()?();
        let version = (base.as_ref()?.GetVersionString)();
        if version.is_null() {
            return None;
        }
        Some(CStr::from_ptr(version).to_string_lossy().into_owned())
    }
}

/// A model to load, as often as there are slots.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// What was read from it beforehand.
    pub facts: Facts,
    /// The model without its `ZipMap` nodes, where it had any.
    pub rewritten: Option<(Arc<Vec<u8>>, Vec<ZipMap>)>,
}
