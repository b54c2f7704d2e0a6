//! A value that its owner sets.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::GaugeFn;

/// The bits of the value; not a number until it is first set.
#[derive(Debug)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }

    /// The value; none before it was set.
    pub(crate) fn value(&self) -> Option<f64> {
        let value = f64::from_bits(self.0.load(Ordering::Relaxed));
        value.is_finite().then_some(value)
    }

    fn change(&self, by: f64) {
        let add = |bits| {
            let value = f64::from_bits(bits);
            let value = if value.is_finite() { value } else { 0.0 };
            Some((value + by).to_bits())
        };
        // Never refused: `add` always has a value.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

impl GaugeFn for Gauge {
    fn increment(&self, value: f64) {
        self.change(value);
    }

    fn decrement(&self, value: f64) {
        self.change(-value);
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_missing_until_it_is_set_and_then_what_it_was_set_to() {
        let gauge = Gauge::new();
        assert_eq!(gauge.value(), None);
        gauge.set(1.5e12);
        assert_eq!(gauge.value(), Some(1.5e12));
        gauge.set(f64::NAN);
        assert_eq!(gauge.value(), None);
    }

    #[test]
    fn changes_begin_at_zero_and_none_is_lost() {
        let gauge = Gauge::new();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        gauge.increment(3.0);
                        gauge.decrement(1.0);
                    }
                });
            }
        });
        assert_eq!(gauge.value(), Some(4000.0));
    }
}
