//! GPU readings through NVML, the driver's library, which the host brings into the container.
//!
//! No library means no GPU: no series, never an error. A device that lacks a sensor leaves that
//! reading out: NVML has no utilisation in MIG mode. A device that is lost leaves all of its
//! readings out while the others go on. NVML calls can hang in a bad driver, so they run on a
//! thread of their own: the sampler takes what is fresh and never waits.

mod nvml;
pub(crate) mod survey;
mod visible;
mod watch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use visible::Visible;
use watch::Pace;

/// A reading older than this is missing: one tick and a late one.
const FRESH: Duration = Duration::from_millis(2500);
/// Devices that are read, the first ones: twice what the largest instances have. It bounds the
/// page's labels.
pub(crate) const MAX_DEVICES: u32 = 16;

/// One device as it was read; what it does not tell is absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Device {
    /// NVML's index, in the order of the PCI bus.
    pub(crate) index: u32,
    /// Product name.
    pub(crate) name: Option<String>,
    /// Share of time in which any kernel ran, percent.
    pub(crate) utilization: Option<f64>,
    /// Memory in use ÷ memory, percent; in MIG mode over the visible MIG devices.
    pub(crate) memory: Option<f64>,
    /// Power draw.
    pub(crate) power_watts: Option<f64>,
    /// Temperature of the die.
    pub(crate) temperature_celsius: Option<f64>,
}

/// The mean over the visible devices that have the sensor, percent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct GpuReading {
    pub(crate) utilization: Option<f64>,
    pub(crate) memory: Option<f64>,
}

impl GpuReading {
    fn of(devices: &[Device]) -> Self {
        Self {
            utilization: mean(devices.iter().filter_map(|device| device.utilization)),
            memory: mean(devices.iter().filter_map(|device| device.memory)),
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// What the reading thread tells.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Reads of a device or its sensors that failed, tries to start NVML, calls that hung.
    failed: AtomicU64,
    /// The library is there, with or without a driver and a device.
    present: AtomicBool,
    stop: AtomicBool,
    ended: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    read_at: Option<Instant>,
    devices: Vec<Device>,
    /// Since when NVML has been asked and has not answered.
    asked_at: Option<Instant>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> Vec<Device> {
        let state = self.state();
        match state.read_at {
            Some(at) if at.elapsed() < FRESH => state.devices.clone(),
            _ => Vec::new(),
        }
    }

    fn hangs(&self) -> bool {
        self.state()
            .asked_at
            .is_some_and(|at| at.elapsed() >= FRESH)
    }
}

/// What the Prometheus page sees of the devices; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct View(Arc<Shared>);

impl View {
    /// The devices whose readings are fresh, at most [`MAX_DEVICES`].
    pub(crate) fn devices(&self) -> Vec<Device> {
        self.0.fresh()
    }

    /// Reads that failed so far; none where there is no library.
    pub(crate) fn failed(&self) -> Option<u64> {
        let present = self.0.present.load(Ordering::Relaxed);
        present.then(|| self.0.failed.load(Ordering::Relaxed))
    }
}

/// The reading thread's handle; dropping it ends the thread after its current call.
#[derive(Debug)]
pub(crate) struct Gpu {
    shared: Arc<Shared>,
    thread: Option<Thread>,
    /// A call that hangs was said in the log.
    said_hung: bool,
}

impl Gpu {
    /// Starts reading once a second. `library` replaces the driver's `libnvidia-ml.so.1`;
    /// `visible` is the value of `CUDA_VISIBLE_DEVICES`.
    pub(crate) fn start(library: Option<PathBuf>, visible: Option<&str>) -> Self {
        Self::start_at(Pace::default(), library, visible)
    }

    fn start_at(pace: Pace, library: Option<PathBuf>, visible: Option<&str>) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let visible = Visible::parse(visible);
        let spawned = std::thread::Builder::new()
            .name("sidecar-gpu".to_owned())
            .spawn(move || {
                watch::watch(library.as_deref(), &visible, &pace, &theirs);
                theirs.ended.store(true, Ordering::Relaxed);
            });
        let thread = spawned
            .map_err(|error| tracing::warn!("no thread for GPU readings: {error}"))
            .ok()
            .map(|handle| handle.thread().clone());
        Self {
            shared,
            thread,
            said_hung: false,
        }
    }

    /// What the page sees.
    pub(crate) fn view(&self) -> View {
        View(self.shared.clone())
    }

    /// The latest reading, if it is fresh. Whoever hangs cannot say so: a call that does not come
    /// back is said here.
    pub(crate) fn latest(&mut self) -> GpuReading {
        let hangs = self.shared.hangs();
        if hangs && !self.said_hung {
            self.shared.failed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                "NVML has not answered for {:.1} s: GPU readings are missing until it does",
                FRESH.as_secs_f64()
            );
        } else if !hangs && self.said_hung {
            tracing::info!("the call to NVML that hung has come back");
        }
        self.said_hung = hangs;
        GpuReading::of(&self.shared.fresh())
    }

    #[cfg(test)]
    fn ended(&self) -> bool {
        self.shared.ended.load(Ordering::Relaxed)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

#[cfg(test)]
mod gpu_tests;
