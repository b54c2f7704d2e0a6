//! Which device runs the model: what was asked for, what is there, and what follows.
//!
//! Pure: the binary finds the GPUs, `runtime/ort` looks at the library, and [`choose`] decides. ONNX
//! Runtime's own answer to anything that is missing is the CPU and a line in a log that nobody
//! reads; here it is a refusal, or the CPU with a loud line that names what is missing.

mod nodes;

use std::fmt;
use std::str::FromStr;

pub use nodes::Nodes;

/// A way to run on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// ONNX Runtime's CUDA kernels.
    Cuda,
    /// TensorRT's engines, with CUDA for what they do not take.
    TensorRt,
}

impl Provider {
    /// As the setting has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
        }
    }
}

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// A GPU with CUDA where all that it takes is there, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, or no start.
    Gpu {
        /// The way.
        provider: Provider,
        /// Its number, as CUDA counts the visible ones.
        index: Option<u32>,
    },
}

/// What [`Wanted`] is written as.
pub const EXPECTED: &str =
    "auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N, N being a GPU's number from 0";

impl FromStr for Wanted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index)),
            None => (text, None),
        };
        let provider = match (name, index) {
            ("auto", None) => return Ok(Self::Auto),
            ("cpu", None) => return Ok(Self::Cpu),
            ("cuda", _) => Provider::Cuda,
            ("tensorrt", _) => Provider::TensorRt,
            _ => return Err(EXPECTED),
        };
        let number = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            let index = is_number.then(|| text.parse().ok()).flatten();
            index.ok_or(EXPECTED)
        };
        Ok(Self::Gpu {
            provider,
            index: index.map(number).transpose()?,
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu {
                provider,
                index: None,
            } => f.write_str(provider.name()),
            Self::Gpu {
                provider,
                index: Some(index),
            } => write!(f, "{}:{index}", provider.name()),
        }
    }
}

/// A version of which two numbers matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
}

impl Version {
    /// CUDA writes 12.4 as 12040.
    #[must_use]
    pub fn of_cuda(number: u32) -> Self {
        Self {
            major: number / 1000,
            minor: number % 1000 / 10,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A GPU that CUDA may use, or a slice of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gpu {
    /// Product name.
    pub name: Option<String>,
    /// Its memory, bytes.
    pub memory_bytes: Option<u64>,
    /// What nobody has taken of it, bytes.
    pub free_bytes: Option<u64>,
    /// Whether it is a MIG slice.
    pub is_slice: bool,
}

impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name is the driver's; a log line is not.
        let name = self.name.as_deref().unwrap_or("a GPU without a name");
        let printable = name.chars().filter(|c| !c.is_control()).take(80);
        f.write_str(&printable.collect::<String>())?;
        if self.is_slice {
            f.write_str(", a MIG slice")?;
        }
        match (self.free_bytes, self.memory_bytes) {
            (Some(free), Some(all)) => write!(f, ", {} of {} MB free", mb(free), mb(all)),
            _ => Ok(()),
        }
    }
}

fn mb(bytes: u64) -> u64 {
    bytes / 1_000_000
}

/// The GPUs that the process may use, in CUDA's order, and their driver.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gpus {
    /// The devices.
    pub devices: Vec<Gpu>,
    /// The driver's version, such as `550.54.15`.
    pub driver: Option<String>,
    /// The newest CUDA that the driver knows.
    pub cuda: Option<Version>,
    /// Why there are none, as one phrase.
    pub absent: Option<String>,
}

/// What a provider's library needs was looked for and found, with these versions where they could be
/// read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The provider's library.
    pub library: String,
    /// The CUDA runtime.
    pub cuda: Option<Version>,
    /// cuDNN, such as `9.10.2`.
    pub cudnn: Option<String>,
}

/// The library that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// Its path and version.
    pub name: String,
    /// Whether it was built with CUDA.
    pub has_cuda: bool,
    /// Whether it was built with TensorRT.
    pub has_tensorrt: bool,
}

impl Library {
    fn has(&self, provider: Provider) -> bool {
        match provider {
            Provider::Cuda => self.has_cuda,
            Provider::TensorRt => self.has_tensorrt,
        }
    }
}

/// The GPU that runs the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The way.
    pub provider: Provider,
    /// Its number, as CUDA counts the visible ones.
    pub index: u32,
    /// The device.
    pub gpu: Gpu,
    /// What the start says of it and of what it needs.
    pub line: String,
    /// The most device memory of one session's arena, bytes; no limit where the device's memory is not
    /// known.
    pub memory_limit: Option<u64>,
    /// Whether runs of one shape are replayed as a CUDA graph.
    pub has_graph: bool,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuda:{} ({})", self.index, self.gpu)
    }
}

