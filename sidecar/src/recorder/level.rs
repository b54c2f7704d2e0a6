//! A gauge whose time integral and maximum are exact.
//!
//! One atomic holds the level (16 bits) and the time of its last change (48 bits of microseconds:
//! nine years). Every change is a compare-exchange; whoever wins adds old level × time passed to
//! the integral. A sampled gauge would miss the bursts that scaling decisions live on.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::GaugeFn;

use super::Clock;

const TIME_BITS: u32 = 48;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const HIGHEST: i64 = u16::MAX as i64;

/// What a level was up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The level now.
    pub(crate) level: u64,
    /// The highest since the cut before.
    pub(crate) max: u64,
    /// Level × microseconds since the start.
    pub(crate) integral: u64,
    /// The time of the cut, microseconds on the recorder's clock.
    pub(crate) at_micros: u64,
}

/// The level; 0 to 65,535, saturating at both ends.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Level {
    packed: AtomicU64,
    integral: AtomicU64,
    max: AtomicU64,
    clock: Clock,
}

impl Level {
    pub(crate) fn new(clock: Clock) -> Self {
        let [packed, integral, max] = [(); 3].map(|()| AtomicU64::new(0));
        Self {
            packed,
            integral,
            max,
            clock,
        }
    }

    /// Brings the integral up to now and begins a new maximum. For one caller: the sampler.
    pub(crate) fn cut(&self) -> Cut {
        // Reset before the flush: a rise that comes between the two counts for the next cut, and
        // the level found by the flush stands for it in this one.
        let max = self.max.swap(0, Ordering::Relaxed);
        let (level, at_micros) = self.change(|level| level);
        let integral = self.integral.load(Ordering::Relaxed);
        Cut {
            level,
            max: max.max(level),
            integral,
            at_micros,
        }
    }

    /// Level × seconds since the start, up to the last change.
    pub(crate) fn integral_secs(&self) -> f64 {
        self.integral.load(Ordering::Relaxed) as f64 / 1e6
    }

    fn change(&self, next: impl Fn(i64) -> i64) -> (u64, u64) {
        let mut before = self.packed.load(Ordering::Relaxed);
        loop {
            let (level, since) = (before >> TIME_BITS, before & TIME_MASK);
            // Another thread may have read a later time and won: time never goes back.
            let now = (self.clock.micros() & TIME_MASK).max(since);
            let after = next(level as i64).clamp(0, HIGHEST) as u64;
            let packed = after << TIME_BITS | now;
            match self.packed.compare_exchange_weak(
                before,
                packed,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    if level > 0 {
                        self.integral
                            .fetch_add(level * (now - since), Ordering::Relaxed);
                    }
                    self.max.fetch_max(after, Ordering::Relaxed);
                    return (after, now);
                }
                Err(found) => before = found,
            }
        }
    }
}

/// To whole steps; NaN is none.
fn steps(value: f64) -> i64 {
    value.round().clamp(-(HIGHEST as f64), HIGHEST as f64) as i64
}

impl GaugeFn for Level {
    fn increment(&self, value: f64) {
        self.change(|level| level + steps(value));
    }

    fn decrement(&self, value: f64) {
        self.change(|level| level - steps(value));
    }

    fn set(&self, value: f64) {
        if !value.is_nan() {
            self.change(|_| steps(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integral_and_maximum_are_exact_on_a_scripted_history() {
        let clock = Clock::manual();
        let level = Level::new(clock.clone());
        level.increment(2.0);
        clock.advance(Duration::from_millis(300));
        level.increment(5.0);
        clock.advance(Duration::from_micros(1));
        level.decrement(6.0);
        clock.advance(Duration::from_millis(700));
        let first = level.cut();
        let integral = 2 * 300_000 + 7 + 700_000;
        assert_eq!(
            first,
            Cut {
                level: 1,
                max: 7,
                integral,
                at_micros: 1_000_001
            }
        );
        clock.advance(Duration::from_secs(1));
        let second = level.cut();
        assert_eq!((second.max, second.integral), (1, integral + 1_000_000));
    }

    #[test]
    fn it_saturates_at_both_ends() {
        let level = Level::new(Clock::manual());
        level.decrement(3.0);
        assert_eq!(level.cut().level, 0);
        level.set(1e12);
        assert_eq!(level.cut().level, 65_535);
        level.increment(1.0);
        assert_eq!(level.cut().level, 65_535);
        level.set(-4.0);
        assert_eq!(level.cut().level, 0);
        level.set(4.0);
        level.set(f64::NAN);
        level.increment(f64::NAN);
        assert_eq!(level.cut().level, 4);
    }

    #[test]
    fn a_burst_between_two_cuts_is_kept_as_maximum() {
        let level = Level::new(Clock::manual());
        level.increment(9.0);
        level.decrement(9.0);
        assert_eq!(level.cut().max, 9);
        assert_eq!(level.cut().max, 0);
    }

    proptest! {
        #[test]
        fn any_history_has_the_integral_that_it_has_on_paper(
            steps in prop::collection::vec((-5_i64..6, 0_u64..10_000), 0..60),
        ) {
            let clock = Clock::manual();
            let level = Level::new(clock.clone());
            let (mut now, mut integral, mut max) = (0_i64, 0_u64, 0_i64);
            for (change, micros) in steps {
                level.increment(change as f64);
                now = (now + change).max(0);
                max = max.max(now);
                clock.advance(Duration::from_micros(micros));
                integral += now as u64 * micros;
            }
            let cut = level.cut();
            prop_assert_eq!((cut.level, cut.max, cut.integral), (now as u64, max as u64, integral));
        }
    }
}
