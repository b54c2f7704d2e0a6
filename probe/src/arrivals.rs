//! When requests arrive: a schedule that knows nothing of replies. Pure; the same seed gives the
//! same schedule.

use std::time::Duration;

/// The law of arrivals at an open loop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrivals {
    /// Independent callers: exponential gaps with a mean of `1 / rate`.
    Poisson {
        /// Arrivals per second.
        rate: f64,
        /// Start of the random sequence.
        seed: u64,
    },
    /// Equal gaps of `1 / rate`.
    Constant {
        /// Arrivals per second.
        rate: f64,
    },
}

impl Arrivals {
    /// Arrivals per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        match *self {
            Self::Poisson { rate, .. } | Self::Constant { rate } => rate,
        }
    }

    /// Offsets from the start, in order, below `duration`: when an open loop sends. The same arrivals
    /// give the same offsets each time.
    pub fn schedule(self, duration: Duration) -> impl Iterator<Item = Duration> {
        let end = duration.as_secs_f64();
        let mut random = match self {
            Self::Poisson { seed, .. } => Some(SplitMix(seed)),
            Self::Constant { .. } => None,
        };
        let mut count = 0u64;
        let mut gaps = 0.0;
        std::iter::from_fn(move || {
            let at = match &mut random {
                // A Poisson stream begins with a gap, an even one at once.
                Some(random) => {
                    gaps += random.exponential();
                    gaps / self.rate()
                }
                // From the count, as sums of rounded gaps would drift.
                None => count as f64 / self.rate(),
            };
            count += 1;
            (at < end).then(|| Duration::from_secs_f64(at))
        })
    }
}

/// SplitMix64: eight bytes of state, good enough for gaps.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// An exponential variate of mean 1, finite.
    fn exponential(&mut self) -> f64 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        -(1.0 - unit).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_arrivals_are_evenly_spaced_and_end_before_the_duration() {
        let all: Vec<_> = Arrivals::Constant { rate: 10.0 }
            .schedule(Duration::from_millis(450))
            .collect();
        let expected: Vec<_> = [0, 100, 200, 300, 400].map(Duration::from_millis).into();
        for (got, want) in all.iter().zip(&expected) {
            assert!(
                got.abs_diff(*want) < Duration::from_micros(1),
                "{got:?} {want:?}"
            );
        }
        assert_eq!(all.len(), expected.len());
    }

    #[test]
    fn poisson_arrivals_repeat_by_seed_and_have_the_mean_and_spread_of_their_law() {
        let arrivals = Arrivals::Poisson {
            rate: 1000.0,
            seed: 7,
        };
        let times: Vec<f64> = arrivals
            .schedule(Duration::from_secs(50))
            .map(|at| at.as_secs_f64())
            .collect();
        let again = arrivals.schedule(Duration::from_secs(50)).count();
        assert_eq!(times.len(), again);
        assert!(
            (times.len() as f64 - 50_000.0).abs() < 1_000.0,
            "{}",
            times.len()
        );
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let variation = variance.sqrt() / mean;
        assert!(
            (variation - 1.0).abs() < 0.03,
            "coefficient of variation {variation}"
        );
        let other = Arrivals::Poisson {
            rate: 1000.0,
            seed: 8,
        };
        let first = other
            .schedule(Duration::from_secs(1))
            .next()
            .unwrap()
            .as_secs_f64();
        assert!((first - times[0]).abs() > 1e-9);
    }
}
