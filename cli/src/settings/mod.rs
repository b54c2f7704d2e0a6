//! Every setting, in one struct, read in one place.
//!
//! A setting comes from the environment or, for the `PLIMSOLL_…` ones, from `plimsoll.toml` beside
//! the model (`PLIMSOLL_QUEUE_LIMIT=8` is `queue_limit = 8` there); the environment wins. Every bad
//! value is reported, not only the first. An unset or empty variable means the default.

mod file;
mod parse;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use inference::config::{Batching, OnLost};
use inference::device::{Provider, Wanted};
use scaling::bill::Prices;
use scaling::catalogue::Metric;
use tracing::level_filters::LevelFilter;

use crate::logging::Format;
use file::{settings_file, unknown};
pub use parse::Flush;
use parse::*;

/// A setting as the documentation shows it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Environment variable.
    pub name: &'static str,
    /// Its default, as text; empty for none.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// Something about the settings is wrong; each entry is one sentence.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong(pub Vec<String>);

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty = $name:literal or $default:literal, $parse:expr;)+) => {
        /// What the user can set.
        #[derive(Debug, Clone)]
        pub struct Settings { $($(#[doc = $doc])+ pub $field: $type,)+ }

        /// Every setting, in the order of the documentation.
        pub const TABLE: &[Row] = &[$(Row {
            name: $name,
            default: $default,
            meaning: concat!($($doc,)+).trim_ascii(),
        },)+];

        impl Settings {
            /// Reads every setting through `lookup`.
            ///
            /// # Errors
            /// [`Wrong`] with a sentence for each value that cannot be used.
            pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Wrong> {
                let mut wrong = Vec::new();
                $(let $field = read_one($name, $default, &lookup, $parse, &mut wrong);)+
                match ($($field,)+) {
                    ($(Some($field),)+) if wrong.is_empty() => Ok(Self { $($field,)+ }),
                    _ => Err(Wrong(wrong)),
                }
            }
        }
    };
}

settings! {
    /// Replaces `/opt/ml`: the model is looked for in its folder `model`.
    base_dir: PathBuf = "SAGEMAKER_BASE_DIR" or "/opt/ml", path;
    /// Port to listen on.
    port: u16 = "SAGEMAKER_BIND_TO_PORT" or "8080", port;
    /// Set by pipelines and multi-container endpoints: the ports, such as `25000-25999`, within which the server may listen for itself; any free one if not set.
    safe_ports: Option<RangeInclusive<u16>> = "SAGEMAKER_SAFE_PORT_RANGE" or "", optional(ports);
    /// Largest request body in bytes; wins over `SAGEMAKER_MAX_PAYLOAD_IN_MB`.
    max_request_size: Option<usize> = "SAGEMAKER_MAX_REQUEST_SIZE" or "", optional(at_least_one);
    /// Largest request body in MB (1024 × 1024 bytes); 0 means no limit; 100 if not set.
    max_payload_mb: Option<usize> = "SAGEMAKER_MAX_PAYLOAD_IN_MB" or "", optional(whole);
    /// Largest size in MB that a request may unfold to: decompressed, an unpacked npz archive, a sparse array made dense. As large as a request body if not set, 1024 where that has no limit.
    max_unpacked_mb: Option<usize> = "PLIMSOLL_MAX_UNPACKED_MB" or "", optional(at_least_one);
    /// Largest size in MB of all request bodies in the container together; half of its memory if not set.
    max_bodies_mb: Option<usize> = "PLIMSOLL_MAX_BODIES_MB" or "", optional(at_least_one);
    /// Largest total of a request's header names and values in bytes.
    max_header_bytes: usize = "PLIMSOLL_MAX_HEADER_BYTES" or "65536", at_least_one;
    /// Seconds that a request may take, queue included, or each part of a streamed reply; 60 if not set.
    timeout_secs: Option<usize> = "SAGEMAKER_MODEL_SERVER_TIMEOUT" or "", optional(seconds);
    /// Another name of `SAGEMAKER_MODEL_SERVER_TIMEOUT`, which wins.
    timeout_seconds: Option<usize> = "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS" or "", optional(seconds);
    /// Records in each part of a streamed `application/jsonlines` reply; 0 sends every reply whole.
    stream_records: usize = "PLIMSOLL_STREAM_RECORDS" or "64", whole;
    /// Set by batch transform: an empty body is 204, CSV ends with a newline, nothing is streamed.
    batch: bool = "SAGEMAKER_BATCH" or "false", flag;
    /// Set by batch transform: `SINGLE_RECORD` or `MULTI_RECORD`; said back by `/execution-parameters`.
    batch_strategy: Option<&'static str> = "SAGEMAKER_BATCH_STRATEGY" or "", optional(strategy);
    /// Set by batch transform: bodies sent at the same time; said back by `/execution-parameters`.
    max_concurrent_transforms: Option<usize> = "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS" or "", optional(at_least_one);
    /// Set by multi-model endpoints: the server starts without a model. Models cannot be loaded yet.
    multi_model: bool = "SAGEMAKER_MULTI_MODEL" or "false", flag;
    /// Response type when `Accept` is missing or `*/*`.
    default_accept: Option<String> = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT" or "", optional(media_type);
    /// Log level: a name (`DEBUG`, `INFO`, `WARNING`, `ERROR`) or Python's number (`20`).
    log_level: LevelFilter = "SAGEMAKER_CONTAINER_LOG_LEVEL" or "INFO", log_level;
    /// Shape of the log: `text` or `json`.
    log: Format = "PLIMSOLL_LOG" or "text", log_format;
    /// Model executions at the same time; chosen by measurement if not set.
    slots: Option<NonZeroUsize> = "PLIMSOLL_SLOTS" or "", optional(threads);
    /// Another name of `PLIMSOLL_SLOTS`, which wins: AWS's own servers have it.
    workers: Option<NonZeroUsize> = "SAGEMAKER_MODEL_SERVER_WORKERS" or "", optional(threads);
    /// Threads of one model execution; chosen by measurement if not set.
    intra_op_threads: Option<NonZeroUsize> = "PLIMSOLL_INTRA_OP_THREADS" or "", optional(threads);
    /// Whether requests that wait at the same time share a model execution: `auto` where records leave one another alone and it is measured to pay, `off`, or the most records of one. Unless `off`, a large request whose records leave one another alone runs in parts.
    batching: Batching = "PLIMSOLL_BATCHING" or "auto", batching;
    /// Requests that may wait for a slot; one more is refused with 503.
    queue_limit: usize = "PLIMSOLL_QUEUE_LIMIT" or "128", at_least_one;
    /// ONNX Runtime's shared library; found beside the binary if not set.
    onnxruntime_library: Option<PathBuf> = "PLIMSOLL_ONNXRUNTIME_LIBRARY" or "", optional(path);
    /// What runs the model: `auto` (a GPU where device, driver and libraries are all there, otherwise the CPU, with a warning that names what is missing), `cpu`, or `cuda`, `cuda:N`, `tensorrt`, `tensorrt:N`, which refuse to start without.
    device: Wanted = "PLIMSOLL_DEVICE" or "auto", device;
    /// The most device memory in MB (1024 × 1024 bytes) for the model and its runs, all slots together; 85 % of what is free at start if not set.
    gpu_memory_limit_mb: Option<usize> = "PLIMSOLL_GPU_MEMORY_LIMIT_MB" or "", optional(at_least_one);
    /// `on` replays runs of one record as a CUDA graph: for models whose shapes are fixed but for the number of records, and all of whose nodes are on the GPU.
    cuda_graph: bool = "PLIMSOLL_CUDA_GRAPH" or "off", switch;
    /// When the GPU is lost: `stay`, and say so on `/ping` with 503, or also `exit` with a code that is not 0, for platforms that start a container again.
    on_device_lost: OnLost = "PLIMSOLL_ON_DEVICE_LOST" or "stay", on_lost;
    /// How metrics leave: `auto`, `cloudwatch` (PutMetricData), `emf` (embedded metric format on stdout) or `none`; `GET /metrics` is always on.
    metrics_route: sidecar::RouteChoice = "PLIMSOLL_METRICS_ROUTE" or "auto", route;
    /// Publishing period in seconds: 10 (high resolution) or 60.
    metrics_period_secs: u32 = "PLIMSOLL_METRICS_PERIOD_SECS" or "10", period;
    /// Metrics that leave for CloudWatch: `all`, or names of the table above with commas between them; `GET /metrics` always has all.
    metrics: Vec<Metric> = "PLIMSOLL_METRICS" or "all", metrics;
    /// US dollars a month for a custom metric, for the bill that the start says.
    price_metric: f64 = "PLIMSOLL_PRICE_METRIC" or "0.30", price;
    /// US dollars for a thousand calls of PutMetricData, for the bill.
    price_calls: f64 = "PLIMSOLL_PRICE_CALLS" or "0.01", price;
    /// US dollars for a gigabyte of ingested log (embedded metric format), for the bill.
    price_logs: f64 = "PLIMSOLL_PRICE_LOGS" or "0.50", price;
    /// Seconds within which `OfferedLoad` also asks for the capacity that clears the queue's backlog; the backlog is left out if not set.
    drain_secs: Option<usize> = "PLIMSOLL_DRAIN_SECS" or "", optional(seconds);
    /// When metrics leave beside the end of a period: `timer` (never), or `request`, with each reply, for serverless endpoints whose timers stand still between requests.
    metrics_flush: Flush = "PLIMSOLL_METRICS_FLUSH" or "timer", flush;
    /// NVML library to read the GPUs with, in place of the driver's own `libnvidia-ml.so.1`.
    nvml_library: Option<PathBuf> = "PLIMSOLL_NVML_LIBRARY" or "", optional(path);
    /// Set for CUDA: the GPUs that the process may use; the others neither run the model nor count in the GPU metrics.
    cuda_visible_devices: Option<String> = "CUDA_VISIBLE_DEVICES" or "", optional(text);
    /// AWS region of the metrics where AWS's own variables name none.
    region: Option<String> = "SAGEMAKER_REGION" or "", optional(text);
    /// CloudWatch namespace of the metrics.
    namespace: String = "PLIMSOLL_NAMESPACE" or "Plimsoll", text;
    /// Dimension `EndpointName`; without it (or the component's name) no scaling metrics leave.
    endpoint_name: Option<String> = "PLIMSOLL_ENDPOINT_NAME" or "", optional(text);
    /// Dimension `VariantName`.
    variant_name: Option<String> = "PLIMSOLL_VARIANT_NAME" or "", optional(text);
    /// Dimension `ContainerName`, in a multi-container endpoint.
    container_name: Option<String> = "PLIMSOLL_CONTAINER_NAME" or "", optional(text);
    /// Dimension `InferenceComponentName`, in place of endpoint and variant.
    inference_component_name: Option<String> = "PLIMSOLL_INFERENCE_COMPONENT_NAME" or "", optional(text);
}

fn read_one<T>(
    name: &str,
    default: &str,
    lookup: &impl Fn(&str) -> Option<String>,
    parse: impl Fn(&str) -> Result<T, String>,
    wrong: &mut Vec<String>,
) -> Option<T> {
    let set = lookup(name).filter(|text| !text.trim().is_empty());
    let text = set.as_deref().map_or(default, str::trim);
    parse(text)
        .map_err(|expected| wrong.push(format!("{name}={text}: expected {expected}")))
        .ok()
}

/// Prefix of the settings that are this product's own.
const PREFIX: &str = "PLIMSOLL_";
/// Optional file of settings beside the model.
const FILE: &str = "plimsoll.toml";

impl Settings {
    /// Reads the process's environment and the file beside the model.
    ///
    /// # Errors
    /// [`Wrong`], one sentence for each bad value or unknown name.
    pub fn from_environment() -> Result<Self, Wrong> {
        let mut environment = BTreeMap::new();
        let mut wrong = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => {
                    environment.insert(name, value);
                }
                Err(_) if known(&name) => wrong.push(format!("{name}: expected UTF-8 text")),
                Err(_) => {}
            }
        }
        if wrong.is_empty() {
            Self::from_map(&environment)
        } else {
            Err(Wrong(wrong))
        }
    }

    fn from_map(environment: &BTreeMap<String, String>) -> Result<Self, Wrong> {
        let mut wrong: Vec<String> = environment
            .keys()
            .filter(|name| name.starts_with(PREFIX) && !known(name))
            .map(|name| unknown("setting", name, TABLE.iter().map(|row| row.name.to_owned())))
            .collect();
        let base = environment
            .get("SAGEMAKER_BASE_DIR")
            .filter(|dir| !dir.trim().is_empty())
            .map_or_else(|| PathBuf::from("/opt/ml"), PathBuf::from);
        let file = settings_file(&base.join("model").join(FILE), &mut wrong);
        let read = Self::read(|name| {
            let set = environment.get(name);
            if name == "CUDA_VISIBLE_DEVICES" && set.is_some_and(|value| value.trim().is_empty()) {
                // To CUDA nothing is not the default but no GPU, which it also writes as -1.
                return Some("-1".to_owned());
            }
            set.filter(|value| !value.trim().is_empty())
                .or_else(|| file.get(name))
                .cloned()
        });
        match read {
            Ok(settings) if wrong.is_empty() => {
                let inconsistent = settings.inconsistent();
                if inconsistent.is_empty() {
                    Ok(settings)
                } else {
                    Err(Wrong(inconsistent))
                }
            }
            Ok(_) => Err(Wrong(wrong)),
            Err(Wrong(more)) => {
                wrong.extend(more);
                Err(Wrong(wrong))
            }
        }
    }

    /// Settings that are right alone and wrong together, and what the sidecar refuses.
    fn inconsistent(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.inference_component_name.is_some() && self.endpoint_name.is_some() {
            wrong.push(
                "PLIMSOLL_INFERENCE_COMPONENT_NAME and PLIMSOLL_ENDPOINT_NAME are both set: expected one of them, because the dimensions of a component are its name alone".to_owned(),
            );
        }
        if self.endpoint_name.is_some() != self.variant_name.is_some() {
            wrong.push(
                "only one of PLIMSOLL_ENDPOINT_NAME and PLIMSOLL_VARIANT_NAME is set: expected both or none, because scaling metrics carry both dimensions".to_owned(),
            );
        }
        if self.container_name.is_some() && self.endpoint_name.is_none() {
            wrong.push(
                "PLIMSOLL_CONTAINER_NAME is set without PLIMSOLL_ENDPOINT_NAME and PLIMSOLL_VARIANT_NAME: expected all three".to_owned(),
            );
        }
        let has_graphs = match self.device {
            Wanted::Auto => true,
            Wanted::Cpu => false,
            Wanted::Gpu { provider, .. } => provider == Provider::Cuda,
        };
        if self.cuda_graph && !has_graphs {
            wrong.push(format!(
                "PLIMSOLL_CUDA_GRAPH=on is for CUDA's kernels, and PLIMSOLL_DEVICE={} runs others: expected cuda or auto",
                self.device
            ));
        }
        wrong.extend(self.sidecar().check());
        wrong
    }

    /// The part of the settings that the sidecar gets.
    #[must_use]
    pub fn sidecar(&self) -> sidecar::Config {
        let dimensions = [
            ("EndpointName", &self.endpoint_name),
            ("VariantName", &self.variant_name),
            ("ContainerName", &self.container_name),
            ("InferenceComponentName", &self.inference_component_name),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
        .collect();
        sidecar::Config {
            route: self.metrics_route,
            period_secs: self.metrics_period_secs,
            namespace: self.namespace.clone(),
            dimensions,
            metrics: self.metrics.clone(),
            drain_secs: self.drain_secs.map(|secs| secs as f64),
            region: self.region.clone(),
            nvml_library: self.nvml_library.clone(),
            visible_gpus: self.cuda_visible_devices.clone(),
            ..sidecar::Config::default()
        }
    }

    /// What CloudWatch charges.
    #[must_use]
    pub fn prices(&self) -> Prices {
        Prices {
            metric: self.price_metric,
            thousand_calls: self.price_calls,
            log_gb: self.price_logs,
        }
    }

    /// The part of the settings that the server gets, with what the container has.
    #[must_use]
    pub fn inference(&self, limits: &sidecar::Limits) -> inference::Config {
        let unlimited = |mb: usize| match mb {
            0 => usize::MAX,
            mb => mb.saturating_mul(1024 * 1024),
        };
        let defaults = inference::Config::default();
        let max_request_bytes = self
            .max_request_size
            .or(self.max_payload_mb.map(unlimited))
            .unwrap_or(defaults.max_request_bytes);
        let max_unpacked_bytes = match self.max_unpacked_mb {
            Some(mb) => mb.saturating_mul(1024 * 1024),
            None if max_request_bytes == usize::MAX => {
                inference::config::DEFAULT_MAX_UNPACKED_BYTES
            }
            None => max_request_bytes,
        };
        let request_limit = self
            .timeout_secs
            .or(self.timeout_seconds)
            .map_or(defaults.request_limit, |secs| {
                Duration::from_secs(secs as u64)
            });
        inference::Config {
            model_folder: self.base_dir.join("model"),
            onnxruntime_library: self
                .onnxruntime_library
                .clone()
                .map_or_else(library_places, |path| vec![path]),
            listen: ([0, 0, 0, 0], self.port).into(),
            safe_ports: self.safe_ports.clone(),
            budget: inference::runtime::pool::Budget {
                cpus: limits.cpus,
                cpus_reason: limits.cpus_reason.clone(),
                memory_bytes: limits.memory_bytes,
                slots: self.slots.or(self.workers),
                intra_op_threads: self.intra_op_threads,
            },
            device: inference::config::Device {
                wanted: self.device,
                memory_limit: self
                    .gpu_memory_limit_mb
                    .map(|mb| (mb as u64).saturating_mul(1024 * 1024)),
                cuda_graph: self.cuda_graph,
                on_lost: self.on_device_lost,
            },
            batching: self.batching,
            queue_limit: self.queue_limit,
            max_request_bytes,
            max_unpacked_bytes,
            max_bodies_bytes: match (self.max_bodies_mb, limits.memory_bytes) {
                (Some(mb), _) => mb.saturating_mul(1024 * 1024),
                (None, Some(bytes)) => usize::try_from(bytes / 2).unwrap_or(usize::MAX),
                (None, None) => defaults.max_bodies_bytes,
            },
            max_header_bytes: self.max_header_bytes,
            request_limit,
            default_accept: self.default_accept.clone(),
            stream_records: NonZeroUsize::new(self.stream_records),
            batch: self.batch,
            transform: inference::config::Transform {
                max_concurrent: self.max_concurrent_transforms,
                strategy: self.batch_strategy,
                max_payload_mb: self.max_payload_mb,
            },
            multi_model: self.multi_model,
            ..defaults
        }
    }
}

fn known(name: &str) -> bool {
    TABLE.iter().any(|row| row.name == name)
}

/// Where ONNX Runtime's library lies when nobody says: beside the binary, where the image has it,
/// or where `cargo xtask onnxruntime` puts it in a checkout.
fn library_places() -> Vec<PathBuf> {
    const NAME: &str = "libonnxruntime.so";
    let mut places = Vec::new();
    if let Some(folder) = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.canonicalize().ok())
        .as_deref()
        .and_then(Path::parent)
    {
        places.push(folder.join(NAME));
        places.push(folder.join("../lib/plimsoll").join(NAME));
        places.extend(
            folder
                .ancestors()
                .skip(1)
                .take(3)
                .map(|above| above.join(".plimsoll/onnxruntime").join(NAME))
                .filter(|place| place.exists()),
        );
    }
    places.push(Path::new("/usr/lib/plimsoll").join(NAME));
    places
}

#[cfg(test)]
mod tests;
