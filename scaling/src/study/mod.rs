//! Several scaling configurations under one trace: every one over several clock phases and seeds, ranked
//! by what they cost among those that keep the promise.
//!
//! A study is pure: it says which [`Case`]s there are and what they mean; whoever asks feeds each with the
//! trace and may run them side by side.

mod report;
mod spread;
#[cfg(test)]
mod study_tests;

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::fleet::{self, Mode, Outcome, Shown, Workload};
use crate::policy::Invalid;
use crate::simulate::{Autoscaler, Configuration, Options};
use crate::trace::{Kind, Row};

pub use report::{Candidate, Keeps, Order, Report, RunOf, Sensitivity};
pub use spread::Spread;

/// The most configurations of a study.
const MOST_CONFIGURATIONS: usize = 1000;

/// What is compared, and under what.
#[derive(Debug, Clone)]
pub struct Study {
    /// What comes, what meets it, and what is promised.
    pub workload: Workload,
    /// What is compared.
    pub configurations: Vec<Configuration>,
    /// When the trace begins, seconds since 1970; none where nobody knows.
    pub begins: Option<i64>,
    /// How long it is, seconds.
    pub secs: u64,
    /// Seconds into a minute at which the trace begins.
    pub phases: Vec<u64>,
    /// Of chance.
    pub seeds: Vec<u64>,
    /// How closely fleets are followed.
    pub mode: Mode,
    /// Requests a second that one instance can answer as promised.
    pub rate: f64,
    /// Dollars for an instance and an hour.
    pub price: Option<f64>,
}

/// A rule that nobody has confirmed, or a delay, the other way round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    /// The option's name.
    pub option: String,
    /// Its other value.
    pub value: Value,
}

/// A run of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Which configuration.
    pub configuration: usize,
    /// Which phase.
    pub phase: u64,
    /// Which seed.
    pub seed: u64,
    /// What is turned round.
    pub switch: Option<Switch>,
    /// Which of [`switches`] that is.
    pub turned: Option<usize>,
}

/// Every rule that nobody has confirmed, turned round, and the delays twice as long. What is not at its
/// default is turned to it.
#[must_use]
pub fn switches(options: &Options) -> Vec<Switch> {
    let now = serde_json::to_value(options).unwrap_or_default();
    let default = serde_json::to_value(Options::default()).unwrap_or_default();
    let rules = [
        ("block_while_updating", json!(false)),
        ("cooldown_base", json!("current")),
        ("value_used", json!("average")),
        ("value_used", json!("maximum")),
        ("scale_in_cap", json!(1)),
        ("low_factor", json!(0.8)),
    ];
    let twice = |secs: u64| json!((2 * secs).clamp(60, 86_400));
    let delays = [
        ("metric_delay", twice(options.metric_delay)),
        ("launch", twice(options.launch)),
    ];
    let turned = rules
        .into_iter()
        .map(|(option, other)| match now[option] == other {
            true => (option, default[option].clone()),
            false => (option, other),
        });
    let switch = |(option, value): (&str, Value)| Switch {
        option: option.to_owned(),
        value,
    };
    turned.chain(delays).map(switch).collect()
}

impl Study {
    /// # Errors
    /// No configuration, two of one name, or one that AWS would refuse.
    pub fn check(&self) -> Result<(), Invalid> {
        self.workload.check()?;
        let count = self.configurations.len();
        if !(1..=MOST_CONFIGURATIONS).contains(&count) {
            let why = format!("{count}; expected 1 to {MOST_CONFIGURATIONS}");
            return Err(Invalid::new("policies", why));
        }
        for (at, one) in self.configurations.iter().enumerate() {
            if self.configurations[..at]
                .iter()
                .any(|other| other.name == one.name)
            {
                let why = format!(
                    "{:?} is the name of two; expected one of its own for each",
                    one.name
                );
                return Err(Invalid::new("name", why));
            }
            let named = |error: Invalid| error.within(&one.name);
            let options = one.options().map_err(named)?;
            self.autoscaler(one, options).map_err(named)?;
        }
        for (field, none) in [
            ("phases", self.phases.is_empty()),
            ("seeds", self.seeds.is_empty()),
        ] {
            if none {
                return Err(Invalid::new(field, "none; expected one at least"));
            }
        }
        Ok(())
    }

    fn autoscaler(&self, one: &Configuration, options: Options) -> Result<Autoscaler, Invalid> {
        one.autoscaler(options, self.begins, self.secs)
    }

    /// Every run: each configuration at each phase with each seed; and where several are compared, once
    /// more at each phase for each switch.
    ///
    /// # Errors
    /// Options that cannot be.
    pub fn cases(&self) -> Result<Vec<Case>, Invalid> {
        let mut cases = Vec::new();
        let mut add = |configuration, seeds: &[u64], turned: Option<(usize, Switch)>| {
            for &seed in seeds {
                for &phase in &self.phases {
                    cases.push(Case {
                        configuration,
                        phase,
                        seed,
                        turned: turned.as_ref().map(|(at, _)| *at),
                        switch: turned.as_ref().map(|(_, switch)| switch.clone()),
                    });
                }
            }
        };
        for (at, configuration) in self.configurations.iter().enumerate() {
            add(at, &self.seeds, None);
            if self.configurations.len() > 1 {
                let options = configuration.options()?;
                for turned in switches(&options).into_iter().enumerate() {
                    add(at, &self.seeds[..1], Some(turned));
                }
            }
        }
        Ok(cases)
    }

    /// Runs a case.
    ///
    /// # Errors
    /// As [`fleet::run()`].
    pub fn run<R: Iterator<Item = Result<Row, Invalid>>>(
        &self,
        case: &Case,
        kind: Kind,
        rows: R,
    ) -> Result<(Outcome, Shown), Invalid> {
        let configuration = &self.configurations[case.configuration];
        let mut options = configuration.options()?;
        if let Some(switch) = &case.switch {
            options = options.with(&switch.option, switch.value.clone())?;
        }
        let autoscaler = self.autoscaler(configuration, options)?;
        let run = fleet::Run {
            rows,
            kind,
            phase_secs: case.phase,
            seed: case.seed,
            mode: self.mode,
            rate: self.rate,
        };
        fleet::run(autoscaler, &self.workload, run)
            .map_err(|error| error.within(&configuration.name))
    }
}
