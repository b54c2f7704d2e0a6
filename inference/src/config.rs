//! What the server is told: plain data, filled by the binary, which alone reads the environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::device::Wanted;
use crate::runtime::pool::Budget;

/// Everything that the server can be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The unpacked model archive, usually `/opt/ml/model`.
    pub model_folder: PathBuf,
    /// Where to look for ONNX Runtime's library, best first.
    pub onnxruntime_library: Vec<PathBuf>,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Where it may listen for itself before it is in service; on any free port where it is not said.
    pub safe_ports: Option<RangeInclusive<u16>>,
    /// CPUs and memory of the container, and what the user fixed.
    pub budget: Budget,
    /// What runs the model.
    pub device: Device,
    /// Whether requests share runs.
    pub batching: Batching,
    /// Requests that may wait for a slot.
    pub queue_limit: usize,
    /// Largest request body in bytes.
    pub max_request_bytes: usize,
    /// How long a request may take, from its head to its reply.
    pub request_limit: Duration,
    /// Response type when `Accept` is missing or `*/*`.
    pub default_accept: Option<String>,
    /// The most bytes that a request may unfold to: decompressed, unpacked, or made dense.
    pub max_unpacked_bytes: usize,
    /// The most bytes that all request bodies together may take.
    pub max_bodies_bytes: usize,
    /// The most bytes of a request's headers.
    pub max_header_bytes: usize,
    /// Records in each part of a streamed JSON Lines reply; `None` streams nothing.
    pub stream_records: Option<NonZeroUsize>,
    /// Whether this is a batch transform job: empty bodies are 204, lines end with a newline, and
    /// no reply is streamed, because replies are joined byte by byte.
    pub batch: bool,
    /// What the batch transform job was told to do; all `None` outside of one.
    pub transform: Transform,
    /// Whether models come and go at run time, rather than one at start.
    pub multi_model: bool,
    /// How long new requests are still served after SIGTERM.
    pub linger: Duration,
    /// How long open requests may take after that.
    pub drain: Duration,
}

/// What the user wants the model to run on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Device {
    /// What was asked for.
    pub wanted: Wanted,
    /// The most device memory for the model, all slots together, bytes; most of what is free where it
    /// is not said.
    pub memory_limit: Option<u64>,
    /// Whether runs of one shape are replayed as a CUDA graph.
    pub cuda_graph: bool,
    /// What is done when the GPU is lost.
    pub on_lost: OnLost,
}

/// What is done when the GPU is lost, beside saying so on `/ping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLost {
    /// Nothing: whoever reads `/ping` replaces the instance.
    #[default]
    Stay,
    /// The process leaves in order, with an exit code that is not 0.
    Exit,
}

/// Whether requests that wait at the same time share a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Batching {
    /// Where records leave one another alone and a measurement says that it pays.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Up to so many records a run, where records leave one another alone.
    UpTo(NonZeroUsize),
}

/// A batch transform job's own parameters, which win over what a container offers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Transform {
    /// Bodies sent at the same time.
    pub max_concurrent: Option<usize>,
    /// `SINGLE_RECORD` or `MULTI_RECORD`, as the platform spells it.
    pub strategy: Option<&'static str>,
    /// Largest body in MB; 0 means no limit.
    pub max_payload_mb: Option<usize>,
}

/// 25 MB is the platform's own limit for real-time endpoints; batch and asynchronous bodies are
/// larger, and set it.
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 100 * 1024 * 1024;
/// Where bodies have no limit, what they unfold to still has one.
pub const DEFAULT_MAX_UNPACKED_BYTES: usize = 1024 * 1024 * 1024;
/// The platform's headers take a few kilobytes at most.
pub const DEFAULT_MAX_HEADER_BYTES: usize = 64 * 1024;
/// Enough that a run is worth its overhead, few enough that the first part comes soon.
pub const DEFAULT_STREAM_RECORDS: usize = 64;
/// The platform gives up after 60 s.
pub const DEFAULT_REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// Deep enough for a burst, short enough that the last one is still in time for most models.
pub const DEFAULT_QUEUE_LIMIT: usize = 128;
/// A balancer that is slow to notice `/ping` loses nothing.
pub const DEFAULT_LINGER: Duration = Duration::from_millis(2500);
/// SIGKILL comes 30 s after SIGTERM; this leaves room for the last metrics.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(23);

impl Default for Config {
    fn default() -> Self {
        Self {
            model_folder: PathBuf::from("/opt/ml/model"),
            onnxruntime_library: Vec::new(),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080),
            safe_ports: None,
            budget: Budget {
                cpus: 1.0,
                cpus_reason: "not told".to_owned(),
                ..Budget::default()
            },
            device: Device::default(),
            batching: Batching::Auto,
            queue_limit: DEFAULT_QUEUE_LIMIT,
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            request_limit: DEFAULT_REQUEST_LIMIT,
            default_accept: None,
            max_unpacked_bytes: DEFAULT_MAX_REQUEST_BYTES,
            max_bodies_bytes: usize::MAX,
            max_header_bytes: DEFAULT_MAX_HEADER_BYTES,
            stream_records: NonZeroUsize::new(DEFAULT_STREAM_RECORDS),
            batch: false,
            transform: Transform::default(),
            multi_model: false,
            linger: DEFAULT_LINGER,
            drain: DEFAULT_DRAIN,
        }
    }
}
