//! Microseconds since the recorder's epoch, from the machine or from a test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the readers of levels take the time from.
#[derive(Debug, Clone)]
pub struct Clock {
    epoch: Instant,
    /// A test's time; the machine's if there is none.
    manual: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// The machine's monotonic clock, starting now.
    #[must_use]
    pub fn monotonic() -> Self {
        Self {
            epoch: Instant::now(),
            manual: None,
        }
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual() -> Self {
        Self {
            epoch: Instant::now(),
            manual: Some(Arc::default()),
        }
    }

    /// Moves a manual clock on; the machine's clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Some(now) = &self.manual {
            now.fetch_add(by.as_micros() as u64, Ordering::Relaxed);
        }
    }

    /// When the clock was made: its time 0.
    #[must_use]
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn micros(&self) -> u64 {
        match &self.manual {
            None => self.epoch.elapsed().as_micros() as u64,
            Some(now) => now.load(Ordering::Relaxed),
        }
    }
}
