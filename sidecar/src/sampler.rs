//! Once a second: recorder and sources in, one frame out.
//!
//! The recorder is cumulative; this side keeps what it saw at the last tick and takes the
//! difference. A tick that comes late makes a longer frame, never a wrong one: rates are over the
//! time that really passed.

use std::path::Path;

use scaling::catalogue::{internal, Kind, Metric};
use scaling::frame::{Frame, LevelSample, Sample};
use scaling::signal::{self, CpuUse, Observation, OfferedLoad};

use crate::recorder::{Recorded, Recorder};
use crate::sources::cgroup::{Cgroup, Usage};
use crate::sources::gpu::Gpu;
use crate::sources::host::Host;

/// Frames between two looks at which cgroup is the process's: it may be moved, rarely.
const REOPEN_EVERY: u32 = 60;

/// Everything that one tick needs to know about the tick before.
pub(crate) struct Sampler {
    recorder: Recorder,
    cgroup: Cgroup,
    host: Host,
    gpu: Option<Gpu>,
    opened_ago: u32,
    signal: OfferedLoad,
    at_micros: u64,
    counters: Vec<(&'static str, u64)>,
    levels: Vec<(&'static str, LevelState)>,
    histograms: Vec<(Metric, Recorded)>,
    usage: Usage,
    /// What [`Sampler::events`] took out since the last tick.
    taken: Taken,
}

fn of_kind(kind: Kind) -> impl Iterator<Item = Metric> {
    Metric::ALL
        .iter()
        .copied()
        .filter(move |metric| metric.kind() == kind)
}

fn counted(frame: &Frame, metric: Metric) -> u64 {
    match frame.get(metric) {
        Some(Sample::Counter(count)) => *count,
        _ => 0,
    }
}

/// Requests that were refused, for load or for what they are: they cost less than an answer.
fn refused(frame: &Frame) -> u64 {
    counted(frame, Metric::Rejected) + counted(frame, Metric::ClientErrors)
}

/// Events that have left ahead of their tick, as far as a tick's readings still need them.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    answered: u64,
    refused: u64,
    /// Longest wait for a slot, microseconds.
    waited: f64,
}

/// A level at the last tick.
#[derive(Debug, Clone, Copy, Default)]
struct LevelState {
    level: u64,
    integral: u64,
    at_micros: u64,
}

/// A level between two ticks.
#[derive(Debug, Clone, Copy, Default)]
struct LevelChange {
    max: u64,
    mean: f64,
    change: i64,
}

impl Sampler {
    /// A sampler whose first frame begins now.
    pub(crate) fn new(recorder: Recorder, root: &Path, gpu: Option<Gpu>) -> Self {
        let cgroup = Cgroup::open(root);
        let mut host = Host::new();
        let (_, usage) = cgroup.read(&mut host);
        let mut sampler = Self {
            cgroup,
            host,
            gpu,
            opened_ago: 0,
            signal: OfferedLoad::default(),
            at_micros: recorder.clock().micros(),
            counters: Vec::new(),
            levels: Vec::new(),
            histograms: Vec::new(),
            usage,
            taken: Taken::default(),
            recorder,
        };
        // The first difference is to this moment, not to the beginning of the process.
        sampler.record(&mut Frame::new(0, 1, 0.0));
        sampler.busy_slots(0.0);
        sampler
    }

    /// The same with another signal.
    pub(crate) fn with_signal(self, signal: OfferedLoad) -> Self {
        Self { signal, ..self }
    }

    /// Closes the frame that covers `ticks` ticks and ends at `end_secs` (Unix time).
    pub(crate) fn tick(&mut self, end_secs: u64, ticks: u32) -> Frame {
        let now = self.recorder.clock().micros();
        let elapsed = now.saturating_sub(self.at_micros) as f64 / 1e6;
        self.at_micros = now;
        let mut frame = Frame::new(end_secs, ticks, elapsed);
        let mut observation = self.record(&mut frame);
        observation.elapsed_secs = elapsed;
        let busy = self.busy_slots(elapsed);
        frame.reading(
            Metric::SlotUtilization,
            signal::slot_utilization(busy, observation.slots, 1.0),
        );
        observation.cpu = self.read_sources(&mut frame, elapsed);
        frame.reading(Metric::OfferedLoad, self.signal.step(&observation));
        frame
    }

