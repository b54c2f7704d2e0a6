//! Frames roll up to a publishing period.
//!
//! Periods lie on the wall clock (10 s: :00, :10, …; 60 s: full minutes), so that the samples of
//! every instance fall into the same CloudWatch period. What each kind becomes stands in
//! [`crate::catalogue`]. A late tick's frame covers several ticks and counts that often, so that a
//! full period holds one sample a second all the same.

use crate::catalogue::Metric;
use crate::frame::{Frame, Sample};
use crate::histogram::Histogram;

/// A level over a period, as a CloudWatch statistic set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelSet {
    /// One sample a second.
    pub samples: u64,
    /// Time-weighted mean × samples, so that Average is the time-weighted mean.
    pub sum: f64,
    /// Lowest one-second mean.
    pub min: f64,
    /// Highest level, however short.
    pub max: f64,
}

/// What one period says about one metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Series {
    /// Events in the period: one sample.
    Counter(u64),
    /// A level's statistic set.
    Level(LevelSet),
    /// The values of the period's events; never empty.
    Distribution(Histogram),
    /// The one-second values that were present, each with the ticks it covers; never empty.
    Reading(Vec<(f64, u64)>),
}

/// One publishing period.
#[derive(Debug, Clone, PartialEq)]
pub struct Period {
    /// Unix time of its beginning, seconds.
    pub start_secs: u64,
    /// Its length, seconds.
    pub period_secs: u32,
    /// The metrics that were present.
    pub series: Vec<(Metric, Series)>,
}

impl Period {
    /// The series of a metric, if present.
    #[must_use]
    pub fn get(&self, metric: Metric) -> Option<&Series> {
        self.series
            .iter()
            .find(|(found, _)| *found == metric)
            .map(|(_, series)| series)
    }
}

/// Collects the frames of one period.
#[derive(Debug)]
pub struct Window {
    period_secs: u32,
    start_secs: u64,
    frames: Vec<Frame>,
    metrics: Vec<Metric>,
}

impl Window {
    /// A window over periods of `period_secs` seconds.
    #[must_use]
    pub fn new(period_secs: u32) -> Self {
        Self {
            period_secs: period_secs.max(1),
            start_secs: 0,
            frames: Vec::new(),
            metrics: Metric::ALL.to_vec(),
        }
    }

    /// The same for these metrics alone.
    #[must_use]
    pub fn only(self, metrics: &[Metric]) -> Self {
        Self {
            metrics: metrics.to_vec(),
            ..self
        }
    }

    /// Takes a frame; returns the periods that it completes: none or one as a rule, two if it
    /// opens a later period than the last frame did and completes that one too.
    pub fn push(&mut self, frame: Frame) -> Vec<Period> {
        let length = u64::from(self.period_secs);
        let begin = frame.end_secs.saturating_sub(u64::from(frame.ticks));
        let start = begin - begin % length;
        let mut done = Vec::new();
        if start != self.start_secs {
            done.extend(self.finish());
        }
        self.start_secs = start;
        let complete = frame.end_secs >= start + length;
        self.frames.push(frame);
        if complete {
            done.extend(self.finish());
        }
        done
    }

    /// Closes the period as it stands; none if it holds no frame.
    pub fn finish(&mut self) -> Option<Period> {
        let frames = std::mem::take(&mut self.frames);
        if frames.is_empty() {
            return None;
        }
        let series = self
            .metrics
            .iter()
            .filter_map(|&metric| Some((metric, self.roll_up(metric, &frames)?)))
            .collect();
        Some(Period {
            start_secs: self.start_secs,
            period_secs: self.period_secs,
            series,
        })
    }

    fn roll_up(&self, metric: Metric, frames: &[Frame]) -> Option<Series> {
        // After a long pause (a frozen container) one frame may cover more than the period.
        let mut room = u64::from(self.period_secs);
        let mut series: Option<Series> = None;
        let mut weighted = Weighted::default();
        for frame in frames {
            let ticks = u64::from(frame.ticks).min(room);
            let Some(sample) = frame.get(metric) else {
                continue;
            };
            match (sample, &mut series) {
                (Sample::Counter(count), None) => series = Some(Series::Counter(*count)),
                (Sample::Counter(count), Some(Series::Counter(sum))) => *sum += count,
                (Sample::Distribution(own), None) if !own.is_empty() => {
                    series = Some(Series::Distribution(own.clone()));
                }
                (Sample::Distribution(own), Some(Series::Distribution(all))) => all.merge(own),
                (Sample::Reading(value), None) if ticks > 0 => {
                    series = Some(Series::Reading(vec![(*value, ticks)]));
                }
                (Sample::Reading(value), Some(Series::Reading(values))) if ticks > 0 => {
                    values.push((*value, ticks));
                }
                (Sample::Level(level), _) => {
                    weighted.add(level.mean, level.max, frame.elapsed_secs, ticks);
                }
                _ => {}
            }
            room -= ticks;
        }
        series.or_else(|| weighted.set().map(Series::Level))
    }
}

/// Sums a level's frames by the time that each covers.
#[derive(Default)]
struct Weighted {
    samples: u64,
    seconds: f64,
    integral: f64,
    extremes: Option<(f64, f64)>,
}

impl Weighted {
    fn add(&mut self, mean: f64, max: f64, seconds: f64, ticks: u64) {
        self.samples += ticks;
        self.seconds += seconds;
        self.integral += mean * seconds;
        let (low, high) = self.extremes.unwrap_or((mean, max));
        self.extremes = Some((low.min(mean), high.max(max)));
    }

    fn set(&self) -> Option<LevelSet> {
        let (min, max) = self.extremes?;
        if self.seconds <= 0.0 || self.samples == 0 {
            return None;
        }
        let mean = (self.integral / self.seconds).clamp(min, max.max(min));
        Some(LevelSet {
            samples: self.samples,
            sum: mean * self.samples as f64,
            min,
            max,
        })
    }
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
