//! A world whose metrics are given: as values, or as a load that the capacity in service divides.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::World;
use crate::policy::{Invalid, MetricStat};

/// One metric of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// What the values are.
    #[serde(default)]
    pub of: Of,
    /// How many seconds each value stands for.
    #[serde(default = "a_minute")]
    pub step: u64,
    /// One for each step from time 0; `null` where nothing was published.
    pub values: Vec<Option<f64>>,
    /// What comes after them.
    #[serde(default)]
    pub then: Then,
}

fn a_minute() -> u64 {
    60
}

/// What given values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// The metric itself, whatever the capacity is.
    #[default]
    Metric,
    /// Requests in a step; the metric is their sum over what is in service: `InvocationsPerInstance`.
    PerInstance,
    /// What the requests need, in instances; the metric is the used share of what is in service, in
    /// percent, and at most 100: a CPU.
    Utilization,
    /// What the requests need, in instances; the metric is that ÷ what is in service, in percent, without
    /// a limit: `OfferedLoad`.
    OfferedLoad,
}

/// What comes after the last value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The last one, for ever.
    #[default]
    Repeat,
    /// All of them, from the first.
    Cycle,
    /// Nothing is published any more.
    Nothing,
}

/// The longest step: a day.
const LONGEST_STEP: u64 = 86_400;

impl Given {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        if !(1..=LONGEST_STEP).contains(&self.step) {
            return Err(Invalid::new(
                "step",
                format!("{} s; expected 1 to {LONGEST_STEP}", self.step),
            ));
        }
        if self.values.is_empty() {
            return Err(Invalid::new("values", "none; expected one at least"));
        }
        for (at, value) in self.values.iter().enumerate() {
            let is_load = self.of != Of::Metric;
            if value.is_some_and(|value| !value.is_finite() || is_load && value < 0.0) {
                return Err(Invalid::new(
                    format!("values[{at}]"),
                    format!(
                        "{}; expected a number, and of a load none below zero",
                        value.unwrap_or_default()
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The value of step `n`.
    fn at(&self, n: u64) -> Option<f64> {
        let last = self.values.len() as u64 - 1;
        let n = match self.then {
            _ if n <= last => n,
            Then::Repeat => last,
            Then::Cycle => n % (last + 1),
            Then::Nothing => return None,
        };
        self.values[usize::try_from(n).ok()?]
    }

    /// The steps that share in `[start, end)`: each with its value and how many seconds of it.
    fn steps(&self, start: u64, end: u64) -> impl Iterator<Item = (Option<f64>, u64)> + '_ {
        let first = start / self.step;
        let last = end.saturating_sub(1) / self.step;
        (first..=last).map(move |n| {
            let begins = (n * self.step).max(start);
            let ends = ((n + 1) * self.step).min(end);
            (self.at(n), ends - begins)
        })
    }
}

/// Capacity that was in service for a while.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: u64,
    until: u64,
    capacity: u32,
}

/// A world of given metrics.
#[derive(Debug, Clone)]
pub(super) struct GivenWorld {
    metrics: BTreeMap<String, Given>,
    /// As far back as a metric may be asked for.
    stretches: VecDeque<Stretch>,
}

/// How far back a metric may be asked for, seconds: the longest period of an alarm.
const REMEMBERED: u64 = 86_400;

impl GivenWorld {
    pub(super) fn new(metrics: BTreeMap<String, Given>) -> Self {
        Self {
            metrics,
            stretches: VecDeque::new(),
        }
    }

    /// The given metric: by name and statistic, `CPUUtilization.Maximum`, else by name.
    fn find(&self, metric: &MetricStat) -> Option<&Given> {
        let full = format!("{}.{}", metric.name, metric.stat);
        self.metrics
            .get(&full)
            .or_else(|| self.metrics.get(&metric.name))
    }

    /// Whether there is one.
    pub(super) fn has(&self, metric: &MetricStat) -> bool {
        self.find(metric).is_some()
    }

    /// Adds up what `of` gives for each stretch of `[start, end)`, which is empty where nothing ran.
    fn sum(&self, start: u64, end: u64, of: impl Fn(u64, u64, f64) -> f64) -> f64 {
        self.stretches
            .iter()
            .filter(|stretch| stretch.until > start && stretch.from < end)
            .map(|stretch| {
                let (from, until) = (stretch.from.max(start), stretch.until.min(end));
                of(from, until, f64::from(stretch.capacity))
            })
            .sum()
    }
}

/// Steps of one value as a statistic sees them.
fn aggregated(stat: &str, values: &[(f64, u64)]) -> Option<f64> {
    let first = values.first()?.0;
    let each = || values.iter().map(|(value, _)| *value);
    Some(match stat {
        "Sum" => each().sum(),
        "Minimum" => each().fold(first, f64::min),
        "SampleCount" => values.len() as f64,
        "Average" => {
            let seconds: f64 = values.iter().map(|(_, secs)| *secs as f64).sum();
            values.iter().map(|(v, secs)| v * *secs as f64).sum::<f64>() / seconds
        }
        _ => each().fold(first, f64::max),
    })
}

impl World for GivenWorld {
    fn pass(&mut self, from: u64, until: u64, capacity: u32) {
        match self.stretches.back_mut() {
            Some(last) if last.capacity == capacity => last.until = until,
            _ => self.stretches.push_back(Stretch {
                from,
                until,
                capacity,
            }),
        }
        while self
            .stretches
            .front()
            .is_some_and(|first| first.until + REMEMBERED < until)
        {
            self.stretches.pop_front();
        }
    }

    fn value(&mut self, metric: &MetricStat, start: u64, end: u64) -> Option<f64> {
        let given = self.find(metric)?;
        if given.of == Of::Metric {
            let there: Vec<(f64, u64)> = given
                .steps(start, end)
                .filter_map(|(value, secs)| Some((value?, secs)))
                .collect();
            // One value that fills the period is the datapoint, whatever the statistic.
            return match there.as_slice() {
                [(value, _)] if given.step >= end - start => Some(*value),
                several => aggregated(&metric.stat, several),
            };
        }
        given.steps(start, end).find_map(|(value, _)| value)?;
        // Load in a second, and what was in service, each times seconds.
        let load = |from, until| -> f64 {
            let steps = given.steps(from, until);
            steps
                .map(|(value, secs)| value.unwrap_or(0.0) * secs as f64)
                .sum()
        };
        let served = self.sum(start, end, |from, until, capacity| {
            capacity * (until - from) as f64
        });
        if served <= 0.0 {
            return None;
        }
        Some(match given.of {
            Of::Metric | Of::PerInstance => {
                self.sum(start, end, |from, until, capacity| match capacity > 0.0 {
                    true => load(from, until) / given.step as f64 / capacity,
                    false => 0.0,
                })
            }
            Of::Utilization => 100.0 * (load(start, end) / served).min(1.0),
            Of::OfferedLoad => 100.0 * load(start, end) / served,
        })
    }
}
