//! The machine and the process, where the cgroup files do not tell: that is `sysinfo`'s part.

use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Memory of the machine, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostMemory {
    pub(crate) total: u64,
    pub(crate) available: u64,
}

impl HostMemory {
    /// Memory that is in use and cannot go at once.
    pub(crate) fn used(self) -> u64 {
        self.total.saturating_sub(self.available)
    }
}

/// A view of the machine that keeps its state between reads.
#[derive(Debug)]
pub(crate) struct Host {
    system: Option<System>,
    own: Option<Pid>,
}

impl Host {
    /// Opens the view; a system that `sysinfo` does not know gives no readings.
    pub(crate) fn new() -> Self {
        Self {
            system: System::new().ok(),
            own: sysinfo::get_current_pid().ok(),
        }
    }

    /// The machine's memory.
    pub(crate) fn memory(&mut self) -> Option<HostMemory> {
        let system = self.system.as_mut()?;
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let memory = HostMemory {
            total: system.total_memory(),
            available: system.available_memory(),
        };
        (memory.total > 0).then_some(memory)
    }

    /// CPU time of this process since it began, seconds.
    pub(crate) fn process_cpu_secs(&mut self) -> Option<f64> {
        let (system, own) = (self.system.as_mut()?, self.own?);
        let kind = ProcessRefreshKind::nothing().with_cpu().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, kind);
        Some(system.process(own)?.accumulated_cpu_time() as f64 / 1e3)
    }
}

/// CPUs that this process may run on, at least 1.
pub(crate) fn cpus() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cpus| cpus.get() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_cpu_time_are_read_on_this_machine() {
        let mut host = Host::new();
        let memory = host.memory().unwrap();
        assert!(memory.available > 0 && memory.available <= memory.total);
        let begin = std::time::Instant::now();
        let mut work = 0_u64;
        while begin.elapsed().as_millis() < 60 {
            work = std::hint::black_box(work + 1);
        }
        assert!(host.process_cpu_secs().unwrap() > 0.0);
        assert!(cpus() >= 1.0);
    }
}