    /// A frame of the events so far, which covers no tick: levels, readings and the signal go on to
    /// the next tick as if it had not been.
    pub(crate) fn events(&mut self, end_secs: u64) -> Frame {
        let mut frame = Frame::new(end_secs, 0, 0.0);
        // A frame of ticks would end the period before in its first second.
        frame.ticks = 0;
        for metric in of_kind(Kind::Counter) {
            // Zeros are the ticks' business: every instance has as many of those.
            let count = self.count(metric.name());
            if count > 0 {
                frame.insert(metric, Sample::Counter(count));
            }
        }
        let waited = self.distributions(&mut frame);
        self.taken.answered += counted(&frame, Metric::Invocations);
        self.taken.refused += refused(&frame);
        self.taken.waited = self.taken.waited.max(waited);
        frame
    }

    /// Takes the recorder's differences into the frame; returns the signal's part of them.
    fn record(&mut self, frame: &mut Frame) -> Observation {
        for metric in of_kind(Kind::Counter) {
            let count = self.count(metric.name());
            frame.insert(metric, Sample::Counter(count));
        }
        let mut in_flight_change = 0;
        for metric in of_kind(Kind::Level) {
            let change = self.level(metric.name());
            if metric == Metric::Concurrency {
                in_flight_change = change.change;
            }
            let sample = LevelSample {
                mean: change.mean,
                max: change.max as f64,
            };
            frame.insert(metric, Sample::Level(sample));
        }
        for metric in of_kind(Kind::Gauge) {
            frame.reading(metric, self.gauge(metric.name()));
        }
        let taken = std::mem::take(&mut self.taken);
        let waited = self.distributions(frame).max(taken.waited);
        let waiting = self.waiting().unwrap_or(0.0);
        frame.reading(Metric::OldestWait, Some(waited.max(waiting) / 1e3));
        // Two models may be on a GPU at once.
        let on_gpu = self.level(internal::GPU_RUNS).mean.min(1.0);
        let has_gpu = self.gauge(internal::GPU_SLOTS).is_some_and(|n| n > 0.0);
        frame.reading(Metric::GPUBusy, has_gpu.then_some(100.0 * on_gpu));
        let answered = taken.answered + counted(frame, Metric::Invocations);
        let refused = taken.refused + refused(frame);
        let slots = self.gauge(internal::SLOTS).unwrap_or(0.0);
        Observation {
            elapsed_secs: 0.0,
            slots,
            offered_work_ns: self.count(internal::OFFERED_WORK),
            offered_cpu_ns: self.count(internal::OFFERED_CPU),
            run_secs: self.count(internal::RUN_TIME) as f64 / 1e9,
            partial_run_secs: self.count(internal::PARTIAL_TIME) as f64 / 1e9,
            run_cpus: self.gauge(internal::RUN_CPUS),
            request_cpu_secs: self.gauge(internal::REQUEST_CPU).map(|nanos| nanos / 1e9),
            answered,
            refused,
            in_flight_change,
            cpu: None,
            queued_work_ns: self.gauge(internal::QUEUED_WORK).unwrap_or(0.0),
        }
    }

    /// Slots in use, on average; runs on HTTP threads count when they end.
    fn busy_slots(&mut self, elapsed_secs: f64) -> f64 {
        let inline_secs = self.count(internal::INLINE_TIME) as f64 / 1e9;
        let inline = if elapsed_secs > 0.0 {
            inline_secs / elapsed_secs
        } else {
            0.0
        };
        self.level(internal::BUSY_SLOTS).mean + inline
    }

    fn count(&mut self, name: &'static str) -> u64 {
        let total = self
            .recorder
            .counter(name)
            .map_or(0, |counter| counter.total());
        let before = entry(&mut self.counters, name);
        total.wrapping_sub(std::mem::replace(before, total))
    }

