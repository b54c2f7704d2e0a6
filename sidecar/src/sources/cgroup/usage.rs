//! What was used between two looks at the totals.

use std::path::PathBuf;

/// Where a total is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Group(PathBuf),
    /// This process alone.
    Process,
}

/// A total since some beginning, and where it is counted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Total<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

/// Use since the container began (CPU) and now (memory); what could not be read is absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Usage {
    /// CPU-seconds used.
    pub(super) cpu_secs: Option<Total<f64>>,
    /// Scheduler periods in which something ran, and those of them that hit the quota; only where
    /// there is a quota.
    pub(super) periods: Option<Total<(u64, u64)>>,
    /// Working set where there is a limit: memory in use less the file cache that can go at once.
    /// Without one, the machine's memory in use. Bytes.
    pub(crate) memory_bytes: Option<u64>,
}

/// What was used between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Used {
    /// CPU-seconds.
    pub(crate) cpu_secs: Option<f64>,
    /// Scheduler periods that hit the quota ÷ those in which something ran, percent.
    pub(crate) throttled: Option<f64>,
}

impl Usage {
    /// The difference. Totals of two places have none, nor has a total that went backwards: the
    /// group was made anew.
    pub(crate) fn since(&self, before: &Self) -> Used {
        let cpu_secs = pair(&self.cpu_secs, &before.cpu_secs)
            .map(|(now, then)| now - then)
            .filter(|used| *used >= 0.0);
        let throttled = pair(&self.periods, &before.periods).and_then(|(now, then)| {
            let (ran, hit) = (now.0.checked_sub(then.0)?, now.1.checked_sub(then.1)?);
            if ran == 0 {
                // Nothing ran, so nothing was held back.
                return Some(0.0);
            }
            Some((100.0 * hit as f64 / ran as f64).min(100.0))
        });
        Used {
            cpu_secs,
            throttled,
        }
    }
}

fn pair<T: Copy>(now: &Option<Total<T>>, then: &Option<Total<T>>) -> Option<(T, T)> {
    let (now, then) = (now.as_ref()?, then.as_ref()?);
    (now.place == then.place).then_some((now.value, then.value))
}
