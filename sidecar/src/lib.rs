//! The embedded sidecar: measures the container and publishes what it measured.
//!
//! A metric walks one way: event → [`recorder`] → one-second frame (sampler, with what the
//! [`sources`] read) → period → publisher → CloudWatch, stdout or the Prometheus page.
//!
//! **Invariant:** nothing here slows or breaks serving. The request path touches relaxed atomics
//! only. All else runs on one thread of its own with a runtime of its own; queues are bounded and
//! drop their oldest entry; a foreign call that hangs or panics costs a reading or a period, which
//! is then missing, never 0. The environment is read by nobody here but the AWS SDK.

mod bill;
mod config;
mod outbox;
mod publisher;
pub mod recorder;
mod sampler;
pub mod sources;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{sync_channel, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use scaling::frame::Frame;
use scaling::signal::OfferedLoad;
use scaling::window::Window;
use tokio::sync::{mpsc, oneshot, watch};

pub use bill::{busy_period, usage, usage_of};
pub use config::Config;
pub use publisher::route::RouteChoice;
pub use recorder::Recorder;
pub use sources::cgroup::{limits, Limits};
pub use sources::gpu::survey::{FoundGpu, FoundGpus, NoGpus};

use outbox::Outbox;
use publisher::cloudwatch::{retry, CloudWatch};
use publisher::emf::Emf;
use publisher::prometheus::{Format, Publishing};
use publisher::stats::Stats;
use publisher::{Parcel, Publisher, Stop, Timing};
use sampler::Sampler;
use sources::gpu::{Gpu, View};

/// Periods that wait while a route fails: at 10 s, ten minutes.
const OUTBOX_PERIODS: usize = 60;

/// A last frame shorter than this brings its events but no samples of levels and readings: over a
/// few milliseconds a load is noise.
const SHORTEST_SAMPLE_SECS: f64 = 0.5;

/// The GPUs that CUDA may use now, by what the driver says; it gets `limit` for it, because it can
/// hang.
///
/// # Errors
/// [`NoGpus`]: why there is none.
pub fn gpus(config: &Config, limit: Duration) -> Result<FoundGpus, NoGpus> {
    let library = config.nvml_library.clone();
    sources::gpu::survey::survey(library, config.visible_gpus.as_deref(), limit)
}

/// The running sidecar. Dropping it ends the thread without waiting for it.
#[derive(Debug)]
pub struct Sidecar {
    page: Page,
    route_line: String,
    flusher: Flusher,
    stop: watch::Sender<Option<Instant>>,
    ended: Receiver<()>,
}

/// How long a flush may hold up whoever asked for it.
const FLUSH_LIMIT: Duration = Duration::from_millis(250);
/// After a flush that did not come back in time, nobody waits for one for so long.
const FLUSH_PAUSE: Duration = Duration::from_secs(30);

/// Sees the metrics off ahead of the end of their period; cheap to clone. For containers that are
/// frozen between requests, whose timers then stand still.
#[derive(Debug, Clone)]
pub struct Flusher {
    asked: mpsc::Sender<oneshot::Sender<()>>,
    /// When the last flush was given up.
    given_up: Moment,
    /// Since when a flush has been under way.
    out_since: Moment,
}

/// A moment that several threads know of.
type Moment = Arc<Mutex<Option<tokio::time::Instant>>>;

fn set(moment: &Moment, to: Option<tokio::time::Instant>) {
    *moment.lock().unwrap_or_else(PoisonError::into_inner) = to;
}

fn get(moment: &Moment) -> Option<tokio::time::Instant> {
    *moment.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flusher {
    fn new(asked: mpsc::Sender<oneshot::Sender<()>>) -> Self {
        Self {
            asked,
            given_up: Arc::default(),
            out_since: Arc::default(),
        }
    }

    /// Publishes the events so far, and returns when they have left, or after a quarter of a
    /// second: a route that hangs must not hold up replies. Levels and readings, which are sampled
    /// once a second, are not part of it.
    pub async fn flush(&self) {
        if get(&self.given_up).is_some_and(|at| at.elapsed() < FLUSH_PAUSE) {
            // The events leave with a later flush, or with their period.
            return;
        }
        let (deliver, delivered) = oneshot::channel();
        if self.asked.try_send(deliver).is_err() {
            return;
        }
        let in_time = tokio::time::timeout(FLUSH_LIMIT, delivered).await.is_ok();
        // A flush that only waited for its turn behind one that is in time says nothing of the route.
        let is_slow = get(&self.out_since).is_none_or(|since| since.elapsed() >= FLUSH_LIMIT);
        if in_time {
            set(&self.given_up, None);
        } else if is_slow {
            set(&self.given_up, Some(tokio::time::Instant::now()));
        }
    }
}

/// Makes the text for `GET /metrics`; cheap to clone.
#[derive(Clone)]
pub struct Page {
    recorder: Recorder,
    shared: Arc<Shared>,
}

/// What the sidecar's thread and the page share.
struct Shared {
    last: Mutex<Option<Arc<Frame>>>,
    stats: Arc<Stats>,
    outbox: Arc<Outbox<Parcel>>,
    emf: Arc<Emf>,
    gpu: View,
}

/// Starts the sidecar on a named thread of its own. Sampling begins at once; publishing begins when
/// `begin` turns true, which is the first good `/ping`: a container that takes no traffic yet must
/// not lower the mean of those that do.
///
/// # Errors
///
/// The thread or its runtime cannot be made, or `config` has bad values ([`Config::check`]).
pub fn start(
    config: Config,
    recorder: Recorder,
    begin: Arc<AtomicBool>,
) -> std::io::Result<Sidecar> {
    let bad = config.check();
    if !bad.is_empty() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            bad.join("; "),
        ));
    }
    let route_line = publisher::route::plan(&config);
    let gpu = Gpu::start(config.nvml_library.clone(), config.visible_gpus.as_deref());
    let stats = Arc::new(Stats::default());
    let emf = Emf::to_stdout(&config.namespace, &config.dimensions, stats.clone());
    let shared = Arc::new(Shared {
        last: Mutex::new(None),
        stats,
        outbox: Arc::new(Outbox::new(OUTBOX_PERIODS)),
        emf: Arc::new(emf),
        gpu: gpu.view(),
    });
    let page = Page {
        recorder: recorder.clone(),
        shared: shared.clone(),
    };
    let (stop, stopped) = watch::channel(None);
    let (flush, flushes) = mpsc::channel(FLUSHES_WAITING);
    let flusher = Flusher::new(flush);
    let flushes = (flushes, Arc::clone(&flusher.out_since));
    let (end, ended) = sync_channel(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("sidecar".to_owned())
        .spawn(move || {
            let signal = OfferedLoad::new(config.drain_secs);
            let sampler =
                Sampler::new(recorder, Path::new(&config.root), Some(gpu)).with_signal(signal);
            runtime.block_on(run(config, sampler, begin, &shared, (stopped, flushes)));
            // A look-up of a name or a stuck write must not hold the process.
            runtime.shutdown_background();
            let _ = end.send(());
        })?;
    Ok(Sidecar {
        page,
        route_line,
        flusher,
        stop,
        ended,
    })
}

