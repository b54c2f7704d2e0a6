//! `plimsoll serve`: settings → what the container has → sidecar → server → last metrics.

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::Duration;

use inference::device::{Gpu, Gpus, Version};
use inference::runtime::pool::readable;
use inference::{Announcement, Hooks, PageFormat};

use crate::settings::{Flush, Settings, Wrong};
use crate::{bill, logging, EXIT_USAGE};

/// How long the last metrics may take at exit.
const LAST_METRICS: Duration = Duration::from_secs(4);

/// How long the driver may take to say which GPUs there are.
const SURVEY: Duration = Duration::from_secs(10);

/// Serves until told to stop.
pub fn run() -> ExitCode {
    let settings = match Settings::from_environment() {
        Ok(settings) => settings,
        Err(Wrong(sentences)) => {
            for sentence in sentences {
                eprintln!("plimsoll: {sentence}");
            }
            return ExitCode::from(EXIT_USAGE);
        }
    };
    logging::install(settings.log, settings.log_level);
    inference::runtime::ort::switch_telemetry_off();
    inference::heap::give_large_blocks_back();

    let limits = sidecar::limits();
    let config = settings.inference(&limits);
    let recorder = sidecar::Recorder::new();
    let first_good_ping = Arc::new(AtomicBool::new(false));
    let sidecar = match sidecar::start(
        settings.sidecar(),
        recorder.clone(),
        Arc::clone(&first_good_ping),
    ) {
        Ok(sidecar) => sidecar,
        Err(error) => {
            tracing::error!("the system refused the sidecar's thread: {error}");
            return ExitCode::FAILURE;
        }
    };

    let page = sidecar.page();
    let hooks = Hooks {
        recorder: &recorder,
        epoch: recorder.epoch(),
        page: Arc::new(move |format| match format {
            PageFormat::Text => page.render(),
            PageFormat::OpenMetrics => page.render_openmetrics(),
        }),
        first_good_ping,
        flush: (settings.metrics_flush == Flush::Request).then(|| {
            let flusher = sidecar.flusher();
            Arc::new(move || {
                let flusher = flusher.clone();
                Box::pin(async move { flusher.flush().await }) as inference::FlushFuture
            }) as inference::Flush
        }),
        gpus: Box::new({
            let config = settings.sidecar();
            move || gpus(&config)
        }),
    };
    let bill = bill::line(
        &settings.sidecar(),
        &settings.prices(),
        settings.metrics_flush == Flush::Request,
    );
    let served = inference::serve(&config, hooks, |found| {
        say(found, &limits, &sidecar.route_line(), bill.as_deref());
    });
    sidecar.stop(LAST_METRICS);
    let code = match served {
        Ok(()) => {
            tracing::info!("left in order");
            0
        }
        Err(error) => {
            tracing::error!("{error}");
            1
        }
    };
    // Without the libraries' exit handlers: a load or a run that nobody waits for any more may still
    // be inside ONNX Runtime, which crashes when it is taken down around it. Everything that was
    // owed has been sent.
    signal_hook::low_level::exit(code)
}

/// The GPUs that there are, in the server's words.
fn gpus(config: &sidecar::Config) -> Gpus {
    match sidecar::gpus(config, SURVEY) {
        Ok(found) => Gpus {
            devices: found
                .devices
                .into_iter()
                .map(|gpu| Gpu {
                    name: gpu.name,
                    memory_bytes: gpu.memory_bytes,
                    free_bytes: gpu.free_bytes,
                    is_slice: gpu.is_slice,
                })
                .collect(),
            driver: found.driver,
            cuda: found.cuda.map(Version::of_cuda),
            absent: None,
        },
        Err(none) => Gpus {
            absent: Some(none.to_string()),
            ..Gpus::default()
        },
    }
}

/// What was found and decided, in a few lines.
fn say(found: &Announcement, limits: &sidecar::Limits, route: &str, bill: Option<&str>) {
    tracing::info!(
        "model    {} ({})",
        found.model.display(),
        bytes(found.model_bytes)
    );
    for port in &found.signature.inputs {
        tracing::info!("  takes  {}", line(&port.to_string()));
    }
    for port in &found.signature.outputs {
        tracing::info!("  gives  {}", line(&port.to_string()));
    }
    match found.signature.batch() {
        inference::model::Batch::Fixed(n) => {
            tracing::info!("  batch  fixed: every request brings exactly {n} record(s)");
        }
        inference::model::Batch::None => {
            tracing::info!("  batch  none: every request is one run of its own shape");
        }
        inference::model::Batch::Free => {}
    }
    match (&found.run, &found.unwarmed) {
        (Some(run), _) => tracing::info!("warm-up  one record takes {}", readable(*run)),
        (None, reason) => tracing::warn!(
            "warm-up  skipped: no input made from the signature fits this model ({}); the first request will be slower",
            reason.as_deref().unwrap_or("no reason given")
        ),
    }
    tracing::info!(
        "slots    {} × {} intra-op thread(s): {}",
        found.slots,
        found.intra_op_threads,
        found.reason
    );
    tracing::info!("batching {}", found.sharing);
    if let Some(capacity) = &found.at_capacity {
        tracing::info!("capacity {}", at_capacity(capacity));
    }
    tracing::info!("memory   {}", limits.memory_reason);
    if let Some(device) = &found.device {
        tracing::info!("device   {device}");
    }
    let nodes = found.nodes.as_ref();
    tracing::info!(
        "runtime  ONNX Runtime {} with {}{} ({}), its telemetry off",
        found.runtime_version,
        found.provider,
        nodes.map_or_else(String::new, |nodes| format!(": {}", nodes.line())),
        found.library.display()
    );
    tracing::info!("metrics  {route}");
    if let Some(bill) = bill {
        tracing::info!("bill     {bill}");
    }
    tracing::info!(
        "ready    on {} after {}",
        found.address,
        readable(found.took)
    );
}

/// What a slot can do, and what a request costs beside it.
fn at_capacity(capacity: &inference::AtCapacity) -> String {
    let run = readable(capacity.run.run);
    let runs = match capacity.run.rows {
        1 => format!("a run takes {run} of a slot"),
        rows => format!("a run of {rows} records takes {run} of a slot"),
    };
    match capacity.overhead {
        Some(overhead) => format!("{runs}, a request {} of CPU beside it", readable(overhead)),
        None => runs,
    }
}

/// Port names are free text; a log line is not.
fn line(text: &str) -> String {
    let printable: String = text
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(160)
        .collect();
    printable
}

fn bytes(n: u64) -> String {
    match n {
        n if n < 10_000 => format!("{n} bytes"),
        n if n < 10_000_000 => format!("{} kB", n / 1000),
        n => format!("{} MB", n / 1_000_000),
    }
}
