//! The one file that knows NVML.

use std::path::Path;

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::Nvml;

use super::survey::{FoundGpu, Listed};
use super::visible::Visible;
use super::{Device, MAX_DEVICES};

/// MIG devices of one GPU that are asked for; NVML has seven at most.
const MAX_SLICES: u32 = 16;

/// Why NVML could not be started.
#[derive(Debug)]
pub(super) enum Closed {
    /// There is no such library: no GPU.
    NoLibrary(String),
    /// The library is there, and it or its driver refuses.
    Refused(String),
}

/// A started NVML.
pub(super) struct Driver(Nvml);

/// What a device said.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) device: Device,
    /// In MIG mode NVML has no utilisation.
    pub(super) is_mig: bool,
    /// Sensors that failed, or gave a value that cannot be.
    pub(super) failed: u64,
}

impl Driver {
    pub(super) fn open(library: Option<&Path>) -> Result<Self, Closed> {
        let mut builder = Nvml::builder();
        if let Some(path) = library {
            builder.lib_path(path.as_os_str());
        }
        let nvml = builder.init().map_err(|error| match error {
            NvmlError::LibloadingError(error) => Closed::NoLibrary(error.to_string()),
            error => Closed::Refused(error.to_string()),
        })?;
        if nvml.lib().nvmlShutdown.is_err() {
            // The wrapper would panic on the way out of a library that is no NVML.
            std::mem::forget(nvml);
            return Err(Closed::Refused("there is no nvmlShutdown in it".to_owned()));
        }
        Ok(Self(nvml))
    }

    pub(super) fn count(&self) -> Result<u32, String> {
        self.0.device_count().map_err(|error| error.to_string())
    }

    /// The driver's version, and the newest CUDA that it knows.
    pub(super) fn versions(&self) -> (Option<String>, Option<u32>) {
        let cuda = self.0.sys_cuda_driver_version().ok();
        let cuda = cuda.and_then(|version| u32::try_from(version).ok());
        (self.0.sys_driver_version().ok(), cuda)
    }

    /// Every device that answers, visible or not.
    pub(super) fn list(&self) -> Result<Vec<Listed>, String> {
        let count = self.count()?;
        let listed = (0..count.min(MAX_DEVICES)).filter_map(|index| {
            let device = self.0.device_by_index(index);
            let device = device
                .inspect_err(|error| tracing::debug!("GPU {index}: {error}"))
                .ok()?;
            let is_mig = device.mig_mode().is_ok_and(|mode| mode.current == 1);
            let slices = is_mig.then(|| {
                let count = device.mig_device_count().unwrap_or(0);
                let slices = (0..count.min(MAX_SLICES)).filter_map(|index| {
                    let slice = device.mig_device_by_index(index).ok()?;
                    Some((slice.uuid().ok(), found(&slice, true)))
                });
                slices.collect()
            });
            Some(Listed {
                index,
                uuid: device.uuid().ok(),
                whole: found(&device, false),
                slices,
            })
        });
        Ok(listed.collect())
    }

    /// Reads a device; none if it is not a visible one.
    pub(super) fn read(&self, index: u32, visible: &Visible) -> Result<Option<Answer>, String> {
        self.try_read(index, visible)
            .map_err(|error| error.to_string())
    }

    fn try_read(&self, index: u32, visible: &Visible) -> Result<Option<Answer>, NvmlError> {
        let device = self.0.device_by_index(index)?;
        let mut sensors = Sensors { failed: 0 };
        let is_mig = sensors
            .take(device.mig_mode())?
            .is_some_and(|mode| mode.current == 1);
        let whole = visible.device(index, || device.uuid().ok());
        let (utilization, memory) = if is_mig {
            let slices = self.slices(&device, visible, whole, &mut sensors)?;
            if slices.is_none() && !whole {
                return Ok(None);
            }
            (None, slices)
        } else if whole {
            let rates = sensors.take(device.utilization_rates())?;
            let memory = sensors.take(device.memory_info())?;
            (
                rates.map(|rates| f64::from(rates.gpu)),
                memory.map(|memory| (memory.used, memory.total)),
            )
        } else {
            return Ok(None);
        };
        let power = sensors.take(device.power_usage())?;
        let temperature = sensors.take(device.temperature(TemperatureSensor::Gpu))?;
        let device = Device {
            index,
            name: device.name().ok(),
            utilization: sensors.percent(utilization),
            memory: sensors.percent(memory.and_then(share)),
            power_watts: power.map(|milliwatts| f64::from(milliwatts) / 1e3),
            temperature_celsius: temperature.map(f64::from),
        };
        Ok(Some(Answer {
            device,
            is_mig,
            failed: sensors.failed,
        }))
    }

    /// Memory in use and memory of a GPU's visible MIG devices together; none if there is none.
    fn slices(
        &self,
        device: &nvml_wrapper::Device<'_>,
        visible: &Visible,
        whole: bool,
        sensors: &mut Sensors,
    ) -> Result<Option<(u64, u64)>, NvmlError> {
        let count = sensors.take(device.mig_device_count())?.unwrap_or(0);
        let mut sum = None;
        for index in 0..count.min(MAX_SLICES) {
            // Slots without a MIG device, and those of other containers, are not found.
            let Ok(slice) = device.mig_device_by_index(index) else {
                continue;
            };
            if !whole && !visible.slice(|| slice.uuid().ok()) {
                continue;
            }
            if let Some(memory) = sensors.take(slice.memory_info())? {
                let (used, total) = sum.unwrap_or((0_u64, 0_u64));
                sum = Some((
                    used.saturating_add(memory.used),
                    total.saturating_add(memory.total),
                ));
            }
        }
        Ok(sum)
    }
}

fn found(device: &nvml_wrapper::Device<'_>, is_slice: bool) -> FoundGpu {
    let memory = device.memory_info().ok();
    FoundGpu {
        name: device.name().ok(),
        memory_bytes: memory.as_ref().map(|memory| memory.total),
        free_bytes: memory.as_ref().map(|memory| memory.free),
        is_slice,
    }
}

fn share((used, total): (u64, u64)) -> Option<f64> {
    (total > 0).then(|| 100.0 * used as f64 / total as f64)
}

/// Sorts what the sensors of one device answer.
struct Sensors {
    failed: u64,
}

impl Sensors {
    /// A value, or none where there is no such sensor or it failed; an error where the device is
    /// gone.
    fn take<T>(&mut self, answer: Result<T, NvmlError>) -> Result<Option<T>, NvmlError> {
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(
                NvmlError::NotSupported
                | NvmlError::NoPermission
                | NvmlError::FunctionNotFound
                | NvmlError::FailedToLoadSymbol(_),
            ) => Ok(None),
            Err(
                error @ (NvmlError::GpuLost
                | NvmlError::ResetRequired
                | NvmlError::Uninitialized
                | NvmlError::DriverNotLoaded
                | NvmlError::LibRmVersionMismatch),
            ) => Err(error),
            Err(error) => {
                tracing::debug!("a GPU sensor: {error}");
                self.failed += 1;
                Ok(None)
            }
        }
    }

    /// A percentage, if it can be one.
    fn percent(&mut self, value: Option<f64>) -> Option<f64> {
        let value = value?;
        if (0.0..=100.0).contains(&value) {
            return Some(value);
        }
        self.failed += 1;
        None
    }
}
