//! The container's own limits and use of CPU and memory, from the cgroup files, version 1 and 2.
//!
//! Inside a container the path in `/proc/self/cgroup` often does not exist under the mount (it is
//! the host's view): then the mount's root is the container. Limits may sit on an ancestor, so the
//! tightest one up to the mount's root counts, and use is read where that limit sits. Without a
//! limit the machine is the limit. Cpuset and affinity both show in the process's allowed CPUs.
//!
//! Files are read anew each time, a few microseconds each, limits too: they may be changed while
//! the container runs. What is missing is missing.

mod folders;
mod usage;

use std::fs;
use std::path::{Path, PathBuf};

use super::host::{self, Host, HostMemory};
use folders::{Folders, Version};
pub(crate) use usage::Usage;
use usage::{Place, Total};

/// What the container may use, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// CPUs, as a fraction where a quota says so; always above 0.
    pub cpus: f64,
    /// Where that number comes from, one readable phrase.
    pub cpus_reason: String,
    /// Memory in bytes; none if neither the container nor the machine tells.
    pub memory_bytes: Option<u64>,
    /// Where that number comes from, one readable phrase.
    pub memory_reason: String,
}

/// Reads this process's limits; well under a millisecond.
#[must_use]
pub fn limits() -> Limits {
    Cgroup::open(Path::new("/")).read(&mut Host::new()).0
}

/// The cgroup files below a root folder.
#[derive(Debug, Clone)]
pub(crate) struct Cgroup {
    root: PathBuf,
    cpu: Option<Folders>,
    cpuacct: Option<Folders>,
    memory: Option<Folders>,
}

/// A limit that a group sets.
struct Limit<'a, T> {
    value: T,
    folders: &'a Folders,
    path: &'a Path,
    /// It is not the process's own group that sets it.
    is_parents: bool,
}

impl<T> Limit<'_, T> {
    /// `cgroup v2 quota of a parent group`.
    fn phrase(&self, what: &str) -> String {
        let version = self.folders.version.name();
        let level = if self.is_parents {
            " of a parent group"
        } else {
            ""
        };
        format!("{version} {what}{level}")
    }
}

impl Cgroup {
    /// Finds the controllers' folders; `root` is `/` but for tests.
    pub(crate) fn open(root: &Path) -> Self {
        let mounts = read(&root.join("proc/self/mountinfo")).unwrap_or_default();
        let groups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
        let find = |version, name| Folders::find(root, &mounts, &groups, version, name);
        let either = |name| find(Version::V1, name).or_else(|| find(Version::V2, name));
        Self {
            root: root.to_owned(),
            cpu: either("cpu"),
            cpuacct: find(Version::V1, "cpuacct"),
            memory: either("memory"),
        }
    }

    /// Finds them again: a process may be moved.
    pub(crate) fn reopen(&mut self) {
        *self = Self::open(&self.root);
    }

    /// What the container may use and what it uses.
    pub(crate) fn read(&self, host: &mut Host) -> (Limits, Usage) {
        let (usable, phrase) = self.usable_cpus();
        let quota = self.quota();
        // A quota above the CPUs that may be used never binds.
        let binding = quota.as_ref().filter(|quota| quota.value < usable);
        let (cpus, cpus_reason) = binding.map_or((usable, phrase), |quota| {
            let phrase = quota.phrase("quota");
            (quota.value, format!("{phrase} {:.2} CPU", quota.value))
        });
        let machine = host.memory();
        let limit = self.memory_limit();
        let limit = limit.filter(|limit| machine.is_none_or(|it| limit.value < it.total));
        let (memory_bytes, memory_reason) = match (&limit, machine) {
            (Some(limit), _) => (
                Some(limit.value),
                format!("{} {} MiB", limit.phrase("limit"), limit.value >> 20),
            ),
            (None, Some(machine)) => (
                Some(machine.total),
                format!("no limit, machine has {} MiB", machine.total >> 20),
            ),
            (None, None) => (None, "unknown".to_owned()),
        };
        let usage = Usage {
            cpu_secs: self.cpu_secs(binding).or_else(|| {
                let value = host.process_cpu_secs()?;
                let place = Place::Process;
                Some(Total { place, value })
            }),
            periods: quota.as_ref().and_then(periods),
            memory_bytes: match &limit {
                Some(limit) => working_set(limit.folders.version, limit.path),
                None => machine.map(HostMemory::used),
            },
        };
        let limits = Limits {
            cpus,
            cpus_reason,
            memory_bytes,
            memory_reason,
        };
        (limits, usage)
    }

    /// The CPUs that the process may run on, quotas aside.
    fn usable_cpus(&self) -> (f64, String) {
        let online = read(&self.root.join("sys/devices/system/cpu/online"))
            .map(|list| parse_list(&list))
            .filter(|cpus| !cpus.is_empty());
        let status = read(&self.root.join("proc/self/status")).unwrap_or_default();
        let allowed = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .map(parse_list)
            .filter(|cpus| !cpus.is_empty());
        let (Some(online), Some(allowed)) = (online, allowed) else {
            let cpus = host::cpus();
            return (cpus, format!("no quota, {cpus} CPUs may be used"));
        };
        // The mask may name CPUs that the machine could have but has not.
        let both = allowed.iter().filter(|cpu| online.contains(cpu)).count();
        let usable = both.max(1);
        let phrase = if usable < online.len() {
            format!("cpuset or affinity: {usable} of {} CPUs", online.len())
        } else {
            format!("no quota, machine has {usable} CPUs")
        };
        (usable as f64, phrase)
    }

