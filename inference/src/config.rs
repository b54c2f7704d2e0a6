//! What the server is told: plain data, filled by the binary, which alone reads the environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

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
    /// CPUs and memory of the container, and what the user fixed.
    pub budget: Budget,
    /// Requests that may wait for a slot.
    pub queue_limit: usize,
    /// Largest request body in bytes.
    pub max_request_bytes: usize,
    /// How long a request may take, from its head to its reply.
    pub request_limit: Duration,
    /// Response type when `Accept` is missing or `*/*`.
    pub default_accept: Option<String>,
    /// How long new requests are still served after SIGTERM.
    pub linger: Duration,
    /// How long open requests may take after that.
    pub drain: Duration,
}

/// 25 MB is the platform's own limit for real-time endpoints; batch and asynchronous bodies are
/// larger, and set it.
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 100 * 1024 * 1024;
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
            budget: Budget {
                cpus: 1.0,
                cpus_reason: "not told".to_owned(),
                ..Budget::default()
            },
            queue_limit: DEFAULT_QUEUE_LIMIT,
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            request_limit: DEFAULT_REQUEST_LIMIT,
            default_accept: None,
            linger: DEFAULT_LINGER,
            drain: DEFAULT_DRAIN,
        }
    }
}
