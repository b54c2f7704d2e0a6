//! The only room that knows ONNX Runtime.
//!
//! The library is opened from a path of our choosing ([`Runtime::open`]), never linked and never
//! looked for by the `ort` crate itself: without a path that crate panics where we want a sentence.
//! Its telemetry is switched off before the library is loaded.

mod usual;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::logging::LogLevel;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{TensorElementType, ValueType};

use super::reason::{last_cause, load_reason};
use super::{Engine, RunError};
use crate::model::{Dim, Port, PortType, Signature};
use crate::onnx_file::{Facts, ZipMap};
use crate::tensor::{ElementType, Keys, Tensor, Value};
use usual::Usual;
use values::{input_value, output_value, refuse_nul, tensor, zipped};

/// The oldest ONNX Runtime that is accepted, as `1.N`.
pub const MIN_MINOR_VERSION: u32 = ort::MINOR_VERSION;

/// Read once by the library when it is first used; `1` means that nothing is ever sent.
const TELEMETRY_SWITCH: &str = "ORT_DISABLE_TELEMETRY";

/// An option of a run: at its end, memory that nothing of it uses any more goes back to the system.
const GIVE_BACK: (&str, &str) = ("memory.enable_memory_arena_shrinkage", "cpu:0");

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

    /// The execution providers that sessions use, best first.
    #[must_use]
    pub fn providers(&self) -> &'static [&'static str] {
        &["CPUExecutionProvider"]
    }

    /// Loads one copy of a model with `intra_op_threads` threads.
    ///
    /// # Errors
    /// [`LoadError`] where the runtime refuses the model, or where a port is of a type that no
    /// request can carry.
    pub fn load(&self, source: &Source, intra_op_threads: usize) -> Result<OrtEngine, LoadError> {
        let refused = |error: &ort::Error| LoadError::Refused {
            file: source.file.clone(),
            reason: load_reason(error.message(), &self.version),
        };
        let mut builder = self
            .builder(intra_op_threads)
            .map_err(|error| refused(&error))?;
        let session = match &source.rewritten {
            Some((model, _)) => builder.commit_from_memory(model),
            None => builder.commit_from_file(&source.file),
        }
        .map_err(|error| refused(&error))?;
        let giving_back = giving_back().map_err(|error| refused(&error))?;
        OrtEngine::new(session, giving_back, source)
    }

    fn builder(
        &self,
        intra_op_threads: usize,
    ) -> ort::Result<ort::session::builder::SessionBuilder> {
        // Spinning threads burn a core for a second after each request and make CPU use mean
        // nothing; an explicit thread count, because the default ignores quota and affinity.
        Ok(Session::builder(&self.environment)?
            .with_intra_threads(intra_op_threads)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?)
    }
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

fn giving_back() -> ort::Result<RunOptions> {
    let mut options = RunOptions::new()?;
    options.set(GIVE_BACK.0, GIVE_BACK.1)?;
    Ok(options)
}

/// One ONNX Runtime session.
pub struct OrtEngine {
    session: Session,
    usual: Usual,
    /// How large runs are run.
    giving_back: RunOptions,
    signature: Arc<Signature>,
    /// Per output: the keys of the maps that its scores stand for.
    maps: Vec<Option<Arc<Keys>>>,
}

impl OrtEngine {
    fn new(session: Session, giving_back: RunOptions, source: &Source) -> Result<Self, LoadError> {
        let zip_maps: &[ZipMap] = source.rewritten.as_ref().map_or(&[], |(_, maps)| maps);
        let rankless = |name: &str| source.facts.rankless.contains(name);
        let inputs: Vec<Port> = session
            .inputs()
            .iter()
            .map(|outlet| Port {
                name: outlet.name().to_owned(),
                kind: port_type(outlet.dtype(), rankless(outlet.name())),
            })
            .collect();
        let mut maps = Vec::new();
        let outputs: Vec<Port> = session
            .outputs()
            .iter()
            .map(|outlet| {
                let zip = zip_maps.iter().find(|map| map.scores == outlet.name());
                maps.push(zip.map(|map| Arc::clone(&map.keys)));
                match zip {
                    Some(map) => Port {
                        name: map.output.clone(),
                        kind: PortType::Sequence(Box::new(PortType::Map {
                            key: match *map.keys {
                                Keys::Int64(_) => ElementType::Int64,
                                Keys::String(_) => ElementType::String,
                            },
                            value: ElementType::Float32,
                        })),
                    },
                    None => Port {
                        name: outlet.name().to_owned(),
                        kind: port_type(outlet.dtype(), rankless(outlet.name())),
                    },
                }
            })
            .collect();
        let unfit = |direction, port: &Port, also| LoadError::Port {
            file: source.file.clone(),
            direction,
            port: port.to_string(),
            also,
        };
        if let Some(port) = inputs.iter().find(|port| port.tensor().is_none()) {
            return Err(unfit("input", port, ""));
        }
        if let Some(port) = outputs.iter().find(|port| !carried(&port.kind)) {
            return Err(unfit("output", port, ", a sequence or a map"));
        }
        Ok(Self {
            session,
            usual: Usual::default(),
            giving_back,
            signature: Arc::new(Signature { inputs, outputs }),
            maps,
        })
    }

