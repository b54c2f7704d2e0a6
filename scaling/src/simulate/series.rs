//! What an alarm can see of a metric.

use std::collections::VecDeque;

use super::World;
use crate::expression::Expression;

/// The newest datapoints of an expression; datapoint k covers [k, k + 1) periods.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) metric: Expression,
    pub(super) period: u64,
    /// The newest last.
    kept: VecDeque<Option<f64>>,
    /// Datapoints so far.
    closed: u64,
    keep: usize,
}

impl Series {
    pub(super) fn new(metric: Expression, period: u64) -> Self {
        Self {
            metric,
            period,
            kept: VecDeque::new(),
            closed: 0,
            keep: 1,
        }
    }

    /// Keeps as many datapoints as an alarm needs that sees `slots` of them, late by `delay` seconds.
    pub(super) fn keep(&mut self, slots: usize, delay: u64) {
        let late = usize::try_from(delay.div_ceil(self.period)).unwrap_or(usize::MAX);
        self.keep = self.keep.max(slots.saturating_add(late));
    }

    /// Takes the datapoint of the period that ends now, if one does.
    pub(super) fn close(&mut self, now: u64, world: &mut impl World) {
        if !now.is_multiple_of(self.period) || now / self.period <= self.closed {
            return;
        }
        let start = now - self.period;
        let value = self
            .metric
            .next(&mut |metric| world.value(metric, start, now));
        if self.kept.len() == self.keep {
            self.kept.pop_front();
        }
        self.kept.push_back(value);
        self.closed += 1;
    }

    /// Whether its alarms are evaluated now: every ten seconds for periods of less than a minute, every
    /// minute for the others.
    pub(super) fn is_due(&self, now: u64) -> bool {
        now.is_multiple_of(if self.period < 60 { 10 } else { 60 })
    }

    /// The newest `slots` datapoints that can be seen, the oldest first; those before time 0 are missing.
    pub(super) fn seen(&self, now: u64, delay: u64, slots: usize) -> Vec<Option<f64>> {
        let visible = now.saturating_sub(delay) / self.period;
        let unseen = self.closed.saturating_sub(visible);
        // The newest of the kept is 0 back.
        let back = |n: u64| {
            let at = (self.kept.len() as u64).checked_sub(n + 1)?;
            self.kept[usize::try_from(at).ok()?]
        };
        (0..slots as u64).rev().map(|n| back(n + unseen)).collect()
    }
}