/// What runs the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The CPU; with what to say loudly, where somebody may have expected a GPU.
    Cpu(Option<String>),
    /// A GPU.
    Gpu(Target),
}

/// What was asked for cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("PLIMSOLL_DEVICE={wanted}: {reason}")]
pub struct DeviceError {
    /// What was asked for.
    pub wanted: Wanted,
    /// Why not, and what would do.
    pub reason: String,
}

/// Of the memory that is free, an arena gets so much: CUDA's own context, cuDNN's and cuBLAS's
/// work space are not in it.
const MEMORY_SHARE: f64 = 0.85;

/// Decides. `look` is asked only where a device is there: whether all that the provider's library
/// needs can be loaded, or what the first is that cannot. `memory_limit` is the user's, bytes.
///
/// # Errors
/// [`DeviceError`] where a GPU was asked for by name and cannot be used.
pub fn choose(
    wanted: Wanted,
    library: &Library,
    gpus: &Gpus,
    memory_limit: Option<u64>,
    look: impl FnOnce(Provider) -> Result<Found, String>,
) -> Result<Choice, DeviceError> {
    let (provider, index) = match wanted {
        Wanted::Cpu => return Ok(Choice::Cpu(None)),
        Wanted::Auto => (Provider::Cuda, 0),
        Wanted::Gpu { provider, index } => (provider, index.unwrap_or(0)),
    };
    // A library without GPUs on a machine without them is what most have.
    if wanted == Wanted::Auto && !library.has_cuda && gpus.devices.is_empty() {
        return Ok(Choice::Cpu(None));
    }
    match usable(provider, index, library, gpus, look) {
        Ok((gpu, found)) => Ok(Choice::Gpu(Target {
            provider,
            index,
            line: line(index, gpu, gpus, &found),
            memory_limit: memory_limit
                .or_else(|| Some((gpu.free_bytes? as f64 * MEMORY_SHARE) as u64)),
            gpu: gpu.clone(),
            has_graph: false,
        })),
        Err(reason) if wanted == Wanted::Auto => Ok(Choice::Cpu(Some(reason))),
        Err(reason) => Err(DeviceError { wanted, reason }),
    }
}

/// The device and what was found for it, or the first thing that is missing.
fn usable<'g>(
    provider: Provider,
    index: u32,
    library: &Library,
    gpus: &'g Gpus,
    look: impl FnOnce(Provider) -> Result<Found, String>,
) -> Result<(&'g Gpu, Found), String> {
    if !library.has(provider) {
        let (what, package) = match provider {
            Provider::Cuda => ("CUDA", "onnxruntime-gpu"),
            Provider::TensorRt => ("TensorRT", "onnxruntime-gpu"),
        };
        return Err(format!(
            "{} is built without {what}; expected the library of {package} (PLIMSOLL_ONNXRUNTIME_LIBRARY names it)",
            library.name
        ));
    }
    let Some(first) = gpus.devices.first() else {
        let absent = gpus.absent.as_deref().unwrap_or("no GPU was found");
        return Err(format!(
            "{absent}; expected an NVIDIA GPU and its driver (in a container: docker run --gpus all, and compute,utility in NVIDIA_DRIVER_CAPABILITIES)"
        ));
    };
    let Some(gpu) = gpus.devices.get(index as usize) else {
        return Err(match gpus.devices.len() {
            1 => format!("there is no GPU {index}; expected 0, the only one that CUDA may use ({first})"),
            count => format!("there is no GPU {index}; expected a number from 0 to {}: CUDA may use {count} GPUs", count - 1),
        });
    };
    let found = look(provider)?;
    if let (Some(driver), Some(runtime)) = (gpus.cuda, found.cuda) {
        // Within a major version a driver runs what is newer than itself.
        if driver.major < runtime.major {
            let version = gpus.driver.as_deref().unwrap_or("of unknown version");
            return Err(format!(
                "the driver {version} knows CUDA {driver}, and the CUDA runtime is {runtime}; expected a driver for CUDA {}.0 or newer (on SageMaker InferenceAmiVersion chooses it)",
                runtime.major
            ));
        }
    }
    Ok((gpu, found))
}

fn line(index: u32, gpu: &Gpu, gpus: &Gpus, found: &Found) -> String {
    let known = |what: &str, version: Option<String>| match version {
        Some(version) => format!("{what} {version}"),
        None => format!("{what} of unknown version"),
    };
    format!(
        "cuda:{index}, {gpu}; {} for {}, {}, {}, {}",
        known("driver", gpus.driver.clone()),
        known("CUDA", gpus.cuda.map(|cuda| cuda.to_string())),
        known("CUDA runtime", found.cuda.map(|cuda| cuda.to_string())),
        known("cuDNN", found.cudnn.clone()),
        found.library
    )
}

#[cfg(test)]
mod tests;
