//! The GPUs that CUDA may use, looked at once at start: for whoever decides what runs the model.

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{sync_channel, RecvTimeoutError};
use std::time::Duration;

use super::nvml::{Closed, Driver};
use super::visible::{Entry, Visible};

/// A GPU, or a MIG slice of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundGpu {
    /// Product name.
    pub name: Option<String>,
    /// Its memory, bytes.
    pub memory_bytes: Option<u64>,
    /// What nobody has taken of it, bytes.
    pub free_bytes: Option<u64>,
    /// Whether it is a MIG slice.
    pub is_slice: bool,
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundGpus {
    /// The devices as CUDA numbers them: in the order of `CUDA_VISIBLE_DEVICES`, or of the PCI bus.
    pub devices: Vec<FoundGpu>,
    /// The driver's version, such as `550.54.15`.
    pub driver: Option<String>,
    /// The newest CUDA that the driver knows, 12040 for 12.4.
    pub cuda: Option<u32>,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoGpus {
    /// `CUDA_VISIBLE_DEVICES` names none that there is; its value.
    Hidden(String),
    /// NVML is not there.
    NoLibrary(String),
    /// The driver refuses.
    Refused(String),
    /// The driver knows of none.
    NoDevice,
    /// The driver has not answered within this time.
    Silent(Duration),
}

impl fmt::Display for NoGpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden(value) => {
                write!(f, "CUDA_VISIBLE_DEVICES={value} leaves no GPU to use")
            }
            Self::NoLibrary(error) => write!(f, "there is no NVIDIA driver here ({error})"),
            Self::Refused(error) => write!(f, "the NVIDIA driver refuses: {error}"),
            Self::NoDevice => f.write_str("the NVIDIA driver knows of no GPU"),
            Self::Silent(limit) => write!(
                f,
                "the NVIDIA driver has not answered within {} s",
                limit.as_secs_f64()
            ),
        }
    }
}

/// One device as NVML lists it.
#[derive(Debug, Clone, Default)]
pub(super) struct Listed {
    pub(super) index: u32,
    pub(super) uuid: Option<String>,
    pub(super) whole: FoundGpu,
    /// Its MIG slices with their UUIDs, in MIG mode.
    pub(super) slices: Option<Vec<(Option<String>, FoundGpu)>>,
}

/// Asks NVML; a call that hangs is left to itself after `limit`. `library` replaces the driver's
/// `libnvidia-ml.so.1`; `visible` is the value of `CUDA_VISIBLE_DEVICES`.
pub(crate) fn survey(
    library: Option<PathBuf>,
    visible: Option<&str>,
    limit: Duration,
) -> Result<FoundGpus, NoGpus> {
    let parsed = Visible::parse(visible);
    let hidden = || NoGpus::Hidden(visible.unwrap_or_default().to_owned());
    if parsed == Visible::Only(Vec::new()) {
        return Err(hidden());
    }
    let (tell, told) = sync_channel(1);
    let spawned = std::thread::Builder::new()
        .name("gpu-survey".to_owned())
        .spawn(move || {
            let _ = tell.send(ask(library));
        });
    if let Err(error) = spawned {
        return Err(NoGpus::Refused(error.to_string()));
    }
    let (mut found, listed) = match told.recv_timeout(limit) {
        Ok(answer) => answer?,
        Err(RecvTimeoutError::Timeout) => return Err(NoGpus::Silent(limit)),
        Err(RecvTimeoutError::Disconnected) => {
            return Err(NoGpus::Refused("its library panicked".to_owned()));
        }
    };
    if listed.is_empty() {
        return Err(NoGpus::NoDevice);
    }
    found.devices = in_cudas_order(&listed, &parsed);
    match found.devices.is_empty() {
        true if parsed == Visible::All => Err(NoGpus::NoDevice),
        true => Err(hidden()),
        false => Ok(found),
    }
}

fn ask(library: Option<PathBuf>) -> Result<(FoundGpus, Vec<Listed>), NoGpus> {
    let driver = Driver::open(library.as_deref()).map_err(|closed| match closed {
        Closed::NoLibrary(error) => NoGpus::NoLibrary(error),
        Closed::Refused(error) => NoGpus::Refused(error),
    })?;
    let (version, cuda) = driver.versions();
    let found = FoundGpus {
        driver: version,
        cuda,
        devices: Vec::new(),
    };
    Ok((found, driver.list().map_err(NoGpus::Refused)?))
}

