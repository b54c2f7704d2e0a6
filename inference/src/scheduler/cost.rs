//! What a request will cost: slot time by size class, learnt from the runs.
//!
//! A size class holds the requests whose inputs have the same number of elements up to a power of
//! two. Everything is relaxed atomics: an estimate may lag a run behind, and never blocks one.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A run this long on an HTTP thread would be noticed by `/ping`: its class leaves the thread for so
/// many runs, because what took long once for its values can do so again.
const DISTRUST: [(u64, u32); 2] = [(20_000_000, 65_536), (2_000_000, 256)];

/// 2^40 elements are more than any request can hold.
const CLASSES: usize = 41;
/// Runs expected to take less than this run on the thread that read the request: handing them over
/// would cost more.
const INLINE_BELOW_NANOS: u64 = 50_000;
/// …and stop doing so above this, so that a class does not flutter between the two.
const INLINE_UNTIL_NANOS: u64 = 75_000;
/// Contention may inflate a run; the capacity it stands for does not grow with it without limit.
const MAX_INFLATION: u64 = 4;

/// The size class of so many input elements.
#[must_use]
pub fn class_of(elements: usize) -> usize {
    (usize::BITS - elements.max(1).leading_zeros() - 1).min(CLASSES as u32 - 1) as usize
}

#[derive(Default)]
struct Class {
    /// Moving average of the run time; 0 while unknown.
    mean_nanos: AtomicU64,
    /// Shortest run seen; 0 while unknown.
    least_nanos: AtomicU64,
    inline: AtomicBool,
    /// Runs to go until this class may run on an HTTP thread again.
    distrust: AtomicU32,
}

/// Costs of one model.
pub struct Costs {
    classes: [Class; CLASSES],
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            classes: std::array::from_fn(|_| Class::default()),
        }
    }
}

impl Costs {
    /// Expected slot time of a request of this class. A class not seen yet is taken to cost what its
    /// nearest known neighbour costs, the smaller first: a guess that is too low is corrected by the
    /// first run, while one that is too high would refuse requests that were never tried. Zero while
    /// nothing is known.
    #[must_use]
    pub fn estimate(&self, class: usize) -> Duration {
        let mean = |class: usize| self.classes[class].mean_nanos.load(Relaxed);
        let known = (0..=class).rev().map(mean).find(|&m| m > 0);
        let nanos = known.or_else(|| (class + 1..CLASSES).map(mean).find(|&m| m > 0));
        Duration::from_nanos(nanos.unwrap_or(0))
    }

    /// Learns from a run of this class.
    pub fn learn(&self, class: usize, run: Duration) {
        let nanos = u64::try_from(run.as_nanos()).unwrap_or(u64::MAX).max(1);
        let entry = &self.classes[class];
        let least = match entry.least_nanos.load(Relaxed) {
            0 => nanos,
            least => least.min(nanos),
        };
        entry.least_nanos.store(least, Relaxed);
        let capped = nanos.min(least.saturating_mul(MAX_INFLATION));
        let mean = match entry.mean_nanos.load(Relaxed) {
            0 => capped,
            // One sixteenth of the way: a hundred requests forget the first one.
            mean => mean - mean / 16 + capped / 16,
        }
        .max(1);
        entry.mean_nanos.store(mean, Relaxed);
        let bound = if entry.inline.load(Relaxed) {
            INLINE_UNTIL_NANOS
        } else {
            INLINE_BELOW_NANOS
        };
        let distrust = DISTRUST
            .iter()
            .find(|(limit, _)| nanos >= *limit)
            .map_or(0, |(_, runs)| *runs)
            .max(entry.distrust.load(Relaxed).saturating_sub(1));
        entry.distrust.store(distrust, Relaxed);
        let inline = mean < bound && distrust == 0;
        if entry.inline.load(Relaxed) != inline {
            entry.inline.store(inline, Relaxed);
        }
    }

    /// Whether a request of this class runs where it was read. Only classes that have been seen do.
    #[must_use]
    pub fn is_inline(&self, class: usize) -> bool {
        self.classes[class].inline.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    #[test]
    fn classes_are_powers_of_two() {
        assert_eq!(class_of(0), 0);
        assert_eq!(class_of(1), 0);
        assert_eq!(class_of(64), 6);
        assert_eq!(class_of(127), 6);
        assert_eq!(class_of(128), 7);
        assert_eq!(class_of(usize::MAX), CLASSES - 1);
    }

    #[test]
    fn an_unseen_class_costs_what_its_neighbour_does() {
        let costs = Costs::default();
        assert_eq!(costs.estimate(6), Duration::ZERO);
        costs.learn(6, micros(10));
        assert_eq!(costs.estimate(6), micros(10));
        assert_eq!(costs.estimate(20), micros(10));
        assert_eq!(costs.estimate(2), micros(10));
    }

    #[test]
    fn one_slow_run_moves_the_estimate_little() {
        let costs = Costs::default();
        for _ in 0..100 {
            costs.learn(3, micros(100));
        }
        costs.learn(3, Duration::from_secs(5));
        assert!(costs.estimate(3) < micros(125), "{:?}", costs.estimate(3));
    }

    #[test]
    fn one_long_run_takes_its_class_off_the_http_threads_for_long() {
        let costs = Costs::default();
        for _ in 0..100 {
            costs.learn(2, micros(5));
        }
        assert!(costs.is_inline(2));
        costs.learn(2, Duration::from_secs(1));
        for _ in 0..60_000 {
            costs.learn(2, micros(5));
            assert!(!costs.is_inline(2));
        }
        for _ in 0..6_000 {
            costs.learn(2, micros(5));
        }
        assert!(costs.is_inline(2));
    }

    #[test]
    fn handing_over_has_hysteresis() {
        let costs = Costs::default();
        assert!(!costs.is_inline(4), "an unseen class is handed over");
        for _ in 0..200 {
            costs.learn(4, micros(40));
        }
        assert!(costs.is_inline(4));
        for _ in 0..200 {
            costs.learn(4, micros(60));
        }
        assert!(costs.is_inline(4), "60 µs is between the bounds");
        for _ in 0..200 {
            costs.learn(4, micros(90));
        }
        assert!(!costs.is_inline(4));
        for _ in 0..200 {
            costs.learn(4, micros(60));
        }
        assert!(!costs.is_inline(4), "60 µs is between the bounds");
    }
}
