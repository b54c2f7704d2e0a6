//! `CUDA_VISIBLE_DEVICES`: which of the container's GPUs the process may use, and so which count.
//!
//! It is read as CUDA reads it: a list of indices or of beginnings of UUIDs (`GPU-…`, `MIG-…`) that
//! ends at the first entry that is neither, so that `-1` or nothing at all hides every GPU. Indices
//! are taken in the order of the PCI bus, which is CUDA's own where all GPUs are of one model.
//!
//! `NVIDIA_VISIBLE_DEVICES` needs no reading: the container runtime has acted on it, and NVML finds
//! only those devices, numbered from 0.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Visible {
    All,
    Only(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Index(u32),
    Uuid(String),
}

impl Visible {
    pub(super) fn parse(value: Option<&str>) -> Self {
        let Some(value) = value else {
            return Self::All;
        };
        let entries = value.split(',').map_while(|entry| {
            let entry = entry.trim();
            if entry.starts_with("GPU-") || entry.starts_with("MIG-") {
                return Some(Entry::Uuid(entry.to_owned()));
            }
            entry.parse().ok().map(Entry::Index)
        });
        Self::Only(entries.collect())
    }

    /// Whether a whole device is named. `uuid` is asked for only where an entry is one.
    pub(super) fn device(&self, index: u32, uuid: impl Fn() -> Option<String>) -> bool {
        match self {
            Self::All => true,
            Self::Only(entries) => entries.iter().any(|entry| match entry {
                Entry::Index(wanted) => *wanted == index,
                Entry::Uuid(wanted) => begins(uuid(), wanted),
            }),
        }
    }

    /// Whether a MIG device is named by its own UUID.
    pub(super) fn slice(&self, uuid: impl Fn() -> Option<String>) -> bool {
        match self {
            Self::All => true,
            Self::Only(entries) => entries.iter().any(|entry| match entry {
                Entry::Index(_) => false,
                Entry::Uuid(wanted) => begins(uuid(), wanted),
            }),
        }
    }
}

fn begins(uuid: Option<String>, wanted: &str) -> bool {
    uuid.is_some_and(|uuid| uuid.starts_with(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(value: Option<&str>) -> Vec<u32> {
        let visible = Visible::parse(value);
        (0..4)
            .filter(|index| visible.device(*index, || Some(format!("GPU-{index}{index}-0"))))
            .collect()
    }

    #[test]
    fn the_list_ends_at_the_first_entry_that_is_none_as_in_cuda() {
        for (value, expected) in [
            (None, vec![0, 1, 2, 3]),
            (Some("0,2"), vec![0, 2]),
            (Some(" 3 , 1 "), vec![1, 3]),
            (Some("1,-1,2"), vec![1]),
            (Some("-1"), vec![]),
            (Some(""), vec![]),
            (Some("NoDevFiles"), vec![]),
            (Some("GPU-22"), vec![2]),
            (Some("GPU-11-0,0"), vec![0, 1]),
            (Some("MIG-22"), vec![]),
            (Some("99999999999999999999"), vec![]),
        ] {
            assert_eq!(seen(value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_mig_device_is_named_by_its_own_uuid_only() {
        let slice = |value| Visible::parse(Some(value)).slice(|| Some("MIG-abc".to_owned()));
        assert!(slice("MIG-abc") && slice("MIG-a"));
        assert!(!slice("MIG-b") && !slice("0"));
        assert!(Visible::All.slice(|| None));
    }
}
