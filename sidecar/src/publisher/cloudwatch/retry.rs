//! When to try again: a value, not a loop. Exponential, capped, with full-range jitter below.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Waits between attempts.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    next: Duration,
    cap: Duration,
    random: u64,
}

impl Backoff {
    /// Begins at `first` and doubles up to `cap`; `seed` decides the jitter.
    pub(crate) fn new(first: Duration, cap: Duration, seed: u64) -> Self {
        let first = first.min(cap);
        Self {
            first,
            next: first,
            cap,
            random: seed | 1,
        }
    }

    /// The next wait: half of the step for certain, the other half by chance, so that a fleet that
    /// failed together does not come back together.
    pub(crate) fn wait(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.cap);
        step.mul_f64(0.5 + 0.5 * self.chance())
    }

    /// Begins anew, after a success.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next number in 0..1 (xorshift: quality does not matter here).
    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A number that differs from process to process; not for secrets.
pub(crate) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_jitter_below() {
        for seed in 0..50 {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8), seed);
            for step in [1.0, 2.0, 4.0, 8.0, 8.0, 8.0] {
                let wait = backoff.wait().as_secs_f64();
                assert!((step / 2.0..=step).contains(&wait), "{wait} of {step}");
            }
            backoff.reset();
            assert!(backoff.wait() <= Duration::from_secs(1));
        }
    }

    #[test]
    fn two_processes_do_not_wait_alike() {
        let long = Duration::from_secs(60);
        let [mut a, mut b] = [seed(), seed()].map(|seed| Backoff::new(long, long, seed));
        assert_ne!((a.wait(), a.wait()), (b.wait(), b.wait()));
    }
}
