//! Microseconds since the recorder began, from the machine or from a test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where levels take the time from.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    Monotonic(Instant),
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's monotonic clock, starting now.
    #[must_use]
    pub fn monotonic() -> Self {
        Self(Source::Monotonic(Instant::now()))
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::default()))
    }

    /// Moves a manual clock on; the machine's clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(by.as_micros() as u64, Ordering::Relaxed);
        }
    }

    /// Microseconds since the clock was made.
    #[must_use]
    pub fn micros(&self) -> u64 {
        match &self.0 {
            Source::Monotonic(begin) => begin.elapsed().as_micros() as u64,
            Source::Manual(now) => now.load(Ordering::Relaxed),
        }
    }
}
