//! Runs the cases of a study side by side, on every CPU.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use scaling::fleet::{Outcome, Shown};
use scaling::policy::Invalid;
use scaling::study::{Case, Study};

use super::traffic::Traffic;

/// All results.
pub(super) struct Done {
    /// In the order of the cases.
    pub(super) results: Vec<(Case, Outcome)>,
    /// The first run of each configuration.
    pub(super) shown: Vec<Shown>,
}

type Result1 = Result<(Outcome, Option<Shown>), Invalid>;

/// Every case of the study.
pub(super) fn all(study: &Study, traffic: &Traffic) -> Result<Done, Invalid> {
    let cases = study.cases()?;
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result1>>> = cases.iter().map(|_| Mutex::new(None)).collect();
    let work = || loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(case) = cases.get(at) else { break };
        let done = one(study, traffic, case);
        if done.is_err() {
            // What is wrong with one is wrong with the study: no further ones.
            next.store(cases.len(), Ordering::Relaxed);
        }
        *results[at]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(done);
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 1..threads.min(cases.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = Done {
        results: Vec::with_capacity(cases.len()),
        shown: Vec::new(),
    };
    let mut failed = None;
    for (case, result) in cases.into_iter().zip(results) {
        match result
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
        {
            Some(Ok((outcome, shown))) => {
                done.results.push((case, outcome));
                done.shown.extend(shown);
            }
            Some(Err(error)) => failed = failed.or(Some(error)),
            None => {}
        }
    }
    failed.map_or(Ok(done), Err)
}

fn one(study: &Study, traffic: &Traffic, case: &Case) -> Result1 {
    let (outcome, shown) = study.run(case, traffic.survey().kind, traffic.rows()?)?;
    let is_shown =
        case.switch.is_none() && case.phase == study.phases[0] && case.seed == study.seeds[0];
    Ok((outcome, is_shown.then_some(shown)))
}