    /// What the model takes and gives.
    #[must_use]
    pub fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }
}

/// Whether a reply can show an output of this type.
fn carried(kind: &PortType) -> bool {
    match kind {
        PortType::Tensor { .. } | PortType::Map { .. } => true,
        PortType::Sequence(inner) | PortType::Optional(inner) => carried(inner),
        PortType::Other(_) => false,
    }
}

fn port_type(kind: &ValueType, rankless: bool) -> PortType {
    match kind {
        ValueType::Tensor {
            ty,
            shape,
            dimension_symbols,
        } => match element_type(*ty) {
            None => PortType::Other(format!("tensor({ty})")),
            Some(element) => PortType::Tensor {
                element,
                dims: (!rankless).then(|| {
                    shape
                        .iter()
                        .zip(dimension_symbols.iter())
                        .map(|(&size, symbol)| match usize::try_from(size) {
                            Ok(size) => Dim::Fixed(size),
                            Err(_) if symbol.is_empty() => Dim::Free,
                            Err(_) => Dim::Symbol(symbol.clone()),
                        })
                        .collect()
                }),
            },
        },
        ValueType::Sequence(inner) => PortType::Sequence(Box::new(port_type(inner, true))),
        ValueType::Map { key, value } => match (element_type(*key), element_type(*value)) {
            (Some(key), Some(value)) => PortType::Map { key, value },
            _ => PortType::Other(format!("map({key},{value})")),
        },
        ValueType::Optional(inner) => PortType::Optional(Box::new(port_type(inner, rankless))),
    }
}

fn element_type(kind: TensorElementType) -> Option<ElementType> {
    Some(match kind {
        TensorElementType::Bool => ElementType::Bool,
        TensorElementType::Int8 => ElementType::Int8,
        TensorElementType::Int16 => ElementType::Int16,
        TensorElementType::Int32 => ElementType::Int32,
        TensorElementType::Int64 => ElementType::Int64,
        TensorElementType::Uint8 => ElementType::Uint8,
        TensorElementType::Uint16 => ElementType::Uint16,
        TensorElementType::Uint32 => ElementType::Uint32,
        TensorElementType::Uint64 => ElementType::Uint64,
        TensorElementType::Float16 => ElementType::Float16,
        TensorElementType::Bfloat16 => ElementType::BFloat16,
        TensorElementType::Float32 => ElementType::Float32,
        TensorElementType::Float64 => ElementType::Float64,
        TensorElementType::String => ElementType::String,
        _ => return None,
    })
}

impl Engine for OrtEngine {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
        let mut values: Vec<SessionInputValue<'_>> = Vec::with_capacity(inputs.len());
        for (port, tensor) in self.signature.inputs.iter().zip(inputs) {
            refuse_nul(port, tensor)?;
            values.push(input_value(tensor).map_err(|error| run_error(&error))?);
        }
        let bytes = inputs.iter().map(Tensor::bytes).sum();
        let outputs = match self.usual.is_passed_by(bytes) {
            true => self
                .session
                .run_with_options(values.as_slice(), &self.giving_back),
            false => self.session.run(values.as_slice()),
        };
        let outputs = outputs.map_err(|error| run_error(&error))?;
        outputs
            .into_iter()
            .zip(&self.maps)
            .map(|((_, value), map)| match map {
                Some(keys) => zipped(tensor(value.downcast()?)?, keys),
                None => output_value(value),
            })
            .collect::<Result<_, ort::Error>>()
            .map_err(|error| run_error(&error))
    }
}

/// Errors inside `If`, `Loop` or `LSTM` arrive as nested lines: the caller gets the last cause, the
/// log the rest. Source paths and C++ names of the runtime are nobody's business.
fn run_error(error: &ort::Error) -> RunError {
    let message = error.message();
    tracing::debug!(target: "onnxruntime", "run failed: {message}");
    let cause = last_cause(message);
    let lower = message.to_ascii_lowercase();
    if lower.contains("bad_alloc")
        || lower.contains("failed to allocate memory")
        || lower.contains("out of memory")
    {
        RunError::OutOfMemory(cause)
    } else {
        RunError::Failed(cause)
    }
}
