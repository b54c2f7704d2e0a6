//! What a study has found.

use serde::{Deserialize, Serialize};

use super::spread::{margin, mean};
use super::{Case, Spread, Study, Switch};
use crate::fleet::{Mode, Outcome, Slo};

/// Whether a configuration keeps the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keeps {
    /// Over all phases and seeds.
    Yes,
    /// The runs differ too much to say.
    Unsure,
    /// It does not.
    No,
}

/// How sure a place in the ranking is, against the place above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The first place.
    First,
    /// Behind in 19 of 20 such sets of runs.
    Significant,
    /// The runs differ more than the two do.
    Insignificant,
}

/// A configuration's results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Whether it keeps the promise.
    pub keeps: Keeps,
    /// Against the one that is ranked before.
    pub order: Order,
    /// Requests that were late or not answered, percent.
    pub missed_percent: Spread,
    /// Requests that were refused in the end, percent.
    pub shed_percent: Spread,
    /// Milliseconds.
    pub p50_ms: Spread,
    /// Milliseconds.
    pub p99_ms: Spread,
    /// Instance-hours.
    pub instance_hours: Spread,
    /// Dollars, where a price was said.
    pub cost: Option<Spread>,
    /// Changes of capacity.
    pub actions: Spread,
    /// Of them, those that turned back within a quarter of an hour.
    pub flaps: Spread,
    /// Seconds for which the promise was broken, at the longest.
    pub longest_break_secs: Spread,
    /// Every run.
    pub runs: Vec<RunOf>,
}

/// A run, and where it began.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RunOf {
    /// Seconds into a minute.
    pub phase: u64,
    /// Of chance.
    pub seed: u64,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What becomes of the ranking where a rule is otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// What is turned round.
    pub switch: Switch,
    /// Who is first then.
    pub first: String,
    /// Whether that is another one.
    pub changes: bool,
}

/// A study's results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was promised.
    pub slo: Slo,
    /// Requests a second that one instance can answer as promised.
    pub rate: f64,
    /// How closely fleets were followed.
    pub mode: Mode,
    /// Dollars for an instance and an hour.
    pub price: Option<f64>,
    /// In order of their rank: those that keep the promise by what they cost, then the others by what
    /// they miss.
    pub candidates: Vec<Candidate>,
    /// For each switch; none where there was nothing to compare.
    pub sensitivity: Vec<Sensitivity>,
}

impl Study {
    /// What all cases together say.
    #[must_use]
    pub fn report(&self, results: &[(Case, Outcome)]) -> Report {
        let plain = |at: usize| -> Vec<&(Case, Outcome)> {
            let is_of = |case: &Case| case.configuration == at && case.switch.is_none();
            results.iter().filter(|(case, _)| is_of(case)).collect()
        };
        let runs: Vec<Vec<&(Case, Outcome)>> = (0..self.configurations.len()).map(plain).collect();
        let outcomes = |runs: &[&(Case, Outcome)]| -> Vec<Outcome> {
            runs.iter().map(|(_, outcome)| *outcome).collect()
        };
        let by_configuration: Vec<Vec<Outcome>> = runs.iter().map(|runs| outcomes(runs)).collect();
        let ranked = self.ranked(&by_configuration);
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut above: Option<usize> = None;
        for &at in &ranked {
            let order = above.map_or(Order::First, |above| {
                self.order(&by_configuration[above], &by_configuration[at])
            });
            above = Some(at);
            candidates.push(self.candidate(at, order, &runs[at]));
        }
        let mut sensitivity: Vec<Sensitivity> = Vec::new();
        // Turned cases have one seed: so has what they are compared with.
        let of_turned = |turned: Option<usize>| -> Vec<Vec<Outcome>> {
            let of = |at: usize| {
                let is_of = |case: &Case| {
                    case.configuration == at && case.turned == turned && case.seed == self.seeds[0]
                };
                let those = results.iter().filter(|(case, _)| is_of(case));
                those.map(|(_, outcome)| *outcome).collect()
            };
            (0..self.configurations.len()).map(of).collect()
        };
        let first = |turned| self.ranked(&of_turned(turned)).first().copied();
        let usual = first(None);
        for (case, _) in results {
            let (Some(switch), Some(turned)) = (&case.switch, case.turned) else {
                continue;
            };
            if turned < sensitivity.len() {
                continue;
            }
            let winner = first(Some(turned));
            sensitivity.push(Sensitivity {
                switch: switch.clone(),
                first: winner.map_or_else(String::new, |at| self.configurations[at].name.clone()),
                changes: winner != usual,
            });
        }
        Report {
            slo: self.workload.slo,
            rate: self.rate,
            mode: self.mode,
            price: self.price,
            candidates,
            sensitivity,
        }
    }

