//! From start to exit: bind, load, serve, leave.
//!
//! The port is bound before the model is loaded, so that the platform's first health checks find
//! somebody who says "not yet"; a model that cannot be loaded ends the process with the reason. At
//! SIGTERM `/ping` says 503 at once while requests are still served for a while, then no more
//! connections are taken, what is open is finished, and the process leaves.

mod connections;
mod load;
mod place;
mod threads;
mod trial;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::config::{Config, OnLost};
use crate::device::{DeviceError, Gpus, Nodes};
use crate::http::{App, Flush, Limits, PageFormat, Room};
use crate::locate::LocateError;
use crate::model::Signature;
use crate::onnx_file::FileError;
use crate::ready::Ready;
use crate::runtime::capacity::Point;
use crate::runtime::ort::{LoadError, OpenError};
use crate::telemetry::{HttpMetrics, ModelMetrics, SchedulerMetrics, Source};
use connections::{accept, listen, Phase};
use load::load_on_a_thread;
use threads::HttpThreads;

/// Why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not allowed.
    #[error("cannot listen on {address}: {source}; expected a free port (SAGEMAKER_BIND_TO_PORT sets it)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No model, or several.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// The file is no model, or incomplete.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is larger than the memory.
    #[error("{file} takes {} MB with its external data, and there are {} MB of memory; expected at least twice the model's size (docker run --memory, or a larger instance)", .bytes / 1_000_000, .limit / 1_000_000)]
    Memory {
        /// The model.
        file: PathBuf,
        /// Its bytes, external data included.
        bytes: u64,
        /// The container's limit, or the machine's memory.
        limit: u64,
    },
    /// ONNX Runtime is not there.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The GPU that was asked for cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The GPU was lost, and the user wants the process to leave then.
    #[error("the GPU is lost: {0}")]
    DeviceLost(String),
    /// ONNX Runtime refused the model.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The system refused a thread or a signal handler.
    #[error("the system refused {what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// Loading ended without a word: a bug.
    #[error("loading the model was aborted by an internal error")]
    LoaderDied,
}

/// What the binary joins to the server.
pub struct Hooks<'r> {
    /// Where the metric handles come from.
    pub recorder: &'r dyn metrics::Recorder,
    /// The recorder's time 0.
    pub epoch: Instant,
    /// The Prometheus page.
    pub page: Arc<dyn Fn(PageFormat) -> String + Send + Sync>,
    /// Set at the first good `/ping`.
    pub first_good_ping: Arc<AtomicBool>,
    /// Sees the metrics off before a reply leaves, where timers may stand still between requests.
    pub flush: Option<Flush>,
    /// Finds the GPUs that there are; asked by the loading thread, because a driver can hang.
    pub gpus: Box<dyn FnOnce() -> Gpus + Send>,
}

/// What was found and decided, for the start-up lines.
#[derive(Debug)]
pub struct Announcement {
    /// The model's file.
    pub model: PathBuf,
    /// Bytes of the model and its external data.
    pub model_bytes: u64,
    /// What it takes and gives.
    pub signature: Arc<Signature>,
    /// Concurrent runs.
    pub slots: usize,
    /// Threads of each run.
    pub intra_op_threads: usize,
    /// Why so many.
    pub reason: String,
    /// Median run on synthetic input; `None` where no synthetic input fits.
    pub run: Option<Duration>,
    /// Whether requests share runs, and why.
    pub sharing: String,
    /// What a slot can do, as warm-up measured; `None` where it could not.
    pub at_capacity: Option<AtCapacity>,
    /// What the synthetic inputs met, where none fits.
    pub unwarmed: Option<String>,
    /// ONNX Runtime's version.
    pub runtime_version: String,
    /// Its library.
    pub library: PathBuf,
    /// The execution provider that runs the model.
    pub provider: &'static str,
    /// The GPU that it runs on, and what that needs; `None` on the CPU.
    pub device: Option<String>,
    /// Which provider runs its nodes; `None` where the runtime does not tell.
    pub nodes: Option<Nodes>,
    /// Address the server listens on.
    pub address: SocketAddr,
    /// From the start of [`serve`] to ready.
    pub took: Duration,
}

/// What one slot can do with every slot busy.
#[derive(Debug, Clone, Copy)]
pub struct AtCapacity {
    /// The best run that is permitted.
    pub run: Point,
    /// CPU time of a request beside its run; `None` where it is small beside the run.
    pub overhead: Option<Duration>,
}