    fn gauge(&self, name: &'static str) -> Option<f64> {
        self.recorder.gauge(name)?.value()
    }

    /// For how long the queue's oldest request has been waiting, microseconds; none if none is.
    fn waiting(&self) -> Option<f64> {
        let since = self
            .gauge(internal::OLDEST_SINCE)
            .filter(|&since| since > 0.0)?;
        Some((self.recorder.clock().micros() as f64 - since).max(0.0))
    }

    fn level(&mut self, name: &'static str) -> LevelChange {
        let Some(level) = self.recorder.level(name) else {
            return LevelChange::default();
        };
        let cut = level.cut();
        let before = entry(&mut self.levels, name);
        let micros = cut.at_micros.saturating_sub(before.at_micros);
        let mean = if micros > 0 {
            cut.integral.saturating_sub(before.integral) as f64 / micros as f64
        } else {
            cut.level as f64
        };
        let begin = std::mem::replace(
            before,
            LevelState {
                level: cut.level,
                integral: cut.integral,
                at_micros: cut.at_micros,
            },
        );
        LevelChange {
            // The level at the frame's beginning was there too.
            max: cut.max.max(begin.level),
            mean,
            change: cut.level as i64 - begin.level as i64,
        }
    }

    /// Takes every distribution into the frame; returns the longest wait for a slot that ended,
    /// microseconds.
    fn distributions(&mut self, frame: &mut Frame) -> f64 {
        let mut waited = 0.0;
        for metric in of_kind(Kind::Distribution) {
            let max = self.distribution(metric, frame);
            if metric == Metric::QueueLatency {
                waited = max.unwrap_or(0.0);
            }
        }
        waited
    }

    /// Takes one distribution into the frame; returns its exact maximum.
    fn distribution(&mut self, metric: Metric, frame: &mut Frame) -> Option<f64> {
        let histogram = self.recorder.histogram(metric.name())?;
        // Counts before extremes: an extreme without its count does no harm, the reverse would.
        let now = histogram.collect();
        let extremes = histogram.take_extremes();
        let before = entry(&mut self.histograms, metric);
        let mut values = now.since(before);
        if let Some((min, max)) = extremes {
            values.widen(min, max);
        }
        *before = now;
        frame.insert(metric, Sample::Distribution(values));
        extremes.map(|(_, max)| max)
    }

    fn read_sources(&mut self, frame: &mut Frame, elapsed: f64) -> Option<CpuUse> {
        self.opened_ago += 1;
        if self.opened_ago >= REOPEN_EVERY {
            self.opened_ago = 0;
            self.cgroup.reopen();
        }
        let (limits, usage) = self.cgroup.read(&mut self.host);
        let used = usage.since(&self.usage);
        self.usage = usage;
        let quota_cpus = limits.cpus;
        let available = elapsed * quota_cpus;
        let share = used
            .cpu_secs
            .filter(|_| available > 0.0)
            .map(|used| 100.0 * used / available);
        frame.reading(Metric::CPUUtilization, share);
        frame.reading(Metric::CPUThrottled, used.throttled);
        let memory = match (self.usage.memory_bytes, limits.memory_bytes) {
            (Some(used), Some(limit)) if limit > 0 => Some(100.0 * used as f64 / limit as f64),
            _ => None,
        };
        frame.reading(Metric::MemoryUtilization, memory);
        if let Some(gpu) = &mut self.gpu {
            let reading = gpu.latest();
            frame.reading(Metric::GPUUtilization, reading.utilization);
            frame.reading(Metric::GPUMemoryUtilization, reading.memory);
        }
        used.cpu_secs.map(|used_secs| CpuUse {
            used_secs,
            quota_cpus,
        })
    }
}

/// The entry of a key in a short list, made on first use.
fn entry<K: PartialEq + Copy, V: Default>(list: &mut Vec<(K, V)>, key: K) -> &mut V {
    let at = list
        .iter()
        .position(|(known, _)| *known == key)
        .unwrap_or_else(|| {
            list.push((key, V::default()));
            list.len() - 1
        });
    &mut list[at].1
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
