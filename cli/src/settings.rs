//! Every setting, in one struct, read in one place.
//!
//! A setting comes from the environment or, for the `PLIMSOLL_…` ones, from `plimsoll.toml` beside
//! the model (`PLIMSOLL_QUEUE_LIMIT=8` is `queue_limit = 8` there); the environment wins. Every bad
//! value is reported, not only the first. An unset or empty variable means the default.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::logging::Format;

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
    /// Largest request body in bytes; wins over `SAGEMAKER_MAX_PAYLOAD_IN_MB`.
    max_request_size: Option<usize> = "SAGEMAKER_MAX_REQUEST_SIZE" or "", optional(at_least_one);
    /// Largest request body in MB (1024 × 1024 bytes); 0 means no limit; 100 if not set.
    max_payload_mb: Option<usize> = "SAGEMAKER_MAX_PAYLOAD_IN_MB" or "", optional(whole);
    /// Largest size in MB that a request may unfold to: decompressed, an unpacked npz archive, a sparse array made dense. As large as a request body if not set, 1024 where that has no limit.
    max_unpacked_mb: Option<usize> = "PLIMSOLL_MAX_UNPACKED_MB" or "", optional(at_least_one);
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
    /// Threads of one model execution; chosen by measurement if not set.
    intra_op_threads: Option<NonZeroUsize> = "PLIMSOLL_INTRA_OP_THREADS" or "", optional(threads);
    /// Requests that may wait for a slot; one more is refused with 503.
    queue_limit: usize = "PLIMSOLL_QUEUE_LIMIT" or "128", at_least_one;
    /// ONNX Runtime's shared library; found beside the binary if not set.
    onnxruntime_library: Option<PathBuf> = "PLIMSOLL_ONNXRUNTIME_LIBRARY" or "", optional(path);
    /// How metrics leave: `auto`, `cloudwatch` (PutMetricData), `emf` (embedded metric format on stdout) or `none`; `GET /metrics` is always on.
    metrics_route: sidecar::RouteChoice = "PLIMSOLL_METRICS_ROUTE" or "auto", route;
    /// Publishing period in seconds: 10 (high resolution) or 60.
    metrics_period_secs: u32 = "PLIMSOLL_METRICS_PERIOD_SECS" or "10", period;
    /// When metrics leave beside the end of a period: `timer` (never), or `request`, with each reply, for serverless endpoints whose timers stand still between requests.
    metrics_flush: Flush = "PLIMSOLL_METRICS_FLUSH" or "timer", flush;
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

fn optional<T>(
    parse: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<Option<T>, String> {
    move |text| {
        if text.is_empty() {
            Ok(None)
        } else {
            parse(text).map(Some)
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every parser has this shape")]
fn path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

#[expect(clippy::unnecessary_wraps, reason = "every parser has this shape")]
fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| "a port from 0 (any free one) to 65535".to_owned())
}

fn whole(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "a whole number".to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    positive(text).map(NonZeroUsize::get)
}

fn positive(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| "a whole number, 1 or more".to_owned())
}

fn seconds(text: &str) -> Result<usize, String> {
    const DAY: usize = 86_400;
    match text.parse() {
        Ok(seconds) if (1..=DAY).contains(&seconds) => Ok(seconds),
        _ => Err(format!("a whole number of seconds from 1 to {DAY}")),
    }
}

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    positive(text)
        .ok()
        .filter(|n| n.get() <= 1024)
        .ok_or_else(|| "a whole number from 1 to 1024".to_owned())
}

/// When metrics leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// At the end of each period.
    Timer,
    /// With each reply too.
    Request,
}

fn flush(text: &str) -> Result<Flush, String> {
    match text {
        "timer" => Ok(Flush::Timer),
        "request" => Ok(Flush::Request),
        _ => Err("timer or request".to_owned()),
    }
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err("true, 1 or yes, or false, 0 or no".to_owned()),
    }
}

