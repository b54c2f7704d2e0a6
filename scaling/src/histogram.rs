//! Distributions in SEH1, the sparse exponential histogram that CloudWatch's own agent sends.
//!
//! Bucket `k` holds the values in `[1.1^k, 1.1^(k+1))`; zero has a bucket of its own; negative
//! values and NaN are ignored. Buckets merge by addition, so seconds roll up to a period exactly.
//!
//! Unlike the agent, each bucket also keeps the **sum** of its values, and the exact minimum and
//! maximum are kept beside them. A published value is its bucket's mean, and the two extremes are
//! split out as values of their own. So CloudWatch's SampleCount, Sum, Average, Minimum and
//! Maximum are exact, and only percentiles carry the bucket's width (under 10 %).
//!
//! Values outside `[1.1^LOWEST, 1.1^(HIGHEST+1))`, in microseconds about 0.1 µs to 2.4 h, fall into
//! the outermost bucket: the sums stay exact there too.

use std::collections::BTreeMap;

/// Lowest bucket.
pub const LOWEST: i16 = -24;
/// Highest bucket.
pub const HIGHEST: i16 = 240;
/// Number of slots that [`slot`] can return: the zero bucket and every bucket.
pub const SLOTS: usize = (HIGHEST - LOWEST) as usize + 2;
/// Distinct values that one CloudWatch datum may hold.
pub const VALUES_PER_DATUM: usize = 150;

const EDGES: usize = SLOTS;
/// Smallest binary exponent in the index table: below it everything is under bucket `LOWEST + 1`.
const MIN_EXPONENT: i32 = -4;
const MAX_EXPONENT: i32 = 34;
/// Sixteen cells an octave: a cell spans at most a factor 17/16, less than 1.1, so that at most one
/// edge lies inside it and one comparison settles the bucket.
const CELLS: usize = (MAX_EXPONENT - MIN_EXPONENT) as usize * 16;

static EDGE: [f64; EDGES] = edges();
static CELL: [u16; CELLS] = cells();

const fn power(mut base: f64, mut exponent: u32) -> f64 {
    let mut result = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    result
}

/// `EDGE[i]` is `1.1^(LOWEST + i)`.
const fn edges() -> [f64; EDGES] {
    let mut table = [0.0; EDGES];
    let mut at = 0;
    while at < EDGES {
        let k = LOWEST as i32 + at as i32;
        table[at] = if k < 0 {
            1.0 / power(1.1, k.unsigned_abs())
        } else {
            power(1.1, k.unsigned_abs())
        };
        at += 1;
    }
    table
}

/// For each cell, the position of the last edge at or below the cell's lower end (0 if none is).
const fn cells() -> [u16; CELLS] {
    let edge = edges();
    let mut table = [0; CELLS];
    let mut cell = 0;
    let mut at = 0;
    while cell < CELLS {
        let exponent = MIN_EXPONENT + (cell / 16) as i32;
        let octave = if exponent < 0 {
            1.0 / power(2.0, exponent.unsigned_abs())
        } else {
            power(2.0, exponent.unsigned_abs())
        };
        let low = octave * (1.0 + (cell % 16) as f64 / 16.0);
        while at + 1 < EDGES && edge[at + 1] <= low {
            at += 1;
        }
        table[cell] = at as u16;
        cell += 1;
    }
    table
}

/// Where a value is counted: 0 for zero, else 1 + bucket − [`LOWEST`]. None for a negative value
/// or NaN. No logarithm: the float's own bits index a table, and one comparison follows.
#[inline]
#[must_use]
pub fn slot(value: f64) -> Option<usize> {
    if value == 0.0 {
        return Some(0);
    }
    if value.is_nan() || value < 0.0 {
        return None;
    }
    // Sixteen steps an octave: exponent and the top four bits of the mantissa, as one number.
    let step = (value.to_bits() >> 48) as i64 - (((1023 + MIN_EXPONENT) as i64) << 4);
    let cell = step.clamp(0, CELLS as i64 - 1) as usize;
    let at = usize::from(CELL[cell]);
    let next = usize::from(at + 1 < EDGES - 1 && value >= EDGE[at + 1]);
    Some((at + next).min(EDGES - 2) + 1)
}

/// Lower edge of bucket `k`, `1.1^k`, as [`slot`] uses it.
#[must_use]
pub fn edge(k: i16) -> f64 {
    EDGE[usize::try_from(k.clamp(LOWEST, HIGHEST + 1) - LOWEST).unwrap_or(0)]
}

/// One bucket's content.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bucket {
    /// Values in the bucket.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

/// A mergeable distribution.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    buckets: BTreeMap<u16, Bucket>,
    extremes: Option<(f64, f64)>,
}

impl Histogram {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one value; negative values and NaN are ignored.
    pub fn record(&mut self, value: f64) {
        if let Some(slot) = slot(value).filter(|_| value.is_finite()) {
            self.add(
                slot,
                Bucket {
                    count: 1,
                    sum: value,
                },
            );
            self.widen(value, value);
        }
    }

