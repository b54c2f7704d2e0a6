//! One second's readings. What is absent was not read, and stays absent: it is never 0.

use crate::catalogue::Metric;
use crate::histogram::Histogram;

/// A gauge over one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelSample {
    /// Time-weighted mean.
    pub mean: f64,
    /// Highest value, however short.
    pub max: f64,
}

/// What one frame knows about one metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// Events in the frame.
    Counter(u64),
    /// A level's mean and maximum.
    Level(LevelSample),
    /// The values of the frame's events.
    Distribution(Histogram),
    /// A value that was read or computed.
    Reading(f64),
}

impl Sample {
    fn is_finite(&self) -> bool {
        match self {
            Self::Reading(value) => value.is_finite(),
            Self::Level(level) => level.mean.is_finite() && level.max.is_finite(),
            Self::Counter(_) | Self::Distribution(_) => true,
        }
    }
}

/// The readings between two ticks of the sampler, one second apart unless a tick came late.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Unix time of the tick that closed the frame, whole seconds.
    pub end_secs: u64,
    /// Whole ticks that the frame covers: 1, or more after a late tick. Set to 0, the frame brings
    /// its events but no samples of levels and readings.
    pub ticks: u32,
    /// Time that the frame really covers, seconds.
    pub elapsed_secs: f64,
    samples: Vec<(Metric, Sample)>,
}

impl Frame {
    /// An empty frame that covers `ticks` ticks and `elapsed_secs` seconds and ends at `end_secs`.
    #[must_use]
    pub fn new(end_secs: u64, ticks: u32, elapsed_secs: f64) -> Self {
        let samples = Vec::with_capacity(Metric::ALL.len());
        Self {
            end_secs,
            ticks: ticks.max(1),
            elapsed_secs,
            samples,
        }
    }

    /// Adds a sample; a value that is not finite counts as missing and is left out.
    pub fn insert(&mut self, metric: Metric, sample: Sample) {
        if sample.is_finite() {
            self.samples.push((metric, sample));
        }
    }

    /// Adds a reading if there is one.
    pub fn reading(&mut self, metric: Metric, value: Option<f64>) {
        if let Some(value) = value {
            self.insert(metric, Sample::Reading(value));
        }
    }

    /// The sample of a metric; none if it was not read.
    #[must_use]
    pub fn get(&self, metric: Metric) -> Option<&Sample> {
        self.samples
            .iter()
            .find(|(found, _)| *found == metric)
            .map(|(_, sample)| sample)
    }

    /// Every sample that is present.
    pub fn samples(&self) -> impl Iterator<Item = &(Metric, Sample)> {
        self.samples.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_infinite_reading_stays_absent() {
        let mut frame = Frame::new(10, 1, 1.0);
        frame.reading(Metric::CPUUtilization, None);
        frame.reading(Metric::GPUUtilization, Some(f64::NAN));
        frame.reading(Metric::MemoryUtilization, Some(f64::INFINITY));
        frame.insert(
            Metric::Concurrency,
            Sample::Level(LevelSample {
                mean: f64::NAN,
                max: 1.0,
            }),
        );
        assert_eq!(frame.samples().count(), 0);
        frame.reading(Metric::CPUUtilization, Some(0.0));
        assert_eq!(
            frame.get(Metric::CPUUtilization),
            Some(&Sample::Reading(0.0))
        );
    }

    #[test]
    fn a_frame_covers_at_least_one_tick() {
        assert_eq!(Frame::new(10, 0, 0.2).ticks, 1);
    }
}
