//! A distribution in lanes: one addition a value, and no value is ever seen half counted.
//!
//! A bucket is one word: 22 bits of count below 42 bits of sum, wrapping. The reader takes
//! the difference to the word it saw before, which is exact as long as fewer than four million
//! values come to one bucket and lane between two reads; the sampler reads every second. To fit,
//! the sum is not of the values but of their distances from the bucket's lower edge, in steps of
//! at most a millionth of the bucket's width (one nanosecond up to about 10 ms).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics::HistogramFn;
use scaling::histogram::{edge, slot, Bucket, Histogram, HIGHEST, LOWEST, SLOTS};

use super::lane;

const COUNT_BITS: u32 = 22;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// Steps that a bucket's width may have at most.
const STEPS: u64 = 1 << 20;

/// One bucket's fixed-point arithmetic, nanoseconds. As floats, so that a record takes neither a
/// division nor a branch; all of them are whole and far below 2^53.
#[derive(Debug, Clone, Copy, Default)]
struct Scale {
    base: f64,
    steps_per_nano: f64,
}

impl Scale {
    fn of(at: usize) -> (Self, u64, u64) {
        let k = LOWEST + at as i16 - 1;
        let (base, step) = match at {
            0 => (0, 1),
            at => {
                // The lowest bucket also takes what is below it.
                let base = if at == 1 { 0 } else { (edge(k) * 1e3) as u64 };
                let width = (edge(k + 1) * 1e3) as u64 - base + 1;
                (base, width / STEPS + 1)
            }
        };
        let scale = Self {
            base: base as f64,
            steps_per_nano: 1.0 / step as f64,
        };
        (scale, base, step)
    }
}

#[derive(Debug)]
#[repr(align(128))]
struct Part {
    words: [AtomicU64; SLOTS],
    /// Bits of the lowest and of the highest value: floats that are not negative order like them.
    min: AtomicU64,
    max: AtomicU64,
}

impl Part {
    fn new() -> Self {
        Self {
            words: [const { AtomicU64::new(0) }; SLOTS],
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        }
    }
}

/// The recorder's side of a distribution.
#[derive(Debug)]
pub(crate) struct LanedHistogram {
    scales: Box<[Scale; SLOTS]>,
    lanes: Box<[Part]>,
    read: Mutex<Read>,
    highest: f64,
}

/// The reader's side: the words as last seen, and what they add up to.
#[derive(Debug)]
struct Read {
    seen: Vec<u64>,
    total: Recorded,
    /// Base and step of each bucket, nanoseconds.
    scales: Vec<(u64, u64)>,
}

/// Counts and sums since the start, in whole nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recorded(Vec<(u64, u128)>);

impl Default for Recorded {
    fn default() -> Self {
        Self(vec![(0, 0); SLOTS])
    }
}

impl Recorded {
    /// Values counted.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(count, _)| count).sum()
    }

    /// Their sum, in the unit that was recorded.
    pub(crate) fn sum(&self) -> f64 {
        self.0.iter().map(|(_, nanos)| nanos).sum::<u128>() as f64 / 1e3
    }

    /// What came since `before`, as a histogram in the unit that was recorded.
    pub(crate) fn since(&self, before: &Self) -> Histogram {
        let mut histogram = Histogram::new();
        for (at, (now, then)) in self.0.iter().zip(&before.0).enumerate() {
            let sum = now.1.saturating_sub(then.1) as f64 / 1e3;
            histogram.add(
                at,
                Bucket {
                    count: now.0 - then.0,
                    sum,
                },
            );
        }
        histogram
    }
}

impl LanedHistogram {
    pub(crate) fn new() -> Self {
        let mut scales = Box::new([Scale::default(); SLOTS]);
        let mut exact = Vec::with_capacity(SLOTS);
        for (at, scale) in scales.iter_mut().enumerate() {
            let (of_writers, base, step) = Scale::of(at);
            *scale = of_writers;
            exact.push((base, step));
        }
        Self {
            scales,
            lanes: (0..lane::number()).map(|_| Part::new()).collect(),
            read: Mutex::new(Read {
                seen: vec![0; SLOTS * lane::number()],
                total: Recorded::default(),
                scales: exact,
            }),
            highest: edge(HIGHEST + 1),
        }
    }

    /// Everything recorded since the start. For readers: the request path never waits for it.
    pub(crate) fn collect(&self) -> Recorded {
        let mut read: MutexGuard<'_, Read> =
            self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let Read {
            seen,
            total,
            scales,
        } = &mut *read;
        let words = self
            .lanes
            .iter()
            .flat_map(|part| part.words.iter().enumerate());
        for ((at, word), seen) in words.zip(seen.iter_mut()) {
            let now = word.load(Ordering::Acquire);
            let difference = now.wrapping_sub(*seen);
            *seen = now;
            if difference == 0 {
                continue;
            }
            let count = difference & COUNT_MASK;
            let steps = u128::from(difference >> COUNT_BITS);
            if let (Some(&(base, step)), Some(total)) = (scales.get(at), total.0.get_mut(at)) {
                total.0 += count;
                total.1 += u128::from(count) * u128::from(base) + steps * u128::from(step);
            }
        }
        total.clone()
    }

