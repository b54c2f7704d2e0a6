//! The publisher watches itself: what left, what did not, when it last worked.

use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::route::Active;
use super::skew::Skew;

/// Counters of the publishing side; read by the Prometheus page.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    published: AtomicU64,
    failures: AtomicU64,
    lost: AtomicU64,
    unknown: AtomicU64,
    left_out: AtomicU64,
    active: AtomicU8,
    skew: Arc<Skew>,
    last_success: Mutex<Option<Instant>>,
}

impl Stats {
    /// A period left.
    pub(crate) fn success(&self) {
        self.published.fetch_add(1, Ordering::Relaxed);
        *self
            .last_success
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// An attempt failed.
    pub(crate) fn failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// A period was given up.
    pub(crate) fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// A period may or may not have arrived.
    pub(crate) fn lose_sight(&self) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }

    /// Samples were left out of a frame.
    pub(crate) fn leave_out(&self, samples: u64) {
        self.left_out.fetch_add(samples, Ordering::Relaxed);
    }

    /// The route that is taken from now on.
    pub(crate) fn set_active(&self, active: Active) {
        let at = Active::ALL
            .iter()
            .position(|known| *known == active)
            .unwrap_or(0);
        self.active.store(at as u8, Ordering::Relaxed);
    }

    /// The route that is taken.
    pub(crate) fn active(&self) -> Active {
        let at = usize::from(self.active.load(Ordering::Relaxed));
        Active::ALL.get(at).copied().unwrap_or_default()
    }

    /// Periods that left.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Attempts that failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Periods that were given up after attempts.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Periods that may or may not have arrived.
    pub(crate) fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// How far this clock is from CloudWatch's.
    pub(crate) fn skew(&self) -> &Arc<Skew> {
        &self.skew
    }

    /// Samples that were left out because their value cannot be.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Time since a period left; none before the first.
    pub(crate) fn since_success(&self) -> Option<Duration> {
        let last = *self
            .last_success
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.map(|at| at.elapsed())
    }
}