    /// The tightest quota in CPUs.
    fn quota(&self) -> Option<Limit<'_, f64>> {
        let folders = self.cpu.as_ref()?;
        let quotas = folders.paths.iter().enumerate().filter_map(|(at, path)| {
            let (quota, period) = match folders.version {
                Version::V2 => {
                    let line = read(&path.join("cpu.max"))?;
                    let mut parts = line.split_ascii_whitespace();
                    (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?)
                }
                Version::V1 => (
                    number(&path.join("cpu.cfs_quota_us"))?,
                    number(&path.join("cpu.cfs_period_us"))?,
                ),
            };
            (quota > 0 && period > 0).then_some(Limit {
                value: quota as f64 / period as f64,
                folders,
                path,
                is_parents: at > 0,
            })
        });
        quotas.min_by(|a, b| a.value.total_cmp(&b.value))
    }

    fn memory_limit(&self) -> Option<Limit<'_, u64>> {
        let folders = self.memory.as_ref()?;
        let file = match folders.version {
            Version::V2 => "memory.max",
            Version::V1 => "memory.limit_in_bytes",
        };
        let seen = folders.paths.iter().enumerate().filter_map(|(at, path)| {
            Some(Limit {
                value: number(&path.join(file))?,
                folders,
                path,
                is_parents: at > 0,
            })
        });
        // Version 1 tells the tightest limit above too, whose group may lie outside of the mount.
        let above = || {
            let stat = read(&folders.own()?.join("memory.stat"))?;
            Some(Limit {
                value: field(&stat, "hierarchical_memory_limit")?,
                folders,
                path: folders.paths.last()?,
                is_parents: true,
            })
        };
        let above = (folders.version == Version::V1).then(above).flatten();
        seen.chain(above)
            // Version 1 writes "no limit" as a number just under 2^63.
            .filter(|limit| (1..1 << 60).contains(&limit.value))
            // Of equal ones the first, which is the nearest.
            .min_by_key(|limit| limit.value)
    }

    /// CPU time where the quota counts it; without a quota that of the process's own group.
    fn cpu_secs(&self, quota: Option<&Limit<'_, f64>>) -> Option<Total<f64>> {
        let own = |folders: &Folders| !folders.is_machine;
        let (path, value) = match (quota, &self.cpuacct, &self.cpu) {
            (Some(quota), Some(cpuacct), _) if quota.folders.version == Version::V1 => {
                nanos(quota.folders.same_group(quota.path, cpuacct)?)?
            }
            (Some(quota), ..) if quota.folders.version == Version::V2 => micros(quota.path)?,
            (None, Some(cpuacct), _) if own(cpuacct) => nanos(cpuacct.own()?)?,
            (None, None, Some(cpu)) if own(cpu) && cpu.version == Version::V2 => {
                micros(cpu.own()?)?
            }
            _ => return None,
        };
        let place = Place::Group(path.to_owned());
        Some(Total { place, value })
    }
}

/// CPU-seconds of a group of version 1.
fn nanos(path: &Path) -> Option<(&Path, f64)> {
    Some((path, number(&path.join("cpuacct.usage"))? as f64 / 1e9))
}

/// CPU-seconds of a group of version 2.
fn micros(path: &Path) -> Option<(&Path, f64)> {
    let stat = read(&path.join("cpu.stat"))?;
    Some((path, field(&stat, "usage_usec")? as f64 / 1e6))
}

fn periods(quota: &Limit<'_, f64>) -> Option<Total<(u64, u64)>> {
    let stat = read(&quota.path.join("cpu.stat"))?;
    let place = Place::Group(quota.path.to_owned());
    let value = (field(&stat, "nr_periods")?, field(&stat, "nr_throttled")?);
    Some(Total { place, value })
}

/// Memory in use less the file cache that can go at once. Without the latter it would be far too
/// much, and is missing.
fn working_set(version: Version, path: &Path) -> Option<u64> {
    let (file, inactive) = match version {
        Version::V2 => ("memory.current", "inactive_file"),
        Version::V1 => ("memory.usage_in_bytes", "total_inactive_file"),
    };
    let cache = field(&read(&path.join("memory.stat"))?, inactive)?;
    Some(number(&path.join(file))?.saturating_sub(cache))
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn number(path: &Path) -> Option<u64> {
    read(path)?.trim().parse().ok()
}

fn field(text: &str, name: &str) -> Option<u64> {
    let value = |line: &str| {
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    };
    text.lines().find_map(value)
}

/// `0-3,8` as the numbers in it; what is not a number is skipped.
fn parse_list(list: &str) -> Vec<u32> {
    let mut all = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            // A machine with more CPUs than this is not known; a broken file must not cost memory.
            all.extend(first..=last.min(first.saturating_add(8191)));
        }
    }
    all
}

#[cfg(test)]
mod cgroup_tests;
#[cfg(test)]
mod odd_tests;