/// CUDA numbers what is named in the order in which it is named; a GPU in MIG mode stands for its
/// first slice.
fn in_cudas_order(listed: &[Listed], visible: &Visible) -> Vec<FoundGpu> {
    let whole = |device: &Listed| match &device.slices {
        None => Some(device.whole.clone()),
        Some(slices) => slices.first().map(|(_, slice)| slice.clone()),
    };
    let begins = |uuid: &Option<String>, wanted: &str| {
        uuid.as_ref().is_some_and(|uuid| uuid.starts_with(wanted))
    };
    let entries = match visible {
        Visible::All => return listed.iter().filter_map(whole).collect(),
        Visible::Only(entries) => entries,
    };
    let named = |entry: &Entry| match entry {
        Entry::Index(index) => listed
            .iter()
            .find(|device| device.index == *index)
            .and_then(whole),
        Entry::Uuid(wanted) => listed
            .iter()
            .find(|device| begins(&device.uuid, wanted))
            .and_then(whole)
            .or_else(|| {
                let mut slices = listed.iter().filter_map(|device| device.slices.as_ref());
                slices.find_map(|slices| {
                    let own = slices.iter().find(|(uuid, _)| begins(uuid, wanted));
                    own.map(|(_, slice)| slice.clone())
                })
            }),
    };
    // To CUDA the list ends at what is not there.
    entries.iter().map_while(named).collect()
}

#[cfg(test)]
mod tests {
    use super::super::gpu_tests::stand_in::StandIn;
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);
    const TWO: &str = "count 2
driver 580.82.07
cuda 13000
0.name First
0.uuid GPU-00
0.memory 1000 4000
1.name Second
1.uuid GPU-11
1.memory 3000 4000
";

    fn names(script: &str, visible: Option<&str>) -> Result<Vec<String>, NoGpus> {
        let stand_in = StandIn::new(script);
        let found = survey(Some(stand_in.library()), visible, LIMIT)?;
        let name = |gpu: FoundGpu| gpu.name.unwrap_or_default();
        Ok(found.devices.into_iter().map(name).collect())
    }

    #[test]
    fn driver_devices_and_their_free_memory_are_found() {
        let stand_in = StandIn::new(TWO);
        let found = survey(Some(stand_in.library()), None, LIMIT).unwrap();
        assert_eq!(found.driver.as_deref(), Some("580.82.07"));
        assert_eq!(found.cuda, Some(13_000));
        let second = FoundGpu {
            name: Some("Second".to_owned()),
            memory_bytes: Some(4_000),
            free_bytes: Some(1_000),
            is_slice: false,
        };
        assert_eq!(found.devices[1], second);
    }

    #[test]
    fn devices_are_numbered_as_cuda_numbers_them() {
        for (visible, expected) in [
            (None, vec!["First", "Second"]),
            (Some("1,0"), vec!["Second", "First"]),
            (Some("GPU-11"), vec!["Second"]),
            (Some("1,7,0"), vec!["Second"]),
        ] {
            assert_eq!(names(TWO, visible).unwrap(), expected, "{visible:?}");
        }
        for hidden in ["-1", "7", "GPU-22"] {
            let refused = names(TWO, Some(hidden)).unwrap_err();
            assert_eq!(refused, NoGpus::Hidden(hidden.to_owned()));
        }
        // A lost one is not there; CUDA counts on without it.
        let lost = format!("0.handle error 15\n{TWO}");
        assert_eq!(names(&lost, None).unwrap(), ["Second"]);
    }

    #[test]
    fn a_gpu_in_mig_mode_is_its_slices() {
        let mig = format!(
            "0.mig 1\n0.slices 2\n0.s0.name First MIG 1g\n0.s0.uuid MIG-a\n0.s0.memory 100 500\n0.s1.name First MIG 2g\n0.s1.uuid MIG-b\n{TWO}"
        );
        for (visible, expected) in [
            (None, vec!["First MIG 1g", "Second"]),
            (Some("0"), vec!["First MIG 1g"]),
            (Some("MIG-b"), vec!["First MIG 2g"]),
        ] {
            assert_eq!(names(&mig, visible).unwrap(), expected, "{visible:?}");
        }
        let stand_in = StandIn::new(&mig);
        let found = survey(Some(stand_in.library()), Some("MIG-a"), LIMIT).unwrap();
        let slice = &found.devices[0];
        assert!(slice.is_slice);
        assert_eq!(slice.free_bytes, Some(400));
    }

    #[test]
    fn each_way_to_have_none_is_told_apart() {
        let absent = survey(Some("/nowhere/libnvidia-ml.so.1".into()), None, LIMIT);
        assert!(matches!(absent, Err(NoGpus::NoLibrary(_))), "{absent:?}");
        assert_eq!(names("count 0\n", None), Err(NoGpus::NoDevice));
        let mismatch = names(&format!("init 18\n{TWO}"), None).unwrap_err();
        assert!(
            mismatch.to_string().contains("version mismatch"),
            "{mismatch}"
        );
        let stand_in = StandIn::new(&format!("count hang\n{TWO}"));
        let limit = Duration::from_millis(100);
        let silent = survey(Some(stand_in.library()), None, limit);
        assert_eq!(silent, Err(NoGpus::Silent(limit)));
        // It may go.
        stand_in.script(TWO);
    }
}
