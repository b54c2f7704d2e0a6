//! From start to exit: bind, load, serve, leave.
//!
//! The port is bound before the model is loaded, so that the platform's first health checks find
//! somebody who says "not yet"; a model that cannot be loaded ends the process with the reason. At
//! SIGTERM `/ping` says 503 at once while requests are still served for a while, then no more
//! connections are taken, what is open is finished, and the process leaves.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::Config;
use crate::http::{Activity, App, Flush, Limits, Routes};
use crate::locate::{locate, LocateError};
use crate::model::Signature;
use crate::onnx_file::{self, zipmap, FileError};
use crate::ready::{Model, Ready};
use crate::runtime::ort::{LoadError, OpenError, Runtime, Source};
use crate::runtime::pool::{self, Pool};
use crate::runtime::records;
use crate::runtime::Engine;
use crate::scheduler::Scheduler;
use crate::telemetry::{HttpMetrics, SchedulerMetrics};

/// Connections that may wait to be accepted: the platform wants each accepted within 250 ms.
const BACKLOG: i32 = 1024;
/// A connection is closed after two windows without a request, 80 to 160 seconds: the platform
/// reuses connections, and wants idle ones kept for 60 s.
const QUIET_WINDOW: Duration = Duration::from_secs(40);
/// How often accept is tried again when the process has no file descriptor left.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

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
    /// ONNX Runtime is not there.
    #[error(transparent)]
    Open(#[from] OpenError),
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
    /// The Prometheus page.
    pub page: Arc<dyn Fn() -> String + Send + Sync>,
    /// Set at the first good `/ping`.
    pub first_good_ping: Arc<AtomicBool>,
    /// Sees the metrics off before a reply leaves, where timers may stand still between requests.
    pub flush: Option<Flush>,
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
    /// What the synthetic inputs met, where none fits.
    pub unwarmed: Option<String>,
    /// ONNX Runtime's version.
    pub runtime_version: String,
    /// Its library.
    pub library: PathBuf,
    /// Execution providers in use.
    pub providers: &'static [&'static str],
    /// Address the server listens on.
    pub address: SocketAddr,
    /// From the start of [`serve`] to ready.
    pub took: Duration,
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.budget.cores())
        .thread_name("http")
        .enable_all()
        .build()
        .map_err(|source| ServeError::System {
            what: "the HTTP threads",
            source,
        })?;
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
        metrics: HttpMetrics::register(hooks.recorder),
    });
    let metrics = SchedulerMetrics::register(hooks.recorder);
    let served = runtime.block_on(async {
        // Before the port: whoever can connect can also stop the server in order.
        let mut signals = Signals::install()?;
        let (listener, address) = listen(config.listen)?;
        let (phase, phases) = watch::channel(Phase::Serving);
        // Every connection holds a clone; all dropped means that all are closed.
        let (open, mut closed) = mpsc::channel::<()>(1);
        let accept = tokio::spawn(accept(listener, Arc::clone(&app), phases, open));

        if config.multi_model {
            tracing::info!("ready    on {address}, in multi-model mode, without a model");
        } else {
            tokio::select! {
                loaded = load_on_a_thread(config.clone(), metrics)? => {
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

        let signal = signals.next().await;
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
        Ok(())
    });
    // A run that nobody waits for any more must not hold the process.
    runtime.shutdown_background();
    served
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Draining,
}

/// Waits until the server drains. A sender that is gone means the same.
async fn draining(phases: &mut watch::Receiver<Phase>) {
    let _ = phases.wait_for(|phase| *phase == Phase::Draining).await;
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

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let open = || -> io::Result<(TcpListener, SocketAddr)> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        // A restarted server finds its port again although old connections linger.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    open().map_err(|source| ServeError::Listen { address, source })
}

async fn accept(
    listener: TcpListener,
    app: Arc<App>,
    mut phases: watch::Receiver<Phase>,
    open: mpsc::Sender<()>,
) {
    let routes = Routes::new(app);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, or a connection that died in the backlog.
                    tracing::debug!("accept failed: {error}");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            },
            () = draining(&mut phases) => return,
        };
        tokio::spawn(connection(
            stream,
            routes.clone(),
            phases.clone(),
            open.clone(),
        ));
    }
}

async fn connection(
    stream: TcpStream,
    routes: Routes,
    mut phases: watch::Receiver<Phase>,
    _open: mpsc::Sender<()>,
) {
    // Replies are written whole; waiting for more of them only adds delay.
    let _ = stream.set_nodelay(true);
    let activity = Arc::new(Activity::default());
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), routes.counted_by(&activity));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = draining(&mut phases) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                ended = connection.as_mut() => ended,
                // Half a head, or nothing: nobody is owed a reply.
                () = without_a_request(&activity) => return,
            }
        }
        () = quiet(&activity) => return,
    };
    if let Err(error) = ended {
        tracing::trace!("connection ended: {error}");
    }
}

/// Waits until a connection has had no open request for a moment.
async fn without_a_request(activity: &Activity) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if !activity.is_busy() {
            return;
        }
    }
}