/// Serves until SIGTERM or SIGINT. `announce` is called once, when the model is ready.
///
/// # Errors
/// [`ServeError`] when the port, the runtime or the model cannot be had.
pub fn serve(
    config: &Config,
    hooks: Hooks<'_>,
    announce: impl FnOnce(&Announcement),
) -> Result<(), ServeError> {
    let begun = Instant::now();
    let threads = HttpThreads::start(config.budget.cores(), "http")?;
    let source = Source {
        recorder: hooks.recorder,
        epoch: hooks.epoch,
    };
    let app = Arc::new(App {
        ready: Ready::new(config.multi_model),
        limits: Limits {
            request_bytes: config.max_request_bytes,
            unpacked_bytes: config.max_unpacked_bytes,
            header_bytes: config.max_header_bytes,
            request: config.request_limit,
            stream_records: config.stream_records,
        },
        default_accept: config.default_accept.clone(),
        batch: config.batch,
        transform: config.transform,
        page: hooks.page,
        first_good_ping: hooks.first_good_ping,
        flush: hooks.flush,
        room: Room::new(config.max_bodies_bytes),
        metrics: HttpMetrics::register(source),
    });
    let metrics = (
        SchedulerMetrics::register(source),
        ModelMetrics::register(source),
    );
    let served = threads.first().block_on(async {
        // Before the port: whoever can connect can also stop the server in order.
        let mut signals = Signals::install()?;
        let (listener, address) = listen(config.listen)?;
        let (phase, phases) = watch::channel(Phase::Serving);
        // Every connection holds a clone; all dropped means that all are closed.
        let (open, mut closed) = mpsc::channel::<()>(1);
        let accept = accept(listener, Arc::clone(&app), threads.spread(), phases, open);
        let accept = tokio::spawn(accept);

        if config.multi_model {
            tracing::info!("ready    on {address}, in multi-model mode, without a model");
        } else {
            tokio::select! {
                loaded = load_on_a_thread(config.clone(), metrics, hooks.gpus)? => {
                    let (model, mut announcement) = loaded.unwrap_or(Err(ServeError::LoaderDied))?;
                    app.ready.open(model);
                    announcement.address = address;
                    announcement.took = begun.elapsed();
                    announce(&announcement);
                }
                _ = signals.next() => {
                    tracing::info!("told to stop while loading");
                    return Ok(());
                }
            }
        }

        let mut lost = None;
        let signal = tokio::select! {
            signal = signals.next() => signal,
            reason = device_lost(&app, config.device.on_lost) => {
                lost = Some(reason);
                Signal::Terminate
            }
        };
        leave(config, &app, signal, &mut signals, &phase).await;
        drop(accept.await);
        // Closed when the last connection is; a second signal or the deadline cuts it short.
        tokio::select! {
            _ = closed.recv() => {}
            () = tokio::time::sleep(config.drain) => {
                tracing::warn!("requests were still open after {:?}", config.drain);
            }
            _ = signals.next() => {}
        }
        if let Some(model) = app.ready.model() {
            model.scheduler.close();
        }
        lost.map_or(Ok(()), |reason| Err(ServeError::DeviceLost(reason)))
    });
    // A run that nobody waits for any more must not hold the process.
    threads.end(Duration::ZERO);
    served
}

/// Done when the GPU is lost and the process is to leave then, with the reason.
async fn device_lost(app: &App, on_lost: OnLost) -> String {
    match app.ready.model() {
        Some(model) if on_lost == OnLost::Exit => model.scheduler.device_lost().await,
        _ => std::future::pending().await,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Terminate,
    Interrupt,
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn install() -> Result<Self, ServeError> {
        use tokio::signal::unix::{signal, SignalKind};
        let refused = |source| ServeError::System {
            what: "a signal handler",
            source,
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(refused)?,
            interrupt: signal(SignalKind::interrupt()).map_err(refused)?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}

/// `/ping` turns 503; requests are still served while a slow balancer notices; then no more.
async fn leave(
    config: &Config,
    app: &App,
    signal: Signal,
    signals: &mut Signals,
    phase: &watch::Sender<Phase>,
) {
    app.ready.leave();
    // Ctrl-C comes from a person at a terminal, behind whom there is no balancer.
    if signal == Signal::Terminate {
        tracing::info!(
            "leaving: /ping says 503, requests are served for {:?}",
            config.linger
        );
        tokio::select! {
            () = tokio::time::sleep(config.linger) => {}
            _ = signals.next() => {}
        }
    }
    phase.send_replace(Phase::Draining);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::device_tests::{on_gpu, post};

    #[tokio::test]
    async fn the_process_leaves_for_a_lost_device_where_it_is_told_to() {
        let mut test = on_gpu();
        let app = Arc::clone(&test.app);
        let shortly = Duration::from_millis(50);
        for on_lost in [OnLost::Exit, OnLost::Stay] {
            let waits = tokio::time::timeout(shortly, device_lost(&app, on_lost)).await;
            assert!(waits.is_err(), "nothing is lost yet");
        }
        let (reason, reply) = tokio::join!(device_lost(&app, OnLost::Exit), async {
            test.send(&[&post(2)]).await
        });
        assert!(reply.starts_with("HTTP/1.1 503"), "{reply}");
        assert!(reason.starts_with("CUDA failure 700"), "{reason}");
        let error = ServeError::DeviceLost(reason).to_string();
        assert!(
            error.starts_with("the GPU is lost: CUDA failure 700"),
            "{error}"
        );
        let stays = tokio::time::timeout(shortly, device_lost(&app, OnLost::Stay)).await;
        assert!(stays.is_err(), "it stays");
    }
}
