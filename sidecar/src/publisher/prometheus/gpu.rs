//! The GPUs' part of the page: gauges for each device, named by NVML's index, as long as it answers.

use std::fmt::Write;

use super::Page;
use crate::sources::gpu::{Device, View};

/// A gauge's name, unit and meaning, and where a device has it.
type Gauge = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Device) -> Option<f64>,
);

const GAUGES: [Gauge; 4] = [
    (
        "utilization_ratio",
        "ratio",
        "NVML utilisation of one GPU: share of time in which any kernel ran; none in MIG mode.",
        |device| device.utilization.map(|percent| percent / 100.0),
    ),
    (
        "memory_ratio",
        "ratio",
        "Memory of one GPU in use; in MIG mode that of its visible MIG devices.",
        |device| device.memory.map(|percent| percent / 100.0),
    ),
    ("power_watts", "watts", "Power draw of one GPU.", |device| {
        device.power_watts
    }),
    (
        "temperature_celsius",
        "celsius",
        "Temperature of one GPU.",
        |device| device.temperature_celsius,
    ),
];

impl Page {
    /// Nothing at all where there is no library.
    pub(super) fn gpu(&mut self, view: &View) {
        let devices = view.devices();
        for (name, unit, help, value) in GAUGES {
            let values: Vec<(u32, f64)> = devices
                .iter()
                .filter_map(|device| Some((device.index, value(device)?)))
                .collect();
            if values.is_empty() {
                continue;
            }
            let name = format!("plimsoll_gpu_device_{name}");
            self.head(&name, "gauge", unit, help);
            for (index, value) in values {
                let _ = writeln!(self.text, "{name}{{gpu=\"{index}\"}} {value}");
            }
        }
        self.names(&devices);
        if let Some(failed) = view.failed() {
            self.single(
                "plimsoll_sidecar_gpu_reads_failed_total",
                "counter",
                "Reads of a GPU that failed, hung or gave a value that cannot be, and starts of NVML that did.",
                failed,
            );
        }
    }

    fn names(&mut self, devices: &[Device]) {
        let named: Vec<(u32, &str)> = devices
            .iter()
            .filter_map(|device| Some((device.index, device.name.as_deref()?)))
            .collect();
        if named.is_empty() {
            return;
        }
        let name = "plimsoll_gpu_device_info";
        self.head(name, "gauge", "", "The product name of one GPU.");
        for (index, product) in named {
            let product = label(product);
            let _ = writeln!(self.text, "{name}{{gpu=\"{index}\",name=\"{product}\"}} 1");
        }
    }
}

/// A label's value as the text format wants it.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(label("a\\b\"c\nd"), "a\\\\b\\\"c\\nd");
    }
}
