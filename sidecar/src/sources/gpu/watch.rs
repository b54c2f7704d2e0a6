//! The reading thread: start NVML, read once a second, start it again when it fails for long.
//!
//! What changes is said once: a device that is lost, one that is back, MIG mode, a driver that
//! refuses. Waits between starts double up to a minute, because a start costs the driver work.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::nvml::{Answer, Closed, Driver};
use super::visible::Visible;
use super::{Device, Shared, MAX_DEVICES};

/// How often what is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Between two readings.
    pub(super) interval: Duration,
    /// Before NVML is started again for the first time.
    pub(super) first_wait: Duration,
    /// The waits double up to this.
    pub(super) longest_wait: Duration,
    /// Rounds without any answer after which NVML is started again.
    pub(super) patience: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            patience: 3,
        }
    }
}

/// Reads until it is told to stop, or there is no library.
pub(super) fn watch(library: Option<&Path>, visible: &Visible, pace: &Pace, shared: &Shared) {
    if *visible == Visible::Only(Vec::new()) {
        return tracing::debug!("no GPU readings: CUDA_VISIBLE_DEVICES hides every GPU");
    }
    let mut said = Said::default();
    let mut wait = pace.first_wait;
    while !shared.stop.load(Ordering::Relaxed) {
        shared.ask();
        let opened = Driver::open(library);
        shared.answered();
        match opened {
            Ok(driver) => {
                shared.present.store(true, Ordering::Relaxed);
                if read_on(&driver, visible, pace, shared, &mut said) {
                    wait = pace.first_wait;
                }
                // Shutting NVML down is a call too.
                shared.ask();
                drop(driver);
                shared.answered();
            }
            // It was never there: no GPU.
            Err(Closed::NoLibrary(error)) if !shared.present.load(Ordering::Relaxed) => {
                return match library {
                    Some(path) => tracing::warn!("no GPU readings: {}: {error}", path.display()),
                    None => tracing::debug!("no GPU readings: {error}"),
                };
            }
            Err(Closed::NoLibrary(error) | Closed::Refused(error)) => {
                shared.present.store(true, Ordering::Relaxed);
                shared.fail(1);
                said.refused(&error);
            }
        }
        if !shared.stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(wait);
        }
        wait = (2 * wait).min(pace.longest_wait);
    }
}

/// Reads until nothing has answered for a while; tells whether anything did.
fn read_on(
    driver: &Driver,
    visible: &Visible,
    pace: &Pace,
    shared: &Shared,
    said: &mut Said,
) -> bool {
    let (mut silent, mut answered) = (0, false);
    while !shared.stop.load(Ordering::Relaxed) && silent < pace.patience {
        shared.ask();
        let devices = round(driver, visible, shared, said);
        if devices.is_empty() {
            silent += 1;
        } else {
            (silent, answered) = (0, true);
        }
        shared.publish(devices);
        std::thread::park_timeout(pace.interval);
    }
    answered
}

/// Reads every device once.
fn round(driver: &Driver, visible: &Visible, shared: &Shared, said: &mut Said) -> Vec<Device> {
    let count = match driver.count() {
        Ok(count) => count,
        Err(error) => {
            shared.fail(1);
            said.refused(&error);
            return Vec::new();
        }
    };
    said.answers(count);
    let mut devices = Vec::new();
    // A device that is gone from the list is looked for all the same.
    for index in 0..count.max(said.devices.len() as u32).min(MAX_DEVICES) {
        if index >= count {
            if said.device(index).found {
                shared.fail(1);
                said.lost(index, "NVML does not list it any more");
            }
            continue;
        }
        match driver.read(index, visible) {
            Ok(Some(answer)) => {
                shared.fail(answer.failed);
                said.read(index, &answer);
                devices.push(answer.device);
            }
            Ok(None) => {}
            Err(error) => {
                shared.fail(1);
                said.lost(index, &error);
            }
        }
    }
    devices
}

impl Shared {
    fn fail(&self, reads: u64) {
        self.failed.fetch_add(reads, Ordering::Relaxed);
    }

    /// A call begins.
    fn ask(&self) {
        self.state().asked_at = Some(Instant::now());
    }

    /// The call has come back.
    fn answered(&self) {
        self.state().asked_at = None;
    }

    /// A round has come back.
    fn publish(&self, devices: Vec<Device>) {
        let mut state = self.state();
        state.asked_at = None;
        state.read_at = Some(Instant::now());
        state.devices = devices;
    }
}

/// What stands in the log already.
#[derive(Debug, Default)]
struct Said {
    refused: bool,
    too_many: bool,
    devices: Vec<SaidOfDevice>,
}

#[derive(Debug, Default, Clone)]
struct SaidOfDevice {
    found: bool,
    lost: bool,
    mig: bool,
}

impl Said {
    fn device(&mut self, index: u32) -> &mut SaidOfDevice {
        let at = index as usize;
        if self.devices.len() <= at {
            self.devices.resize(at + 1, SaidOfDevice::default());
        }
        &mut self.devices[at]
    }

    fn refused(&mut self, error: &str) {
        if !std::mem::replace(&mut self.refused, true) {
            tracing::warn!(
                "NVML: {error}: GPU readings are missing until it answers, which is tried again \
                 in growing waits of up to a minute"
            );
        }
    }

    fn answers(&mut self, count: u32) {
        if std::mem::take(&mut self.refused) {
            tracing::info!("NVML answers again");
        }
        if count > MAX_DEVICES && !std::mem::replace(&mut self.too_many, true) {
            tracing::warn!("NVML has {count} GPUs: the first {MAX_DEVICES} are read");
        }
    }

    fn lost(&mut self, index: u32, error: &str) {
        if !std::mem::replace(&mut self.device(index).lost, true) {
            tracing::warn!(
                "GPU {index} is lost: {error}: its readings are missing until it is back"
            );
        }
    }

    fn read(&mut self, index: u32, answer: &Answer) {
        let name = answer.device.name.as_deref().unwrap_or("without a name");
        let said = self.device(index);
        if std::mem::take(&mut said.lost) {
            tracing::info!("GPU {index} is back");
        }
        if !std::mem::replace(&mut said.found, true) {
            tracing::info!("GPU {index} is {name}");
        }
        if answer.is_mig && !said.mig {
            tracing::info!(
                "GPU {index} is in MIG mode: NVML has no utilisation there; GPUBusy is the measure"
            );
        }
        said.mig = answer.is_mig;
    }
}