impl Sidecar {
    /// The page for `GET /metrics`.
    #[must_use]
    pub fn page(&self) -> Page {
        self.page.clone()
    }

    /// The way to publish ahead of time.
    #[must_use]
    pub fn flusher(&self) -> Flusher {
        self.flusher.clone()
    }

    /// What will be tried, one line for the start banner, said without waiting for anything.
    #[must_use]
    pub fn route_line(&self) -> String {
        self.route_line.clone()
    }

    /// Publishes the last, partial period and ends the thread; returns after `limit` at the latest,
    /// leaving behind what has not ended by then.
    pub fn stop(self, limit: Duration) {
        // The far side gets the larger part; what it does not take still fits out through stdout.
        let deadline = Instant::now() + limit.mul_f64(0.7);
        let _ = self.stop.send(Some(deadline));
        if self.ended.recv_timeout(limit).is_err() {
            tracing::warn!("the sidecar did not end in time: its last metrics may be lost");
        }
    }
}

impl Page {
    /// Prometheus text 0.0.4 of bounded size, made without waiting.
    #[must_use]
    pub fn render(&self) -> String {
        self.render_as(Format::Text)
    }

    /// The same as OpenMetrics 1.0.0.
    #[must_use]
    pub fn render_openmetrics(&self) -> String {
        self.render_as(Format::OpenMetrics)
    }

    fn render_as(&self, format: Format) -> String {
        let last = self
            .shared
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let publishing = Publishing {
            stats: &self.shared.stats,
            gpu: &self.shared.gpu,
            dropped_periods: self.shared.outbox.dropped(),
            dropped_lines: self.shared.emf.dropped(),
        };
        publisher::prometheus::render(format, &self.recorder, last.as_deref(), &publishing)
    }
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").finish_non_exhaustive()
    }
}

/// The sidecar's whole life, on its own thread.
async fn run(
    config: Config,
    sampler: Sampler,
    begin: Arc<AtomicBool>,
    shared: &Arc<Shared>,
    (stop, flushes): (Stop, Flushes),
) {
    // Without dimensions nothing is published; the banner's route line says so.
    let choice = if config.dimensions.is_empty() {
        RouteChoice::None
    } else {
        config.route
    };
    let seed = retry::seed();
    let publisher = Publisher::new(
        choice,
        CloudWatch::new(&config.namespace, &config.dimensions, config.region.clone())
            .with_skew(shared.stats.skew().clone()),
        shared.emf.clone(),
        shared.stats.clone(),
        (Timing::new(config.period_secs, seed), seed),
        stop.clone(),
    );
    let publishing = tokio::spawn(publisher.run(shared.outbox.clone()));
    let orders = (stop.clone(), flushes);
    let window = Window::new(config.period_secs).only(&config.metrics);
    measure(sampler, window, &begin, shared, orders).await;
    shared.outbox.close();
    if let Err(error) = publishing.await {
        tracing::warn!(%error, "the publisher failed");
    }
    let deadline = *stop.borrow();
    let left = deadline.map_or(Duration::ZERO, |end| {
        end.saturating_duration_since(Instant::now())
    });
    shared.emf.finish(left + Duration::from_millis(100));
}

