//! How long requests took.

use super::bucket::Readings;
use crate::histogram::{edge, slot, LOWEST, SLOTS};

/// A distribution of microseconds, in the buckets of [`crate::histogram`].
#[derive(Debug, Clone)]
pub struct Latencies {
    /// Empty where there is none.
    counts: Vec<f64>,
    count: f64,
    sum: f64,
    least: f64,
    most: f64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            counts: Vec::new(),
            count: 0.0,
            sum: 0.0,
            least: f64::INFINITY,
            most: 0.0,
        }
    }
}

impl Latencies {
    /// `weight` requests took so many microseconds.
    pub(super) fn add(&mut self, micros: f64, weight: f64) {
        if self.counts.is_empty() {
            self.counts.resize(SLOTS, 0.0);
        }
        if let Some(at) = slot(micros) {
            self.counts[at] += weight;
            self.count += weight;
            self.sum += weight * micros;
            self.least = self.least.min(micros);
            self.most = self.most.max(micros);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            self.counts.resize(SLOTS, 0.0);
        }
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            *own += more;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
    }

    pub(super) fn clear(&mut self) {
        self.counts.fill(0.0);
        (self.count, self.sum) = (0.0, 0.0);
        (self.least, self.most) = (f64::INFINITY, 0.0);
    }

    /// Microseconds below which this share of requests stayed, to a tenth of itself; none where there
    /// are no requests.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let wanted = quantile * self.count;
        let mut below = 0.0;
        for (at, &count) in self.counts.iter().enumerate() {
            if count > 0.0 && below + count >= wanted {
                let k = LOWEST + i16::try_from(at).ok()? - 1;
                let (low, high) = match at {
                    0 => (0.0, 0.0),
                    _ => (edge(k), edge(k + 1)),
                };
                let inside = ((wanted - below) / count).clamp(0.0, 1.0);
                return Some((low + inside * (high - low)).clamp(self.least, self.most));
            }
            below += count;
        }
        (self.count > 0.0).then_some(self.most)
    }

    pub(super) fn readings(&self) -> Readings {
        Readings {
            count: self.count,
            sum: self.sum,
            least: self.least,
            most: self.most,
        }
    }
}
