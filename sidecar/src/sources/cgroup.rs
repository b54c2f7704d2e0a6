//! The container's own limits and use of CPU and memory, from the cgroup files, version 1 and 2.
//!
//! Inside a container the path in `/proc/self/cgroup` often does not exist under the mount (it is
//! the host's view): then the mount's root is the container. Limits may sit on an ancestor, so the
//! tightest one up to the mount's root counts, and use is read where that limit sits. Without a
//! limit the machine is the limit. Cpuset and affinity both show in the process's allowed CPUs.
//!
//! Files are read anew each time, a few microseconds each; what is missing is missing.

use std::fs;
use std::path::{Path, PathBuf};

use super::host::{self, Host};

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
    Cgroup::open(Path::new("/")).limits(&mut Host::new())
}

/// Use since the container began (CPU) and now (memory); what could not be read is absent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Usage {
    /// CPU-seconds used.
    pub(crate) cpu_secs: Option<f64>,
    /// Scheduler periods in which something ran, and those of them that hit the quota; only where
    /// there is a quota.
    pub(crate) periods: Option<(u64, u64)>,
    /// Working set: memory in use less the file cache that can go at once, bytes.
    pub(crate) memory_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Self::V1 => "cgroup v1",
            Self::V2 => "cgroup v2",
        }
    }
}

/// One controller's folders, the process's own first, the mount's root last.
#[derive(Debug, Clone)]
struct Folders {
    version: Version,
    paths: Vec<PathBuf>,
    /// The process sits in the machine's root group: its use is the machine's, not the container's.
    machine: bool,
}

/// The cgroup files below a root folder.
#[derive(Debug, Clone)]
pub(crate) struct Cgroup {
    root: PathBuf,
    cpu: Option<Folders>,
    cpuacct: Option<Folders>,
    memory: Option<Folders>,
}

impl Cgroup {
    /// Finds the controllers' folders; `root` is `/` but for tests.
    pub(crate) fn open(root: &Path) -> Self {
        let mounts = read(&root.join("proc/self/mountinfo")).unwrap_or_default();
        let groups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
        let find = |controller| {
            find(root, &mounts, &groups, Version::V1, controller)
                .or_else(|| find(root, &mounts, &groups, Version::V2, controller))
        };
        Self {
            root: root.to_owned(),
            cpu: find("cpu"),
            cpuacct: find("cpuacct"),
            memory: find("memory"),
        }
    }

    /// What the container may use.
    pub(crate) fn limits(&self, host: &mut Host) -> Limits {
        let (cpus, cpus_reason) = self.cpus();
        let machine = host.memory().map(|memory| memory.total);
        let (memory_bytes, memory_reason) = match (self.memory_limit(), machine) {
            (Some((limit, at)), machine) if machine.is_none_or(|total| limit < total) => (
                Some(limit),
                format!("{} limit {} MiB", at.version.name(), limit >> 20),
            ),
            (_, Some(total)) => (
                Some(total),
                format!("no limit, machine has {} MiB", total >> 20),
            ),
            _ => (None, "unknown".to_owned()),
        };
        Limits {
            cpus,
            cpus_reason,
            memory_bytes,
            memory_reason,
        }
    }

    fn cpus(&self) -> (f64, String) {
        let online = read(&self.root.join("sys/devices/system/cpu/online"))
            .map(|list| parse_list(&list))
            .filter(|cpus| !cpus.is_empty());
        let status = read(&self.root.join("proc/self/status")).unwrap_or_default();
        let allowed = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .map(parse_list)
            .filter(|cpus| !cpus.is_empty());
        let (usable, phrase) = match (&online, &allowed) {
            (Some(online), Some(allowed)) => {
                // The mask may name CPUs that the machine could have but has not.
                let usable = allowed
                    .iter()
                    .filter(|cpu| online.contains(cpu))
                    .count()
                    .max(1);
                let phrase = if usable < online.len() {
                    format!("cpuset or affinity: {usable} of {} CPUs", online.len())
                } else {
                    format!("no quota, machine has {usable} CPUs")
                };
                (usable as f64, phrase)
            }
            _ => (
                host::cpus(),
                format!("no quota, {} CPUs may be used", host::cpus()),
            ),
        };
        match self.quota() {
            Some((quota, at)) if quota < usable => {
                let version = self.cpu.as_ref().map_or("cgroup", |cpu| cpu.version.name());
                let level = if at == 0 { "" } else { " of a parent group" };
                (quota, format!("{version} quota{level} {quota:.2} CPU"))
            }
            _ => (usable, phrase),
        }
    }