    /// The lowest and the highest value since the last call. For one caller: the sampler.
    pub(crate) fn take_extremes(&self) -> Option<(f64, f64)> {
        let (mut low, mut high) = (u64::MAX, 0);
        for part in &self.lanes {
            low = low.min(part.min.swap(u64::MAX, Ordering::Relaxed));
            high = high.max(part.max.swap(0, Ordering::Relaxed));
        }
        (low != u64::MAX).then(|| {
            (
                f64::from_bits(low),
                f64::from_bits(high).max(f64::from_bits(low)),
            )
        })
    }
}

impl HistogramFn for LanedHistogram {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    #[inline]
    fn record_many(&self, value: f64, count: usize) {
        let value = if value > self.highest {
            self.highest
        } else {
            value
        };
        let Some(at) = slot(value) else {
            return;
        };
        let own = lane::own();
        let (Some(scale), Some(part)) = (self.scales.get(at), self.lanes.get(own.index)) else {
            return;
        };
        let Some(bucket) = part.words.get(at) else {
            return;
        };
        // Rounded to whole steps; an edge's own rounding may put a value a hair below its bucket.
        let steps = (value * 1e3 - scale.base) * scale.steps_per_nano + 0.5;
        let word = ((steps as i64).max(0) as u64) << COUNT_BITS | 1;
        // Extremes first: a reader that finds the count finds them too.
        let bits = if value == 0.0 { 0 } else { value.to_bits() };
        if bits < part.min.load(Ordering::Relaxed) {
            part.min.fetch_min(bits, Ordering::Relaxed);
        }
        if bits > part.max.load(Ordering::Relaxed) {
            part.max.fetch_max(bits, Ordering::Relaxed);
        }
        lane::add(bucket, word.wrapping_mul(count as u64), own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recorded(values: &[f64]) -> (LanedHistogram, Histogram) {
        let histogram = LanedHistogram::new();
        for &value in values {
            histogram.record(value);
        }
        let mut taken = histogram.collect().since(&Recorded::default());
        if let Some((min, max)) = histogram.take_extremes() {
            taken.widen(min, max);
        }
        (histogram, taken)
    }

    #[test]
    fn negative_and_undefined_values_are_ignored() {
        let (_, taken) = recorded(&[-1.0, f64::NAN, f64::NEG_INFINITY]);
        assert!(taken.is_empty());
    }

    #[test]
    fn zero_and_enormous_values_are_kept() {
        let (_, taken) = recorded(&[0.0, 1e300]);
        assert_eq!(taken.count(), 2);
        assert_eq!(taken.values_and_counts().first(), Some(&(0.0, 1)));
    }

    #[test]
    fn readers_do_not_disturb_each_other() {
        let (histogram, _) = recorded(&[10.0, 20.0]);
        let sampler = histogram.collect();
        histogram.record(30.5);
        let page = histogram.collect();
        assert_eq!(page.count(), 3);
        let frame = histogram.collect().since(&sampler);
        assert_eq!(frame.values_and_counts(), [(30.5, 1)]);
    }

    #[test]
    fn the_count_never_leaks_into_the_sum() {
        let histogram = LanedHistogram::new();
        for _ in 0..3 {
            histogram.record_many(1000.0, 3_000_000);
            histogram.collect();
        }
        let total = histogram.collect();
        assert_eq!((total.count(), total.sum()), (9_000_000, 9e9));
    }

    #[test]
    fn frames_taken_while_threads_record_add_up_exactly() {
        let histogram = LanedHistogram::new();
        let running = AtomicU64::new(3);
        let (mut frames, mut before) = (Histogram::new(), Recorded::default());
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for i in 0..30_000 {
                        histogram.record(f64::from(i % 4096));
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                });
            }
            loop {
                let last = running.load(Ordering::SeqCst) == 0;
                let now = histogram.collect();
                let frame = now.since(&before);
                // No frame ever sees a count without its sum: every mean lies in its bucket.
                for (mean, _) in frame.values_and_counts() {
                    assert!(mean <= 4096.0 && (mean == 0.0 || mean >= 1.0), "{mean}");
                }
                frames.merge(&frame);
                before = now;
                if last {
                    break;
                }
            }
        });
        let one: u64 = (0..30_000).map(|i| i % 4096).sum();
        assert_eq!((frames.count(), frames.sum()), (90_000, (3 * one) as f64));
    }

    #[test]
    fn a_minute_long_request_keeps_its_sum_to_a_millionth() {
        let (_, taken) = recorded(&[60_000_123.456; 1000]);
        assert!((taken.sum() / 60_000_123_456.0 - 1.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn whole_nanoseconds_are_summed_exactly(
            nanos in prop::collection::vec(0_u64..10_000_000, 1..100),
        ) {
            let values: Vec<f64> = nanos.iter().map(|&nanos| nanos as f64 / 1e3).collect();
            let (_, taken) = recorded(&values);
            prop_assert_eq!(taken.count(), nanos.len() as u64);
            let exact = nanos.iter().sum::<u64>() as f64 / 1e3;
            prop_assert!((taken.sum() - exact).abs() < 1e-6, "{} {}", taken.sum(), exact);
            let published = taken.values_and_counts();
            let min = *nanos.iter().min().unwrap() as f64 / 1e3;
            prop_assert_eq!(published.first().map(|v| v.0), Some(min));
        }
    }
}
