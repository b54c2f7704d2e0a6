//! A cgroup of either version for a server to run in.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const MOUNT: &str = "/sys/fs/cgroup";
const NAME: &str = "plimsoll-test-";

/// Limits of a group; none where nothing is said.
#[derive(Default)]
pub struct Limits {
    /// Percent of one CPU.
    pub cpu_percent: Option<u32>,
    pub memory_bytes: Option<u64>,
    /// A list of CPUs such as `0-1`.
    pub cpus: Option<&'static str>,
}

/// A group, in version 1 one folder for each controller. Removed when dropped, which must be after
/// the processes in it have ended: declare it before the server.
pub struct Group {
    is_v1: bool,
    folders: Vec<PathBuf>,
}

impl Group {
    /// None where none can be made, or not with these limits.
    pub fn new(limits: &Limits) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{NAME}{}-{made}", std::process::id());
        let is_v1 = !Path::new(MOUNT).join("cgroup.controllers").exists();
        let mut group = Self {
            is_v1,
            folders: Vec::new(),
        };
        if is_v1 {
            let mut controllers = vec!["cpu", "cpuacct", "memory"];
            controllers.extend(limits.cpus.map(|_| "cpuset"));
            for controller in controllers {
                group.make(&Path::new(MOUNT).join(controller), &name)?;
            }
        } else {
            // Refused where they are on already or cannot be; the files below tell.
            let all = Path::new(MOUNT).join("cgroup.subtree_control");
            let _ = std::fs::write(all, "+cpu +memory +cpuset");
            group.make(Path::new(MOUNT), &name)?;
        }
        group.limit(limits)?;
        Some(group)
    }

    fn make(&mut self, above: &Path, name: &str) -> Option<()> {
        sweep(above);
        let folder = above.join(name);
        std::fs::create_dir(&folder).ok()?;
        self.folders.push(folder);
        Some(())
    }

    fn limit(&self, limits: &Limits) -> Option<()> {
        if let Some(percent) = limits.cpu_percent {
            let quota = percent * 1000;
            // It gets its quota though other tests want the CPUs too; not everywhere allowed.
            let _ = self.set("cpu.shares", "20480");
            let _ = self.set("cpu.weight", "2000");
            if self.is_v1 {
                self.set("cpu.cfs_period_us", "100000")?;
                self.set("cpu.cfs_quota_us", &quota.to_string())?;
            } else {
                self.set("cpu.max", &format!("{quota} 100000"))?;
            }
        }
        if let Some(bytes) = limits.memory_bytes {
            let file = if self.is_v1 {
                "memory.limit_in_bytes"
            } else {
                "memory.max"
            };
            self.set(file, &bytes.to_string())?;
        }
        if let Some(cpus) = limits.cpus {
            self.set("cpuset.cpus", cpus)?;
            if self.is_v1 {
                self.set("cpuset.mems", "0")?;
            }
        }
        Some(())
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        let files = self.folders.iter().map(|folder| folder.join(name));
        files.into_iter().find(|file| file.exists())
    }

    /// Writes to one of its files, wherever that is.
    pub fn set(&self, name: &str, value: &str) -> Option<()> {
        std::fs::write(self.file(name)?, value).ok()
    }

    fn read(&self, name: &str) -> String {
        let file = self.file(name).unwrap_or_else(|| panic!("no {name}"));
        std::fs::read_to_string(file).expect(name)
    }

    /// Its version as the server names it.
    pub fn version(&self) -> &'static str {
        if self.is_v1 {
            "cgroup v1"
        } else {
            "cgroup v2"
        }
    }

    /// The command that runs another one inside.
    pub fn enter(&self) -> Vec<String> {
        let mut script = String::new();
        for folder in &self.folders {
            script += &format!("echo $$ > {}/cgroup.procs && ", folder.display());
        }
        script += "exec \"$@\"";
        ["sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
    }

    /// Takes a process in that runs already. Whether it could.
    pub fn take_in(&self, process: u32) -> bool {
        let enter =
            |folder: &PathBuf| std::fs::write(folder.join("cgroup.procs"), process.to_string());
        self.folders.iter().all(|folder| enter(folder).is_ok())
    }

    /// Memory in use less the file cache that can go at once, by the group's own files.
    pub fn working_set(&self) -> u64 {
        let (file, inactive) = if self.is_v1 {
            ("memory.usage_in_bytes", "total_inactive_file ")
        } else {
            ("memory.current", "inactive_file ")
        };
        let stat = self.read("memory.stat");
        let inactive = stat.lines().find_map(|line| line.strip_prefix(inactive));
        let number = |text: &str| text.trim().parse::<u64>().expect("a number");
        number(&self.read(file)) - number(inactive.expect("in memory.stat"))
    }
}

/// Removes what a test run that was killed has left.
fn sweep(above: &Path) {
    for entry in std::fs::read_dir(above).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let run = name
            .strip_prefix(NAME)
            .and_then(|rest| rest.split_once('-'));
        if run.is_some_and(|(process, _)| !Path::new("/proc").join(process).exists()) {
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in &self.folders {
            // The system needs a moment to see that the last process has left.
            let begun = Instant::now();
            while std::fs::remove_dir(folder).is_err() && begun.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
