//! One alarm of a replay: whom it calls, and when: `scaling.md` 8, rule B.

use super::alarm::{Points, State};
use super::series::Series;
use crate::policy::{Comparison, Missing};

/// Whom an alarm calls.
#[derive(Debug, Clone)]
pub(super) enum Role {
    /// Target tracking's own, which adds.
    High(usize),
    /// Target tracking's own, which removes.
    Low(usize),
    /// These step policies.
    Step(Vec<usize>),
}

/// An alarm.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub(super) name: String,
    pub(super) role: Role,
    /// Which series it looks at.
    pub(super) series: usize,
    pub(super) comparison: Comparison,
    pub(super) threshold: f64,
    pub(super) points: Points,
    pub(super) missing: Missing,
    pub(super) state: State,
    /// When it last called, since it began to ring.
    pub(super) called: Option<u64>,
}

/// It calls again after so long while it rings.
const CALLS_EVERY: u64 = 60;

impl Watch {
    /// Looks at its series; the state before and after, where that is another one.
    pub(super) fn look(&mut self, series: &Series, now: u64, delay: u64) -> Option<(State, State)> {
        let seen = series.seen(now, delay, self.points.slots());
        let slots: Vec<Option<bool>> = seen
            .iter()
            .map(|slot| slot.map(|value| self.comparison.breaches(value, self.threshold)))
            .collect();
        let state = self.points.state(&slots, self.missing, self.state);
        let before = std::mem::replace(&mut self.state, state);
        (state != before).then(|| {
            self.called = None;
            (before, state)
        })
    }

    /// Whether it calls now.
    pub(super) fn calls(&mut self, now: u64) -> bool {
        let is_time = self.called.is_none_or(|called| now >= called + CALLS_EVERY);
        let calls = self.state == State::Alarm && is_time;
        if calls {
            self.called = Some(now);
        }
        calls
    }

    /// The newest datapoints that it looks at, as far as they are there, the newest last.
    pub(super) fn values(&self, series: &Series, now: u64, delay: u64) -> Vec<f64> {
        let seen = series.seen(now, delay, self.points.slots());
        let mut values: Vec<f64> = seen.into_iter().flatten().collect();
        let more = values.len().saturating_sub(self.points.looked_at);
        values.drain(..more);
        values
    }
}
