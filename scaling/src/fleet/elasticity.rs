//! How closely supply follows demand: the elasticity metrics of the SPEC Research Group (Herbst et al.,
//! "Ready for Rain?", 2016).

use serde::{Deserialize, Serialize};

/// The elasticity metrics of a run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Accuracy {
    /// Mean of what was missing, in percent of what was needed.
    pub under_percent: f64,
    /// Mean of what was too much, in percent of what was needed.
    pub over_percent: f64,
    /// Share of the time in which there was too little, percent.
    pub under_time_percent: f64,
    /// Share of the time in which there was too much, percent.
    pub over_time_percent: f64,
    /// Share of the steps in which supply and demand did not move alike, percent.
    pub instability_percent: f64,
}

/// Adds up steps of the same length.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Elasticity {
    steps: f64,
    under: f64,
    over: f64,
    too_little: f64,
    too_much: f64,
    apart: f64,
    /// Demand and supply of the step before.
    last: Option<(f64, f64)>,
}

impl Elasticity {
    /// A step in which `demand` was needed and `supply` was there; parts are of one at least.
    pub(super) fn add(&mut self, demand: f64, supply: f64) {
        self.steps += 1.0;
        self.under += (demand - supply).max(0.0) / demand.max(1.0);
        self.over += (supply - demand).max(0.0) / demand.max(1.0);
        self.too_little += f64::from(u8::from(demand > supply));
        self.too_much += f64::from(u8::from(supply > demand));
        if let Some((last_demand, last_supply)) = self.last.replace((demand, supply)) {
            let sign = |change: f64| match change {
                up if up > 0.0 => 1.0_f64,
                down if down < 0.0 => -1.0,
                _ => 0.0,
            };
            let moved = sign(supply - last_supply) - sign(demand - last_demand);
            self.apart += moved.abs().min(1.0);
        }
    }

    pub(super) fn accuracy(&self) -> Accuracy {
        let percent = |sum: f64, steps: f64| 100.0 * sum / steps.max(1.0);
        Accuracy {
            under_percent: percent(self.under, self.steps),
            over_percent: percent(self.over, self.steps),
            under_time_percent: percent(self.too_little, self.steps),
            over_time_percent: percent(self.too_much, self.steps),
            instability_percent: percent(self.apart, self.steps - 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_a_known_run() {
        let demand = [2.0, 2.0, 4.0, 4.0, 6.0, 6.0, 3.0, 3.0];
        let supply = [2.0, 2.0, 2.0, 4.0, 4.0, 6.0, 6.0, 4.0];
        let mut elasticity = Elasticity::default();
        for (demand, supply) in demand.into_iter().zip(supply) {
            elasticity.add(demand, supply);
        }
        let found = elasticity.accuracy();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-4, "{a}, not {b}");
        near(found.under_percent, 10.4167);
        near(found.over_percent, 16.6667);
        near(found.under_time_percent, 25.0);
        near(found.over_time_percent, 25.0);
        near(found.instability_percent, 85.7143);
    }
}
