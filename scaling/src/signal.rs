//! `OfferedLoad`: the capacity that the arrivals ask for ÷ the capacity there is, in percent.
//!
//! Two resources are looked at, and the larger share is the signal:
//!
//! - **slots**: slot time that the arrivals ask for ÷ (window × slots). A request counts with what it
//!   takes *at capacity*, at the best batch that is permitted with every slot busy, and never with
//!   what it happened to take: a batch of two at low load is dear, and would make the load look high
//!   and flat. Every arrival counts, the rejected ones too, because shed load is load; so it passes
//!   100 without limit.
//! - **CPU**: the CPU time of that slot time, and what each request costs beside its run (sockets,
//!   HTTP, codec), ÷ (window × quota). A core that serves a model of a few microseconds is full of
//!   everything around the model while its slot looks idle.
//!
//! What a request costs beside its run is told by warm-up, and learnt: CPU time used, less that of the
//! runs, ÷ requests. It falls as a server gets busy, because a wake-up then brings several requests. So
//! what is seen below capacity is an upper bound, by which the cost is lowered at once, and only a full
//! CPU with full runs raises it, more slowly.
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
    /// CPU time that their runs ask for, nanoseconds of each thread of a run.
    pub offered_cpu_ns: u64,
    /// CPU time of the runs that ended in this frame, seconds of each thread of a run.
    pub run_secs: f64,
    /// That of those among them that a slot or a thread made without being full, seconds.
    pub partial_run_secs: f64,
    /// CPUs that a slot uses while it runs, as warm-up measured; none counts as one.
    pub run_cpus: Option<f64>,
    /// CPU time of a request beside its run, seconds, as warm-up measured.
    pub request_cpu_secs: Option<f64>,
    /// Requests answered in this frame, with any status.
    pub answered: u64,
    /// Those of them that were refused, for load or for what they are.
    pub refused: u64,
    /// Requests in the container at the frame's end less those at its beginning.
    pub in_flight_change: i64,
    /// CPU use, where it can be read.
    pub cpu: Option<CpuUse>,
    /// Slot time that the waiting requests ask for at the frame's end, nanoseconds.
    pub queued_work_ns: f64,
}

/// CPU time of the container in a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuUse {
    /// CPU-seconds used in the frame.
    pub used_secs: f64,
    /// The quota, CPUs.
    pub quota_cpus: f64,
}

/// Share of the quota above which a frame teaches a cost where none is known…
const BUSY_SHARE: f64 = 0.5;
/// …and above which the CPU is full, so that what is seen is the cost at capacity.
const FULL_SHARE: f64 = 0.97;
/// …unless a larger share of the run time was in runs that were not full: a slot that shares runs as
/// requests come keeps its core busy long before it is at capacity, and so does a thread that wakes up
/// for each request.
const PARTIAL_SHARE: f64 = 0.2;
/// Time constants, seconds of frames that teach: towards a lower cost, and towards a higher one.
const LOWER_SECS: f64 = 1.0;
const HIGHER_SECS: f64 = 10.0;
/// A frame in which a larger share was refused does not teach: a refusal costs less than an answer.
const REFUSED_SHARE: f64 = 0.02;
/// Fewer requests than this in a frame say nothing of the cost of one: what they cost may fall into
/// another frame than they.
const FEWEST: u64 = 20;

/// The signal's whole state: the CPU cost of a request beside its run.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OfferedLoad {
    /// Time to clear the backlog in, seconds; none leaves it out.
    drain_secs: Option<f64>,
    request_cpu_secs: Option<f64>,
}

impl OfferedLoad {
    /// A signal that also asks for what clears the backlog within so many seconds; none, as is the
    /// default, asks for what the arrivals need.
    #[must_use]
    pub fn new(drain_secs: Option<f64>) -> Self {
        Self {
            drain_secs: drain_secs.filter(|secs| *secs > 0.0),
            request_cpu_secs: None,
        }
    }

    /// Takes one frame; returns the offered load in percent, 0 when idle, none while the number of
    /// slots is unknown.
    pub fn step(&mut self, frame: &Observation) -> Option<f64> {
        if frame.slots <= 0.0 || frame.elapsed_secs <= 0.0 {
            return None;
        }
        self.learn(frame);
        let backlog = self.drain_secs.map_or(0.0, |drain| {
            frame.queued_work_ns / 1e9 * frame.elapsed_secs / drain
        });
        let work = frame.offered_work_ns as f64 / 1e9 + backlog;
        let slots = work / (frame.elapsed_secs * frame.slots);
        let beside = arrived(frame) * self.request_cpu_secs.unwrap_or(0.0);
        let cpu = match frame.cpu {
            Some(cpu) if cpu.quota_cpus > 0.0 => {
                let runs = frame.offered_cpu_ns as f64 / 1e9 + backlog;
                let needed = runs * run_cpus(frame) + beside;
                needed / (frame.elapsed_secs * cpu.quota_cpus)
            }
            _ => 0.0,
        };
        Some(100.0 * slots.max(cpu))
    }

    /// CPU-seconds that a request costs beside its run; none while nothing is known.
    #[must_use]
    pub fn request_cpu_secs(&self) -> Option<f64> {
        self.request_cpu_secs
    }

    fn learn(&mut self, frame: &Observation) {
        if self.request_cpu_secs.is_none() {
            self.request_cpu_secs = frame.request_cpu_secs;
        }
        let Some(cpu) = frame.cpu else { return };
        let share = cpu.used_secs / (cpu.quota_cpus * frame.elapsed_secs);
        if frame.answered < FEWEST || !share.is_finite() {
            return;
        }
        if frame.refused as f64 > REFUSED_SHARE * frame.answered as f64 {
            return;
        }
        let beside = cpu.used_secs - frame.run_secs * run_cpus(frame);
        let seen = beside.max(0.0) / frame.answered as f64;
        let Some(before) = self.request_cpu_secs else {
            // An idle server would teach what being there costs.
            if share > BUSY_SHARE {
                self.request_cpu_secs = Some(seen);
            }
            return;
        };
        let within = if seen < before {
            LOWER_SECS
        } else if share >= FULL_SHARE && frame.partial_run_secs <= PARTIAL_SHARE * frame.run_secs {
            HIGHER_SECS
        } else {
            return;
        };
        let weight = 1.0 - (-frame.elapsed_secs / within).exp();
        self.request_cpu_secs = Some(before + weight * (seen - before));
    }
}

/// Requests that came in this frame.
fn arrived(frame: &Observation) -> f64 {
    (frame.answered as f64 + frame.in_flight_change as f64).max(0.0)
}

fn run_cpus(frame: &Observation) -> f64 {
    frame.run_cpus.unwrap_or(1.0)
}

/// Busy slot time ÷ available slot time, in percent; none while the number of slots is unknown.
#[must_use]
pub fn slot_utilization(busy_slot_secs: f64, slots: f64, elapsed_secs: f64) -> Option<f64> {
    (slots > 0.0 && elapsed_secs > 0.0).then(|| 100.0 * busy_slot_secs / (elapsed_secs * slots))
}

#[cfg(test)]
#[path = "signal_tests.rs"]
mod tests;
