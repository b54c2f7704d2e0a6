//! What publishing costs in a month: custom metrics, calls of PutMetricData, ingested log.
//!
//! CloudWatch charges a metric for each set of name and dimensions. Every instance of a variant
//! writes into the same ones, so the metrics cost the same for one instance as for a hundred; calls
//! and log lines are each instance's own.
//!
//! Prices are the caller's: [`Prices::default`] has those of the list in us-east-1, first tier.

/// A mean month: a twelfth of 365 days.
const MONTH_SECS: f64 = 365.0 * 86_400.0 / 12.0;
/// A gigabyte of ingested log.
const GB: f64 = 1e9;

/// A CloudWatch alarm a month at standard resolution, US dollars, by the list.
const ALARM: f64 = 0.10;
/// The same for an alarm whose period is shorter than a minute.
const HIGH_RESOLUTION_ALARM: f64 = 0.30;

/// Prices in US dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// A custom metric a month.
    pub metric: f64,
    /// A thousand calls.
    pub thousand_calls: f64,
    /// A gigabyte of ingested log.
    pub log_gb: f64,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            metric: 0.30,
            thousand_calls: 0.01,
            log_gb: 0.50,
        }
    }
}

/// What one way of publishing takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Custom metrics, of the variant.
    pub metrics: usize,
    /// Length of a publishing period.
    pub period_secs: u32,
    /// Calls that an instance makes a period.
    pub calls: usize,
    /// Bytes of log that an instance writes a period.
    pub log_bytes: usize,
}

/// US dollars a month.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// For the custom metrics.
    pub metrics: f64,
    /// For the calls.
    pub calls: f64,
    /// For the log.
    pub log: f64,
}

impl Usage {
    fn periods(&self) -> f64 {
        MONTH_SECS / f64::from(self.period_secs.max(1))
    }

    /// Calls a month and instance.
    #[must_use]
    pub fn calls_a_month(&self) -> f64 {
        self.calls as f64 * self.periods()
    }

    /// Gigabytes of log a month and instance.
    #[must_use]
    pub fn log_gb_a_month(&self) -> f64 {
        self.log_bytes as f64 * self.periods() / GB
    }

    /// What a month costs for a variant of so many instances that run all the time.
    #[must_use]
    pub fn cost(&self, prices: &Prices, instances: f64) -> Cost {
        Cost {
            metrics: self.metrics as f64 * prices.metric,
            calls: instances * self.calls_a_month() / 1000.0 * prices.thousand_calls,
            log: instances * self.log_gb_a_month() * prices.log_gb,
        }
    }
}

impl Cost {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.metrics + self.calls + self.log
    }
}

/// List price of so many alarms a month on metrics of this period.
#[must_use]
pub fn alarms(number: usize, period_secs: u32) -> f64 {
    let each = if period_secs < 60 {
        HIGH_RESOLUTION_ALARM
    } else {
        ALARM
    };
    number as f64 * each
}

#[cfg(test)]
#[path = "bill_tests.rs"]
mod tests;