fn strategy(text: &str) -> Result<&'static str, String> {
    match text.to_ascii_lowercase().replace('_', "").as_str() {
        "singlerecord" => Ok("SINGLE_RECORD"),
        "multirecord" => Ok("MULTI_RECORD"),
        _ => Err("SINGLE_RECORD or MULTI_RECORD".to_owned()),
    }
}

fn media_type(text: &str) -> Result<String, String> {
    if inference::codec::is_known(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("one of {}", inference::codec::Format::list()))
    }
}

fn log_format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err("text or json".to_owned()),
    }
}

fn log_level(text: &str) -> Result<LevelFilter, String> {
    match text.to_ascii_uppercase().as_str() {
        "TRACE" | "5" => Ok(LevelFilter::TRACE),
        "DEBUG" | "10" => Ok(LevelFilter::DEBUG),
        "INFO" | "20" => Ok(LevelFilter::INFO),
        "WARNING" | "WARN" | "30" => Ok(LevelFilter::WARN),
        "ERROR" | "40" | "CRITICAL" | "FATAL" | "50" => Ok(LevelFilter::ERROR),
        _ => Err("DEBUG, INFO, WARNING, ERROR or CRITICAL, or 10 to 50 in tens".to_owned()),
    }
}

fn route(text: &str) -> Result<sidecar::RouteChoice, String> {
    text.parse()
        .map_err(|_| "auto, cloudwatch, emf or none".to_owned())
}

