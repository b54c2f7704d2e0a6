//! A level whose time integral and maximum are exact.
//!
//! The word is [`scaling::level`]'s: a change is one relaxed addition, and the instant of it comes
//! from whoever changes the level, who has read the clock for its own purposes. Through the facade a
//! change travels as a counter's increment, the only form that is one addition of one word. A
//! sampled gauge would miss the bursts that scaling decisions live on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use metrics::CounterFn;
use scaling::level::{is_rise, level, Integral};

use super::Clock;

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

/// The level; its users keep it between 0 and a million: each falls once for each rise.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Level {
    word: AtomicU64,
    max: AtomicU64,
    clock: Clock,
    /// The readers' side: the word's sum wraps, this does not.
    read: Mutex<Integral>,
}

impl Level {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            word: AtomicU64::new(0),
            max: AtomicU64::new(0),
            clock,
            read: Mutex::default(),
        }
    }

    /// Takes the integral up to now and begins a new maximum. For one caller: the sampler.
    pub(crate) fn cut(&self) -> Cut {
        // Reset before the look: a rise that comes between the two counts for the next cut, and
        // the level found by the look stands for it in this one.
        let max = self.max.swap(0, Ordering::Relaxed);
        let cut = self.look();
        Cut {
            max: max.max(cut.level),
            ..cut
        }
    }

    /// Level × seconds since the start.
    pub(crate) fn integral_secs(&self) -> f64 {
        self.look().integral as f64 / 1e6
    }

    fn look(&self) -> Cut {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        // The time after the word: no instant in the word is later than it.
        let word = self.word.load(Ordering::Acquire);
        let at_micros = self.clock.micros();
        Cut {
            level: level(word),
            max: 0,
            integral: read.advance(word, at_micros),
            at_micros,
        }
    }
}

impl CounterFn for Level {
    /// Takes one change: [`scaling::level::rise`] or [`scaling::level::fall`].
    fn increment(&self, change: u64) {
        let before = self.word.fetch_add(change, Ordering::Relaxed);
        if is_rise(change) {
            let after = level(before.wrapping_add(change));
            if after > self.max.load(Ordering::Relaxed) {
                self.max.fetch_max(after, Ordering::Relaxed);
            }
        }
    }

    /// A level has changes only.
    fn absolute(&self, _: u64) {}
}

#[cfg(test)]
#[path = "level_tests.rs"]
mod tests;
