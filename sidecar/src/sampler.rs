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
use crate::sources::cgroup::{Cgroup, Limits, Usage};
use crate::sources::gpu::Gpu;
use crate::sources::host::Host;

/// Frames between two looks at the limits: an operator may change them, rarely.
const LIMITS_EVERY: u32 = 60;

/// Everything that one tick needs to know about the tick before.
pub(crate) struct Sampler {
    recorder: Recorder,
    cgroup: Cgroup,
    host: Host,
    gpu: Option<Gpu>,
    limits: Limits,
    limits_age: u32,
    signal: OfferedLoad,
    at_micros: u64,
    counters: Vec<(&'static str, u64)>,
    levels: Vec<(&'static str, LevelState)>,
    histograms: Vec<(Metric, Recorded)>,
    usage: Usage,
    /// Answers and refusals since the last tick that [`Sampler::events`] took out.
    taken: (u64, u64),
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
    level: u64,
    max: u64,
    mean: f64,
    change: i64,
}

impl Sampler {
    /// A sampler whose first frame begins now.
    pub(crate) fn new(recorder: Recorder, root: &Path, gpu: Option<Gpu>) -> Self {
        let cgroup = Cgroup::open(root);
        let mut host = Host::new();
        let limits = cgroup.limits(&mut host);
        let usage = cgroup.usage(&mut host);
        let mut sampler = Self {
            cgroup,
            host,
            gpu,
            limits,
            limits_age: 0,
            signal: OfferedLoad::default(),
            at_micros: recorder.clock().micros(),
            counters: Vec::new(),
            levels: Vec::new(),
            histograms: Vec::new(),
            usage,
            taken: (0, 0),
            recorder,
        };
        // The first difference is to this moment, not to the beginning of the process.
        sampler.record(&mut Frame::new(0, 1, 0.0));
        sampler
    }

    /// Closes the frame that covers `ticks` ticks and ends at `end_secs` (Unix time).
    pub(crate) fn tick(&mut self, end_secs: u64, ticks: u32) -> Frame {
        let now = self.recorder.clock().micros();
        let elapsed = now.saturating_sub(self.at_micros) as f64 / 1e6;
        self.at_micros = now;
        let mut frame = Frame::new(end_secs, ticks, elapsed);
        let mut observation = self.record(&mut frame);
        observation.elapsed_secs = elapsed;
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
            let count = self.count(metric.name());
            frame.insert(metric, Sample::Counter(count));
        }
        for metric in of_kind(Kind::Distribution) {
            self.distribution(metric, &mut frame);
        }
        self.taken.0 += counted(&frame, Metric::Invocations);
        self.taken.1 += counted(&frame, Metric::Rejected);
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
        for metric in of_kind(Kind::Distribution) {
            self.distribution(metric, frame);
        }
        let taken = std::mem::take(&mut self.taken);
        let answered = taken.0 + counted(frame, Metric::Invocations);
        let rejected = taken.1 + counted(frame, Metric::Rejected);
        let slots = self.level(internal::SLOTS).level as f64;
        let busy = self.level(internal::BUSY_SLOTS).mean;
        frame.reading(
            Metric::SlotUtilization,
            signal::slot_utilization(busy, slots, 1.0),
        );
        Observation {
            elapsed_secs: 0.0,
            slots,
            offered_work_ns: self.count(internal::OFFERED_WORK),
            answered,
            rejected,
            in_flight_change,
            cpu: None,
        }
    }

    fn count(&mut self, name: &'static str) -> u64 {
        let total = self
            .recorder
            .counter(name)
            .map_or(0, |counter| counter.total());
        let before = entry(&mut self.counters, name);
        total.wrapping_sub(std::mem::replace(before, total))
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
            level: cut.level,
            // The level at the frame's beginning was there too.
            max: cut.max.max(begin.level),
            mean,
            change: cut.level as i64 - begin.level as i64,
        }
    }

    fn distribution(&mut self, metric: Metric, frame: &mut Frame) {
        let Some(histogram) = self.recorder.histogram(metric.name()) else {
            return;
        };
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
    }

    fn read_sources(&mut self, frame: &mut Frame, elapsed: f64) -> Option<CpuUse> {
        self.limits_age += 1;
        if self.limits_age >= LIMITS_EVERY {
            self.limits_age = 0;
            self.limits = self.cgroup.limits(&mut self.host);
        }
        let before = self.usage;
        self.usage = self.cgroup.usage(&mut self.host);
        let used = match (self.usage.cpu_secs, before.cpu_secs) {
            (Some(now), Some(then)) if now >= then => Some(now - then),
            _ => None,
        };
        let quota_cpus = self.limits.cpus;
        let available = elapsed * quota_cpus;
        let share = used
            .filter(|_| available > 0.0)
            .map(|used| 100.0 * used / available);
        frame.reading(Metric::CPUUtilization, share);
        let throttled = match (self.usage.periods, before.periods) {
            (Some(now), Some(then)) if now.0 > then.0 => {
                Some(100.0 * now.1.saturating_sub(then.1) as f64 / (now.0 - then.0) as f64)
            }
            // Nothing ran, so nothing was held back.
            (Some(now), Some(then)) if now.0 == then.0 => Some(0.0),
            _ => None,
        };
        frame.reading(Metric::CPUThrottled, throttled);
        let memory = match (self.usage.memory_bytes, self.limits.memory_bytes) {
            (Some(used), Some(limit)) if limit > 0 => Some(100.0 * used as f64 / limit as f64),
            _ => None,
        };
        frame.reading(Metric::MemoryUtilization, memory);
        if let Some(gpu) = &self.gpu {
            let reading = gpu.latest();
            frame.reading(Metric::GPUUtilization, reading.utilization);
            frame.reading(Metric::GPUMemoryUtilization, reading.memory);
        }
        used.map(|used_secs| CpuUse {
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
