//! A fleet of instances under a traffic trace, as a [`World`](crate::simulate::World) that an autoscaler
//! scales.
//!
//! [`Fleet`] follows every request: when it comes, where it goes, how long it waits and runs. [`Flow`]
//! knows only how much comes, waits and is done in each second: a thousand times faster, and near enough
//! to choose between policies that differ. Both publish what SageMaker and the sidecar would
//! ([`METRICS`]), in ten-second buckets.

mod arrivals;
mod bucket;
mod elasticity;
#[cfg(test)]
mod fleet_tests;
mod flow;
mod instance;
mod latencies;
mod law;
mod random;
mod requests;
mod routing;
mod run;
mod tally;

use serde::{Deserialize, Serialize};

use crate::capacity::Profile;
use crate::policy::Invalid;

pub use bucket::METRICS;
pub use elasticity::Accuracy;
pub use flow::Flow;
pub use latencies::Latencies;
pub use requests::Fleet;
pub use routing::Routing;
pub use run::{breaking_point, run, Mode, Outcome, Run, Shown};
pub use tally::{Felt, Point, Slo, Timeline};

/// What comes, what meets it, and what is promised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// What an instance can do.
    pub profile: Profile,
    /// What users are promised.
    pub slo: Slo,
    /// The trace's amounts times this.
    pub scale: f64,
    /// How requests find an instance.
    pub routing: Routing,
    /// How often a caller asks again after a refusal, a time-out or a loss.
    pub retries: u8,
    /// Milliseconds before the first repetition; twice as long before each further one, less up to half
    /// at random.
    pub backoff_ms: f64,
    /// Milliseconds that a caller of a closed loop lets pass between an answer and the next request, on
    /// average (exponentially distributed).
    pub think_ms: f64,
    /// Instances that die.
    pub failures: Vec<InstanceFailure>,
}

/// Instances that die; SageMaker replaces them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceFailure {
    /// When, in seconds.
    pub at: u64,
    /// How many.
    #[serde(default = "one")]
    pub instances: u32,
}

fn one() -> u32 {
    1
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            profile: Profile::example(),
            slo: Slo {
                latency_ms: 500.0,
                percent: 99.0,
            },
            scale: 1.0,
            routing: Routing::default(),
            retries: 0,
            backoff_ms: 100.0,
            think_ms: 1000.0,
            failures: Vec::new(),
        }
    }
}

impl Workload {
    /// # Errors
    /// A field that cannot be.
    pub fn check(&self) -> Result<(), Invalid> {
        self.profile
            .check()
            .map_err(|error| error.within("profile"))?;
        let fields = [
            ("slo.latency_ms", self.slo.latency_ms, 0.001, 86_400_000.0),
            ("slo.percent", self.slo.percent, 0.0, 100.0),
            ("scale", self.scale, 1e-9, 1e9),
            ("retries", f64::from(self.retries), 0.0, 20.0),
            ("backoff_ms", self.backoff_ms, 0.0, 3_600_000.0),
            ("think_ms", self.think_ms, 0.0, 86_400_000.0),
        ];
        for (field, value, low, high) in fields {
            if !(low..=high).contains(&value) {
                let why = format!("{value}; expected {low} to {high}");
                return Err(Invalid::new(field, why));
            }
        }
        Ok(())
    }
}