/// Flushes that may wait for their turn; one more need not wait, the next brings its events.
const FLUSHES_WAITING: usize = 16;

/// Who wants the events so far to leave, and to be told when they have.
type Flushes = (mpsc::Receiver<oneshot::Sender<()>>, Moment);

/// What ends a wait of [`measure`].
enum Wake {
    Tick,
    Stop,
    Flush(oneshot::Sender<()>),
    /// The last flush's parcel has left, or is lost.
    Returned,
}

/// Ticks once a second, on the second, until the sidecar must stop; the last frame is a short one.
///
/// One flush is on its way at a time. Those that come meanwhile leave their events where they are
/// and go together when it is back: a far side that is slower than the flushes gets fewer and larger
/// ones, and nothing is pushed out of the outbox.
async fn measure(
    mut sampler: Sampler,
    mut window: Window,
    begin: &AtomicBool,
    shared: &Shared,
    (mut stop, (mut flushes, out_since)): (Stop, Flushes),
) {
    let mut next = tokio::time::Instant::now() + to_next_tick(unix_time());
    let mut last_secs = unix_time().as_secs();
    let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
    let mut out: Option<oneshot::Receiver<()>> = None;
    loop {
        let returned = async {
            match &mut out {
                // Lost or not: it is out no longer.
                Some(back) => drop(back.await),
                None => std::future::pending().await,
            }
        };
        let wake = tokio::select! {
            () = tokio::time::sleep_until(next) => Wake::Tick,
            _ = stop.wait_for(Option::is_some) => Wake::Stop,
            () = returned => Wake::Returned,
            Some(delivered) = flushes.recv() => Wake::Flush(delivered),
        };
        let stopping = match wake {
            Wake::Tick => false,
            Wake::Stop => true,
            Wake::Flush(delivered) => {
                // Whoever has given up must not fill the memory while a route hangs.
                waiting.retain(|waiting| !waiting.is_closed());
                waiting.push(delivered);
                waiting.extend(std::iter::from_fn(|| flushes.try_recv().ok()));
                if out.is_none() {
                    out = flush(&mut sampler, &mut window, begin, shared, &mut waiting);
                    set(&out_since, out.is_some().then(tokio::time::Instant::now));
                }
                continue;
            }
            Wake::Returned => {
                out = None;
                waiting.retain(|waiting| !waiting.is_closed());
                if !waiting.is_empty() {
                    out = flush(&mut sampler, &mut window, begin, shared, &mut waiting);
                }
                set(&out_since, out.is_some().then(tokio::time::Instant::now));
                continue;
            }
        };
        next = tokio::time::Instant::now() + to_next_tick(unix_time());
        // A timer may fire a little early; a last frame belongs to the second that is running.
        let early = if stopping {
            Duration::from_millis(999)
        } else {
            Duration::from_millis(100)
        };
        let now_secs = (unix_time() + early).as_secs();
        let ticks = now_secs
            .saturating_sub(last_secs)
            .clamp(1, u64::from(u32::MAX));
        last_secs = now_secs;
        let mut frame = sampler.tick(now_secs, ticks as u32);
        shared.stats.leave_out(frame.left_out());
        if stopping && frame.elapsed_secs < SHORTEST_SAMPLE_SECS {
            (frame.end_secs, frame.ticks) = (now_secs.saturating_sub(1), 0);
        }
        if begin.load(Ordering::Relaxed) {
            for period in window.push(frame.clone()) {
                shared.outbox.put(period.into());
            }
        }
        *shared.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(frame));
        if stopping {
            break;
        }
    }
    if let Some(period) = window.finish() {
        shared.outbox.put(Parcel {
            period,
            delivered: waiting,
        });
    }
}

/// Sends the events so far for all that wait; gives who is told when they have left, if they go.
fn flush(
    sampler: &mut Sampler,
    window: &mut Window,
    begin: &AtomicBool,
    shared: &Shared,
    waiting: &mut Vec<oneshot::Sender<()>>,
) -> Option<oneshot::Receiver<()>> {
    let mut delivered = std::mem::take(waiting);
    // Events only: what is sampled once a second is sampled by the ticks.
    let frame = sampler.events(unix_time().as_secs());
    if !begin.load(Ordering::Relaxed) {
        return None;
    }
    for period in window.push(frame) {
        shared.outbox.put(period.into());
    }
    let period = window.finish()?;
    let (left, back) = oneshot::channel();
    delivered.push(left);
    shared.outbox.put(Parcel { period, delivered });
    Some(back)
}

fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Time to the next full second, at least 100 ms: a tick that came early is not repeated.
fn to_next_tick(now: Duration) -> Duration {
    let rest =
        Duration::from_secs(1).saturating_sub(Duration::from_nanos(now.subsec_nanos().into()));
    if rest < Duration::from_millis(100) {
        rest + Duration::from_secs(1)
    } else {
        rest
    }
}

#[cfg(test)]
mod tests;
