//! `OfferedLoad`: the capacity that the arrivals ask for ÷ the capacity there is, in percent.
//!
//! Two resources are looked at, and the larger share is the signal:
//!
//! - **slots**: slot time that the arrivals ask for ÷ (window × slots). Every arrival counts, the
//!   rejected ones too, because shed load is load; so it passes 100 without limit.
//! - **CPU**: the same arrivals × the CPU time that one unit of their work costs ÷ (window ×
//!   quota). A core that serves a model of a few microseconds is full of everything around the
//!   model while its slot looks idle. The cost is learnt while the container uses more than half of
//!   its quota and completes work: below that, the idle cost of the process would be counted in.
//!
//! Limits: arrivals that were never read off their sockets are not seen, and callers that slow
//! down when answers slow down offer less.

/// What one frame knows about arrivals and capacity.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Observation {
    /// Length of the frame, seconds.
    pub elapsed_secs: f64,
    /// Slots; 0 means not known yet.
    pub slots: f64,
    /// Slot time that this frame's arrivals ask for, rejected ones included, nanoseconds.
    pub offered_work_ns: u64,
    /// Requests answered in this frame, with any status.
    pub answered: u64,
    /// Those of them that were refused for load and so cost next to nothing.
    pub rejected: u64,
    /// Requests in the container at the frame's end less those at its beginning.
    pub in_flight_change: i64,
    /// CPU use, where it can be read.
    pub cpu: Option<CpuUse>,
}

/// CPU time of the container in a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuUse {
    /// CPU-seconds used in the frame.
    pub used_secs: f64,
    /// The quota, CPUs.
    pub quota_cpus: f64,
}

/// Time constant of the learnt cost, seconds of qualifying frames.
const LEARNING_SECS: f64 = 5.0;
/// Share of the quota above which a frame teaches.
const BUSY_SHARE: f64 = 0.5;

/// The signal's whole state: the learnt CPU cost of work.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OfferedLoad {
    cpu_per_work: Option<f64>,
}

impl OfferedLoad {
    /// Takes one frame; returns the offered load in percent, 0 when idle, none while the number of
    /// slots is unknown.
    pub fn step(&mut self, frame: &Observation) -> Option<f64> {
        if frame.slots <= 0.0 || frame.elapsed_secs <= 0.0 {
            return None;
        }
        self.learn(frame);
        let work = frame.offered_work_ns as f64 / 1e9;
        let slots = 100.0 * work / (frame.elapsed_secs * frame.slots);
        let cpu = match (frame.cpu, self.cpu_per_work) {
            (Some(cpu), Some(cost)) if cpu.quota_cpus > 0.0 => {
                100.0 * work * cost / (frame.elapsed_secs * cpu.quota_cpus)
            }
            _ => 0.0,
        };
        Some(slots.max(cpu))
    }

    /// CPU-seconds that one second of offered work costs; none before the first busy frame.
    #[must_use]
    pub fn cpu_per_work(&self) -> Option<f64> {
        self.cpu_per_work
    }

    fn learn(&mut self, frame: &Observation) {
        let Some(cpu) = frame.cpu else { return };
        if cpu.used_secs <= BUSY_SHARE * cpu.quota_cpus * frame.elapsed_secs {
            return;
        }
        let served = frame.answered.saturating_sub(frame.rejected) as f64;
        let arrived = frame.answered as f64 + frame.in_flight_change as f64;
        if served < 1.0 || arrived < 1.0 || frame.offered_work_ns == 0 {
            return;
        }
        // The CPU went into what was completed; what was only offered is scaled down to that.
        let completed = frame.offered_work_ns as f64 / 1e9 * served / arrived;
        let cost = cpu.used_secs / completed;
        let weight = 1.0 - (-frame.elapsed_secs / LEARNING_SECS).exp();
        let before = self.cpu_per_work.unwrap_or(cost);
        self.cpu_per_work = Some(before + weight * (cost - before));
    }
}

