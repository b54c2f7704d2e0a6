//! GPU readings through NVML, the driver's library, which the host brings into the container.
//!
//! No library, no driver or no device means no GPU series, never an error. A device that lacks a
//! sensor (a MIG slice has no utilisation) leaves that reading out. NVML calls can hang in a bad
//! driver, so they run on a thread of their own: the sampler takes what is fresh and never waits.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;

/// A reading older than this is missing: one tick and a late one.
const FRESH: Duration = Duration::from_millis(2500);
const INTERVAL: Duration = Duration::from_secs(1);

/// The mean over the visible devices that have the sensor, percent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct GpuReading {
    pub(crate) utilization: Option<f64>,
    pub(crate) memory: Option<f64>,
}

#[derive(Debug, Default)]
struct Shared {
    latest: Mutex<Option<(Instant, GpuReading)>>,
    stop: AtomicBool,
    ended: AtomicBool,
}

/// The reading thread's handle; dropping it ends the thread after its current call.
#[derive(Debug)]
pub(crate) struct Gpu {
    shared: Arc<Shared>,
    thread: Option<Thread>,
}

impl Gpu {
    /// Starts reading once a second. `library` replaces the driver's `libnvidia-ml.so.1`.
    pub(crate) fn start(library: Option<PathBuf>) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let spawned = std::thread::Builder::new()
            .name("sidecar-gpu".to_owned())
            .spawn(move || {
                watch(library, &theirs);
                theirs.ended.store(true, Ordering::Relaxed);
            });
        let thread = spawned
            .map_err(|error| tracing::debug!(%error, "no thread for GPU readings"))
            .ok()
            .map(|handle| handle.thread().clone());
        Self { shared, thread }
    }

    /// The latest reading, if it is fresh.
    pub(crate) fn latest(&self) -> GpuReading {
        let latest = *self
            .shared
            .latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        latest
            .filter(|(at, _)| at.elapsed() < FRESH)
            .map_or_else(GpuReading::default, |l| l.1)
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

fn watch(library: Option<PathBuf>, shared: &Shared) {
    let mut builder = Nvml::builder();
    if let Some(path) = &library {
        builder.lib_path(path.as_os_str());
    }
    let nvml = match builder.init() {
        Ok(nvml) => nvml,
        Err(error) => return tracing::debug!(%error, "no GPU readings"),
    };
    while !shared.stop.load(Ordering::Relaxed) {
        let reading = read(&nvml);
        *shared.latest.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), reading));
        std::thread::park_timeout(INTERVAL);
    }
}

fn read(nvml: &Nvml) -> GpuReading {
    let devices = nvml.device_count().unwrap_or(0);
    let (mut utilization, mut memory) = (Mean::default(), Mean::default());
    for device in (0..devices).filter_map(|index| nvml.device_by_index(index).ok()) {
        utilization.add(
            device
                .utilization_rates()
                .ok()
                .map(|rates| f64::from(rates.gpu)),
        );
        let used = device.memory_info().ok().filter(|memory| memory.total > 0);
        memory.add(used.map(|memory| 100.0 * memory.used as f64 / memory.total as f64));
    }
    GpuReading {
        utilization: utilization.value(),
        memory: memory.value(),
    }
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum += value;
            self.count += 1;
        }
    }

    fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

#[cfg(test)]
#[path = "gpu_tests.rs"]
mod tests;