/// Waits until a connection has brought no request for two whole windows: it is idle, or its head
/// drips in to hold us. One timer a connection; hyper's own would be set and taken back at every
/// request.
async fn quiet(activity: &Activity) {
    let mut seen = None;
    let mut quiet_windows = 0;
    while quiet_windows < 2 {
        tokio::time::sleep(QUIET_WINDOW).await;
        let heads = activity.heads();
        if seen == Some(heads) && !activity.is_busy() {
            quiet_windows += 1;
        } else {
            quiet_windows = 0;
        }
        seen = Some(heads);
    }
}

type Loaded = Result<(Model, Announcement), ServeError>;

/// Loads off the HTTP threads, which already answer `/ping`.
fn load_on_a_thread(
    config: Config,
    metrics: SchedulerMetrics,
) -> Result<oneshot::Receiver<Loaded>, ServeError> {
    let (done, loaded) = oneshot::channel();
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            // Nobody to tell means that the process is leaving.
            let _ = done.send(load(&config, metrics));
        })
        .map_err(|source| ServeError::System {
            what: "the loading thread",
            source,
        })?;
    Ok(loaded)
}

fn load(config: &Config, metrics: SchedulerMetrics) -> Loaded {
    let begun = Instant::now();
    let file = locate(&config.model_folder)?;
    let (bytes, facts) = onnx_file::read(&file)?;
    let source = Source {
        // A rewritten model is loaded from memory, where external data has no place to lie beside.
        rewritten: bytes
            .as_deref()
            .filter(|_| facts.external.is_empty())
            .and_then(zipmap::strip)
            .map(|(model, maps)| (Arc::new(model), maps)),
        file,
        facts,
    };
    drop(bytes);
    let runtime = Runtime::open(&config.onnxruntime_library)?;
    let Pool {
        engines,
        signature,
        intra_op_threads,
        reason,
        warm,
        unwarmed,
    } = pool::load(&runtime, &source, &config.budget)?;
    let slots = engines.len();
    let mut engines = engines;
    let dependence = match (engines.first_mut(), &warm) {
        _ if source.facts.has_shared_scales => {
            Some("its quantisation takes scales over all records".to_owned())
        }
        (Some(engine), Some(warm)) => records::dependence(engine, &signature, warm).err(),
        _ => Some("no input made from the signature fits".to_owned()),
    };
    if let Some(reason) = &dependence {
        tracing::debug!("replies are not streamed: {reason}");
    }
    let engines = engines
        .into_iter()
        .map(|engine| Box::new(engine) as Box<dyn Engine>)
        .collect();
    let scheduler = Scheduler::start(
        engines,
        config.queue_limit,
        !source.facts.has_control_flow,
        metrics,
    )
    .map_err(|source| ServeError::System {
        what: "a slot's thread",
        source,
    })?;
    if let Some(warm) = &warm {
        scheduler.calibrate(&warm.inputs, warm.run);
    }
    let has_independent_records = dependence.is_none();
    let announcement = Announcement {
        model: source.file.clone(),
        model_bytes: source.facts.total_bytes,
        signature: Arc::clone(&signature),
        slots,
        intra_op_threads,
        reason,
        run: warm.as_ref().map(|warm| warm.run),
        unwarmed,
        runtime_version: runtime.version().to_owned(),
        library: runtime.library().to_owned(),
        providers: runtime.providers(),
        address: config.listen,
        took: begun.elapsed(),
    };
    let model = Model {
        name: model_name(&source.file),
        url: config.model_folder.display().to_string(),
        signature,
        has_independent_records,
        scheduler,
    };
    Ok((model, announcement))
}

/// `…/iris.onnx` is `iris`; `…/iris/3/model.onnx` is `iris`; a bare `model.onnx` is `model`.
fn model_name(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy());
    let version = file.parent().and_then(Path::file_name);
    let numeric = |name: &std::ffi::OsStr| {
        name.to_str()
            .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()))
    };
    if stem.as_deref() == Some("model") && version.is_some_and(numeric) {
        if let Some(name) = file
            .parent()
            .and_then(Path::parent)
            .and_then(Path::file_name)
        {
            return name.to_string_lossy().into_owned();
        }
    }
    stem.map_or_else(|| "model".to_owned(), |stem| stem.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_kept_for_80_seconds_and_then_closed() {
        let activity = Activity::default();
        let begun = tokio::time::Instant::now();
        activity.begin();
        activity.end();
        quiet(&activity).await;
        let kept = begun.elapsed();
        assert!((80..=160).contains(&kept.as_secs()), "{kept:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_an_open_request_is_not_closed() {
        let activity = Activity::default();
        activity.begin();
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, quiet(&activity)).await.is_err());
        activity.end();
        assert!(tokio::time::timeout(hour, quiet(&activity)).await.is_ok());
    }

    #[test]
    fn models_are_named_by_file_or_versioned_folder() {
        for (file, name) in [
            ("/opt/ml/model/model.onnx", "model"),
            ("/opt/ml/model/iris.onnx", "iris"),
            ("/opt/ml/model/iris/3/model.onnx", "iris"),
        ] {
            assert_eq!(model_name(Path::new(file)), name);
        }
    }
}