/// Busy slot time ÷ available slot time, in percent; none while the number of slots is unknown.
#[must_use]
pub fn slot_utilization(busy_slot_secs: f64, slots: f64, elapsed_secs: f64) -> Option<f64> {
    (slots > 0.0 && elapsed_secs > 0.0).then(|| 100.0 * busy_slot_secs / (elapsed_secs * slots))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(work_secs: f64, slots: f64) -> Observation {
        let offered_work_ns = (work_secs * 1e9) as u64;
        Observation {
            elapsed_secs: 1.0,
            slots,
            offered_work_ns,
            ..Observation::default()
        }
    }

    fn load(observation: &Observation) -> f64 {
        OfferedLoad::default().step(observation).unwrap()
    }

    #[test]
    fn it_halves_when_the_slots_double() {
        assert_eq!(load(&frame(0.6, 1.0)), 60.0);
        assert_eq!(load(&frame(0.6, 2.0)), 30.0);
    }

    #[test]
    fn it_passes_one_hundred_without_limit() {
        assert_eq!(load(&frame(2.5, 1.0)), 250.0);
        assert_eq!(load(&frame(1000.0, 1.0)), 100_000.0);
    }

    #[test]
    fn rejected_work_counts_like_served_work() {
        let served = Observation {
            answered: 300,
            ..frame(3.0, 1.0)
        };
        let shed = Observation {
            answered: 300,
            rejected: 200,
            ..frame(3.0, 1.0)
        };
        assert_eq!(load(&served), load(&shed));
    }

    #[test]
    fn it_is_zero_when_idle_and_absent_while_slots_are_unknown() {
        assert_eq!(load(&frame(0.0, 4.0)), 0.0);
        assert_eq!(OfferedLoad::default().step(&frame(1.0, 0.0)), None);
        assert_eq!(slot_utilization(1.0, 0.0, 1.0), None);
        assert_eq!(slot_utilization(0.0, 4.0, 1.0), Some(0.0));
        assert_eq!(slot_utilization(1.0, 4.0, 1.0), Some(25.0));
    }

    #[test]
    fn the_mean_of_the_frames_is_the_value_of_the_period() {
        let work = [0.1, 0.9, 0.0, 2.0, 0.5];
        let mean = work
            .iter()
            .map(|&work| load(&frame(work, 2.0)))
            .sum::<f64>()
            / 5.0;
        let period = Observation {
            elapsed_secs: 5.0,
            ..frame(work.iter().sum(), 2.0)
        };
        assert!((mean - load(&period)).abs() < 1e-9);
    }

    fn with_cpu(requests: u64, cpu_secs: f64) -> Observation {
        // 6 µs of slot time and 26 µs of CPU a request, as a tiny model costs.
        let mut observation = frame(requests as f64 * 6e-6, 1.0);
        observation.answered = requests;
        observation.cpu = Some(CpuUse {
            used_secs: cpu_secs,
            quota_cpus: 1.0,
        });
        observation
    }

    #[test]
    fn cpu_takes_over_for_a_model_whose_slot_time_is_small() {
        let mut signal = OfferedLoad::default();
        let full = signal.step(&with_cpu(38_000, 38_000.0 * 26e-6)).unwrap();
        assert!((full - 98.8).abs() < 0.1, "{full}");
        // What was learnt holds at low load, where the idle cost is not learnt from.
        let low = signal.step(&with_cpu(3_800, 0.3)).unwrap();
        assert!((low - 9.88).abs() < 0.01, "{low}");
    }

    #[test]
    fn it_learns_nothing_below_half_of_the_quota_or_without_completed_work() {
        let mut signal = OfferedLoad::default();
        signal.step(&with_cpu(1_000, 0.49));
        signal.step(&Observation {
            answered: 0,
            ..with_cpu(1_000, 0.9)
        });
        signal.step(&Observation {
            rejected: 1_000,
            ..with_cpu(1_000, 0.9)
        });
        signal.step(&Observation {
            cpu: None,
            ..with_cpu(1_000, 0.9)
        });
        signal.step(&Observation {
            in_flight_change: -1_000,
            ..with_cpu(1_000, 0.9)
        });
        assert_eq!(signal.cpu_per_work(), None);
    }

    #[test]
    fn the_cost_is_that_of_completed_work_when_arrivals_are_shed() {
        let mut signal = OfferedLoad::default();
        let mut shed = with_cpu(100_000, 1.0);
        shed.rejected = 61_540;
        let load = signal.step(&shed).unwrap();
        assert!((load - 260.0).abs() < 1.0, "{load}");
    }

    #[test]
    fn a_backlog_that_grows_does_not_lower_the_learnt_cost() {
        let mut signal = OfferedLoad::default();
        let mut growing = with_cpu(50_000, 1.0);
        growing.answered = 38_461;
        growing.in_flight_change = 11_539;
        signal.step(&growing);
        let cost = signal.cpu_per_work().unwrap();
        assert!((cost - 26.0 / 6.0).abs() < 0.01, "{cost}");
    }
}