    /// Adds a bucket's content at a [`slot`].
    pub fn add(&mut self, slot: usize, bucket: Bucket) {
        if bucket.count > 0 && slot < SLOTS {
            let own = self.buckets.entry(slot as u16).or_default();
            own.count += bucket.count;
            own.sum += bucket.sum;
        }
    }

    /// Makes known that values as low as `min` and as high as `max` are among those counted.
    pub fn widen(&mut self, min: f64, max: f64) {
        if min <= max {
            let (low, high) = self.extremes.unwrap_or((min, max));
            self.extremes = Some((low.min(min), high.max(max)));
        }
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (&slot, &bucket) in &other.buckets {
            self.add(usize::from(slot), bucket);
        }
        if let Some((min, max)) = other.extremes {
            self.widen(min, max);
        }
    }

    /// Values counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.values().map(|bucket| bucket.count).sum()
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.buckets.values().map(|bucket| bucket.sum).sum()
    }

    /// True if nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Distinct values in ascending order, each with its number: the bucket's mean, and the exact
    /// minimum and maximum as values of their own.
    #[must_use]
    pub fn values_and_counts(&self) -> Vec<(f64, u64)> {
        let first = self.buckets.keys().next().copied();
        let last = self.buckets.keys().next_back().copied();
        // An extreme that does not belong to the outermost bucket was recorded across a frame's
        // edge, a moment before its count: it is left to the frame that has the count.
        let belongs = |value: f64, at: Option<u16>| slot(value).map(|s| s as u16) == at;
        let min = self
            .extremes
            .map(|(min, _)| min)
            .filter(|&min| belongs(min, first));
        let max = self
            .extremes
            .map(|(_, max)| max)
            .filter(|&max| belongs(max, last));
        let mut values = Vec::with_capacity(self.buckets.len() + 2);
        for (&at, &bucket) in &self.buckets {
            let mut rest = bucket;
            let low = min.filter(|_| Some(at) == first && rest.count > 1);
            if let Some(min) = low {
                rest = Bucket {
                    count: rest.count - 1,
                    sum: rest.sum - min,
                };
            }
            let high = max.filter(|_| Some(at) == last && rest.count > 1);
            if let Some(max) = high {
                rest = Bucket {
                    count: rest.count - 1,
                    sum: rest.sum - max,
                };
            }
            values.extend(low.map(|min| (min, 1)));
            let floor = low.or(min).filter(|_| Some(at) == first).unwrap_or(0.0);
            let ceiling = max.filter(|_| Some(at) == last).unwrap_or(f64::MAX);
            // Subtraction may leave the mean a rounding error outside the values it stands for.
            let mean = (rest.sum / rest.count as f64).min(ceiling).max(floor);
            values.push((mean, rest.count));
            values.extend(high.map(|max| (max, 1)));
        }
        values.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        values
    }

    /// [`Self::values_and_counts`] in portions that fit one CloudWatch datum: a second datum
    /// rather than a loss.
    #[must_use]
    pub fn datums(&self) -> Vec<Vec<(f64, u64)>> {
        self.values_and_counts()
            .chunks(VALUES_PER_DATUM)
            .map(<[_]>::to_vec)
            .collect()
    }

    /// The value at share `q` (0 to 1) of the counted values, nearest rank; none if empty.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        quantile_of(&self.values_and_counts(), q)
    }

    /// `n` quantiles of equal weight, the first the minimum and the last the maximum. With `n`
    /// values or fewer: those values themselves, each as often as it was counted.
    #[must_use]
    pub fn equal_weight(&self, n: usize) -> Vec<f64> {
        let values = self.values_and_counts();
        let count: u64 = values.iter().map(|(_, count)| count).sum();
        if count <= n as u64 {
            return values
                .iter()
                .flat_map(|&(value, count)| std::iter::repeat_n(value, count as usize))
                .collect();
        }
        (0..n)
            .filter_map(|i| match i {
                0 => values.first().map(|(value, _)| *value),
                i if i + 1 == n => values.last().map(|(value, _)| *value),
                i => quantile_of(&values, (i as f64 + 0.5) / n as f64),
            })
            .collect()
    }

    /// Values below `1.1^k`, the edge of bucket `k`.
    #[must_use]
    pub fn count_below(&self, k: i16) -> u64 {
        let end = (k.clamp(LOWEST, HIGHEST + 1) - LOWEST + 1) as u16;
        self.buckets
            .range(..end)
            .map(|(_, bucket)| bucket.count)
            .sum()
    }
}

fn quantile_of(values: &[(f64, u64)], q: f64) -> Option<f64> {
    let count: u64 = values.iter().map(|(_, count)| count).sum();
    let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
    let mut seen = 0;
    for &(value, count) in values {
        seen += count;
        if seen >= rank {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
#[path = "histogram_tests.rs"]
mod tests;
