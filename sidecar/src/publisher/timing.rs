//! When the publisher tries what, and how far it came with a period. Reads no clock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// When the publisher tries what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Wait after a first failure, and the longest wait: no longer than a period, so that a
    /// CloudWatch that is back is found within two.
    pub(crate) backoff: (Duration, Duration),
    /// How long `auto` stays with a CloudWatch that fails.
    pub(crate) patience: Duration,
    /// Until the first probe of `auto`, and the longest wait between two.
    pub(crate) probe: (Duration, Duration),
    /// Delay of each period, so that a fleet does not publish in phase.
    pub(crate) jitter: Duration,
    /// After so long without a call the process was frozen: a period comes more often.
    pub(crate) idle: Duration,
}

impl Timing {
    /// The timing for a publishing period; `seed` differs from process to process.
    pub(crate) fn new(period_secs: u32, seed: u64) -> Self {
        let most = u64::from(period_secs) * 100;
        let period = Duration::from_secs(period_secs.into());
        Self {
            backoff: (Duration::from_secs(1), period.min(Duration::from_secs(60))),
            patience: Duration::from_secs(60),
            probe: (Duration::from_secs(30), Duration::from_secs(600)),
            jitter: Duration::from_millis(seed % most.max(1)),
            idle: period.mul_f64(1.5) + Duration::from_secs(5),
        }
    }

    /// True if the process was frozen between two moments of the wall clock, at which two calls in
    /// a row ended and began: connections are dead then. A clock that was set forward looks alike,
    /// and costs a new connection; one that was set back is no freeze.
    pub(crate) fn froze(&self, last: Option<Duration>, now: Duration) -> bool {
        last.is_some_and(|last| now.saturating_sub(last) > self.idle)
    }
}

/// How far a period has come on its way to CloudWatch; kept from attempt to attempt.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Calls that CloudWatch has accepted: they are not sent again.
    pub(crate) accepted: usize,
    /// Set when the running call's request begins to leave.
    written: Arc<AtomicBool>,
}

impl Progress {
    /// A call begins.
    pub(crate) fn begin(&mut self) {
        // A new flag: the last call's request may still hold the old one.
        self.written = Arc::default();
    }

    /// The running call is accepted.
    pub(crate) fn accept(&mut self) {
        self.accepted += 1;
        self.begin();
    }

    /// The running call's flag.
    pub(crate) fn written(&self) -> Arc<AtomicBool> {
        self.written.clone()
    }

    /// True if the running call has begun to leave.
    pub(crate) fn is_written(&self) -> bool {
        Self::is_set(&self.written)
    }

    /// True if a call's flag is set.
    pub(crate) fn is_set(written: &AtomicBool) -> bool {
        written.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_is_a_gap_that_no_period_explains() {
        let secs = Duration::from_secs;
        let timing = Timing::new(10, 1);
        assert!(!timing.froze(None, secs(1000)), "the first call");
        assert!(!timing.froze(Some(secs(1000)), secs(1020)));
        assert!(timing.froze(Some(secs(1000)), secs(1021)));
        assert!(!timing.froze(Some(secs(1000)), secs(10)), "set back");
        assert!(!Timing::new(60, 1).froze(Some(secs(1000)), secs(1070)));
    }

    #[test]
    fn a_call_that_begins_has_not_left() {
        let mut progress = Progress::default();
        progress.written().store(true, Ordering::Relaxed);
        assert!(progress.is_written());
        progress.accept();
        assert_eq!((progress.accepted, progress.is_written()), (1, false));
    }
}
