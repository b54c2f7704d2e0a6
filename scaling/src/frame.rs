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
    /// What is measured here is finite and never below 0.
    fn can_be(&self) -> bool {
        let can_be = |value: f64| value.is_finite() && value >= 0.0;
        match self {
            Self::Reading(value) => can_be(*value),
            Self::Level(level) => can_be(level.mean) && can_be(level.max),
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
    left_out: u64,
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
            left_out: 0,
        }
    }

    /// Adds a sample. A value that is not finite or is negative counts as missing: it is left out,
    /// and that is counted.
    pub fn insert(&mut self, metric: Metric, sample: Sample) {
        if sample.can_be() {
            self.samples.push((metric, sample));
        } else {
            self.left_out += 1;
        }
    }

    /// Samples that were left out because their value cannot be.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sample_is_there_or_left_out_and_counted(
            values in prop::collection::vec(prop::num::f64::ANY, 2),
        ) {
            let (mean, max) = (values[0], values[1]);
            let can_be = |value: f64| (0.0..f64::INFINITY).contains(&value);
            let mut frame = Frame::new(10, 1, 1.0);
            frame.reading(Metric::CPUUtilization, Some(mean));
            frame.insert(Metric::Concurrency, Sample::Level(LevelSample { mean, max }));
            let expected = [can_be(mean), can_be(mean) && can_be(max)];
            let present = [Metric::CPUUtilization, Metric::Concurrency]
                .map(|metric| frame.get(metric).is_some());
            prop_assert_eq!(present, expected);
            let left_out = expected.iter().filter(|there| !**there).count();
            prop_assert_eq!(frame.left_out(), left_out as u64);
        }
    }

    #[test]
    fn a_missing_reading_stays_absent_and_an_impossible_one_is_left_out_and_counted() {
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
        frame.reading(Metric::CPUThrottled, Some(-0.5));
        assert_eq!(frame.samples().count(), 0);
        assert_eq!(frame.left_out(), 4, "a missing one is not counted");
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
