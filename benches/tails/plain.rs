//! The server out of this very program: as `plimsoll serve` starts it, and without what is measured.
//! One program, so that nothing else differs: two that are linked apart differ by a few percent for
//! where their code happens to lie.

use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inference::{Config, Hooks};
use plimsoll::settings::{Settings, Wrong};

use crate::Result;

/// The words that make this program serve.
pub(crate) const WITH: &str = "serve-as-shipped";
pub(crate) const WITHOUT: &str = "serve-without-metrics";

/// No request takes as long, and none is as many.
const FOREVER: Duration = Duration::from_secs(24 * 3600);
const MANY: usize = 1 << 20;

/// Serves until killed with the same settings, but without the sidecar, with metrics that go nowhere,
/// and with limits that no request comes near.
pub(crate) fn serve() -> Result<()> {
    let settings = Settings::from_environment().map_err(|Wrong(sentences)| sentences.join("; "))?;
    plimsoll::logging::install(settings.log, settings.log_level);
    inference::runtime::ort::switch_telemetry_off();
    let config = Config {
        queue_limit: MANY,
        max_request_bytes: usize::MAX,
        max_unpacked_bytes: usize::MAX,
        max_bodies_bytes: usize::MAX,
        max_header_bytes: usize::MAX,
        request_limit: FOREVER,
        ..settings.inference(&sidecar::limits())
    };
    let hooks = Hooks {
        recorder: &metrics::NoopRecorder,
        epoch: Instant::now(),
        page: Arc::new(|_| String::new()),
        first_good_ping: Arc::new(AtomicBool::new(false)),
        flush: None,
        gpus: Box::new(Default::default),
    };
    Ok(inference::serve(&config, hooks, |_| {})?)
}
