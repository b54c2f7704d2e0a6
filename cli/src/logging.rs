//! Where log lines go: stderr, as text without colours or as JSON, one event a line.

use tracing::level_filters::LevelFilter;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For log collectors.
    Json,
}

/// Installs the log. A second call changes nothing.
pub fn install(format: Format, level: LevelFilter) {
    // Libraries speak up only when something is wrong; the hint of a rejected connection is theirs.
    let ours = ["plimsoll", "inference", "sidecar", "probe"];
    let targets = Targets::new()
        .with_targets(ours.map(|target| (target, level)))
        .with_target(
            "onnxruntime",
            if level >= Level::DEBUG {
                level
            } else {
                LevelFilter::OFF
            },
        )
        .with_default(LevelFilter::ERROR.min(level));
    let registry = tracing_subscriber::registry();
    let _ = match format {
        Format::Text => registry
            .with(
                fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_ansi(false)
                    .with_target(false)
                    .with_filter(targets),
            )
            .try_init(),
        Format::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr)
                    .with_filter(targets),
            )
            .try_init(),
    };
}
