//! Two cores: one for whatever serves, one for what sends. A process starts on the core that its
//! parent's thread is bound to, so no tool such as `taskset` is needed.

use rustix::thread::{sched_getaffinity, sched_setaffinity, CpuSet};

use crate::pace::Pace;
use crate::Result;

/// The core that serves and the core that sends.
pub struct Cores {
    serve: usize,
    load: usize,
}

impl Cores {
    /// Takes the first two cores that this process may use and that are not two threads of one.
    ///
    /// # Errors
    /// There is one core only.
    pub fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let all: Vec<usize> = (0..CpuSet::MAX_CPU)
            .filter(|cpu| allowed.is_set(*cpu))
            .collect();
        let serve = *all.first().ok_or("no CPU may be used")?;
        let siblings = siblings(serve);
        let load = all
            .iter()
            .copied()
            .find(|cpu| *cpu != serve && !siblings.contains(cpu));
        let load = load.ok_or("one core is not enough: one serves, another sends")?;
        Ok(Self { serve, load })
    }

    /// Binds this thread to the core that sends.
    ///
    /// # Errors
    /// The system refuses.
    pub fn take_load_core(&self) -> Result<()> {
        bind(self.load)
    }

    /// Runs `start` bound to the core that serves: the process it starts inherits that.
    ///
    /// # Errors
    /// Those of `start`, or the system refuses.
    pub fn serving<T>(&self, start: impl FnOnce() -> Result<T>) -> Result<T> {
        bind(self.serve)?;
        let started = start();
        bind(self.load)?;
        started
    }

    /// Runs `start` bound to both cores.
    ///
    /// # Errors
    /// Those of `start`, or the system refuses.
    pub fn on_both<T>(&self, start: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut both = CpuSet::new();
        both.set(self.serve);
        both.set(self.load);
        sched_setaffinity(None, &both)?;
        let started = start();
        bind(self.load)?;
        started
    }

    /// Watches how fast the cores are that serve: the first, or both.
    #[must_use]
    pub fn watch(&self, cores: usize) -> Pace {
        let cpus = [self.serve, self.load];
        let binder = |&cpu: &usize| -> Box<dyn FnOnce() + Send> {
            // Where it is refused, the pace of some core is seen.
            Box::new(move || drop(bind(cpu)))
        };
        Pace::watch(cpus.iter().take(cores).map(binder).collect())
    }

    /// The machine in a line.
    #[must_use]
    pub fn describe(&self) -> String {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map_or("unknown CPU", |(_, name)| name.trim());
        let cpus = info
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count();
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        format!(
            "{model}, {cpus} CPUs, Linux {}; CPU {} serves, CPU {} sends; load average before {}",
            kernel.trim(),
            self.serve,
            self.load,
            load.split(' ').next().unwrap_or("unknown"),
        )
    }
}

/// CPU time that others on the host took from this machine since it started, seconds over all CPUs;
/// what was measured meanwhile was measured on less than the machine. Zero where the system does not
/// tell.
#[must_use]
pub fn stolen_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let stolen = stat
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(8)?.parse::<f64>().ok());
    stolen.unwrap_or(0.0) / rustix::param::clock_ticks_per_second() as f64
}

fn bind(cpu: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu);
    Ok(sched_setaffinity(None, &only)?)
}

/// The threads of `cpu`'s core, itself included; empty when unknown.
fn siblings(cpu: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut found = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) {
            found.extend(first..=last);
        }
    }
    found
}
