//! What Application Auto Scaling would have done.
//!
//! A discrete-event model in whole seconds: the [`Autoscaler`] asks a [`World`] for metrics, evaluates
//! alarms as CloudWatch does, and decides as Application Auto Scaling does. What AWS has not said is an
//! [`Options`] switch. Deterministic: the same input gives the same events.

mod alarm;
mod autoscaler;
mod configuration;
mod event;
mod given;
mod options;
mod scenario;
mod series;
mod setup;
mod watch;

use crate::policy::MetricStat;

pub use alarm::{Points, State};
pub use autoscaler::Autoscaler;
pub use configuration::Configuration;
pub use event::{Event, Reason, Status, What};
pub use options::{CooldownBase, Options, ValueUsed};
pub use scenario::Scenario;
pub use setup::{begin, Scheduled, Setup};

/// What is scaled, and measured.
pub trait World {
    /// Time passes, with so much capacity in service.
    fn pass(&mut self, from: u64, until: u64, capacity: u32);

    /// A metric over a period, in seconds, that has just passed; none where nothing was published.
    fn value(&mut self, metric: &MetricStat, start: u64, end: u64) -> Option<f64>;
}
