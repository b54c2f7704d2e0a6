//! Latencies as counts in log-linear buckets: bounded memory, quantiles within 0.8 % (never below
//! the true value), exact count, mean and maximum.

use std::time::Duration;

use serde::Serialize;

/// Buckets per power of two.
const STEPS: usize = 128;
/// Values below this are counted exactly.
const LINEAR: usize = 2 * STEPS;
const BUCKETS: usize = LINEAR + 56 * STEPS;

/// Counts of durations, in nanoseconds.
#[derive(Clone)]
pub struct Histogram {
    counts: Box<[u64]>,
    count: u64,
    sum_ns: u128,
    max_ns: u64,
}

/// What a histogram says, in microseconds; zero when nothing was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half were no slower.
    pub p50: f64,
    /// 90 % were no slower.
    pub p90: f64,
    /// 99 % were no slower.
    pub p99: f64,
    /// 99.9 % were no slower.
    pub p999: f64,
    /// The slowest, exact.
    pub max: f64,
    /// The mean, exact.
    pub mean: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS].into(),
            count: 0,
            sum_ns: 0,
            max_ns: 0,
        }
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos())
            .unwrap_or(u64::MAX >> 1)
            .min(u64::MAX >> 1);
        if let Some(count) = self.counts.get_mut(bucket(ns)) {
            *count += 1;
        }
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The smallest duration that a share `q` (0 to 1) of the records does not exceed; `None`
    /// without records.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(Duration::from_nanos(upper_edge(index).min(self.max_ns)));
            }
        }
        Some(Duration::from_nanos(self.max_ns))
    }

    /// The usual quantiles.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let at = |q| self.quantile(q).unwrap_or_default().as_nanos() as f64 / 1e3;
        Quantiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.max_ns as f64 / 1e3,
            mean: self.sum_ns as f64 / self.count.max(1) as f64 / 1e3,
        }
    }
}

fn bucket(ns: u64) -> usize {
    if ns < LINEAR as u64 {
        return ns as usize;
    }
    // At least 1: the highest bit is bit 8 or above.
    let shift = (63 - ns.leading_zeros() - STEPS.ilog2()) as usize;
    LINEAR + (shift - 1) * STEPS + ((ns >> shift) as usize - STEPS)
}

fn upper_edge(index: usize) -> u64 {
    if index < LINEAR {
        return index as u64;
    }
    let (octave, step) = ((index - LINEAR) / STEPS, (index - LINEAR) % STEPS);
    let shift = octave + 1;
    (((STEPS + step + 1) as u64) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_within_one_percent_of_its_edge() {
        let mut ns = 0u64;
        while ns < u64::MAX / 4 {
            let edge = upper_edge(bucket(ns));
            assert!(edge >= ns, "{ns} {edge}");
            assert!((edge - ns) as f64 <= 0.008 * ns as f64, "{ns} {edge}");
            ns = ns + ns / 37 + 1;
        }
        assert!(bucket(u64::MAX >> 1) < BUCKETS);
    }

    #[test]
    fn quantiles_follow_the_sorted_list() {
        let mut histogram = Histogram::default();
        for us in (1..=1000).rev() {
            histogram.record(Duration::from_micros(us));
        }
        let got = histogram.quantiles();
        for (value, want) in [(got.p50, 500.0), (got.p90, 900.0), (got.p99, 990.0)] {
            assert!(value >= want && value <= want * 1.008, "{value} {want}");
        }
        assert!((got.max - 1000.0).abs() < 1e-9);
        assert!((got.mean - 500.5).abs() < 1e-9);
        assert_eq!(histogram.count(), 1000);
    }

    #[test]
    fn an_empty_histogram_has_no_quantile_and_zero_summary() {
        assert_eq!(Histogram::default().quantile(0.99), None);
        assert_eq!(Histogram::default().quantiles(), Quantiles::default());
    }

    #[test]
    fn an_absurd_duration_is_counted_and_not_lost() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::MAX);
        assert_eq!(histogram.count(), 1);
        assert!(histogram.quantile(0.5).unwrap() > Duration::from_secs(1_000_000));
    }
}