fn period(text: &str) -> Result<u32, String> {
    match text {
        "10" => Ok(10),
        "60" => Ok(60),
        _ => Err("10 or 60".to_owned()),
    }
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
            environment
                .get(name)
                .filter(|value| !value.trim().is_empty())
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
            region: self.region.clone(),
            ..sidecar::Config::default()
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
            budget: inference::runtime::pool::Budget {
                cpus: limits.cpus,
                cpus_reason: limits.cpus_reason.clone(),
                memory_bytes: limits.memory_bytes,
                slots: self.slots,
                intra_op_threads: self.intra_op_threads,
            },
            queue_limit: self.queue_limit,
            max_request_bytes,
            max_unpacked_bytes,
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

/// One sentence about a name that means nothing, with the nearest one that does.
fn unknown(what: &str, name: &str, names: impl Iterator<Item = String>) -> String {
    let nearest = names
        .map(|candidate| (strsim::damerau_levenshtein(name, &candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().min(name.len()) / 3)
        .min();
    match nearest {
        Some((_, nearest)) => format!("{name}: unknown {what}; did you mean {nearest}?"),
        None => format!("{name}: unknown {what}; the README lists them all"),
    }
}

/// The file's settings by environment name; what is wrong with the others goes to `wrong`.
fn settings_file(file: &Path, wrong: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        // A model folder that is not there is reported when the model is looked for.
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return settings
        }
        Err(error) => {
            wrong.push(format!("{}: {error}", file.display()));
            return settings;
        }
    };
    let table: toml::Table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => {
            let line = error
                .span()
                .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            wrong.push(format!(
                "{}: line {line}: {}",
                file.display(),
                error.message()
            ));
            return settings;
        }
    };
    for (key, value) in table {
        let name = format!("{PREFIX}{}", key.to_uppercase());
        let kind = value.type_str();
        let value = match value {
            toml::Value::String(value) => Some(value),
            toml::Value::Integer(value) => Some(value.to_string()),
            toml::Value::Boolean(value) => Some(value.to_string()),
            _ => None,
        };
        let file = file.display();
        match value {
            _ if !known(&name) || key != key.to_lowercase() => {
                let keys = TABLE
                    .iter()
                    .filter_map(|row| Some(row.name.strip_prefix(PREFIX)?.to_lowercase()));
                wrong.push(format!("{file}: {}", unknown("setting", &key, keys)));
            }
            None => wrong.push(format!(
                "{file}: {key} is of type {kind}: expected a string, a whole number or a boolean"
            )),
            Some(value) => {
                settings.insert(name, value);
            }
        }
    }
    settings
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
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Wrong> {
        let mut environment: BTreeMap<String, String> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        environment
            .entry("SAGEMAKER_BASE_DIR".to_owned())
            .or_insert_with(|| "/nonexistent".to_owned());
        Settings::from_map(&environment)
    }

    fn wrong(pairs: &[(&str, &str)]) -> String {
        read(pairs).unwrap_err().0.join("\n")
    }

    #[test]
    fn an_empty_environment_gives_the_defaults() {
        let settings = read(&[("PLIMSOLL_SLOTS", " ")]).unwrap();
        assert_eq!(settings.port, 8080);
        assert_eq!(settings.slots, None);
        assert_eq!(settings.queue_limit, inference::config::DEFAULT_QUEUE_LIMIT);
        let limits = sidecar::limits();
        let config = settings.inference(&limits);
        assert_eq!(
            config.max_request_bytes,
            inference::config::DEFAULT_MAX_REQUEST_BYTES
        );
        assert_eq!(
            config.request_limit,
            inference::config::DEFAULT_REQUEST_LIMIT
        );
    }

    #[test]
    fn every_bad_value_is_named_with_what_was_expected() {
        for (name, value, expected) in [
            ("SAGEMAKER_BIND_TO_PORT", "80a", "a port from 0"),
            ("SAGEMAKER_BIND_TO_PORT", "65536", "65535"),
            ("SAGEMAKER_MAX_REQUEST_SIZE", "0", "1 or more"),
            ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1", "a whole number"),
            ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "0", "from 1 to 86400"),
            ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "86401", "from 1 to 86400"),
            (
                "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
                "image/png",
                "text/csv",
            ),
            ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud", "WARNING"),
            ("PLIMSOLL_LOG", "xml", "text or json"),
            ("PLIMSOLL_SLOTS", "two", "from 1 to 1024"),
            ("PLIMSOLL_INTRA_OP_THREADS", "0", "from 1 to 1024"),
            ("PLIMSOLL_QUEUE_LIMIT", "0", "1 or more"),
            (
                "PLIMSOLL_METRICS_ROUTE",
                "statsd",
                "auto, cloudwatch, emf or none",
            ),
            ("PLIMSOLL_METRICS_PERIOD_SECS", "30", "10 or 60"),
            ("PLIMSOLL_NAMESPACE", "AWS/SageMaker", "AWS/"),
            ("PLIMSOLL_MAX_UNPACKED_MB", "0", "1 or more"),
            ("PLIMSOLL_MAX_HEADER_BYTES", "-1", "1 or more"),
            ("PLIMSOLL_STREAM_RECORDS", "many", "a whole number"),
            ("PLIMSOLL_METRICS_FLUSH", "always", "timer or request"),
            ("SAGEMAKER_BATCH", "maybe", "true, 1 or yes"),
            ("SAGEMAKER_MULTI_MODEL", "2", "true, 1 or yes"),
            (
                "SAGEMAKER_BATCH_STRATEGY",
                "ALL",
                "SINGLE_RECORD or MULTI_RECORD",
            ),
            ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "0", "1 or more"),
            (
                "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
                "x",
                "from 1 to 86400",
            ),
        ] {
            let message = wrong(&[(name, value)]);
            assert!(message.contains(value), "{message}");
            assert!(message.contains(expected), "{message}");
        }
        let both = wrong(&[("PLIMSOLL_SLOTS", "x"), ("PLIMSOLL_LOG", "y")]);
        assert_eq!(both.lines().count(), 2, "{both}");
    }

    #[test]
    fn an_unknown_setting_is_named_with_its_neighbour() {
        let message = wrong(&[("PLIMSOLL_SLOT", "1")]);
        assert!(
            message.contains("did you mean PLIMSOLL_SLOTS?"),
            "{message}"
        );
        let message = wrong(&[("PLIMSOLL_WHATEVER_ELSE", "1")]);
        assert!(message.contains("unknown setting"), "{message}");
    }

    #[test]
    fn dimensions_come_together_or_not_at_all() {
        let half = wrong(&[("PLIMSOLL_ENDPOINT_NAME", "e")]);
        assert!(half.contains("PLIMSOLL_VARIANT_NAME"), "{half}");
        let settings = read(&[
            ("PLIMSOLL_ENDPOINT_NAME", "e"),
            ("PLIMSOLL_VARIANT_NAME", "v"),
        ])
        .unwrap();
        let names: Vec<_> = settings
            .sidecar()
            .dimensions
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["EndpointName", "VariantName"]);
    }

    #[test]
    fn the_file_beside_the_model_is_read_and_the_environment_wins() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().to_str().unwrap();
        std::fs::create_dir(dir.path().join("model")).unwrap();
        let file = dir.path().join("model/plimsoll.toml");
        std::fs::write(&file, "queue_limit = 7\nslots = 2\n").unwrap();
        let environment = [("SAGEMAKER_BASE_DIR", base), ("PLIMSOLL_SLOTS", "3")];
        let settings = read(&environment).unwrap();
        assert_eq!(settings.queue_limit, 7);
        assert_eq!(settings.slots.map(NonZeroUsize::get), Some(3));

        std::fs::write(&file, "queue_limits = 7\nslots = [1]\n").unwrap();
        let message = wrong(&environment);
        assert!(message.contains("did you mean queue_limit?"), "{message}");
        assert!(
            message.contains("slots is of type array: expected a string"),
            "{message}"
        );
        std::fs::write(&file, "slots = 1\nqueue_limit = \n").unwrap();
        let message = wrong(&environment);
        assert!(message.contains("line 2"), "{message}");
    }

    #[test]
    fn flags_are_read_in_any_case_and_an_empty_one_is_off() {
        for (text, on) in [
            ("TRUE", true),
            ("yes", true),
            ("1", true),
            ("No", false),
            ("", false),
        ] {
            let settings = read(&[("SAGEMAKER_BATCH", text), ("SAGEMAKER_MULTI_MODEL", text)]);
            let settings = settings.unwrap();
            assert_eq!((settings.batch, settings.multi_model), (on, on), "{text}");
        }
        let settings = read(&[("SAGEMAKER_BATCH_STRATEGY", "SingleRecord")]).unwrap();
        assert_eq!(settings.batch_strategy, Some("SINGLE_RECORD"));
    }

    #[test]
    fn the_time_limit_has_two_names() {
        let limits = sidecar::limits();
        let limit = |pairs: &[(&str, &str)]| {
            read(pairs)
                .unwrap()
                .inference(&limits)
                .request_limit
                .as_secs()
        };
        let (short, long) = (
            "SAGEMAKER_MODEL_SERVER_TIMEOUT",
            "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
        );
        assert_eq!(limit(&[(long, "7")]), 7);
        assert_eq!(limit(&[(short, "5"), (long, "7")]), 5);
    }

    #[test]
    fn what_a_body_unfolds_to_is_bounded_as_the_body_is() {
        let limits = sidecar::limits();
        let limit =
            |pairs: &[(&str, &str)]| read(pairs).unwrap().inference(&limits).max_unpacked_bytes;
        assert_eq!(limit(&[("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6")]), 6 << 20);
        assert_eq!(limit(&[("SAGEMAKER_MAX_PAYLOAD_IN_MB", "0")]), 1 << 30);
        assert_eq!(limit(&[("PLIMSOLL_MAX_UNPACKED_MB", "7")]), 7 << 20);
    }

    #[test]
    fn the_body_limit_follows_the_more_exact_setting() {
        let limits = sidecar::limits();
        let limit =
            |pairs: &[(&str, &str)]| read(pairs).unwrap().inference(&limits).max_request_bytes;
        assert_eq!(
            limit(&[("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6")]),
            6 * 1024 * 1024
        );
        assert_eq!(limit(&[("SAGEMAKER_MAX_PAYLOAD_IN_MB", "0")]), usize::MAX);
        assert_eq!(
            limit(&[
                ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6"),
                ("SAGEMAKER_MAX_REQUEST_SIZE", "99")
            ]),
            99
        );
    }
}