    /// Configurations in order: by what they cost where they keep the promise, else by what they miss.
    fn ranked(&self, outcomes: &[Vec<Outcome>]) -> Vec<usize> {
        let key = |at: usize| {
            let missed = mean(&figures(&outcomes[at], |one| one.missed_percent));
            let hours = mean(&figures(&outcomes[at], |one| one.instance_hours));
            match missed <= 100.0 * self.workload.slo.allowed() + 1e-9 {
                true => (0.0, hours, missed),
                false => (1.0, missed, hours),
            }
        };
        let mut ranked: Vec<usize> = (0..outcomes.len()).collect();
        ranked.sort_by(|&a, &b| {
            key(a)
                .partial_cmp(&key(b))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        ranked
    }

    fn keeps(&self, outcomes: &[Outcome]) -> Keeps {
        let missed = figures(outcomes, |one| one.missed_percent);
        let allowed = 100.0 * self.workload.slo.allowed() + 1e-9;
        // One run says what it says.
        let margin = match missed.len() {
            1 => 0.0,
            _ => margin(&missed),
        };
        match mean(&missed) {
            mean if mean + margin <= allowed => Keeps::Yes,
            mean if mean - margin > allowed => Keeps::No,
            _ => Keeps::Unsure,
        }
    }

    /// Whether one is behind another for more than the difference between runs: run by run, at the same
    /// phase with the same seed.
    fn order(&self, above: &[Outcome], below: &[Outcome]) -> Order {
        let behind = |of: fn(&Outcome) -> f64| {
            let pairs = figures(above, of).into_iter().zip(figures(below, of));
            let differences: Vec<f64> = pairs.map(|(above, below)| below - above).collect();
            mean(&differences) > margin(&differences)
        };
        let is_in = |outcomes: &[Outcome]| {
            let missed = mean(&figures(outcomes, |one| one.missed_percent));
            missed <= 100.0 * self.workload.slo.allowed() + 1e-9
        };
        let is_behind = match (self.keeps(above), self.keeps(below)) {
            (Keeps::Yes, Keeps::No) => true,
            _ if is_in(above) && is_in(below) => behind(|one| one.instance_hours),
            _ => behind(|one| one.missed_percent),
        };
        match is_behind {
            true => Order::Significant,
            false => Order::Insignificant,
        }
    }

    fn candidate(&self, at: usize, order: Order, runs: &[&(Case, Outcome)]) -> Candidate {
        let outcomes: Vec<Outcome> = runs.iter().map(|(_, outcome)| *outcome).collect();
        let spread = |of: fn(&Outcome) -> f64| Spread::of(&figures(&outcomes, of));
        let hours = spread(|one| one.instance_hours);
        let run = |(case, outcome): &&(Case, Outcome)| RunOf {
            phase: case.phase,
            seed: case.seed,
            outcome: *outcome,
        };
        Candidate {
            name: self.configurations[at].name.clone(),
            keeps: self.keeps(&outcomes),
            order,
            missed_percent: spread(|one| one.missed_percent),
            shed_percent: spread(|one| one.shed_percent),
            p50_ms: spread(|one| one.p50_ms),
            p99_ms: spread(|one| one.p99_ms),
            instance_hours: hours,
            cost: self.price.map(|price| Spread {
                mean: hours.mean * price,
                least: hours.least * price,
                most: hours.most * price,
            }),
            actions: spread(|one| f64::from(one.actions)),
            flaps: spread(|one| f64::from(one.flaps)),
            longest_break_secs: spread(|one| one.longest_break_secs as f64),
            runs: runs.iter().map(run).collect(),
        }
    }
}

fn figures(outcomes: &[Outcome], of: fn(&Outcome) -> f64) -> Vec<f64> {
    outcomes.iter().map(of).collect()
}