    /// The tightest quota in CPUs, and how many folders above the process's own it sits.
    fn quota(&self) -> Option<(f64, usize)> {
        let folders = self.cpu.as_ref()?;
        let quotas = folders.paths.iter().enumerate().filter_map(|(at, path)| {
            let (quota, period) = match folders.version {
                Version::V2 => {
                    let line = read(&path.join("cpu.max"))?;
                    let mut parts = line.split_ascii_whitespace();
                    (
                        parts.next()?.parse::<f64>().ok()?,
                        parts.next()?.parse::<f64>().ok()?,
                    )
                }
                Version::V1 => {
                    let quota = number(&path.join("cpu.cfs_quota_us"))?;
                    (
                        quota as f64,
                        number(&path.join("cpu.cfs_period_us"))? as f64,
                    )
                }
            };
            let cpus: f64 = quota / period;
            (quota > 0.0 && period > 0.0 && cpus.is_finite()).then_some((cpus, at))
        });
        quotas.min_by(|a, b| a.0.total_cmp(&b.0))
    }

    fn memory_limit(&self) -> Option<(u64, Level<'_>)> {
        let folders = self.memory.as_ref()?;
        let file = match folders.version {
            Version::V2 => "memory.max",
            Version::V1 => "memory.limit_in_bytes",
        };
        let limits = folders.paths.iter().filter_map(|path| {
            let limit = number(&path.join(file))?;
            // Version 1 writes "no limit" as a number just under 2^63.
            (limit < 1 << 60).then_some((
                limit,
                Level {
                    version: folders.version,
                    path,
                },
            ))
        });
        limits.min_by_key(|(limit, _)| *limit)
    }

    /// What the container uses.
    pub(crate) fn usage(&self, host: &mut Host) -> Usage {
        let quota = self.quota();
        let at = quota.map_or(0, |(_, at)| at);
        let cpu_secs = self
            .cpu_secs(at, quota.is_some())
            .or_else(|| host.process_cpu_secs());
        let periods = quota
            .and_then(|_| self.cpu.as_ref()?.paths.get(at))
            .and_then(|path| {
                let stat = read(&path.join("cpu.stat"))?;
                Some((field(&stat, "nr_periods")?, field(&stat, "nr_throttled")?))
            });
        let memory_bytes = self.memory_bytes().or_else(|| {
            host.memory()
                .map(|memory| memory.total.saturating_sub(memory.available))
        });
        Usage {
            cpu_secs,
            periods,
            memory_bytes,
        }
    }

    fn cpu_secs(&self, at: usize, limited: bool) -> Option<f64> {
        let cpu = self.cpu.as_ref()?;
        match cpu.version {
            Version::V2 if limited || !cpu.machine => {
                let stat = read(&cpu.paths.get(at)?.join("cpu.stat"))?;
                Some(field(&stat, "usage_usec")? as f64 / 1e6)
            }
            Version::V1 => {
                let cpuacct = self.cpuacct.as_ref().filter(|it| limited || !it.machine)?;
                let path = cpuacct.paths.get(at).or(cpuacct.paths.last())?;
                Some(number(&path.join("cpuacct.usage"))? as f64 / 1e9)
            }
            Version::V2 => None,
        }
    }

    fn memory_bytes(&self) -> Option<u64> {
        let folders = self.memory.as_ref()?;
        let limited = self.memory_limit().map(|(_, level)| level.path);
        if limited.is_none() && folders.machine {
            return None;
        }
        let path = limited.or(folders.paths.first())?;
        let (file, inactive) = match folders.version {
            Version::V2 => ("memory.current", "inactive_file"),
            Version::V1 => ("memory.usage_in_bytes", "total_inactive_file"),
        };
        let stat = read(&path.join("memory.stat")).unwrap_or_default();
        let cache = field(&stat, inactive).unwrap_or(0);
        Some(number(&path.join(file))?.saturating_sub(cache))
    }
}

/// Where a memory limit sits.
struct Level<'a> {
    version: Version,
    path: &'a PathBuf,
}

/// Finds a controller's folders from `/proc/self/mountinfo` and `/proc/self/cgroup`.
fn find(
    root: &Path,
    mounts: &str,
    groups: &str,
    version: Version,
    controller: &str,
) -> Option<Folders> {
    let names = |list: &str| list.split(',').any(|name| name == controller);
    let group = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let found = match version {
            Version::V1 => names(controllers),
            Version::V2 => id == "0" && controllers.is_empty(),
        };
        found.then_some(path)
    })?;
    let (mount_root, point) = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1).unwrap_or_default());
        let found = match version {
            Version::V1 => kind == "cgroup" && names(options),
            Version::V2 => kind == "cgroup2",
        };
        let mut left = left.split(' ').skip(3);
        found.then_some((left.next()?, left.next()?))
    })?;
    let top = root.join(point.trim_start_matches('/'));
    let own = Path::new(group)
        .strip_prefix(mount_root)
        .ok()
        .filter(|path| !path.components().any(|part| part.as_os_str() == ".."))
        .map(|path| top.join(path))
        .filter(|path| path.is_dir())
        .unwrap_or_else(|| top.clone());
    let machine = match version {
        Version::V1 => group == "/" && mount_root == "/",
        // Only the machine's own root group has no limits to set.
        Version::V2 => own == top && !top.join("cpu.max").exists(),
    };
    let paths = own.ancestors().take_while(|path| path.starts_with(&top));
    Some(Folders {
        version,
        paths: paths.map(Path::to_owned).collect(),
        machine,
    })
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
#[path = "cgroup_tests.rs"]
mod tests;
