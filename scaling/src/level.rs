//! A level in one word: how many there are right now, and the exact integral of that over time.
//!
//! The low 20 bits are the level. The upper 44 bits are, wrapping, the sum of the microseconds at
//! which it rose less the sum of those at which it fell. So a change is **one addition** of
//! [`rise`] or [`fall`] to the word, which needs neither a clock of its own nor a second look, and
//! at any time *T* the integral is `level × T − sum`: what has come and gone adds its stay, what is
//! still here adds the time since it came.
//!
//! The sum wraps, and so does the integral, after 2^44 level-microseconds; [`Integral`] follows it
//! through that, as long as it looks again before half of it (100 days of a level of 1) has passed.
//! An instant may reach the word a little late. Then the integral is for a moment a little off, and
//! right again with the next look.

/// Bits of the level itself: a million at once.
const LEVEL_BITS: u32 = 20;
const LEVEL_MASK: u64 = (1 << LEVEL_BITS) - 1;
/// Bits of the sum.
const SUM_BITS: u32 = u64::BITS - LEVEL_BITS;
const SUM_MASK: u64 = (1 << SUM_BITS) - 1;

/// What to add to the word when one more comes at this time.
#[inline]
#[must_use]
pub const fn rise(at_micros: u64) -> u64 {
    (at_micros << LEVEL_BITS).wrapping_add(1)
}

/// What to add to the word when one of them goes at this time. It must have come before.
#[inline]
#[must_use]
pub const fn fall(at_micros: u64) -> u64 {
    rise(at_micros).wrapping_neg()
}

/// Whether this is what [`rise`] gives; [`fall`] gives the other.
#[inline]
#[must_use]
pub const fn is_rise(change: u64) -> bool {
    change & LEVEL_MASK == 1
}

/// How many there are.
#[inline]
#[must_use]
pub const fn level(word: u64) -> u64 {
    word & LEVEL_MASK
}

/// Level × microseconds since time 0, modulo 2^44. `at_micros` is not before any instant in the
/// word.
#[must_use]
pub const fn integral(word: u64, at_micros: u64) -> u64 {
    let sum = word >> LEVEL_BITS;
    level(word).wrapping_mul(at_micros).wrapping_sub(sum) & SUM_MASK
}

/// A reader's side of the integral: whole, and never going back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Integral {
    seen: u64,
    total: i64,
    shown: u64,
}

impl Integral {
    /// Takes the word at this time; returns level × microseconds since time 0.
    pub fn advance(&mut self, word: u64, at_micros: u64) -> u64 {
        let now = integral(word, at_micros);
        // A fall that came late takes back what was counted too much: the difference has a sign.
        let difference = (now.wrapping_sub(self.seen) << LEVEL_BITS) as i64 >> LEVEL_BITS;
        self.seen = now;
        self.total += difference;
        self.shown = self.shown.max(u64::try_from(self.total).unwrap_or(0));
        self.shown
    }
}

#[cfg(test)]
#[path = "level_tests.rs"]
mod tests;
